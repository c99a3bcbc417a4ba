"""The cache: what the watches and the lists show, in whatever order they show it."""

from typing import Any

import pytest
from ringfence.controller.cache import Cache, Key, Ref, api_server_endpoints, children_of
from ringfence.controller.handlers import _matters

from ringfence.resources import Endpoint, ServicePort
from ringfence.resources.field_manager import Author
from ringfence.resources.secrets import key_name

KEY = Key("ns", "a")
REF = Ref("Role", "ns", "ringfence-a")


def agent(version: int = 1, uid: str = "u", **more: Any) -> dict[str, Any]:
    metadata = {"namespace": "ns", "name": "a", "uid": uid, "resourceVersion": str(version), "generation": 1}
    return {"metadata": metadata, "spec": {}} | more


def child(version: int = 1, uid: str = "u", name: str = "ringfence-a") -> dict[str, Any]:
    return {"metadata": {"namespace": "ns", "name": name, "uid": uid, "resourceVersion": str(version)}}


@pytest.fixture
def cache() -> Cache:
    return Cache()


def _version(cache: Cache) -> str | None:
    found = cache.children.get(REF)
    return found["metadata"]["resourceVersion"] if found else None


def test_older_news_is_ignored(cache: Cache) -> None:
    cache.observe_child("ADDED", child(5), "Role")
    cache.observe_child("MODIFIED", child(4), "Role")
    assert _version(cache) == "5"
    cache.observe_child(None, child(5), "Role")
    cache.observe_child("MODIFIED", child(10), "Role")
    assert _version(cache) == "10", "as numbers, not as text"


def test_the_end_of_an_earlier_object_is_not_the_end_of_this_one(cache: Cache) -> None:
    cache.observe_child("ADDED", child(5, "new"), "Role")
    cache.observe_child("DELETED", child(4, "old"), "Role")
    assert _version(cache) == "5"
    cache.observe_child("DELETED", child(6, "new"), "Role")
    assert _version(cache) is None


def test_a_new_object_of_the_same_name_replaces_the_old_one(cache: Cache) -> None:
    cache.observe_child("ADDED", child(5, "old"), "Role")
    cache.observe_child("ADDED", child(6, "new"), "Role")
    assert cache.children[REF]["metadata"]["uid"] == "new"


def test_an_object_that_loses_its_label_is_told_as_deleted_and_read_again(cache: Cache) -> None:
    """The watch selects by label. What is read and put right afterwards is newer than that end."""
    cache.observe_child("ADDED", child(5), "Role")
    assert cache.observe_child("DELETED", child(6), "Role") == KEY
    assert _version(cache) is None
    cache.observe_child("MODIFIED", child(7), "Role")
    assert _version(cache) == "7"
    cache.observe_child("DELETED", child(6), "Role")
    assert _version(cache) == "7", "the news came late"


def test_a_list_that_was_read_before_a_deletion_does_not_bring_it_back(cache: Cache) -> None:
    cache.observe_child("ADDED", child(5), "Role")
    cache.age()
    cache.observe_child("DELETED", child(9), "Role")
    cache.replace_children("Role", [child(5)], 8)
    assert _version(cache) is None
    cache.age()
    cache.replace_children("Role", [child(5)], 8)
    assert _version(cache) is None, "nor does the next one"


def test_a_list_that_was_read_before_a_creation_does_not_take_it_away(cache: Cache) -> None:
    cache.observe_child("ADDED", child(9), "Role")
    cache.replace_children("Role", [], 8)
    assert _version(cache) == "9"
    cache.replace_children("Role", [], 9)
    assert _version(cache) is None


def test_a_list_says_what_is_gone(cache: Cache) -> None:
    cache.observe_agent("ADDED", agent(3))
    cache.observe_child("ADDED", child(3), "Role")
    cache.observe_child("ADDED", child(3), "RoleBinding")
    assert cache.replace_agents([], 5) == [KEY]
    cache.replace_children("Role", [], 5)
    assert list(cache.children) == [Ref("RoleBinding", "ns", "ringfence-a")]


