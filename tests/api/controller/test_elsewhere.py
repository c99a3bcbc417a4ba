"""Permissions in other namespaces and in the whole cluster: given by consent, put right, taken away.

The controller has the chart's rights and no more.
"""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from api.controller.conftest import HOME
from api.controller.place import FULL, IMAGE, RULES, Place
from api.controller.process import Controller, Options
from api.server import Server
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.api.names import CEILING_BINDING, CONSENT_ANNOTATION
from ringfence.kube import path_of
from ringfence.resources import Manifest

SECONDS = 5.0
READS = "ringfence-agent-reads-nodes"
MAY_WRITE = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "delete"]}]


class Targets:
    """An agent's namespace, two others, and the policy that lets agents ask for permissions in these."""

    def __init__(self, client: Server, cluster: Cluster) -> None:
        self.cluster, self.client = cluster, client
        self.home = Place(client)
        self.shop, self.web = Place(client, labels={}), Place(client, labels={})
        self.policy(namespaces=[self.shop.name, self.web.name])

    def policy(self, **permissions: Any) -> None:
        selector = {"matchLabels": {"kubernetes.io/metadata.name": self.home.name}}
        spec = {"namespaceSelector": selector, "permissions": {"maxLevel": "Admin"} | permissions}
        kind = {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentPolicy", "metadata": {"name": self.home.name}}
        self.cluster.apply(kind | {"spec": spec})

    def consent(self, target: Place, value: str | None) -> None:
        body = {"metadata": {"annotations": {CONSENT_ANNOTATION: value}}}
        target.merge_at(f"/api/v1/namespaces/{target.name}", body)

    def agent(self, *targets: Place, name: str = "a", **permissions: Any) -> Manifest:
        rules = [RULES[0] | {"namespaces": [one.name for one in targets]}] if targets else []
        return self.home.agent(name, permissions={"rules": rules} | permissions)

    def given(self, target: Place, agent: str = "a") -> tuple[Manifest, Manifest] | None:
        """The Role and the RoleBinding that an agent has there."""
        name = f"ringfence-{agent}.of.{self.home.name}"
        found = [target.find(kind, name) for kind in ("Role", "RoleBinding")]
        return (found[0], found[1]) if found[0] and found[1] else None

    def wait_given(self, target: Place) -> tuple[Manifest, Manifest]:
        return wait_for("it is given", lambda: self.given(target))

    def nothing(self, target: Place) -> bool:
        """Whether nothing of any agent is left there."""
        return not target.items("Role") and not target.items("RoleBinding")

    def may(self, target: Place | None, verb: str, resource: str, agent: str = "a") -> bool:
        """Whether the agent may do that there; None: in the whole cluster."""
        attributes = {"verb": verb, "resource": resource} | ({"namespace": target.name} if target else {})
        spec = {"user": f"system:serviceaccount:{self.home.name}:ringfence-{agent}", "resourceAttributes": attributes}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        answer = self.client.request(
            "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", json.dumps(body).encode()
        )
        return answer.body["status"].get("allowed") is True

    def wait_may(self, target: Place | None, verb: str, resource: str) -> None:
        wait_for("the API server knows it", lambda: self.may(target, verb, resource))

    def remove(self) -> None:
        for one in (self.home, self.shop, self.web):
            one.remove()
        self.cluster.kubectl("delete", "agentpolicy", self.home.name, "--ignore-not-found")


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
    begun = time.monotonic()
    targets.consent(targets.shop, None)
    wait_for("it is taken away", lambda: targets.nothing(targets.shop))
    assert time.monotonic() - begun < SECONDS
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
    wait_for("counted", lambda: bare.drift(targets.home.name) == 1)
    stripped = dict.fromkeys(role["metadata"]["labels"])
    targets.shop.merge("RoleBinding", name, {"metadata": {"labels": stripped}, "subjects": None})

    def right() -> bool:
        live = targets.shop.get("RoleBinding", name)
        return (live["metadata"]["labels"], live["subjects"]) == (binding["metadata"]["labels"], binding["subjects"])

    wait_for("the RoleBinding", right)
    assert targets.shop.delete("RoleBinding", name).ok
    wait_for("another one", lambda: targets.given(targets.shop))
    wait_for("counted", lambda: bare.drift(targets.home.name) >= 3)


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


def listed(client: Server) -> list[Manifest]:
    found = client.request("GET", path_of("rbac.authorization.k8s.io/v1", "clusterrolebindings", name=READS)).body
    return list(found.get("subjects") or [])


def test_cluster_reads_are_given_and_taken_away(targets: Targets, client: Server, bare: Controller) -> None:
    targets.policy(clusterReads=["nodes", "storageclasses"])
    for name in ("a", "b"):
        targets.agent(name=name, level="Admin", clusterReads=["nodes"])
        targets.home.wait_applied(name)
    targets.wait_may(None, "watch", "nodes")
    assert not targets.may(None, "list", "namespaces")
    assert not targets.may(None, "delete", "nodes")
    assert targets.home.wait_applied()["effectivePermissions"] == ["get,list,watch nodes of the cluster"]
    path = path_of("rbac.authorization.k8s.io/v1", "clusterrolebindings", name=READS)
    client.request("PATCH", path, b'{"subjects": null}', "application/merge-patch+json")
    wait_for(
        "both are listed again",
        lambda: len([one for one in listed(client) if one["namespace"] == targets.home.name]) == 2,
    )
    wait_for("counted", lambda: bare.drift(targets.home.name) >= 1)
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
    path = path_of("rbac.authorization.k8s.io/v1", "clusterrolebindings", name=READS)
    mine = {"kind": "ServiceAccount", "name": "ringfence-a", "namespace": targets.home.name}
    client.request("PATCH", path, json.dumps({"subjects": [mine]}).encode(), "application/merge-patch+json")
    wait_for("it is taken off", lambda: mine not in [{key: one.get(key) for key in mine} for one in listed(client)])


def test_it_goes_with_an_agent_that_went_unseen(
    cluster: Cluster, client: Server, nobody_else: None, lease_namespace: str, replica: Any
) -> None:
    """The controller was away: what is left elsewhere is found at its start."""
    targets = Targets(client, cluster)
    try:
        first = replica(Options(lease_namespace, identity="first")).wait_leading()
        targets.policy(namespaces=[targets.shop.name], clusterReads=["nodes"])
        targets.consent(targets.shop, f"{targets.home.name}=ReadOnly")
        targets.agent(targets.shop, level="Admin", clusterReads=["nodes"])
        targets.agent(targets.shop, name="b")
        targets.wait_given(targets.shop)
        wait_for("b's", lambda: targets.given(targets.shop, "b"))
        wait_for("it is listed", lambda: [one for one in listed(client) if one["namespace"] == targets.home.name])
        assert first.stop() == 0
        targets.home.delete("AgentDeployment", "a")
        wait_for("it is gone", lambda: targets.home.find("AgentDeployment", "a") is None)
        assert targets.given(targets.shop)
        targets.agent(targets.shop)  # another one of its name
        replica(Options(lease_namespace, identity="second")).wait_leading()
        uid = targets.home.get("AgentDeployment", "a")["metadata"]["uid"]

        def anew() -> bool:
            found = targets.given(targets.shop)
            return found is not None and all(
                one["metadata"]["labels"]["ringfence.dev/agent-uid"] == uid for one in found
            )

        wait_for("its own", anew)
        wait_for("not listed", lambda: not [one for one in listed(client) if one["namespace"] == targets.home.name])
        assert targets.given(targets.shop, "b")
    finally:
        targets.remove()
