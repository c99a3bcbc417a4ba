"""One Envoy with the files of a gateway, which are swapped as a kubelet does."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cluster import programs
from cluster.shell import wait_for
from ringfence.api.names import UPSTREAM_CREDENTIALS
from ringfence.gateway import certificates, envoy
from ringfence.gateway.authorities import Authorities
from ringfence.gateway.model import Gateway, Paths
from ringfence.resources.gateway import arguments

from .client import Client
from .room import Room

__all__ = ["Running", "swap"]


def swap(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Put files into a folder all at once: links to `..data`, which is exchanged (as kubelet's atomic writer does)."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix="..", dir=folder))
    fresh.chmod(0o755)
    for name, content in files.items():
        (fresh / name).write_bytes(content.encode() if isinstance(content, str) else content)
    data = folder / "..data"
    old = data.resolve() if data.is_symlink() else None
    next_data = folder / "..data_tmp"
    next_data.symlink_to(fresh.name)
    next_data.replace(data)
    for name in files:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(Path("..data", name))
    for link in folder.iterdir():
        if link.is_symlink() and link.name != "..data" and link.name not in files:
            link.unlink()
    if old:
        shutil.rmtree(old)


class Running:
    """An Envoy in a room. `authorities`: PEM, whom it believes a host's certificate."""

    def __init__(self, place: Room, name: str, gateway: Gateway, authorities: Path) -> None:
        self.place, self.name, self.folder = place, name, place.folder / name
        self.folder.mkdir()
        self.config, self.secrets = self.folder / "config", self.folder / "secrets"
        self.secrets.mkdir()
        self.address = place.next_address()
        self.bundle = self.folder / "agent-ca.pem"
        paths = Paths(
            config=str(self.config),
            certificate=str(self.folder / "certificate"),
            secrets=str(self.secrets),
            authorities=str(authorities),
            upstream=str(self.folder / "proxy"),
            admin=str(self.folder / "admin.sock"),
        )
        self.paths = paths
        self.authorities = Authorities()
        self.gateway = gateway
        self.apply(gateway)
        self.process: subprocess.Popen[bytes] | None = None

    def apply(self, gateway: Gateway) -> None:
        """What the controller and the kubelet do when the list of hosts has changed."""
        self.gateway = replace(gateway, paths=self.paths, address=self.address)
        self.certify(self.gateway)
        swap(self.config, envoy.files(self.gateway))

    def certify(self, gateway: Gateway) -> None:
        """What its hosts lack of authorities and certificates."""
        self.authorities = self.authorities.renewed(certificates.names(gateway), "test", datetime.now(UTC))
        swap(Path(self.paths.certificate), self.authorities.leaves())
        self.bundle.write_bytes(self.authorities.bundle())

    @property
    def client(self) -> Client:
        """An agent of this gateway, which trusts its authority of now."""
        return Client(self.bundle, self.address)

    def key(self, file: str, value: str | bytes | None) -> None:
        """Put a key's value where the gateway reads it: `FOLDER/NAME`. None: the folder is empty."""
        folder, _, name = file.partition("/")
        swap(self.secrets / folder, {} if value is None else {name: value})

    def credentials(self, value: str | bytes) -> None:
        """Put those for a corporate proxy where the gateway reads them."""
        swap(Path(self.paths.upstream), {UPSTREAM_CREDENTIALS: value})

    def start(self) -> None:
        """Start Envoy, and wait until it is ready."""
        argv: list[str | Path] = [programs.envoy(), *arguments(self.gateway.paths.config, flush_milliseconds=50)]
        self.process = self.place.start(self.name, argv, env={"PATH": os.environ["PATH"]})
        wait_for(f"{self.name} to be ready", self.ready, timeout=60)

    def ready(self) -> bool:
        """Whether it says so. Raises ClusterError for an Envoy that has ended."""
        if self.process and self.process.poll() is not None:
            raise AssertionError(self.errors())
        return self.admin("/ready") == "LIVE\n"

    def stop(self) -> None:
        """End it."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def admin(self, path: str) -> str:
        """What the administration answers, on its socket."""
        connection = http.client.HTTPConnection("admin", timeout=10)
        with closing(connection), socket.socket(socket.AF_UNIX) as connection.sock:
            connection.sock.connect(self.paths.admin)
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def stats(self, prefix: str) -> dict[str, int]:
        """Counters and gauges whose names begin so."""
        told = json.loads(self.admin("/stats?format=json"))["stats"]
        return {one["name"]: one["value"] for one in told if one.get("name", "").startswith(prefix)}

    @property
    def pid(self) -> int:
        """Of the process. Raises AssertionError before it is started."""
        assert self.process, f"{self.name} was not started"
        return self.process.pid

    def rss_mib(self) -> float:
        """Its resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return round(int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024, 1)  # type: ignore[index]

    def log(self) -> list[dict[str, Any]]:
        """Its record, so far."""
        lines = (self.place.folder / f"{self.name}.out").read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def errors(self) -> str:
        """What else it said."""
        return (self.place.folder / f"{self.name}.err").read_text(errors="replace")
