"""The kubectl plugin, by krew."""

import os
import re
import sys
from pathlib import Path

import pytest

from cluster import programs
from cluster.shell import run, wait_for
from consumers.conftest import DOWNLOADS_PORT, Made
from harness.gateway.room import Room


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """krew and kubectl, and nothing installed."""
    path = (tmp_path / "krew/bin", programs.krew(), programs.tools(), "/usr/bin", "/bin")
    return {"PATH": os.pathsep.join(map(str, path)), "KREW_ROOT": str(tmp_path / "krew"), "HOME": str(tmp_path)}


def test_krew_installs_it_from_a_file(made: Made, env: dict[str, str]) -> None:
    (archive,) = made.folder.glob("kubectl-ringfence-*-linux-amd64.tar.gz")
    manifest = made.folder / "krew/ringfence.yaml"
    run(["kubectl", "krew", "install", f"--manifest={manifest}", f"--archive={archive}"], env=env)
    assert made.version in run(["kubectl", "ringfence", "--version"], env=env)


def test_krew_s_own_check_installs_it_for_each_architecture(
    made: Made, env: dict[str, str], place: Room, tmp_path: Path
) -> None:
    serve = [sys.executable, "-m", "http.server", str(DOWNLOADS_PORT), "--bind", "127.0.0.1", "-d", str(made.folder)]
    server = place.start("downloads", serve)
    ask = ["-c", f"import urllib.request as r; r.urlopen('http://localhost:{DOWNLOADS_PORT}/', timeout=5)"]
    wait_for("the downloads", lambda: run(place.inside([sys.executable, *ask])) == "")
    text = (made.folder / "krew/ringfence.yaml").read_text()
    (tmp_path / "ringfence.yaml").write_text(re.sub(r"uri: .*/", f"uri: http://localhost:{DOWNLOADS_PORT}/", text))
    run(place.inside(["validate-krew-manifest", "-manifest", tmp_path / "ringfence.yaml"]), env=env)
    server.terminate()
    told = (place.folder / "downloads.err").read_text()
    for name in ("amd64", "arm64"):
        assert f"GET /kubectl-ringfence-{made.version}-linux-{name}.tar.gz" in told
