"""The rights of our ServiceAccounts as the API server sees them, and its refusal to let them grow."""

import json
from itertools import product
from typing import Any

import pytest

from api.server import Server
from chart.conftest import OPENED
from chart.rendering import NAMESPACE, render
from cluster import Cluster, CommandFailed
from cluster.shell import wait_for
from ringfence.api.names import CEILING_BINDING
from ringfence.policy.atoms import Atom
from ringfence.policy.levels import CEILING, VERB_ORDER, ceiling_rules
from ringfence.resources import build_ceiling

CONTROLLER = f"system:serviceaccount:{NAMESPACE}:ringfence-controller"
ADMISSION = f"system:serviceaccount:{NAMESPACE}:ringfence-admission"
RBAC = "rbac.authorization.k8s.io"
CONTROLLER_ROLE = "ringfence-controller"
MERGE = "application/merge-patch+json"
CLOSED = "default"
"""A namespace that nobody opened to agents."""
ADMISSION_GROUP = "admissionregistration.k8s.io"


@pytest.mark.parametrize("user", [CONTROLLER, ADMISSION])
@pytest.mark.parametrize(
    "asked",
    [
        ("*", "*", "*", {}),
        ("get", "", "secrets", {}),
        ("list", "", "secrets", {}),
        ("watch", "", "secrets", {}),
        ("create", "", "secrets", {"namespace": OPENED}),
        ("get", "", "secrets", {"namespace": NAMESPACE, "name": "another"}),
        ("list", "", "secrets", {"namespace": NAMESPACE}),
        ("escalate", RBAC, "clusterroles", {}),
        ("escalate", RBAC, "roles", {"namespace": OPENED}),
        ("bind", RBAC, "clusterroles", {}),
        ("bind", RBAC, "clusterroles", {"name": "cluster-admin"}),
        ("bind", RBAC, "roles", {"namespace": OPENED}),
        # What agents may be given is held where agents are let in, and only once the controller bound it there.
        ("create", "", "configmaps", {"namespace": CLOSED}),
        ("get", "", "configmaps", {"namespace": NAMESPACE}),
        ("delete", "coordination.k8s.io", "leases", {"namespace": "kube-system"}),
        ("deletecollection", "batch", "jobs", {}),
        ("impersonate", "", "users", {}),
        ("impersonate", "", "serviceaccounts", {}),
        ("create", RBAC, "clusterroles", {}),
        ("create", RBAC, "clusterrolebindings", {}),
        ("create", "", "pods", {"namespace": OPENED}),
        ("create", "", "pods", {"namespace": OPENED, "subresource": "exec"}),
        ("create", "", "serviceaccounts", {"namespace": NAMESPACE, "subresource": "token"}),
        ("get", "", "nodes", {"subresource": "proxy"}),
        ("patch", ADMISSION_GROUP, "validatingwebhookconfigurations", {"name": "another"}),
        ("delete", ADMISSION_GROUP, "validatingwebhookconfigurations", {"name": "ringfence"}),
        ("create", ADMISSION_GROUP, "validatingwebhookconfigurations", {}),
        ("patch", ADMISSION_GROUP, "validatingadmissionpolicies", {"name": "ringfence-floor"}),
        ("patch", "", "namespaces", {"name": OPENED}),
        ("delete", "ringfence.dev", "agentdeployments", {}),
        ("update", "ringfence.dev", "agentdeployments", {}),
        ("update", "ringfence.dev", "agentpolicies", {}),
    ],
)
def test_may_not(installed: Cluster, server: Server, user: str, asked: tuple[str, str, str, dict[str, str]]) -> None:
    verb, group, resource, more = asked
    attributes = {"verb": verb, "group": group, "resource": resource} | more
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        # The groups that a service account's token brings along.
        "spec": {
            "user": user,
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"],
            "resourceAttributes": attributes,
        },
    }
    answer = server.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", json.dumps(review).encode())
    assert answer.body["status"].get("allowed") is False


def _role(rules: list[dict[str, Any]], namespace: str = OPENED) -> str:
    metadata = {"name": "ringfence-probe", "namespace": namespace}
    return json.dumps(
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": rules}
    )


def _ceiling(namespace: str = OPENED, **changes: Any) -> str:
    return json.dumps(build_ceiling(namespace, (NAMESPACE, "ringfence-controller")) | changes)


def _as_controller(cluster: Cluster, manifest: str) -> None:
    """Create without storing."""
    cluster.kubectl("create", "--as", CONTROLLER, "--dry-run=server", "-f", "-", stdin=manifest)


@pytest.fixture(scope="module")
def opened(installed: Cluster) -> Cluster:
    """With the binding in the opened namespace, as the controller makes it; with the guards at work."""
    wrong = _ceiling(subjects=[])
    wait_for("the guard", lambda: "guard-ceiling" in _refusal(installed, wrong))
    installed.kubectl("create", "--as", CONTROLLER, "-f", "-", stdin=_ceiling())
    wait_for("the binding is known", lambda: _refusal(installed, _role(READING)) == "")
    return installed


