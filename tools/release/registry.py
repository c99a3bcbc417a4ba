"""Pushing a layout to a registry: blobs first, then what names them, as the OCI distribution specification orders."""

import http.client
import os
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from cluster.shell import step

from .errors import ReleaseError
from .oci import INDEX, MANIFEST, Layout, Object

_TIMEOUT_SECONDS = 300
_LOCAL = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Registry:
    """HOST[:PORT]/PREFIX. Plain HTTP to this machine itself, HTTPS to any other."""

    host: str
    prefix: str
    login: str = ""
    """USER:PASSWORD, from the environment; never shown."""

    @classmethod
    def parse(cls, text: str) -> "Registry":
        """From HOST[:PORT]/PREFIX; the login from RINGFENCE_REGISTRY_LOGIN."""
        host, _, prefix = text.partition("/")
        if not host or not prefix:
            raise ReleaseError(f"registry {text!r}: write HOST/PREFIX, such as registry.example/platform")
        return cls(host, prefix.strip("/"), os.environ.get("RINGFENCE_REGISTRY_LOGIN", ""))

    def push(self, layout: Layout) -> list[str]:
        """Push everything; returns NAME@DIGEST of each name. Raises ReleaseError with the registry's answer."""
        pushed = []
        try:
            with self._connected() as connection, step(f"pushing to {self.host}"):
                for name, top in sorted(layout.names.items()):
                    repository, _, tag = name.rpartition(":")
                    where = f"/v2/{self.prefix}/{repository}"
                    self._put(connection, layout, where, top, tag)
                    pushed.append(f"{self.host}/{self.prefix}/{repository}@{top['digest']}")
        except (OSError, http.client.HTTPException) as problem:
            raise ReleaseError(f"registry {self.host} does not answer: {problem}") from None
        return pushed

    def _put(self, to: http.client.HTTPConnection, layout: Layout, where: str, one: Object, tag: str) -> None:
        """A manifest or an index after all that it names."""
        body = layout.read(one["digest"])
        for inner in body.get("manifests", []):
            self._put(to, layout, where, inner, inner["digest"])
        for blob in (*filter(None, [body.get("config")]), *body.get("layers", [])):
            self._blob(to, where, blob["digest"], layout.blobs[blob["digest"]])
        kind = one["mediaType"]
        if kind not in {INDEX, MANIFEST}:
            raise ReleaseError(f"{one['digest']} is neither a manifest nor an index")
        self._ask(to, "PUT", f"{where}/manifests/{tag}", layout.blobs[one["digest"]], kind, expected=201)

    def _blob(self, to: http.client.HTTPConnection, where: str, digest: str, content: bytes) -> None:
        if self._ask(to, "HEAD", f"{where}/blobs/{digest}", expected=0) == 200:  # noqa: PLR2004
            return
        location = self._ask(to, "POST", f"{where}/blobs/uploads/", b"", expected=202, location=True)
        target = urlsplit(urljoin(f"http://{self.host}{where}/", str(location)))
        query = "&".join(filter(None, [target.query, f"digest={digest}"]))
        self._ask(to, "PUT", f"{target.path}?{query}", content, "application/octet-stream", expected=201)

    @contextmanager
    def _connected(self) -> Iterator[http.client.HTTPConnection]:
        local = self.host.partition(":")[0] in _LOCAL
        if local:
            connection = http.client.HTTPConnection(self.host, timeout=_TIMEOUT_SECONDS)
        else:
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(self.host, timeout=_TIMEOUT_SECONDS, context=context)
        try:
            yield connection
        finally:
            connection.close()

    def _ask(
        self,
        to: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str = "",
        *,
        expected: int,
        location: bool = False,
    ) -> int | str:
        headers = {"Content-Type": kind} if kind else {}
        if self.login:
            headers["Authorization"] = f"Basic {b64encode(self.login.encode()).decode()}"
        to.request(method, path, body, headers)
        answer = to.getresponse()
        told = answer.read().decode(errors="replace")
        if expected and answer.status != expected:
            raise ReleaseError(f"registry {self.host} answers {answer.status} to {method} {path}: {told[:300]}")
        return (answer.getheader("Location") or "") if location else answer.status
