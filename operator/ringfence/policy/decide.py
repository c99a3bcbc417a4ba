"""The one decision: whether this agent may be, here, under these policies."""

import re
from collections.abc import Iterator, Sequence

from ringfence.api import AgentDeployment, AgentDeploymentSpec, parse
from ringfence.api.names import AGENTS_ENABLED, AGENTS_LABEL

from . import text
from .builtin import RESTRICTED
from .containers import check_containers, images
from .egress import check_egress
from .egress_hosts import check_hosts
from .elsewhere import check_elsewhere
from .files import volumes
from .gateway_secrets import check_gateway_secrets, keyed_hosts
from .identity import check_identity, check_token_paths
from .ingress import check_ingress
from .limits import check_limits
from .malformed import Parts, readable
from .marks import check_marks
from .model import AgentObject, Facts, NamedPolicy, RuleName, Violation
from .opened import Opening, closed_for_good, opening
from .permissions import check_permissions
from .plaintext import check_plaintext
from .pods import check_sandbox, check_storage
from .runs import check_parallel, check_run
from .scheduling import check_scheduling
from .scratch import check_scratch
from .secret_files import secret_directories
from .selectors import matches
from .signatures import check_signatures
from .stop import check_stop
from .users import check_users


def decide(agent: AgentObject, policies: Sequence[NamedPolicy], facts: Facts) -> list[Violation]:
    """All violations at once, sorted by path; empty when the agent is accepted. Never raises.

    `policies`: every AgentPolicy of the cluster; those that do not select the namespace are left out here,
    and with none left the built-in `restricted` binds. Webhook, controller and lint call this and nothing
    else.
    """
    bound = binding(policies, facts)
    found = [*_check_place(agent, facts), *_check_spec(agent, bound, facts)]
    return sorted(set(found), key=_order)


def binding(policies: Sequence[NamedPolicy], facts: Facts) -> list[NamedPolicy]:
    """The policies that bind the namespace: at least one. Where its labels are not known, all of them."""
    labels = facts.namespace_labels
    bound = [policy for policy in policies if labels is None or matches(policy.spec.namespace_selector, labels)]
    return bound or [RESTRICTED]


def suspending(bound: Sequence[NamedPolicy]) -> NamedPolicy | None:
    """The policy by which agents that do not fit any more get no pods; one of those that bind is enough."""
    return next((policy for policy in bound if policy.spec.existing == "Suspend"), None)


def _check_place(agent: AgentObject, facts: Facts) -> Iterator[Violation]:
    rule = AgentDeployment.name_rule
    if not rule.check(agent.name):
        yield Violation("metadata.name", RuleName.INVALID_FIELD, rule.message)
    where = opening(agent.namespace, facts)
    if where.is_for_good:
        message = f"{closed_for_good(text.quote(agent.namespace), where)}; deploy to a namespace of the agent's team"
        yield Violation("metadata.namespace", RuleName.NAMESPACE_NOT_OPENED, message)
    elif where is Opening.UNLABELLED:
        message = (
            f"this namespace is not open to agents: deploy to one that carries the label {AGENTS_LABEL}: "
            f"{AGENTS_ENABLED}, or ask a platform engineer to set it here"
        )
        yield Violation("metadata.namespace", RuleName.NAMESPACE_NOT_OPENED, message)


def _check_spec(agent: AgentObject, policies: Sequence[NamedPolicy], facts: Facts) -> Iterator[Violation]:
    """A malformed spec is still judged by those of its parts that can be read: all violations at once."""
    parsed = agent.parsed or parse(AgentDeploymentSpec, agent.spec)
    if parsed.value is not None:
        yield from _check_parts(parsed.value, agent, policies, facts)
        yield from check_sandbox(parsed.value.sandbox, policies)
        yield from check_plaintext(parsed.value)
        spec = parsed.value
        yield from check_stop(spec.stop, policies)
        yield from check_marks(spec.pod_labels, spec.pod_annotations, policies)
        yield from check_scheduling(spec.scheduling, spec.devices, spec.replicas, policies)
        yield from check_limits(parsed.value, policies, facts)
        return
    malformed = {text.path(error.path) for error in parsed.errors}
    for error in parsed.errors:
        yield Violation(text.path(error.path), RuleName.INVALID_FIELD, error.message)
    parts = readable(agent.spec)
    found = list(_check_parts(parts, agent, policies, facts))
    if parts.sandbox_is_read:
        found += check_sandbox(parts.sandbox, policies)
    yield from (violation for violation in found if violation.path not in malformed)


def _check_parts(
    parts: AgentDeploymentSpec | Parts, agent: AgentObject, policies: Sequence[NamedPolicy], facts: Facts
) -> Iterator[Violation]:
    yield from check_containers(parts, policies)
    yield from check_signatures(images(parts), parts.image_signatures, policies)
    yield from check_permissions(parts.permissions, policies, agent.namespace)
    yield from check_elsewhere(parts.permissions, agent, policies, facts)
    yield from check_egress(parts.network.egress, agent.namespace, policies, facts)
    yield from check_hosts(parts.network.egress, policies, keyed_hosts(parts.secrets))
    yield from check_gateway_secrets(parts.secrets, parts.network.egress)
    yield from check_ingress(parts.network.ingress, agent.namespace, policies)
    yield from check_storage(parts.storage)
    yield from check_run(parts.run, agent.name)
    yield from check_parallel(parts.run, policies)
    yield from check_users(parts.run_as_user, parts.run_as_group, policies)
    yield from check_scratch(parts.scratch, parts.storage, parts.resources)
    yield from check_identity(parts.identity, policies, facts.api_audiences)
    others = [*volumes(parts.storage, parts.scratch), *(file.path for file in parts.files)]
    of_secrets = secret_directories(one.delivery.file.path for one in parts.secrets if one.delivery.file)
    yield from check_token_paths(parts.identity, [*others, *of_secrets])


_INDEX = re.compile(r"\[([0-9]{1,6})\]")


def _order(violation: Violation) -> tuple[list[str | int], str, str]:
    """Indices as numbers, so that rules[2] comes before rules[10]."""
    steps = _INDEX.split(violation.path)
    return (
        [int(step) if place % 2 else step for place, step in enumerate(steps)],
        violation.rule,
        violation.message,
    )
