"""The pack of e2e/catalogue on a real API server: with Ringfence, every case comes out as it says."""

import asyncio
import base64
import json
import os
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from api.controller.process import Controller, Options
from api.review_server import HOST, Replica, Service
from api.server import Server
from catalogue import run as runner
from chart.installing import installed
from chart.rendering import NAMESPACE
from cluster import Cluster
from cluster.controlplane import SHORT_LIVED
from ringfence.controller.certificates import Names, Settings, keep
from ringfence.kube import Kube

USER = f"system:serviceaccount:{NAMESPACE}:ringfence-controller"
KEEPER = Settings(
    namespace=NAMESPACE, names=Names(Names.of_service("ringfence-admission", NAMESPACE).dns, (ip_address(HOST),))
)
REGISTRATION = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/ringfence"


@pytest.fixture(scope="module")
def ringfence(cluster: Cluster, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The chart, with its two processes outside of the cluster: there is no node to run them."""
    folder = tmp_path_factory.mktemp("catalogue")
    with installed(cluster):
        yield from _running(cluster, server, folder)


def _running(cluster: Cluster, server: Server, folder: Path) -> Iterator[Cluster]:
    service = Service()
    controller = Controller(
        cluster,
        folder / "controller.log",
        Options(NAMESPACE, kubeconfig=cluster.user_kubeconfig(USER, ["system:masters", "system:serviceaccounts"])),
    )
    started: list[Replica] = []
    try:
        asyncio.run(_certificates(cluster, folder))
        _point_to(server, service.port)
        started.append(Replica.start(cluster.kubeconfig, folder / "tls", folder / "admission.log"))
        service.replicas.append(started[0].wait_ready())
        service.wait_all()
        controller.wait_leading()
        yield cluster
    finally:
        controller.stop()
        for replica in started:
            replica.stop()
        service.close()


async def _certificates(cluster: Cluster, folder: Path) -> None:
    """As the controller keeps them, and as the kubelet would mount them."""
    async with await Kube.connect(str(cluster.kubeconfig)) as kube:
        await keep(kube, KEEPER)
    (folder / "tls").mkdir()
    for name, value in cluster.get("secret", "-n", NAMESPACE, KEEPER.secret)["data"].items():
        (folder / "tls" / name).write_bytes(base64.b64decode(value))


def _point_to(server: Server, port: int) -> None:
    """Have the registration, which knows the CA by now, lead to a process of ours."""
    found: dict[str, Any] = server.request("GET", REGISTRATION).body
    client = found["webhooks"][0]["clientConfig"]
    found["webhooks"][0]["clientConfig"] = {"caBundle": client["caBundle"], "url": f"https://{HOST}:{port}/validate"}
    answer = server.request("PUT", REGISTRATION, json.dumps(found).encode())
    assert answer.ok, answer


RESULTS = os.environ.get("CATALOGUE_RESULTS", "")
"""A folder in which what came out is kept: docs/security/results.md is made from it."""
WHO = pytest.mark.parametrize("who", ["administrator", "tenant"])
PLAIN = ("bindings", "networkpolicies", "objects")
"""Cases without any kind of Ringfence's."""
Rows = list[dict[str, str]]


def attempt(cluster: Cluster, folder: Path, setup: str, who: str, *options: str) -> Rows:
    """Run the pack; what came out."""
    path = (Path(RESULTS) if RESULTS else folder) / f"{setup}-{who}.json"
    asking = ["--tenant"] if who == "tenant" else []
    about = f"{ABOUT[setup]}, asked by {ABOUT[who]}"
    given = [f"--kubeconfig={cluster.kubeconfig}", f"--setup={setup}", f"--namespace=pack-{setup}-{who}"]
    code = runner.main([*given, f"--json={path}", f"--about={about}", *asking, *options])
    assert code in {0, 1}
    found: Rows = json.loads(path.read_text())["cases"]
    return found


ABOUT = {
    "kubernetes": "Pod Security (restricted) alone",
    "ringfence": "Ringfence",
    "administrator": "a cluster administrator",
    "tenant": "an administrator of the namespace",
}


def otherwise(found: Rows) -> list[str]:
    """What came out otherwise than it should."""
    return [
        f"{one['form']}/{one['id']}: {one['case']}: {one['verdict']} {one['by']}"
        for one in found
        if one["verdict"] not in {one["expect"], runner.NOT_APPLICABLE}
    ]


@pytest.fixture(autouse=True)
def _cheap_kubectl(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SHORT_LIVED.items():
        monkeypatch.setenv(name, value)


@WHO
def test_pod_security_alone_refuses_some(cluster: Cluster, tmp_path: Path, who: str) -> None:
    """The pack tells products apart, and what must pass passes."""
    folders = [f"--cases={runner.HERE / 'cases' / form}" for form in PLAIN]
    found = attempt(cluster, tmp_path, "kubernetes", who, *folders)
    refused = [one for one in found if (one["expect"], one["verdict"]) == ("refused", "refused")]
    assert len(refused) > 10
    wrong = otherwise(found)
    assert len(wrong) > 50
    assert not [one for one in wrong if "accepted" not in one], "what must pass does, and every answer is understood"


@WHO
def test_each_case_is_decided_as_expected(ringfence: Cluster, tmp_path: Path, who: str) -> None:
    found = attempt(ringfence, tmp_path, "ringfence", who)
    assert otherwise(found) == []
    assert len([one for one in found if one["verdict"] != runner.NOT_APPLICABLE]) > 390
    assert not [one for one in found if "did not answer" in one["by"]]
    if who == "administrator":
        assert not [one for one in found if one["by"] == "RBAC"], "an administrator is refused by Ringfence alone"
