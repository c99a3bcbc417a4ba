"""PolicyContext: what the cache says after a series of lists and events."""

from ipaddress import ip_network
from typing import Any

import pytest
from structlog.testing import capture_logs

from ringfence.kube.proof import Proof
from ringfence.policy.decide import binding
from ringfence.policy.model import AgentObject
from ringfence.resources import Endpoint
from ringfence.store.context import PolicyContext
from ringfence.store.sources import AGENT_POLICY, ENDPOINT_SLICE, NAMESPACE, NODE, SERVICE_CIDR, SOURCES

SELECTS_RED = {"namespaceSelector": {"matchLabels": {"team": "red"}}}


def named(name: str, **rest: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, **rest}


def namespace(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}}


def node(name: str, *addresses: str, pods: tuple[str, ...] = ()) -> dict[str, Any]:
    reported = [{"type": "InternalIP", "address": address} for address in addresses]
    return named(name, spec={"podCIDRs": list(pods)}, status={"addresses": reported})


def api_servers(*addresses: str, where: str = "default", service: str = "kubernetes") -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": service}
    metadata = {"name": "kubernetes", "namespace": where, "labels": labels}
    return {"metadata": metadata, "endpoints": [{"addresses": list(addresses)}]}


def prove_all(world: PolicyContext) -> None:
    world.take_proofs(dict.fromkeys(world.api_server_claims, Proof.ADDRESS))


def reached(world: PolicyContext) -> list[tuple[str, int]]:
    return [(one.address, one.port) for one in world.api_server]


def test_the_api_servers_addresses_once_they_are_proven() -> None:
    world = PolicyContext()
    ports = {"ports": [{"port": 6443}]}
    world.observe(ENDPOINT_SLICE, "ADDED", api_servers("192.0.2.2", "192.0.2.1") | ports)
    assert (reached(world), networks(world), world.version) == ([], set(), 0)
    prove_all(world)
    assert reached(world) == [("192.0.2.1", 6443), ("192.0.2.2", 6443)]
    assert (networks(world), world.version) == ({"192.0.2.1/32", "192.0.2.2/32"}, 1)
    prove_all(world)
    assert world.version == 1, "nothing new"
    world.observe(ENDPOINT_SLICE, "MODIFIED", api_servers("192.0.2.1") | {"ports": [{"port": 443}]})
    assert reached(world) == [], "another port is another server"
    prove_all(world)
    assert reached(world) == [("192.0.2.1", 443)]
    world.replace(ENDPOINT_SLICE, [api_servers("2001:db8::1") | ports])
    prove_all(world)
    assert reached(world) == [("2001:db8::1", 6443)]
    world.replace(ENDPOINT_SLICE, [])
    assert reached(world) == []
    world.observe(ENDPOINT_SLICE, "ADDED", api_servers("192.0.2.1") | ports)
    prove_all(world)
    world.observe(ENDPOINT_SLICE, "DELETED", api_servers("192.0.2.1") | ports)
    assert not world.api_server


def test_an_address_of_a_pod_or_a_service_is_never_the_api_servers() -> None:
    world = PolicyContext()
    world.observe(NODE, "ADDED", node("n1", "192.0.2.7", pods=("10.244.3.0/24",)))
    body = api_servers("192.0.2.7", "10.244.3.9", "10.96.0.10", "192.0.2.200") | {"ports": [{"port": 6443}]}
    world.observe(ENDPOINT_SLICE, "ADDED", body)
    prove_all(world)
    assert Endpoint("10.96.0.10", 6443) in world.api_server
    world.observe(SERVICE_CIDR, "ADDED", named("kubernetes", spec={"cidrs": ["10.96.0.0/16"]}))
    assert {one.address for one in world.api_server} == {"192.0.2.7", "192.0.2.200"}
    world.observe(NODE, "ADDED", node("n2", "192.0.2.9", pods=("192.0.2.128/25",)))
    assert {one.address for one in world.api_server} == {"192.0.2.7"}
    world.observe(NODE, "DELETED", node("n2", "192.0.2.9", pods=("192.0.2.128/25",)))
    assert {one.address for one in world.api_server} == {"192.0.2.7", "192.0.2.200"}


