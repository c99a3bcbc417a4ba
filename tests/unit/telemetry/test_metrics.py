"""The set of metrics: who serves what, names, help, how many series, how much work."""

import asyncio
import re
import sys
import time
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from tools.metrics_reference import PARTS, families

from ringfence.policy.model import RuleName
from ringfence.telemetry import looplag, metrics
from ringfence.telemetry.collector import STEPS
from ringfence.telemetry.metrics import AGENT_COLLECTOR, OnceKnown, registry_of

AGENTS = 1000
BOUNDED = 1000
"""Series of a process without per-agent metrics, whatever the number of agents; half of it are buckets."""
PER_AGENT = 6


def add_agents(first: int, count: int) -> None:
    """In 20 namespaces, every tenth waiting for something."""
    stamp = "2026-01-01T00:00:00Z"
    for number in range(first, first + count):
        status = "False" if number % 10 == 0 else "True"
        conditions = [
            {"type": kind, "status": status, "reason": "x", "lastTransitionTime": stamp} for kind in ("Ready", *STEPS)
        ]
        AGENT_COLLECTOR.observe((f"team-{number % 20}", f"agent-{number}"), conditions, ready=1, wanted=1)


@pytest.fixture
def no_agents() -> Iterator[None]:
    yield
    for number in range(3 * AGENTS):
        AGENT_COLLECTOR.forget((f"team-{number % 20}", f"agent-{number}"))
    AGENT_COLLECTOR.per_agent = False


@pytest.fixture
def fleet(no_agents: None) -> None:
    add_agents(0, AGENTS)


def scrape(component: Literal["controller", "admission"] = "controller") -> int:
    """How many series are served."""
    return sum(not line.startswith(b"#") for line in generate_latest(registry_of(component)).splitlines())


def steps_of_a_scrape() -> int:
    """How many functions are called by one: its work, however busy the machine is."""
    count = 0

    def note(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        scrape()
    finally:
        sys.setprofile(before)
    return count


def test_series_do_not_grow_with_agents(fleet: None) -> None:
    assert scrape() < BOUNDED


@pytest.mark.parametrize("per_agent", [False, True])
def test_a_scrape_looks_at_each_agent_once(no_agents: None, per_agent: bool) -> None:
    """Three times the agents are three times the work: nothing looks at all of them for each of them."""
    AGENT_COLLECTOR.per_agent = per_agent
    nothing = steps_of_a_scrape()
    add_agents(0, AGENTS)
    some = steps_of_a_scrape() - nothing
    add_agents(AGENTS, 2 * AGENTS)
    assert some > 0
    assert steps_of_a_scrape() - nothing < 3.5 * some


@pytest.mark.parametrize("per_agent", [False, True])
def test_series_for_each_agent_are_few_and_only_where_asked_for(fleet: None, per_agent: bool) -> None:
    AGENT_COLLECTOR.per_agent = per_agent
    series = scrape()
    assert series < BOUNDED + per_agent * AGENTS * PER_AGENT
    assert series > per_agent * AGENTS


@pytest.mark.parametrize("component", ["controller", "admission"])
def test_who_serves_what(component: Literal["controller", "admission"]) -> None:
    text = generate_latest(registry_of(component)).decode()
    assert f'ringfence_build_info{{component="{component}",version=' in text
    assert ("ringfence_leader" in text) == (component == "controller")
    assert ("ringfence_admission_requests_total" in text) == (component == "admission")
    assert "process_resident_memory_bytes" in text


def test_everything_is_served_by_somebody() -> None:
    served = {collector for collectors in metrics.SERVED.values() for collector in collectors}
    declared = {value for value in vars(metrics).values() if isinstance(value, Counter | Gauge | Histogram)}
    assert declared <= served


def described() -> list[Metric]:
    return [family for collectors in PARTS.values() for family in families(*collectors)]


@pytest.mark.parametrize("family", described(), ids=lambda family: family.name)
def test_help_says_the_labels(family: Metric) -> None:
    assert re.search(r"(No labels|Labels: .+)\.$", family.documentation), family.documentation
    assert family.name.startswith("ringfence_")


@pytest.mark.parametrize("metric", [one for one in metrics.REGISTRY._collector_to_names if hasattr(one, "_labelnames")])
def test_help_names_every_label(metric: Any) -> None:
    """Of metrics without a series so far, too."""
    said = metric._documentation.partition("Labels: ")[2]
    missing = [name for name in metric._labelnames if not re.search(rf"(^|, ){name}\b", said)]
    assert not missing, metric._documentation


def test_labels_in_the_help_are_those_of_the_series(fleet: None) -> None:
    AGENT_COLLECTOR.per_agent = True
    components: tuple[Literal["controller", "admission"], ...] = ("controller", "admission")
    for component in components:
        for family in registry_of(component).collect():
            labels = {name for sample in family.samples for name in sample.labels} - {"le"}
            if family.name.startswith("ringfence_"):
                missing = [name for name in labels if not re.search(rf"[:,)] {name}\b", family.documentation)]
                assert not missing, (family.name, missing)


def test_what_is_known_begins_with_0() -> None:
    text = generate_latest(registry_of("admission")).decode()
    for rule in RuleName:
        assert f'ringfence_admission_refusals_total{{rule="{rule}"}}' in text
    assert 'ringfence_admission_failures_total{reason="internal"}' in text
    text = generate_latest(registry_of("controller")).decode()
    for name in ("reconcile_duration_seconds_count", "queue_depth", "queue_adds_total", "queue_retries_total"):
        for kind in ("AgentDeployment", "AgentPolicy"):
            assert f'ringfence_{name}{{kind="{kind}"}}' in text, "a rate needs the series before the first retry"


def test_a_gauge_that_is_not_known_is_not_there() -> None:
    registry = CollectorRegistry()
    gauge = OnceKnown("something", "Something.", registry=registry)
    assert registry.get_sample_value("something") is None
    gauge.set(0)
    assert registry.get_sample_value("something") == 0


async def test_event_loop_lag_is_seen() -> None:
    registry = CollectorRegistry()
    lag = Histogram("lag", "Lag.", buckets=(0.05, 0.1, 1), registry=registry)
    probe = asyncio.create_task(looplag.probe(lag, every=0.01))
    await asyncio.sleep(0.05)
    time.sleep(0.3)  # noqa: ASYNC251 - what a blocked loop is
    await asyncio.sleep(0.05)
    probe.cancel()
    passed, quick = (registry.get_sample_value("lag_bucket", {"le": limit}) for limit in ("+Inf", "0.1"))
    assert passed is not None
    assert quick is not None
    assert passed - quick >= 1
