"""Ringfence on a cluster, the way the README says: two charts, by helm."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster import Cluster, images
from cluster.errors import ClusterError, CommandFailed
from cluster.shell import step, wait_for

from .environment import Environment, environment_of
from .image import build
from .kubectl import Kubectl

__all__ = ["NAMESPACE", "ROOT", "Image", "gateway_image", "install", "installed", "own_image", "uninstall"]

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "ringfence-system"
LABELS = (
    "pod-security.kubernetes.io/enforce=restricted",
    "pod-security.kubernetes.io/warn=restricted",
)
"""Ringfence itself lives under the strictest Pod Security Standard."""
WAIT = "420s"


@dataclass(frozen=True)
class Image:
    """An image that the cluster has or can pull, by digest."""

    repository: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> Image:
        """From REPOSITORY@DIGEST."""
        repository, _, digest = text.partition("@")
        return cls(repository, digest)


def own_image(environment: Environment) -> Image:
    """Build the image of this checkout (a fraction of a second when nothing changed) and load it."""
    built = build()
    with step("loading the image into the cluster"):
        environment.load(Path(built.archive), built.name, built.pinned)
    return Image.parse(built.pinned)


def gateway_image(environment: Environment) -> tuple[str, str]:
    """Load Envoy, which believes the pretend internet's authority alone, into the built-in cluster.

    Returns the chart's values that name it, for `install`. Raises ClusterError for another cluster.
    """
    if environment.cluster is None:
        raise ClusterError("the pretend internet is the built-in cluster's")
    with tempfile.TemporaryDirectory() as folder, step("loading Envoy into the cluster"):
        archive, envoy = images.envoy(environment.cluster.internet_ca_file, Path(folder))
        environment.load(archive, envoy.tag, envoy.pinned)
    named = Image.parse(envoy.pinned)
    return f"gateway.image.repository={named.repository}", f"gateway.image.digest={named.digest}"


def install(environment: Environment, image: Image, *values: str) -> None:
    """`helm upgrade --install` both charts, and wait until every replica is ready. `values`: for --set."""
    kubectl = environment.kubectl
    _unlock(environment)
    with step("installing the charts"):
        kubectl.helm("upgrade", "--install", "ringfence-crds", str(ROOT / "charts/ringfence-crds"), "-n", "default")
        # The CRDs are served a moment after they are stored. kubectl fails on one that has no conditions at all yet.
        established = ("wait", "--for=condition=Established", "--timeout=10s", *_crds())
        wait_for("the CRDs to be served", lambda: kubectl(*established), timeout=420)
        kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        kubectl("label", "namespace", NAMESPACE, "--overwrite", *LABELS)
    settings = [f"image.repository={image.repository}", f"image.digest={image.digest}", *values]
    if environment.kind == "other":  # the image was not loaded, it has to be pulled
        settings.append("image.pullPolicy=IfNotPresent")
    with step("waiting for Ringfence's own pods"):
        kubectl.helm(
            *("upgrade", "--install", "ringfence", str(ROOT / "charts/ringfence"), "-n", NAMESPACE),
            *("-f", str(ROOT / "charts/ringfence/ci/dev-values.yaml")),
            *(word for setting in settings for word in ("--set", setting)),
            *("--wait", f"--timeout={WAIT}"),
        )
    with step("waiting for the API server to look for new kinds"):
        wait_for("the API server to know the kind AgentDeployment", lambda: _known_as_owner(kubectl))


@contextmanager
def installed(
    name: str, *values: str, prepare: Callable[[Environment], None] = lambda _: None
) -> Iterator[Environment]:
    """A cluster for the tests of one suite, with Ringfence on it. `prepare`: what has to be done before."""
    with Cluster.for_tests(name) as cluster:
        environment = environment_of(cluster)
        prepare(environment)
        install(environment, own_image(environment), *values)
        yield environment


def _known_as_owner(kubectl: Kubectl) -> bool:
    """Whether an agent's children would be taken.

    API servers that guard owner references (OwnerReferencesPermissionEnforcement) look for new kinds every 30 s only,
    and refuse until then what names one as its owner.
    """
    owner = {
        "apiVersion": "ringfence.dev/v1alpha1",
        "kind": "AgentDeployment",
        "name": "none",
        "uid": "00000000-0000-0000-0000-000000000000",
        "blockOwnerDeletion": True,
    }
    child = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "none", "namespace": NAMESPACE, "ownerReferences": [owner]},
        "spec": {"podSelector": {}},
    }
    controller = f"--as=system:serviceaccount:{NAMESPACE}:ringfence-controller"
    try:
        kubectl("create", "--dry-run=server", controller, "-f", "-", stdin=json.dumps(child))
    except CommandFailed as refused:
        return "RESTMapping" not in refused.output  # anything else will not change by waiting
    return True


def _unlock(environment: Environment) -> None:
    """A helm that was killed leaves a record of work in progress, on which every later one stops.

    Only where nobody else can be at work: on the built-in cluster and those that are made to be thrown away.
    """
    if environment.kind != "other":
        pending = "status in (pending-install,pending-upgrade,pending-rollback)"
        for release, namespace in (("ringfence-crds", "default"), ("ringfence", NAMESPACE)):
            environment.kubectl("delete", "secrets", "-n", namespace, "-l", f"owner=helm,name={release},{pending}")


def uninstall(environment: Environment) -> None:
    """Remove both charts; agents have to be gone before."""
    with step("uninstalling the charts"):
        for name, namespace in (("ringfence", NAMESPACE), ("ringfence-crds", "default")):
            environment.kubectl.helm("uninstall", name, "-n", namespace, "--ignore-not-found", "--wait")
        environment.kubectl("delete", *_crds(), "--ignore-not-found", "--timeout=60s")
        environment.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s", timeout=130)


def _crds() -> list[str]:
    return ["crd/agentdeployments.ringfence.dev", "crd/agentpolicies.ringfence.dev"]
