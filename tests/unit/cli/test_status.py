"""`ringfence status`: one line an agent, and an exit code that a script can use."""

import json
from typing import Any

import pytest

from ringfence.cli.status import BEHIND, UNSEEN
from ringfence.kube import path_of
from unit.cli.fake import NAMESPACE, Cluster, condition

AGENTS = path_of("ringfence.dev/v1alpha1", "agentdeployments", NAMESPACE)


def not_ready(message: str = "nothing is there") -> list[dict[str, Any]]:
    return [condition("Ready", "False", "SecretNotFound", message)]


def test_all_ready_is_0_and_the_table_says_so(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    kube.put_agent(status={"oldestSecret": "2026-04-30T09:00:00Z"})
    result = kube.run(monkeypatch, "status")
    assert result.exit_code == 0
    head, line = result.stdout.splitlines()
    assert head.split() == ["NAME", "READY", "SINCE", "PODS", "LEVEL", "OLDEST", "KEY", "AGE", "WAITS", "FOR"]
    assert line.split() == ["researcher", "True", "60m", "1/1", "ReadOnly", "27h", "3d", "-"]
    assert kube.closed


def test_some_not_ready_is_1_and_it_is_said_what_they_wait_for(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    kube.put_agent()
    kube.put_agent("librarian", conditions=not_ready("first\nsecond"))
    result = kube.run(monkeypatch, "status")
    assert result.exit_code == 1
    assert "SecretNotFound: first..." in result.stdout
    assert "second" not in result.stdout
    assert kube.run(monkeypatch, "status", "researcher").exit_code == 0


def test_agents_of_all_namespaces_have_theirs_named(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    kube.put_agent()
    kube.put_agent("other", namespace="sales")
    result = kube.run(monkeypatch, "status", "-A")
    assert [line.split()[:2] for line in result.stdout.splitlines()[1:]] == [
        ["research", "researcher"],
        ["sales", "other"],
    ]
    assert kube.run(monkeypatch, "status", "-A", "x").exit_code == 2


def test_all_namespaces_may_be_one(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    kube.put_agent()
    head, line = kube.run(monkeypatch, "status", "-A").stdout.splitlines()
    assert (head.split()[:2], line.split()[:2]) == (["NAMESPACE", "NAME"], ["research", "researcher"])


@pytest.mark.parametrize(
    ("changes", "said"), [({"conditions": []}, UNSEEN), ({"generation": 3}, BEHIND), ({"status": {}}, None)]
)
def test_what_nobody_has_looked_at_is_not_ready(
    kube: Cluster, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: str | None
) -> None:
    kube.put_agent(**changes)
    result = kube.run(monkeypatch, "status")
    assert result.exit_code == (1 if said else 0)
    assert (said or "True") in result.stdout


def test_json_is_one_object_an_agent(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    kube.put_agent(conditions=not_ready())
    result = kube.run(monkeypatch, "status", "-o", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "agents": [
            {
                "namespace": NAMESPACE,
                "name": "researcher",
                "ready": False,
                "reason": "SecretNotFound",
                "message": "nothing is there",
                "pods": "1/1",
                "level": "ReadOnly",
                "oldestKey": None,
                "created": "2026-04-28T12:00:00Z",
                "since": "2026-05-01T11:00:00Z",
            }
        ],
        "leader": {"leads": None, "holder": None, "renewed": None},
    }


def test_no_agents_are_no_failure(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    result = kube.run(monkeypatch, "status")
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"no agents found in namespace {NAMESPACE}" in result.stderr


def test_one_that_is_not_there_is_1(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    result = kube.run(monkeypatch, "status", "nobody")
    assert result.exit_code == 1
    assert "no agent nobody in namespace research" in result.stderr


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (0, "does not answer"),
        (401, "does not know you"),
        (403, "ask for this right"),
        (404, "is Ringfence installed?"),
        (500, "refuses"),
    ],
)
def test_a_cluster_that_cannot_be_asked_is_2(
    kube: Cluster, monkeypatch: pytest.MonkeyPatch, status: int, said: str
) -> None:
    kube.answer(status, path=AGENTS)
    result = kube.run(monkeypatch, "status")
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert kube.closed


def test_text_of_the_cluster_does_not_drive_the_terminal(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    kube.put_agent(conditions=not_ready("red \x1b[31m and \x07"))
    result = kube.run(monkeypatch, "status")
    assert "\x1b" not in result.stdout
    assert "\x07" not in result.stdout


def test_colour_only_where_it_is_wanted(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    kube.put_agent(conditions=not_ready())
    assert "\x1b[31m" in kube.run(monkeypatch, "status", color=True).stdout
    assert "\x1b" not in kube.run(monkeypatch, "status").stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in kube.run(monkeypatch, "status", color=True).stdout
