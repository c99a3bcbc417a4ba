"""The controllers in their pods: which one leads, and killing it as a node that loses its power would."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cluster.shell import wait_for
from harness import metrics
from harness.api import Api
from harness.install import NAMESPACE
from harness.kubectl import Kubectl, Object

__all__ = ["LEASE", "kill_leader", "lines", "wait_leader"]

LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/ringfence-controller"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


def leader(api: Api) -> Object:
    """The pod that holds the Lease. Raises Refused where there is none of that name."""
    return api.get(f"{PODS}/{api.get(LEASE)['spec']['holderIdentity']}")


def wait_leader(api: Api) -> None:
    """Until one leads, and every replica is ready."""

    def there() -> bool:
        pods = api.get(f"{PODS}?labelSelector=app.kubernetes.io/component%3Dcontroller")["items"]
        states = [state for one in pods for state in one["status"].get("containerStatuses") or [{"ready": False}]]
        return all(state["ready"] for state in states) and metrics.total(api, "ringfence_leader") == 1

    wait_for("a leader, and all replicas", there, timeout=120)


def kill_leader(api: Api) -> None:
    """kill -9 of its process."""
    uid = leader(api)["metadata"]["uid"]
    (process,) = _processes(uid)
    os.kill(process, signal.SIGKILL)


def _processes(uid: str) -> Iterator[int]:
    """Those of a pod that run a controller: the kubelet names a pod's cgroups by its uid."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            if (
                f"pod{uid}" in (folder / "cgroup").read_text()
                and b"\0controller\0" in (folder / "cmdline").read_bytes()
            ):
                yield int(folder.name)


def lines(kubectl: Kubectl, text: str) -> list[str]:
    """Those of the controllers' logs that hold a text."""
    selector = "app.kubernetes.io/component=controller"
    log = kubectl("logs", "-n", NAMESPACE, "-l", selector, "--tail=-1")
    return [line for line in log.splitlines() if text in line]
