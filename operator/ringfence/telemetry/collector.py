"""All agents and their secrets at a glance: what can be said in a bounded number of series, and, if wanted, of each.

The values are made when somebody scrapes: an age that was stored would be wrong a minute later.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from ringfence.api.status import Progress, is_met

from .events import SecretAge, SecretState

Name = tuple[str, str]
"""Namespace and name of an agent."""
STATES: tuple[SecretState, ...] = ("fresh", "due", "expired")
SUMMARY = "Ready"
"""The condition that sums up the others: an agent waits for the first of the others that is not as it should be."""
STEPS = ("Accepted", "NetworkPolicyApplied", "RightsApplied", "WorkloadAvailable")
"""Served even while nobody waits for them."""
SUSPENDED = "Suspended"
"""Reason of a condition that is not True because somebody wants it so."""
RUNS = "WorkloadAvailable"
STOPS = ("Unfenced", "FenceContested", "SuspendedByPolicy")
"""Reasons of that one while Ringfence has taken an agent's pods away."""


@dataclass(slots=True)
class _Agent:
    ready: bool = False
    suspended: bool = False
    stopped: str | None = None
    waits_for: str | None = None
    since: float = 0.0
    rules: int = 0
    repairs: int = 0
    pods: tuple[int, int] = (0, 0)
    secrets: tuple[SecretAge, ...] = field(default=())


