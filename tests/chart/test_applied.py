"""`helm template | kubectl apply`: for those whose tool renders the chart and applies what comes out."""

import functools
from collections.abc import Iterator

import pytest
import yaml

from chart.conftest import AGENTS, OPENED
from chart.rendering import CHART, IMAGE, NAMESPACE, helm
from cluster import Cluster, CommandFailed
from cluster.shell import wait_for

HOW = ("apply", "--server-side", "-f", "-")


@functools.cache
def text() -> str:
    """What a tool would apply."""
    return helm("template", "ringfence", str(CHART), "-n", NAMESPACE, "--no-hooks", "--skip-tests", *IMAGE)


@pytest.fixture(scope="module")
def applied(cluster: Cluster) -> Iterator[Cluster]:
    cluster.kubectl(*HOW, stdin=text())
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OPENED, "labels": AGENTS}})
    yield cluster
    cluster.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=text())


def _versions(cluster: Cluster) -> dict[str, str]:
    """What is stored: kind and name -> resourceVersion, which a write that changes nothing leaves."""
    items = yaml.safe_load(cluster.kubectl("get", "-f", "-", "-o", "yaml", stdin=text()))["items"]
    # The cluster's own parts write into the status of these; what was applied is in the generation.
    return {
        f"{one['kind']}/{one['metadata']['name']}": str(
            one["metadata"].get("generation") or one["metadata"]["resourceVersion"]
        )
        for one in items
    }


def test_no_hook_is_among_it_and_all_of_it_has_a_place() -> None:
    for one in filter(None, yaml.safe_load_all(text())):
        assert not any(key.startswith("helm.sh/hook") for key in one["metadata"].get("annotations") or {}), one
        assert one["kind"] != "Pod"


def test_applied_again_it_changes_nothing(applied: Cluster) -> None:
    bundle = "Y2VydGlmaWNhdGU="
    applied.kubectl(
        *("patch", "validatingwebhookconfiguration", "ringfence", "--type=json", "--field-manager=ringfence", "-p"),
        f'[{{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": "{bundle}"}}]',
    )
    before = _versions(applied)
    assert len(before) > 30
    applied.kubectl(*HOW, stdin=text())
    assert _versions(applied) == before
    kept = applied.get("validatingwebhookconfiguration", "ringfence")["webhooks"][0]["clientConfig"]["caBundle"]
    assert kept == bundle
    applied.kubectl("diff", "--server-side", "-f", "-", stdin=text())  # exit code 1 is a difference


def test_the_guards_are_in_force(applied: Cluster) -> None:
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": "ringfence-a-allow",
            "namespace": OPENED,
            "labels": {"app.kubernetes.io/managed-by": "ringfence"},
        },
        "spec": {"podSelector": {}},
    }

    def refused() -> bool:
        try:
            applied.kubectl(
                "apply",
                "--dry-run=server",
                "--as=dev",
                "--as-group=system:masters",
                "-f",
                "-",
                stdin=yaml.safe_dump(policy),
            )
        except CommandFailed as told:
            return "ValidatingAdmissionPolicy" in told.output
        return False

    wait_for("the guards to be in force", refused)


def test_a_developer_has_agents_by_the_clusters_own_roles(applied: Cluster) -> None:
    for role in ("view", "edit"):
        applied.kubectl(
            "create", "rolebinding", f"devs-{role}", "-n", OPENED, f"--clusterrole={role}", f"--user={role}er"
        )

    def can(user: str, *words: str) -> bool:
        try:
            return applied.kubectl("auth", "can-i", *words, "-n", OPENED, f"--as={user}").strip() == "yes"
        except CommandFailed:
            return False

    wait_for("the roles to be put together", lambda: can("editer", "create", "agentdeployments.ringfence.dev"))
    wait_for("the roles to be put together", lambda: can("viewer", "get", "agentdeployments.ringfence.dev"))
    assert not can("viewer", "create", "agentdeployments.ringfence.dev")
    assert not can("editer", "update", "agentdeployments.ringfence.dev", "--subresource=status")
    assert not can("editer", "create", "agentpolicies.ringfence.dev")
