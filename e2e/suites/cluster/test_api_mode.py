"""The API server alone: quick, several at once, with users and its own record."""

import json
import socket
import ssl
import urllib.request
from pathlib import Path

import pytest

from cluster import Cluster, ClusterError, CommandFailed
from cluster.shell import wait_for
from suites.names import own


def config_map(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


def test_it_answers_and_up_again_changes_nothing(api: Cluster) -> None:
    before = api.running()
    assert set(before) == {"etcd", "kube-apiserver", "kube-controller-manager"}
    again = Cluster.up(api.name, mode="api")
    assert again.running() == before
    assert "kube-system" in api.kubectl("get", "namespaces", "-o", "name")
    assert json.loads(api.kubectl("get", "--raw", "/version"))["gitVersion"].startswith("v1.")


def test_another_instance_is_another_cluster(api: Cluster) -> None:
    other = Cluster.up(own("api-two"), mode="api")
    try:
        assert other.server != api.server
        other.apply(config_map("only-here"))
        with pytest.raises(CommandFailed, match="not found"):
            api.get("configmap", "only-here")
    finally:
        other.down()
    assert api.get("namespace", "default")["status"]["phase"] == "Active"


def test_any_user_by_certificate(api: Cluster) -> None:
    config = api.user_kubeconfig("ada@example.com", ["developers", "people"])
    who = json.loads(api.kubectl("auth", "whoami", "-o", "json", kubeconfig=config))["status"]["userInfo"]
    assert who["username"] == "ada@example.com"
    assert {"developers", "people"} <= set(who["groups"])
    with pytest.raises(CommandFailed, match="forbidden"):
        api.kubectl("get", "secrets", kubeconfig=config)


def test_the_record_has_every_write_in_order(api: Cluster) -> None:
    for name in ("first", "second"):
        api.apply(config_map(name))
    names = [
        event["objectRef"]["name"]
        for event in api.audit()
        if event["verb"] == "create" and event.get("objectRef", {}).get("resource") == "configmaps"
    ]
    assert [name for name in names if name in ("first", "second")] == ["first", "second"]


def test_the_api_server_goes_away_and_comes_back(api: Cluster) -> None:
    api.apply(config_map("survivor"))
    api.stop_apiserver()
    assert "kube-apiserver" not in api.running()
    with pytest.raises(CommandFailed):
        api.kubectl("get", "--raw", "/readyz", "--request-timeout=2s")
    api.start_apiserver()
    assert api.get("configmap", "survivor")["metadata"]["name"] == "survivor"


def test_it_reaches_webhooks_of_this_process(api: Cluster) -> None:
    """A webhook with `url:` on host_address; a refused connection is an answer of the API server's own."""
    with socket.create_server((api.host_address, 0)) as server:
        port = server.getsockname()[1]
        hook = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "probe"},
            "webhooks": [
                {
                    "name": "probe.example.com",
                    "clientConfig": {"url": f"https://{api.host_address}:{port}/"},
                    "rules": [
                        {
                            "apiGroups": [""],
                            "apiVersions": ["v1"],
                            "operations": ["CREATE"],
                            "resources": ["configmaps"],
                        }
                    ],
                    "failurePolicy": "Fail",
                    "timeoutSeconds": 1,
                    "sideEffects": "None",
                    "admissionReviewVersions": ["v1"],
                }
            ],
        }
        api.apply(hook)
        try:
            server.settimeout(0.01)

            def called() -> bool:
                with pytest.raises(CommandFailed, match=r"probe\.example\.com"):
                    api.apply(config_map("refused"))
                server.accept()[0].close()
                return True

            wait_for("the webhook to be called", called)
        finally:
            api.kubectl("delete", "validatingwebhookconfiguration", "probe")


def test_the_garbage_collector_works(api: Cluster) -> None:
    api.apply(config_map("owner"))
    uid = api.get("configmap", "owner")["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    child = {**config_map("child"), "metadata": {"name": "child", "ownerReferences": [owner]}}
    api.apply(child)
    api.kubectl("delete", "configmap", "owner")
    api.kubectl("wait", "--for=delete", "configmap/child", "--timeout=60s")


def test_its_certificate_is_its_own(api: Cluster) -> None:
    context = ssl.create_default_context(cafile=str(api.ca_file))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    with opener.open(f"{api.server}/readyz", timeout=10) as answer:
        assert answer.status == 200


def test_no_image_without_a_node(api: Cluster, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no node"):
        api.load_image(tmp_path / "image.tar")


@pytest.mark.parametrize("name", ["", "-x", "Big", "a/b", "..", "a" * 21])
def test_names_that_would_leave_their_folder(name: str) -> None:
    with pytest.raises(ClusterError, match="cannot name a cluster"):
        Cluster.up(name, mode="api")
