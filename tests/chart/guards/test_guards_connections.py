"""Who gets into agents: the groups that the controller wrote on its own binding in the namespace, and nobody else."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api.controller.place import Place
from api.server import Answer, Server
from chart.guards.asking import CONTROLLER, DIGEST, MERGE, Somebody, of_user, refused
from chart.rendering import NAMESPACE
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.api.names import CEILING_BINDING, CONNECTIONS_ANNOTATION
from ringfence.resources import Manifest, build_ceiling

GROUPS = ["CN=sre,OU=x", "on-call"]
ACCOUNT = (NAMESPACE, "ringfence-controller")


@pytest.fixture
def somebody(guarded: Cluster) -> Iterator[Callable[..., Server]]:
    """Somebody in some groups."""
    known: list[Server] = []

    def of(*groups: str, user: str = "carol") -> Server:
        known.append(of_user(guarded, user, *groups))
        return known[-1]

    yield of
    for server in known:
        server.close()


@pytest.fixture
def param(place: Place, controller: Server) -> Iterator[Callable[..., None]]:
    """Store another parameter, or none; in the end it is as it was."""
    path, before = place.path("RoleBinding", CEILING_BINDING), build_ceiling(place.name, ACCOUNT, GROUPS)

    def put(manifest: Manifest | None) -> None:
        assert controller.request("DELETE", path).code in {200, 404}
        if manifest is not None:
            place.create("RoleBinding", manifest)

    yield put
    put(before)


def ways(place: Place) -> list[tuple[str, str, Any]]:
    name = place.pods()[0]["metadata"]["name"]
    added = {"spec": {"ephemeralContainers": [{"name": "e", "image": DIGEST}]}}
    return [
        ("GET", f"pods/{name}/exec?command=id", None),
        ("GET", f"pods/{name}/attach", None),
        ("GET", f"pods/{name}/portforward", None),
        ("GET", f"pods/https:{name}:8443/proxy/x", None),
        ("GET", "services/ringfence-to-a/proxy/", None),
        ("PATCH", f"pods/{name}/ephemeralcontainers?dryRun=All", added),
    ]


def answers(server: Server, place: Place) -> list[Answer]:
    found = []
    for method, way, body in ways(place):
        data = json.dumps(body).encode() if body is not None else b""
        found.append(server.request(method, f"/api/v1/namespaces/{place.name}/{way}", data, MERGE))
    return found


def gets_in(server: Server, place: Place) -> bool:
    """By every way; what comes behind the guard is nobody, for there is no kubelet."""
    said = [answer.message for answer in answers(server, place)]
    assert len({"guard-connections" in one for one in said}) == 1, said
    return "guard-connections" not in said[0]


@pytest.mark.parametrize("groups", [["on-call"], ["CN=sre,OU=x"], ["developers", "on-call"]])
def test_by_group(place: Place, somebody: Callable[..., Server], groups: list[str]) -> None:
    assert gets_in(somebody(*groups), place)


@pytest.mark.parametrize(
    "groups", [[], ["on"], ["on-call2"], ["ON-CALL"], ["CN=sre"], ["on-call\nCN=sre,OU=x"], ["none"]]
)
def test_and_nobody_else(place: Place, somebody: Callable[..., Server], groups: list[str]) -> None:
    server = somebody(*groups)
    assert not gets_in(server, place)
    for answer in answers(server, place):
        refused(answer, "spec.connections.groups (CN=sre,OU=x, on-call); carol is in none of them")


FORGED: dict[str, Callable[[Manifest], Manifest | None]] = {
    "nothing": lambda _: None,
    "no groups": lambda one: _with_groups(one, ""),
    "blank lines": lambda one: _with_groups(one, "\n\n"),
    "no annotation": lambda one: one | {"metadata": one["metadata"] | {"annotations": {}}},
    "not marked as ours": lambda one: one | {"metadata": one["metadata"] | {"labels": {}}},
    "another ClusterRole": lambda one: one | {"roleRef": one["roleRef"] | {"name": "view"}},
    "a Role": lambda one: one | {"roleRef": one["roleRef"] | {"kind": "Role"}},
    "nobody": lambda one: one | {"subjects": []},
    "somebody else": lambda one: one | {"subjects": [one["subjects"][0] | {"namespace": "default"}]},
    "one more": lambda one: one | {"subjects": [*one["subjects"], one["subjects"][0] | {"name": "default"}]},
}


def _with_groups(one: Manifest, text: str) -> Manifest:
    return one | {"metadata": one["metadata"] | {"annotations": {CONNECTIONS_ANNOTATION: text}}}


@pytest.mark.parametrize("what", FORGED)
def test_what_is_not_as_the_controller_makes_it_names_nobody(
    guarded: Cluster, place: Place, somebody: Callable[..., Server], param: Callable[..., None], what: str
) -> None:
    """The guards that keep anybody from storing it are away meanwhile."""
    server, right = somebody("on-call", ""), build_ceiling(place.name, ACCOUNT, ["on-call"])
    names = [f"ringfence-guard-{name}" for name in ("children", "ceiling", "bindings")]
    bindings = [guarded.get("validatingadmissionpolicybinding", name) for name in names]
    assert gets_in(server, place)
    guarded.kubectl("delete", "validatingadmissionpolicybinding", *names)
    try:

        def store() -> bool:
            param(FORGED[what](right))
            return True

        wait_for("it is stored", store)
        wait_for("nobody gets in", lambda: not gets_in(server, place))
    finally:
        for one in bindings:
            metadata = {key: one["metadata"][key] for key in ("name", "labels", "annotations")}
            guarded.apply(
                {"apiVersion": one["apiVersion"], "kind": one["kind"], "metadata": metadata, "spec": one["spec"]}
            )
    param(right)
    wait_for("he gets in again", lambda: gets_in(server, place))


def test_nobody_but_the_controller_writes_who_gets_in(place: Place, admin: Somebody) -> None:
    path, live = place.path("RoleBinding", CEILING_BINDING), place.get("RoleBinding", CEILING_BINDING)
    note = {"metadata": {"annotations": {CONNECTIONS_ANNOTATION: "eve"}}}
    bare = {"metadata": {"labels": None} | note["metadata"]}
    wait_for("the guards that a test before took away", lambda: not admin.merge(path, note).ok)
    for change in (note, bare):
        refused(admin.merge(path, change), "is made by Ringfence")
    refused(admin.ask("PUT", path, live | {"metadata": live["metadata"] | note["metadata"]}), "is made by Ringfence")
    refused(admin.delete(path), "is made by Ringfence")
    metadata = {key: live["metadata"][key] for key in ("name", "labels", "annotations")}
    elsewhere = {key: value for key, value in live.items() if key != "metadata"} | {"metadata": metadata}
    refused(admin.create(place.path("RoleBinding"), elsewhere | {"metadata": metadata | {"name": "x"}}))
    assert CONTROLLER.endswith(live["subjects"][0]["name"])


def test_other_pods_are_anybodys(place: Place, somebody: Callable[..., Server]) -> None:
    (other,) = (one for one in place.items("Pod") if one["metadata"]["labels"].get("app") == "other")
    path = f"/api/v1/namespaces/{place.name}/pods/{other['metadata']['name']}/exec?command=id"
    assert "guard" not in somebody().request("GET", path).message


def test_before_the_controller_came_nobody_connects_to_any_pod_of_the_namespace(
    place: Place, controller: Server, somebody: Callable[..., Server]
) -> None:
    """The API server looks for the parameter before it looks at the name of the pod."""
    fresh = Place(controller)
    path = f"/api/v1/namespaces/{fresh.name}/pods/any/exec?command=id"
    said = wait_for(
        "the guard", lambda: "guard-connections" in (one := somebody("on-call").request("GET", path).message) and one
    )
    assert "no params found" in said
    fresh.create("RoleBinding", build_ceiling(fresh.name, ACCOUNT))
    wait_for("any other pod", lambda: "guard" not in somebody().request("GET", path).message)
    fresh.remove()
