"""The bundle of the Operator Lifecycle Manager: a ClusterServiceVersion made from what the chart renders, and the CRDs.

A bundle cannot carry admission policies, NetworkPolicies or a fixed webhook registration: they go into a file of their
own, which is applied before. Without it the controller says that its guards are missing.
"""

import json
from collections.abc import Iterable
from typing import Any, Final

import yaml

from cluster import programs
from cluster.shell import run

from .image import created
from .source import Source
from .trees import Node, Tree

NAMESPACE: Final = "ringfence-system"
_RIGHTS: Final = {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ServiceAccount", "Deployment"}
BESIDE: Final = "required.yaml"
_PART: Final = "app.kubernetes.io/component"
_WORDS: Final = f"""\
Ringfence puts a fence around every AI agent on Kubernetes: no network, no API rights and no keys beyond what its
AgentDeployment asks for and the platform's AgentPolicy allows.

Before this bundle is installed, into namespace {NAMESPACE}, apply `{BESIDE}` of the release: the admission policies,
the webhook's registration and the NetworkPolicies, which a bundle cannot carry.
"""
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""In C it is ten times as fast."""
Manifest = dict[str, Any]


def rendered(source: Source, image: str) -> list[Manifest]:
    """What the chart makes with its default values, without hooks and without what `helm test` needs."""
    repository, _, digest = image.partition("@")
    values = ["--set", f"image.repository={repository}", "--set", f"image.digest={digest}"]
    chart = source.root / "charts/ringfence"
    words = ["template", "ringfence", str(chart), "-n", NAMESPACE, "--no-hooks", "--skip-tests", *values]
    text = run([programs.tools() / "helm", *words])
    return [one for one in yaml.load_all(text, _LOADER) if one and one["metadata"]["labels"].get(_PART) != "test"]


def bundle(source: Source, image: str) -> Tree:
    """The files of the bundle, and what has to be applied beside it."""
    found = rendered(source, image)
    owned = [
        one
        for path in sorted((source.root / "crds").glob("*.yaml"))
        for one in yaml.load_all(path.read_text(), _LOADER)
    ]
    version = csv(source, image, found, owned, created(source))
    beside = [one for one in found if not _carried(one, found)]
    annotations = {
        "operators.operatorframework.io.bundle.mediatype.v1": "registry+v1",
        "operators.operatorframework.io.bundle.manifests.v1": "manifests/",
        "operators.operatorframework.io.bundle.metadata.v1": "metadata/",
        "operators.operatorframework.io.bundle.package.v1": "ringfence",
        "operators.operatorframework.io.bundle.channels.v1": "alpha",
        "operators.operatorframework.io.bundle.channel.default.v1": "alpha",
    }
    tree = {
        "manifests/ringfence.clusterserviceversion.yaml": version,
        "metadata/annotations.yaml": {"annotations": annotations},
    } | {f"manifests/{one['metadata']['name']}.crd.yaml": one for one in owned}
    files = {name: Node(_yaml([one]).encode()) for name, one in tree.items()}
    return files | {BESIDE: Node(_yaml(beside).encode())}


def csv(source: Source, image: str, found: list[Manifest], owned: list[Manifest], time: str) -> Manifest:
    """The ClusterServiceVersion."""
    accounts = sorted(one["metadata"]["name"] for one in found if one["kind"] == "ServiceAccount")
    deployments = [one for one in found if one["kind"] == "Deployment"]
    install = {
        "clusterPermissions": _permissions(found, accounts, "ClusterRoleBinding"),
        "permissions": _permissions(found, accounts, "RoleBinding"),
        "deployments": [
            {"name": one["metadata"]["name"], "label": one["metadata"]["labels"], "spec": one["spec"]}
            for one in deployments
        ],
    }
    return {
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "ClusterServiceVersion",
        "metadata": {
            "name": f"ringfence.v{source.version}",
            "namespace": "placeholder",
            "annotations": {
                "capabilities": "Basic Install",
                "categories": "Security",
                "containerImage": image,
                "createdAt": time,
                "operatorframework.io/suggested-namespace": NAMESPACE,
                "alm-examples": json.dumps(_examples(source)),
            },
            "labels": {
                "operatorframework.io/arch.amd64": "supported",
                "operatorframework.io/arch.arm64": "supported",
            },
        },
        "spec": {
            "displayName": "Ringfence",
            "description": _WORDS,
            "version": source.version,
            "maturity": "alpha",
            "minKubeVersion": "1.31.0",
            "keywords": ["security", "ai-agents", "networkpolicy", "rbac", "admission"],
            "provider": {"name": "Ringfence"},
            "installModes": [
                {"type": kind, "supported": kind == "AllNamespaces"}
                for kind in ("OwnNamespace", "SingleNamespace", "MultiNamespace", "AllNamespaces")
            ],
            "install": {"strategy": "deployment", "spec": install},
            "customresourcedefinitions": {"owned": [_owned(one) for one in owned]},
            "relatedImages": [{"name": "ringfence", "image": image}],
        },
    }


def _permissions(found: list[Manifest], accounts: list[str], kind: str) -> list[Manifest]:
    """Account by account what bindings of a kind give: from the cluster, or from the release namespace."""
    roles = {(one["kind"], one["metadata"]["name"]): one for one in found if _in_reach(one)}
    given: dict[str, list[Manifest]] = {}
    for one in found:
        if one["kind"] == kind and _in_reach(one):
            role = roles.get((one["roleRef"]["kind"], one["roleRef"]["name"]))
            for subject in one.get("subjects") or []:
                if role and subject["kind"] == "ServiceAccount" and subject["name"] in accounts:
                    given.setdefault(subject["name"], []).extend(role.get("rules") or [])
    return [{"serviceAccountName": name, "rules": rules} for name, rules in sorted(given.items())]


def _in_reach(one: Manifest) -> bool:
    namespace: str = one["metadata"].get("namespace", NAMESPACE)
    return namespace == NAMESPACE


def _carried(one: Manifest, found: list[Manifest]) -> bool:
    """Whether the CSV says it already: deployments, their accounts, and roles that nothing but these are given."""
    if one["kind"] not in _RIGHTS or not _in_reach(one):
        return False
    if one["kind"] in {"Deployment", "ServiceAccount"}:
        return True
    if one["kind"].endswith("Binding"):
        subjects = one.get("subjects") or []
        known = {(role["kind"], role["metadata"]["name"]) for role in found}
        return bool(subjects) and (one["roleRef"]["kind"], one["roleRef"]["name"]) in known
    bound = [b for b in found if b.get("roleRef", {}).get("name") == one["metadata"]["name"]]
    return bool(bound) and all(_carried(b, found) for b in bound)


def _owned(crd: Manifest) -> Manifest:
    names = crd["spec"]["names"]
    (version,) = (one for one in crd["spec"]["versions"] if one["storage"])
    return {
        "name": crd["metadata"]["name"],
        "kind": names["kind"],
        "version": version["name"],
        "displayName": names["kind"],
        "description": version["schema"]["openAPIV3Schema"].get("description", names["kind"]),
    }


def _examples(source: Source) -> list[Manifest]:
    """One of each kind."""
    found = {
        one["kind"]: one
        for name in ("01-policy.yaml", "20-minimal.yaml")
        for one in yaml.safe_load_all((source.root / "examples" / name).read_text())
    }
    return [found["AgentPolicy"], found["AgentDeployment"]]


def _yaml(documents: Iterable[Manifest]) -> str:
    return yaml.dump_all(documents, sort_keys=False, width=1000, Dumper=_Plain)


class _Plain(yaml.SafeDumper):
    """Without anchors: what is named twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True
