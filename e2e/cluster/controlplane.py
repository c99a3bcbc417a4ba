"""The control plane: etcd, API server, controller manager, scheduler, and their credentials."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from . import pki, programs
from .errors import ClusterError
from .instance import Instance
from .processes import Component, running
from .shell import nsenter, wait_for

__all__ = [
    "admin_kubeconfig",
    "components",
    "environment",
    "user_kubeconfig",
    "wait_ready",
    "write_admission_config",
    "write_credentials",
]

DEATH_SECONDS = 2
"""How long a program must be missing to count as dead: while it becomes another by `exec` (nsenter, then
the program), the kernel shows no environment for a moment, and so not whose it is."""

SERVICE_CIDR = "10.96.0.0/16"
POD_CIDR = "10.244.0.0/16"

CLIENTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "kube-controller-manager": ("system:kube-controller-manager", ()),
    "kube-scheduler": ("system:kube-scheduler", ()),
    "kube-proxy": ("system:kube-proxy", ()),
    "kubelet": ("system:node:node0", ("system:nodes",)),
    "netpol": ("ringfence:network-policy", ("system:masters",)),
}
"""Each program of the cluster has a user of its own: program -> user, groups."""
OF_REAL_NODES = ("node-lifecycle-controller", "pod-garbage-collector-controller")
"""Not in mode `api`, whose nodes exist on paper: the first calls their pods unready, since no kubelet reports; the
second deletes the pods of a node that another test has removed."""


def write_credentials(instance: Instance) -> None:
    """Make all keys, certificates and kubeconfigs of a new instance."""
    folder = instance.pki
    folder.mkdir(parents=True, mode=0o700)
    ca = pki.Authority.create(folder, "ca")
    service = "kubernetes.default"
    ca.issue(
        "apiserver",
        user="kube-apiserver",
        names=[
            *("127.0.0.1", "10.96.0.1", instance.node_address),
            *("localhost", "kubernetes", service, f"{service}.svc", f"{service}.svc.cluster.local"),
        ],
    )
    ca.issue("apiserver-kubelet", user="kube-apiserver", groups=["system:masters"])
    front = pki.Authority.create(folder, "front-proxy-ca")
    front.issue("front-proxy", user="front-proxy")
    pki.write_key_pair(folder, "service-account")
    for program, (user, groups) in CLIENTS.items():
        user_kubeconfig(instance, user, groups, path=folder / f"{program}.kubeconfig")


def write_admission_config(instance: Instance) -> None:
    """Have the API server read ValidatingAdmissionPolicies from a folder, which is empty at first (KEP-5793)."""
    instance.admission_manifests.mkdir()
    version = "apiserver.config.k8s.io/v1"
    policies = {
        "apiVersion": version,
        "kind": "ValidatingAdmissionPolicyConfiguration",
        "staticManifestsDir": str(instance.admission_manifests),
    }
    plugins = [{"name": "ValidatingAdmissionPolicy", "configuration": policies}]
    config = {"apiVersion": version, "kind": "AdmissionConfiguration", "plugins": plugins}
    instance.admission_config.write_text(json.dumps(config, indent=1))


def admin_kubeconfig(instance: Instance) -> Path:
    """The administrator's kubeconfig."""
    return user_kubeconfig(instance, "ringfence-admin", ["system:masters"], path=instance.kubeconfig)


def user_kubeconfig(instance: Instance, user: str, groups: Sequence[str] = (), *, path: Path | None = None) -> Path:
    """Write a kubeconfig for any user and groups; it has the rights that RBAC gives to those names."""
    ca = pki.Authority.load(instance.pki, "ca")
    safe = "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in user)
    if path is None:
        folder = instance.home / "users"
        folder.mkdir(exist_ok=True, mode=0o700)
        path = folder / f"{safe}.kubeconfig"
    certificate, key = ca.issue(f"client-{safe}", user=user, groups=groups)
    return pki.kubeconfig(
        path,
        server=instance.server,
        ca=instance.pki / "ca.crt",
        certificate=certificate,
        key=key,
        user=user,
    )


def environment(instance: Instance) -> dict[str, str]:
    """This process's environment, changed for kubectl and helm on this cluster."""
    # A proxy of the machine's cannot reach the cluster, and must not see what goes there.
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {
        **kept,
        "KUBECONFIG": str(instance.kubeconfig),
        # The usual place outlives the cluster, and would tell the next one at this address of old kinds.
        "KUBECACHEDIR": str(instance.home / "kubectl-cache"),
        "PATH": f"{programs.tools()}{os.pathsep}{os.environ.get('PATH', '')}",
        **SHORT_LIVED,
    }


SHORT_LIVED: Final = {"GOGC": "off", "GOMEMLIMIT": "256MiB", "GOMAXPROCS": "1"}
"""Of Go, for kubectl and helm, whose calls are thousands: a fifth of what one costs goes to the garbage collector, and
of an `apply` a tenth to threads that look for work. The bound is for those that stay, such as `kubectl proxy`."""
COLLECTOR: Final = {"GOGC": "400", "GOMEMLIMIT": "1500MiB"}
"""Of Go's garbage collector: by default a quarter of the API server's time goes to it. More memory, up to a bound, for
less of that: these clusters live for minutes, and several share two cores."""


