"""Existing volumes: closed, opened by every policy that binds, never another agent's."""

from typing import Any

import pytest

from ringfence.policy.handover import runs_the_same
from ringfence.policy.pods import RESERVED_PATHS, SYSTEM_PATHS
from unit.policy.make import IMAGE, judge, places

READ = {"pods": {"claims": [{"name": "corpus"}]}}
WRITE = {"pods": {"claims": [{"name": "corpus", "access": "ReadWrite"}, {"name": "other"}]}}
AT = "spec.volumes[0]"


def volume(claim: str = "corpus", path: str = "/corpus", access: str | None = None) -> dict[str, Any]:
    return {"volumes": [{"claim": claim, "mountPath": path} | ({"access": access} if access else {})]}


@pytest.mark.parametrize(
    ("access", "policies", "broken"),
    [
        (None, [READ], None),
        ("ReadOnly", [READ, WRITE], None),
        ("ReadWrite", [WRITE], None),
        ("ReadWrite", [READ], "access"),
        ("ReadWrite", [WRITE, READ], "access"),
        (None, [READ, {}], "claim"),
        (None, [{}], "claim"),
        (None, [], "claim"),
    ],
)
def test_every_policy_must_name_it(access: str | None, policies: list[Any], broken: str | None) -> None:
    found = places(judge(volume(access=access), *policies))
    assert found == ({("VolumeAbovePolicy", f"{AT}.{broken}")} if broken else set())


def test_no_agent_gets_the_storage_of_another_one() -> None:
    allowed = {"pods": {"claims": [{"name": "ringfence-other", "access": "ReadWrite"}]}}
    for policies in ([], [allowed]):
        assert places(judge(volume("ringfence-other"), *policies)) == {("VolumeReserved", f"{AT}.claim")}


@pytest.mark.parametrize("place", [*RESERVED_PATHS, *SYSTEM_PATHS, "/etc", "/usr", "/data/a", "/work"])
def test_it_hides_nothing(place: str) -> None:
    own = {"storage": {"mountPath": "/data", "size": "1Gi"}, "scratch": [{"path": "/work", "size": "1Mi"}]}
    assert places(judge(volume(path=place) | own, READ)) == {("InvalidField", f"{AT}.mountPath")}


def test_it_hides_no_other_and_nothing_lies_in_it() -> None:
    spec: dict[str, Any] = {
        "volumes": [{"claim": "corpus", "mountPath": "/a"}, {"claim": "other", "mountPath": "/a/b"}],
        "files": [{"path": "/a/file", "content": ""}],
        "sidecars": [{"name": "b", "image": IMAGE, "shares": ["/a"]}],
    }
    assert places(judge(spec, WRITE)) == {
        ("InvalidField", "spec.volumes[1].mountPath"),
        ("InvalidField", "spec.files[0].path"),
    }


def test_another_volume_is_another_program() -> None:
    assert not runs_the_same(volume(), {})
    assert not runs_the_same(volume(path="/app"), volume())


def test_a_malformed_entry_hides_no_other() -> None:
    spec = {"volumes": [3, {"claim": "corpus", "mountPath": "/proc/x"}, {"claim": "a"}]}
    assert {("InvalidField", "spec.volumes[1].mountPath"), ("VolumeAbovePolicy", "spec.volumes[1].claim")} <= places(
        judge(spec)
    )


@pytest.mark.parametrize("field", ["hostPath", "readOnly", "persistentVolumeClaim", "configMap", "secret"])
def test_what_people_write_first(field: str) -> None:
    (found,) = [one for one in judge({"volumes": [{"claim": "a", "mountPath": "/a", field: {}}]}) if field in one.path]
    assert "write" in found.message
