"""Image references: parsed as the container runtimes parse them, then judged by their parts."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from .model import NamedPolicy, RuleName, Violation
from .text import listed, quote

DEFAULT_REGISTRY: Final = "docker.io"
"""What a reference without a host means (github.com/distribution/reference, normalize.go)."""
_FORMER_REGISTRY: Final = "index.docker.io"
_OFFICIAL: Final = "library"
_ANY: Final = "*"

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*(?::[0-9]{{1,5}})?")
_SEGMENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LOCAL_ID = re.compile(r"[0-9a-f]{4,64}")
_MAX_NAME = 255
"""Longest HOST/PATH, by the same package (reference.go: NameTotalLengthMax)."""


@dataclass(frozen=True)
class ImageReference:
    """The parts of HOST/PATH:TAG@DIGEST. `path` has at least one segment."""

    host: str
    path: tuple[str, ...]
    tag: str | None = None
    digest: str | None = None

    @property
    def segments(self) -> tuple[str, ...]:
        """Host and path, the form in which registries are compared."""
        return (self.host, *self.path)


class ImageError(ValueError):
    """The reference cannot be read; the message says what to write and never repeats the reference."""


def parse_image(text: str) -> ImageReference:
    """`text` as parts, a bare name completed as the runtimes do. Raises ImageError."""
    name, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise ImageError("what follows the @ must be sha256: and 64 hexadecimal digits in lower case")
    name, tag = _split_tag(name)
    if tag is not None and not _TAG.fullmatch(tag):
        raise ImageError("the tag must be 1 to 128 letters, digits, dots, underscores and dashes")
    if not at and "/" not in name and (name == "sha256" or (tag is None and _LOCAL_ID.fullmatch(name))):
        raise ImageError("a runtime may read this as the id of an image on the node: write HOST/PATH@sha256:DIGEST")
    host, path = _split_host(name)
    if len(host) + 1 + len(path) > _MAX_NAME:
        raise ImageError(f"host and path must be at most {_MAX_NAME} characters")
    _check_host(host)
    segments = tuple(path.split("/"))
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise ImageError("each part of the path must be lower-case letters and digits, with single separators between")
    return ImageReference(host, segments, tag, digest or None)


def _check_host(host: str) -> None:
    match = _HOST.fullmatch(host)
    if not match:
        raise ImageError("the registry must be a host name in lower case, or HOST:PORT")
    port = host.partition(":")[2]
    if port and not 0 < int(port) < 1 << 16:
        raise ImageError("the registry's port must be a number from 1 to 65535")


def _split_tag(name: str) -> tuple[str, str | None]:
    """A colon in the last segment begins the tag; one before it belongs to the host."""
    head, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    return head + slash + last, tag if colon else None


def _split_host(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        first, rest = DEFAULT_REGISTRY, name
    if first == _FORMER_REGISTRY:
        first = DEFAULT_REGISTRY
    if first == DEFAULT_REGISTRY and "/" not in rest:
        rest = f"{_OFFICIAL}/{rest}"
    return first, rest


def from_registry(image: ImageReference, registry: str) -> bool:
    """Whether `image` lies in `registry` (HOST, HOST/PATH, or `*`)."""
    return covers(registry, image.segments)


def covers(registry: str, segments: Sequence[str]) -> bool:
    """Whether a host and a path lie in `registry` (HOST, HOST/PATH, or `*`): by whole segments, never by prefix."""
    if registry == _ANY:
        return True
    wanted = registry.removesuffix("/").split("/")
    return list(segments[: len(wanted)]) == wanted


def check_image(at: str, text: str, policies: Sequence[NamedPolicy]) -> Iterator[Violation]:
    """Every violation of the rules about images. `at`: path of the field."""
    try:
        image = parse_image(text)
    except ImageError as wrong:
        yield Violation(at, RuleName.IMAGE_INVALID, f"cannot be read as an image reference: {wrong}")
        return
    for policy in policies:
        if policy.spec.images.require_digest and image.digest is None:
            message = (
                f"the image is not pinned, and policy {quote(policy.name)} asks for a digest: "
                "write NAME@sha256:DIGEST, as the registry shows it"
            )
            yield Violation(at, RuleName.IMAGE_NO_DIGEST, message)
        if not any(from_registry(image, registry) for registry in policy.spec.images.registries):
            yield _registry(at, image, policy)


def _registry(at: str, image: ImageReference, policy: NamedPolicy) -> Violation:
    allowed = listed(quote(registry) for registry in policy.spec.images.registries)
    fix = f"take it from {allowed}" if allowed else "it allows none at all"
    message = f"policy {quote(policy.name)} does not allow images from {quote('/'.join(image.segments))}: {fix}"
    return Violation(at, RuleName.IMAGE_REGISTRY, message)
