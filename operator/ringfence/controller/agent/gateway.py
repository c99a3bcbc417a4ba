"""The egress gateway in a pass: what is to be done for it, and what is said of it. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from ringfence.api.names import FIELD_MANAGER, GROUP, UPSTREAM_CREDENTIALS
from ringfence.api.network import EgressRule, HostLimits
from ringfence.api.secrets import AgentSecret, GatewayDelivery
from ringfence.api.status import ConditionType, Reason
from ringfence.gateway.model import (
    EVERY_REQUEST,
    NOT_BEHIND,
    WILDCARD,
    Gateway,
    Host,
    HostSecret,
    Mode,
    Paths,
    Place,
    Rule,
    Upstream,
    denied,
)
from ringfence.policy.addresses import Network
from ringfence.policy.closed import cluster_addresses
from ringfence.policy.providers import providers
from ringfence.policy.text import listed
from ringfence.resources import Agent, Ref
from ringfence.resources.digests import digest
from ringfence.resources.gateway import CONFIG_DIRECTORY, RUN_DIRECTORY, host_rules, observe_port, proxy_port
from ringfence.resources.gateway_names import gateway_name
from ringfence.resources.gateway_proxy import PROXY_DIRECTORY
from ringfence.resources.gateway_secrets import SECRETS_DIRECTORY, awaits_secrets, gateway_secrets, secret_file
from ringfence.resources.model import SecretState, UpstreamProxy
from ringfence.resources.phases import GATEWAY
from ringfence.resources.secrets import when
from ringfence.resources.stored import DESIRED_ANNOTATION, controlled_by

from . import conditions
from .actions import Action, AwaitEnd, PutGateway
from .conditions import Finding
from .observed import Observed

RENEW_ANNOTATION: Final = f"{GROUP}/renew-at"
"""On the Secret of the authorities: when the first certificate is to be made anew (RFC 3339, UTC)."""
NO_IMAGE: Final = (
    "hosts are reached through an egress gateway, and Ringfence knows no image for it: have the administrator set the "
    "chart's value gateway.image to Envoy's official image, by digest"
)
REFUSES: Final = (
    "its egress gateway takes no new connection: Envoy refused what it was given, and would go by what was before. "
    "kubectl logs deployment/{} says what; please report this"
)
PATHS: Final = Paths(
    config=CONFIG_DIRECTORY,
    certificate=CONFIG_DIRECTORY,
    admin=f"{RUN_DIRECTORY}/admin.sock",
    secrets=SECRETS_DIRECTORY,
    upstream=PROXY_DIRECTORY,
)


def settings(agent: Agent, placeholders: Mapping[str, str] | None = None) -> Gateway:
    """What its gateway is to do. `placeholders`: by the names of secrets; None: they do not matter."""
    keyed = {one.delivery.gateway.host: one for one in gateway_secrets(agent) if one.delivery.gateway}
    return Gateway(
        hosts=tuple(_host(agent, rule, keyed.get(str(rule.host)), placeholders or {}) for rule in host_rules(agent)),
        denied=_denied(agent.cluster),
        name=f"{agent.namespace}/{agent.name}",
        observe_port=observe_port(agent),
        proxy_port=proxy_port(agent),
        reports_to=agent.gateway_reports.address or "",
        upstream=_upstream(agent.upstream_proxy),
        paths=PATHS,
    )


def _upstream(proxy: UpstreamProxy | None) -> Upstream | None:
    return None if proxy is None else Upstream(proxy.addresses, proxy.port, credentials=bool(proxy.secret))


def _host(agent: Agent, rule: EgressRule, secret: AgentSecret | None, placeholders: Mapping[str, str]) -> Host:
    limits = rule.limits or HostLimits.model_construct()
    closed = _closed(agent, secret) if secret is not None else ""
    return Host(
        name=str(rule.host),
        ports=rule.host_ports,
        mode=Mode.TUNNEL if rule.is_tunnel else Mode.TERMINATE,
        rules=_rules(rule),
        secret=_secret(agent, rule, secret, placeholders.get(secret.name, ""))
        if secret is not None and not closed
        else None,
        websocket=limits.max_body_bytes is None,
        max_body_bytes=limits.max_body_bytes or 0,
        requests_per_minute=limits.requests_per_minute or 0,
        closed=closed,
    )


def _rules(rule: EgressRule) -> tuple[Rule, ...]:
    if rule.preset:
        return tuple(Rule(one.methods, one.paths) for one in providers()[rule.preset].rules)
    return tuple(Rule(tuple(one.methods or ()), tuple(one.paths or ())) for one in rule.rules or ()) or EVERY_REQUEST


def _closed(agent: Agent, secret: AgentSecret) -> str:
    """Why nothing goes to its host: Envoy goes on with the last value of a Secret that is gone."""
    problem = agent.secret_states.get(secret.name, SecretState(problem="its Secret is not there yet")).problem
    return problem and f"the gateway cannot send secret {secret.name}, without which nothing goes here: {problem}"


def _secret(agent: Agent, rule: EgressRule, secret: AgentSecret, placeholder: str) -> HostSecret:
    return HostSecret(secret_file(agent, secret), placeholder, places(rule, secret.delivery.gateway))


def places(rule: EgressRule, delivery: GatewayDelivery | None) -> tuple[Place, ...]:
    """Where clients put it: as the secret says, or each place of the preset."""
    if delivery is not None and delivery.basic is not None:
        return (Place("authorization", "Basic", delivery.basic.user),)
    if delivery is not None and delivery.header is not None:
        return (Place(delivery.header, delivery.scheme or ""),)
    if delivery is not None and delivery.query is not None:
        return (Place(query=delivery.query),)
    of_preset = providers()[rule.preset].keys if rule.preset else ()
    return tuple(Place(one.header or "", one.scheme or "", query=one.query or "") for one in of_preset)


def is_withheld(agent: Agent, ref: Ref) -> bool:
    """Whether its Deployment has to wait: Envoy is to begin with the Secrets that it sends."""
    return ref.kind == "Deployment" and ref.name == gateway_name(agent.name) and awaits_secrets(agent)


@lru_cache(maxsize=1)
def _denied(cluster: tuple[Network, ...]) -> tuple[str, ...]:
    """The same for all agents, until a node comes or goes."""
    return denied(cluster_addresses(cluster))


def address(seen: Observed) -> str | None:
    """Of its Service, once that is stored."""
    live = seen.children.get(Ref("Service", seen.key.namespace, gateway_name(seen.key.name)))
    if live is None or live.deleting or seen.agent is None or live.controller_uid != seen.agent.uid:
        return None
    found = ((live.shown or {}).get("spec") or {}).get("clusterIP")
    return str(found) if found else None


def is_missing(agent: Agent) -> bool:
    """Whether it has hosts, and no address yet at which it finds them."""
    return bool(host_rules(agent)) and agent.gateway_address is None


def mark(agent: Agent) -> str:
    """Of what its gateway is to be: changes with everything that is in its configuration.

    It changes with each version of a Secret that it sends, too, so that its pods are told to look at once.
    """
    known = [(one.name, agent.secret_states.get(one.name, SecretState()).version) for one in gateway_secrets(agent)]
    return digest([asdict(settings(agent)), known])


def put(seen: Observed, agent: Agent) -> Iterator[Action]:
    """Its Secrets, where they are not as they are to be, or a certificate is to be renewed."""
    if not host_rules(agent) or agent.gateway_image is None:
        return
    found, wanted = seen.gateway, mark(agent)
    if found is not None and not found.not_granted and _is_right(found.config, agent, wanted):
        authorities = found.authorities
        if _is_right(authorities, agent, wanted) and not _is_due(authorities or {}, seen.now):
            return
    yield PutGateway(phase=GATEWAY, known=seen.known)


def waits(agent: Agent) -> Iterator[Action]:
    """What its workload waits for."""
    if agent.gateway_image is not None and host_rules(agent) and awaits_secrets(agent):
        yield AwaitEnd(phase=GATEWAY, what="waits for the Secrets that its egress gateway sends")
    if agent.gateway_image is not None and is_missing(agent):
        yield AwaitEnd(phase=GATEWAY, what="waits for the address of its egress gateway")


def finding(seen: Observed, agent: Agent | None, blocked: Finding) -> Finding | None:
    """The condition; None for an agent without hosts. `blocked`: what the phase came to."""
    if agent is None or not host_rules(agent):
        return None
    kind = ConditionType.GATEWAY_READY
    if agent.gateway_image is None:
        return Finding(kind, "False", Reason.NO_GATEWAY_IMAGE, NO_IMAGE)
    if blocked.status != "True":
        return blocked
    if wrong := _wrong(agent):
        missing = all(not state.uid for _, state in wrong)
        reason = Reason.SECRET_NOT_FOUND if missing else Reason.SECRET_UNUSABLE
        hosts = listed((one.delivery.gateway.host for one, _ in wrong if one.delivery.gateway), 3)
        why = "; ".join(f"{one.name}: {state.problem}" for one, state in wrong)
        return Finding(kind, "False", reason, f"its egress gateway lets nothing through to {hosts}; {why}")
    return _of_pods(seen, agent)


def _of_pods(seen: Observed, agent: Agent) -> Finding:
    """What its pods say."""
    kind = ConditionType.GATEWAY_READY
    live = seen.children.get(Ref("Deployment", seen.key.namespace, gateway_name(seen.key.name)))
    told = conditions.workload(live.shown if live else None, suspended=agent.spec.suspended, diagnosis=None)
    if told.status == "True":
        return Finding(kind, "True", Reason.AVAILABLE, f"its egress gateway answers{_not_behind(agent)}")
    if seen.gateway_refuses:
        return Finding(kind, "False", Reason.GATEWAY_REFUSED_UPDATE, REFUSES.format(gateway_name(seen.key.name)))
    return Finding(kind, told.status, told.reason, f"its egress gateway: {told.message}{_begins_with(agent)}")


def _not_behind(agent: Agent) -> str:
    """What a corporate proxy keeps from it."""
    wildcards = [str(rule.host) for rule in host_rules(agent) if str(rule.host).startswith(WILDCARD)]
    return f"; {NOT_BEHIND} ({listed(wildcards, 3)})" if agent.upstream_proxy and wildcards else ""


def _begins_with(agent: Agent) -> str:
    """What its pod may be waiting for, which nothing else tells."""
    proxy = agent.upstream_proxy
    if proxy is None or not proxy.secret or agent.spec.suspended:
        return ""
    wanted = f"Secret {proxy.secret} with the key {UPSTREAM_CREDENTIALS}"
    return f" (it begins once {wanted} is in namespace {agent.namespace})"


def _wrong(agent: Agent) -> list[tuple[AgentSecret, SecretState]]:
    """Secrets that cannot be sent."""
    known = [(one, agent.secret_states.get(one.name, SecretState())) for one in gateway_secrets(agent)]
    return [(one, state) for one, state in known if state.problem]


def _is_right(metadata: Mapping[str, Any] | None, agent: Agent, wanted: str) -> bool:
    """Whether a Secret is the agent's, was written for just this, and by nobody since."""
    if metadata is None or not controlled_by(metadata, agent.uid):
        return False
    return (metadata.get("annotations") or {}).get(DESIRED_ANNOTATION) == wanted and not others_wrote(metadata)


def others_wrote(metadata: Mapping[str, Any]) -> bool:
    """Whether anybody but the controller wrote to a Secret, by the names in its managedFields."""
    managers = {one.get("manager") for one in metadata.get("managedFields") or []}
    return managers != {FIELD_MANAGER}


def _is_due(metadata: Mapping[str, Any], now: datetime) -> bool:
    moment = when((metadata.get("annotations") or {}).get(RENEW_ANNOTATION))
    return moment is None or moment <= now
