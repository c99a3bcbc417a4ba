"""Admission servers as processes of their own, with a stand-in for the Service in front of them."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"


def free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass
class Replica:
    """One `ringfence admission` process."""

    process: subprocess.Popen[bytes]
    port: int
    http_port: int
    log: Path

    @classmethod
    def start(cls, kubeconfig: Path, certificates: Path, log: Path, *options: str) -> "Replica":
        port, http_port = free_port(), free_port()
        command = [sys.executable, "-c", "from ringfence.cli.main import main; main()", "admission"]
        command += [f"--host={HOST}", f"--https-port={port}", f"--http-host={HOST}", f"--http-port={http_port}"]
        command += [f"--certificate-directory={certificates}", f"--kubeconfig={kubeconfig}", "--log-format=json"]
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*command, *options], stderr=output, stdout=output, env=kept | {"PYTHONPATH": str(ROOT / "operator")}
            )
        return cls(process, port, http_port, log)

    def probe(self, path: str) -> tuple[int, str]:
        """Status and text of /healthz, /readyz or /metrics; 0 when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.http_port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.read().decode()
        except OSError:
            return 0, ""

    def ready(self) -> bool:
        return self.probe("/readyz")[0] == 200

    def wait_ready(self, seconds: float = 150) -> "Replica":
        end = time.monotonic() + seconds
        while not self.ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, (self.probe("/readyz"), self.log.read_text())
            time.sleep(0.05)
        return self

    def metric(self, line: str) -> float:
        """The value of one sample, by its name and labels as written; 0 when it is not there."""
        found = [
            text.rsplit(" ", 1)[1] for text in self.probe("/metrics")[1].splitlines() if text.startswith(line + " ")
        ]
        return float(found[0]) if found else 0.0

    def rss(self) -> float:
        """Resident memory in MiB."""
        return self.metric("process_resident_memory_bytes") / 2**20

    def stop(self, number: int = signal.SIGTERM, seconds: float = 150) -> int:
        self.process.send_signal(number)
        return self.process.wait(seconds)


class Service:
    """Spreads new connections over the replicas that are ready, as kube-proxy does. Open ones stay."""

    def __init__(self, port: int = 0) -> None:
        self.replicas: list[Replica] = []
        self._ready: list[Replica] = []
        self._turn = 0
        self._listener = socket.create_server((HOST, port))
        self._listener.settimeout(0.2)
        self._open = True
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._accept, self._watch)]
        for thread in self._threads:
            thread.start()

    def wait_all(self, seconds: float = 150) -> None:
        """Until it has seen all of its replicas ready."""
        end = time.monotonic() + seconds
        while any(replica not in self._ready for replica in self.replicas):
            assert time.monotonic() < end, "not all replicas are ready"
            time.sleep(0.05)

    def close(self) -> None:
        self._open = False
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _watch(self) -> None:
        while self._open:
            self._ready = [one for one in list(self.replicas) if one.ready()]
            time.sleep(0.1)

    def _accept(self) -> None:
        while self._open:
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        ready = self._ready
        if not ready:
            client.close()
            return
        self._turn += 1
        backend = socket.create_connection((HOST, ready[self._turn % len(ready)].port))
        pairs = {client: backend, backend: client}
        with client, backend:
            while self._open:
                for source in select.select(list(pairs), [], [], 1)[0]:
                    try:
                        data = source.recv(65536)
                    except OSError:
                        data = b""
                    if not data:
                        return
                    pairs[source].sendall(data)
