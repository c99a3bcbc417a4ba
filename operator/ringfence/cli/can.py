"""`ringfence can`: whether an agent may reach something, or do something on the Kubernetes API, as it stands now."""

import asyncio
import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import click

from ringfence.api.names import AGENT_LABEL, API_VERSION
from ringfence.resources.model import ALLOW, child_name

from . import cluster, formatting, options
from .hosts import named_hosts, passes, rule_for
from .reachable import Rules, Target, from_pods, read_target, to_address, to_pods
from .status import condition, one_agent

YES, NO = 0, 1
"""Exit codes, with cluster.NO_CLUSTER."""
REACH: Final = "reach"
_EGRESS_FIX: Final = "add it to spec.network.egress; docs/how-to/allow-a-host.md shows the way"


@dataclass(frozen=True)
class Verdict:
    """`why`: in a sentence. `fix`: what to do where the answer is no."""

    allowed: bool
    why: str
    fix: str = ""


class Untold(Exception):
    """It cannot be told. `fix`: what to do."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.fix = fix


@click.command("can")
@click.argument("name", metavar="AGENT", shell_complete=cluster.complete_agents)
@click.argument("verb", metavar="reach|VERB", shell_complete=lambda *given: _verbs(given[2]))
@click.argument("what", metavar="TARGET|RESOURCE")
@click.option("--resource-name", metavar="NAME", help="With a VERB: about the one object of this name.")
@options.output
@cluster.options
def command(name: str, verb: str, what: str, resource_name: str | None, output: str, **where: str | None) -> None:
    """Tell whether an agent may reach a place, or do something on the Kubernetes API.

    TARGET is ADDRESS:PORT, HOST:PORT, service/NAME[.NAMESPACE]:PORT or agent/NAME[.NAMESPACE]:PORT; a bare NAME:PORT is
    a Service of the agent's namespace, else an agent there. RESOURCE is PLURAL[.GROUP][/SUBRESOURCE], such as pods/log
    or deployments.apps.

    What counts is what is in force: the NetworkPolicies that Ringfence has stored, and the API server's own answer
    about the agent's ServiceAccount (else, where you may not ask that, the agent's Role). A host that the agent's spec
    names is reached through its egress gateway; another one is looked up from here, and each of its addresses must be
    open. What guards the pods behind a Service is not looked at.

    \b
    Exit code: 0 yes, 1 no, 2 it cannot be told.

    \b
    Examples:
      ringfence can researcher reach 203.0.113.7:443 -n research
      ringfence can researcher reach service/search.tools:8443 -n research
      ringfence can researcher reach agent/panel:http -n research
      ringfence can researcher get pods/log -n research
    """

    async def act(session: cluster.Session) -> int:
        agent = await one_agent(session, name)
        if agent is None:
            return cluster.NO_CLUSTER
        try:
            if verb == REACH:
                verdict = await _reach(session, agent, _target(what))
            else:
                verdict = await _do(session, agent, verb, what, resource_name)
        except Untold as unknown:
            return cluster.refuse(str(unknown), unknown.fix)
        _tell(agent, verdict, f"{verb} {what}", output)
        return YES if verdict.allowed else NO

    if verb == REACH and resource_name:
        raise click.UsageError("--resource-name goes with a VERB, not with reach")
    cluster.run(cluster.Where(**where), act)


def _verbs(incomplete: str) -> list[str]:
    from ringfence.policy.levels import VERB_ORDER  # noqa: PLC0415 - heavy

    return [word for word in (REACH, *VERB_ORDER) if word.startswith(incomplete)]


def _target(text: str) -> Target:
    try:
        return read_target(text)
    except ValueError as failure:
        raise Untold(f"{formatting.clean(text)!r} is no target", str(failure)) from None


def _tell(agent: Mapping[str, Any], verdict: Verdict, question: str, output: str) -> None:
    name, namespace = agent["metadata"]["name"], agent["metadata"]["namespace"]
    if output == "json":
        found = {"namespace": namespace, "name": name, "question": question, "allowed": verdict.allowed}
        click.echo(json.dumps(found | {"why": verdict.why, "fix": verdict.fix}, indent=2))
    else:
        word = click.style("yes", fg="green") if verdict.allowed else click.style("no", fg="red", bold=True)
        click.echo(f"{word}: {verdict.why}" + (f"; {verdict.fix}" if verdict.fix else ""))
    wider = condition(agent.get("status") or {}, "FenceWidened")
    if wider and wider.get("status") == "True":
        click.echo(f"others have widened the fence: {formatting.clean(wider.get('message'))}", err=True)


# --- the network


async def _reach(session: cluster.Session, agent: Mapping[str, Any], target: Target) -> Verdict:
    name, namespace = agent["metadata"]["name"], agent["metadata"]["namespace"]
    egress = await _rules(session, namespace, name, "egress")
    if target.kind in {"address", "host"}:
        return await _to_addresses(agent, egress, target)
    service = await _service(session, target, namespace) if target.kind != "agent" else None
    if service is not None:
        return _to_service(egress, service, target)
    if target.kind == "service":
        where = target.namespace or namespace
        raise Untold(f"there is no Service {target.name} in namespace {where}", f"`kubectl get services -n {where}`")
    return await _to_agent(session, agent, egress, target)


async def _rules(session: cluster.Session, namespace: str, name: str, direction: str) -> Rules:
    """Of the agent's allow policy; none where that is not there, as then nothing is open."""
    from ringfence.kube import NotFound, path_of  # noqa: PLC0415 - heavy

    place = path_of("networking.k8s.io/v1", "networkpolicies", namespace, child_name(name, ALLOW))
    try:
        found: Rules = ((await session.kube.get(place)).get("spec") or {}).get(direction) or []
    except NotFound:
        return []
    return found


