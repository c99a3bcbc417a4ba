"""`ringfence suspend` and `resume` set one field, and say what is so."""

import json

import pytest

from ringfence.api.names import API_VERSION
from ringfence.kube import path_of
from unit.cli.fake import NAMESPACE, Cluster

PLACE = path_of(API_VERSION, "agentdeployments", NAMESPACE, "researcher")


def test_one_field_is_set_and_taken_back(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    kube.put_agent()
    shown = kube.run(monkeypatch, "suspend", "researcher")
    assert (shown.exit_code, shown.stdout) == (0, "research/researcher: suspended\n")
    assert kube.objects[PLACE]["spec"]["suspended"] is True
    again = kube.run(monkeypatch, "suspend", "researcher")
    assert (again.exit_code, again.stdout) == (0, "research/researcher: was suspended already\n")
    found = json.loads(kube.run(monkeypatch, "resume", "researcher", "-o", "json").stdout)
    assert found == {"namespace": NAMESPACE, "name": "researcher", "suspended": False, "changed": True}
    assert kube.objects[PLACE]["spec"]["suspended"] is False
    changes = [one for one in kube.writes if one.path == PLACE]
    assert [one.verb for one in changes] == ["merge", "merge"]
    assert all(set(one.body["spec"]) == {"suspended"} and one.body["metadata"]["resourceVersion"] for one in changes)


def test_who_is_not_there_and_what_is_refused(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = kube.run(monkeypatch, "suspend", "nobody")
    assert absent.exit_code == 1
    assert "ringfence status -A" in absent.stderr
    kube.put_agent()
    kube.answer(403, path=PLACE)
    refused = kube.run(monkeypatch, "resume", "researcher")
    assert refused.exit_code == 2
    assert "ask for this right" in refused.stderr


def test_replicas_0_is_said(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = kube.put_agent()
    kube.objects[PLACE]["spec"] = agent["spec"] | {"replicas": 0, "suspended": True}
    shown = kube.run(monkeypatch, "resume", "researcher")
    assert shown.exit_code == 0
    assert "spec.replicas is 0" in shown.stderr
