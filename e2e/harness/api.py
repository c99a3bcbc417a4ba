"""The one client of the API server for demo, bench and tests: plain requests, over a connection that is kept.

Two ways to it: through `kubectl proxy` (`connect`; whatever way to log in a kubeconfig names), and straight with a
client certificate (`Api.of_kubeconfig`; the built-in cluster's own). Bodies may be bytes, so that tests can send what
no library would.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cluster.errors import ClusterError
from cluster.shell import wait_for

from .kubectl import Kubectl, Object

__all__ = ["Answer", "Api", "Refused", "connect", "trusting"]

TIMEOUT = 60.0
"""Seconds that one request may take."""
Opener = Callable[[float], http.client.HTTPConnection]


class Refused(ClusterError):
    """The API server answered with an error; `.code` is its status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text[:1000]}")
        self.code = code


@dataclass(frozen=True)
class Answer:
    """What the API server said."""

    code: int
    content: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.code < 300

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.content)
        return found

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))


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

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._open: http.client.HTTPConnection | None = None

    @classmethod
    def of_socket(cls, path: Path) -> Api:
        """Through a `kubectl proxy` that listens there."""
        return cls(lambda timeout: _OverSocket(path, timeout))

    @classmethod
    def of_kubeconfig(cls, url: str, kubeconfig: Path) -> Api:
        """Straight to `url`, by the client certificate of a kubeconfig in JSON."""
        context, at = trusting(kubeconfig), urlsplit(url)
        return cls(
            lambda timeout: http.client.HTTPSConnection(str(at.hostname), at.port, context=context, timeout=timeout)
        )

    def close(self) -> None:
        """Close the kept connection; the next request opens another one."""
        if self._open:
            self._open.close()
            self._open = None

    def request(
        self, verb: str, path: str, body: bytes = b"", kind: str = "application/json", *, user: str = ""
    ) -> Answer:
        """One request, whatever the answer is. `user`: in whose name, by impersonation."""
        headers = {"Accept": "application/json"} | ({"Content-Type": kind} if body else {})
        headers |= {"Impersonate-User": user} if user else {}
        for attempt in (1, 2):
            fresh = self._open is None
            connection = self._open = self._open or self._opener(TIMEOUT)
            try:
                connection.request(verb, path, body or None, headers)
                response = connection.getresponse()
                return Answer(response.status, response.read())
            except (OSError, http.client.HTTPException):
                # A kept connection may have been closed by the other side while it was idle.
                self.close()
                if fresh or attempt == 2:
                    raise
        raise AssertionError("not reached")

    def call(self, verb: str, path: str, body: Any = None, *, kind: str = "application/json") -> bytes:
        """The same with a body as JSON; the content of the answer. Raises Refused."""
        answer = self.request(verb, path, b"" if body is None else json.dumps(body).encode(), kind)
        if answer.code >= 400:
            raise Refused(answer.code, answer.content.decode(errors="replace"))
        return answer.content

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

    def patched(self, path: str, body: Object) -> bool:
        """A JSON merge patch; whether there was anything to patch."""
        try:
            self.patch(path, body)
        except Refused as refused:
            if refused.code != 404:
                raise
            return False
        return True

    def delete(self, path: str) -> None:
        """DELETE. Nothing there is fine."""
        try:
            self.call("DELETE", path)
        except Refused as refused:
            if refused.code != 404:
                raise

    def watch(self, path: str, seconds: int) -> Iterator[Object]:
        """Events of a watch on a connection of its own, for at most so many seconds."""
        connection = self._opener(seconds + 10)
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
    """An Api for as long as the block lasts, as kubectl logs in."""
    with tempfile.TemporaryDirectory(prefix="ringfence-") as folder:
        path = Path(folder) / "api"
        chosen = [f"--context={kubectl.context}"] if kubectl.context else []
        argv = [str(kubectl.kubectl), *chosen, *kubectl.options, "proxy", f"--unix-socket={path}"]
        process = subprocess.Popen(argv, env=dict(kubectl.env), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            wait_for("kubectl proxy", lambda: path.exists() or process.poll() is not None)
            if process.poll() is not None and process.stderr:
                raise ClusterError(f"kubectl proxy: {process.stderr.read().decode().strip()}")
            api = Api.of_socket(path)
            try:
                yield api
            finally:
                api.close()
        finally:
            process.terminate()
            process.communicate(timeout=10)


def trusting(kubeconfig: Path) -> ssl.SSLContext:
    """The authority and the client certificate of a kubeconfig in JSON."""
    config = json.loads(kubeconfig.read_text())
    user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]
    context = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
    with tempfile.NamedTemporaryFile("w") as pair:  # the standard library takes certificates from files only
        pair.write(_decoded(user["client-certificate-data"]) + _decoded(user["client-key-data"]))
        pair.flush()
        context.load_cert_chain(pair.name)
    return context


def _decoded(data: str) -> str:
    return base64.b64decode(data).decode()
