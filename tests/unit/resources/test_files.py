"""Configuration in the workload: what an edit of it is, and what a change of the spec is."""

from typing import Any

from ringfence.api.names import FILE_ANNOTATION, RESTART_ANNOTATION
from ringfence.resources import Agent, build
from ringfence.resources.compare import completed_only, fits, stamp
from ringfence.resources.stored import Desired, edited, stored
from ringfence.resources.workload import DEFAULT_CONTAINER
from unit.resources.agents import make, read

IMAGE = "registry.example/agent@sha256:" + "0" * 64


def agent(content: str) -> Agent:
    return make({"spec": {"image": IMAGE, "files": [{"path": "/etc/agent/a", "content": content}]}})


def workload(of: Agent) -> dict[str, Any]:
    found = stamp(build(of)[-1])
    found["metadata"]["uid"] = "u"
    return found


def test_all_of_a_pod_finds_its_place() -> None:
    pod = workload(read("configured"))["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    mounts = [one for one in container["volumeMounts"] if one["name"] == "files"]
    (volume,) = [one["projected"] for one in pod["spec"]["volumes"] if one["name"] == "files"]
    items = [item for source in volume["sources"] for kind in source.values() for item in kind["items"]]
    assert [one["subPath"] for one in mounts] == [one["path"] for one in items] == ["0", "1", "2"]
    assert all(one["readOnly"] for one in mounts)
    named = [one["fieldRef"]["fieldPath"] for one in items if "fieldRef" in one]
    texts = [key for key in pod["metadata"]["annotations"] if key != DEFAULT_CONTAINER]
    assert named == [f"metadata.annotations['{key}']" for key in texts]
    assert volume["defaultMode"] == 0o444


def test_another_content_is_a_change_of_the_spec_and_no_edit() -> None:
    before, after = workload(agent("a: 1")), workload(agent("a: 2"))
    assert not fits(Desired(after), stored(before))
    assert not edited(Desired(after), stored(before))


def test_an_edit_of_the_content_is_one() -> None:
    live = workload(agent("a: 1"))
    live["spec"]["template"]["metadata"]["annotations"][f"{FILE_ANNOTATION}0"] = "a: 2"
    desired = Desired(workload(agent("a: 1")))
    assert not fits(desired, stored(live))
    assert edited(desired, stored(live))
    assert not completed_only(desired.manifest, live)


def test_what_is_kept_of_a_workload_does_not_hold_the_content() -> None:
    """Ten thousand agents with 128 KiB each would be more than a gigabyte."""
    live = workload(agent("a: 1" * 1000))
    live["spec"]["template"]["metadata"]["annotations"][f"{RESTART_ANNOTATION}0123456789"] = "2026-01-31T12:00:00Z"
    shown = stored(live).shown
    assert shown
    assert shown["spec"]["template"]["metadata"]["annotations"].keys() == {f"{RESTART_ANNOTATION}0123456789"}
    assert "a: 1" not in str(stored(live))
