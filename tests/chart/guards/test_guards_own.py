"""The guards of what Ringfence itself consists of; and how an administrator gets past all guards."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.controller.place import Place
from api.server import Answer
from chart.guards.asking import APPS, BATCH, CERTIFICATE, DIGEST, HERE, RBAC, WEBHOOKS, Somebody, passed, paths, refused
from chart.guards.test_guards_others import manifests
from chart.rendering import CHART, IMAGE, NAMESPACE, of_kind
from chart.test_registration import some_ca
from cluster import Cluster, programs
from cluster.shell import run, wait_for

NODE = "system:node:some-node"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
REGISTERED = "/apis/admissionregistration.k8s.io/v1"


PARTS = {
    "Deployment": (f"{APPS}/namespaces/{NAMESPACE}/deployments/ringfence-controller", {"spec": {"replicas": 0}}),
    "its scale": (f"{APPS}/namespaces/{NAMESPACE}/deployments/ringfence-admission/scale", {"spec": {"replicas": 0}}),
    "the canary's scale": (
        f"{APPS}/namespaces/{NAMESPACE}/deployments/ringfence-canary/scale",
        {"spec": {"replicas": 0}},
    ),
    "ServiceAccount": (f"{HERE}/serviceaccounts/ringfence-controller", {"metadata": {"annotations": {"x": "y"}}}),
    "Service": (f"{HERE}/services/ringfence-admission", {"spec": {"selector": {"app": "mine"}}}),
    "ConfigMap": (f"{HERE}/configmaps/ringfence-registration", {"data": {"registration.json": "[]"}}),
    "Secret": (CERTIFICATE, {"stringData": {"tls.key": "mine"}}),
    "NetworkPolicy": (
        f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies/ringfence-deny",
        {"spec": {"egress": [{}]}},
    ),
    "PodDisruptionBudget": (
        f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets/ringfence-admission",
        {"metadata": {"labels": None}},
    ),
    "Role": (f"{RBAC}/namespaces/{NAMESPACE}/roles/ringfence-controller", {"rules": []}),
    "RoleBinding": (f"{RBAC}/namespaces/{NAMESPACE}/rolebindings/ringfence-controller", {"metadata": {"labels": None}}),
    "ClusterRole": (f"{RBAC}/clusterroles/ringfence-controller", {"rules": []}),
    "the ceiling": (f"{RBAC}/clusterroles/ringfence-agent-ceiling", {"metadata": {"labels": None}}),
    "what fills the ceiling": (f"{RBAC}/clusterroles/ringfence-agent-permissions", {"rules": []}),
    "the role for Secrets": (f"{RBAC}/clusterroles/ringfence-secrets", {"rules": []}),
    "the webhook's role": (f"{RBAC}/clusterroles/ringfence-admission", {"rules": []}),
    "ClusterRoleBinding": (f"{RBAC}/clusterrolebindings/ringfence-controller", {"subjects": []}),
    "the agents' kind": (f"{CRDS}/agentdeployments.ringfence.dev", {"metadata": {"annotations": {"x": "y"}}}),
    "the policies' kind": (f"{CRDS}/agentpolicies.ringfence.dev", {"metadata": {"annotations": {"x": "y"}}}),
}


@pytest.mark.parametrize("what", PARTS)
def test_a_part_is_changed_by_who_may_change_the_guards(
    certificate: str, strong: Somebody, admin: Somebody, what: str
) -> None:
    path, change = PARTS[what]
    others = {"Deployment", "RoleBinding"}  # for these there is another guard, too, and either may answer first
    refused(strong.merge(path, change), "Ringfence" if what in others else "is a part of Ringfence")
    passed(admin.merge(path, change))
    if not what.endswith("scale"):
        refused(strong.delete(path), "is a part of Ringfence")
        collection, _, name = path.rpartition("/")
        refused(strong.delete(f"{collection}?fieldSelector=metadata.name%3D{name}"), "is a part of Ringfence")
        passed(admin.delete(path))


def test_others_beside_it_are_not(strong: Somebody) -> None:
    passed(strong.create(f"{HERE}/secrets", {"metadata": {"name": "other"}}))
    passed(strong.create(f"{HERE}/configmaps", {"metadata": {"name": "ringfence-note"}}))
    passed(strong.create(f"{RBAC}/clusterroles", {"metadata": {"name": "other"}, "rules": []}))
    passed(strong.create(f"{APPS}/namespaces/{NAMESPACE}/deployments", deployment("default")))
    labelled = {
        "metadata": {
            "name": "x",
            "labels": {"app.kubernetes.io/name": "ringfence", "app.kubernetes.io/instance": "ringfence"},
        }
    }
    refused(strong.create(f"{HERE}/services", labelled | {"spec": {"ports": [{"port": 1}]}}))
    passed(strong.create("/api/v1/namespaces/default/services", labelled | {"spec": {"ports": [{"port": 1}]}}))


def by_helm(cluster: Cluster, who: str, *words: str) -> str:
    """What helm says to somebody in the release namespace; empty where it did as told."""
    env = {**cluster.env, "KUBECONFIG": str(cluster.user_kubeconfig(who))}
    done = subprocess.run(
        [programs.tools() / "helm", "-n", NAMESPACE, *words], env=env, capture_output=True, text=True, check=False
    )
    return done.stderr if done.returncode else ""


def test_who_deploys_beside_it_does_not_change_it(
    guarded: Cluster, strong: Somebody, admin: Somebody, tmp_path: Path
) -> None:
    """By helm, with all rights in the cluster but those on guards: another release comes and goes, this one stays."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "shop", "version": "0.1.0"}))
    (tmp_path / "templates" / "all.yaml").write_text(yaml.safe_dump_all(manifests()))
    for words in (("install", "shop", tmp_path), ("upgrade", "shop", tmp_path), ("uninstall", "shop")):
        assert by_helm(guarded, "strong", *map(str, words)) == ""

    def parts() -> dict[str, str]:
        label = "app.kubernetes.io/part-of=ringfence"
        kinds = "deployment,service,serviceaccount,configmap,role,rolebinding,networkpolicy,pdb,clusterrole,"
        kinds += "clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding"
        listed = json.loads(guarded.kubectl("get", kinds, "-n", NAMESPACE, "-l", label, "-o", "json"))["items"]
        return {f"{one['kind']}/{one['metadata']['name']}": one["metadata"]["uid"] for one in listed}

    before = parts()
    assert len(before) > len(PARTS)
    changed = (
        "upgrade",
        "ringfence",
        str(CHART),
        *IMAGE,
        "--set",
        "floor.enabled=false",
        "--set",
        "controller.replicas=1",
    )
    assert "ringfence-guard-own" in by_helm(guarded, "strong", *changed)
    assert parts() == before
    found = admin.server.request("GET", f"{APPS}/namespaces/{NAMESPACE}/deployments/ringfence-controller").body
    assert found["spec"]["replicas"] == 2