@pytest.mark.parametrize(
    "body",
    [
        api_servers("192.0.2.1", where="evil") | {"ports": [{"port": 443}]},
        api_servers("192.0.2.1", service="x") | {"ports": [{"port": 443}]},
        api_servers("192.0.2.1"),
        api_servers("192.0.2.1") | {"ports": [{"port": "https"}, None]},
        api_servers() | {"ports": None},
    ],
)
def test_nothing_else_is_an_address_of_the_api_server(body: dict[str, Any]) -> None:
    world = PolicyContext()
    world.observe(ENDPOINT_SLICE, "ADDED", body)
    prove_all(world)
    assert (world.api_server, world.api_server_claims) == ((), ())


def networks(world: PolicyContext) -> set[str]:
    return {str(network) for network in world.facts("any").cluster_networks}


def test_synced_only_after_every_kind_was_listed() -> None:
    world = PolicyContext()
    for kind in SOURCES:
        assert not world.synced
        assert kind in world.missing
        world.replace(kind, [])
    assert world.synced
    assert world.missing == ()


def test_events_alone_do_not_make_it_synced() -> None:
    world = PolicyContext()
    for kind in SOURCES:
        world.observe(kind, "ADDED", named("x", spec={}))
    assert not world.synced


def test_a_delegate_follows_the_namespace_and_is_a_change() -> None:
    world = PolicyContext()
    named = namespace("a", open="yes")
    world.observe(NAMESPACE, "ADDED", named)
    version = world.version
    assert world.delegate("a") is None
    named["metadata"]["annotations"] = {"ringfence.dev/delegate": "group:x"}
    world.observe(NAMESPACE, "MODIFIED", named)
    assert (world.delegate("a"), world.version) == ("group:x", version + 1)
    world.replace(NAMESPACE, [namespace("a")])
    assert world.delegate("a") is None
    world.observe(NAMESPACE, "ADDED", named)
    world.replace(NAMESPACE, [])
    assert world.delegate("a") is None
    world.observe(NAMESPACE, "ADDED", named)
    world.observe(NAMESPACE, "DELETED", named)
    assert world.delegate("a") is None


def test_labels_follow_the_namespace() -> None:
    world = PolicyContext()
    assert world.facts("a").namespace_labels == {}, "an unseen namespace is closed, not unknown"
    world.observe(NAMESPACE, None, namespace("a", open="yes"))
    assert world.facts("a").namespace_labels == {"open": "yes"}
    world.observe(NAMESPACE, "MODIFIED", namespace("a", open="no"))
    assert world.facts("a").namespace_labels == {"open": "no"}
    world.observe(NAMESPACE, "DELETED", namespace("a", open="no"))
    assert world.facts("a").namespace_labels == {}


@pytest.mark.parametrize("kind", [NAMESPACE, AGENT_POLICY, NODE])
def test_a_list_forgets_what_it_does_not_hold(kind: str) -> None:
    world = PolicyContext()
    first = {
        NAMESPACE: namespace("a", x="1"),
        AGENT_POLICY: named("a", spec={}),
        NODE: node("a", "192.0.2.7"),
    }
    world.replace(kind, [first[kind]])
    before = (world.facts("a"), world.policies())
    world.replace(kind, [])
    assert (world.facts("a"), world.policies()) != before
    assert world.facts("a").namespace_labels == {}
    assert world.facts("a").cluster_networks == ()
    assert world.policies() == []


