"""The gate ends when the fence is seen to stand, and not before."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, repeat
from typing import IO

import pytest

from ringfence.packets.__main__ import main, places
from ringfence.packets.attempt import Attempt, Outcome, Target
from ringfence.packets.gate import AT_ONCE, FIRST_WORD, LONGEST_PAUSE, LONGEST_SILENCE, LOOKS, Places, wait

CANARY, DATAGRAMS = Target.parse("TCP:10.96.0.9:7"), Target.parse("UDP:10.96.0.9:7")
API, GATEWAY = Target.parse("TCP:10.96.0.1:443"), Target.parse("TCP:10.96.0.7:443")
ENVIRONMENT = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
DENIED = ["--denied", str(CANARY), f"--denied={DATAGRAMS}", "--api-server", "denied"]
S, R, A, F = Outcome.SILENT, Outcome.REFUSED, Outcome.ANSWERED, Outcome.FAILED
Look = dict[Target, Outcome]
FENCED: Look = {CANARY: S, DATAGRAMS: S, API: S, GATEWAY: A}


class Network:
    """Looks that find one thing after the other, and a clock that only sleeping moves."""

    def __init__(self, *looks: Look) -> None:
        self.looks = chain(looks, repeat(FENCED))
        self.now, self.taken = 0.0, 0
        self.lines: list[str] = []
        self.slept: list[float] = []
        self.detail = ""

    def look(self, targets: Sequence[Target], *, seconds: float) -> list[Attempt]:
        self.taken += 1
        found = FENCED | next(self.looks)
        assert all(targets.count(one) == AT_ONCE for one in targets if one in {CANARY, DATAGRAMS})
        return [Attempt(target, found[target], self.detail, seconds) for target in targets]

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def wait(self, *arguments: str) -> list[str]:
        """What was said."""
        found = places(arguments or DENIED, ENVIRONMENT)
        wait(found, say=self.lines.append, look=self.look, clock=lambda: self.now, sleep=self.sleep)
        return self.lines


@pytest.mark.parametrize("outcome", [S, R])
def test_what_is_denied_twice_in_a_row_ends_it(outcome: Outcome) -> None:
    network = Network(*[dict.fromkeys((CANARY, DATAGRAMS, API), outcome)] * 2)
    first, last = network.wait()
    assert first == (
        "the agent starts when the canary at TCP:10.96.0.9:7 and the canary at UDP:10.96.0.9:7 and the API server at "
        "TCP:10.96.0.1:443 cannot be reached"
    )
    assert last == "the fence stands (0.00 s)"
    assert (network.taken, network.slept) == (LOOKS, [])


@pytest.mark.parametrize("answering", [CANARY, DATAGRAMS, API])
def test_who_answers_is_waited_for_and_said(answering: Target) -> None:
    """Whichever of them: that one alone passes is no fence."""
    network = Network(*[{answering: A}] * 50)
    said = network.wait()
    assert network.taken == 50 + LOOKS
    assert f" at {answering} still answers, so this node does not enforce the agent's NetworkPolicies" in said[1]
    assert said[-1].startswith("the fence stands")


def test_one_look_that_sees_nothing_is_not_enough() -> None:
    network = Network({CANARY: A}, {}, {CANARY: A}, {}, {DATAGRAMS: A})
    network.wait()
    assert network.taken == 5 + LOOKS


def test_one_answer_among_many_attempts_counts() -> None:
    """The others were lost, or late."""
    target = [(CANARY, "the canary")]
    found = [Attempt(CANARY, S, "", 0)] * (AT_ONCE - 1)
    assert Places(target, ()).waits_for([*found, Attempt(CANARY, S, "", 0)]) == ""
    assert "still answers" in Places(target, ()).waits_for([*found, Attempt(CANARY, A, "", 0)])


@pytest.mark.parametrize("failing", [CANARY, DATAGRAMS, API])
def test_no_network_is_no_fence(failing: Target) -> None:
    network = Network(*[{failing: F}] * 3)
    network.detail = "ENETUNREACH"
    assert network.wait()[1].startswith("waiting: there is no network yet: ENETUNREACH for ")
    assert network.taken == 3 + LOOKS


@pytest.mark.parametrize("outcome", [S, R, F])
def test_what_must_answer_is_waited_for(outcome: Outcome) -> None:
    network = Network(*[{GATEWAY: outcome}] * 3)
    said = network.wait(*DENIED, "--reachable", str(GATEWAY))
    assert said[0].endswith("cannot be reached, and its egress gateway at TCP:10.96.0.7:443 can")
    assert said[1] == (
        f"waiting: its egress gateway at TCP:10.96.0.7:443 does not answer ({outcome.lower()}), which the agent is let "
        "out to"
    )
    assert network.taken == 3 + LOOKS


def test_with_permissions_the_api_server_must_answer() -> None:
    network = Network({API: S}, {API: A}, {API: A})
    said = network.wait("--denied", str(CANARY), "--api-server=reachable")
    assert said[1].startswith("waiting: the API server at TCP:10.96.0.1:443 does not answer (silent)")
    assert network.taken == 3


def test_it_says_each_change_and_then_ever_less() -> None:
    network = Network(*[{CANARY: A}] * 4000, *[{API: A}] * 3)
    said = network.wait()
    waits = [line for line in said if line.startswith("waiting: ")]
    assert [line.split(" at ")[0] for line in waits[-2:]] == ["waiting: the canary", "waiting: the API server"]
    expected, silence, now = 1, FIRST_WORD, FIRST_WORD
    while now < network.now:
        expected, silence = expected + 1, min(2 * silence, LONGEST_SILENCE)
        now += silence
    assert len(waits) - 1 in {expected - 1, expected}
    assert max(network.slept) == LONGEST_PAUSE
    assert network.slept[0] < 0.2


@pytest.mark.parametrize(
    ("arguments", "environment", "why"),
    [
        ([], ENVIRONMENT, "nothing is said that has to be denied"),
        (["--reachable", "TCP:10.0.0.1:1"], ENVIRONMENT, "nothing is said that has to be denied"),
        (["--denied"], ENVIRONMENT, "'--denied' is no option with a value"),
        (["denied=TCP:10.0.0.1:1"], ENVIRONMENT, "'denied' is no option with a value"),
        (["--denied", "10.0.0.1:1"], ENVIRONMENT, "'10.0.0.1:1' is not PROTOCOL:ADDRESS:PORT"),
        (["--refused", "TCP:10.0.0.1:1"], ENVIRONMENT, "--refused TCP:10.0.0.1:1 is not known"),
        (["--api-server", "no"], ENVIRONMENT, "--api-server no is not known"),
        (["--api-server", "denied"], {}, "KUBERNETES_SERVICE_HOST and _PORT are not set"),
    ],
)
def test_a_gate_that_is_called_wrongly_never_opens(arguments: list[str], environment: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match="^" + why):
        places(arguments, environment)


WRONG = ["", "wait", "gate", "gate --denied x", "listen", "listen --port x", "listen --port=70000", "listen --v=1"]


@pytest.mark.parametrize("arguments", WRONG)
def test_a_mistake_is_a_sentence(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    with restored(), pytest.raises(SystemExit) as ended:
        main(arguments.split())
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("ringfence ")


class restored:  # noqa: N801 - a context manager
    """The handler of SIGTERM is pytest's again."""

    def __enter__(self) -> None:
        self.before = signal.getsignal(signal.SIGTERM)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self.before)