async def _to_addresses(agent: Mapping[str, Any], egress: Rules, target: Target) -> Verdict:
    if target.number is None:
        raise Untold(f"{target.port} is no number", "name the port by its number, such as :443")
    if target.kind == "host" and (rule := rule_for(named_hosts(agent), target.name, target.number)) is not None:
        return Verdict(True, f"{rule.host} port {target.port} is open to it {passes(rule)}")
    addresses = [target.name] if target.kind == "address" else await _look_up(target.name)
    closed = [one for one in addresses if not to_address(egress, one, target.number)]
    if closed:
        return Verdict(False, f"{', '.join(closed[:6])} port {target.port} is not open to it", _EGRESS_FIX)
    return Verdict(True, f"{', '.join(addresses[:6])} port {target.port} is open to it")


async def _look_up(host: str) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as failure:
        why = f"{host} has no address here ({failure.strerror or failure})"
        raise Untold(why, "name its address, or check the name") from None
    return sorted({str(one[4][0]).partition("%")[0] for one in found})


async def _service(session: cluster.Session, target: Target, namespace: str) -> Mapping[str, Any] | None:
    from ringfence.kube import NotFound, path_of  # noqa: PLC0415 - heavy

    try:
        return await session.kube.get(path_of("v1", "services", target.namespace or namespace, target.name))
    except NotFound:
        return None


def _to_service(egress: Rules, service: Mapping[str, Any], target: Target) -> Verdict:
    spec, place = service.get("spec") or {}, service["metadata"]["namespace"]
    named = f"Service {place}/{target.name}"
    port = next(
        (one for one in spec.get("ports") or [] if target.port in {str(one.get("port")), one.get("name")}), None
    )
    if port is None:
        known = ", ".join(str(one.get("port")) for one in spec.get("ports") or []) or "none"
        raise Untold(f"{named} has no port {target.port}", f"it has {known}")
    if not spec.get("selector"):
        return Verdict(False, f"{named} has no selector, so Ringfence opens no way to it", "name its addresses by cidr")
    leads = port.get("targetPort") or port["port"]
    if to_pods(egress, place, spec["selector"], leads):
        return Verdict(True, f"{named} leads to pods whose port {leads} is open to it")
    fix = f"add service: {{name: {target.name}, namespace: {place}, port: {port['port']}}} to spec.network.egress"
    return Verdict(False, f"the pods behind {named} are not open to it", fix)


async def _to_agent(session: cluster.Session, agent: Mapping[str, Any], egress: Rules, target: Target) -> Verdict:
    """Both fences must let it through."""
    from ringfence.kube import NotFound, path_of  # noqa: PLC0415 - heavy

    name, namespace = agent["metadata"]["name"], agent["metadata"]["namespace"]
    place = target.namespace or namespace
    try:
        other = await session.kube.get(path_of(API_VERSION, cluster.AGENTS, place, target.name))
    except NotFound:
        what = "agent" if target.kind == "agent" else "Service and no agent"
        raise Untold(
            f"there is no {what} {target.name} in namespace {place}", "`ringfence status -A` shows agents"
        ) from None
    ports = {one["name"]: one["port"] for one in (other.get("spec") or {}).get("ports") or []}
    number = target.number or ports.get(target.port)
    if number is None:
        raise Untold(f"agent {target.name} has no port {target.port}", f"it has {', '.join(ports) or 'none'}")
    ingress = await _rules(session, place, target.name, "ingress")
    out = any(to_pods(egress, place, {AGENT_LABEL: target.name}, one) for one in _spellings(number, ports))
    into = any(from_pods(ingress, namespace, {AGENT_LABEL: name}, one) for one in _spellings(number, ports))
    if out and into:
        return Verdict(True, f"both fences let it through to port {number} of agent {place}/{target.name}")
    closed = [
        side for side, is_open in (("its own fence", out), (f"the fence of {place}/{target.name}", into)) if not is_open
    ]
    fix = "name the other one's Service in spec.network.egress" if not out else ""
    if not into:
        caller = f"{{from: {{podLabels: {{{AGENT_LABEL}: {name}}}}}, port: PORT}}"
        fix += f"{', and ' if fix else ''}let it in there: network.ingress: [{caller}]"
    return Verdict(False, f"closed by {' and by '.join(closed)}", fix)


