"""Public keys and what they verify, with the algorithms that Sigstore has for each kind of key.

Source: Sigstore's registry of algorithms (github.com/sigstore/architecture-docs, algorithm-registry.md), those that
`cosign` signs with. Not Ed25519: cosign signs with its pre-hashed form (Ed25519ph), which the library lacks.
Imported where a signature is to be verified and nowhere else: `ringfence lint` starts without it.
"""

import binascii
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import load_pem_public_key

_ECDSA = {
    "secp256r1": ECDSA(SHA256()),
    "secp384r1": ECDSA(SHA384()),
    "secp521r1": ECDSA(SHA512()),
}
"""By curve."""
_RSA_BITS = (2048, 3072, 4096)
_Key = EllipticCurvePublicKey | RSAPublicKey


@lru_cache(maxsize=256)
def _read(pem: str) -> _Key | None:
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm, binascii.Error):
        return None
    match key:
        case EllipticCurvePublicKey() if key.curve.name in _ECDSA:
            return key
        case RSAPublicKey() if key.key_size in _RSA_BITS:
            return key
    return None


def is_usable(pem: str) -> bool:
    """Whether it is a key that can verify something here."""
    return _read(pem) is not None


def verifies(pem: str, signature: bytes, message: bytes) -> bool:
    """Whether the key's owner signed exactly this. False for a key that cannot be used. Never raises."""
    key = _read(pem)
    try:
        match key:
            case EllipticCurvePublicKey():
                key.verify(signature, message, _ECDSA[key.curve.name])
            case RSAPublicKey():
                key.verify(signature, message, PKCS1v15(), SHA256())
            case None:
                return False
    except InvalidSignature:
        return False
    return True