def test_an_agent_and_a_service_of_one_name_are_two(cache: Cache) -> None:
    cache.observe_service("ADDED", child(1, name="a"))
    cache.observe_service("DELETED", child(9, name="a"))
    cache.observe_agent("ADDED", agent(5))
    assert KEY in cache.agents


def test_what_has_no_childs_name_is_nobodys(cache: Cache) -> None:
    assert cache.observe_child("ADDED", child(1, name="other"), "Role") is None
    assert cache.children == {}


def test_managed_fields_are_not_kept(cache: Cache) -> None:
    body = child()
    body["metadata"]["managedFields"] = [{"manager": "x"}]
    cache.observe_child("ADDED", body, "Role")
    assert "managedFields" not in cache.children[REF]["metadata"]
    assert "managedFields" in body["metadata"], "kopf's own copy is left alone"


def test_children_of_an_agent() -> None:
    refs = children_of(KEY)
    assert len(refs) == 7
    assert {Cache().agent_of(ref, {"metadata": {}}) for ref in refs} == {KEY}


def test_what_rotates_a_key_is_known_by_the_spec_and_else_by_its_owner(cache: Cache) -> None:
    ref = Ref("CronJob", "ns", key_name("a", "signing"))
    bare: dict[str, Any] = {"metadata": {}}
    assert cache.agent_of(ref, bare) is None
    owner = {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentDeployment", "name": "a", "uid": "u"}
    assert cache.agent_of(ref, {"metadata": {"ownerReferences": [owner]}}) == KEY
    cache.observe_agent("ADDED", agent(spec={"secrets": [{"name": "signing"}]}))
    assert cache.agent_of(ref, bare) == KEY, "an edit that takes the owner away does not hide it"
    assert ref in cache.forget_keys(KEY)
    assert cache.agent_of(ref, bare) is None


# --- Services


def _service(version: int = 1, **spec: Any) -> dict[str, Any]:
    spec = {"selector": {"app": "x"}, "ports": [{"port": 80, "targetPort": "http"}]} | spec
    return {"metadata": {"namespace": "ns", "name": "s", "uid": "u", "resourceVersion": str(version)}, "spec": spec}


def test_a_service_tells_the_agents_that_name_it(cache: Cache) -> None:
    named = [{"service": {"name": "s"}}, {"cidr": "192.0.2.0/24"}, {"service": {"name": "other", "namespace": "x"}}]
    cache.observe_agent("ADDED", agent(spec={"network": {"egress": named}}))
    assert cache.observe_service("ADDED", _service(1)) == [KEY]
    assert cache.observe_service("MODIFIED", _service(2)) == [], "nothing changed that matters"
    assert cache.observe_service("MODIFIED", _service(3, selector={"app": "y"})) == [KEY]
    assert cache.observe_service("DELETED", _service(4, selector={"app": "y"})) == [KEY]


@pytest.mark.parametrize(
    "spec", [None, [], {"network": None}, {"network": {"egress": None}}, {"network": {"egress": [1]}}]
)
def test_a_malformed_spec_names_no_service(cache: Cache, spec: Any) -> None:
    cache.observe_agent("ADDED", agent(spec=spec))
    assert cache.observe_service("ADDED", _service()) == []


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({}, ServicePort({"app": "x"}, "http")),
        ({"ports": [{"port": 80}]}, ServicePort({"app": "x"}, 80)),
        ({"ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}]}, ServicePort({"app": "x"}, 8080)),
        ({"ports": [{"port": 80, "protocol": "UDP"}]}, None),
        ({"ports": [{"port": 81}]}, None),
        ({"ports": None}, None),
        ({"selector": None}, None),
        ({"selector": {}}, None),
        ({"type": "ExternalName"}, None),
    ],
)
def test_where_a_port_leads(cache: Cache, spec: dict[str, Any], found: ServicePort | None) -> None:
    cache.observe_service("ADDED", _service(**spec))
    assert cache.service_port("ns", "s", 80) == found
    assert cache.service_port("ns", "missing", 80) is None


# --- the API server


def _slice(name: str, addresses: list[str], port: int = 6443) -> dict[str, Any]:
    return {"metadata": {"name": name}, "endpoints": [{"addresses": addresses}], "ports": [{"port": port}]}


def test_the_api_servers_addresses_over_all_slices(cache: Cache) -> None:
    assert cache.observe_api_server("ADDED", _slice("v4", ["192.0.2.2", "192.0.2.1"]))
    assert cache.observe_api_server("ADDED", _slice("v6", ["2001:db8::1"]))
    assert [one.address for one in cache.api_server] == ["192.0.2.1", "192.0.2.2", "2001:db8::1"]
    assert not cache.observe_api_server("MODIFIED", _slice("v4", ["192.0.2.1", "192.0.2.2"])), "only in another order"
    assert cache.observe_api_server("MODIFIED", _slice("v4", ["192.0.2.1"], port=443))
    assert cache.observe_api_server("DELETED", _slice("v6", []))
    assert cache.api_server == (Endpoint("192.0.2.1", 443),)


def test_a_slice_without_anything() -> None:
    assert api_server_endpoints({"metadata": {"name": "x"}, "endpoints": None, "ports": None}) == ()


# --- which events matter


@pytest.mark.parametrize(
    ("event", "known", "body", "matters"),
    [
        ("ADDED", None, agent(), True),
        (None, agent(), agent(), True),
        ("DELETED", agent(), agent(), True),
        ("MODIFIED", agent(), agent(2), False),
        ("MODIFIED", agent(status={"a": 1}), agent(2, status={"a": 1}), False),
        ("MODIFIED", agent(status={"a": 1}), agent(2, status={"a": 2}), True),
        ("MODIFIED", agent(), agent(2, uid="other"), True),
    ],
)
def test_an_echo_of_our_own_status_does_not_matter(event: str | None, known: Any, body: Any, matters: bool) -> None:
    assert _matters(event, known, body) is matters


@pytest.mark.parametrize("field", ["generation", "deletionTimestamp"])
def test_what_does_matter(field: str) -> None:
    body = agent(2)
    body["metadata"][field] = "x"
    assert _matters("MODIFIED", agent(), body)


def written(version: int, manager: str, field: str = "f:spec", **more: Any) -> dict[str, Any]:
    body = agent(version)
    entry = {"manager": manager, "time": "2026-01-31T12:00:00Z", "fieldsV1": {field: {}}} | more
    body["metadata"]["managedFields"] = [entry, entry | {"manager": "earlier", "time": "2026-01-31T11:00:00Z"}]
    return body


def test_of_managed_fields_only_the_author_of_the_spec_is_kept(cache: Cache) -> None:
    cache.observe_agent("ADDED", written(1, "argocd"))
    assert cache.authors[KEY] == Author("argocd", "2026-01-31T12:00:00Z")
    assert "managedFields" not in cache.agents[KEY]["metadata"]
    cache.observe_agent("MODIFIED", written(5, "kubectl"))
    cache.observe_agent("MODIFIED", written(4, "a stale copy"))
    assert cache.authors[KEY].manager == "kubectl"
    cache.observe_agent("MODIFIED", written(6, "ringfence", subresource="status"))
    cache.observe_agent("MODIFIED", written(7, "kubectl-label", "f:metadata"))
    assert cache.authors[KEY] == Author()
    cache.observe_agent("DELETED", written(8, "x"))
    assert cache.authors == {}
    cache.observe_agent("ADDED", written(9, "x"))
    cache.replace_agents([], 10)
    assert cache.authors == {}
