"""The chart under two tools that others judge charts with. Both are built from Go modules, once a machine."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from chart import schemas
from chart.rendering import CHART, VALUES, helm, text
from cluster import Cluster, cache, programs

KUBECONFORM = "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0"
KUBE_SCORE = "github.com/zegl/kube-score/cmd/kube-score@v1.20.0"

ELSEWHERE = "Certificate,Issuer,ServiceMonitor,PodMonitor,PrometheusRule"
"""Kinds of cert-manager and of prometheus-operator, which the API server of the tests does not have."""

CRITICAL = 1
WARNING = 5
ACCEPTED_WARNINGS = {
    # Replicas are spread by topologySpreadConstraints, which say the same and more.
    "deployment-has-host-podantiaffinity",
}


def tool(name: str, package: str) -> Path:
    return programs._go_install(name, package)


@pytest.fixture(scope="session")
def known_kinds(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schemas")
    assert schemas.write(cluster, folder) > 100
    return folder


def conform(manifests: str, folder: Path, *more: str) -> tuple[int, str]:
    argv: Sequence[str] = [
        str(tool("kubeconform", KUBECONFORM)),
        "-strict",
        "-summary",
        "-schema-location",
        f"{folder}/{schemas.LOCATION}",
        *more,
    ]
    done = subprocess.run(argv, input=manifests, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_conforms_to_what_the_api_server_knows(values: tuple[str, ...], known_kinds: Path) -> None:
    code, told = conform(text(*values), known_kinds, "-skip", ELSEWHERE)
    assert code == 0, told
    assert "Errors: 0" in told


def test_the_crds_chart_conforms(known_kinds: Path) -> None:
    code, told = conform(helm("template", "crds", str(CHART.with_name("ringfence-crds"))), known_kinds)
    assert code == 0, told


@pytest.mark.parametrize(
    ("manifest", "complaint"),
    [
        ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"prots": []}}, "prots"),
        ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"ports": "80"}}, "ports"),
        ({"apiVersion": "v1", "kind": "Servant", "metadata": {"name": "x"}}, "could not find schema"),
    ],
)
def test_and_this_check_can_fail(known_kinds: Path, manifest: dict[str, Any], complaint: str) -> None:
    code, told = conform(json.dumps(manifest), known_kinds)
    assert code != 0
    assert complaint in told


def score(manifests: str) -> dict[tuple[str, str, int], Any]:
    """Findings below OK: (check, object, grade) -> comments."""
    argv = [str(tool("kube-score", KUBE_SCORE)), "score", "--output-format", "json", "-"]
    done = subprocess.run(argv, input=manifests, capture_output=True, text=True, check=False)
    return {
        (check["check"]["id"], item["object_name"], check["grade"]): check["comments"]
        for item in json.loads(done.stdout)
        for check in item["checks"]
        if check["grade"] <= WARNING and not check["skipped"]
    }


@pytest.mark.parametrize("name", ["default", "full"])
def test_scores_without_a_critical_finding(name: str) -> None:
    # What is pulled by digest cannot change behind its name, so it need not be pulled anew: no finding.
    # Where the platform assigns ids, pods have to say none, which this tool cannot know.
    found = score(text(*VALUES[name], "--set", "image.pullPolicy=Always", "--set", "userIds=fixed"))
    assert {check for check, _, grade in found if grade == CRITICAL} == set(), found
    assert {check for check, _, _ in found} <= ACCEPTED_WARNINGS, found


def test_the_score_can_be_bad() -> None:
    found = score(text("--set", "image.pullPolicy=Never"))
    assert any(grade == CRITICAL for _, _, grade in found)


def test_cache_is_outside_of_the_checkout() -> None:
    assert CHART.parents[1] not in cache.folder().parents
