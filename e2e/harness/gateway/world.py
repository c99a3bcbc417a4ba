"""The pretend internet of a room: hosts with certificates, good and bad, and their DNS."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cluster import programs
from cluster.shell import wait_for

from . import room as rooms
from .dns import Names
from .room import Room

__all__ = ["Site", "World", "world"]


@dataclass(frozen=True)
class Site:
    """A host that runs. `certified`: the name in its certificate; empty: no TLS. `authority`: who signed that."""

    name: str
    address: str
    port: int = 443
    certified: str = ""
    authority: str = "public"
    expired: bool = False
    flags: tuple[str, ...] = ()


def _good(name: str, address: str, port: int = 443, *flags: str) -> Site:
    return Site(name, address, port, certified=name, flags=flags)


SITES = (
    _good("api.llm.test", rooms.PUBLIC),
    _good("api.llm.test", rooms.PUBLIC, 8443),
    _good("other.test", rooms.OTHER),
    _good("h1.test", rooms.THIRD, 443, "-http1"),
    Site("plain.test", rooms.PUBLIC, 80),
    _good("private.test", rooms.PRIVATE),
    _good("metadata.test", rooms.METADATA),
    Site("metadata.test", rooms.METADATA, 80),
    Site("expired.test", "203.0.113.13", certified="expired.test", expired=True),
    Site("misnamed.test", "203.0.113.14", certified="other.test"),
    Site("unknown-ca.test", "203.0.113.15", certified="unknown-ca.test", authority="stranger"),
    _good("old.test", "203.0.113.16", 443, "-tls12"),
)


class World:
    """Hosts and names. `authorities`: PEM of whom the world believes."""

    def __init__(self, place: Room) -> None:
        self.place = place
        self.pki = Pki(place.folder)
        self.names = Names(rooms.RESOLVER)
        self.authorities = place.folder / "public.pem"

    def start(self, *sites: Site) -> None:
        """Start hosts, and wait until all listen."""
        for site in sites:
            self.names.set(site.name, site.address)
            argv: list[str | Path] = [programs.upstream(), "-listen", f"{site.address}:{site.port}", *site.flags]
            if site.certified:
                argv += self.pki.issue(site)
            self.place.start(_file(site), argv)
        for site in sites:
            wait_for(f"{site.name} to listen", lambda site=site: self.account(site, "listening"), timeout=60)  # type: ignore[misc]

    def account(self, site: Site, what: str) -> list[Any]:
        """What a host has told of: `connection` (each that was accepted), `request`, `websocket`."""
        lines = (self.place.folder / f"{_file(site)}.out").read_text().splitlines()
        return [told[what] for told in map(json.loads, lines) if what in told]

    def site(self, name: str, port: int = 443) -> Site:
        """One of SITES."""
        return next(site for site in SITES if (site.name, site.port) == (name, port))


class Pki:
    """Authorities of the pretend internet: `public`, and a `stranger` whom nobody believes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authorities = {name: _authority(name) for name in ("public", "stranger")}
        (folder / "public.pem").write_bytes(_pem(self.authorities["public"][0]))

    def issue(self, site: Site) -> list[str | Path]:
        """Flags of the program: a certificate and its key."""
        issuer, issuer_key = self.authorities[site.authority]
        key = ec.generate_private_key(ec.SECP256R1())
        ends = -dt.timedelta(minutes=5) if site.expired else dt.timedelta(days=1)
        made = (
            _builder(x509.Name([]), issuer.subject, key, ends)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(site.certified)]), critical=True)
            .sign(issuer_key, hashes.SHA256())
        )
        certificate, private = self.folder / f"{_file(site)}.crt", self.folder / f"{_file(site)}.key"
        certificate.write_bytes(_pem(made))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return ["-cert", certificate, "-key", private]


def _authority(name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} authority of the pretend internet")])
    builder = _builder(subject, subject, key, dt.timedelta(days=1))
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    return builder.add_extension(constraints, critical=True).sign(key, hashes.SHA256()), key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, ends: dt.timedelta
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + ends)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _file(site: Site) -> str:
    return f"host-{site.name}-{site.address}-{site.port}"


@contextmanager
def world(name: str, folder: Path) -> Iterator[World]:
    """A room with all hosts running; the caller's thread is inside."""
    programs.upstream(), programs.envoy()  # before anything is inside: the room has no way to a registry
    with rooms.room(name, folder) as place, place.entered():
        made = World(place)
        made.start(*SITES)
        yield made
        made.names.close()
