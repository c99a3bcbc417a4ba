"""Whom a change of AgentPolicies would hit: each agent decided by the policies as they are, and as they would be. Pure.

What is not of policies (addresses of nodes, what other agents have) is the same in both.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ringfence.policy.decide import binding, decide, suspending
from ringfence.policy.model import AgentObject, NamedPolicy, Violation
from ringfence.store.records import StoredAgent
from ringfence.store.store import Store


class Becomes(StrEnum):
    """What becomes of an agent."""

    RUNS = "Runs"
    """It fits. Whether it has pods is its own spec's business."""
    RUNS_ON = "RunsOn"
    """It does not fit, and runs on as it was accepted."""
    SUSPENDED = "Suspended"
    NOT_STARTED = "NotStarted"
    """It does not fit, and no spec of it was accepted so far."""


@dataclass(frozen=True)
class Impact:
    """One agent. `now`, `then`: what becomes of it; `violations`: what it would not fit in."""

    namespace: str
    name: str
    now: Becomes
    then: Becomes
    violations: tuple[Violation, ...]
    policies: tuple[str, ...]
    """Those that would bind it."""

    @property
    def hit(self) -> bool:
        """Whether it is worse off: it does not fit any more, or is suspended for what it did not fit in before."""
        return self.then is not self.now and self.then is not Becomes.RUNS and self.now is not Becomes.SUSPENDED

    def as_json(self) -> dict[str, Any]:
        """The documented JSON form."""
        return {
            "namespace": self.namespace,
            "name": self.name,
            "hit": self.hit,
            "now": str(self.now),
            "then": str(self.then),
            "policies": list(self.policies),
            "violations": [{"rule": str(v.rule), "path": v.path, "message": v.message} for v in self.violations],
        }


def replaced(stored: Sequence[NamedPolicy], files: Sequence[NamedPolicy]) -> list[NamedPolicy]:
    """The policies as they would be: those of `files` in the place of those that have their names."""
    changed = {policy.name: policy for policy in files}
    # One that cannot be read has a remark behind its name.
    kept = [policy for policy in stored if policy.name.partition(" ")[0] not in changed]
    return sorted([*kept, *changed.values()], key=lambda policy: policy.name)


def impacts(store: Store, before: Sequence[NamedPolicy], files: Sequence[NamedPolicy]) -> Iterator[Impact]:
    """Of each agent that one of the policies of `files` binds, as it is stored or as it would be, by name.

    `store`: of the cluster, its namespaces and agents. `before`: its policies.
    """
    then = replaced(before, files)
    names = {policy.name for policy in files}
    for key in sorted(store.agents.items):
        facts = store.context.facts(key.namespace)
        bound = [binding(policies, facts) for policies in (before, then)]
        if not names & {policy.name.partition(" ")[0] for policy in (*bound[0], *bound[1])}:
            continue
        agent = store.agents.items[key]
        old, new = (_violations(store, agent, policies) for policies in (before, then))
        yield Impact(
            namespace=key.namespace,
            name=key.name,
            now=_becomes(agent.status, old, bound[0]),
            then=_becomes(agent.status, new, bound[1]),
            violations=tuple(new),
            policies=tuple(policy.name for policy in bound[1]),
        )


def _violations(store: Store, agent: StoredAgent, policies: Sequence[NamedPolicy]) -> list[Violation]:
    spec, key = agent.spec, agent.key
    candidate = AgentObject(name=key.name, namespace=key.namespace, spec=spec, generation=agent.generation)
    return decide(candidate, policies, store.facts(key, policies))


def _becomes(status: Mapping[str, Any], violations: Sequence[Violation], bound: Sequence[NamedPolicy]) -> Becomes:
    if not violations:
        return Becomes.RUNS
    if status.get("acceptedGeneration") is None:
        return Becomes.NOT_STARTED
    return Becomes.SUSPENDED if suspending(bound) else Becomes.RUNS_ON