def test_cluster_networks_come_from_nodes_services_api_server_and_settings() -> None:
    world = PolicyContext([ip_network("198.51.100.0/24")])
    world.replace(NODE, [node("n1", "192.0.2.7", "2001:db8::7", "n1.example", pods=("10.244.3.0/24", "fd00:3::/64"))])
    world.replace(SERVICE_CIDR, [named("kubernetes", spec={"cidrs": ["10.96.0.0/16", "fd00:96::/108"]})])
    world.replace(ENDPOINT_SLICE, [api_servers("192.0.2.200") | {"ports": [{"port": 6443}]}])
    prove_all(world)
    assert networks(world) == {
        "198.51.100.0/24",
        "192.0.2.7/32",
        "2001:db8::7/128",
        "10.244.3.0/24",
        "fd00:3::/64",
        "10.96.0.0/16",
        "fd00:96::/108",
        "192.0.2.200/32",
    }


def test_a_node_that_goes_takes_its_addresses_along() -> None:
    world = PolicyContext()
    world.observe(NODE, "ADDED", node("n1", "192.0.2.7"))
    world.observe(NODE, "ADDED", node("n2", "192.0.2.9"))
    world.observe(NODE, "DELETED", node("n1", "192.0.2.7"))
    assert networks(world) == {"192.0.2.9/32"}


def test_neighbouring_networks_are_merged() -> None:
    world = PolicyContext()
    world.replace(NODE, [node(f"n{i}", pods=(f"10.244.{i}.0/24",)) for i in range(256)])
    assert networks(world) == {"10.244.0.0/16"}


@pytest.mark.parametrize("other", [api_servers("192.0.2.1", where="evil"), api_servers("192.0.2.1", service="x")])
def test_other_endpoint_slices_are_not_the_api_server(other: dict[str, Any]) -> None:
    world = PolicyContext()
    world.observe(ENDPOINT_SLICE, "ADDED", other | {"ports": [{"port": 6443}]})
    prove_all(world)
    assert networks(world) == set()


def test_a_slice_of_the_same_name_elsewhere_changes_nothing() -> None:
    world = PolicyContext()
    world.observe(ENDPOINT_SLICE, "ADDED", api_servers("192.0.2.200") | {"ports": [{"port": 6443}]})
    prove_all(world)
    world.observe(ENDPOINT_SLICE, "DELETED", api_servers("192.0.2.1", where="evil"))
    assert networks(world) == {"192.0.2.200/32"}


def test_policies_are_named_and_sorted() -> None:
    world = PolicyContext()
    world.replace(AGENT_POLICY, [named("b", spec={}), named("a", spec={"images": {"registries": ["r.example"]}})])
    assert [policy.name for policy in world.policies()] == ["a", "b"]
    assert world.policies()[0].spec.images.registries == ["r.example"]


def test_the_policies_of_a_namespace_follow_its_labels_and_their_selectors() -> None:
    world = PolicyContext()
    world.observe(AGENT_POLICY, "ADDED", named("all", spec={}))
    world.observe(AGENT_POLICY, "ADDED", named("red", spec=SELECTS_RED))

    def found(namespace: str) -> list[str]:
        """Twice: the second answer is what was kept of the first."""
        bound = binding(world.policies(), world.facts(namespace))
        for _ in range(2):
            assert binding(world.policies_for(namespace), world.facts(namespace)) == bound
        return [one.name for one in world.policies_for(namespace)]

    assert found("one") == ["all"]  # never seen: as good as without labels
    world.observe(NAMESPACE, "ADDED", namespace("one", team="red"))
    assert found("one") == ["all", "red"]
    world.observe(AGENT_POLICY, "DELETED", named("all"))
    assert found("one") == ["red"]
    assert not found("two")  # the built-in one binds
    world.observe(NAMESPACE, "MODIFIED", namespace("one", team="blue"))
    assert not found("one")
    world.replace(NAMESPACE, [namespace("one", team="red")])
    assert found("one") == ["red"]
    world.observe(AGENT_POLICY, "MODIFIED", named("red", spec={}))
    assert found("two") == ["red"]


