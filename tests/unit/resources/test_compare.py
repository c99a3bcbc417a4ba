"""Whether what is stored is what we meant: every way in which it can differ."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from ringfence.resources import Manifest, build
from ringfence.resources import stored as records
from ringfence.resources.compare import acceptable, completed_only, matches, whole
from ringfence.resources.stored import DESIRED_ANNOTATION, Desired, content_digest
from unit.resources.agents import NAMES, UID, read

DENY, ALLOW, ACCOUNT, ROLE, BINDING, VOLUME, SERVICE, WORKLOAD = build(read("full"))
Edit = Callable[[Any], Any]


def stored(desired: Manifest) -> Manifest:
    """As the API server gives it back."""
    live = copy.deepcopy(desired)
    live["metadata"] |= {
        "uid": "u",
        "resourceVersion": "7",
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    live["status"] = {"replicas": 1}
    return live


def edited(desired: Manifest, live: Manifest, last_written: str | None = None) -> bool:
    return records.edited(Desired(desired), records.stored(live), last_written)


def immutable_differs(desired: Manifest, live: Manifest) -> bool:
    return records.immutable_differs(Desired(desired), records.stored(live))


def changed(desired: Manifest, edit: Edit) -> Manifest:
    live = stored(desired)
    edit(live)
    return live


@pytest.mark.parametrize("name", NAMES)
def test_what_was_written_matches(name: str) -> None:
    for desired in build(read(name)):
        live = stored(desired)
        assert matches(desired, live)
        assert not edited(desired, live)
        live["metadata"]["labels"]["team"] = "x"
        live["metadata"]["annotations"]["note"] = "y"
        live["metadata"].setdefault("finalizers", []).append("example.com/theirs")
        assert matches(desired, live), "what others add beside is theirs"


@pytest.mark.parametrize(
    ("manifest", "finalizers", "held_by"),
    [
        (ROLE, [], ()),
        (ROLE, ["foregroundDeletion", "orphan"], ()),
        (ROLE, ["foregroundDeletion", "a/b", "c/d"], ("a/b", "c/d")),
        (VOLUME, ["kubernetes.io/pvc-protection"], ()),
    ],
)
def test_who_keeps_what_is_being_deleted(manifest: Manifest, finalizers: list[str], held_by: tuple[str, ...]) -> None:
    live = changed(manifest, lambda live: live["metadata"].update(finalizers=finalizers))
    assert records.stored(live).held_by == (), "it is not being deleted"
    live["metadata"]["deletionTimestamp"] = "x"
    assert records.stored(live).held_by == held_by


@pytest.mark.parametrize("finalizers", [["a/b"], ["foregroundDeletion"]])
def test_nobody_can_add_a_finalizer_to_what_is_being_deleted(finalizers: list[str]) -> None:
    live = changed(DENY, lambda live: live["metadata"].update(deletionTimestamp="x", finalizers=finalizers))
    assert matches(DENY, live), "that ours is missing cannot be helped"
    assert whole(DENY, live)["metadata"]["finalizers"] == finalizers
    assert ("finalizers" in acceptable(DENY, records.stored(live))["metadata"]) is ("foregroundDeletion" in finalizers)


def _places(value: Any) -> list[Any]:
    """Every object within a spec."""
    if isinstance(value, dict):
        return [value, *(place for one in value.values() for place in _places(one))]
    return [place for one in value for place in _places(one)] if isinstance(value, list) else []


@pytest.mark.parametrize("desired", [DENY, ALLOW, SERVICE, WORKLOAD], ids=["deny", "allow", "service", "workload"])
def test_a_field_added_anywhere_is_seen(desired: Manifest) -> None:
    for number in range(len(_places(desired["spec"]))):
        additions: tuple[object, ...] = (True, 1, "x", {"a": "b"}, [{}], [{"name": "x"}])
        for value in additions:
            live = stored(desired)
            _places(live["spec"])[number]["added"] = value
            assert not matches(desired, live), (number, value)
            assert edited(desired, live)


@pytest.mark.parametrize("desired", [DENY, ALLOW, SERVICE, WORKLOAD], ids=["deny", "allow", "service", "workload"])
def test_a_field_taken_away_or_changed_anywhere_is_seen(desired: Manifest) -> None:
    for number, place in enumerate(_places(desired["spec"])):
        for key in place:
            replacements: tuple[object, ...] = (None, "other", [], True)
            for replacement in replacements:
                live = stored(desired)
                target = _places(live["spec"])[number]
                if key in {"template", "metadata", "annotations"} and replacement:
                    continue  # an API server stores no frame of another type
                if target[key] == replacement or (replacement == [] and target[key] in ({}, None)):
                    continue
                target[key] = replacement
                assert not matches(desired, live), (key, replacement)


@pytest.mark.parametrize(
    ("desired", "edit"),
    [
        (ACCOUNT, lambda live: live.update(automountServiceAccountToken=True)),
        (ACCOUNT, lambda live: live.pop("automountServiceAccountToken")),
        (ROLE, lambda live: live["rules"].append({"apiGroups": [""], "resources": ["x"], "verbs": ["get"]})),
        (ROLE, lambda live: live.update(rules=None)),
        (BINDING, lambda live: live["subjects"].append({"kind": "User", "name": "eve"})),
        (BINDING, lambda live: live.pop("subjects")),
        (BINDING, lambda live: live["roleRef"].update(name="other")),
        (VOLUME, lambda live: live["spec"]["resources"]["requests"].update(storage="2Gi")),
        (VOLUME, lambda live: live["spec"].update(accessModes=["ReadWriteMany"])),
        (SERVICE, lambda live: live["spec"].update(type="LoadBalancer")),
        (SERVICE, lambda live: live["spec"].update(externalIPs=["192.0.2.1"])),
        (SERVICE, lambda live: live["spec"].update(selector={"app": "other"})),
        (SERVICE, lambda live: live["spec"].update(publishNotReadyAddresses=True)),
        (SERVICE, lambda live: live["spec"]["ports"].append({"name": "x", "port": 1})),
        (DENY, lambda live: live["spec"].update(egress=[{}])),
        (DENY, lambda live: live["spec"].update(podSelector={})),
    ],
)
def test_an_edit_is_seen(desired: Manifest, edit: Edit) -> None:
    live = changed(desired, edit)
    assert not matches(desired, live)
    assert edited(desired, live)


def test_empty_and_absent_are_one() -> None:
    live = changed(WORKLOAD, lambda live: live["spec"]["template"]["spec"].update(tolerations=[], nodeSelector={}))
    assert matches(WORKLOAD, live)
    assert not matches(WORKLOAD, changed(WORKLOAD, lambda live: live["spec"].update(paused=False)))


@pytest.mark.parametrize("text", ["{}", "[]", "null", "a null, [] and {}"])
def test_a_text_is_not_empty_whatever_it_says(text: str) -> None:
    def digest(**spec: Any) -> str:
        return content_digest({"kind": "Deployment", "metadata": {}, "spec": spec})

    said = digest(args=[text])
    assert digest(args=[text], more={"none": None, "list": [], "map": {"deep": {}}}) == said
    assert digest(args=[]) != said
    assert digest(args=[text, None]) != said


def test_the_cluster_may_complete_a_volume() -> None:
    assert matches(VOLUME, changed(VOLUME, lambda live: live["spec"].update(volumeName="pv-1", storageClassName="std")))


def _owners(live: Manifest) -> list[Any]:
    owners: list[Any] = live["metadata"]["ownerReferences"]
    return owners


STRANGER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "z"}


@pytest.mark.parametrize(
    "edit",
    [
        lambda live: live["metadata"].pop("ownerReferences"),
        lambda live: live["metadata"].pop("labels"),
        lambda live: live["metadata"].pop("annotations"),
        lambda live: live["metadata"]["labels"].update({"ringfence.dev/agent": "b"}),
        lambda live: _owners(live).append(STRANGER),
        lambda live: _owners(live)[0].update(name="b"),
        lambda live: _owners(live)[0].update(uid="z"),
        lambda live: _owners(live)[0].update(controller=False),
        lambda live: _owners(live)[0].update(kind="ConfigMap"),
        lambda live: _owners(live)[0].pop("blockOwnerDeletion"),
        lambda live: _owners(live).append(_owners(live)[0] | {"uid": "z", "controller": False}),
    ],
)
@pytest.mark.parametrize("desired", [DENY, WORKLOAD], ids=["deny", "workload"])
def test_metadata_that_was_tampered_with_is_an_edit(desired: Manifest, edit: Edit) -> None:
    live = changed(desired, edit)
    assert not matches(desired, live)
    assert edited(desired, live)


def test_a_fence_made_anew_is_no_edit_of_the_workload() -> None:
    for edit in (lambda live: _owners(live)[1].update(uid="z"), lambda live: _owners(live).pop()):
        live = changed(WORKLOAD, edit)
        assert not matches(WORKLOAD, live)
        assert not edited(WORKLOAD, live)


def test_an_update_of_ours_is_no_edit() -> None:
    before = stored(build(read("minimal"))[-1])
    assert not matches(WORKLOAD, before)
    assert not edited(WORKLOAD, before | {"metadata": before["metadata"] | {"ownerReferences": _owners(WORKLOAD)}})


def test_an_edit_that_forges_the_mark_is_told_from_what_we_remember() -> None:
    live = changed(ROLE, lambda live: live.update(rules=[]))
    live["metadata"]["annotations"][DESIRED_ANNOTATION] = "forged"
    assert not edited(ROLE, live)
    assert edited(ROLE, live, ROLE["metadata"]["annotations"][DESIRED_ANNOTATION])


@pytest.mark.parametrize(
    ("edit", "harmless"),
    [
        (lambda pod: pod.update(newField="Default"), True),
        (lambda pod: pod.update(newField=30), True),
        (lambda pod: pod["securityContext"].update(newPolicy="Merge"), True),
        (lambda pod: pod.update(newField={"mode": "x", "n": 1}), True),
        (lambda pod: pod.update(hostNetwork=True), False),
        (lambda pod: pod.update(newField={"on": True}), False),
        (lambda pod: pod["containers"].append({"name": "sidecar", "image": "x"}), False),
        (lambda pod: pod.update(initContainers=[{"name": "sidecar"}]), False),
        (lambda pod: pod["volumes"].append({"name": "x", "hostPath": {"path": "/"}}), False),
        (lambda pod: pod["containers"][0].update(image="other"), False),
        (lambda pod: pod["containers"][0]["securityContext"].update(privileged=True), False),
        (lambda pod: pod["containers"][0]["securityContext"]["capabilities"].update(add=["NET_ADMIN"]), False),
        (lambda pod: pod.pop("securityContext"), False),
        (lambda pod: pod["containers"][0]["securityContext"].update(runAsUser=0), False),
        (lambda pod: pod["containers"][0]["securityContext"].update(procMount="Unmasked"), False),
        (lambda pod: pod["containers"][0]["securityContext"].update(seccompProfile={"type": "Unconfined"}), False),
        (lambda pod: pod["securityContext"].update(seLinuxOptions={"type": "spc_t"}), False),
        (lambda pod: pod["containers"][0]["livenessProbe"]["httpGet"].update(host="192.0.2.1"), False),
    ],
)
def test_only_what_looks_like_a_default_completes_a_workload(edit: Edit, harmless: bool) -> None:
    live = changed(WORKLOAD, lambda live: edit(live["spec"]["template"]["spec"]))
    assert completed_only(WORKLOAD, live) is harmless


def test_nothing_completes_a_policy() -> None:
    assert not completed_only(DENY, changed(DENY, lambda live: live["spec"].update(note="x")))


def test_what_no_update_can_change() -> None:
    assert immutable_differs(BINDING, changed(BINDING, lambda live: live["roleRef"].update(name="other")))
    assert immutable_differs(WORKLOAD, changed(WORKLOAD, lambda live: live["spec"].update(selector={})))
    assert not immutable_differs(WORKLOAD, changed(WORKLOAD, lambda live: live["spec"].update(replicas=9)))
    assert not immutable_differs(DENY, changed(DENY, lambda live: live.update(spec={})))


def test_whole_replaces_content_and_leaves_what_is_theirs() -> None:
    live = changed(VOLUME, lambda live: live["spec"].update(volumeName="pv-1"))
    live["metadata"] |= {"labels": {"team": "x"}, "finalizers": ["kubernetes.io/pvc-protection"]}
    _owners(live).append(STRANGER)
    body = whole(VOLUME, live)
    assert body["spec"]["volumeName"] == "pv-1", "what the cluster filled in cannot be taken away"
    assert body["metadata"]["labels"]["team"] == "x"
    assert body["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    assert body["metadata"]["ownerReferences"] == _owners(VOLUME)
    assert body["metadata"]["resourceVersion"] == "7"
    open_policy = changed(DENY, lambda live: live["spec"].update(egress=[{}]))
    assert whole(DENY, open_policy)["spec"] == DENY["spec"]


def test_an_owner_that_controls_not_and_one_that_does_not_say_so_are_the_same() -> None:
    """The API server stores `controller: false` where somebody writes it; absent means the same."""
    live = stored(WORKLOAD)
    _owners(live)[1]["controller"] = False
    assert matches(WORKLOAD, live)
    assert not edited(WORKLOAD, live)


def test_owners() -> None:
    ours = records.stored(stored(DENY))
    bare = records.stored(changed(DENY, lambda live: live["metadata"].pop("ownerReferences")))
    assert ours.controller_uid == UID
    assert bare.controller_uid is None
    assert not ours.belongs_to_earlier("a", UID, "team")
    assert ours.belongs_to_earlier("a", "new", "team")
    assert not ours.belongs_to_earlier("b", "new", "team")
    assert not bare.belongs_to_earlier("a", "new", "team")


def test_what_the_agent_is_not_told_to_wait_for_differs_in_nothing_else() -> None:
    bare = records.without_block(WORKLOAD)
    told = [(one["kind"], one.get("blockOwnerDeletion")) for one in WORKLOAD["metadata"]["ownerReferences"]]
    left = [(one["kind"], one.get("blockOwnerDeletion")) for one in bare["metadata"]["ownerReferences"]]
    assert told == [("AgentDeployment", True), *told[1:]]
    assert left == [("AgentDeployment", None), *told[1:]]
    again = copy.deepcopy(bare)
    again["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = True
    assert again == WORKLOAD
    desired = Desired(WORKLOAD)
    assert records.lacks_block(desired, records.stored(stored(bare)))
    assert not records.lacks_block(desired, records.stored(stored(WORKLOAD)))
    more = changed(bare, lambda live: live["spec"].update(replicas=7))
    assert not records.lacks_block(desired, records.stored(more))
