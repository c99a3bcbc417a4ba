"""Keys in the cluster: made once, never read."""

import ast
import base64
import builtins
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

import ringfence.controller
from ringfence.api import AgentDeploymentSpec
from ringfence.controller.agent.secrets import Keys, NotGranted
from ringfence.controller.agent.writer import NotLeading, OwnershipConflict
from ringfence.kube import METADATA_ONLY, ApiError, Object
from ringfence.resources import Agent
from ringfence.resources.secrets import PREVIOUS_UNTIL, ROTATED_AT, key_name, stamp
from unit.fakes.kube import FakeKube, Request

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
NAME = key_name("a", "signing")
PATH = f"/api/v1/namespaces/team/secrets/{NAME}"
SIGNING = {
    "name": "signing",
    "source": {"generate": {"length": 32}},
    "rotation": {"every": "720h"},
    "delivery": {"file": {"path": "/var/run/ringfence/signing"}},
}


class Kube(FakeKube):
    """Whoever asks for a whole Secret, or for several of them, fails."""

    async def get(self, path: str) -> Object:
        raise AssertionError(f"a value was asked for: {path}")

    async def list(self, path: str, **_: Any) -> builtins.list[Object]:
        raise AssertionError(f"values were asked for: {path}")


def agent(*secrets: dict[str, Any]) -> Agent:
    spec = AgentDeploymentSpec.model_validate({"image": "registry.example/agent", "secrets": list(secrets)})
    return Agent(name="a", namespace="team", uid="u", spec=spec)


def keys(kube: Kube, *, leading: bool = True) -> Keys:
    return Keys(kube, lambda: leading, "ringfence-system:ringfence-controller", lambda: NOW)


async def test_a_key_is_made_once() -> None:
    kube = Kube()
    assert await keys(kube).hold(agent(SIGNING), known=False) == []
    assert await keys(kube).hold(agent(SIGNING), known=True) == []
    assert kube.verbs == ["create"]
    stored = kube.objects[PATH]
    assert len(base64.b64decode(stored["data"]["value"])) == 32
    assert stored["metadata"]["annotations"] == {ROTATED_AT: stamp(NOW)}
    assert stored["metadata"]["ownerReferences"][0]["uid"] == "u"


async def test_one_that_somebody_deleted_comes_back_and_counts() -> None:
    (repair,) = await keys(Kube()).hold(agent(SIGNING), known=True)
    assert (repair.ref.kind, repair.ref.name, repair.rule) == ("Secret", NAME, "ChildDeleted")


@pytest.mark.parametrize("appears", ["before", "meanwhile"])
async def test_a_strangers_secret_is_refused_and_untouched(appears: str) -> None:
    kube = Kube()
    stranger: Object = {"metadata": {"name": NAME, "uid": "x"}, "data": {"value": "eA=="}}

    def faster(request: Request) -> None:
        if request.verb == "create":
            kube.cluster.put(PATH, stranger)

    if appears == "before":
        kube.cluster.put(PATH, stranger)
    else:
        kube.before.append(faster)
    with pytest.raises(OwnershipConflict, match=NAME.replace(".", r"\.")):
        await keys(kube).hold(agent(SIGNING), known=False)
    assert kube.objects[PATH]["metadata"]["uid"] == "x"
    assert kube.objects[PATH]["data"] == stranger["data"]
    assert kube.verbs == []
    await keys(kube).remove("team", NAME, agent(SIGNING))
    assert kube.verbs == []


async def test_without_the_grant_it_says_what_to_apply() -> None:
    kube = Kube()
    kube.refuse(ApiError(403, "Forbidden", "secrets is forbidden"))
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
    kube = Kube()
    with pytest.raises(NotLeading):
        await keys(kube, leading=False).hold(agent(SIGNING), known=False)
    assert kube.verbs == []


async def test_a_key_that_is_not_named_any_more_goes() -> None:
    kube = Kube()
    await keys(kube).hold(agent(SIGNING), known=False)
    await keys(kube).remove("team", NAME, agent())
    await keys(kube).remove("team", NAME, agent())
    assert kube.verbs == ["create", "delete"]


async def overdue(kube: Kube) -> str:
    """A value before whose time is up, and one look at it. Returns the value of now."""
    holder = keys(kube)
    await holder.hold(agent(SIGNING), known=False)
    metadata = kube.objects[PATH]["metadata"]
    metadata["annotations"][PREVIOUS_UNTIL] = stamp(NOW - timedelta(hours=1))
    kube.objects[PATH]["data"]["previous"] = "eA=="
    metadata["managedFields"] = [{"fieldsV1": {"f:data": {"f:previous": {}}}, "time": stamp(NOW)}]
    value = str(kube.objects[PATH]["data"]["value"])
    await holder.drop_previous(agent(SIGNING), await holder.look(agent(SIGNING)))
    return value


async def test_the_value_before_goes_when_its_time_is_up() -> None:
    kube = Kube()
    value = await overdue(kube)
    assert kube.verbs == ["create", "json_patch"]
    assert kube.objects[PATH]["data"] == {"value": value}


@pytest.mark.parametrize("status", [404, 422])
async def test_a_rotation_meanwhile_is_no_failure(status: int) -> None:
    kube = Kube()
    kube.refuse(ApiError(status, "x", "the test failed"), verb="json_patch")
    await overdue(kube)
    assert kube.verbs == ["create"]


async def test_no_value_is_told() -> None:
    kube = Kube()
    with structlog.testing.capture_logs() as said:
        await keys(kube).hold(agent(SIGNING), known=True)
    assert said
    value = kube.objects[PATH]["data"]["value"]
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
