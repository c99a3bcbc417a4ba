"""The rights of our own pods: no more than they use, and never the means to get more."""

from typing import Any

import pytest

from chart.rendering import render
from ringfence.api.names import CEILING_CLUSTER_ROLE, CEILING_LABEL
from ringfence.resources import CHILD_KINDS
from ringfence.resources.reads import BINDINGS
from ringfence.store.sources import CLUSTER_WIDE, SOURCES, Source

FORBIDDEN_VERBS = {"*", "escalate", "bind", "impersonate"}
"""`bind` but of the ClusterRoles that are made to be bound."""
BOUND = ([CEILING_CLUSTER_ROLE], list(BINDINGS))
READ = {"get", "list", "watch"}


def roles(*args: str) -> list[dict[str, Any]]:
    return [item for item in render(*args) if item["kind"] in {"ClusterRole", "Role"}]


def rules(name: str, kind: str = "ClusterRole") -> list[dict[str, Any]]:
    (role,) = [r for r in roles() if r["kind"] == kind and r["metadata"]["name"] == name and _ours(r)]
    found: list[dict[str, Any]] = role["rules"]
    return found


def _ours(role: dict[str, Any]) -> bool:
    return bool(role["metadata"].get("namespace", "ringfence-system") == "ringfence-system")


def allowed(rule_list: list[dict[str, Any]], group: str, resource: str) -> set[str]:
    """The verbs on all objects of a resource."""
    return {
        verb
        for rule in rule_list
        if group in rule["apiGroups"] and resource in rule["resources"] and not rule.get("resourceNames")
        for verb in rule["verbs"]
    }


def test_no_wildcard_and_no_right_to_get_more(values: tuple[str, ...]) -> None:
    for role in roles(*values):
        for rule in role.get("rules", []):
            where = f"{role['kind']} {role['metadata']['name']}: {rule}"
            forbidden = FORBIDDEN_VERBS & {verb.lower() for verb in rule["verbs"]}
            assert not forbidden or (forbidden == {"bind"} and rule.get("resourceNames") in BOUND), where
            assert not any("*" in text for text in rule["resources"] + rule["apiGroups"]), where
            assert "nonResourceURLs" not in rule, where
            assert rule["verbs"], where


PEOPLE = {
    "ringfence-agents-view": ["rbac.authorization.k8s.io/aggregate-to-view"],
    "ringfence-agents-edit": [
        "rbac.authorization.k8s.io/aggregate-to-edit",
        "rbac.authorization.k8s.io/aggregate-to-admin",
    ],
}
"""What people are given, by way of the cluster's own roles."""


@pytest.mark.parametrize("aggregate", ["true", "false"])
def test_people_get_agents_and_nothing_else(aggregate: str) -> None:
    found = {one["metadata"]["name"]: one for one in roles("--set", f"roles.aggregate={aggregate}")}
    for name, labels in PEOPLE.items():
        role = found[name]
        given = [label for label in role["metadata"]["labels"] if "aggregate-to" in label]
        assert given == (labels if aggregate == "true" else [])
        for rule in role["rules"]:
            assert rule["apiGroups"] == ["ringfence.dev"]
            assert {one.partition("/")[0] for one in rule["resources"]} == {"agentdeployments"}
    assert allowed(found["ringfence-agents-view"]["rules"], "ringfence.dev", "agentdeployments") == READ
    assert not allowed(found["ringfence-agents-edit"]["rules"], "ringfence.dev", "agentdeployments/status")


def test_nothing_else_is_aggregated_but_the_ceiling(values: tuple[str, ...]) -> None:
    for role in roles(*values):
        labels, name = role["metadata"].get("labels", {}), role["metadata"]["name"]
        if name == CEILING_CLUSTER_ROLE:
            selector = {"matchLabels": {CEILING_LABEL: "true"}}
            assert role["aggregationRule"] == {"clusterRoleSelectors": [selector]}
            assert "rules" not in role, "these are written by Kubernetes"
            continue
        assert "aggregationRule" not in role
        wanted = PEOPLE | {"ringfence-agent-permissions": [CEILING_LABEL]}
        assert [label for label in labels if "aggregate-to" in label] == wanted.get(name, [])


def test_secrets_are_out_of_reach_but_for_our_own_certificate(values: tuple[str, ...]) -> None:
    for role in roles(*values):
        for rule in role.get("rules", []):
            if "secrets" not in rule["resources"]:
                continue
            if role["metadata"]["name"] == "ringfence-secrets":
                continue  # a ClusterRole that is bound in single namespaces alone: the tests below
            assert role["kind"] == "Role", "secrets of the whole cluster"
            assert _ours(role)
            # RBAC cannot limit `create` by name.
            assert rule["verbs"] == ["create"] or rule["resourceNames"] == ["ringfence-admission-tls"]