class AgentCollector(Collector):
    """Told by the controller's one thread, read by the thread of the scrape.

    `per_agent`: also serve series with the agents' names, as many as there are agents.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.per_agent = False
        self._clock = clock
        self._agents: dict[Name, _Agent] = {}

    def observe(self, agent: Name, conditions: Sequence[Mapping[str, Any]], *, ready: int = 0, wanted: int = 0) -> None:
        """Take an agent's conditions as they are stored in its status, and its pods."""
        known = self._agents.setdefault(agent, _Agent())
        by_type = {condition["type"]: condition for condition in conditions if condition["type"] not in set(Progress)}
        known.ready = by_type.get(SUMMARY, {}).get("status") == "True"
        unmet = [c for kind, c in by_type.items() if kind != SUMMARY and not is_met(kind, c["status"])]
        known.suspended = bool(unmet) and unmet[0]["reason"] == SUSPENDED
        reason = by_type.get(RUNS, {}).get("reason")
        known.stopped = reason if reason in STOPS else None
        waiting = unmet[0] if unmet and not known.suspended else None
        known.since = _unix(waiting["lastTransitionTime"]) if waiting else 0.0
        known.waits_for = waiting["type"] if waiting else None
        known.pods = (ready, wanted)

    def observe_rules(self, agent: Name, count: int) -> None:
        """How many rules an agent breaks as it is stored."""
        self._agents.setdefault(agent, _Agent()).rules = count

    def observe_secrets(self, agent: Name, secrets: Iterable[SecretAge]) -> None:
        """All secrets of an agent, anew at each pass."""
        self._agents.setdefault(agent, _Agent()).secrets = tuple(secrets)

    def repaired(self, agent: Name) -> None:
        """A child of an agent was put back."""
        self._agents.setdefault(agent, _Agent()).repairs += 1

    def forget(self, agent: Name) -> None:
        """The agent is gone."""
        self._agents.pop(agent, None)

    def describe(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """The families, without values."""
        yield from (*_totals([], 0.0), *_each([], 0.0))

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """The families as of now."""
        agents, now = list(self._agents.items()), self._clock()  # a copy: the other thread goes on
        yield from _totals(agents, now)
        if self.per_agent:
            yield from _each(agents, now)


def _unix(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


def _totals(agents: Sequence[tuple[Name, _Agent]], now: float) -> Iterator[GaugeMetricFamily]:
    longest = GaugeMetricFamily(
        "ringfence_agents_longest_wait_seconds",
        "The longest wait of any agent for a condition; 0: none waits. An agent counts "
        "for the first condition that is not True; one that is suspended waits for nothing. Labels: condition "
        "(Accepted, NetworkPolicyApplied, RightsApplied, WorkloadAvailable, others that the status has; not Ready).",
        labels=["condition"],
    )
    waits = dict.fromkeys(STEPS, 0.0)
    for _, agent in agents:
        if agent.waits_for:
            waits[agent.waits_for] = max(waits.get(agent.waits_for, 0.0), now - agent.since)
    for condition, seconds in waits.items():
        longest.add_metric([condition], seconds)
    yield longest
    suspended = sum(agent.suspended for _, agent in agents)
    yield GaugeMetricFamily(
        "ringfence_agents_suspended",
        "AgentDeployments that are suspended and wait for nothing else. No labels.",
        suspended,
    )
    yield _stopped(agents)
    yield from _secrets(agents, now)


def _stopped(agents: Sequence[tuple[Name, _Agent]]) -> GaugeMetricFamily:
    count = Counter(agent.stopped for _, agent in agents)
    found = GaugeMetricFamily(
        "ringfence_agents_stopped",
        "AgentDeployments whose pods Ringfence has taken away. Labels: reason (Unfenced: a part of the fence cannot be "
        "put right; FenceContested: a child is edited again and again; SuspendedByPolicy: it does not fit its policies "
        "any more, and one of them says `existing: Suspend`).",
        labels=["reason"],
    )
    for reason in STOPS:
        found.add_metric([reason], count[reason])
    return found


def _secrets(agents: Sequence[tuple[Name, _Agent]], now: float) -> Iterator[GaugeMetricFamily]:
    ages: dict[str, float] = {}
    states: dict[str, Counter[SecretState]] = {}
    for (namespace, _), agent in agents:
        for secret in agent.secrets:
            ages[namespace] = max(ages.get(namespace, 0.0), now - secret.since)
            states.setdefault(namespace, Counter())[secret.state(now)] += 1
    oldest = GaugeMetricFamily(
        "ringfence_secret_age_seconds",
        "Age of the oldest secret that agents of a namespace hold. Labels: namespace.",
        labels=["namespace"],
    )
    for namespace, age in ages.items():
        oldest.add_metric([namespace], age)
    yield oldest
    count = GaugeMetricFamily(
        "ringfence_secrets",
        "Secrets that agents hold. Labels: namespace, state (fresh; due: its rotation is late; expired: older than its "
        "policy allows).",
        labels=["namespace", "state"],
    )
    for namespace, found in states.items():
        for state in STATES:
            count.add_metric([namespace, state], found[state])
    yield count


def _each(agents: Sequence[tuple[Name, _Agent]], now: float) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
    who = ["namespace", "name"]
    only = "Only with per-agent metrics. Labels: namespace, name"
    ready = GaugeMetricFamily("ringfence_agent_ready", f"1 while the agent is Ready. {only}.", labels=who)
    suspended = GaugeMetricFamily(
        "ringfence_agent_suspended", f"1 while suspended and waiting for nothing else, or absent. {only}.", labels=who
    )
    rules = GaugeMetricFamily(
        "ringfence_agent_broken_rules", f"Rules that it breaks as stored; absent when none. {only}.", labels=who
    )
    repairs = CounterMetricFamily("ringfence_agent_repairs", f"Children of it that were put back. {only}.", labels=who)
    pods = GaugeMetricFamily(
        "ringfence_agent_pods", f"Its pods. {only}, state (wanted, ready).", labels=[*who, "state"]
    )
    wait = GaugeMetricFamily(
        "ringfence_agent_wait_seconds",
        f"How long it has waited for the first condition that is not True; absent when none. {only}, condition.",
        labels=[*who, "condition"],
    )
    age = GaugeMetricFamily(
        "ringfence_agent_secret_age_seconds",
        f"Age of a secret. {only}, secret (as in spec.secrets).",
        labels=[*who, "secret"],
    )
    for name, agent in agents:
        ready.add_metric(name, agent.ready)
        repairs.add_metric(name, agent.repairs)
        pods.add_metric([*name, "ready"], agent.pods[0])
        pods.add_metric([*name, "wanted"], agent.pods[1])
        if agent.suspended:
            suspended.add_metric(name, 1)
        if agent.rules:
            rules.add_metric(name, agent.rules)
        if agent.waits_for:
            wait.add_metric([*name, agent.waits_for], now - agent.since)
        for secret in agent.secrets:
            age.add_metric([*name, secret.name], now - secret.since)
    yield from (ready, suspended, rules, repairs, pods, wait, age)
