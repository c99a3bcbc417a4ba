"""A release of the chart on a real node, and what can be asked of it."""

import json
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from api.server import Server
from cluster import Cluster
from cluster.shell import run
from harness.image import Built

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "charts" / "ringfence"
CRDS = ROOT / "charts" / "ringfence-crds"
NAMESPACE = "ringfence-system"
OPENED = "opened"
REGISTRATION = "validatingwebhookconfiguration/ringfence"
PARTS = "app.kubernetes.io/part-of=ringfence"

Object = dict[str, Any]


@dataclass(frozen=True)
class Release:
    """The release `ringfence` in a cluster."""

    cluster: Cluster
    image: Built

    def helm(self, *words: str) -> str:
        """Run helm in the release namespace."""
        return run(["helm", "--namespace", NAMESPACE, *words], env=self.cluster.env, timeout=300)

    def put(self, verb: str, *words: str, wait: bool = True) -> str:
        """`install` or `upgrade` with the image of this checkout and `words`."""
        repository, _, digest = self.image.pinned.partition("@")
        image = ["--set", f"image.repository={repository}", "--set", f"image.digest={digest}"]
        waiting = ["--wait", "--timeout=180s"] if wait else []
        values = ["-f", str(CHART / "ci" / "dev-values.yaml")]
        return self.helm(verb, "ringfence", str(CHART), *values, *image, *words, *waiting)

    def pods(self, component: str) -> list[Object]:
        """The pods of a component that are not about to end."""
        selector = f"{PARTS},app.kubernetes.io/component={component}"
        items = self.cluster.get("pods", "-n", NAMESPACE, "-l", selector)["items"]
        return [pod for pod in items if not pod["metadata"].get("deletionTimestamp")]

    def execute(self, pod: str, *command: str) -> str:
        """Run a command in a pod of ours. Raises CommandFailed."""
        return self.cluster.kubectl("exec", "-n", NAMESPACE, pod, "--", *command, timeout=60)

    def python(self, pod: str, code: str) -> str:
        """Run Python code in a pod of ours, as its user."""
        return self.execute(pod, "python3", "-c", code).strip()

    def log(self, component: str) -> str:
        """The end of the pods' logs."""
        selector = f"{PARTS},app.kubernetes.io/component={component}"
        return self.cluster.kubectl("logs", "-n", NAMESPACE, "-l", selector, "--tail=200")

    def ca_bundle(self) -> str | None:
        """What the webhook's registration trusts."""
        bundle: str | None = self.cluster.get(REGISTRATION)["webhooks"][0]["clientConfig"].get("caBundle")
        return bundle

    def everything(self) -> set[str]:
        """Kind and name of all objects in the cluster that are of this release, by label or by name."""
        kinds = self.cluster.kubectl("api-resources", "--verbs=list", "-o", "name").split()
        passing = {"events", "events.events.k8s.io", "endpoints", "pods.metrics.k8s.io"}
        listed = self.cluster.get(",".join(kind for kind in kinds if kind not in passing), "-A")["items"]
        return {
            f"{item['kind']}/{item['metadata']['name']}"
            for item in listed
            if _ours(item["metadata"]) and item["kind"] not in {"CustomResourceDefinition", "Namespace"}
        }


def _ours(metadata: Object) -> bool:
    labels = metadata.get("labels") or {}
    if labels.get("app.kubernetes.io/part-of") == "ringfence":
        return True
    return metadata.get("namespace", NAMESPACE) == NAMESPACE and (
        metadata["name"].startswith(("ringfence", "sh.helm.release.v1.ringfence."))
        and "ringfence.dev" not in metadata["name"]
    )


@dataclass
class Requests:
    """Asks for an AgentDeployment that is fine, and for one that is not, over and over, by dry run, from a thread."""

    release: Release
    verdicts: Counter[str] = field(default_factory=Counter)
    surprises: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask_on, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(30)

    def _ask_on(self) -> None:
        cluster = self.release.cluster
        with closing(Server(cluster.server, cluster.kubeconfig)) as server:
            self._ask(server, cluster)

    def _ask(self, server: Server, cluster: Cluster) -> None:
        good = agent(cluster)
        bad = agent(cluster, network={"egress": [{"cidr": "0.0.0.0/0", "ports": [443]}]})
        while not self._stop.wait(0.05):
            for name, manifest, expected in (("good", good, True), ("bad", bad, False)):
                answer = server.request("POST", f"{AGENTS}?dryRun=All", json.dumps(manifest).encode())
                self.verdicts[f"{name}: {'admitted' if answer.ok else 'refused'}"] += 1
                if answer.ok is not expected:
                    self.surprises.append(f"{time.monotonic():.1f} {name}: {answer.code} {answer.message}")


AGENTS = f"/apis/ringfence.dev/v1alpha1/namespaces/{OPENED}/agentdeployments"


def agent(cluster: Cluster, name: str = "probe", **spec: Any) -> Object:
    """An AgentDeployment that runs the test image."""
    head = {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentDeployment"}
    metadata = {"name": name, "namespace": OPENED}
    return head | {"metadata": metadata, "spec": {"image": cluster.testbox.pinned, "args": ["agent"], **spec}}
