"""What is installed for admission, beside what is stored."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import orjson
import pytest

from ringfence.controller.registration import Installed, Registration, RegistrationWatch, Unreadable, read
from ringfence.kube import ApiError, Unreachable, path_of
from ringfence.telemetry.events import RegistrationChanged, RegistrationObserved
from unit.fakes.kube import FakeKube

VERSION = "admissionregistration.k8s.io/v1"
WEBHOOK: dict[str, Any] = {
    "name": "admission.ringfence.dev",
    "clientConfig": {"service": {"name": "s", "namespace": "n", "path": "/validate"}},
    "rules": [{"operations": ["CREATE", "UPDATE"], "resources": ["agentdeployments"], "scope": "Namespaced"}],
    "namespaceSelector": {"matchExpressions": [{"key": "k", "operator": "NotIn", "values": ["kube-system"]}]},
    "failurePolicy": "Fail",
    "timeoutSeconds": 5,
}
BINDING = {"policyName": "floor", "validationActions": ["Deny"], "paramRef": {"name": "x"}}
INSTALLED = Installed(VERSION, "ValidatingWebhookConfiguration", "ringfence", [WEBHOOK])
BOUND = Installed(VERSION, "ValidatingAdmissionPolicyBinding", "binding", BINDING)
AS_INSTALLED = RegistrationObserved(in_force=True)


def stored() -> Any:
    """As the API server completes it, with a CA."""
    entry = deepcopy(WEBHOOK) | {"objectSelector": {}, "matchConditions": []}
    entry["clientConfig"]["caBundle"] = "eA=="
    return {"metadata": {"name": "ringfence"}, "webhooks": [entry]}


def test_what_the_api_server_fills_in_is_no_difference() -> None:
    assert list(INSTALLED.differences(stored())) == []
    assert list(BOUND.differences({"spec": BINDING | {"matchResources": {"namespaceSelector": {}}}})) == []


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda w: w.update(failurePolicy="Ignore"), "[0].failurePolicy: was changed"),
        (lambda w: w.pop("failurePolicy"), "[0].failurePolicy: was removed"),
        (lambda w: w.update(objectSelector={"matchLabels": {"a": "b"}}), "[0].objectSelector: was added"),
        (lambda w: w.update(matchConditions=[{"name": "n", "expression": "false"}]), "[0].matchConditions: was added"),
        (
            lambda w: w["namespaceSelector"]["matchExpressions"][0]["values"].append("team"),
            "[0].namespaceSelector.matchExpressions[0].values: has 2 entries in place of 1",
        ),
        (lambda w: w.update(namespaceSelector={}), "[0].namespaceSelector: was removed"),
        (lambda w: w["rules"][0].update(operations=["UPDATE"]), "[0].rules[0].operations: has 1 entries in place of 2"),
        (lambda w: w["rules"].clear(), "[0].rules: was removed"),
        (lambda w: w["clientConfig"].update(url="https://x"), "[0].clientConfig.url: was added"),
        (lambda w: w["clientConfig"]["service"].update(path="/x"), "[0].clientConfig.service.path: was changed"),
        (lambda w: w.update(timeoutSeconds=1), "[0].timeoutSeconds: was changed"),
        (lambda w: w.update(name="x.y.z"), "[0].name: was changed"),
        (lambda w: w.update(brandNew=False), "[0].brandNew: was added"),
    ],
)
def test_each_field_counts(edit: Any, says: str) -> None:
    body = stored()
    edit(body["webhooks"][0])
    assert says in [text.removeprefix("ValidatingWebhookConfiguration ringfence: webhooks") for text in _told(body)]


def _told(body: Any) -> list[str]:
    return list(INSTALLED.differences(body))


def test_another_number_of_webhooks_counts() -> None:
    body = stored()
    body["webhooks"] *= 2
    assert _told(body) == ["ValidatingWebhookConfiguration ringfence: webhooks: has 2 entries in place of 1"]
    for none in ({}, {"webhooks": None}):
        assert _told(none) == ["ValidatingWebhookConfiguration ringfence: webhooks: was removed"]
    assert _told({"webhooks": []}) == [
        "ValidatingWebhookConfiguration ringfence: webhooks: has 0 entries in place of 1"
    ]
    assert _told(None) == ["ValidatingWebhookConfiguration ringfence: is not there"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "registration.json"
    entries = [
        {"apiVersion": one.api_version, "kind": one.kind, "name": one.name, "content": one.content}
        for one in (INSTALLED, BOUND)
    ]
    found.write_bytes(orjson.dumps(entries))
    return found


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "7", "[7]", "[{}]", '[{"apiVersion":"v1","kind":"X","name":"x","content":1}]']
)
def test_a_file_that_says_nothing_is_unreadable(tmp_path: Path, content: str) -> None:
    (tmp_path / "file").write_text(content)
    with pytest.raises(Unreadable, match="file"):
        read(tmp_path / "file")
    with pytest.raises(Unreadable, match="absent"):
        read(tmp_path / "absent")


async def test_whether_who_asks_is_recorded(tmp_path: Path) -> None:
    """By what writes it, and by what sees that nobody else does."""
    spec = {"failurePolicy": "Ignore"}
    kinds = ["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"]
    kinds += ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]
    recorders = [Installed(VERSION, kind, "requester", spec) for kind in kinds]
    kube, changes = FakeKube(), list[bool | None]()
    kube.cluster.put(INSTALLED.path, stored())
    file = tmp_path / "registration.json"
    watch = RegistrationWatch(Registration(kube, file), lambda _: None, lambda: changes.append(watch.recording))

    async def look(*installed: Installed) -> bool | None:
        file.write_bytes(orjson.dumps([vars(one) | {"apiVersion": one.api_version} for one in installed]))
        await watch.look()
        return watch.recording

    assert not watch.looked
    assert await look(INSTALLED, BOUND) is None, "nothing is installed that does"
    assert (watch.looked, changes) == (True, [])
    assert await look(INSTALLED, BOUND, *recorders) is False
    for one in recorders:
        kube.cluster.put(one.path, {"metadata": {"name": one.name}, "spec": spec})
    assert await look(INSTALLED, BOUND, *recorders) is True, "whatever else is missing"
    assert await look(INSTALLED, BOUND, *recorders) is True
    assert changes == [False, True], "told when it changes"
    for one in recorders:
        kube.cluster.put(one.path, {"metadata": {"name": one.name}, "spec": {"failurePolicy": "x"}})
        assert await look(INSTALLED, BOUND, *recorders) is False, one.kind
        kube.cluster.put(one.path, {"metadata": {"name": one.name}, "spec": spec})
    assert await look(*recorders) is True
    kube.refuse(ApiError(403, "Forbidden", "no"), path=recorders[0].path.rpartition("/")[0], times=1)
    assert await look(*recorders) is False, "what cannot be read proves nothing"
    file.write_text("nonsense")
    await watch.look()
    assert watch.recording is False


async def test_news_are_told_once_and_the_state_at_each_look(file: Path) -> None:
    kube, events = FakeKube(), list[Any]()
    watch = RegistrationWatch(Registration(kube, file), events.append)

    async def look() -> list[Any]:
        events.clear()
        await watch.look()
        return events

    path = path_of(VERSION, "validatingwebhookconfigurations", name="ringfence")
    bound = path_of(VERSION, "validatingadmissionpolicybindings", name="binding")
    kube.cluster.put(path, stored())
    kube.cluster.put(bound, {"metadata": {"name": "binding"}, "spec": BINDING})
    assert await look() == [AS_INSTALLED]

    kube.cluster.put(bound, {"metadata": {"name": "binding"}, "spec": BINDING | {"validationActions": ["Audit"]}})
    blunted = RegistrationChanged(("ValidatingAdmissionPolicyBinding binding: spec.validationActions[0]: was changed",))
    assert await look() == [blunted, RegistrationObserved(in_force=False)]
    assert await look() == [RegistrationObserved(in_force=False)]

    kube.refuse(Unreachable("away"), path=path, times=1)
    assert await look() == [], "an API server that does not answer says nothing"
    kube.refuse(ApiError(403, "Forbidden", "no"), path=path, times=1)
    (changed, observed) = await look()
    assert ("cannot be read" in changed.differences[0], observed.in_force) == (True, False)

    kube.cluster.put(bound, {"metadata": {"name": "binding"}, "spec": BINDING})
    assert await look() == [RegistrationChanged(()), AS_INSTALLED]
    watch.registration = Registration(kube, file.with_name("absent"))
    (changed, observed) = await look()
    assert ("what is installed cannot be read" in changed.differences[0], observed.in_force) == (True, False)
