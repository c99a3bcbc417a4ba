"""Keys, certificates and kubeconfigs."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Authority", "kubeconfig", "write_key_pair"]

LIFETIME = dt.timedelta(days=365)


@dataclass(frozen=True)
class Authority:
    """A certificate authority that lives in two files, `NAME.crt` and `NAME.key`."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    folder: Path

    @classmethod
    def create(cls, folder: Path, name: str) -> Authority:
        """Make a new authority and store it."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"ringfence {name}")])
        certificate = (
            _builder(subject, subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        _store(folder, name, certificate, key)
        return cls(certificate, key, folder)

    @classmethod
    def load(cls, folder: Path, name: str) -> Authority:
        """Read an authority that `create` stored."""
        certificate = x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())
        key = serialization.load_pem_private_key((folder / f"{name}.key").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return cls(certificate, key, folder)

    def issue(
        self,
        file: str,
        *,
        user: str,
        groups: Sequence[str] = (),
        names: Sequence[str] = (),
    ) -> tuple[Path, Path]:
        """Issue a certificate into `FILE.crt` and `FILE.key`; returns the two paths.

        `user` and `groups` are what Kubernetes reads from a client (CN and O); with `names` (DNS names
        and addresses) it is a server's certificate.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups),
                x509.NameAttribute(NameOID.COMMON_NAME, user),
            ]
        )
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = _builder(subject, self.certificate.subject, key.public_key()).add_extension(
            x509.ExtendedKeyUsage([purpose]), critical=False
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(map(_general, names)), critical=False)
        return _store(self.folder, file, builder.sign(self.key, hashes.SHA256()), key)


def write_key_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """A bare key pair (`NAME.pub`, `NAME.key`), for signing service-account tokens."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = folder / f"{name}.pub"
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return public, _store_key(folder / f"{name}.key", key)


def kubeconfig(path: Path, *, server: str, ca: Path, certificate: Path, key: Path, user: str) -> Path:
    """Write a kubeconfig that holds all it needs (JSON, which is YAML too), readable by its owner only."""

    def embed(file: Path) -> str:
        return base64.b64encode(file.read_bytes()).decode()

    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "ringfence", "cluster": {"server": server, "certificate-authority-data": embed(ca)}}],
        "users": [
            {
                "name": user,
                "user": {"client-certificate-data": embed(certificate), "client-key-data": embed(key)},
            }
        ],
        "contexts": [{"name": "ringfence", "context": {"cluster": "ringfence", "user": user}}],
        "current-context": "ringfence",
    }
    _write_private(path, json.dumps(content, indent=1).encode())
    return path


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _store(
    folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> tuple[Path, Path]:
    path = folder / f"{name}.crt"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path, _store_key(folder / f"{name}.key", key)


def _store_key(path: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    _write_private(
        path,
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    return path


def _write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_bytes(content)
