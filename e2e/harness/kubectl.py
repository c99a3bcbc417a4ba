"""kubectl, helm and JSON from them, on one cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError, CommandFailed
from cluster.shell import run

__all__ = ["Kubectl", "Object"]

Object = dict[str, Any]


@dataclass(frozen=True)
class Kubectl:
    """Commands for one cluster. `env` sets KUBECONFIG and the PATH; `context` picks in the kubeconfig."""

    env: Mapping[str, str]
    context: str = ""
    kubectl: str | Path = "kubectl"
    helm_program: str | Path = "helm"
    options: tuple[str, ...] = field(default=())

    @property
    def argv(self) -> list[str]:
        """kubectl, and the options that choose the cluster."""
        chosen = (f"--context={self.context}",) if self.context else ()
        return [str(self.kubectl), *chosen, *self.options]

    def __call__(self, *words: str, stdin: str | None = None, timeout: float = 120, ok: bool = False) -> str:
        """Run kubectl and return what it prints. Raises CommandFailed unless `ok`."""
        return run([*self.argv, *words], stdin=stdin, env=self.env, timeout=timeout, ok=ok)

    def helm(self, *words: str, timeout: float = 450) -> str:
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

    def gone(self, *words: str, timeout: float = 90) -> None:
        """Delete objects and wait until they are gone."""
        self("delete", *words, "--ignore-not-found", f"--timeout={timeout:.0f}s", timeout=timeout + 10)
