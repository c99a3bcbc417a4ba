"""`ringfence verify` asks, waits, and says what came of it; `--cluster` says what can be seen of a cluster."""

import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from ringfence.api.names import API_VERSION, VERIFY_ANNOTATION
from ringfence.cli import following
from ringfence.cli.checks import State
from ringfence.cli.fitness import Around, judge, mutators
from ringfence.kube import path_of
from ringfence.resources.verification import verification_name
from unit.cli.fake import NAMESPACE, Cluster

PLACE = path_of(API_VERSION, "agentdeployments", NAMESPACE, "researcher")
BAD = {"id": "canary: 10.96.0.9:7007", "wanted": "closed", "came": "Answered", "why": "it answers everybody"}
HELD: dict[str, Any] = {
    "outcome": "Held",
    "message": "2 attempts came out as they must",
    "held": ["a", "b"],
    "tried": 2,
}
FAILED: dict[str, Any] = {"outcome": "Failed", "message": "1 of 2 failed", "failed": [BAD], "held": ["b"], "tried": 2}
UNTRIED: dict[str, Any] = {"outcome": "NotTried", "message": "not tried: the agent has no pods"}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "POLL_SECONDS", 0.0)


def answering(kube: Cluster, monkeypatch: pytest.MonkeyPatch, result: dict[str, Any] | None, polls: int = 2) -> None:
    """A controller that answers the request after some looks; None: never."""
    kube.put_agent()
    looks: list[str] = []
    get = kube.get

    async def look(path: str, *args: Any, **more: Any) -> Any:
        annotations = kube.objects[PLACE]["metadata"].get("annotations") or {} if path == PLACE else {}
        if request := annotations.get(VERIFY_ANNOTATION):
            looks.append(request)
            if result is not None and len(looks) > polls:
                name = verification_name("researcher", request)
                kube.objects[PLACE]["status"]["verification"] = {"name": name, "generation": 2, **result}
        return await get(path, *args, **more)

    monkeypatch.setattr(kube, "get", look)


@pytest.mark.parametrize(
    ("result", "code", "words"),
    [
        (HELD, 0, "research/researcher: the fence holds: 2 attempts"),
        (FAILED, 1, "FAILED   canary: 10.96.0.9:7007: must be closed, since it answers everybody; came to Answered"),
        (UNTRIED, 2, "research/researcher: unknown: not tried: the agent has no pods"),
    ],
)
def test_each_result(
    kube: Cluster, monkeypatch: pytest.MonkeyPatch, result: dict[str, Any], code: int, words: str
) -> None:
    answering(kube, monkeypatch, result)
    shown = kube.run(monkeypatch, "verify", "researcher")
    assert (shown.exit_code, words in shown.stdout) == (code, True), shown.output
    (asked,) = [one for one in kube.writes if one.path == PLACE]
    assert set(asked.body["metadata"]["annotations"]) == {VERIFY_ANNOTATION}


