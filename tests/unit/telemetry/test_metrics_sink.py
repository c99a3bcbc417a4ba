"""The events of the domain as numbers."""

from typing import Any
from uuid import uuid4

import pytest

from ringfence.api.status import ConditionType
from ringfence.telemetry import events, metrics, refusals
from ringfence.telemetry.events import AgentName
from ringfence.telemetry.metrics import AGENTS, REGISTRY
from ringfence.telemetry.sinks.metrics import MetricsSink

READY = str(ConditionType.READY)


@pytest.fixture
def sink() -> MetricsSink:
    return MetricsSink()


@pytest.fixture
def place() -> str:
    """A namespace of each test's own: the numbers are of the process."""
    return f"team-{uuid4().hex[:8]}"


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"ringfence_{name}", labels)


def observed(agent: AgentName, status: str) -> events.AgentObserved:
    condition = {"type": READY, "status": status, "reason": "x", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    return events.AgentObserved(agent=agent, conditions=[condition], ready=0, wanted=1)


def ready() -> tuple[float, float]:
    true, false = (AGENTS.labels(READY, status)._value.get() for status in ("True", "False"))
    return true, false


def test_every_agent_counts_once(sink: MetricsSink, place: str) -> None:
    before, one, two = ready(), AgentName(place, "one"), AgentName(place, "two")

    def counts() -> tuple[float, float]:
        true, false = ready()
        return true - before[0], false - before[1]

    sink(observed(one, "False"))
    sink(observed(two, "False"))
    assert counts() == (0, 2)
    sink(observed(one, "True"))
    sink(observed(one, "True"))
    assert counts() == (1, 1)
    sink(events.AgentForgotten(agent=two))
    sink(events.AgentForgotten(agent=two))
    assert counts() == (1, 0)
    sink(events.AgentForgotten(agent=one))
    assert counts() == (0, 0)
    assert sink._states == {}


def test_conditions_begin_with_0() -> None:
    MetricsSink()
    for kind in ConditionType:
        assert value("agents", condition=str(kind), status="False") is not None


def test_rotations_begin_with_0_when_a_secret_is_first_seen(sink: MetricsSink, place: str) -> None:
    def counts() -> list[float | None]:
        return [value("secret_rotations_total", namespace=place, result=one) for one in ("rotated", "failed")]

    agent = AgentName(place, "a")
    assert counts() == [None, None]
    sink(events.RotationFollowed(agent=agent, secret="signing"))
    assert counts() == [0, 0]
    sink(events.SecretRotated(agent=agent, secret="signing", rotated_at="x"))
    assert counts() == [1, 0]
    sink(events.RotationFailed(agent=agent, secret="signing", job="x"))
    assert counts() == [1, 1]


def _violation(agent: AgentName) -> Any:
    about: dict[str, Any] = {"generation": 1, "path": "spec", "manager": None, "changed_at": None}
    return events.ViolationFound(agent=agent, rule="ImageNoDigest", **about)


def _repair(agent: AgentName) -> Any:
    return events.ChildRepaired(agent=agent, kind="Role", name="r", rule="ChildEdited")


@pytest.mark.parametrize(
    ("make", "source", "rule"),
    [
        (_violation, "policy", "ImageNoDigest"),
        (
            lambda agent: events.ChildRepaired(agent=agent, kind="Role", name="r", rule="ChildEdited"),
            "drift",
            "ChildEdited",
        ),
        (
            lambda agent: events.FinalizersRemoved(
                agent=agent, kind="Role", name="r", rule="ChildHeld", finalizers=("x/y",)
            ),
            "drift",
            "ChildHeld",
        ),
        (
            lambda agent: events.PodEnded(agent=agent, name="p"),
            "drift",
            "PodLeftBehind",
        ),
        (
            lambda agent: events.FenceWidenedBy(agent=agent, rule="ForeignBinding", name="RoleBinding x"),
            "widening",
            "ForeignBinding",
        ),
        (lambda agent: events.SecretTooOld(agent=agent, secret="s", rotated_at="x"), "rotation", "SecretTooOld"),
    ],
)
def test_violations_by_their_sources(sink: MetricsSink, place: str, make: Any, source: str, rule: str) -> None:
    sink(make(AgentName(place, "a")))
    assert value("violations_total", source=source, rule=rule, namespace=place) == 1


def test_passes_and_queues_by_kind(sink: MetricsSink, place: str) -> None:
    kind = place
    sink(events.PassEnded(kind, "retry", 0.5))
    assert value("reconcile_total", kind=kind, result="retry") == 1
    assert value("reconcile_duration_seconds_sum", kind=kind) == 0.5
    sink(events.QueueChanged(kind, 3, added=True))
    sink(events.QueueChanged(kind, 2, waited=0.25))
    sink(events.QueueChanged(kind, 2, retried=True))
    assert metrics.QUEUE_DEPTH.labels(kind)._value.get() == 2
    assert metrics.QUEUE_ADDS.labels(kind)._value.get() == 1
    assert metrics.QUEUE_RETRIES.labels(kind)._value.get() == 1
    assert metrics.QUEUE_SECONDS.labels(kind)._sum.get() == 0.25


def test_what_differed_is_counted_by_kind(sink: MetricsSink, place: str) -> None:
    sink(events.StoreCompared({place: 2}))
    sink(events.StoreCompared({place: 1}))
    assert metrics.STORE_DIFFERENCES.labels(place)._value.get() == 3


def test_the_first_read_is_told_once_it_is_done(sink: MetricsSink) -> None:
    sink(events.ClusterRead(1.5))
    assert REGISTRY.get_sample_value("ringfence_first_read_seconds") == 1.5


def test_services_that_lead_elsewhere_are_counted_from_0_on(sink: MetricsSink, place: str) -> None:
    agent = AgentName(place, "a")
    assert REGISTRY.get_sample_value("ringfence_service_redirects_total", {"namespace": place}) is None
    sink(events.AgentObserved(agent=agent))
    assert REGISTRY.get_sample_value("ringfence_service_redirects_total", {"namespace": place}) == 0
    sink(events.ServiceRedirected(agent=agent, service="x/y:80", previous="a=b:80", leads_to="a=c:80"))
    assert REGISTRY.get_sample_value("ringfence_service_redirects_total", {"namespace": place}) == 1


def test_refusals_of_a_gateway_are_violations(sink: MetricsSink, place: str) -> None:
    labels = {"source": "egress", "rule": "HostNotDeclared", "namespace": place}
    sink(refusals.EgressRefused(agent=AgentName(place, "a"), rule="HostNotDeclared", count=3))
    sink(refusals.EgressRefused(agent=AgentName(place, "b"), rule="HostNotDeclared", count=1))
    assert REGISTRY.get_sample_value("ringfence_violations_total", labels) == 4


def test_gateways_that_refused_their_configuration_are_counted(sink: MetricsSink, place: str) -> None:
    sink(refusals.GatewayUpdateRefused(agent=AgentName(place, "a")))
    assert REGISTRY.get_sample_value("ringfence_gateway_updates_refused_total", {"namespace": place}) == 1


def test_messages_of_gateways_are_counted(sink: MetricsSink) -> None:
    before = REGISTRY.get_sample_value("ringfence_egress_reports_total", {"result": "unknown"})
    sink(refusals.EgressReported("unknown"))
    assert REGISTRY.get_sample_value("ringfence_egress_reports_total", {"result": "unknown"}) == (before or 0) + 1


def test_the_registration_as_of_the_last_look(sink: MetricsSink) -> None:
    for in_force in (True, False):
        sink(events.RegistrationObserved(in_force=in_force))
        assert REGISTRY.get_sample_value("ringfence_admission_webhook_in_force") == in_force


def test_addresses_of_the_api_server_as_of_the_last_look(sink: MetricsSink) -> None:
    for believed, doubted in ((1, 2), (3, 0)):
        sink(events.ApiServerObserved(believed, doubted))
        found = [metrics.API_SERVER_ADDRESSES.labels(state)._value.get() for state in ("believed", "doubted")]
        assert found == [believed, doubted]


def test_other_events_are_nothing_to_it(sink: MetricsSink) -> None:
    sink(object())
