"""A registry beside the node, in its network namespace: `localhost` is the same for the node and for who pushes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster import programs
from cluster.shell import nsenter, run, wait_for
from suites.chart.release import ROOT

PORT = 5000
HOST = f"localhost:{PORT}"
CONFIG = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
log: {{level: error}}
"""


@contextmanager
def serving(netns: str, folder: Path) -> Iterator[None]:
    """Serve from a folder while in the context."""
    config = folder / "registry.yaml"
    config.write_text(CONFIG.format(folder=folder / "stored", port=PORT))
    with (folder / "registry.log").open("wb") as log:
        server = subprocess.Popen(nsenter(netns, programs.registry(), "serve", config), stdout=log, stderr=log)
        try:
            ask = ["-c", f"import urllib.request as r; r.urlopen('http://127.0.0.1:{PORT}/v2/', timeout=5)"]
            wait_for("the registry", lambda: run(nsenter(netns, sys.executable, *ask)) == "")
            yield
        finally:
            server.terminate()
            server.wait(30)


def push(netns: str, release: Path, prefix: str) -> list[str]:
    """Push a release; NAME@DIGEST of each name."""
    words = [sys.executable, "-m", "tools.release", "push", str(release), "--registry", prefix]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("operator", "e2e", "tests", "."))}
    return run(nsenter(netns, *words), cwd=ROOT, env=env, timeout=300).splitlines()