def _refusal(cluster: Cluster, manifest: str) -> str:
    try:
        _as_controller(cluster, manifest)
    except CommandFailed as failure:
        return str(failure)
    return ""


READING = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]


def test_without_its_binding_the_controller_can_give_nothing(installed: Cluster) -> None:
    for namespace in (OPENED, CLOSED, "kube-system"):
        with pytest.raises(CommandFailed, match="attempting to grant RBAC permissions not currently held"):
            _as_controller(installed, _role(READING, namespace))


def test_it_binds_the_ceiling_where_agents_are_let_in_and_nowhere_else(opened: Cluster) -> None:
    for namespace in (CLOSED, "kube-system", NAMESPACE):
        assert "is not open to agents" in _refusal(opened, _ceiling(namespace))
    opened.kubectl("label", "namespace", "default", "ringfence.dev/agents=enabled")
    try:
        assert _refusal(opened, _ceiling("default")) == "", "the label is all that a platform engineer writes"
    finally:
        opened.kubectl("label", "namespace", "default", "ringfence.dev/agents-")


SOMEBODY = {"kind": "ServiceAccount", "name": "default", "namespace": OPENED}
ITSELF = {"kind": "ServiceAccount", "name": "ringfence-controller", "namespace": NAMESPACE}


@pytest.mark.parametrize(
    "changes",
    [
        {"subjects": [SOMEBODY]},
        {"subjects": [ITSELF, SOMEBODY]},
        {"subjects": [ITSELF | {"namespace": OPENED}]},
        {"subjects": [{"kind": "Group", "name": "system:authenticated", "apiGroup": RBAC}]},
        {"subjects": []},
        {"metadata": {"name": "another", "namespace": OPENED}},
    ],
    ids=["somebody", "and somebody", "another namespace", "everybody", "nobody", "another name"],
)
def test_it_binds_it_to_itself_alone(opened: Cluster, changes: dict[str, Any]) -> None:
    opened.kubectl("create", "namespace", "other")
    opened.kubectl("label", "namespace", "other", "ringfence.dev/agents=enabled")
    try:
        manifest = json.loads(_ceiling("other", **changes))
        manifest["metadata"]["namespace"] = "other"
        assert "guard-" in _refusal(opened, json.dumps(manifest)), "of the ceiling or, of a group, that of groups"
    finally:
        opened.kubectl("delete", "namespace", "other", "--wait=true")


def test_nor_does_a_change_add_to_the_binding(opened: Cluster) -> None:
    controller = Server(opened.server, opened.user_kubeconfig(CONTROLLER))
    path = f"/apis/{RBAC}/v1/namespaces/{OPENED}/rolebindings/{CEILING_BINDING}?dryRun=All"
    for subjects in ([ITSELF, SOMEBODY], [SOMEBODY], []):
        said = controller.request("PATCH", path, json.dumps({"subjects": subjects}).encode(), MERGE).message
        assert "ringfence-guard-ceiling'" in said
    noted = json.dumps({"metadata": {"annotations": {"x": "y"}}}).encode()
    assert controller.request("PATCH", path, noted, MERGE).ok
    controller.close()


def test_it_cannot_bind_it_everywhere_at_once(opened: Cluster) -> None:
    binding = json.loads(_ceiling()) | {"kind": "ClusterRoleBinding", "metadata": {"name": "ringfence-probe"}}
    assert "cannot create resource" in _refusal(opened, json.dumps(binding))


def test_the_api_server_refuses_to_let_the_controller_grant_more_than_the_ceiling(opened: Cluster) -> None:
    too_much = [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["escalate"]},
    ]
    for rule in too_much:
        with pytest.raises(CommandFailed, match="attempting to grant RBAC permissions not currently held"):
            _as_controller(opened, _role([rule]))


def test_and_takes_all_that_is_in_it(opened: Cluster) -> None:
    for rule in ceiling_rules():
        _as_controller(opened, _role([rule]))
    with pytest.raises(CommandFailed, match="attempting to grant RBAC permissions not currently held"):
        _as_controller(opened, _role(READING, CLOSED))


_PODS = ("exec", "attach", "portforward", "proxy", "ephemeralcontainers", "eviction")
_CORE = ["pods", "serviceaccounts", "nodes", "namespaces", "persistentvolumes", "secrets", "services", "users"]
NEVER: dict[str, list[str]] = {
    "": [*_CORE, *(f"pods/{sub}" for sub in _PODS), "serviceaccounts/token", "nodes/proxy", "services/proxy"],
    "apps": ["deployments", "replicasets", "statefulsets", "daemonsets"],
    "batch": ["jobs", "cronjobs"],
    RBAC: ["roles", "rolebindings", "clusterroles", "clusterrolebindings"],
    "networking.k8s.io": ["networkpolicies", "ingresses"],
    ADMISSION_GROUP: ["validatingwebhookconfigurations", "validatingadmissionpolicies"],
    "certificates.k8s.io": ["certificatesigningrequests", "certificatesigningrequests/approval"],
    "ringfence.dev": ["agentdeployments", "agentpolicies", "agentdeployments/status"],
}
"""What `decide` calls an escalation, each in its usual group."""
WILDCARDS = {Atom("*", "*", "*"), Atom("", "*", "get"), Atom("*", "pods", "get"), Atom("", "pods", "*")}


