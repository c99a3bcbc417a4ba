"""Signing: in-toto statements in Sigstore bundles, as `cosign sign --bundle` and `cosign attest --bundle` write them.

The signatures are deterministic (RFC 6979): the same release signed by the same key is the same bytes.
"""

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from ringfence.policy.signatures import SIGNATURE, BundleError, read_bundle
from ringfence.policy.signing_keys import verifies

from .errors import ReleaseError
from .oci import BUNDLE

PROVENANCE: Final = "https://slsa.dev/provenance/v1"
SBOM: Final = "https://cyclonedx.org/bom"
FILES: Final = "urn:ringfence:files:v1"
"""What is stated of the list of checksums."""
_TYPE: Final = "application/vnd.in-toto+json"
_ASKED: Final = (
    "no key to sign with: name its file by --key or RINGFENCE_RELEASE_KEY_FILE, or hand its PEM over in"
    " RINGFENCE_RELEASE_KEY. `python -m tools.release key FILE` makes one"
)
_P256_BITS: Final = 256


def new_key(path: Path) -> None:
    """Write a new private key that its owner alone can read. Never overwrites one."""
    key = generate_private_key(SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ReleaseError(f"{path} is there already: another key is not written over it") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)


@dataclass(frozen=True)
class Signer:
    """A private key: ECDSA on P-256, as `cosign generate-key-pair` makes."""

    _key: EllipticCurvePrivateKey

    @classmethod
    def found(cls, path: Path | None) -> "Signer":
        """From a file, or from the environment. Raises ReleaseError; the key is in no message."""
        named = path or (Path(text) if (text := os.environ.get("RINGFENCE_RELEASE_KEY_FILE")) else None)
        try:
            pem = named.read_bytes() if named else os.environ.get("RINGFENCE_RELEASE_KEY", "").encode()
        except OSError as problem:
            raise ReleaseError(f"key {named}: {problem.strerror}") from None
        if not pem:
            raise ReleaseError(_ASKED)
        password = os.environ.get("RINGFENCE_RELEASE_KEY_PASSWORD", "").encode() or None
        try:
            key = load_pem_private_key(pem, password)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ReleaseError(
                "the key is no PEM of a private key, or its password (RINGFENCE_RELEASE_KEY_PASSWORD) is another one"
            ) from None
        if not isinstance(key, EllipticCurvePrivateKey) or key.curve.key_size != _P256_BITS:
            raise ReleaseError("the key is not ECDSA on P-256, which cosign signs with")
        return cls(key)

    @property
    def public(self) -> str:
        """The public key, PEM."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def bundle(self, subjects: Mapping[str, str], predicate: str = SIGNATURE, content: Any = None) -> str:
        """A bundle that states `predicate` with its `content` about `subjects`: name -> sha256:..."""
        statement = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [
                {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}
                for name, digest in sorted(subjects.items())
            ],
            "predicateType": predicate,
            "predicate": content or {},
        }
        payload = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
        message = f"DSSEv1 {len(_TYPE)} {_TYPE} {len(payload)} ".encode() + payload
        signature = self._key.sign(message, ECDSA(SHA256(), deterministic_signing=True))
        made = {
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": hint(self._key.public_key())}},
            "dsseEnvelope": {
                "payload": b64encode(payload).decode(),
                "payloadType": _TYPE,
                "signatures": [{"sig": b64encode(signature).decode()}],
            },
        }
        return json.dumps(made, indent=1, sort_keys=True) + "\n"


def hint(key: PublicKeyTypes) -> str:
    """Which key it was, as cosign says it in its bundles: the base64 of the SHA-256 of its DER."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b64encode(sha256(der).digest()).decode()


def check(text: str, key: str, predicate: str, digests: Sequence[str]) -> None:
    """Verify a bundle by Ringfence's own verifier. Raises ReleaseError: what it lacks."""
    try:
        statement = read_bundle(text)
    except BundleError as wrong:
        raise ReleaseError(str(wrong)) from None
    if not verifies(key, statement.signature, statement.message):
        raise ReleaseError("is not signed by this key, or was changed")
    if statement.predicate != predicate:
        raise ReleaseError(f"states {statement.predicate}, not {predicate}")
    if missing := sorted(set(digests) - statement.digests):
        raise ReleaseError(f"is not about {missing[0]}")


def content(text: str) -> Any:
    """The predicate's content in a bundle that was verified."""
    payload = json.loads(text)["dsseEnvelope"]["payload"]
    return json.loads(b64decode(payload))["predicate"]
