"""charts/ringfence-crds: installed, upgraded, and above all uninstalled, with agents in the cluster.

On an API server of its own: the others' CRDs would go away under them.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from api.instances import instance
from api.samples import agent
from cluster import Cluster, CommandFailed
from cluster.shell import run, wait_for

CHART = Path(__file__).parents[2] / "charts/ringfence-crds"
CRDS = Path(__file__).parents[2] / "crds"
NAMES = ["agentdeployments.ringfence.dev", "agentpolicies.ringfence.dev"]


@pytest.fixture(scope="module")
def bare() -> Iterator[Cluster]:
    with Cluster.for_tests(instance("ringfence-crds", "RINGFENCE_CRDS_CLUSTER"), mode="api", fresh=True) as found:
        yield found


def helm(bare: Cluster, *words: str) -> str:
    return run(["helm", *words], env=bare.env, timeout=300)


def installed(bare: Cluster) -> list[str]:
    lines = bare.kubectl("get", "crd", "-o", "name").splitlines()
    return sorted(line.partition("/")[2] for line in lines if line.endswith("ringfence.dev"))


def test_agents_outlive_an_uninstall_unless_asked_otherwise(bare: Cluster) -> None:
    helm(bare, "install", "crds", str(CHART))
    assert installed(bare) == NAMES
    wait_for("the kinds", lambda: bare.kubectl("get", "agd,agp") == "")
    bare.apply(agent("old"))

    helm(bare, "upgrade", "crds", str(CHART))
    told = helm(bare, "uninstall", "crds")
    assert "kept due to the resource policy" in told
    assert installed(bare) == NAMES
    assert bare.kubectl("get", "agd", "-o", "name").strip() == "agentdeployment.ringfence.dev/old"

    helm(bare, "install", "crds", str(CHART), "--set", "keep=false")
    assert bare.kubectl("get", "agd", "-o", "name").strip() == "agentdeployment.ringfence.dev/old"
    helm(bare, "uninstall", "crds", "--wait")
    wait_for("the CRDs to go", lambda: not installed(bare))


def test_the_chart_renders_what_crds_holds(bare: Cluster) -> None:
    rendered = helm(bare, "template", "crds", str(CHART), "--set", "keep=false")
    plain = [yaml.safe_load(path.read_text()) for path in sorted(CRDS.glob("*.yaml"))]
    assert sorted(yaml.safe_load_all(rendered), key=lambda crd: str(crd["metadata"]["name"])) == plain


def test_helm_has_no_complaints(bare: Cluster) -> None:
    assert "0 chart(s) failed" in helm(bare, "lint", "--strict", str(CHART))


@pytest.mark.parametrize("value", ["keep=maybe", "kepp=false"])
def test_a_value_that_means_nothing_is_refused(bare: Cluster, value: str) -> None:
    with pytest.raises(CommandFailed, match=value.partition("=")[0]):
        helm(bare, "template", "crds", str(CHART), "--set", value)
