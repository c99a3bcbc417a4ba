"""`ringfence explain`: one agent on one screen."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

import click

from ringfence.api.names import API_VERSION
from ringfence.api.status import Progress, is_met
from ringfence.policy.reading import read_policy
from ringfence.resources.model import ALLOW, child_name

from . import cluster, formatting, leader, options
from .account import MOST_EVENTS, Seen, account
from .status import one_agent


@click.command("explain")
@click.argument("name", shell_complete=cluster.complete_agents)
@options.output
@leader.option
@cluster.options
def command(name: str, output: str, lease: str, **where: str | None) -> None:
    """Show what one agent may reach and do, its secrets, its conditions, and its latest violations.

    What is shown is what is in force, as Ringfence observed it; where no controller leads, as it was observed before
    that, which is said. What you have no right to see is said to be hidden.

    \b
    Exit code: 0 the agent is ready, 1 it is not, is not there, or nobody leads, 2 the cluster cannot be reached.

    \b
    Examples:
      ringfence explain researcher -n research
      ringfence explain researcher -n research -o json | jq .egress
    """

    async def show(session: cluster.Session) -> int:
        agent = await one_agent(session, name)
        if agent is None:
            return cluster.NOT_READY
        found, leads = account(await gather(session, agent, lease)), await leader.look(session, lease)
        if output == "json":
            click.echo(json.dumps(found | {"leader": leads.as_json()}, indent=2))
        else:
            click.echo("\n".join(lines(found, leads, formatting.now())))
        good = found["ready"] and leads.leads is not False
        return cluster.READY if good else cluster.NOT_READY

    cluster.run(cluster.Where(**where), show)


async def gather(session: cluster.Session, agent: dict[str, Any], lease: str) -> Seen:
    """Everything around the agent that this user may see. `lease`: NAMESPACE/NAME, where Ringfence runs."""
    from ringfence.kube import path_of  # noqa: PLC0415 - heavy

    kube, name, namespace = session.kube, agent["metadata"]["name"], agent["metadata"]["namespace"]
    allow = path_of("networking.k8s.io/v1", "networkpolicies", namespace, child_name(name, ALLOW))
    about = f"involvedObject.kind=AgentDeployment,involvedObject.name={name},type=Warning"
    place = await _seen(lambda: kube.get(path_of("v1", "namespaces", name=namespace)))
    stored = await _seen(lambda: kube.list(path_of(API_VERSION, "agentpolicies")))
    policies, unreadable = [], []
    for one in stored or []:
        policy, errors = read_policy(one["metadata"]["name"], one.get("spec"))
        policies.append(policy)
        if errors:
            unreadable.append(policy.name)
    return Seen(
        agent=agent,
        allow_policy=await _seen(lambda: kube.get(allow)),
        events=await _seen(lambda: kube.list(path_of("v1", "events", namespace), field_selector=about)),
        namespace_labels=None if place is None else place["metadata"].get("labels") or {},
        policies=None if stored is None else policies,
        unreadable=unreadable,
        own_namespace=lease.partition("/")[0],
    )


async def _seen(read: Callable[[], Any]) -> Any:
    """What is read; None when it is not there or not for this user."""
    from ringfence.kube import ApiError, NotFound  # noqa: PLC0415 - heavy

    try:
        return await read()
    except NotFound:
        return None
    except ApiError as failure:
        if failure.status == HTTPStatus.FORBIDDEN:
            return None
        raise


def lines(found: Mapping[str, Any], leads: leader.Leader, now: datetime) -> Iterator[str]:
    """The account as text."""
    ready = click.style("ready", fg="green") if found["ready"] else click.style("not ready", fg="red", bold=True)
    age = formatting.age(formatting.moment(found["created"]), now)
    since = formatting.moment(found["since"])
    known = f" since {formatting.age(since, now)}" if since else ""
    yield f"{click.style(found['namespace'] + '/' + found['name'], bold=True)}: {ready}{known}"
    if leads.leads is False:
        yield click.style(f"  {leads.sentence(now)}", fg="red", bold=True)
    state = "suspended" if found["suspended"] else f"{found['pods']} pods ready"
    yield f"  {formatting.clean(found['image'])}, {state}, made {age} ago"
    if not found["ready"]:
        yield f"  waits for {found['reason']}: {formatting.clean(found['message'])}"
    accepted = found["acceptedGeneration"]
    if accepted is None:
        yield "  No spec of it was accepted so far: nothing is opened for it, and it does not run."
    elif accepted != found["generation"]:
        yield f"  The newest spec is not in force (yet): what follows is that of generation {accepted}."
    yield from _section("May reach", _reach(found["egress"]))
    yield from _section("May be reached by", _callers(found["ingress"]))
    yield from _section(f"May do (level {found['permissions']['level']})", _rights(found["permissions"]))
    yield from _section("Secrets", list(_secrets(found["secrets"], now)))
    yield from _section("Conditions", list(_conditions(found["conditions"], now)))
    yield from _section("Violations lately", list(_violations(found["violations"], now)))
    yield from _section("Policies that bind it", _policies(found["policies"], found["namespaceClosed"]))
    if len(found["policies"] or ()) > 1:
        yield from _section("Together they allow", [_narrowed(one) for one in found["together"]])
    if leads.leads is not False:
        yield from _section("Controller", [leads.sentence(now)])


def _section(title: str, content: Sequence[str]) -> Iterator[str]:
    yield ""
    yield click.style(title, bold=True)
    yield from (f"  {line}" for line in content)


def _reach(egress: Mapping[str, Any]) -> list[str]:
    found = [formatting.clean(one) for one in (*egress["destinations"], *egress["hosts"])]
    if egress["apiServer"]:
        found.append("the API server, for the rights below")
    if egress["dns"]:
        found.append("DNS, at the cluster's own DNS pods only")
    return found or ["nothing, not even DNS"]


def _callers(ingress: Mapping[str, Any]) -> list[str]:
    note = "" if ingress["observed"] else " (as the spec asks; the NetworkPolicy cannot be seen)"
    found = [
        f"pods of {one['namespace'] or 'any namespace'} with "
        f"{','.join(f'{key}={value}' for key, value in one['podLabels'].items()) or 'any labels'}"
        f" on port {one['port']}{note}"
        for one in ingress["callers"]
    ]
    return found or [f"nobody but the kubelet's probes{note}"]


def _rights(permissions: Mapping[str, Any]) -> list[str]:
    return [formatting.clean(one) for one in permissions["rights"]] or [
        "nothing on the Kubernetes API; it has no token"
    ]


def _secrets(secrets: Sequence[Mapping[str, Any]], now: datetime) -> Iterator[str]:
    if not secrets:
        yield "none"
        return
    rows = []
    for one in secrets:
        changed = formatting.moment(one["lastRotated"])
        due = formatting.moment(one["nextRotation"])
        rows.append(
            [
                one["name"],
                one["source"],
                one["delivery"] or formatting.NONE,
                formatting.age(changed, now),
                formatting.ahead(due, now) if due else "not by Ringfence" if not one["every"] else formatting.UNKNOWN,
            ]
        )
    yield from formatting.table(["NAME", "SOURCE", "DELIVERED AS", "AGE", "ROTATES"], rows)


def _conditions(conditions: Sequence[Mapping[str, Any]], now: datetime) -> Iterator[str]:
    if not conditions:
        yield "none yet: Ringfence has not looked at it"
    for one in (each for each in conditions if each["type"] not in set(Progress)):  # Ready says the same
        age = formatting.age(formatting.moment(one.get("lastTransitionTime")), now)
        status = click.style(one["status"], fg=_colour(one))
        yield f"{one['type']} is {status} since {age}: {one['reason']}"
        yield from (f"  {formatting.clean(line)}" for line in str(one.get("message", "")).splitlines())


def _colour(condition: Mapping[str, Any]) -> str:
    if condition["status"] not in {"True", "False"}:
        return "yellow"
    return "green" if is_met(condition["type"], condition["status"]) else "red"


def _violations(violations: Sequence[Mapping[str, Any]] | None, now: datetime) -> Iterator[str]:
    if violations is None:
        yield "hidden: you may not list Events in this namespace"
        return
    if not violations:
        yield "none (the cluster keeps Events for about an hour)"
    for one in violations[:MOST_EVENTS]:
        times = f" ({one['count']} times)" if one["count"] > 1 else ""
        age = formatting.age(formatting.moment(one["last"]), now)
        yield f"{age} ago{times}: {one['reason']}: {formatting.clean(one['message'])}"
    if len(violations) > MOST_EVENTS:
        yield f"and {len(violations) - MOST_EVENTS} more"


def _narrowed(one: Mapping[str, Any]) -> str:
    return f"{one['field']}: {formatting.clean(one['value'])} (by {', '.join(one['narrowedBy'])})"


def _policies(policies: Sequence[Mapping[str, Any]] | None, closed: str | None) -> list[str]:
    if policies is None:
        return ["hidden: you may not list AgentPolicies, or not read this Namespace"]
    found = [
        f"{one['name']}: {'; '.join(one['bounds']) if one['readable'] else 'cannot be read by this version'}"
        for one in policies
    ]
    return [*found, closed] if closed else found
