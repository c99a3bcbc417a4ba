"""The gate: the first container of each of an agent's pods, which ends when the fence is seen to stand.

What it does is in ringfence.packets. It runs in the pod's own network, under its labels, and so under exactly the
policies that the agent is under; it mounts nothing, and knows nothing of the agent.
"""

from typing import Final

from ringfence.api.containers import GATE

from .gateway import host_rules, ports
from .kinds import Manifest
from .model import Agent

COMMAND: Final = ["python3", "-m", "ringfence.packets"]
"""Not `ringfence gate`: each start of a pod waits for it."""
LIMITS: Final = {"cpu": "500m", "memory": "64Mi", "ephemeral-storage": "16Mi"}
"""Quotas may ask for limits; none of these slows it down. A pod counts what its containers need at a time: of an agent
that has more, the gate adds nothing."""
REQUESTS: Final = {"cpu": "10m", "memory": "16Mi", "ephemeral-storage": "1Mi"}


def gates(agent: Agent) -> list[Manifest]:
    """The container; none where nothing is known that has to be denied: then no pod is made either."""
    if agent.gate is None:
        return []
    return [
        {
            "name": GATE,
            "image": agent.gate.image.name,
            "imagePullPolicy": agent.gate.image.pull_policy,
            "command": COMMAND,
            "args": _arguments(agent),
            "resources": {"limits": LIMITS, "requests": REQUESTS},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        }
    ]


def _arguments(agent: Agent) -> list[str]:
    gate = agent.gate
    if gate is None:
        return []
    canary = _place(gate.address, gate.port)
    found = ["gate", f"--denied=TCP:{canary}", f"--denied=UDP:{canary}"]
    if gate.api_server and not agent.spec.permissions.asks:
        found.append("--api-server=denied")
    if agent.gateway_address is not None and host_rules(agent):
        found.append(f"--reachable=TCP:{_place(agent.gateway_address, ports(agent)[0])}")
    return found


def _place(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
