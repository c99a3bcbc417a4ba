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
from ringfence.controller.agent import ages
from ringfence.controller.agent.errors import NotGranted, NotLeading, OwnershipConflict
from ringfence.controller.agent.secrets import Secrets
from ringfence.kube import METADATA_ONLY, ApiError, Object
from ringfence.resources import Agent
from ringfence.resources.secret_names import rotation_name
from ringfence.resources.secrets import PREVIOUS_UNTIL, ROTATED_AT, stamp
from ringfence.telemetry.events import AgentName, ChildRepaired, ChildWritten, OverlapEnded, SecretMade
from ringfence.telemetry.sinks.lines import to_log
from unit.fakes.kube import FakeKube, Request

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
NAME = rotation_name("a", "signing")
NAMED = AgentName("team", "a")
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


class Held:
    """The agent's secrets in one cluster, and what was told of them."""

    def __init__(self, kube: Kube, *, leading: bool = True) -> None:
        self.told: list[Any] = []
        account = "ringfence-system:ringfence-controller"
        self.secrets = Secrets(kube, lambda: leading, account, self.told.append, lambda: NOW)

    async def make(self, *, known: bool) -> Any:
        owner = agent(SIGNING)
        return await self.secrets.make(owner, owner.spec.secrets[0], known=known)

    async def look(self) -> Any:
        owner = agent(SIGNING)
        return await self.secrets.metadata(owner, owner.spec.secrets[0])


async def test_a_key_is_made_once() -> None:
    kube = Kube()
    held = Held(kube)
    assert await held.look() is None
    made = await held.make(known=False)
    assert await held.make(known=True) == made
    assert kube.verbs == ["create"]
    stored = kube.objects[PATH]
    assert made == stored["metadata"] == await held.look()
    assert len(base64.b64decode(stored["data"]["value"])) == 32
    assert stored["metadata"]["annotations"] == {ROTATED_AT: stamp(NOW)}
    assert stored["metadata"]["ownerReferences"][0]["uid"] == "u"
    assert held.told == [ChildWritten("Secret", "create"), SecretMade(agent=NAMED, uid="u", secret="signing")]


async def test_one_that_somebody_deleted_comes_back_and_counts() -> None:
    held = Held(Kube())
    await held.make(known=True)
    repair = ChildRepaired(agent=NAMED, uid="u", kind="Secret", name=NAME, rule="ChildDeleted")
    assert held.told[-1] == repair


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
    held = Held(kube)
    with pytest.raises(OwnershipConflict, match=NAME.replace(".", r"\.")):
        await held.make(known=False)
    assert kube.objects[PATH]["metadata"]["uid"] == "x"
    assert kube.objects[PATH]["data"] == stranger["data"]
    assert kube.verbs == []
    await held.secrets.remove(NAME, agent(SIGNING))
    assert kube.verbs == []
    assert held.told == []


async def test_without_the_grant_it_says_what_to_apply() -> None:
    kube = Kube()
    kube.refuse(ApiError(403, "Forbidden", "secrets is forbidden"))
    expected = (
        "kubectl create rolebinding ringfence-secrets --clusterrole=ringfence-secrets "
        "--serviceaccount=ringfence-system:ringfence-controller -n team"
    )
    for work in (Held(kube).make(known=False), Held(kube).look()):
        with pytest.raises(NotGranted) as failure:
            await work
        assert expected in str(failure.value)
        assert "agentNamespaces" in str(failure.value)
    await Held(kube).secrets.remove(NAME, agent())  # nothing to do: it goes with its agent


async def test_a_namespace_that_ends_is_no_missing_grant() -> None:
    kube = Kube()
    kube.refuse(ApiError(403, "Forbidden", "unable to create new content because it is being terminated"))
    with pytest.raises(ApiError):
        await Held(kube).make(known=False)


async def test_without_the_lease_nothing_is_written() -> None:
    kube = Kube()
    with pytest.raises(NotLeading):
        await Held(kube, leading=False).make(known=False)
    assert kube.requests == []
    await Held(kube).make(known=False)
    with pytest.raises(NotLeading):
        await Held(kube, leading=False).secrets.remove(NAME, agent())
    with pytest.raises(NotLeading):
        await Held(kube, leading=False).secrets.drop_previous(agent(), ages.ObservedSecret("signing", NAME, {}))
    assert kube.verbs == ["create"]