def test_of_what_no_agent_may_get_the_api_server_lets_it_give_what_it_needs_itself(opened: Cluster) -> None:
    """With webhook, floor and `decide` out of the way: beyond the ceiling there are the controller's own rights."""
    verbs = (*VERB_ORDER, "bind", "escalate", "impersonate")
    asked = {Atom(group, one, verb) for group, names in NEVER.items() for one in names for verb in verbs} - CEILING
    (own,) = [one for one in render() if (one["kind"], one["metadata"]["name"]) == ("ClusterRole", CONTROLLER_ROLE)]
    held = {
        Atom(*words)
        for rule in own["rules"]
        if not rule.get("resourceNames")
        for words in product(rule["apiGroups"], rule["resources"], rule["verbs"])
    }
    server = Server(opened.server, opened.user_kubeconfig(CONTROLLER))
    path, given = f"/apis/{RBAC}/v1/namespaces/{OPENED}/roles?dryRun=All", set()
    for atom in asked | WILDCARDS:
        rule = {"apiGroups": [atom.group], "resources": [atom.resource], "verbs": [atom.verb]}
        if server.request("POST", path, _role([rule]).encode()).ok:
            given.add(atom)
    server.close()
    assert given == asked & held
    assert not {atom.resource for atom in given} & {"secrets", "pods/exec", "serviceaccounts/token", "nodes/proxy"}


WIDGETS = {"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": ["get", "list"]}


def _addition(*rules: dict[str, Any], **more: Any) -> str:
    metadata = {"name": "ringfence-probe", "labels": {"ringfence.dev/aggregate-to-ceiling": "true"}}
    head = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": metadata}
    return json.dumps(head | {"rules": list(rules)} | more)


def test_what_an_administrator_adds_for_custom_resources_is_part_of_the_ceiling(opened: Cluster) -> None:
    assert "not currently held" in _refusal(opened, _role([WIDGETS]))
    opened.kubectl("create", "-f", "-", stdin=_addition(WIDGETS))
    try:
        wait_for("it may be given", lambda: _refusal(opened, _role([WIDGETS])) == "")
        assert "not currently held" in _refusal(opened, _role([WIDGETS | {"verbs": ["delete"]}]))
    finally:
        opened.kubectl("delete", "clusterrole", "ringfence-probe")


@pytest.mark.parametrize(
    "rule",
    [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["create"]},
        {"apiGroups": [RBAC], "resources": ["roles"], "verbs": ["get"]},
        {"apiGroups": ["ringfence.dev"], "resources": ["agentdeployments"], "verbs": ["get"]},
        {"apiGroups": ["*"], "resources": ["widgets"], "verbs": ["get"]},
        WIDGETS | {"resources": ["*"]},
        WIDGETS | {"resources": ["*/status"]},
        WIDGETS | {"verbs": ["*"]},
        WIDGETS | {"verbs": ["impersonate"]},
        WIDGETS | {"apiGroups": ["example.com", ""]},
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
    ],
)
def test_nothing_else_is_added_to_it_by_anybody(opened: Cluster, rule: dict[str, Any]) -> None:
    with pytest.raises(CommandFailed, match="guard-ceiling-rules"):
        opened.kubectl("create", "--dry-run=server", "-f", "-", stdin=_addition(WIDGETS, rule))


def test_nor_is_it_added_later(opened: Cluster) -> None:
    opened.kubectl("create", "-f", "-", stdin=_addition(WIDGETS))
    try:
        secrets = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
        change = ("clusterrole", "ringfence-probe", "--type=merge", "--dry-run=server", "-p")
        with pytest.raises(CommandFailed, match="guard-ceiling-rules"):
            opened.kubectl("patch", *change, json.dumps({"rules": [WIDGETS, secrets]}))
        opened.kubectl("patch", *change, json.dumps({"rules": [WIDGETS | {"verbs": ["get"]}]}))
    finally:
        opened.kubectl("delete", "clusterrole", "ringfence-probe")


def test_nor_what_grows_by_itself(opened: Cluster) -> None:
    everything = {"clusterRoleSelectors": [{"matchLabels": {"rbac.authorization.k8s.io/aggregate-to-admin": "true"}}]}
    with pytest.raises(CommandFailed, match="guard-ceiling-rules"):
        opened.kubectl("create", "--dry-run=server", "-f", "-", stdin=_addition(aggregationRule=everything))


def test_a_binding_to_a_stronger_role_is_refused(opened: Cluster) -> None:
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "ringfence-probe", "namespace": OPENED},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": OPENED}],
    }
    with pytest.raises(CommandFailed, match="attempting to grant RBAC permissions not currently held"):
        _as_controller(opened, json.dumps(binding))