def _spellings(number: int, ports: Mapping[str, int]) -> Sequence[int | str]:
    return [number, *(name for name, one in ports.items() if one == number)]


# --- the Kubernetes API


async def _do(
    session: cluster.Session, agent: Mapping[str, Any], verb: str, what: str, resource_name: str | None
) -> Verdict:
    from ringfence.kube import ApiError, path_of  # noqa: PLC0415 - heavy

    name, namespace = agent["metadata"]["name"], agent["metadata"]["namespace"]
    resource, group = _resource(what)
    account = f"system:serviceaccount:{namespace}:{child_name(name)}"
    main, _, subresource = resource.partition("/")
    asked = {
        "namespace": namespace,
        "verb": verb,
        "group": group,
        "resource": main,
        "subresource": subresource,
        "name": resource_name or "",
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "LocalSubjectAccessReview",
        "metadata": {"namespace": namespace},
        "spec": {"user": account, "groups": _groups(namespace), "resourceAttributes": asked},
    }
    try:
        place = path_of("authorization.k8s.io/v1", "localsubjectaccessreviews", namespace)
        answer = (await session.kube.create(place, body)).get("status") or {}
    except ApiError as failure:
        if failure.status != HTTPStatus.FORBIDDEN:
            raise
        return await _by_role(session, agent, verb, resource, group, resource_name)
    subject = f"{verb} {resource}" + (f".{group}" if group else "")
    if answer.get("allowed"):
        return Verdict(True, f"the API server lets its ServiceAccount {subject} in namespace {namespace}")
    fix = f'add {{apiGroups: ["{group}"], resources: [{resource}], verbs: [{verb}]}} to spec.permissions.rules'
    return Verdict(False, f"the API server does not let its ServiceAccount {subject} in namespace {namespace}", fix)


def _groups(namespace: str) -> list[str]:
    return ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]


def _resource(what: str) -> tuple[str, str]:
    """The resource, with its subresource, and its group: of those that agents can use, where none is named."""
    from ringfence.policy.levels import CATALOGUE  # noqa: PLC0415 - heavy

    main, slash, subresource = what.partition("/")
    plural, _, group = main.partition(".")
    resource = plural + slash + subresource
    if not group:
        found = sorted(one for one, known in CATALOGUE.items() if resource in known or plural in known)
        group = found[0] if found else ""
    return resource, group


async def _by_role(
    session: cluster.Session, agent: Mapping[str, Any], verb: str, resource: str, group: str, resource_name: str | None
) -> Verdict:
    """By the agent's own Role: what others have given its ServiceAccount is not in it."""
    from ringfence.kube import NotFound, path_of  # noqa: PLC0415 - heavy

    name, namespace = agent["metadata"]["name"], agent["metadata"]["namespace"]
    try:
        role = await session.kube.get(path_of("rbac.authorization.k8s.io/v1", "roles", namespace, child_name(name)))
    except NotFound:
        role = {}
    allowed = any(
        verb in rule.get("verbs", ())
        and resource in rule.get("resources", ())
        and group in rule.get("apiGroups", ())
        and (not rule.get("resourceNames") or resource_name in rule["resourceNames"])
        for rule in role.get("rules") or ()
    )
    click.echo(
        "by its Role alone, as you may not ask the API server about others (localsubjectaccessreviews)", err=True
    )
    if allowed:
        return Verdict(True, f"Role {child_name(name)} lets it {verb} {resource}")
    fix = f'add {{apiGroups: ["{group}"], resources: [{resource}], verbs: [{verb}]}} to spec.permissions.rules'
    return Verdict(False, f"Role {child_name(name)} does not let it {verb} {resource}", fix)
