"""Attempts beside an agent that is attacked, and what they may find."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from cluster.errors import ClusterError
from cluster.shell import say
from harness.kubectl import Kubectl
from harness.manifests import NAMESPACE
from harness.stream import Stream, streaming_beside
from suites.attacks.agent import Agent

MOMENT = 2.0
"""Seconds for which an edit may be in force until it is put back. It takes less than 0.1; the machine may be busy."""
SECONDS = 10.0
"""The same where the agent is stopped, since the edit cannot be put back within three seconds or comes again and again.
Then it is in force until the pod is gone, and attempts go on beside the agent until its network is."""
TAKEOVER = 30.0
"""Seconds for which nobody may lead after a hard kill, or while somebody forges the Lease: it is good for 15."""
PACE = 0.01
ENOUGH = 20
"""Attempts without which "nothing passed" says nothing."""


@contextmanager
def trying(kubectl: Kubectl, agent: Agent, targets: Sequence[str]) -> Iterator[Stream]:
    """Try all targets again and again from where a pod of the agent is, also when that has ended."""
    with streaming_beside(kubectl, agent.pod(), targets, every=PACE) as stream:
        yield stream


@contextmanager
def trying_all(kubectl: Kubectl, agent: Agent, targets: Sequence[str]) -> Iterator[list[Stream]]:
    """The same from every pod that the agent gets meanwhile."""
    streams, over, label = [], threading.Event(), f"ringfence.dev/agent={agent.name}"
    with ExitStack() as stack:
        known: set[str] = set()

        def follow() -> None:
            while not over.wait(0.1):
                for pod in kubectl.items("pods", "-n", NAMESPACE, "-l", label):
                    if pod["metadata"]["uid"] not in known:
                        with suppress(ClusterError):  # it has no process yet
                            streams.append(stack.enter_context(streaming_beside(kubectl, pod, targets, every=PACE)))
                            known.add(pod["metadata"]["uid"])

        streams.append(stack.enter_context(streaming_beside(kubectl, agent.pod(), targets, every=PACE)))
        known.add(agent.pod()["metadata"]["uid"])
        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        try:
            yield streams
        finally:
            over.set()
            follower.join(60)


def no_longer_than(seconds: float, stream: Stream, *targets: str) -> None:
    """No open stretch is longer. `targets`: all, where none is named."""
    attempts = stream.attempts
    longest = max((one for target in targets or [""] for one in attempts.stretches(target)), default=0.0)
    passed = sum(attempts.reached(one) for one in targets or [""])
    told = f"{passed} of {attempts.count()} attempts passed, and the longest open stretch was {longest * 1000:.0f} ms"
    say(f"  {told}")
    assert attempts.count() > ENOUGH, told
    assert longest <= seconds, told


def nothing(stream: Stream, *targets: str) -> None:
    """Not one attempt passed."""
    no_longer_than(0.0, stream, *targets)
    assert not sum(stream.attempts.reached(one) for one in targets or [""])
