"""The API server through `kubectl proxy`: no process for each call, whatever way to log in a kubeconfig names."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.shell import wait_for

from .kubectl import Kubectl, Object

__all__ = ["Api", "Refused", "connect"]


class Refused(ClusterError):
    """The API server answered with an error; `.code` is its status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text[:1000]}")
        self.code = code


class _OverSocket(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Api:
    """Requests by path, such as `/api/v1/namespaces/x/pods`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: _OverSocket | None = None

    def close(self) -> None:
        """Close the kept connection."""
        if self._open:
            self._open.close()
            self._open = None

    def get(self, path: str) -> Object:
        """An object or a list. Raises Refused (code 404 where there is none)."""
        found: Object = json.loads(self.call("GET", path))
        return found

    def find(self, path: str) -> Object | None:
        """The same, or None where there is none."""
        try:
            return self.get(path)
        except Refused as refused:
            if refused.code == 404:
                return None
            raise

    def text(self, path: str) -> str:
        """What stands there, as it is (metrics, logs)."""
        return self.call("GET", path).decode()

    def create(self, path: str, body: Object) -> Object:
        """POST."""
        made: Object = json.loads(self.call("POST", path, body))
        return made

    def patch(self, path: str, body: Object) -> Object:
        """A JSON merge patch."""
        changed: Object = json.loads(self.call("PATCH", path, body, kind="application/merge-patch+json"))
        return changed

    def delete(self, path: str) -> None:
        """DELETE. Nothing there is fine."""
        try:
            self.call("DELETE", path)
        except Refused as refused:
            if refused.code != 404:
                raise

    def call(self, verb: str, path: str, body: Any = None, *, kind: str = "application/json") -> bytes:
        """One request over a connection that is kept. Raises Refused."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": kind} if data else {}
        for attempt in (1, 2):
            fresh = self._open is None
            connection = self._open = self._open or _OverSocket(self._path, timeout=60)
            try:
                connection.request(verb, path, data, headers)
                answer = connection.getresponse()
                content = answer.read()
                break
            except (OSError, http.client.HTTPException):
                # A kept connection may have been closed by the other side while it was idle.
                connection.close()
                self._open = None
                if fresh or attempt == 2:
                    raise
        if answer.status >= 400:
            raise Refused(answer.status, content.decode(errors="replace"))
        return content

    def watch(self, path: str, seconds: int) -> Iterator[Object]:
        """Events of a watch on a connection of its own, for at most so many seconds."""
        connection = _OverSocket(self._path, timeout=seconds + 10)
        separator = "&" if "?" in path else "?"
        connection.request("GET", f"{path}{separator}watch=1&timeoutSeconds={seconds}")
        answer = connection.getresponse()
        try:
            if answer.status >= 400:
                raise Refused(answer.status, answer.read().decode(errors="replace"))
            while line := answer.readline():
                yield json.loads(line)
        finally:
            connection.close()


@contextmanager
def connect(kubectl: Kubectl) -> Iterator[Api]:
    """An Api for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="ringfence-") as folder:
        path = Path(folder) / "api"
        chosen = [f"--context={kubectl.context}"] if kubectl.context else []
        argv = [str(kubectl.kubectl), *chosen, *kubectl.options, "proxy", f"--unix-socket={path}"]
        process = subprocess.Popen(argv, env=dict(kubectl.env), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            wait_for("kubectl proxy", lambda: path.exists() or process.poll() is not None, timeout=20)
            if process.poll() is not None and process.stderr:
                raise ClusterError(f"kubectl proxy: {process.stderr.read().decode().strip()}")
            api = Api(path)
            try:
                yield api
            finally:
                api.close()
        finally:
            process.terminate()
            process.communicate(timeout=10)
