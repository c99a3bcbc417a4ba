"""Writable directories: where they may be, how large, and what they hide."""

from typing import Any

import pytest

from ringfence.policy.handover import runs_the_same
from ringfence.policy.pods import RESERVED_PATHS, SYSTEM_PATHS
from ringfence.resources import build
from unit.policy.make import IMAGE, judge, places
from unit.resources.agents import make


def scratch(*paths: str, size: str = "1Mi", medium: str = "Disk") -> dict[str, Any]:
    return {"scratch": [{"path": path, "size": size, "medium": medium} for path in paths]}


def test_what_is_accepted() -> None:
    assert judge(scratch("/tmp", "/dev/shm", "/home/agent", "/var/cache", "/app/data")) == []


@pytest.mark.parametrize("place", [*RESERVED_PATHS, *SYSTEM_PATHS, "/usr", "/etc", "/var/run", "/dev/shm/below"])
def test_it_hides_nothing_of_the_system_or_the_pod(place: str) -> None:
    if place in {"/tmp", "/dev/shm"}:
        assert judge(scratch(place)) == []
    else:
        assert places(judge(scratch(place))) == {("InvalidField", "spec.scratch[0].path")}


@pytest.mark.parametrize(
    ("paths", "broken"),
    [
        (["/a", "/a/b"], {1}),
        (["/a/b", "/a"], {1}),
        (["/a", "/ab"], set()),
        (["/data/x"], {0}),
        (["/tmp/x"], {0}),
    ],
)
def test_it_hides_no_other_and_no_volume(paths: list[str], broken: set[int]) -> None:
    found = judge({**scratch(*paths), "storage": {"mountPath": "/data", "size": "1Gi"}})
    assert places(found) == {("InvalidField", f"spec.scratch[{index}].path") for index in broken}


def test_a_file_lies_in_none() -> None:
    found = judge({**scratch("/etc/agent"), "files": [{"path": "/etc/agent/config", "content": ""}]})
    assert places(found) == {("InvalidField", "spec.files[0].path")}


@pytest.mark.parametrize("size", [0, "0", "0Gi"])
def test_it_has_a_size(size: Any) -> None:
    assert places(judge(scratch("/a", size=size))) == {("InvalidField", "spec.scratch[0].size")}


@pytest.mark.parametrize(
    ("limits", "size", "medium", "fits"),
    [
        ({}, "512Mi", "Disk", True),
        ({}, "513Mi", "Disk", False),
        ({"ephemeral-storage": "4Gi"}, "2Gi", "Disk", True),
        ({}, "256Mi", "Memory", True),
        ({}, "257Mi", "Memory", False),
        ({"memory": "2Gi"}, "1Gi", "Memory", True),
        ({"memory": "2Gi"}, "1Gi", "Disk", False),
    ],
)
def test_two_of_them_fit_into_what_the_agent_may_use(
    limits: dict[str, str], size: str, medium: str, *, fits: bool
) -> None:
    found = judge({**scratch("/a", "/b", size=size, medium=medium), "resources": {"limits": limits}})
    assert places(found) == (set() if fits else {("InvalidField", "spec.scratch")})


def test_a_malformed_entry_hides_no_other() -> None:
    spec = {"scratch": [3, {"path": "/proc/x", "size": "1Mi"}, {"path": "/a"}]}
    assert ("InvalidField", "spec.scratch[1].path") in places(judge(spec))


def existing(way: str, how: dict[str, Any]) -> dict[str, Any]:
    source = {"existing": {"secretName": "x", "key": "y"}}
    return {"name": "x", "source": source, "delivery": {way: how}}


@pytest.mark.parametrize(
    ("spec", "home"),
    [
        ({}, "/tmp"),
        ({"env": [{"name": "HOME", "value": "/root"}]}, "/root"),
        ({"secrets": [existing("env", {"name": "HOME"})]}, None),
        (scratch("/home/agent", "/tmp"), "/home/agent"),
        (scratch("/dev/shm", "/work"), "/work"),
        (scratch("/tmp"), "/tmp"),
        (scratch("/dev/shm"), "/tmp"),
        ({**scratch("/work"), "env": [{"name": "HOME", "value": "/other"}]}, "/other"),
    ],
)
def test_home_is_writable(spec: dict[str, Any], home: str | None) -> None:
    (container,) = build(make({"spec": {"image": IMAGE, **spec}}))[-1]["spec"]["template"]["spec"]["containers"]
    (found,) = [one for one in container.get("env", []) if one["name"] == "HOME"]
    assert found.get("value") == home, "never over what the spec says"


def test_what_hides_files_of_the_image_is_another_program() -> None:
    assert runs_the_same(scratch("/a"), scratch("/a", size="2Mi"))
    assert not runs_the_same(scratch("/a", "/app"), scratch("/a"))
    assert runs_the_same({"scratch": "x"}, {})