async def test_a_key_that_is_not_named_any_more_goes() -> None:
    kube = Kube()
    held = Held(kube)
    await held.make(known=False)
    await held.secrets.remove(NAME, agent())
    await held.secrets.remove(NAME, agent())
    assert kube.verbs == ["create", "delete"]
    assert kube.writes[-1].options["uid"], "that very Secret, not a later one of its name"
    assert held.told[-1] == ChildWritten("Secret", "delete")


async def overdue(kube: Kube) -> tuple[str, list[Any]]:
    """A value before whose time is up, and its removal. Returns the value of now, and what was told of it."""
    held = Held(kube)
    await held.make(known=False)
    metadata = kube.objects[PATH]["metadata"]
    metadata["annotations"][PREVIOUS_UNTIL] = stamp(NOW - timedelta(hours=1))
    kube.objects[PATH]["data"]["previous"] = "eA=="
    metadata["managedFields"] = [{"fieldsV1": {"f:data": {"f:previous": {}}}, "time": stamp(NOW)}]
    value = str(kube.objects[PATH]["data"]["value"])
    owner = agent(SIGNING)
    held.told.clear()
    await held.secrets.drop_previous(owner, ages.observed("a", owner.spec.secrets[0], await held.look()))
    return value, held.told


async def test_the_value_before_goes_when_its_time_is_up() -> None:
    kube = Kube()
    value, told = await overdue(kube)
    assert kube.verbs == ["create", "json_patch"]
    assert kube.objects[PATH]["data"] == {"value": value}
    assert told == [OverlapEnded(agent=NAMED, uid="u", secret="signing")]


async def test_a_value_of_another_rotation_stays() -> None:
    kube = Kube()

    def rotate(request: Request) -> None:
        if request.verb == "json_patch":
            kube.objects[PATH]["metadata"]["annotations"][PREVIOUS_UNTIL] = stamp(NOW + timedelta(hours=1))

    kube.before.append(rotate)
    _, told = await overdue(kube)
    assert kube.objects[PATH]["data"]["previous"] == "eA=="
    assert told == []


@pytest.mark.parametrize("status", [404, 422])
async def test_a_rotation_meanwhile_is_no_failure(status: int) -> None:
    kube = Kube()
    kube.refuse(ApiError(status, "x", "the test failed"), verb="json_patch")
    assert (await overdue(kube))[1] == []
    assert kube.verbs == ["create"]


async def test_another_failure_is_told() -> None:
    kube = Kube()
    kube.refuse(ApiError(500, "x", "broken"), verb="json_patch")
    with pytest.raises(ApiError):
        await overdue(kube)


async def test_no_value_is_told() -> None:
    kube = Kube()
    held = Held(kube)
    with structlog.testing.capture_logs() as said:
        await held.make(known=True)
        for event in held.told:
            to_log(event)
    assert said
    value = kube.objects[PATH]["data"]["value"]
    text = json.dumps([said, held.told], default=repr)
    assert value not in text
    assert base64.b64decode(value).decode() not in text


def test_only_metadata_is_asked_for() -> None:
    assert METADATA_ONLY == "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", "no second choice"


def test_the_controller_has_no_other_code_about_agents_secrets() -> None:
    """Who writes `"secrets"` in the controller's code.

    This module, what makes the Secrets of gateways, what looks at those that they send, and the keeper of our own
    certificate; no other.
    """
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
    assert {name for name in naming if not name.startswith("certificates/")} == {
        "agent/secrets.py",
        "agent/gateways.py",
        "agent/sent_secrets.py",
    }
    calls = ast.walk(ast.parse((folder / "agent" / "secrets.py").read_text(encoding="utf-8")))
    methods = {
        node.func.attr
        for node in calls
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value) == "self.kube"
    }
    assert methods == {"get_metadata", "create", "json_patch", "delete"}