def test_with_cert_manager_no_secret_and_no_registration_is_ours_to_write() -> None:
    with_cert_manager = roles("--set", "certificates.provider=cert-manager")
    bound = [role for role in with_cert_manager if role["metadata"]["name"] != "ringfence-secrets"]
    granted = [rule for role in bound for rule in role.get("rules", [])]
    rights = [(resource, verb) for rule in granted for resource in rule["resources"] for verb in rule["verbs"]]
    assert [verb for resource, verb in rights if resource == "secrets"] == []
    assert [verb for resource, verb in rights if resource == "validatingwebhookconfigurations"] == ["get"]


def test_agents_secrets_are_within_reach_in_the_namespaces_that_are_named_and_nowhere_else() -> None:
    def bindings(*args: str) -> list[dict[str, Any]]:
        return [
            item
            for item in render(*args)
            if item["kind"] in {"ClusterRoleBinding", "RoleBinding"} and item["roleRef"]["name"] == "ringfence-secrets"
        ]

    assert bindings() == []
    found = bindings("--set", "agentNamespaces={team-a,team-b}")
    assert [(item["kind"], item["metadata"]["namespace"]) for item in found] == [
        ("RoleBinding", "team-a"),
        ("RoleBinding", "team-b"),
    ]
    controller = {"kind": "ServiceAccount", "name": "ringfence-controller", "namespace": "ringfence-system"}
    assert all(item["subjects"] == [controller] for item in found)


def test_no_right_lists_secrets_or_watches_them() -> None:
    """Rights on a list are rights on all values; the one to get a Secret is used for metadata, and for what it made."""
    of_secrets, of_pods = rules("ringfence-secrets")
    assert (of_pods["resources"], of_pods["verbs"]) == (["pods"], ["patch"]), "the guard own-pod-updates says which"
    assert of_secrets["resources"] == ["secrets"]
    assert not {"list", "watch", "deletecollection"} & set(of_secrets["verbs"])


def test_only_our_own_registration_can_be_changed() -> None:
    (rule,) = [r for r in rules("ringfence-controller") if "validatingwebhookconfigurations" in r["resources"]]
    assert rule["resourceNames"] == ["ringfence"]
    assert set(rule["verbs"]) <= {"get", "patch", "update"}
    (rule,) = [r for r in rules("ringfence-controller") if "validatingadmissionpolicies" in r["resources"]]
    assert rule["verbs"] == ["list"], "floor and guards are looked at, and never touched"


@pytest.mark.parametrize(
    "resource",
    [
        "nodes/proxy",
        "pods/exec",
        "pods/attach",
        "pods/portforward",
        "serviceaccounts/token",
        "pods/ephemeralcontainers",
    ],
)
def test_nobody_of_ours_gets_into_pods(resource: str, values: tuple[str, ...]) -> None:
    for role in roles(*values):
        assert not any(resource in rule["resources"] for rule in role.get("rules", []))


def test_pods_are_read_and_deleted_and_no_more() -> None:
    """The controller ends what an edited Deployment left behind; it makes no pod, and changes none.

    Of what makes them it reads one at a time, and changes the number.
    """
    assert allowed(rules("ringfence-controller"), "", "pods") == READ | {"delete"}
    assert allowed(rules("ringfence-controller"), "apps", "replicasets") == {"get"}
    assert allowed(rules("ringfence-controller"), "apps", "replicasets/scale") == {"patch"}


def test_the_admission_server_only_reads() -> None:
    for rule in rules("ringfence-admission"):
        if rule["resources"] == ["subjectaccessreviews"]:  # a question that is written as an object, and never stored
            assert rule["verbs"] == ["create"]
            continue
        assert set(rule["verbs"]) <= READ
    bound = [i for i in render() if i["kind"] in {"ClusterRoleBinding", "RoleBinding"}]
    names = [b["roleRef"]["name"] for b in bound if b.get("subjects", [{}])[0].get("name") == "ringfence-admission"]
    assert names == ["ringfence-admission"]


def test_the_controller_asks_who_holds_what_and_grants_nothing_by_it() -> None:
    (rule,) = [r for r in rules("ringfence-controller") if "authorization.k8s.io" in r["apiGroups"]]
    assert (rule["resources"], rule["verbs"]) == (["subjectaccessreviews"], ["create"])


