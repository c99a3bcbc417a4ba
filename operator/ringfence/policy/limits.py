"""What the agents of one namespace may ask for in sum: AgentPolicy.spec.limits.

What an agent asks for: itself; its pods; their limits of CPU and memory (defaults where it names none); its volume. A
suspended agent asks for no pods, and so for no CPU and memory; its volume stays, and counts.

Who was accepted keeps what it has. Of the others the older one is first, then the one whose name comes first; who does
not fit is left out, and those after it may fit. All of that depends on what is stored and on nothing else, so that
everybody who asks gets the same answer.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from ringfence.api import AgentDeploymentSpec, AgentPolicySpec
from ringfence.api.agentpolicy import AgentLimits, PolicyLimits

from .model import NOTHING, Asks, Facts, NamedPolicy, RuleName, Violation
from .quantities import FINEST, amount, canonical
from .text import quote

DEFAULT_LIMITS: Final[Mapping[str, str]] = {"cpu": "1", "memory": "512Mi", "ephemeral-storage": "1Gi"}
"""Of a pod whose agent names none."""


class _Limit(NamedTuple):
    """`name`: of the field in Asks and in spec.limits."""

    name: str
    rule: RuleName
    path: str
    what: str
    fix: str


_LIMITS: Final = (
    _Limit("agents", RuleName.AGENTS_ABOVE_POLICY, "spec", "agents", "delete one"),
    _Limit("replicas", RuleName.REPLICAS_ABOVE_POLICY, "spec.replicas", "pods", "lower replicas"),
    _Limit("cpu", RuleName.CPU_ABOVE_POLICY, "spec.resources.limits.cpu", "CPUs", "lower it, or replicas"),
    _Limit("memory", RuleName.MEMORY_ABOVE_POLICY, "spec.resources.limits.memory", "memory", "lower it, or replicas"),
    _Limit("storage", RuleName.STORAGE_ABOVE_POLICY, "spec.storage.size", "storage", "lower it"),
)
LIMIT_RULES: Final = frozenset(limit.rule for limit in _LIMITS)
_WHOLE: Final = {"agents", "replicas"}
"""Numbers; the others are quantities, in billionths."""
KIB: Final = 1024


@dataclass(frozen=True, slots=True)
class Claim:
    """One agent among those of its namespace. `created`: RFC 3339, so that its text sorts as the times do.

    `accepted`: its present spec is in force. `held`: what it has of an earlier spec that was accepted, or nothing.
    `refused`: its present spec was looked at, and is not in force.
    """

    name: str
    created: str
    asks: Asks
    accepted: bool = False
    refused: bool = False
    held: Asks = NOTHING


def asks_of(spec: Any) -> Asks:
    """What a spec asks for, as it is stored. What cannot be read of it never runs, and asks for nothing."""
    raw = spec if isinstance(spec, Mapping) else {}
    replicas = raw.get("replicas", 1)
    pods = 0 if raw.get("suspended") or type(replicas) is not int else replicas
    size = _mapping(raw.get("storage")).get("size")
    sidecars, before = _containers(raw.get("sidecars")), _containers(raw.get("initContainers"))

    def each(kind: str) -> int:
        """As Kubernetes adds up: what runs together in sum, or what one that runs before needs, if that is more."""
        together = sum(_limit(one, kind) for one in (raw, *sidecars))
        return max(together, *(_limit(one, kind) for one in before), 0)

    return Asks(1, pods, pods * each("cpu"), pods * each("memory"), 0 if size is None else _units(size))


def _containers(raw: Any) -> list[Mapping[str, Any]]:
    return [_mapping(one) for one in raw] if isinstance(raw, list) else []


def _limit(container: Mapping[str, Any], kind: str) -> int:
    resources = _mapping(container.get("resources"))
    requests, limits = _mapping(resources.get("requests")), _mapping(resources.get("limits"))
    wanted = (limits.get(kind), requests.get(kind), DEFAULT_LIMITS[kind])
    return _units(next(one for one in wanted if one is not None))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _units(quantity: Any) -> int:
    """Billionths, which is the finest that is stored."""
    return _units_of(quantity) if isinstance(quantity, str | int | float) else 0


@lru_cache(maxsize=1024, typed=True)
def _units_of(quantity: str | float) -> int:
    """Kept: the same few quantities are in every agent, and are read with each change of its status."""
    try:
        return int(-(-amount(quantity) * FINEST // 1))
    except (ValueError, KeyError, TypeError):
        return 0


def limited(policies: Iterable[NamedPolicy]) -> bool:
    """Whether any of them bounds what a namespace may ask for."""
    return any(_bounds(policy.spec) for policy in policies)


def before(name: str, claims: Sequence[Claim], policies: Sequence[NamedPolicy]) -> Asks:
    """What the others of a namespace have, or get before the agent `name`: the rest of the limits is for that one.

    An agent that is not among `claims` is new: all others are before it.
    """
    bounds = [bound for policy in policies if (bound := _bounds(policy.spec))]
    ordered = sorted(claims, key=lambda claim: (not claim.accepted, claim.created, claim.name))
    own = next((place for place, claim in enumerate(ordered) if claim.name == name), len(ordered))
    total = NOTHING
    for claim in ordered[:own]:
        total = total.plus(claim.asks if claim.accepted or _gets(claim, total, bounds) else claim.held)
    if own == len(ordered) or not ordered[own].accepted:
        for claim in ordered[own + 1 :]:
            total = total.plus(claim.held)  # they run as they are, whatever is decided
    return total


def _gets(claim: Claim, total: Asks, bounds: Sequence[Mapping[str, int]]) -> bool:
    if claim.refused:
        return False
    with_it = total.plus(claim.asks)
    return all(getattr(with_it, name) <= bound for one in bounds for name, bound in one.items())


def check_limits(spec: AgentDeploymentSpec, policies: Sequence[NamedPolicy], facts: Facts) -> Iterator[Violation]:
    """All policies must allow. Who asks for no more than he has may always do so: else nobody could shrink."""
    bounded = [(policy, bounds) for policy in policies if (bounds := _bounds(policy.spec))]
    single = [(policy, bounds) for policy in policies if (bounds := _bounds_of(policy.spec.limits.per_agent))]
    if not bounded and not single:
        return
    own, others = asks_of(spec.manifest()), facts.others
    yield from _check_single(own, single, facts)
    for policy, bounds in bounded:
        for limit in _LIMITS:
            bound, asked = bounds.get(limit.name), getattr(own, limit.name)
            if bound is None or asked <= getattr(facts.held, limit.name):
                continue
            there = getattr(others, limit.name) if others else 0
            if there + asked > bound:
                yield Violation(limit.path, limit.rule, _message(limit, policy, (bound, there, asked), others is None))


def _check_single(
    own: Asks, bounded: Sequence[tuple[NamedPolicy, Mapping[str, int]]], facts: Facts
) -> Iterator[Violation]:
    """What one agent may ask for by itself."""
    for policy, bounds in bounded:
        for limit in _LIMITS:
            bound, asked = bounds.get(limit.name), getattr(own, limit.name)
            if bound is not None and asked > max(bound, getattr(facts.held, limit.name)):
                message = (
                    f"asks for {limit.what}: {spelled(limit.name, asked)}; policy {quote(policy.name)} allows one "
                    f"agent {spelled(limit.name, bound)} (limits.perAgent.{limit.name}): {limit.fix}, or have the "
                    "limit raised"
                )
                yield Violation(limit.path, limit.rule, message)


def _message(limit: _Limit, policy: NamedPolicy, amounts: tuple[int, int, int], alone: bool) -> str:
    bound, there, asked = (spelled(limit.name, value) for value in amounts)
    rest = "whatever others ask for" if alone else f"of which other agents have {there}"
    return (
        f"asks for {limit.what}: {asked}; policy {quote(policy.name)} allows this namespace {bound} in sum "
        f"(limits.{limit.name}), {rest}: {limit.fix}, or have the limit raised"
    )


def spelled(name: str, value: int) -> str:
    """An amount of a limit, as people write it. `value`: a number, or in billionths of a CPU or a byte."""
    if name in _WHOLE:
        return str(value)
    if name == "cpu" or value % FINEST:
        return canonical(f"{value}n")
    return canonical(f"{value // (FINEST * KIB)}Ki") if not value % (FINEST * KIB) else str(value // FINEST)


def _bounds(spec: AgentPolicySpec) -> dict[str, int]:
    return _bounds_of(spec.limits)


def _bounds_of(limits: PolicyLimits | AgentLimits) -> dict[str, int]:
    """By the names of the limits that are set."""
    found = {}
    for limit in _LIMITS:
        value = getattr(limits, limit.name, None)  # the number of agents is none of a single agent's
        if value is not None:
            found[limit.name] = value if limit.name in _WHOLE else _units(value)
    return found


def bounds_of(spec: AgentPolicySpec) -> dict[str, int]:
    """By the paths of the limits that are set: `limits.cpu`, `limits.perAgent.cpu`. For `spelled`."""
    each = _bounds_of(spec.limits.per_agent)
    return {f"limits.{name}": value for name, value in _bounds(spec).items()} | {
        f"limits.perAgent.{name}": value for name, value in each.items()
    }


def described(spec: AgentPolicySpec) -> list[str]:
    """The limits that are set, in few words."""
    return [
        f"at most {spelled(limit.name, bound)} {limit.what} {whose}"
        for bounds, whose in ((_bounds(spec), "in sum"), (_bounds_of(spec.limits.per_agent), "of each agent"))
        for limit in _LIMITS
        if (bound := bounds.get(limit.name)) is not None
    ]
