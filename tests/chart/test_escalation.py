"""The rights of our ServiceAccounts as the API server sees them, and its refusal to let them grow."""

import json
from typing import Any

import pytest

from api.server import Server
from chart.conftest import OPENED
from chart.rendering import NAMESPACE
from cluster import Cluster, CommandFailed

CONTROLLER = f"system:serviceaccount:{NAMESPACE}:ringfence-controller"
ADMISSION = f"system:serviceaccount:{NAMESPACE}:ringfence-admission"
RBAC = "rbac.authorization.k8s.io"
ADMISSION_GROUP = "admissionregistration.k8s.io"

pytestmark = pytest.mark.timeout(120)


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


def _role(rules: list[dict[str, Any]]) -> str:
    metadata = {"name": "ringfence-probe", "namespace": OPENED}
    return json.dumps(
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": rules}
    )


def test_the_api_server_refuses_to_let_the_controller_grant_more_than_the_ceiling(installed: Cluster) -> None:
    too_much = [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["escalate"]},
    ]
    for rule in too_much:
        with pytest.raises(CommandFailed, match="attempting to grant RBAC permissions not currently held"):
            installed.kubectl("create", "--as", CONTROLLER, "--dry-run=server", "-f", "-", stdin=_role([rule]))


def test_and_takes_what_is_below_it(installed: Cluster) -> None:
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
    installed.kubectl("create", "--as", CONTROLLER, "--dry-run=server", "-f", "-", stdin=_role(rules))


def test_a_binding_to_a_stronger_role_is_refused(installed: Cluster) -> None:
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "ringfence-probe", "namespace": OPENED},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": OPENED}],
    }
    with pytest.raises(CommandFailed, match="attempting to grant RBAC permissions not currently held"):
        installed.kubectl("create", "--as", CONTROLLER, "--dry-run=server", "-f", "-", stdin=json.dumps(binding))
