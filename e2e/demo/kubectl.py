"""kubectl, helm and JSON from them, on one cluster."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError, CommandFailed
from cluster.shell import run

__all__ = ["Kubectl", "Object", "condition"]

Object = dict[str, Any]


@dataclass(frozen=True)
class Kubectl:
    """Commands for one cluster. `env` sets KUBECONFIG and the PATH; `context` picks in the kubeconfig."""

    env: Mapping[str, str]
    context: str = ""
    kubectl: str | Path = "kubectl"
    helm_program: str | Path = "helm"
    options: tuple[str, ...] = field(default=())

    def __call__(self, *words: str, stdin: str | None = None, timeout: float = 120, ok: bool = False) -> str:
        """Run kubectl and return what it prints. Raises CommandFailed unless `ok`."""
        chosen = (f"--context={self.context}",) if self.context else ()
        return run([self.kubectl, *chosen, *self.options, *words], stdin=stdin, env=self.env, timeout=timeout, ok=ok)

    def helm(self, *words: str, timeout: float = 300) -> str:
        """Run helm."""
        chosen = (f"--kube-context={self.context}",) if self.context else ()
        return run([self.helm_program, *chosen, *words], env=self.env, timeout=timeout)

    def get(self, *words: str) -> Object:
        """`kubectl get ... -o json`, parsed."""
        found: Object = json.loads(self("get", *words, "-o", "json"))
        return found

    def find(self, *words: str) -> Object | None:
        """The same, or None where there is no such object."""
        text = self("get", *words, "-o", "json", "--ignore-not-found")
        found: Object | None = json.loads(text) if text.strip() else None
        return found

    def items(self, *words: str) -> list[Object]:
        """The items of a list."""
        items: list[Object] = self.get(*words)["items"]
        return items

    def apply(self, *manifests: Object | str) -> str:
        """`kubectl apply`, of dicts or YAML texts."""
        texts = [item if isinstance(item, str) else json.dumps(item) for item in manifests]
        return self("apply", "-f", "-", stdin="\n---\n".join(texts))

    def refusal(self, manifest: Object | str, *words: str) -> str:
        """What the API server says when it refuses a manifest. Raises ClusterError when it takes it."""
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        try:
            told = self("apply", "-f", "-", *words, stdin=text)
        except CommandFailed as refused:
            return refused.output.strip()
        raise ClusterError(f"was meant to be refused: {told.strip()}")

    def condition(self, namespace: str, agent: str, kind: str = "Ready") -> Object | None:
        """A condition of an agent, of its present generation; None while there is none."""
        found = self.find("agd", agent, "-n", namespace)
        return condition(found, kind) if found else None

    def wait_agent(self, namespace: str, agent: str, *, timeout: float = 120) -> Object:
        """Wait until an agent is Ready. Raises ClusterError with what its conditions say instead."""

        def ready() -> bool:
            return (self.condition(namespace, agent) or {}).get("status") == "True"

        try:
            self.until(f"agent {namespace}/{agent} to be Ready", ready, timeout=timeout)
        except ClusterError as late:
            last = self.condition(namespace, agent) or {"reason": "none", "message": "no condition at all"}
            raise ClusterError(f"{late}: {last['reason']}: {last['message']}") from None
        return self.get("agd", agent, "-n", namespace)

    def until(self, what: str, probe: Callable[[], Any], *, timeout: float = 60, every: float = 0.1) -> float:
        """Seconds until `probe` gives something true. Raises ClusterError when time is up."""
        started = time.monotonic()
        while not probe():
            if time.monotonic() - started > timeout:
                raise ClusterError(f"waited {timeout:.0f} s for {what}")
            time.sleep(every)
        return time.monotonic() - started

    def gone(self, *words: str, timeout: float = 90) -> None:
        """Delete objects and wait until they are gone."""
        self("delete", *words, "--ignore-not-found", f"--timeout={timeout:.0f}s", timeout=timeout + 10)


def condition(found: Object, kind: str) -> Object | None:
    """A condition that speaks of the object's present generation."""
    for entry in (found.get("status") or {}).get("conditions") or []:
        if entry["type"] == kind and entry["observedGeneration"] == found["metadata"]["generation"]:
            told: Object = entry
            return told
    return None