def test_an_older_result_is_none(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(kube, monkeypatch, None)
    kube.objects[PLACE]["status"]["verification"] = {"name": "ringfence-researcher.verify-x0", **HELD}
    shown = kube.run(monkeypatch, "verify", "researcher", "--timeout", "1")
    assert shown.exit_code == 2
    assert "ringfence doctor" in shown.stderr


def test_who_is_not_there(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = kube.run(monkeypatch, "verify", "nobody")
    assert shown.exit_code == 2
    assert not kube.writes


@pytest.mark.parametrize("arguments", [(), ("researcher", "--cluster")])
def test_one_of_the_two(kube: Cluster, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    shown = kube.run(monkeypatch, "verify", *arguments)
    assert (shown.exit_code, "one of the two" in shown.stderr) == (2, True)


def test_as_json(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(kube, monkeypatch, FAILED)
    found = json.loads(kube.run(monkeypatch, "verify", "researcher", "-o", "json").stdout)
    assert (found["outcome"], found["failed"], found["namespace"]) == ("Failed", [BAD], NAMESPACE)


def test_as_junit(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(kube, monkeypatch, FAILED | {"silent": ["metadata: <169.254.169.254>:80"]})
    suite = ET.fromstring(kube.run(monkeypatch, "verify", "researcher", "-o", "junit").stdout)
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped"), suite.get("errors")) == (
        "3",
        "1",
        "1",
        "0",
    )
    (bad,) = [one for one in suite if one.find("failure") is not None]
    assert bad.get("name") == BAD["id"]


def test_a_trial_that_was_not_made_is_no_success(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(kube, monkeypatch, UNTRIED)
    suite = ET.fromstring(kube.run(monkeypatch, "verify", "researcher", "-o", "junit").stdout)
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")


SERVER = {"spec": {"containers": [{"command": ["kube-apiserver"]}]}}
ENCRYPTS = {"spec": {"containers": [{"command": ["kube-apiserver", "--encryption-provider-config=/etc/x"]}]}}


def tried(**found: Any) -> dict[str, Any]:
    return {"status": {"verification": found}}


@pytest.mark.parametrize(
    ("around", "check", "state"),
    [
        (Around(), "mutation", State.OK),
        (Around(mutators=["inject.example.com"]), "mutation", State.WARNING),
        (Around(agents=[{}]), "packets", State.UNKNOWN),
        (Around(agents=[tried(**UNTRIED)]), "packets", State.UNKNOWN),
        (Around(agents=[tried(**HELD), {}]), "packets", State.OK),
        (Around(agents=[tried(**HELD), tried(**FAILED)]), "packets", State.WRONG),
        (Around(agents=[tried(**FAILED | {"failed": [BAD | {"wanted": "open"}]})]), "packets", State.OK),
        (Around(), "metadata", State.UNKNOWN),
        (Around(agents=[tried(**HELD)]), "metadata", State.OK),
        (Around(agents=[tried(**FAILED | {"failed": [BAD | {"id": "metadata: x:80"}]})]), "metadata", State.WRONG),
        (Around(servers=[]), "encryption", State.UNKNOWN),
        (Around(servers=[SERVER, ENCRYPTS]), "encryption", State.WARNING),
        (Around(servers=[ENCRYPTS]), "encryption", State.OK),
        (Around(hidden={"encryption": "you cannot list pods"}), "encryption", State.UNKNOWN),
    ],
)
def test_what_is_to_be_said_of_a_cluster(around: Around, check: str, state: State) -> None:
    (found,) = [one for one in judge(around) if one.name == check]
    assert (found.state, bool(found.fix)) == (state, state is not State.OK)


@pytest.mark.parametrize(
    ("rule", "seen"),
    [
        ({"apiGroups": [""], "resources": ["pods"], "operations": ["CREATE"]}, True),
        ({"apiGroups": ["*"], "resources": ["*"], "operations": ["*"]}, True),
        ({"apiGroups": ["apps"], "resources": ["deployments"], "operations": ["CREATE"]}, False),
        ({"apiGroups": [""], "resources": ["pods"], "operations": ["DELETE"]}, False),
    ],
)
def test_which_webhooks_change_pods(rule: dict[str, Any], seen: bool) -> None:
    assert mutators([{"webhooks": [{"name": "one", "rules": [rule]}]}]) == (["one"] if seen else [])


def test_the_cluster_in_each_form(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    kube.put_agent(status={"verification": HELD})
    read = kube.get

    async def get(path: str) -> Any:
        return {"gitVersion": "v1.36.0"} if path == "/version" else await read(path)

    monkeypatch.setattr(kube, "get", get)
    text = kube.run(monkeypatch, "verify", "--cluster")
    assert text.exit_code == 1, "nothing is installed in it"
    assert "ok       packets: 1 fences were tried" in text.stdout
    assert "unknown  encryption:" in text.stdout
    found = json.loads(kube.run(monkeypatch, "verify", "--cluster", "-o", "json").stdout)["checks"]
    assert {"kubernetes", "network", "packets", "metadata", "encryption", "mutation"} <= {one["check"] for one in found}
    suite = ET.fromstring(kube.run(monkeypatch, "verify", "--cluster", "-o", "junit").stdout)
    assert len(suite) == len(found)
