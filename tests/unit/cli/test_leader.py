"""Whether a controller leads: judged by the Lease, said in `status` and `explain`, never guessed."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ringfence.cli import leader
from ringfence.cli.leader import judge
from ringfence.kube import path_of
from unit.cli.fake import Cluster

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
LEASES = "coordination.k8s.io/v1"
PATH = path_of(LEASES, "leases", "ringfence-system", "ringfence-controller")


def spec(seconds_ago: float, holder: Any = "pod-1", **fields: Any) -> dict[str, Any]:
    renewed = (NOW - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"holderIdentity": holder, "renewTime": renewed} | fields


def put(kube: Cluster, lease: dict[str, Any] | None, name: str = "ringfence-controller") -> None:
    kube.put(LEASES, "leases", {"metadata": {"name": name, "namespace": "ringfence-system"}, "spec": lease})


@pytest.fixture
def between(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What happens between the first look and the second."""
    happens: list[Callable[[], None]] = []

    async def sleep(_: float) -> None:
        for one in happens:
            one()

    monkeypatch.setattr(leader, "sleep", sleep)
    return happens


@pytest.mark.parametrize(
    ("first", "second", "leads"),
    [
        (spec(1), None, True),
        (spec(19), None, True),
        (spec(21), None, False),
        (spec(-19), None, True),
        (spec(-3600), None, False),
        (spec(1, ""), None, False),
        (spec(1, None), None, False),
        ({}, None, False),
        ({"holderIdentity": "pod-1", "renewTime": "soon"}, None, False),
        (spec(3600), spec(3600), False),
        (spec(3600), spec(3598), True),
        (spec(-3600), spec(-3602), True),
        (spec(3600), spec(3600, "pod-2"), True),
        (spec(3600), spec(3598, ""), False),
    ],
)
def test_what_a_lease_tells(first: dict[str, Any], second: dict[str, Any] | None, leads: bool) -> None:
    assert judge(first, second, NOW).leads is leads


@pytest.mark.parametrize("command", ["status", "explain"])
@pytest.mark.usefixtures("between")
def test_nobody_leads(kube: Cluster, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    kube.put_agent()
    put(kube, spec(600, "nobody\x1b[31m", leaseDurationSeconds=3600))
    result = kube.run(monkeypatch, command, "researcher")
    assert result.exit_code == 1
    assert "NOBODY LEADS, for 10m (the Lease is held by nobody [31m): fences stand" in result.output
    assert "\x1b" not in result.output
    found = json.loads(kube.run(monkeypatch, command, "researcher", "-o", "json").stdout)
    assert found["leader"]["leads"] is False
    assert found["leader"]["holder"].startswith("nobody")


@pytest.mark.usefixtures("between")
def test_since_when_is_not_known_where_the_lease_cannot_say_it(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    kube.put_agent()
    for lease in (spec(-3600), None, {"holderIdentity": "x", "renewTime": 7}):
        put(kube, lease)
        assert "NOBODY LEADS, and since when is not known" in kube.run(monkeypatch, "status").stderr


@pytest.mark.parametrize("command", ["status", "explain"])
def test_one_leads(kube: Cluster, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    kube.put_agent()
    put(kube, spec(2))
    result = kube.run(monkeypatch, command, "researcher")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "NOBODY" not in result.stdout
    assert ("pod-1 leads" in result.stdout) is (command == "explain")


def test_a_clock_that_is_wrong_here_is_no_alarm(
    kube: Cluster, monkeypatch: pytest.MonkeyPatch, between: list[Callable[[], None]]
) -> None:
    kube.put_agent()
    put(kube, spec(5000))
    between.append(lambda: put(kube, spec(4998)))
    assert kube.run(monkeypatch, "status").exit_code == 0


def test_who_may_not_read_it_gets_a_hint(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    kube.put_agent()
    kube.answer(403, path=PATH)
    assert kube.run(monkeypatch, "status").exit_code == 0
    shown = kube.run(monkeypatch, "explain", "researcher")
    assert shown.exit_code == 0
    assert "hidden: you may not read the Lease ringfence-system/ringfence-controller" in shown.stdout


def test_another_release_is_named(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    kube.put_agent()
    assert "there is no Lease ringfence-system/ringfence-controller" in kube.run(monkeypatch, "status").stderr
    put(kube, spec(2), "guard-controller")
    named = ("--lease", "ringfence-system/guard-controller")
    assert "pod-1 leads" in kube.run(monkeypatch, "explain", "researcher", *named).stdout
    assert kube.run(monkeypatch, "status", "--lease", "nonsense").exit_code == 2


def test_another_failure_is_a_failure(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    kube.put_agent()
    kube.answer(500, path=PATH)
    assert kube.run(monkeypatch, "status").exit_code == 2