def pod(account: str) -> dict[str, Any]:
    container = {
        "name": "c",
        "image": DIGEST,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "runAsUser": 1, "seccompProfile": {"type": "RuntimeDefault"}}
    return {"serviceAccountName": account, "containers": [container], "securityContext": security}


def deployment(account: str) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "x"}}, "spec": pod(account)}
    return {"metadata": {"name": "x"}, "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": template}}


def cron_job(account: str) -> dict[str, Any]:
    spec = {"template": {"spec": pod(account) | {"restartPolicy": "Never"}}}
    return {"metadata": {"name": "x"}, "spec": {"schedule": "0 0 * * *", "jobTemplate": {"spec": spec}}}


@pytest.mark.parametrize("account", ["ringfence-controller", "ringfence-admission"])
def test_nothing_else_runs_as_ringfence(strong: Somebody, admin: Somebody, account: str) -> None:
    def bodies(account: str) -> dict[str, dict[str, Any]]:
        apps, batch = f"{APPS}/namespaces/{NAMESPACE}", f"{BATCH}/namespaces/{NAMESPACE}"
        job = cron_job(account)["spec"]["jobTemplate"]
        template = {"metadata": {"name": "x"}, "template": deployment(account)["spec"]["template"]}
        return {
            f"{HERE}/pods": {"metadata": {"name": "x"}, "spec": pod(account)},
            f"{HERE}/podtemplates": template,
            f"{apps}/deployments": deployment(account),
            f"{apps}/replicasets": deployment(account),
            f"{apps}/daemonsets": deployment(account),
            f"{batch}/jobs": {"metadata": {"name": "x"}} | job,
            f"{batch}/cronjobs": cron_job(account),
        }

    for path, body in bodies(account).items():
        refused(strong.create(path, body), "has its rights")
        passed(admin.create(path, body))
    for path, body in bodies("default").items():
        passed(strong.create(path, body))


