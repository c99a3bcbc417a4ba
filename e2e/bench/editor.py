"""Somebody widens an agent's allow policy again and again: how long the fence is open, and what stops it."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cluster.errors import ClusterError
from cluster.shell import step, wait_for
from harness import agents
from harness.api import Api
from harness.environment import Environment
from harness.install import NAMESPACE as SYSTEM
from harness.kubectl import Kubectl, Object
from harness.probing import ELSEWHERE
from harness.record import moment, writes
from harness.stream import Attempts, Stream, process_of, streaming_beside

from .numbers import summary

__all__ = ["clean", "editor", "namespace", "outcome"]

CONTROLLER = f"system:serviceaccount:{SYSTEM}:ringfence-controller"
FORBIDDEN = f"tcp://{ELSEWHERE}:443"
WIDER: Object = {"spec": {"egress": [{}]}}
EVERY = 0.005
PER_SECOND = 20
CLOSED_BEFORE = 100
"""So many attempts are made before the first edit, and none may pass."""
QUIET_SECONDS = 1.0
"""For so long attempts are made after the last edit and after the pod's end, too."""
PATIENCE_SECONDS = 60
"""For the end of a pod. It gets half a minute for that."""
NAMESPACES = {"bench-stop": "Stop", "bench-keep": "Keep"}
"""What the policy says of an agent that is edited again and again."""
LOOPS = {
    "stop": ("bench-stop", ["agent"]),
    "stop_ignores_sigterm": ("bench-stop", ["cat", "/dev/ptmx"]),
    "keep": ("bench-keep", ["agent"]),
}
"""Where, and what the agent is. One that reads from a terminal to which nobody writes never gets to its answer to
SIGTERM, and runs on for as long as a pod may take for its end."""


def namespace(name: str, on_repeated_edits: str) -> list[Object]:
    """A namespace open to agents, and its policy."""
    labels = {"ringfence.dev/agents": "enabled", "pod-security.kubernetes.io/enforce": "restricted"}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": name}}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}},
        {
            "apiVersion": "ringfence.dev/v1alpha1",
            "kind": "AgentPolicy",
            "metadata": {"name": name},
            "spec": {"namespaceSelector": selector, "onRepeatedEdits": on_repeated_edits},
        },
    ]


def editor(place: Environment, api: Api, *, seconds: int, singles: int) -> dict[str, Any]:
    """Single edits, and an editor in a loop against each kind of policy and of agent."""
    for name, answer in NAMESPACES.items():
        place.kubectl.apply(*namespace(name, answer))
    found: dict[str, Any] = {"edits_per_second": PER_SECOND, "seconds": seconds}
    with step(f"{singles} edits of an allow policy, one by one"):
        one = _Edited.create(place, api, "bench-keep", "single", ["agent"])
        found["single"] = one.singly(singles)
    for name, (where, args) in LOOPS.items():
        with step(f"{PER_SECOND} edits a second for {seconds} s: {name}"):
            one = _Edited.create(place, api, where, name.replace("_", "-"), args)
            found[name] = one.in_a_loop(seconds, stops=NAMESPACES[where] == "Stop")
    return found


def clean(kubectl: Kubectl) -> None:
    """Remove what an earlier run left."""
    for name in NAMESPACES:
        if kubectl.find("namespace", name):
            kubectl("delete", "agd", "--all", "-n", name, "--timeout=300s", timeout=310)
            kubectl("delete", "namespace", name, "--timeout=300s", timeout=310)


def outcome(
    attempts: Attempts, edits: Sequence[float], *, stopped: float | None = None, ended: float | None = None
) -> dict[str, Any]:
    """Of an editor in a loop. `stopped`: the workload was without pods then. `ended`: the agent's process had ended.

    The stream does not end with the pod: its attempts after that end are none of the agent's, and are told apart.
    """
    first, last = edits[0], edits[-1] + 1 / PER_SECOND
    until = min(last, ended or last)
    while_it_ran = _share(attempts, first, until)
    found = {
        "edits": len(edits),
        "seconds_it_ran": round(until - first, 2),
        "while_it_ran": while_it_ran,
        "open_share_of_all_edits_time": round(while_it_ran["answered"] * EVERY / (last - first), 4),
        "longest_open_seconds": round(max(Attempts(attempts.between(first, until)).stretches(), default=0.0), 3),
    }
    if stopped and ended:
        found |= {
            "edits_until_stopped": sum(edit < stopped for edit in edits),
            "seconds_until_stopped": round(stopped - first, 3),
            "seconds_until_ended": round(ended - first, 2),
            "between_stop_and_end": _share(attempts, stopped, ended),
            "after_the_end": _share(attempts, ended),
        }
    return found


