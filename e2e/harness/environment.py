"""Which cluster: the built-in one, or the one that a kubeconfig names. And how images get there."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cluster import Cluster, programs
from cluster.errors import ClusterError, CommandFailed
from cluster.images import testbox
from cluster.instance import DEFAULT_NAME
from cluster.shell import run, say, step

from .kubectl import Kubectl

__all__ = ["Environment", "built_in", "choose", "environment_of"]

Kind = Literal["built-in", "kind", "k3d", "other"]
LOCAL = ("kind-", "k3d-")
"""Contexts with these names are throw-away clusters on this machine: used without being asked for by name."""


@dataclass(frozen=True)
class Environment:
    """A cluster to work on."""

    name: str
    kind: Kind
    kubectl: Kubectl
    cluster: Cluster | None = None
    """The built-in cluster, where it is that."""

    @property
    def testbox(self) -> str:
        """The test image, by digest, as pods here name it."""
        return testbox()[1].pinned

    def load(self, archive: Path, tag: str, pinned: str) -> None:
        """Put an image into the cluster's nodes, under its tag and by digest."""
        if self._have(pinned):
            return
        if self.cluster:
            self.cluster.load_image(archive)
        elif self.kind == "kind":
            self._kind(archive, tag, pinned)
        elif self.kind == "k3d":
            self._k3d(archive, tag, pinned)
        else:
            raise ClusterError(
                f"cannot load images into cluster {self.name}. Push {archive} to a registry that it pulls from, and"
                " name the copies: --image REPOSITORY@DIGEST --agent-image REPOSITORY@DIGEST, and with them Envoy's own"
                " image: --gateway-image REPOSITORY@DIGEST"
            )

    def _have(self, pinned: str) -> bool:
        """Whether every node says that it has the image. A node says so a little late; then it is loaded twice."""
        nodes = self.kubectl.items("nodes")
        names = [{name for image in n["status"].get("images") or [] for name in image["names"] or []} for n in nodes]
        return all(pinned in known for known in names)

    def pinned(self, tag: str) -> str:
        """Name by digest of the image that every node says to have under a tag; empty where one has it not."""
        found = set()
        for node in self.kubectl.items("nodes"):
            images = [image["names"] or [] for image in node["status"].get("images") or []]
            names = next((names for names in images if tag in names), [])
            found.add(next((name for name in names if name.startswith(f"{tag.rpartition(':')[0]}@")), ""))
        return found.pop() if len(found) == 1 else ""

    def load_testbox(self) -> None:
        """The test image. The built-in cluster has it from the start."""
        if self.cluster is None:
            archive, image = testbox()
            self.load(archive, image.tag, image.pinned)

    def _kind(self, archive: Path, tag: str, pinned: str) -> None:
        name = self.name.removeprefix("kind-")
        _tool("kind", "load", "image-archive", str(archive), "--name", name)
        # kind knows an image by its tag only; what runs here is named by digest.
        for node in _tool("kind", "get", "nodes", "--name", name).split():
            _name_by_digest(node, tag, pinned)

    def _k3d(self, archive: Path, tag: str, pinned: str) -> None:
        name = self.name.removeprefix("k3d-")
        _tool("k3d", "image", "import", str(archive), "--cluster", name)
        for node in json.loads(_tool("k3d", "node", "list", "--output", "json")):
            labels = node.get("runtimeLabels") or {}
            if labels.get("k3d.cluster") == name and node.get("role") in {"server", "agent"}:
                _name_by_digest(node["name"], tag, pinned)


def built_in(name: str = DEFAULT_NAME) -> Environment:
    """The built-in cluster, brought up when it is not."""
    if os.geteuid() != 0:
        raise ClusterError(
            "the built-in cluster runs pods and needs root. Run this as root, or name a cluster: CONTEXT=kind-..."
        )
    return environment_of(Cluster.up(name))


def choose(context: str = "", *, name: str = DEFAULT_NAME, force_built_in: bool = False) -> Environment:
    """The cluster to use, by a rule that never surprises:

    1. a context that was named is used, whatever it is;
    2. else, where the kubeconfig has a current context, that one, if it is the built-in cluster, or a kind or k3d
       cluster. Any other is somebody's: it has to be named, and nothing is done;
    3. else (no kubeconfig, or `force_built_in`) the built-in cluster.
    """
    if force_built_in:
        return built_in(name)
    kubectl = _foreign()
    current = context or _current(kubectl)
    if not current:
        return built_in(name)
    if ours := _instance_of(kubectl, current):
        return environment_of(ours)
    if not context and not current.startswith(LOCAL):
        raise ClusterError(
            f"the kubeconfig names cluster {current!r}. To use it: make demo CONTEXT={current}."
            " To use the built-in cluster: make demo CONTEXT=built-in"
        )
    kind: Kind = "other"
    if current.startswith(LOCAL):
        kind = "kind" if current.startswith("kind-") else "k3d"
    kubectl = Kubectl(kubectl.env, current, kubectl.kubectl, kubectl.helm_program)
    try:
        with step(f"asking cluster {current} for its version"):
            kubectl("version", "--request-timeout=15s", timeout=30)
    except CommandFailed as failure:
        raise ClusterError(f"cluster {current} does not answer: {failure.output.strip()}") from None
    say(f"  using cluster {current}; the built-in one is left alone", color="2")
    return Environment(current, kind, kubectl)


def environment_of(cluster: Cluster) -> Environment:
    """A built-in cluster that is up."""
    tools = programs.tools()
    kubectl = Kubectl(cluster.env, "", tools / "kubectl", tools / "helm")
    return Environment(cluster.name, "built-in", kubectl, cluster)


def _foreign() -> Kubectl:
    """kubectl and helm for a kubeconfig of this machine's: those on the PATH, else those of the built-in cluster."""
    kubectl, helm = (shutil.which(name) or str(programs.tools() / name) for name in ("kubectl", "helm"))
    return Kubectl(dict(os.environ), "", kubectl, helm)


def _current(kubectl: Kubectl) -> str:
    return kubectl("config", "current-context", ok=True).strip()


def _instance_of(kubectl: Kubectl, context: str) -> Cluster | None:
    """The built-in cluster that a context leads to, if it does."""
    view = json.loads(kubectl("config", "view", "-o", "json", "--minify", f"--context={context}"))
    servers = [entry["cluster"]["server"] for entry in view.get("clusters") or []]
    cluster = Cluster.find(context)
    return cluster if cluster and cluster.mode == "node" and cluster.server in servers else None


def _tool(*words: str) -> str:
    if shutil.which(words[0]) is None:
        raise ClusterError(f"{words[0]} is not on the PATH; it is what puts images into this cluster")
    with step(" ".join(words[:3])):
        return run(words, timeout=600)


def _name_by_digest(node: str, tag: str, pinned: str) -> None:
    run(["docker", "exec", node, "ctr", "-n", "k8s.io", "images", "tag", "--force", tag, pinned], timeout=120)
