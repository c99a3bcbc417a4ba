"""What is told of agents and keys at the scrape."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from ringfence.telemetry.collector import AgentCollector
from ringfence.telemetry.events import SecretAge

NOW = 1_900_000_000.0
STAMP = "2030-03-17T17:30:00Z"
"""1,000 seconds before NOW."""
WAITED = 1000.0
ONE = ("team", "one")
TWO = ("team", "two")


def conditions(reason: str = "Progressing", **states: str) -> list[dict[str, Any]]:
    known = {"Accepted": "True", "NetworkPolicyApplied": "True", "RightsApplied": "True", "WorkloadAvailable": "True"}
    known |= states
    ready = "True" if set(known.values()) == {"True"} else "False"
    return [
        {"type": kind, "status": status, "reason": reason, "lastTransitionTime": STAMP}
        for kind, status in {"Ready": ready, **known}.items()
    ]


class Scrape:
    """A roster, and the values that a scrape of it has."""

    def __init__(self) -> None:
        self.roster = AgentCollector(clock=lambda: NOW)
        self._registry = CollectorRegistry()
        self._registry.register(self.roster)

    def __call__(self, metric: str, /, **labels: str) -> float | None:
        return self._registry.get_sample_value(metric, labels)

    def names(self) -> set[str]:
        return {sample.name for family in self._registry.collect() for sample in family.samples}


@pytest.fixture
def scrape() -> Scrape:
    return Scrape()


def longest(scrape: Scrape, condition: str) -> float | None:
    return scrape("ringfence_agents_longest_wait_seconds", condition=condition)


def test_nobody_waits(scrape: Scrape) -> None:
    scrape.roster.observe(ONE, conditions())
    assert longest(scrape, "Accepted") == 0
    assert longest(scrape, "WorkloadAvailable") == 0
    assert longest(scrape, "Ready") is None


def test_an_agent_waits_for_the_first_condition_that_is_not_true(scrape: Scrape) -> None:
    scrape.roster.observe(ONE, conditions(RightsApplied="False", WorkloadAvailable="False"))
    assert longest(scrape, "RightsApplied") == WAITED
    assert longest(scrape, "WorkloadAvailable") == 0


def test_the_longest_wait_counts(scrape: Scrape) -> None:
    late = conditions(WorkloadAvailable="False")
    for condition in late:
        condition["lastTransitionTime"] = "2030-03-17T17:44:20Z"
    scrape.roster.observe(TWO, late)
    scrape.roster.observe(ONE, conditions(WorkloadAvailable="Unknown"))
    assert longest(scrape, "WorkloadAvailable") == WAITED
    scrape.roster.forget(ONE)
    assert longest(scrape, "WorkloadAvailable") == 140


def test_a_condition_of_later_days_is_told_as_well(scrape: Scrape) -> None:
    scrape.roster.observe(ONE, conditions(SecretsFresh="False"))
    assert longest(scrape, "SecretsFresh") == WAITED


def test_who_is_suspended_waits_for_nothing(scrape: Scrape) -> None:
    scrape.roster.observe(ONE, conditions("Suspended", WorkloadAvailable="False"))
    assert longest(scrape, "WorkloadAvailable") == 0
    assert scrape("ringfence_agents_suspended") == 1


def test_who_was_stopped_by_the_reason(scrape: Scrape) -> None:
    scrape.roster.observe(ONE, conditions("SuspendedByPolicy", WorkloadAvailable="False"))
    scrape.roster.observe(TWO, conditions("Progressing", WorkloadAvailable="False"))
    counts = {
        reason: scrape("ringfence_agents_stopped", reason=reason)
        for reason in ("Unfenced", "FenceContested", "SuspendedByPolicy")
    }
    assert counts == {"Unfenced": 0, "FenceContested": 0, "SuspendedByPolicy": 1}
    scrape.roster.observe(ONE, conditions())
    assert scrape("ringfence_agents_stopped", reason="SuspendedByPolicy") == 0


def test_the_oldest_key_of_a_namespace(scrape: Scrape) -> None:
    scrape.roster.observe_secrets(ONE, [SecretAge("a", NOW - 10), SecretAge("b", NOW - 30)])
    scrape.roster.observe_secrets(TWO, [SecretAge("a", NOW - 20)])
    assert scrape("ringfence_secret_age_seconds", namespace="team") == 30
    scrape.roster.observe_secrets(ONE, [])
    assert scrape("ringfence_secret_age_seconds", namespace="team") == 20


def test_keys_by_state(scrape: Scrape) -> None:
    found = [
        SecretAge("for ever", NOW - 10),
        SecretAge("fresh", NOW - 10, due=NOW + 1, expires=NOW + 2),
        SecretAge("due", NOW - 10, due=NOW - 1, expires=NOW + 2),
        SecretAge("expired", NOW - 10, due=NOW - 2, expires=NOW - 1),
        SecretAge("somebody else's", NOW - 10, expires=NOW - 1),
    ]
    scrape.roster.observe_secrets(ONE, found)
    states = {s: scrape("ringfence_secrets", namespace="team", state=s) for s in ("fresh", "due", "expired")}
    assert states == {"fresh": 2, "due": 1, "expired": 2}


def test_no_names_without_the_flag(scrape: Scrape) -> None:
    scrape.roster.observe(ONE, conditions())
    scrape.roster.observe_rules(ONE, 2)
    scrape.roster.repaired(ONE)
    scrape.roster.observe_secrets(ONE, [SecretAge("a", NOW)])
    assert not [name for name in scrape.names() if name.startswith("ringfence_agent_")]


def test_each_agent_with_the_flag(scrape: Scrape) -> None:
    scrape.roster.per_agent = True
    scrape.roster.observe(ONE, conditions(WorkloadAvailable="False"), ready=1, wanted=3)
    scrape.roster.observe(TWO, conditions("Suspended", WorkloadAvailable="False"))
    scrape.roster.observe_rules(ONE, 2)
    scrape.roster.repaired(ONE)
    scrape.roster.repaired(ONE)
    scrape.roster.observe_secrets(ONE, [SecretAge("key", NOW - 5)])
    one = {"namespace": "team", "name": "one"}
    assert scrape("ringfence_agent_ready", **one) == 0
    assert scrape("ringfence_agent_pods", **one, state="ready") == 1
    assert scrape("ringfence_agent_pods", **one, state="wanted") == 3
    assert scrape("ringfence_agent_wait_seconds", **one, condition="WorkloadAvailable") == WAITED
    assert scrape("ringfence_agent_broken_rules", **one) == 2
    assert scrape("ringfence_agent_repairs_total", **one) == 2
    assert scrape("ringfence_agent_secret_age_seconds", **one, secret="key") == 5
    assert scrape("ringfence_agent_suspended", **one) is None
    assert scrape("ringfence_agent_suspended", namespace="team", name="two") == 1
    scrape.roster.forget(ONE)
    assert scrape("ringfence_agent_ready", **one) is None


def test_what_was_told_of_an_agent_stays_when_its_conditions_come_anew(scrape: Scrape) -> None:
    scrape.roster.per_agent = True
    scrape.roster.repaired(ONE)
    scrape.roster.observe(ONE, conditions())
    assert scrape("ringfence_agent_repairs_total", namespace="team", name="one") == 1
