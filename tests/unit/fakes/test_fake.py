"""The fake API server keeps what the tests that stand on it take for granted."""

import asyncio
from typing import Any

import pytest

from ringfence.kube import ApiError, Conflict, NotFound, Unreachable, path_of
from unit.fakes.kube import FakeCluster, FakeKube

MAPS = path_of("v1", "configmaps", "ns")
PATH = f"{MAPS}/a"
DEPLOYMENT = path_of("apps/v1", "deployments", "ns", "d")


def config(data: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"} | metadata, "data": data or {}}


def workload(*containers: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    spec = {"template": {"spec": {"containers": list(containers)}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"} | metadata, "spec": spec}


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube()


async def test_what_is_created_has_an_identity(kube: FakeKube) -> None:
    made = await kube.create(MAPS, config({"k": "v"}))
    assert made["metadata"]["uid"]
    assert made["metadata"]["namespace"] == "ns"
    assert await kube.get(PATH) == made
    with pytest.raises(Conflict, match="already exists"):
        await kube.create(MAPS, config())
    with pytest.raises(NotFound):
        await kube.get(f"{MAPS}/b")
    assert [str(one) for one in kube.writes] == ["create configmaps/a"]
    assert [str(one) for one in kube.requests] == [
        "create configmaps/a",
        "get configmaps/a",
        "create configmaps/a",
        "get configmaps/b",
    ]


async def test_what_is_answered_is_a_copy(kube: FakeKube) -> None:
    (await kube.create(MAPS, config({"k": "v"})))["data"]["k"] = "spoilt"
    (await kube.get(PATH))["data"]["k"] = "spoilt"
    assert kube.objects[PATH]["data"] == {"k": "v"}


async def test_metadata_comes_without_content(kube: FakeKube) -> None:
    await kube.create(MAPS, config({"k": "v"}))
    found = await kube.get_metadata(PATH)
    assert found["kind"] == "PartialObjectMetadata"
    assert "data" not in found


async def test_a_write_for_another_state_or_object_conflicts(kube: FakeKube) -> None:
    made = await kube.create(MAPS, config())
    await kube.merge(PATH, {"data": {"k": "v"}})
    for stale in (made, config(uid="other")):
        with pytest.raises(Conflict):
            await kube.replace(PATH, stale)
    with pytest.raises(Conflict):
        await kube.apply(PATH, config(uid="other"), manager="us")
    with pytest.raises(Conflict):
        await kube.apply(f"{MAPS}/b", config(name="b", uid="other"), manager="us")
    with pytest.raises(Conflict):
        await kube.delete(PATH, uid="other")
    await kube.delete(PATH, uid=made["metadata"]["uid"])
    await kube.delete(PATH)
    assert kube.objects == {}


async def test_a_write_that_changes_nothing_stores_nothing(kube: FakeKube) -> None:
    first = await kube.apply(PATH, config({"k": "v"}), manager="us")
    assert await kube.apply(PATH, config({"k": "v"}), manager="us") == first
    assert await kube.merge(PATH, {"data": {"k": "v"}}) == first


async def test_a_finalizer_keeps_an_object(kube: FakeKube) -> None:
    await kube.create(MAPS, config(finalizers=["x/y"]))
    await kube.delete(PATH)
    assert kube.objects[PATH]["metadata"]["deletionTimestamp"]
    await kube.merge(PATH, {"metadata": {"finalizers": None}})
    assert kube.objects == {}


async def test_the_status_is_a_subresource(kube: FakeKube) -> None:
    made = await kube.create(path_of("apps/v1", "deployments", "ns"), workload() | {"status": {"replicas": 9}})
    assert "status" not in made
    told = await kube.merge(f"{DEPLOYMENT}/status", {"status": {"replicas": 1}, "spec": {"replicas": 7}})
    assert (told["status"], "replicas" in told["spec"], told["metadata"]["generation"]) == ({"replicas": 1}, False, 1)
    told = await kube.merge(DEPLOYMENT, {"status": {"replicas": 5}, "spec": {"replicas": 7}})
    assert (told["status"], told["spec"]["replicas"], told["metadata"]["generation"]) == ({"replicas": 1}, 7, 2)


class TestApply:
    async def test_what_is_new_must_not_be_there(self, kube: FakeKube) -> None:
        await kube.apply_new(PATH, config({"k": "v"}), manager="us")
        with pytest.raises(Conflict):
            await kube.apply_new(PATH, config({"k": "v"}), manager="us")

    async def test_what_is_not_said_any_more_goes_and_others_fields_stay(self, kube: FakeKube) -> None:
        await kube.apply(PATH, config({"a": "1", "b": "1"}), manager="us")
        await kube.merge(PATH, {"data": {"c": "1"}}, manager="them")
        stored = await kube.apply(PATH, config({"a": "2"}), manager="us")
        assert stored["data"] == {"a": "2", "c": "1"}
        assert {entry["manager"] for entry in stored["metadata"]["managedFields"]} == {"us", "them"}

    async def test_another_managers_field_conflicts_unless_forced(self, kube: FakeKube) -> None:
        await kube.apply(PATH, config({"a": "1"}), manager="them")
        with pytest.raises(Conflict, match=r'conflict with "them": \.data\.a'):
            await kube.apply(PATH, config({"a": "2"}), manager="us", force=False)
        assert (await kube.apply(PATH, config({"a": "2"}), manager="us"))["data"] == {"a": "2"}
        assert (await kube.apply(PATH, config(), manager="them"))["data"] == {"a": "2"}, "it is ours now"

    async def test_what_two_say_stays_until_both_let_go(self, kube: FakeKube) -> None:
        for manager in ("us", "them"):
            await kube.apply(PATH, config({"a": "1"}), manager=manager, force=False)
        assert (await kube.apply(PATH, config(), manager="us"))["data"] == {"a": "1"}
        assert not (await kube.apply(PATH, config(), manager="them"))["data"]

    async def test_containers_are_told_apart_by_their_names(self, kube: FakeKube) -> None:
        one, two = {"name": "one", "image": "x"}, {"name": "two", "image": "x"}
        await kube.apply(DEPLOYMENT, workload(one), manager="us")
        await kube.apply(DEPLOYMENT, workload(two), manager="them", force=False)
        stored = await kube.apply(DEPLOYMENT, workload(one | {"image": "y"}), manager="us")
        assert stored["spec"]["template"]["spec"]["containers"] == [one | {"image": "y"}, two]
        stored = await kube.apply(DEPLOYMENT, workload(one | {"image": "y"}), manager="them")
        assert stored["spec"]["template"]["spec"]["containers"] == [one | {"image": "y"}]

    async def test_lists_without_a_key_are_one_value(self, kube: FakeKube) -> None:
        role: dict[str, Any] = {"apiVersion": "x", "kind": "Role", "metadata": {"name": "r"}}
        path = path_of("rbac.authorization.k8s.io/v1", "roles", "ns", "r")
        await kube.apply(path, role | {"rules": [{"verbs": ["get"]}, {"verbs": ["list"]}]}, manager="us")
        stored = await kube.apply(path, role | {"rules": [{"verbs": ["list"]}]}, manager="us")
        assert stored["rules"] == [{"verbs": ["list"]}]

    async def test_fields_are_listed_by_their_managers(self, kube: FakeKube) -> None:
        kube.cluster.time = "2026-02-02T00:00:00Z"
        stored = await kube.apply(PATH, config({"a": "1"}, labels={"x": "y"}), manager="us")
        (entry,) = stored["metadata"]["managedFields"]
        assert entry["fieldsV1"] == {"f:data": {"f:a": {}}, "f:metadata": {"f:labels": {"f:x": {}}}}
        assert (entry["operation"], entry["time"]) == ("Apply", "2026-02-02T00:00:00Z")

    async def test_a_dry_run_stores_nothing(self, kube: FakeKube) -> None:
        assert (await kube.apply(PATH, config({"a": "1"}), manager="us", dry_run=True))["data"] == {"a": "1"}
        assert kube.objects == {}


class TestJsonPatch:
    async def test_all_or_nothing(self, kube: FakeKube) -> None:
        await kube.create(MAPS, config({"k": "v"}, annotations={"x/y": "1"}))
        test = {"op": "test", "path": "/metadata/annotations/x~1y", "value": "1"}
        stored = await kube.json_patch(PATH, [test, {"op": "remove", "path": "/data/k"}])
        assert stored["data"] == {}
        for bad in (
            test | {"value": "2"},
            {"op": "remove", "path": "/data/gone"},
            {"op": "replace", "path": "/none/x"},
        ):
            with pytest.raises(ApiError) as failure:
                await kube.json_patch(PATH, [{"op": "add", "path": "/data/k", "value": "v"}, bad])
            assert failure.value.status == 422
        assert kube.objects[PATH]["data"] == {}


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        (None, ["a", "b"]),
        ("x", ["a"]),
        ("!x", ["b"]),
        ("x=1", ["a"]),
        ("x!=1", ["b"]),
        ("y in (1, 2),!x", ["b"]),
        ("y notin (1)", ["b"]),
    ],
)
async def test_selectors(kube: FakeKube, selector: str | None, found: list[str]) -> None:
    for name, namespace, labels in (("a", "one", {"x": "1", "y": "1"}), ("b", "two", {"y": "2"})):
        kube.cluster.put(path_of("v1", "pods", namespace, name), config(name=name, labels=labels))
    pods = await kube.list(path_of("v1", "pods"), label_selector=selector)
    assert [one["metadata"]["name"] for one in pods] == found
    assert len(await kube.list(path_of("v1", "pods", "one"), field_selector="metadata.name=a")) == 1
    assert await kube.list(path_of("v1", "pods", "one"), field_selector="metadata.name!=a") == []


async def test_a_watch_tells_what_changes(kube: FakeKube) -> None:
    path = path_of("v1", "configmaps")
    kube.cluster.put(PATH, config(labels={"x": "1"}))
    (page,) = [page async for page in kube.pages(path, label_selector="x")]
    assert (len(page[0]), page[1]) == (1, str(kube.cluster.version))
    watch = kube.watch(path, page[1], label_selector="x")
    other = FakeKube(kube.cluster)
    await other.create(MAPS, config(name="unseen"))
    await other.merge(PATH, {"data": {"k": "v"}})
    await other.merge(PATH, {"metadata": {"labels": {"x": None}}})
    await other.merge(PATH, {"metadata": {"labels": {"x": "2"}}})
    await other.delete(PATH)
    assert [(await anext(watch))[0] for _ in range(4)] == ["MODIFIED", "DELETED", "ADDED", "DELETED"]
    kube.cluster.forget()
    assert [event async for event in watch] == []
    assert [event async for event, _ in kube.watch(path, page[1])] == ["ERROR"]
    assert kube.cluster.watches == []


class TestFailures:
    async def test_one_client_may_be_cut_off(self) -> None:
        cluster = FakeCluster()
        one, two = FakeKube(cluster), FakeKube(cluster)
        one.down = True
        with pytest.raises(Unreachable):
            await one.create(MAPS, config())
        await two.create(MAPS, config())
        one.down = False
        assert await one.get(PATH) == await two.get(PATH)

    async def test_refusals_are_by_verb_path_and_number(self, kube: FakeKube) -> None:
        kube.refuse(ApiError(403, "Forbidden", "no"), verb="create", times=1)
        with pytest.raises(ApiError, match="Forbidden"):
            await kube.create(MAPS, config())
        await kube.create(MAPS, config())
        kube.refuse(NotFound(404, "NotFound", "no"), path=PATH)
        with pytest.raises(NotFound):
            await kube.get(PATH)
        kube.allow()
        await kube.get(PATH)
        assert kube.verbs == ["create"]

    async def test_a_reply_may_get_lost(self, kube: FakeKube) -> None:
        def lose(_: object) -> None:
            raise Unreachable("reset")

        kube.after.append(lose)
        with pytest.raises(Unreachable):
            await kube.create(MAPS, config())
        assert PATH in kube.objects
        assert kube.verbs == ["create"]

    async def test_a_request_may_hang(self, kube: FakeKube) -> None:
        kube.gate.clear()
        task = asyncio.create_task(kube.create(MAPS, config()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not task.done()
        kube.gate.set()
        await task


async def test_reviews_are_answered_and_not_stored(kube: FakeKube) -> None:
    path = path_of("authorization.k8s.io/v1", "subjectaccessreviews")
    kube.cluster.answers[path] = lambda body: body | {"status": {"allowed": True}}
    assert (await kube.create(path, {"spec": {}}))["status"] == {"allowed": True}
    assert kube.objects == {}