def test_its_pods_stay_as_they_are(guarded: Cluster, strong: Somebody, admin: Somebody) -> None:
    def ours() -> list[str]:
        items = admin.server.request("GET", f"{HERE}/pods?labelSelector=app.kubernetes.io/component%3Dcontroller").body[
            "items"
        ]
        return [one["metadata"]["name"] for one in items]

    name = (wait_for("its pods", ours) or [""])[0]
    added = {"spec": {"ephemeralContainers": [pod("x")["containers"][0] | {"name": "e"}]}}
    for path, change in (("", {"metadata": {"labels": None}}), ("/ephemeralcontainers", added)):
        refused(strong.merge(f"{HERE}/pods/{name}{path}", change), "has its rights")
    for way in ("exec?command=id", "attach"):
        refused(strong.server.request("GET", f"{HERE}/pods/{name}/{way}"), "gives the rights of Ringfence")
        assert "guard" not in admin.server.request("GET", f"{HERE}/pods/{name}/{way}").message
    passed(strong.delete(f"{HERE}/pods/{name}"))
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    passed(strong.create(f"{HERE}/pods/{name}/eviction", eviction))


def test_its_tokens_are_made_by_kubelets(guarded: Cluster, strong: Somebody, admin: Somebody) -> None:
    asked: dict[str, Any] = {"spec": {"audiences": [], "expirationSeconds": 3600}}
    for account in ("ringfence-controller", "ringfence-admission"):
        path = f"{HERE}/serviceaccounts/{account}/token"
        refused(strong.create(path, asked), "rights of Ringfence")
        passed(admin.create(path, asked))
        owner = {"name": "t", "annotations": {"kubernetes.io/service-account.name": account}}
        refused(strong.create(f"{HERE}/secrets", {"metadata": owner, "type": "kubernetes.io/service-account-token"}))
    passed(strong.create(f"{HERE}/serviceaccounts/default/token", asked))


def test_nobody_adds_to_its_rights(place: Place, strong: Somebody, admin: Somebody) -> None:
    """What the controller holds is what it can give."""
    group = {"apiGroup": "rbac.authorization.k8s.io"}
    role = group | {"kind": "ClusterRole", "name": "admin"}
    for subject in (
        {"kind": "ServiceAccount", "name": "ringfence-controller", "namespace": NAMESPACE},
        group | {"kind": "User", "name": f"system:serviceaccount:{NAMESPACE}:ringfence-admission"},
        group | {"kind": "Group", "name": f"system:serviceaccounts:{NAMESPACE}"},
    ):
        body = {"metadata": {"name": "b"}, "roleRef": role, "subjects": [subject]}
        for path in (place.path("RoleBinding"), f"{RBAC}/clusterrolebindings"):
            refused(strong.create(path, body), "is Ringfence: it is bound")
            passed(admin.create(path, body))
    other = {"kind": "ServiceAccount", "name": "other", "namespace": NAMESPACE}
    passed(
        strong.create(f"{RBAC}/clusterrolebindings", {"metadata": {"name": "b"}, "roleRef": role, "subjects": [other]})
    )


