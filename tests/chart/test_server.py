"""The chart on a real API server: every manifest is taken, Pod Security, what upgrades leave alone."""

import base64
import json

import pytest

from chart.rendering import CHART, IMAGE, NAMESPACE, VALUES, pods, render
from cluster import Cluster, CommandFailed
from cluster.shell import run

REGISTRATION = "validatingwebhookconfiguration/ringfence"


def helm(cluster: Cluster, *args: str) -> str:
    return run(["helm", "--namespace", NAMESPACE, *args], env=cluster.env)


# --- everything is taken, and passes the strictest Pod Security Standard ---


@pytest.mark.parametrize("name", ["default", "dev", "small"])
def test_every_manifest_is_taken(cluster: Cluster, name: str) -> None:
    # A Pod needs its ServiceAccount; the next test has it.
    manifests = [json.dumps(manifest) for manifest in render(*VALUES[name]) if manifest["kind"] != "Pod"]
    said = cluster.kubectl(
        "create", "--dry-run=server", "--validate=strict", "-f", "-", stdin="\n---\n".join(manifests)
    )
    assert said.count("created (server dry run)") == len(manifests)


@pytest.mark.parametrize("name", VALUES)
def test_every_pod_passes_the_restricted_standard(installed: Cluster, name: str) -> None:
    made = pods(*VALUES[name])
    assert set(made) == {"ringfence-controller", "ringfence-admission", "ringfence-canary", "ringfence-test"}
    for pod in made.values():
        pod["spec"]["serviceAccountName"] = "default"
        installed.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))


def test_and_the_standard_is_enforced(installed: Cluster) -> None:
    pod = pods()["ringfence-controller"]
    pod["spec"]["serviceAccountName"] = "default"
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(CommandFailed, match="violates PodSecurity"):
        installed.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))


def test_every_container_has_a_read_only_root_and_limits(values: tuple[str, ...]) -> None:
    for pod in pods(*values).values():
        for container in pod["spec"]["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert {"cpu", "memory", "ephemeral-storage"} <= container["resources"]["limits"].keys()
        assert pod["spec"]["enableServiceLinks"] is False


# --- what the controller set stays ---


def _ca_bundle(cluster: Cluster) -> str | None:
    bundle: str | None = cluster.get(REGISTRATION)["webhooks"][0]["clientConfig"].get("caBundle")
    return bundle


@pytest.mark.parametrize("how", ["true", "false"], ids=["server-side", "client-side"])
def test_upgrade_and_rollback_keep_the_ca_bundle(installed: Cluster, how: str) -> None:
    ca = base64.b64encode(installed.ca_file.read_bytes()).decode()
    patch = [{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": ca}]
    installed.kubectl("patch", REGISTRATION, "--type=json", "--field-manager=ringfence", "-p", json.dumps(patch))
    chart = ["upgrade", "ringfence", str(CHART), *IMAGE, f"--server-side={how}"]
    helm(installed, *chart, "--set", "log.level=debug")
    assert _ca_bundle(installed) == ca
    helm(installed, *chart, "--set", "admission.replicas=3")
    assert _ca_bundle(installed) == ca
    helm(installed, "rollback", "ringfence", "1", f"--server-side={how}")
    assert _ca_bundle(installed) == ca
    installed.kubectl("patch", REGISTRATION, "--type=json", "-p", json.dumps([patch[0] | {"op": "remove"}]))
