"""Fences are attacked while the API server answers the controller with 409 and 429, now and then."""

from collections.abc import Iterator, Sequence

import pytest

from api.controller.busy import Busy, now_and_then
from api.controller.process import USER, Controller, Options
from harness.api import Api
from harness.environment import Environment
from harness.install import NAMESPACE as RELEASE
from harness.kubectl import Kubectl
from suites.attacks.agent import HOLD, NOBODY, OPEN, held
from suites.attacks.conftest import Make
from suites.attacks.controllers import wait_leader
from suites.attacks.packets import SECONDS, no_longer_than, trying, trying_all
from suites.attacks.people import People
from suites.attacks.together import Act, at_once, deletes, holds, opens, wait_stopped

DEPLOYMENT = "deploy/ringfence-controller"


@pytest.fixture(scope="module", autouse=True)
def busy(
    environment: Environment, kubectl: Kubectl, api: Api, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Busy]:
    """One controller, which sees the API server through a proxy, in place of those in pods."""
    assert environment.cluster
    kubeconfig = environment.cluster.user_kubeconfig(USER, ["system:masters"])
    log = tmp_path_factory.mktemp("busy") / "controller.log"
    over: list[bool] = []

    def answer(method: str, at: str, number: int) -> int | None:
        return None if over else now_and_then(method, at, number)

    kubectl("scale", DEPLOYMENT, "-n", RELEASE, "--replicas=0")
    try:
        with Busy(kubeconfig, answer) as way:
            # The gates of pods that run stay what they are: the same image, the same canary.
            (container,) = kubectl.get(DEPLOYMENT, "-n", RELEASE)["spec"]["template"]["spec"]["containers"]
            more = [one for one in container["args"] if one.startswith(("--job-image", "--canary-service"))]
            options = Options(RELEASE, "busy", way.kubeconfig, more=(*more, "--canary="))
            controller = Controller(environment.cluster, log, options)
            controller.wait_leading()
            yield way
            over.append(True)  # or it could not give its Lease back, and the next one had to wait for that
            assert controller.stop() == 0
            assert [line for line in controller.lines if "exception" in line or line["event"] == "pass failed"] == []
    finally:
        kubectl("scale", DEPLOYMENT, "-n", RELEASE, "--replicas=2")
        wait_leader(api)


def test_edits_are_put_back(make: Make, people: People, kubectl: Kubectl, closed: list[str], busy: Busy) -> None:
    agent = make()
    with trying(kubectl, agent, closed) as stream:
        people("ed").patch(agent.allow, OPEN)
        agent.wait_right()
        held(people("netp"), agent.deny, NOBODY)
        agent.wait_right()
    no_longer_than(SECONDS, stream)
    agent.wait_event("DriftRepaired", "-allow was edited")
    agent.wait_event("FinalizerRemoved", "-deny", HOLD)
    assert busy.answered(409)
    assert busy.answered(429)


@pytest.mark.parametrize("acts", [(opens, holds), (opens, deletes)], ids=["open-hold", "open-delete"])
def test_two_at_once(make: Make, people: People, kubectl: Kubectl, closed: list[str], acts: Sequence[Act]) -> None:
    agent = make()
    with trying_all(kubectl, agent, closed) as streams, at_once(agent, people, acts):
        wait_stopped(agent)
    for stream in streams:
        no_longer_than(SECONDS, stream)