def test_kubernetes_asks_no_policy_about_policies(guarded: Cluster, admin: Somebody) -> None:
    """Why nobody guards the guards: a policy that forbids all of it is there, works, and is not asked."""
    rules = [
        {"apiGroups": [group], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"]}
        for group in ("admissionregistration.k8s.io", "scheduling.k8s.io")
    ]
    head = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": "nothing-passes"}}
    spec = {"matchConstraints": {"resourceRules": rules}, "validations": [{"expression": "false"}]}
    bound = {"policyName": "nothing-passes", "validationActions": ["Deny"]}
    guarded.apply(
        head | {"kind": "ValidatingAdmissionPolicy", "spec": spec},
        head | {"kind": "ValidatingAdmissionPolicyBinding", "spec": bound},
    )
    try:
        other = {"metadata": {"name": "x"}, "value": 1}
        wait_for("the policy", lambda: not admin.create("/apis/scheduling.k8s.io/v1/priorityclasses", other).ok)
        for plural in ("validatingadmissionpolicies", "validatingadmissionpolicybindings"):
            passed(admin.delete(f"{REGISTERED}/{plural}/ringfence-guard-children"))
        refused_by_it = admin.create(WEBHOOKS, {"metadata": {"name": "x"}, "webhooks": []})
        assert "nothing-passes" in refused_by_it.message, "it is asked about webhooks"
    finally:
        guarded.kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", "nothing-passes")


WEBHOOK = f"{WEBHOOKS}/ringfence"
PATCH = "application/json-patch+json"
BLUNT: list[dict[str, Any]] = [
    {"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"},
    {"op": "replace", "path": "/webhooks/0/matchPolicy", "value": "Exact"},
    {"op": "replace", "path": "/webhooks/0/timeoutSeconds", "value": 1},
    {"op": "add", "path": "/webhooks/0/matchConditions", "value": [{"name": "never", "expression": "false"}]},
    {"op": "replace", "path": "/webhooks/0/namespaceSelector", "value": {"matchLabels": {"never": "there"}}},
    {"op": "replace", "path": "/webhooks/0/objectSelector", "value": {"matchLabels": {"never": "there"}}},
    {"op": "replace", "path": "/webhooks/0/clientConfig/service/name", "value": "mine"},
    {"op": "replace", "path": "/webhooks/0/clientConfig", "value": {"url": "https://mine.example"}},
    {"op": "remove", "path": "/webhooks/0/rules/0"},
    {"op": "copy", "from": "/webhooks/0", "path": "/webhooks/1"},
    {"op": "remove", "path": "/webhooks/0"},
    {"op": "replace", "path": "/metadata/labels", "value": {}},
]


@pytest.fixture(params=["self", "cert-manager"])
def provider(guarded: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """Who makes the certificate. The webhook is registered; the guard is the one of such an installation."""
    helm(guarded)
    found = of_kind("ValidatingAdmissionPolicy", "--set", f"certificates.provider={request.param}")
    guarded.apply(found["ringfence-guard-own"])
    yield request.param
    helm(guarded)
    guarded.kubectl("delete", "validatingwebhookconfiguration", "ringfence")


def test_nobody_blunts_the_webhook(guarded: Cluster, strong: Somebody, admin: Somebody, provider: str) -> None:
    def ask(who: Somebody, change: dict[str, Any]) -> Answer:
        rename = {"op": "replace", "path": "/webhooks/1/name", "value": "b.example.com"}
        changes = [change, rename] if change["op"] == "copy" else [change]
        return who.ask("PATCH", WEBHOOK, changes, PATCH)

    authority = {"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": some_ca(guarded)}
    if provider == "cert-manager":  # its injector has a name of its own
        wait_for("the guard", lambda: ask(strong, authority).ok)
    else:
        refused(ask(strong, authority), "is a part of Ringfence")
    for change in BLUNT:
        refused(ask(strong, change), "is a part of Ringfence")
        passed(ask(admin, change))
    refused(strong.delete(WEBHOOK), "is a part of Ringfence")


# --- an administrator gets past all of it


def helm(cluster: Cluster, *values: str) -> None:
    """As docs/how-to/break-glass.md says it."""
    options = [*(word for value in ("floor.enabled=false", *values) for word in ("--set", value)), "--force-conflicts"]
    run(["helm", "-n", NAMESPACE, "upgrade", "ringfence", str(CHART), *IMAGE, *options], env=cluster.env)


def test_break_glass(guarded: Cluster, place: Place, admin: Somebody) -> None:
    """With a webhook that is registered, by the upgrade, and dead."""
    helm(guarded)
    try:
        path, scale = f"{paths(place)['Deployment']}/scale", {"spec": {"replicas": 5}}
        refused(admin.merge(path, scale), "ringfence-guard-scale")
        guarded.kubectl("delete", "validatingadmissionpolicybinding", "ringfence-guard-scale")
        wait_for("the edit", lambda: admin.merge(path, scale).ok)
        stop = {"spec": {"suspended": True}}
        assert "failed calling webhook" in admin.merge(place.path("AgentDeployment", "a"), stop).message
        ignoring = [{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]
        guarded.kubectl(
            "patch", "validatingwebhookconfiguration", "ringfence", "--type=json", "-p", json.dumps(ignoring)
        )
        wait_for("the agent's change", lambda: admin.merge(place.path("AgentDeployment", "a"), stop).ok)
        helm(guarded)
        wait_for("the guard", lambda: not admin.merge(path, scale).ok)
        assert guarded.get("validatingwebhookconfiguration/ringfence")["webhooks"][0]["failurePolicy"] == "Fail"
    finally:
        guarded.kubectl("delete", "validatingwebhookconfiguration", "ringfence")


def test_all_guards_can_be_taken_away_at_once(guarded: Cluster, place: Place, admin: Somebody) -> None:
    """And nothing keeps an administrator from removing all of Ringfence: by helm, at the end of this module."""
    label = "app.kubernetes.io/component=guard"
    guarded.kubectl("delete", "validatingadmissionpolicybinding", "-l", label)
    wait_for("the edits", lambda: all(admin.delete(path).ok for path in paths(place).values()))
    helm(guarded)
    guarded.kubectl("delete", "validatingwebhookconfiguration", "ringfence")
    wait_for(
        "the guards",
        lambda: (
            not any(admin.delete(path).ok for path in paths(place).values() if "persistentvolumeclaims" not in path)
        ),
    )
