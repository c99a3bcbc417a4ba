"""`ringfence verify`: a fence that holds is told so, and one that somebody opened is found, by packets."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from cluster.shell import wait_for
from harness import agents
from harness.api import Api
from harness.environment import Environment
from harness.kubectl import Object
from harness.manifests import NAMESPACE

Make = Callable[..., Object]


def opening(agent: str) -> Object:
    """A policy of somebody that lets one agent out to everywhere."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"opens-{agent}", "namespace": NAMESPACE},
        "spec": {
            "podSelector": {"matchLabels": {"ringfence.dev/agent": agent}},
            "policyTypes": ["Egress"],
            "egress": [{}],
        },
    }


def verify(environment: Environment, name: str, *arguments: str) -> tuple[int, Any]:
    """The exit code, and what it says as JSON."""
    command = [sys.executable, "-m", "ringfence", "verify", name, "-n", NAMESPACE, "--timeout", "300", "-o", "json"]
    done = subprocess.run(
        [*command, *arguments],
        env=os.environ | environment.kubectl.env,
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def ids(found: Any, field: str) -> set[str]:
    """Which kinds of place are among them."""
    return {(one if isinstance(one, str) else one["id"]).partition(":")[0] for one in found[field]}


def test_a_fence_that_holds(environment: Environment, api: Api, examples: None) -> None:
    code, found = verify(environment, "researcher")
    assert (code, found["outcome"], found["failed"]) == (0, "Held", []), found
    assert {"canary", "kubelet", "DNS", "service tools/search", "host api.anthropic.com"} <= ids(found, "held")
    told = agents.condition(agents.get(api, NAMESPACE, "researcher"), "FenceVerified")
    assert (told["status"], told["reason"]) == ("True", "FenceHolds")

    def gone() -> bool:
        environment.kubectl("wait", "--for=delete", f"job/{found['name']}", "-n", NAMESPACE, "--timeout=60s")
        return True

    wait_for("its Job to be taken away", gone, timeout=180)


def test_one_that_somebody_opened_is_found_by_packets(environment: Environment, api: Api, make: Make) -> None:
    name = make()["metadata"]["name"]
    agents.wait(api, NAMESPACE, name, timeout=180)
    policy = opening(name)
    environment.kubectl.apply(policy)
    try:
        code, found = verify(environment, name)
        assert (code, found["outcome"]) == (1, "Failed"), found
        assert {"canary", "metadata", "kubelet", "DNS", "API server"} <= ids(found, "failed")
        told = agents.condition(agents.get(api, NAMESPACE, name), "FenceVerified")
        assert (told["status"], told["reason"]) == ("False", "FenceOpen")
        assert "canary" in told["message"], "the first failing attempt is named"
    finally:
        environment.kubectl("delete", "networkpolicy", policy["metadata"]["name"], "-n", NAMESPACE)
    code, found = verify(environment, name)
    assert (code, found["outcome"], found["failed"]) == (0, "Held", []), found
