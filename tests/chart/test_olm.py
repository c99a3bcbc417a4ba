"""The bundle for the Operator Lifecycle Manager: the chart's rights, and nothing of the chart lost on the way."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tools.release import olm
from tools.release.source import Source
from tools.release.trees import Tree

from chart.rendering import IMAGE, ROOT, render

NAME = f"registry.example/platform/ringfence@sha256:{'0' * 64}"
CSV = "manifests/ringfence.clusterserviceversion.yaml"


@pytest.fixture(scope="module")
def tree() -> Tree:
    return olm.bundle(Source(Path(ROOT), "0.1.0", "0" * 40, 1_700_000_000), NAME)


@pytest.fixture(scope="module")
def csv(tree: Tree) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(tree[CSV].content)
    return found


def _given(rules: list[dict[str, Any]]) -> set[str]:
    return {json.dumps(rule, sort_keys=True) for rule in rules}


@pytest.mark.parametrize("kind", ["ClusterRole", "Role"])
def test_each_account_gets_what_the_chart_gives_it(csv: dict[str, Any], kind: str) -> None:
    key = "clusterPermissions" if kind == "ClusterRole" else "permissions"
    told = {one["serviceAccountName"]: _given(one["rules"]) for one in csv["spec"]["install"]["spec"][key]}
    manifests = [one for one in render(*IMAGE) if one["metadata"].get("namespace", olm.NAMESPACE) == olm.NAMESPACE]
    roles = {one["metadata"]["name"]: one for one in manifests if one["kind"] == kind}
    wanted: dict[str, set[str]] = {}
    for one in manifests:
        if (
            one["kind"] == f"{kind}Binding"
            and one["roleRef"]["kind"] == kind
            and "rules" in roles.get(one["roleRef"]["name"], {})
        ):
            for subject in one.get("subjects") or []:
                if subject["name"] != "ringfence-test" and subject["kind"] == "ServiceAccount":
                    wanted.setdefault(subject["name"], set()).update(_given(roles[one["roleRef"]["name"]]["rules"]))
    assert {name: rules for name, rules in told.items() if rules} == {n: r for n, r in wanted.items() if r}
    assert {"ringfence-controller"} <= told.keys()


def test_what_the_bundle_does_not_carry_is_in_the_file_beside_it(tree: Tree, csv: dict[str, Any]) -> None:
    beside = [one for one in yaml.safe_load_all(tree[olm.BESIDE].content) if one]
    kinds = {one["kind"] for one in beside}
    assert {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration"} <= kinds
    assert {"NetworkPolicy", "ConfigMap"} <= kinds
    assert not kinds & {"Deployment", "ServiceAccount"}
    names = {(one["kind"], one["metadata"]["name"]) for one in beside}
    assert ("ClusterRole", "ringfence-agent-ceiling") in names
    deployed = {one["name"] for one in csv["spec"]["install"]["spec"]["deployments"]}
    assert deployed == {"ringfence-controller", "ringfence-admission", "ringfence-canary"}


def test_it_names_the_image_the_kinds_and_its_limits(tree: Tree, csv: dict[str, Any]) -> None:
    assert csv["metadata"]["annotations"]["containerImage"] == NAME
    assert [one["image"] for one in csv["spec"]["relatedImages"]] == [NAME]
    owned = {one["name"] for one in csv["spec"]["customresourcedefinitions"]["owned"]}
    assert owned == {"agentdeployments.ringfence.dev", "agentpolicies.ringfence.dev"}
    assert {f"manifests/{name}.crd.yaml" for name in owned} <= tree.keys()
    assert olm.BESIDE in csv["spec"]["description"]
    found = json.loads(csv["metadata"]["annotations"]["alm-examples"])
    assert {one["kind"] for one in found} == {"AgentDeployment", "AgentPolicy"}
