"""cert-manager beside a cluster: a process of the host, with the rights that its own chart gives it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from cluster import Cluster, programs
from cluster.shell import run

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