def test_an_unreadable_policy_allows_nothing_and_says_so() -> None:
    world = PolicyContext()
    spec = {"namespaceSelector": {"matchLabels": {"team": "red"}}, "egress": {"cidrs": ["0.0.0.0/99"]}}
    with capture_logs() as logs:
        world.observe(AGENT_POLICY, "ADDED", named("broken", spec=spec))
    (policy,) = world.policies()
    assert "broken" in policy.name
    assert policy.spec.namespace_selector.match_labels == {"team": "red"}
    assert policy.spec.images.registries == []
    assert policy.spec.permissions.allow == []
    assert policy.spec.egress.max_public_addresses == 0
    assert [(entry["log_level"], entry["policy"]) for entry in logs] == [("error", "broken")]


@pytest.mark.parametrize("spec", [None, 7, [], {"namespaceSelector": 7}, {"namespaceSelector": {"matchLabels": 1}}])
def test_a_policy_whose_selector_is_unreadable_binds_everywhere(spec: Any) -> None:
    world = PolicyContext()
    world.observe(AGENT_POLICY, "ADDED", named("broken", spec=spec))
    (policy,) = world.policies()
    assert policy.spec.namespace_selector.match_labels == {}
    assert policy.spec.images.registries == []


@pytest.mark.parametrize(
    ("said", "existing"), [("Suspend", "Suspend"), ("Report", "Report"), (None, "Report"), ("Stop", "Report")]
)
def test_an_unreadable_policy_stops_what_runs_only_where_it_says_so_itself(said: str | None, existing: str) -> None:
    world = PolicyContext()
    world.observe(AGENT_POLICY, "ADDED", named("broken", spec={"existing": said, "surprise": 1}))
    assert [policy.spec.existing for policy in world.policies()] == [existing]


def test_a_policy_that_is_repaired_counts_again() -> None:
    world = PolicyContext()
    world.observe(AGENT_POLICY, "ADDED", named("p", spec=None))
    world.observe(AGENT_POLICY, "MODIFIED", named("p", spec={}))
    assert [policy.name for policy in world.policies()] == ["p"]


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"metadata": None},
        {"metadata": {"labels": []}},
        {"spec": 1, "status": {"addresses": [None, 1, {}]}},
    ],
)
def test_odd_shapes_do_not_stop_the_watch(kind: str, body: dict[str, Any]) -> None:
    world = PolicyContext()
    world.observe(kind, "ADDED", body)
    world.replace(kind, [body])
    assert world.facts("x").cluster_networks == ()


def test_a_kind_that_nobody_asked_for_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="Pod"):
        PolicyContext().observe("Pod", "ADDED", named("x"))


def test_facts_fit_decide() -> None:
    # What the two callers do; here so that a change of either signature shows.
    agent = AgentObject(name="a", namespace="b", spec={})
    world = PolicyContext()
    assert (agent.namespace, world.facts(agent.namespace).namespace_labels) == ("b", {})


@pytest.mark.parametrize(
    ("announced", "on_nodes"),
    [
        ((), True),
        (("192.0.2.1",), True),
        (("192.0.2.9",), False),
        (("192.0.2.9", "192.0.2.1"), True),
        (("10.244.0.9",), True),
        (("2001:db8::1",), False),
    ],
    ids=["none", "a node", "elsewhere", "one of them", "no address of an API server", "IPv6"],
)
def test_whether_the_api_server_is_on_nodes(announced: tuple[str, ...], *, on_nodes: bool) -> None:
    """A pod's way to its own node is open, whatever policies say."""
    world = PolicyContext()
    world.observe(NODE, "ADDED", node("n", "192.0.2.1", pods=("10.244.0.0/16",)))
    world.observe(ENDPOINT_SLICE, "ADDED", api_servers(*announced) | {"ports": [{"port": 6443}]})
    assert world.api_server_is_on_nodes is on_nodes