def test_the_ceiling_is_bound_nowhere_by_the_chart_and_the_controller_may_bind_it_alone() -> None:
    manifests = render()
    assert [one for one in manifests if one.get("roleRef", {}).get("name") == CEILING_CLUSTER_ROLE] == []
    assert CEILING_CLUSTER_ROLE in {one["metadata"]["name"] for one in manifests if one["kind"] == "ClusterRole"}
    found = [one for one in rules("ringfence-controller") if "bind" in one["verbs"]]
    group = "rbac.authorization.k8s.io"
    bind = {"apiGroups": [group], "resources": ["clusterroles"], "verbs": ["bind"]}
    assert found == [bind | {"resourceNames": names} for names in BOUND]
    assert allowed(rules("ringfence-controller"), group, "clusterrolebindings") == READ, "never cluster-wide"


def test_cluster_wide_reads_are_bound_to_nobody_and_the_controller_writes_these_bindings_alone() -> None:
    manifests = [one for one in render() if one["metadata"]["name"] in BINDINGS]
    found = {(one["kind"], one["metadata"]["name"]) for one in manifests}
    assert found == {(kind, name) for kind in ("ClusterRole", "ClusterRoleBinding") for name in BINDINGS}
    for one in manifests:
        assert "subjects" not in one
        if one["kind"] == "ClusterRoleBinding":
            assert (one["roleRef"]["kind"], one["roleRef"]["name"]) == ("ClusterRole", one["metadata"]["name"])
            continue
        (rule,) = one["rules"]
        assert (rule["resources"], set(rule["verbs"])) == ([BINDINGS[one["metadata"]["name"]]], READ)
    (rule,) = [
        one
        for one in rules("ringfence-controller")
        if one["resources"] == ["clusterrolebindings"] and one.get("resourceNames")
    ]
    assert (rule["resourceNames"], set(rule["verbs"])) == (list(BINDINGS), {"patch", "update"})


def test_every_subject_is_a_service_account_of_ours(values: tuple[str, ...]) -> None:
    manifests = render(*values)
    accounts = {i["metadata"]["name"] for i in manifests if i["kind"] == "ServiceAccount"}
    for item in manifests:
        for subject in item.get("subjects", []):
            assert subject["kind"] == "ServiceAccount"
            assert subject["name"] in accounts
            assert subject["namespace"] == "ringfence-system"


def test_tokens_are_mounted_by_the_pod_that_says_so(values: tuple[str, ...]) -> None:
    assert all(i["automountServiceAccountToken"] is False for i in render(*values) if i["kind"] == "ServiceAccount")


@pytest.mark.parametrize("kind", CHILD_KINDS)
def test_the_controller_can_write_the_children(kind: str) -> None:
    group_version, plural = CHILD_KINDS[kind].group_version, CHILD_KINDS[kind].plural
    group = group_version.rpartition("/")[0]
    wanted = READ | {"create", "update", "patch", "delete"}
    assert allowed(rules("ringfence-controller"), group, plural) == wanted


@pytest.mark.parametrize("source", CLUSTER_WIDE, ids=lambda source: source.kind)
def test_what_widens_fences_everywhere_can_be_read_and_no_more(source: Source) -> None:
    _, group, *_, plural = source.path.strip("/").split("/")
    assert allowed(rules("ringfence-controller"), group, plural) == READ


@pytest.mark.parametrize("owner", [("ringfence.dev", "agentdeployments"), ("networking.k8s.io", "networkpolicies")])
def test_the_controller_may_have_owners_wait_for_their_children(owner: tuple[str, str]) -> None:
    """What OwnerReferencesPermissionEnforcement asks for; and it is no right on the owner itself."""
    group, plural = owner
    assert allowed(rules("ringfence-controller"), group, f"{plural}/finalizers") == {"update"}


def test_no_other_owner_is_made_to_wait() -> None:
    found = {r for rule in rules("ringfence-controller") for r in rule["resources"] if r.endswith("/finalizers")}
    assert found == {"agentdeployments/finalizers", "networkpolicies/finalizers"}


@pytest.mark.parametrize("process", ["ringfence-controller", "ringfence-admission"])
@pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
def test_what_decisions_need_can_be_read(process: str, source: Source) -> None:
    parts = source.path.strip("/").split("/")
    group = "" if parts[0] == "api" else parts[1]
    assert allowed(rules(process), group, parts[-1]) >= READ
