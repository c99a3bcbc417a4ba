"""Bundles as cosign writes them, made by a test's own keys."""

import base64
import json
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from ringfence.policy.signatures import SIGNATURE
from unit.policy.make import DIGEST

TYPE = "application/vnd.in-toto+json"
SLSA = "https://slsa.dev/provenance/v1"


class Signer:
    """A key pair (ECDSA P-256, as `cosign generate-key-pair` makes), and what it signs."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = self._key.public_key()
        info = serialization.PublicFormat.SubjectPublicKeyInfo
        self.pem = public.public_bytes(serialization.Encoding.PEM, info).decode()

    def bundle(self, digest: str = DIGEST, predicate: str = SIGNATURE, **statement: Any) -> dict[str, Any]:
        said = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {"sha256": digest.removeprefix("sha256:")}, "annotations": {}}],
            "predicateType": predicate,
            "predicate": {},
        }
        return self.envelope(json.dumps(said | statement).encode())

    def envelope(self, payload: bytes, kind: str = TYPE) -> dict[str, Any]:
        message = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
        signature = self._key.sign(message, ec.ECDSA(SHA256()))
        return {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": "a hint decides nothing"}},
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": kind,
                "signatures": [{"sig": base64.b64encode(signature).decode()}],
            },
        }


def carried(*bundles: Any) -> dict[str, Any]:
    """The part of an agent's spec that brings these along: JSON as it is, or text."""
    texts = [one if isinstance(one, str) else json.dumps(one) for one in bundles]
    return {"imageSignatures": [{"bundle": text} for text in texts]}


def asking(*pems: str, **images: Any) -> dict[str, Any]:
    """A policy with these keys, called k0, k1, ..."""
    keys = [{"name": f"k{index}", "publicKey": pem} for index, pem in enumerate(pems)]
    return {"images": {"signedBy": keys, **images}}
