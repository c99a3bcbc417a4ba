"""cert-manager beside a cluster: a process of the host, with the rights that its own chart gives it."""

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509

from cluster import Cluster, programs
from cluster.shell import run
from suites.chart.release import NAMESPACE

PROVIDER = ("--set", "certificates.provider=cert-manager")
NAME, AUTHORITY = "ringfence-admission", "ringfence-admission-ca"
"""Of the chart's Certificates: the servers', and what signs it."""
SECRET = "secret/ringfence-admission-tls"
SPACE = "cert-manager"
RIGHTS = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "CustomResourceDefinition"}
ACCOUNTS = {"controllers": "cert-manager", "injector": "cert-manager-cainjector"}
"""What each part runs as."""


def manifests() -> list[dict[str, Any]]:
    """What cert-manager's own chart installs, but for what runs and its webhook."""
    chart = programs.certmanager() / "chart"
    words = ["--namespace", SPACE, "--set", "crds.enabled=true,startupapicheck.enabled=false"]
    text = run([programs.tools() / "helm", "template", "cert-manager", str(chart), *words])
    return [one for one in yaml.safe_load_all(text) if one and one["kind"] in RIGHTS]


@contextmanager
def running(cluster: Cluster, log: Path) -> Iterator[None]:
    """Installed, and at work until the end."""
    cluster.kubectl("create", "namespace", SPACE)
    for one in manifests():
        cluster.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(one))
    crds = ("certificates", "certificaterequests", "issuers", "clusterissuers")
    names = [f"crd/{crd}.cert-manager.io" for crd in crds]
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names, timeout=70)
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{SPACE}"]
    files = {
        part: cluster.user_kubeconfig(f"system:serviceaccount:{SPACE}:{account}", groups)
        for part, account in ACCOUNTS.items()
    }
    words = [f"--{part}={file}" for part, file in files.items()]
    with log.open("w") as out:
        process = subprocess.Popen([programs.certmanager() / "certmanager", *words], stdout=out, stderr=out)
        try:
            yield
            assert process.poll() is None, log.read_text()[-3000:]
        finally:
            process.terminate()
            process.wait(60)


def renew(cluster: Cluster, certificate: str) -> None:
    """As `cmctl renew` does: the controllers are told that it is to be issued."""
    issuing = {"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "by a test"}
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    named = (f"certificate/{certificate}", "-n", NAMESPACE)
    conditions = [one for one in cluster.get(*named)["status"]["conditions"] if one["type"] != "Issuing"]
    patch = json.dumps({"status": {"conditions": [*conditions, issuing | {"lastTransitionTime": now}]}})
    cluster.kubectl("patch", *named, "--subresource=status", "--type=merge", "-p", patch)


def read(data: str) -> x509.Certificate:
    """A certificate as Secrets have it: PEM in base64."""
    return x509.load_pem_x509_certificate(base64.b64decode(data))


def read_all(bundle: str | None) -> set[x509.Certificate]:
    """What a registration trusts. The injector adds to it, and leaves what was there until it ends."""
    return set(x509.load_pem_x509_certificates(base64.b64decode(bundle))) if bundle else set()


def issued(cluster: Cluster) -> tuple[x509.Certificate, x509.Certificate]:
    """The servers' certificate as cert-manager stored it, and its authority's beside it."""
    data = cluster.get(SECRET, "-n", NAMESPACE)["data"]
    return read(data["tls.crt"]), read(data["ca.crt"])


def authority(cluster: Cluster) -> dict[str, str]:
    """The Secret of what signs."""
    data: dict[str, str] = cluster.get(f"secret/{AUTHORITY}", "-n", NAMESPACE)["data"]
    return data
