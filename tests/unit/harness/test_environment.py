"""Which cluster the demo takes: never one that nobody meant."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import ClusterError
from harness import environment
from harness.environment import Environment

MARK = object()
TAG, PINNED = "localhost/a:1.2", "localhost/a@sha256:1"
OTHERS = [["localhost/ab@sha256:2", "localhost/ab:1.2"], ["localhost/a@sha256:3", "localhost/a:1.1"], None]


def kubeconfig(path: Path, *contexts: str, current: str = "") -> str:
    """A kubeconfig whose clusters answer nowhere."""
    entries = [{"name": name, "context": {"cluster": name, "user": "u"}} for name in contexts]
    clusters = [{"name": name, "cluster": {"server": "https://127.0.0.1:1"}} for name in contexts]
    body = {"apiVersion": "v1", "kind": "Config", "clusters": clusters, "contexts": entries, "users": [{"name": "u"}]}
    path.write_text(json.dumps(body | {"current-context": current}))
    return str(path)


@pytest.fixture(autouse=True)
def no_cluster_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "built_in", lambda name: MARK)


def test_without_a_kubeconfig_it_is_the_built_in_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert environment.choose() is MARK


def test_without_a_current_context_it_is_the_built_in_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path / "config", "production"))
    assert environment.choose() is MARK


def test_somebodys_cluster_has_to_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path / "config", "production", current="production"))
    with pytest.raises(ClusterError, match="make demo CONTEXT=production"):
        environment.choose()


@pytest.mark.parametrize("name", ["kind-x", "k3d-x", "production"])
def test_a_named_cluster_is_used_and_one_that_is_away_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path / "config", name))
    with pytest.raises(ClusterError, match=f"cluster {name} does not answer"):
        environment.choose(name)


def test_a_throw_away_cluster_is_used_without_being_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path / "config", "kind-x", current="kind-x"))
    with pytest.raises(ClusterError, match="cluster kind-x does not answer"):
        environment.choose()


def test_the_built_in_one_can_be_asked_for_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path / "config", "production", current="production"))
    assert environment.choose(force_built_in=True) is MARK


def test_a_context_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path / "config", "kind-x"))
    with pytest.raises(ClusterError, match="nowhere"):
        environment.choose("nowhere")


class Nodes:
    """In place of kubectl: nodes, each with the names of its images."""

    def __init__(self, *nodes: Sequence[Sequence[str] | None]) -> None:
        self.nodes = [{"status": {"images": [{"names": names} for names in node]}} for node in nodes]

    def items(self, *_: str) -> list[Any]:
        return self.nodes


@pytest.mark.parametrize(
    ("nodes", "found"),
    [
        ([[*OTHERS, [PINNED, TAG]]], PINNED),
        ([[[TAG, PINNED]], [[PINNED, TAG]]], PINNED),
        ([OTHERS], ""),
        ([[[PINNED, TAG]], OTHERS], ""),
        ([[[PINNED, TAG]], [["localhost/a@sha256:4", TAG]]], ""),
        ([[[TAG]]], ""),
    ],
    ids=["one node", "two", "none", "one lacks it", "they differ", "no digest"],
)
def test_an_image_that_all_nodes_have_is_known_by_its_digest(nodes: Any, found: str) -> None:
    assert Environment("x", "kind", Nodes(*nodes)).pinned(TAG) == found  # type: ignore[arg-type]