def components(instance: Instance) -> dict[str, Component]:
    """The programs of the control plane, by name, in the order in which they start."""
    folder = programs.kubernetes()
    audit_policy = programs.HERE / "config/audit.yaml"
    commands = [
        ("etcd", _etcd(instance)),
        ("kube-apiserver", _apiserver(instance, audit_policy)),
        ("kube-controller-manager", _controller_manager(instance)),
    ]
    if instance.mode == "node":
        commands.append(("kube-scheduler", _with_kubeconfigs(instance, "kube-scheduler")))
    found = {}
    for name, flags in commands:
        argv = [str(folder / name), *flags]
        if instance.mode == "node":
            argv = nsenter(instance.netns, *argv)
        found[name] = Component(name, tuple(argv), env=COLLECTOR)
    return found


def wait_ready(instance: Instance, *, timeout: float = 180) -> None:
    """Wait until the API server says that it is ready.

    Raises ClusterError with the end of its log when it dies or does not get there.
    """

    seen = time.monotonic()

    def ready() -> bool:
        nonlocal seen
        if "kube-apiserver" in running(instance):
            seen = time.monotonic()
        elif time.monotonic() - seen > DEATH_SECONDS:
            raise _Died
        return _get(instance, "/readyz")[0] == http.client.OK

    try:
        wait_for(f"the API server at {instance.server}", ready, timeout=timeout)
    except (ClusterError, _Died) as error:
        log = instance.logs / "kube-apiserver.log"
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else ""
        raise ClusterError(f"the API server does not come up; the end of {log}:\n{tail}") from error


def wait_default_account(instance: Instance) -> None:
    """Wait until the controller manager works: namespace `default` then has its ServiceAccount."""
    path = "/api/v1/namespaces/default/serviceaccounts/default"
    wait_for("the controller manager", lambda: _get(instance, path)[0] == http.client.OK, timeout=180)


class _Died(Exception):
    """The API server's process is gone: no use in waiting on."""


def _get(instance: Instance, path: str) -> tuple[int, bytes]:
    """GET as an administrator; straight to the server, whatever proxy the environment names."""
    keys = instance.pki
    context = ssl.create_default_context(cafile=str(keys / "ca.crt"))
    context.load_cert_chain(keys / "apiserver-kubelet.crt", keys / "apiserver-kubelet.key")
    connection = http.client.HTTPSConnection(instance.node_address, instance.api_port, context=context, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise ClusterError(f"GET {path}: {error!r}") from error
    finally:
        connection.close()


def _etcd(instance: Instance) -> list[str]:
    client = f"http://127.0.0.1:{instance.etcd_port}"
    return [
        f"--data-dir={instance.home}/etcd",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        "--listen-peer-urls=http://127.0.0.1:0",
        # A crash of the machine may lose this data; the clusters' data is thrown away anyway.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _apiserver(instance: Instance, audit_policy: Path) -> list[str]:
    keys = instance.pki
    return [
        f"--etcd-servers=http://127.0.0.1:{instance.etcd_port}",
        f"--bind-address={'127.0.0.1' if instance.mode == 'api' else '0.0.0.0'}",
        f"--secure-port={instance.api_port}",
        # There is no default route in the namespace from which the address could be guessed.
        f"--advertise-address={instance.node_address}",
        f"--cert-dir={keys}",
        f"--tls-cert-file={keys}/apiserver.crt",
        f"--tls-private-key-file={keys}/apiserver.key",
        f"--client-ca-file={keys}/ca.crt",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged",
        # The second is on in OpenShift: whoever names an owner that is to wait needs a right on the owner.
        "--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={keys}/service-account.pub",
        f"--service-account-signing-key-file={keys}/service-account.key",
        f"--kubelet-client-certificate={keys}/apiserver-kubelet.crt",
        f"--kubelet-client-key={keys}/apiserver-kubelet.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={keys}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={keys}/front-proxy.crt",
        f"--proxy-client-key-file={keys}/front-proxy.key",
        f"--audit-policy-file={audit_policy}",
        f"--audit-log-path={instance.audit_log}",
        "--audit-log-maxsize=1000",
        # Tests read the record: it must be complete before the answer goes out, hence not batched.
        "--audit-log-mode=blocking-strict",
        "--profiling=false",
        *(_static_admission(instance) if instance.static_admission else []),
        *([f"--runtime-config={instance.without}=false"] if instance.without else []),
    ]


def _static_admission(instance: Instance) -> list[str]:
    return [
        "--feature-gates=ManifestBasedAdmissionControlConfig=true",  # alpha, and off, in 1.36
        f"--admission-control-config-file={instance.admission_config}",
    ]


def _controller_manager(instance: Instance) -> list[str]:
    keys = instance.pki
    return [
        *_with_kubeconfigs(instance, "kube-controller-manager"),
        "--use-service-account-credentials",
        f"--service-account-private-key-file={keys}/service-account.key",
        f"--root-ca-file={keys}/ca.crt",
        f"--cluster-signing-cert-file={keys}/ca.crt",
        f"--cluster-signing-key-file={keys}/ca.key",
        "--allocate-node-cidrs",
        f"--cluster-cidr={POD_CIDR}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        *([f"--controllers=*,{','.join(f'-{one}' for one in OF_REAL_NODES)}"] if instance.mode == "api" else []),
    ]


def _with_kubeconfigs(instance: Instance, program: str) -> list[str]:
    config = instance.pki / f"{program}.kubeconfig"
    return [
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--leader-elect=false",
        "--profiling=false",
        # The defaults (20 requests a second) alone make a start take 4 s longer.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        # In mode `api` they share loopback with the rest of the machine: no port at all.
        *(["--secure-port=0"] if instance.mode == "api" else ["--bind-address=127.0.0.1"]),
    ]
