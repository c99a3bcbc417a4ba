"""Permissions in other namespaces and in the whole cluster: given by consent, put right, taken away.

The controller has the chart's rights and no more.
"""

import json
from collections.abc import Iterator

import pytest

from api.controller.conftest import HOME
from api.controller.place import FULL, IMAGE, RULES, Place
from api.controller.process import Controller
from api.controller.targets import READS, Targets, listed
from api.server import Server
from cluster import Cluster
from cluster.shell import wait_for
from harness.pressure import within
from ringfence.api.names import CEILING_BINDING

SECONDS = 5.0
MAY_WRITE = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "delete"]}]


@pytest.fixture
def targets(client: Server, cluster: Cluster, bare: Controller) -> Iterator[Targets]:
    found = Targets(client, cluster)
    yield found
    found.remove()


def test_what_a_namespace_consents_to_is_given_there(targets: Targets) -> None:
    for target in (targets.shop, targets.web):
        targets.consent(target, f"{targets.home.name}/a=ReadOnly")
    stored = targets.agent(targets.shop, targets.web)
    targets.home.wait_applied()
    role, binding = targets.wait_given(targets.shop)
    assert role["rules"] == RULES
    assert "ownerReferences" not in role["metadata"]
    assert (
        role["metadata"]["labels"] | {"ringfence.dev/agent-uid": stored["metadata"]["uid"]}
        == role["metadata"]["labels"]
    )
    account = {"kind": "ServiceAccount", "name": "ringfence-a", "namespace": targets.home.name}
    assert binding["subjects"] == [account]
    for target in (targets.shop, targets.web):
        targets.wait_may(target, "list", "configmaps")
        assert not targets.may(target, "delete", "configmaps")
    assert not targets.may(targets.home, "list", "configmaps")
    assert targets.home.child("role") is None
    status = targets.home.wait_applied()
    assert status["effectivePermissions"] == sorted(
        f"get,list configmaps in {one.name}" for one in (targets.shop, targets.web)
    )
    assert {(one["kind"], one.get("namespace")) for one in status["managedResources"]} >= {
        ("RoleBinding", targets.shop.name),
        ("RoleBinding", targets.web.name),
    }
    targets.home.wait_condition("RightsApplied", "True")


def test_without_a_consent_nothing_is_given(targets: Targets) -> None:
    """Neither to an agent that nobody was asked about, nor beyond what a policy allows, nor in the cluster's own."""
    targets.agent(targets.shop)
    found = targets.home.wait_condition("Accepted", "False", "Refused")
    assert "NamespaceConsentMissing" in found["message"]
    assert targets.home.child("workload") is None
    assert targets.nothing(targets.shop)
    targets.consent(targets.shop, f"{targets.home.name}=ReadOnly")
    targets.home.wait_condition("Accepted", "True")
    targets.wait_given(targets.shop)
    targets.policy(namespaces=[])
    targets.agent(targets.shop, name="b")
    found = targets.home.wait_condition("Accepted", "False", "Refused", name="b")
    assert "RightsAbovePolicy" in found["message"]
    assert targets.given(targets.shop, "b") is None


@pytest.mark.parametrize("closed", ["kube-system", HOME])
def test_never_in_the_clusters_own_namespaces_or_ours(targets: Targets, client: Server, closed: str) -> None:
    place = Place.at(client, closed)
    targets.policy(namespaces=[closed])
    targets.consent(place, f"{targets.home.name}=Critical")
    try:
        targets.agent(place)
        found = targets.home.wait_condition("Accepted", "False", "Refused")
        assert "NamespaceNotOpened" in found["message"]
        assert targets.given(place) is None
        assert place.find("RoleBinding", CEILING_BINDING) is None
    finally:
        targets.consent(place, None)


def test_a_consent_that_is_withdrawn_takes_it_away(targets: Targets) -> None:
    targets.consent(targets.shop, f"{targets.home.name}=ReadOnly")
    targets.consent(targets.web, f"{targets.home.name}=ReadOnly")
    targets.agent(targets.shop, targets.web)
    targets.home.wait_applied()
    targets.wait_given(targets.shop)
    with within(SECONDS):
        targets.consent(targets.shop, None)
        wait_for("it is taken away", lambda: targets.nothing(targets.shop))
    found = targets.home.wait_condition("Accepted", "False", "Refused")
    assert "NamespaceConsentMissing" in found["message"]
    found = targets.home.wait_condition("RightsApplied", "False", "NamespaceConsentMissing")
    assert targets.shop.name in found["message"]
    assert targets.given(targets.web), "the rest of the agent stays"
    assert targets.home.child("workload")
    wait_for("the ceiling is given back", lambda: targets.shop.find("RoleBinding", CEILING_BINDING) is None)
    targets.consent(targets.shop, f"{targets.home.name}=ReadOnly")
    targets.wait_given(targets.shop)
    targets.home.wait_condition("RightsApplied", "True")


def test_also_from_an_agent_whose_newest_spec_is_not_accepted(targets: Targets) -> None:
    targets.consent(targets.shop, f"{targets.home.name}=LimitedWrite")
    targets.agent(targets.shop)
    targets.home.wait_applied()
    targets.wait_given(targets.shop)
    targets.home.change(image="registry.example/agent:latest")
    targets.home.wait_condition("Accepted", "False", "Refused")
    assert targets.given(targets.shop)
    targets.consent(targets.shop, "other=ReadOnly")
    wait_for("it is taken away", lambda: targets.nothing(targets.shop))


