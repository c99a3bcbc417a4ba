"""The cluster as tests see it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import controlplane, images, lifecycle, programs
from .errors import ClusterError
from .instance import DEFAULT_NAME, Instance, Mode, NetworkPolicyMode, find
from .processes import running, start, stop
from .shell import run

__all__ = ["Cluster"]


class Cluster:
    """A running built-in cluster."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    @classmethod
    def up(
        cls,
        name: str = DEFAULT_NAME,
        *,
        mode: Mode = "node",
        network_policy: NetworkPolicyMode = "enforce",
        static_admission: bool = False,
        without: str = "",
    ) -> Cluster:
        """Bring a cluster up, or return the one that is up already.

        `mode`: "api" is etcd, API server and controller manager (3 s, no root needed); "node" runs pods.
        `network_policy`: "ignore" makes a cluster whose network does not enforce NetworkPolicy.
        `static_admission`: the API server reads ValidatingAdmissionPolicies from files, too (`admission_manifests`).
        `without`: a version of an API group that is not served, such as `batch/v1`.
        """
        return cls(lifecycle.up(name, mode, network_policy, static_admission=static_admission, without=without))

    @classmethod
    def find(cls, name: str = DEFAULT_NAME) -> Cluster | None:
        """The cluster of this name when it is up and well, else None."""
        instance = find(name)
        return cls(instance) if instance is not None and lifecycle.healthy(instance) else None

    @classmethod
    @contextmanager
    def for_tests(
        cls, name: str, *, mode: Mode = "node", fresh: bool = False, static_admission: bool = False, without: str = ""
    ) -> Iterator[Cluster]:
        """A cluster that ends with the tests that use it; RINGFENCE_KEEP=1 leaves it standing, for the next run, too.

        `fresh`: one that an earlier run left is removed first.
        """
        if fresh and find(name):
            lifecycle.down(name)
        cluster = cls.up(name, mode=mode, static_admission=static_admission, without=without)
        try:
            yield cluster
        finally:
            if not os.environ.get("RINGFENCE_KEEP"):
                cluster.down()

    def down(self) -> None:
        """Remove it without a trace."""
        lifecycle.down(self.name)

    @property
    def name(self) -> str:
        """The name given to `up`."""
        return self._instance.name

    @property
    def mode(self) -> Mode:
        """ "api" or "node"."""
        return self._instance.mode

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of an administrator (group system:masters)."""
        return self._instance.kubeconfig

    @property
    def server(self) -> str:
        """URL of the API server, for this process."""
        return self._instance.server

    @property
    def address(self) -> str:
        """Address of the API server and of the node."""
        return self._instance.node_address

    @property
    def host_address(self) -> str:
        """Where the API server reaches this process: listen here for webhooks with `url:`."""
        return self._instance.host_address

    @property
    def ca_file(self) -> Path:
        """Certificate of the API server's CA."""
        return self._instance.pki / "ca.crt"

    @property
    def internet_ca_file(self) -> Path:
        """Certificate of the CA that the pretend internet's HTTPS servers use."""
        return self._instance.pki / "internet-ca.crt"

    @property
    def logs(self) -> Path:
        """Folder of the components' logs."""
        return self._instance.logs

    @property
    def admission_manifests(self) -> Path:
        """Folder whose ValidatingAdmissionPolicies the API server obeys, with `static_admission`."""
        return self._instance.admission_manifests

    @property
    def audit_log(self) -> Path:
        """The API server's own record, one JSON object a line; `audit()` reads it."""
        return self._instance.audit_log

    @property
    def env(self) -> dict[str, str]:
        """This process's environment with KUBECONFIG set and kubectl and helm first on the PATH."""
        return controlplane.environment(self._instance)

    def kubectl(
        self, *args: str, stdin: str | None = None, kubeconfig: Path | None = None, timeout: float = 300
    ) -> str:
        """Run kubectl and return what it prints. Raises CommandFailed."""
        config = kubeconfig or self.kubeconfig
        argv: list[str | Path] = [programs.tools() / "kubectl", f"--kubeconfig={config}", *args]
        return run(argv, stdin=stdin, env=self.env, timeout=timeout)

    def get(self, *args: str) -> dict[str, Any]:
        """`kubectl get ARGS -o json`, parsed."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *args, "-o", "json"))
        return found

    def apply(self, *manifests: Mapping[str, Any] | str, kubeconfig: Path | None = None) -> str:
        """Apply manifests: dicts, or YAML texts."""
        texts = [item if isinstance(item, str) else json.dumps(item) for item in manifests]
        return self.kubectl("apply", "-f", "-", stdin="\n---\n".join(texts), kubeconfig=kubeconfig)

    def user_kubeconfig(self, user: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig for any user and groups, by client certificate; RBAC says what they may do."""
        return controlplane.user_kubeconfig(self._instance, user, groups)

    def load_image(self, archive: Path, *, name: str | None = None) -> list[images.Image]:
        """Load an OCI or Docker archive into the node, under its tag and under `repository@digest`."""
        return images.load(self._instance, archive, name=name)

    @property
    def testbox(self) -> images.Image:
        """The loaded test image: `.tag` and `.pinned` (by digest) name it in pod specs."""
        return images.testbox()[1]

    def set_network_policy(self, mode: NetworkPolicyMode) -> None:
        """Turn NetworkPolicy enforcement on ("enforce"), off ("ignore") or "late" while everything runs on."""
        self._instance = lifecycle.switch(self.name, mode)

    def stop_apiserver(self) -> None:
        """Take the API server away; everything else keeps running."""
        self.stop("kube-apiserver", grace=3)

    def start_apiserver(self) -> None:
        """Bring the API server back, and wait until it is ready."""
        self.start("kube-apiserver")
        controlplane.wait_ready(self._instance)

    def restart_control_plane(self) -> None:
        """Both its parts look for new kinds at their start, afterwards every 30 s.

        Until then the API server refuses children that name one as their owner (OwnerReferencesPermissionEnforcement),
        and the garbage collector leaves what a deleted one owned, and retries ever more rarely.
        """
        self.stop("kube-controller-manager")
        self.stop_apiserver()
        self.start_apiserver()
        self.start("kube-controller-manager")

    def stop(self, component: str, *, grace: float = 20) -> None:
        """Stop one of the cluster's programs, such as "kube-controller-manager"."""
        stop(self._instance, component, grace=grace)

    def start(self, component: str) -> None:
        """Start one of the cluster's programs that was stopped."""
        known = lifecycle.components(self._instance)
        if component not in known:
            raise ClusterError(f"no component {component!r}; there are {', '.join(known)}")
        if component not in running(self._instance):
            start(self._instance, known[component])

    def running(self) -> dict[str, int]:
        """The programs that run: name -> pid."""
        return running(self._instance)

    def audit(self) -> Iterator[dict[str, Any]]:
        """The API server's record so far, in the order in which requests were answered."""
        if not self.audit_log.exists():
            return
        with self.audit_log.open() as lines:
            for line in lines:
                if line.endswith("\n"):  # the last line may be half written
                    yield json.loads(line)