def _share(attempts: Attempts, since: float, until: float = float("inf")) -> dict[str, float]:
    made, passed = attempts.count(since, until), attempts.reached(since=since, until=until)
    return {"probes": made, "answered": passed, "share": round(passed / made, 4) if made else 0.0}


@dataclass
class _Edited:
    """A running agent that may reach nothing, and whoever edits its allow policy."""

    place: Environment
    api: Api
    namespace: str
    name: str

    @classmethod
    def create(cls, place: Environment, api: Api, where: str, name: str, args: list[str]) -> _Edited:
        body = {
            "apiVersion": "ringfence.dev/v1alpha1",
            "kind": "AgentDeployment",
            "metadata": {"name": name},
            "spec": {"image": place.testbox, "args": args},
        }
        api.create(agents.agent_path(where), body)
        agents.wait(api, where, name)
        return cls(place, api, where, name)

    @property
    def allow(self) -> str:
        policies = f"/apis/networking.k8s.io/v1/namespaces/{self.namespace}/networkpolicies"
        return f"{policies}/ringfence-{self.name}-allow"

    @property
    def pod(self) -> Object:
        return agents.pods(self.api, self.namespace, self.name)[0]

    def singly(self, count: int) -> dict[str, Any]:
        """Each edit after the one before is undone, and closed for a moment."""
        right = self.api.get(self.allow)["spec"]
        with streaming_beside(self.place.kubectl, self.pod, [FORBIDDEN], every=EVERY, at_most=count * 5) as stream:
            _closed(stream)
            for _ in range(count):
                self.api.patch(self.allow, WIDER)
                wait_for("the edit to be undone", lambda: self.api.get(self.allow)["spec"] == right, every=0.02)
                time.sleep(QUIET_SECONDS / 2)
        stretches = stream.attempts.stretches()
        return {"edits": count, "answered": stream.attempts.reached(), "open_seconds": summary(stretches or [0.0])}

    def in_a_loop(self, seconds: int, *, stops: bool) -> dict[str, Any]:
        """`PER_SECOND` edits a second, whatever becomes of them."""
        edits: list[float] = []
        at_most = seconds + PATIENCE_SECONDS
        process = _Process(process_of(self.pod))
        with streaming_beside(self.place.kubectl, self.pod, [FORBIDDEN], every=EVERY, at_most=at_most) as stream:
            _closed(stream)
            began = time.time()
            for number in range(PER_SECOND * seconds):
                process.wait(began + number / PER_SECOND - time.time())
                edits.append(time.time())
                self.api.patch(self.allow, WIDER)
            if stops:
                process.wait_end(PATIENCE_SECONDS)
            time.sleep(QUIET_SECONDS)
        if stops and process.ended is None:
            raise ClusterError(f"agent {self.name} was edited {len(edits)} times, and still runs")
        return outcome(stream.attempts, edits, stopped=self._stopped(began) if stops else None, ended=process.ended)

    def _stopped(self, since: float) -> float:
        """When the controller's first write of the Deployment was stored, by the API server's record."""

        def found() -> list[float]:
            record = self.place.cluster.audit() if self.place.cluster else []
            return [
                moment(entry).timestamp()
                for entry in writes(record, "deployments", self.namespace, f"ringfence-{self.name}")
                if entry["user"]["username"] == CONTROLLER and moment(entry).timestamp() > since
            ]

        return min(wait_for("the record of the stop", found, timeout=10))


class _Process:
    """Notes when a process ends, while somebody waits here."""

    def __init__(self, number: int) -> None:
        self._descriptor = os.pidfd_open(number)
        self.ended: float | None = None

    def wait(self, seconds: float) -> None:
        """For so long, whether it ends or not."""
        until = time.monotonic() + seconds
        self.wait_end(seconds)
        time.sleep(max(0.0, until - time.monotonic()))

    def wait_end(self, seconds: float) -> None:
        """Until it ends, for at most so long."""
        if self.ended is None and select.select([self._descriptor], [], [], max(0.0, seconds))[0]:
            self.ended = time.time()
            os.close(self._descriptor)


def _closed(stream: Stream) -> None:
    """The fence stands before anybody edits it."""
    wait_for("attempts before the first edit", lambda: stream.attempts.count() >= CLOSED_BEFORE)
    if passed := stream.attempts.reached():
        raise ClusterError(f"{passed} attempts passed before the first edit")