@contextmanager
def started(*arguments: str) -> "Iterator[tuple[subprocess.Popen[str], IO[str]]]":
    """A process of ours, and what it writes."""
    environment = os.environ | {"PYTHONPATH": "operator"}
    command = [sys.executable, "-m", "ringfence.packets", *arguments]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout
        finally:
            process.kill()


def test_as_processes_the_gate_waits_for_as_long_as_the_canary_answers() -> None:
    with started("listen", "--port", "0") as (canary, heard):
        port = heard.readline().split("port ")[1].split(",")[0]
        with started("gate", f"--denied=TCP:127.0.0.1:{port}", f"--denied=UDP:127.0.0.1:{port}") as (gate, said):
            said.readline()
            assert said.readline().startswith(f"waiting: the canary at TCP:127.0.0.1:{port} still answers")
            assert gate.poll() is None
            canary.terminate()
            assert canary.wait(60) == 128 + signal.SIGTERM
            assert said.readlines()[-1].startswith("the fence stands")
            assert gate.wait(60) == 0


def test_a_port_that_is_taken_is_a_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6) as taken,
        started("listen", f"--port={taken.getsockname()[1]}") as (canary, _),
    ):
        assert canary.wait(60) == 1
    assert capfd.readouterr().err == "ringfence listen: Address already in use\n"
