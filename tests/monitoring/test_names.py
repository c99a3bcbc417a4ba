"""What the processes serve, in promtool's eyes: names and help by Prometheus' conventions."""

import subprocess
from collections.abc import Iterator
from typing import Literal

import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from harness import prometheus
from ringfence.telemetry.events import SecretAge
from ringfence.telemetry.metrics import AGENT_COLLECTOR, AGENTS, ROTATIONS, VIOLATIONS, registry_of


def judged(registry: CollectorRegistry) -> tuple[int, str]:
    program = prometheus.programs() / "promtool"
    done = subprocess.run(
        [program, "check", "metrics"], input=generate_latest(registry), capture_output=True, check=False
    )
    return done.returncode, (done.stdout + done.stderr).decode()


@pytest.fixture
def everything() -> Iterator[None]:
    """Series of every kind."""
    agent = ("team", "one")
    conditions = [{"type": "Ready", "status": "False", "reason": "x", "lastTransitionTime": "2026-01-01T00:00:00Z"}]
    conditions.append(conditions[0] | {"type": "Accepted"})
    AGENT_COLLECTOR.per_agent = True
    AGENT_COLLECTOR.observe(agent, conditions, ready=1, wanted=1)
    AGENT_COLLECTOR.observe_rules(agent, 1)
    AGENT_COLLECTOR.observe_secrets(agent, [SecretAge("key", 0)])
    AGENT_COLLECTOR.repaired(agent)
    AGENTS.labels("Ready", "True")
    VIOLATIONS.labels("rotation", "SecretTooOld", "team")
    ROTATIONS.labels("team", "rotated")
    yield
    AGENT_COLLECTOR.forget(agent)
    AGENT_COLLECTOR.per_agent = False


@pytest.mark.parametrize("component", ["controller", "admission"])
def test_names_by_the_conventions(everything: None, component: Literal["controller", "admission"]) -> None:
    assert judged(registry_of(component)) == (0, "")


def test_the_judge_can_find_fault() -> None:
    registry = CollectorRegistry()
    Gauge("ringfence_things_total", "A gauge that is called like a counter.", registry=registry)
    code, told = judged(registry)
    assert code != 0
    assert "ringfence_things_total" in told
