"""The pods by which Kubernetes tests its own Pod Security admission: fetched with its module, never part of ours."""

import json
import os
from pathlib import Path
from typing import Any

import yaml

from cluster import cache, programs
from cluster.shell import run

MODULE = f"k8s.io/pod-security-admission@v0.{programs.version().partition('.')[2]}"
"""Of the very version that the API server of the tests is built from."""


def fixtures() -> dict[str, Any]:
    """`files`: how many there are. `pods`: the different ones among them, each with the `file` it is first found in.

    Most files repeat a pod for another version of the standard: 4,241 files hold 361 pods.
    """
    folder = cache.ensure(
        "pod-security",
        cache.fingerprint(MODULE, files=[Path(__file__)]),
        _build,
        doing="fetching the pods of Kubernetes' Pod Security tests",
    )
    found: dict[str, Any] = json.loads((folder / "pods.json").read_text())
    return found


def _build(target: Path) -> None:
    # The module's sum is checked against Go's own database, as with all that is not in a go.sum.
    told = run([programs.go(), "mod", "download", "-json", MODULE], cwd=target, env=programs.go_env(), timeout=600)
    root = Path(json.loads(told)["Dir"]) / "test/testdata"
    files = sorted(root.rglob("*.yaml"))
    different: dict[str, dict[str, Any]] = {}
    for file in files:
        pod = yaml.load(file.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # C is ten times as fast
        pod["metadata"].pop("name", None)
        different.setdefault(json.dumps(pod, sort_keys=True), {"file": os.fspath(file.relative_to(root)), "pod": pod})
    (target / "pods.json").write_text(json.dumps({"files": len(files), "pods": list(different.values())}))
