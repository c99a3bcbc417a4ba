"""The examples, running."""

from __future__ import annotations

from . import agents, manifests
from .api import Api
from .environment import Environment
from .manifests import FLEET, NAMESPACE, PLATFORM, TOOLS

__all__ = ["start", "start_kinds"]


def start(environment: Environment, api: Api) -> None:
    """Apply all of examples/ and the unfenced pods beside them, and wait until they run."""
    environment.kubectl.apply(manifests.accepted(environment.testbox))
    environment.kubectl.apply(manifests.unfenced(environment.testbox))
    for namespace, name in ((TOOLS, "search"), (TOOLS, "ledger"), (TOOLS, "console"), (NAMESPACE, "unfenced")):
        environment.kubectl("rollout", "status", f"deploy/{name}", "-n", namespace, "--timeout=180s", timeout=190)
    for agent in manifests.EXAMPLE_AGENTS:
        agents.wait(api, NAMESPACE, agent, timeout=180)
    agents.wait(api, NAMESPACE, "nightly", timeout=180)  # its pods come and go


def start_kinds(environment: Environment, api: Api) -> None:
    """Apply all of examples/agents/, and wait until they are Ready: until each has talked to all that it talks to."""
    kubectl = environment.kubectl
    kubectl.apply(manifests.kinds(environment.testbox))
    for name in ("postgres", "vectors", "git", "prometheus", "console", "gateway"):
        kubectl("rollout", "status", f"deploy/{name}", "-n", PLATFORM, "--timeout=180s", timeout=190)
    for agent in (*manifests.KINDS, "report"):
        agents.wait(api, FLEET, agent, timeout=300)
    agents.wait(api, "ops", "sre", timeout=180)  # in a namespace of its own, with permissions in another one
