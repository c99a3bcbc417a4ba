"""What needs no cluster: the command line as CI runs it, and a scrape."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import generate_latest

from cluster.shell import step
from harness.install import ROOT
from ringfence.api import AgentPolicySpec
from ringfence.api.names import AGENTS_ENABLED, AGENTS_LABEL, API_VERSION
from ringfence.policy.decide import decide
from ringfence.policy.model import AgentObject, Facts, NamedPolicy
from ringfence.telemetry.events import SecretAge
from ringfence.telemetry.metrics import AGENT_COLLECTOR, REGISTRY, VIOLATIONS

from .numbers import ratio, summary, timed
from .objects import typical_agent, worst_agent, worst_policy

__all__ = ["local"]

EXAMPLE = ROOT / "examples" / "20-minimal.yaml"
AGENTS, NAMESPACES, MANY = 1000, 50, 1000


def local(count: int) -> dict[str, Any]:
    """`ringfence lint` of one file and of many documents, beside an interpreter that does nothing; one scrape."""
    with step("ringfence lint"):
        floor, one = [], []
        for _ in range(count):
            floor.append(timed(lambda: _python("-c", "pass")))
            one.append(timed(lambda: _python("-m", "ringfence", "lint", str(EXAMPLE))))
        with tempfile.TemporaryDirectory() as folder:
            many = Path(folder) / "many.yaml"
            many.write_text("\n---\n".join([EXAMPLE.read_text()] * MANY))
            thousand = timed(lambda: _python("-m", "ringfence", "lint", str(many)))
            rich = Path(folder) / "rich.yaml"
            rich.write_text(yaml.safe_dump_all(_document(number) for number in range(MANY)))
            thousand_rich = timed(lambda: _python("-m", "ringfence", "lint", str(rich)))
    told, least = summary(one), summary(floor)
    return {
        "lint_one_file_seconds": told,
        "floor_bare_python_seconds": least,
        "times_floor": ratio(told["p50"], least["p50"]),
        "lint_1000_documents_seconds": round(thousand, 2),
        "lint_1000_rich_documents_seconds": round(thousand_rich, 2),
        "decide": {"typical": _decide(typical_agent(), 1000), "worst": _decide(worst_agent(), 20, worst_policy())},
        "scrape_1000_agents": _scrape(count),
    }


def _document(number: int) -> dict[str, Any]:
    metadata = {"name": f"agent-{number}", "namespace": "bench"}
    return {"apiVersion": API_VERSION, "kind": "AgentDeployment", "metadata": metadata, "spec": typical_agent()}


def _decide(spec: dict[str, Any], count: int, *policies: dict[str, Any]) -> dict[str, Any]:
    """Milliseconds of one decision, parsing and all; of the worst agent with all that it violates put into words."""
    agent = AgentObject("bench", "bench", spec)
    named = [NamedPolicy("bench", AgentPolicySpec.model_validate(policy)) for policy in policies]
    facts = Facts({AGENTS_LABEL: AGENTS_ENABLED})
    violations = len(decide(agent, named, facts))
    took = summary([timed(lambda: decide(agent, named, facts)) * 1000 for _ in range(count)])
    return {"violations": violations, "milliseconds": took}


def _scrape(count: int) -> dict[str, Any]:
    """As text, the way /metrics answers; of a controller that has seen violations in every namespace."""
    now = time.time()
    for number in range(AGENTS):
        agent = (f"team-{number % NAMESPACES}", f"agent-{number}")
        AGENT_COLLECTOR.observe(agent, [{"type": "Ready", "status": "True", "reason": "Ready"}], ready=1, wanted=1)
        AGENT_COLLECTOR.observe_secrets(agent, [SecretAge("a", now, now + 3600), SecretAge("b", now)])
        VIOLATIONS.labels("drift", "ChildEdited", agent[0])
    seconds = [timed(lambda: generate_latest(REGISTRY)) for _ in range(count)]
    series = sum(not line.startswith("#") for line in generate_latest(REGISTRY).decode().splitlines())
    return {"agents": AGENTS, "series": series, "seconds": summary(seconds)}


def _python(*words: str) -> None:
    subprocess.run([sys.executable, *words], check=True, capture_output=True, timeout=120)
