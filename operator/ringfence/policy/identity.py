"""Who an agent may be to a cloud: what every policy names, never somebody with rights on the API server."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from ringfence.api.identity import AllowedAnnotation, Identity, IdentityToken

from .model import NamedPolicy, RuleName, Violation
from .pods import RESERVED_PATHS, SYSTEM_PATHS, overlap
from .text import listed, quote

_AT: Final = "spec.identity"
Pairs = frozenset[tuple[str, str]]
"""(key, value) of annotations."""


def check_identity(
    identity: Identity | None, policies: Sequence[NamedPolicy], api_audiences: Collection[str]
) -> Iterator[Violation]:
    """All policies must allow each. `api_audiences`: for whom a token must be to be taken by the API server.

    What could not be read is empty, and asks for nothing.
    """
    if identity is None:
        return
    for index, token in enumerate(identity.tokens):
        if token.audience in api_audiences:
            message = (
                "the API server takes tokens for this audience, and what an agent may do there is in permissions: name "
                "the audience of a cloud, such as sts.amazonaws.com"
            )
            yield Violation(f"{_AT}.tokens[{index}].audience", RuleName.INVALID_FIELD, message)
    for policy in policies:
        allowed, by = policy.spec.identity, f"policy {quote(policy.name)}"
        named = pairs(allowed.annotations)
        for index, one in enumerate(identity.annotations):
            if one.value and (one.key, one.value) not in named:
                values = sorted(value for key, value in named if key == one.key)
                choice = f"; it takes {listed(map(quote, values), 4)}" if values else ""
                message = f"{by} gives no agent this value of {one.key}{choice}: {_fix('annotations')}"
                yield Violation(f"{_AT}.annotations[{index}].value", RuleName.IDENTITY_ABOVE_POLICY, message)
        for index, token in enumerate(identity.tokens):
            if token.audience and token.audience not in allowed.audiences:
                message = f"{by} gives no agent a token for {quote(token.audience)}: {_fix('audiences')}"
                yield Violation(f"{_AT}.tokens[{index}].audience", RuleName.IDENTITY_ABOVE_POLICY, message)


def check_token_paths(identity: Identity | None, mounted: Sequence[str]) -> Iterator[Violation]:
    """A token's directory is mounted whole: it hides nothing of the system, the pod, or another entry.

    `mounted`: paths of the agent's other mounts, its files and the directories of its secrets included.
    """
    if identity is None:
        return
    taken = (*RESERVED_PATHS, *SYSTEM_PATHS, *mounted)
    directories = [directory(token) for token in identity.tokens]
    for index, own in enumerate(directories):
        others = (one for one in directories[:index] if one != own)
        if hidden := next((place for place in (*taken, *others) if overlap(own, place)), None):
            message = (
                f"its directory {own} would hide {hidden}, or a part of it: choose another one, such as "
                "/var/run/identity/token"
            )
            yield Violation(f"{_AT}.tokens[{index}].path", RuleName.INVALID_FIELD, message)


def directory(token: IdentityToken) -> str:
    """Where it is mounted. By itself, as a single file, it would never be renewed."""
    return token.path.rpartition("/")[0]


def pairs(named: Sequence[AllowedAnnotation]) -> Pairs:
    """What a policy names."""
    return frozenset((one.key, value) for one in named for value in one.values)


def token_directories(raw: Mapping[str, object]) -> list[object]:
    """Paths of tokens in a spec, whatever somebody sent: what they hide of the image decides what runs."""
    identity = raw.get("identity")
    tokens = identity.get("tokens") if isinstance(identity, Mapping) else None
    return [one.get("path") for one in tokens if isinstance(one, Mapping)] if isinstance(tokens, list) else []


def _fix(field: str) -> str:
    return f"leave it out, or have it added to the policy's identity.{field}"
