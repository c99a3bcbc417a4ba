"""The cases of e2e/catalogue that come from the tables of the unit tests: written once, tried in both.

What no table has stands in the pack by hand, in files of other names.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from unit.policy import test_decide, test_egress, test_images, test_permissions

FOLDER: Final = "e2e/catalogue/cases"
MARK: Final = "# Made by `make generate` (tools/pack.py) from a table of tests/unit/policy. Do not edit.\n"
RBAC: Final = "rbac.authorization.k8s.io"
MEANT: Final = (1, 2, 13, 14, 18, *range(20, 29), 31, 84, 85)
"""Of the permissions' `B` ids, those whose words mean something to Kubernetes: bound to an agent they would count."""
CLUSTER_SCOPED: Final = (
    "nodes",
    "csinodes",
    "certificatesigningrequests",
    "signers",
    "namespaces",
    "persistentvolumes",
    "clustertrustbundles",
)
CLUSTER_GROUPS: Final = (
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "authentication.k8s.io",
)

Case = tuple[str, str, str, list[Mapping[str, Any]]]
"""What is tried, with its id as the first word; the folder; the rule that Ringfence names; the manifests."""


def files() -> dict[str, str]:
    """Path -> content."""
    found: dict[str, list[str]] = {}
    for label, form, rule, manifests in _cases():
        one, title = _split(label)
        if one:
            path = f"{FOLDER}/{form}/{one.replace(' ', '-')}.yaml"
            found.setdefault(path, []).append(_document(title, rule, manifests))
    return {path: MARK + "".join(documents) for path, documents in found.items()}


def _cases() -> Iterator[Case]:
    for label, asked, rule, _ in test_permissions.CATALOGUE:
        yield label, "agents", rule.value, [_agent({"permissions": {"level": "Critical", "rules": [asked]}})]
        if _meant(label):
            yield label, "bindings", "", _bound(asked)
    for label, cidrs in test_egress.B70_TO_B73.items():
        yield label, "agents", "EgressUnrestricted", [_reaching(cidrs)]
        yield label, "networkpolicies", "", [_policy(cidrs)]
    for cidr in test_egress.METADATA_NETWORKS:
        yield f"B75 {cidr}", "agents", "EgressMetadata", [_reaching([cidr])]
        yield f"B75 {cidr}", "networkpolicies", "", [_policy([cidr])]
    for label, entry in test_egress.B77_TO_B79.items():
        yield label, "agents", "InvalidField", [_agent({"network": {"egress": [entry]}})]
    for name in filter(None, test_decide.WRONG_NAMES):
        for one in ("B46", "B50"):
            yield f"{one} {name!a}", "agents", "InvalidField", [_agent({}, name)]
    for image in test_images.WITHOUT_DIGEST:
        yield f"B68 {image}", "agents", "ImageNoDigest", [_agent({"image": image})]


def _split(label: str) -> tuple[str, str]:
    """(id, what is tried); no id where the row has none."""
    words = label.split(" ")
    length = 2 if words[0] == "CIS" else 1
    one = " ".join(words[:length])
    return (one, " ".join(words[length:])) if one[0] in "BC" and one[-1].isdigit() else ("", label)


def _meant(label: str) -> bool:
    one, _ = _split(label)
    return one.startswith("CIS") or (one.startswith("B") and int(one[1:]) in MEANT)


def _agent(spec: Mapping[str, Any], name: str = "case") -> Mapping[str, Any]:
    head = {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentDeployment", "metadata": {"name": name}}
    return head | {"spec": {"image": "$IMAGE"} | dict(spec)}


def _reaching(cidrs: Sequence[str]) -> Mapping[str, Any]:
    return _agent({"network": {"egress": [{"cidr": cidr, "ports": [443]} for cidr in cidrs]}})


def _policy(cidrs: Sequence[str]) -> Mapping[str, Any]:
    to = [{"ipBlock": {"cidr": cidr}} for cidr in cidrs]
    spec = {
        "podSelector": {"matchLabels": {"$LABEL_KEY": "$LABEL_VALUE"}},
        "policyTypes": ["Egress"],
        "egress": [{"to": to, "ports": [{"protocol": "TCP", "port": 443}]}],
    }
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "case"}, "spec": spec}


def _bound(asked: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A role and its binding to the agent, in the namespace unless what it names has none."""
    everywhere = any(one.partition("/")[0] in CLUSTER_SCOPED for one in asked["resources"])
    everywhere = everywhere or any(group in CLUSTER_GROUPS for group in asked["apiGroups"])
    prefix, name = ("Cluster", "catalogue-case") if everywhere else ("", "case")
    head = {"apiVersion": f"{RBAC}/v1", "metadata": {"name": name}}
    subject = {"kind": "ServiceAccount", "name": "$SERVICEACCOUNT", "namespace": "$NAMESPACE"}
    role = {"apiGroup": RBAC, "kind": f"{prefix}Role", "name": name}
    return [
        head | {"kind": f"{prefix}Role", "rules": [dict(asked)]},
        head | {"kind": f"{prefix}RoleBinding", "roleRef": role, "subjects": [subject]},
    ]


def _document(title: str, rule: str, manifests: Sequence[Mapping[str, Any]]) -> str:
    """One document: the runner tries what stands in it at once, so several manifests are a List."""
    body = manifests[0] if len(manifests) == 1 else {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
    told = f"# rule: {rule}\n" if rule else ""
    return f"---\n# case: {title}\n{told}" + yaml.dump(body, sort_keys=False, width=120, Dumper=_Plain)


class _Plain(yaml.SafeDumper):
    """Without anchors: each manifest can be copied out."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - as the base class has it
        return True
