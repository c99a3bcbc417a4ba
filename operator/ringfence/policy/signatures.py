"""Signatures of images, and attestations about them: verified offline, by the keys of the policies.

An agent brings them along as Sigstore bundles, as `cosign sign --bundle` and `cosign attest --bundle` (version 3) write
them: admission asks no registry. What counts is what was signed: an in-toto statement that names the image by its
digest. Sources: https://docs.sigstore.dev/about/bundle (version 0.3), DSSE's protocol.md
(github.com/secure-systems-lab/dsse) for what is signed, in-toto's statement (github.com/in-toto/attestation, spec/v1).
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ringfence.api.agentdeployment import ImageSignature

from .images import ImageError, parse_image
from .model import NamedPolicy, RuleName, Violation
from .text import listed, quote

AT: Final = "spec.imageSignatures"
SIGNATURE: Final = "https://sigstore.dev/cosign/sign/v1"
"""What `cosign sign` states: the key's owner stands for the image. All other statements are attestations."""
_PAYLOAD: Final = "application/vnd.in-toto+json"
_SHA256: Final = "sha256:"
_MOST_KEPT: Final = 128
"""Bundles, of 32 KiB at most, and verdicts about them."""
_HOW: Final = "and put the content of FILE into spec.imageSignatures[].bundle"


class BundleError(ValueError):
    """The bundle cannot be read; the message says why and never repeats it."""


def _decoded(text: Any) -> Any:
    return base64.b64decode(text, validate=True) if isinstance(text, str) else text


class _Part(BaseModel):
    """What is read of a bundle. What else is in it decides nothing here: an entry of a log, a hint which key it was."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


_Bytes = Annotated[bytes, BeforeValidator(_decoded)]


class _Signature(_Part):
    sig: _Bytes


class _Envelope(_Part):
    payload: _Bytes
    payload_type: Literal["application/vnd.in-toto+json"] = Field(alias="payloadType")
    signatures: Annotated[list[_Signature], Field(min_length=1, max_length=1)]


class _Bundle(_Part):
    media_type: Literal["application/vnd.dev.sigstore.bundle.v0.3+json"] = Field(alias="mediaType")
    envelope: _Envelope = Field(alias="dsseEnvelope")


class _Subject(_Part):
    digest: dict[str, str]


class _Statement(_Part):
    type: Literal["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"] = Field(alias="_type")
    subject: Annotated[list[_Subject], Field(min_length=1)]
    predicate_type: str = Field(alias="predicateType")


@dataclass(frozen=True)
class Statement:
    """What somebody signed: `predicate` (a URI) about images with these `digests` (sha256:...)."""

    digests: frozenset[str]
    predicate: str
    signature: bytes
    message: bytes
    """The bytes that were signed: DSSE's pre-authentication encoding of the payload."""


@lru_cache(maxsize=_MOST_KEPT)
def read_bundle(text: str) -> Statement:
    """The statement of a bundle. Nothing is verified. Raises BundleError."""
    try:
        envelope = _Bundle.model_validate_json(text).envelope
        statement = _Statement.model_validate_json(envelope.payload)
    except ValidationError as failure:
        found = failure.errors(include_url=False, include_context=False, include_input=False)
        places = listed((".".join(map(str, one["loc"])) or "its JSON" for one in found), 3)
        raise BundleError(f"is no Sigstore bundle v0.3 with a signed in-toto statement: look at {places}") from None
    digests = frozenset(_SHA256 + one.digest["sha256"] for one in statement.subject if "sha256" in one.digest)
    head = f"DSSEv1 {len(_PAYLOAD)} {_PAYLOAD} {len(envelope.payload)} ".encode()
    return Statement(digests, statement.predicate_type, envelope.signatures[0].sig, head + envelope.payload)


@lru_cache(maxsize=_MOST_KEPT)
def _signed(bundle: str, key: str) -> bool:
    """Whether the key's owner signed the statement. Kept, as an agent is decided about many times."""
    from .signing_keys import verifies  # noqa: PLC0415 - only here is it needed, and start-up time counts

    statement = read_bundle(bundle)
    return verifies(key, statement.signature, statement.message)


def check_signatures(
    images: Sequence[tuple[str, str]], signatures: Sequence[ImageSignature], policies: Sequence[NamedPolicy]
) -> Iterator[Violation]:
    """Each image is signed, and attested, as each policy asks. `images`: path of the field, and reference.

    A bundle that cannot be read is a violation where no policy asks for one, too.
    """
    readable: dict[int, str] = {}
    for index, one in enumerate(signatures):
        try:
            read_bundle(one.bundle)
            readable[index] = one.bundle
        except BundleError as wrong:
            yield Violation(f"{AT}[{index}].bundle", RuleName.INVALID_FIELD, str(wrong))
    asking = [policy for policy in policies if policy.spec.images.signed_by]
    for path, reference in images if asking else ():
        try:
            image = parse_image(reference)
        except ImageError:
            continue  # that is told already
        for policy in asking:
            yield from _check(path, image.digest, readable, policy)


def _check(path: str, digest: str | None, bundles: dict[int, str], policy: NamedPolicy) -> Iterator[Violation]:
    asked = policy.spec.images
    if digest is None:
        if not asked.require_digest:  # else that is told already
            message = (
                f"policy {quote(policy.name)} asks for a signature, which is of a digest: write NAME@sha256:DIGEST"
            )
            yield Violation(path, RuleName.IMAGE_NOT_SIGNED, message)
        return
    keys = asked.signed_by or []
    by = f"by a key of policy {quote(policy.name)} ({listed(quote(key.name) for key in keys)})"
    about = {index: text for index, text in bundles.items() if digest in read_bundle(text).digests}
    good = {index: text for index, text in about.items() if any(_signed(text, key.public_key) for key in keys)}
    stated = {read_bundle(text).predicate for text in good.values()}
    if SIGNATURE not in stated:
        why = _why(bundles, about, good)
        how = f"sign it with cosign sign --key KEY --bundle FILE NAME@{digest}"
        yield Violation(path, RuleName.IMAGE_NOT_SIGNED, f"is not signed {by}{why}: {how}, {_HOW}")
    for wanted in asked.attestations:
        if wanted not in stated:
            how = f"cosign attest --key KEY --type {wanted} --predicate PREDICATE --bundle FILE NAME@{digest}"
            message = f"lacks an attestation {quote(wanted)} {by}: make one with {how}, {_HOW}"
            yield Violation(path, RuleName.IMAGE_NOT_ATTESTED, message)


def _why(bundles: dict[int, str], about: dict[int, str], good: dict[int, str]) -> str:
    """Of the bundles that are there, why each is no signature of the image."""
    reasons = dict.fromkeys(bundles, "is about another digest")
    reasons |= dict.fromkeys(about, "is not by one of these keys, or was changed")
    reasons |= {index: f"is an attestation ({quote(read_bundle(text).predicate)})" for index, text in good.items()}
    return f"; {listed(f'{AT}[{index}] {why}' for index, why in reasons.items())}" if reasons else ""
