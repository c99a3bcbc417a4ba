"""Keys in the cluster: made once, never read."""

import ast
import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import structlog

import ringfence.controller
from ringfence.api import AgentDeploymentSpec
from ringfence.controller.agent.secrets import Keys, NotGranted
from ringfence.controller.agent.writer import NotLeading, OwnershipConflict
from ringfence.kube import METADATA_ONLY, ApiError, Conflict, Kube, NotFound
from ringfence.resources import Agent
from ringfence.resources.secrets import PREVIOUS_UNTIL, ROTATED_AT, key_name, stamp

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
NAME = key_name("a", "signing")
PATH = f"/api/v1/namespaces/team/secrets/{NAME}"
SIGNING = {
    "name": "signing",
    "source": {"generate": {"length": 32}},
    "rotation": {"every": "720h"},
    "delivery": {"file": {"path": "/var/run/ringfence/signing"}},
}


class FakeKube:
    """Secrets by path. It has no `get`: whoever asked for a whole Secret would fail."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, Any]] = {}
        self.writes: list[str] = []
        self.forbidden = False
        self.faster: dict[str, Any] | None = None
        self.patch_failure: ApiError | None = None

    def _check(self) -> None:
        if self.forbidden:
            raise ApiError(403, "Forbidden", "secrets is forbidden")

    async def get_metadata(self, path: str) -> dict[str, Any]:
        self._check()
        if path not in self.secrets:
            raise NotFound(404, "NotFound", path)
        return {"metadata": self.secrets[path]["metadata"]}

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._check()
        full = f"{path}/{body['metadata']['name']}"
        if self.faster:
            self.secrets[full] = self.faster
        if full in self.secrets:
            raise Conflict(409, "AlreadyExists", full)
        body["metadata"]["uid"] = "secret-uid"
        self.secrets[full] = body
        self.writes.append("create")
        return body

    async def delete(self, path: str, *, uid: str) -> None:
        assert self.secrets.pop(path)["metadata"]["uid"] == uid
        self.writes.append("delete")

    async def json_patch(self, path: str, operations: list[dict[str, Any]]) -> dict[str, Any]:
        assert path == PATH
        if self.patch_failure:
            raise self.patch_failure
        test, remove = operations
        assert test["op"] == "test"
        assert remove == {"op": "remove", "path": "/data/previous"}
        self.writes.append("patch")
        return {}


def agent(*secrets: dict[str, Any]) -> Agent:
    spec = AgentDeploymentSpec.model_validate({"image": "registry.example/agent", "secrets": list(secrets)})
    return Agent(name="a", namespace="team", uid="u", spec=spec)


def keys(kube: FakeKube, *, leading: bool = True) -> Keys:
    return Keys(cast("Kube", kube), lambda: leading, "ringfence-system:ringfence-controller", lambda: NOW)


async def test_a_key_is_made_once() -> None:
    kube = FakeKube()
    assert await keys(kube).hold(agent(SIGNING), known=False) == []
    assert await keys(kube).hold(agent(SIGNING), known=True) == []
    assert kube.writes == ["create"]
    stored = kube.secrets[PATH]
    assert len(base64.b64decode(stored["data"]["value"])) == 32
    assert stored["metadata"]["annotations"] == {ROTATED_AT: stamp(NOW)}
    assert stored["metadata"]["ownerReferences"][0]["uid"] == "u"


async def test_one_that_somebody_deleted_comes_back_and_counts() -> None:
    (repair,) = await keys(FakeKube()).hold(agent(SIGNING), known=True)
    assert (repair.ref.kind, repair.ref.name, repair.rule) == ("Secret", NAME, "ChildDeleted")


@pytest.mark.parametrize("appears", ["before", "meanwhile"])
async def test_a_strangers_secret_is_refused_and_untouched(appears: str) -> None:
    kube = FakeKube()
    stranger = {"metadata": {"name": NAME, "uid": "x"}, "data": {"value": "eA=="}}
    if appears == "before":
        kube.secrets[PATH] = stranger
    else:
        kube.faster = stranger
    with pytest.raises(OwnershipConflict, match=NAME.replace(".", r"\.")):
        await keys(kube).hold(agent(SIGNING), known=False)
    assert kube.secrets[PATH] == stranger
    assert kube.writes == []
    await keys(kube).remove("team", NAME, agent(SIGNING))
    assert kube.writes == []


async def test_without_the_grant_it_says_what_to_apply() -> None:
    kube = FakeKube()
    kube.forbidden = True
    expected = (
        "kubectl create rolebinding ringfence-secrets --clusterrole=ringfence-secrets "
        "--serviceaccount=ringfence-system:ringfence-controller -n team"
    )
    for work in (keys(kube).hold(agent(SIGNING), known=False), keys(kube).look(agent(SIGNING))):
        with pytest.raises(NotGranted) as failure:
            await work
        assert expected in str(failure.value)
        assert "agentNamespaces" in str(failure.value)


async def test_without_the_lease_nothing_is_written() -> None:
    kube = FakeKube()
    with pytest.raises(NotLeading):
        await keys(kube, leading=False).hold(agent(SIGNING), known=False)
    assert kube.writes == []


async def test_a_key_that_is_not_named_any_more_goes() -> None:
    kube = FakeKube()
    await keys(kube).hold(agent(SIGNING), known=False)
    await keys(kube).remove("team", NAME, agent())
    await keys(kube).remove("team", NAME, agent())
    assert kube.writes == ["create", "delete"]


async def overdue(kube: FakeKube) -> None:
    holder = keys(kube)
    await holder.hold(agent(SIGNING), known=False)
    metadata = kube.secrets[PATH]["metadata"]
    metadata["annotations"][PREVIOUS_UNTIL] = stamp(NOW - timedelta(hours=1))
    metadata["managedFields"] = [{"fieldsV1": {"f:data": {"f:previous": {}}}, "time": stamp(NOW)}]
    await holder.drop_previous(agent(SIGNING), await holder.look(agent(SIGNING)))


async def test_the_value_before_goes_when_its_time_is_up() -> None:
    kube = FakeKube()
    await overdue(kube)
    assert kube.writes == ["create", "patch"]


@pytest.mark.parametrize("status", [404, 422])
async def test_a_rotation_meanwhile_is_no_failure(status: int) -> None:
    kube = FakeKube()
    kube.patch_failure = ApiError(status, "x", "the test failed")
    await overdue(kube)
    assert kube.writes == ["create"]


async def test_no_value_is_told() -> None:
    kube = FakeKube()
    with structlog.testing.capture_logs() as said:
        await keys(kube).hold(agent(SIGNING), known=True)
    assert said
    value = kube.secrets[PATH]["data"]["value"]
    assert value not in json.dumps(said, default=str)
    assert base64.b64decode(value).decode() not in json.dumps(said, default=str)


def test_only_metadata_is_asked_for() -> None:
    assert METADATA_ONLY == "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", "no second choice"


def test_the_controller_has_no_other_code_about_agents_secrets() -> None:
    """Who writes `"secrets"` in the controller's code: this module and the keeper of our own certificate, no other."""
    folder = Path(ringfence.controller.__file__).parent
    naming = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and any(isinstance(one, ast.Constant) and one.value == "secrets" for one in node.args)
        and "path_of" in ast.dump(node.func)
    }
    assert "agent/secrets.py" in naming
    assert {name for name in naming if not name.startswith("certificates/")} <= {"agent/secrets.py"}
    calls = ast.walk(ast.parse((folder / "agent" / "secrets.py").read_text(encoding="utf-8")))
    methods = {
        node.func.attr
        for node in calls
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value) == "self.kube"
    }
    assert methods == {"get_metadata", "create", "json_patch", "delete"}