def test_edited_or_deleted_there_it_is_put_right_and_counted(targets: Targets, bare: Controller) -> None:
    targets.consent(targets.shop, f"{targets.home.name}=ReadOnly")
    targets.agent(targets.shop)
    targets.home.wait_applied()
    role, binding = targets.wait_given(targets.shop)
    name = role["metadata"]["name"]
    targets.shop.merge("Role", name, {"rules": MAY_WRITE})
    wait_for("the Role", lambda: targets.shop.get("Role", name)["rules"] == RULES)
    assert bare.counted_drift(1, targets.home.name) == 1
    stripped = dict.fromkeys(role["metadata"]["labels"])
    targets.shop.merge("RoleBinding", name, {"metadata": {"labels": stripped}, "subjects": None})

    def right() -> bool:
        live = targets.shop.get("RoleBinding", name)
        return (live["metadata"].get("labels"), live.get("subjects")) == (
            binding["metadata"]["labels"],
            binding["subjects"],
        )

    wait_for("the RoleBinding", right)
    assert targets.shop.delete("RoleBinding", name).ok
    wait_for("another one", lambda: targets.given(targets.shop))
    bare.counted_drift(3, targets.home.name)


def test_two_agents_of_one_name_do_not_meet(
    targets: Targets, client: Server, cluster: Cluster, bare: Controller
) -> None:
    other = Targets(client, cluster)
    try:
        other.policy(namespaces=[targets.shop.name])
        targets.consent(targets.shop, f"{targets.home.name}/a=ReadOnly,{other.home.name}/a=ReadOnly")
        targets.agent(targets.shop)
        other.agent(targets.shop)
        targets.wait_given(targets.shop)
        other.wait_given(targets.shop)
        targets.home.delete("AgentDeployment", "a")
        wait_for("the one's is gone", lambda: targets.given(targets.shop) is None)
        assert other.given(targets.shop)
        other.home.wait_condition("RightsApplied", "True")
    finally:
        other.remove()


def test_it_goes_with_its_agent(targets: Targets) -> None:
    targets.consent(targets.shop, f"{targets.home.name}=ReadOnly")
    targets.agent(targets.shop)
    targets.wait_given(targets.shop)
    targets.home.delete("AgentDeployment", "a")
    wait_for("nothing is left", lambda: targets.nothing(targets.shop))


def test_what_the_spec_does_not_ask_for_any_more_goes(targets: Targets) -> None:
    targets.consent(targets.shop, f"{targets.home.name}=ReadOnly")
    targets.agent(targets.shop)
    targets.wait_given(targets.shop)
    targets.home.change(permissions={"rules": RULES})
    wait_for("nothing is left", lambda: targets.nothing(targets.shop))
    targets.home.wait_applied()
    assert targets.home.child("binding")


def test_a_target_that_is_made_again_consents_anew(targets: Targets, client: Server) -> None:
    targets.consent(targets.shop, f"{targets.home.name}=ReadOnly")
    targets.agent(targets.shop)
    targets.wait_given(targets.shop)
    targets.home.wait_applied()
    path = f"/api/v1/namespaces/{targets.shop.name}"
    client.request("DELETE", path)
    targets.home.wait_condition("RightsApplied", "False", "NamespaceConsentMissing")
    wait_for("it is gone", lambda: client.request("GET", path).code == 404)
    body = json.dumps({"metadata": {"name": targets.shop.name}}).encode()
    assert client.request("POST", "/api/v1/namespaces", body).ok
    targets.home.wait_condition("Accepted", "False", "Refused")
    assert targets.nothing(targets.shop)
    targets.consent(targets.shop, f"{targets.home.name}=ReadOnly")
    targets.wait_given(targets.shop)
    targets.home.wait_condition("RightsApplied", "True")


def test_cluster_reads_are_given_and_taken_away(targets: Targets, client: Server, bare: Controller) -> None:
    targets.policy(clusterReads=["nodes", "storageclasses"])
    for name in ("a", "b"):
        targets.agent(name=name, level="Admin", clusterReads=["nodes"])
        targets.home.wait_applied(name)
    targets.wait_may(None, "watch", "nodes")
    assert not targets.may(None, "list", "namespaces")
    assert not targets.may(None, "delete", "nodes")
    assert targets.home.wait_applied()["effectivePermissions"] == ["get,list,watch nodes of the cluster"]

    client.request("PATCH", READS, b'{"subjects": null}', "application/merge-patch+json")
    wait_for(
        "both are listed again",
        lambda: len([one for one in listed(client) if one["namespace"] == targets.home.name]) == 2,
    )
    bare.counted_drift(1, targets.home.name)
    targets.home.delete("AgentDeployment", "a")
    wait_for(
        "one is left",
        lambda: [one["name"] for one in listed(client) if one["namespace"] == targets.home.name] == ["ringfence-b"],
    )
    targets.home.change("b", permissions={"level": "Admin", "clusterReads": ["storageclasses"]})
    wait_for("none is", lambda: not [one for one in listed(client) if one["namespace"] == targets.home.name])
    targets.home.wait_condition("RightsApplied", "True", name="b")


def test_an_agent_that_asks_for_none_is_not_left_in_the_list(targets: Targets, client: Server) -> None:
    targets.home.agent("a", FULL | {"image": IMAGE})
    targets.home.wait_applied()

    mine = {"kind": "ServiceAccount", "name": "ringfence-a", "namespace": targets.home.name}
    client.request("PATCH", READS, json.dumps({"subjects": [mine]}).encode(), "application/merge-patch+json")
    wait_for("it is taken off", lambda: mine not in [{key: one.get(key) for key in mine} for one in listed(client)])
