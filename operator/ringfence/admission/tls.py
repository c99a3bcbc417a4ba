"""The server's certificate, swapped under a running listener.

Every connection is given the newest certificate in its handshake, so that a renewal closes neither the listener
nor a connection. One base context holds the listener; its SNI callback hands each handshake over to the current
context, which is always built anew (loading a second chain into one context would keep the old key beside a new
one of another type).
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from cryptography import x509

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Files:
    """PEM files: the chain, its key, and the CA of the clients (None: clients need no certificate)."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def stamp(self) -> tuple[Any, ...]:
        """Changes whenever one of the files does. Raises OSError."""
        paths = [path for path in (self.certificate, self.key, self.client_ca) if path]
        return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in (path.stat() for path in paths))


class Certificate:
    """The certificate in use. What cannot be loaded leaves the old one in use."""

    def __init__(self, files: Files, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._files = files
        self._now = now
        self._stamp: tuple[Any, ...] | None = None
        self._current: ssl.SSLContext | None = None
        self._problem: str | None = f"{files.certificate} has not been read yet"
        self.not_before: datetime | None = None
        self.not_after: datetime | None = None
        self.base = _context(files.client_ca)
        self.base.sni_callback = self._hand_over

    def refresh(self) -> bool:
        """Look at the files. True when a new certificate came into use."""
        try:
            stamp = self._files.stamp()
            if stamp == self._stamp:
                return False
            found = x509.load_pem_x509_certificate(self._files.certificate.read_bytes())
            context = _context(self._files.client_ca)
            context.load_cert_chain(self._files.certificate, self._files.key)
            if self._files.stamp() != stamp:
                return False  # swapped while it was read: the next look will see one whole pair
        except Exception as failure:  # noqa: BLE001 - whatever is wrong with new files, the old pair serves on
            self._complain(failure)
            return False
        self._stamp, self._current, self._problem = stamp, context, None
        self.not_before, self.not_after = found.not_valid_before_utc, found.not_valid_after_utc
        log.info("certificate in use", serial=f"{found.serial_number:x}", not_after=self.not_after.isoformat())
        return True

    def missing(self) -> str | None:
        """What keeps this server from being trusted; None when nothing does."""
        if self._current is None:
            return self._problem
        now = self._now()
        if self.not_after and self.not_after <= now:
            return f"the certificate ended on {self.not_after.isoformat()}"
        if self.not_before and self.not_before > now:
            return f"the certificate begins only on {self.not_before.isoformat()}"
        return None

    def _complain(self, failure: Exception) -> None:
        # Only the kind of the error: no byte of a key belongs in a log.
        spoken = failure.strerror if isinstance(failure, OSError) else None
        reason = spoken or type(failure).__name__
        problem = f"the certificate cannot be loaded: {reason}"
        if problem != self._problem:
            log.error(problem, file=str(self._files.certificate), keeps_old=self._current is not None)
        self._problem = problem

    def _hand_over(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> int | None:
        if self._current is None:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self._current
        return None


def _context(client_ca: Path | None) -> ssl.SSLContext:
    """TLS 1.3 only: every API server has spoken it for years. No tickets: each handshake proves anew."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
