"""What is known of the Secrets whose values an agent's egress gateway sends."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ringfence.api import AgentDeploymentSpec
from ringfence.api.secrets import AgentSecret
from ringfence.kube import ApiError, NotFound, path_of
from ringfence.resources import Identity
from ringfence.resources.model import SecretState
from ringfence.resources.secret_names import secret_reference
from ringfence.resources.stored import controlled_by
from ringfence.store.records import Key

from .ages import HIDDEN
from .errors import NotGranted
from .secrets import Secrets

Metadata = Mapping[str, Any]
Known = dict[str, tuple[tuple[str, ...], SecretState]]
"""Of an agent's existing ones, by the secrets' names: which version of which Secret and key, and what was found.

Each is looked at once.
"""
LONGEST: Final = 8192
"""Bytes of a value: the gateway takes 60 KiB of headers, and hosts mostly 8 or 16."""


@dataclass
class SentSecrets:
    """Looks at them in each pass: once a minute, and again and again while a rotation's job runs.

    No Secret is watched: a watch would carry values.
    """

    secrets: Secrets
    _known: dict[Key, Known] = field(default_factory=dict)
    """Of each agent that has any."""

    async def of(
        self, key: Key, agent: Identity, spec: AgentDeploymentSpec | None, seen: Mapping[str, Metadata | None] | None
    ) -> dict[str, SecretState]:
        """By the names of the secrets; without those of which nothing is known. Raises ApiError, Unreachable.

        `seen`: metadata that this pass has already, by the same names.
        """
        wanted = [one for one in spec.secrets if one.delivery.gateway] if spec else []
        if not wanted:
            self.forget(key)
            return {}
        before, found = self._known.get(key, {}), {}
        known = self._known[key] = {one.name: before[one.name] for one in wanted if one.name in before}
        for one in wanted:
            try:
                metadata = seen[one.name] if seen else await self.secrets.metadata(agent, one)
                state = None if metadata is HIDDEN else await self._state(known, agent, one, metadata)
            except NotGranted:  # nor may the gateway's own Secrets be looked at, which is told
                continue
            if state is not None:
                found[one.name] = state
        return found

    def forget(self, key: Key) -> None:
        """The agent is gone, or has none any more."""
        self._known.pop(key, None)

    async def _state(
        self, known: Known, agent: Identity, secret: AgentSecret, metadata: Metadata | None
    ) -> SecretState | None:
        name, entry = secret_reference(agent.name, secret)
        if secret.source.existing is None:  # its value is Ringfence's own, and need not be looked at
            ours = metadata is not None and controlled_by(metadata, agent.uid)
            return _right(metadata) if ours and metadata is not None else None
        if metadata is None:
            return SecretState(problem=f"Secret {name} is not there")
        seen = (name, entry, str(metadata["uid"]), str(metadata["resourceVersion"]))
        before = known.get(secret.name)
        if before is None or before[0] != seen:
            before = known[secret.name] = seen, await self._look(agent, name, entry)
        return before[1]

    async def _look(self, agent: Identity, name: str, entry: str) -> SecretState:
        """The one place where a value that somebody else made is read: its form, and nothing of it is kept."""
        try:
            stored = await self.secrets.kube.get(path_of("v1", "secrets", agent.namespace, name))
        except NotFound:
            return SecretState(problem=f"Secret {name} is not there")
        except ApiError as failure:
            raise self.secrets.explained(agent, failure) from failure
        state, value = _right(stored["metadata"]), (stored.get("data") or {}).get(entry)
        if value is None:
            return SecretState(version=state.version, problem=f"Secret {name} has no key {entry}")
        wrong = problem_of(base64.b64decode(value))
        return SecretState(state.uid, state.version, f"key {entry} of Secret {name} {wrong}" if wrong else "")


def _right(metadata: Metadata) -> SecretState:
    return SecretState(str(metadata["uid"]), str(metadata["resourceVersion"]))


def problem_of(value: bytes) -> str:
    """Why a value cannot stand in a header (RFC 9110 section 5.5); "": it can. One newline at its end does not count.

    No character of the value is in the answer.
    """
    text = value.removesuffix(b"\n")
    if not text:
        return "is empty"
    if len(text) > LONGEST:
        return f"is longer than {LONGEST} bytes"
    if b"\n" in text or b"\r" in text:
        return "has a line break inside, or more than one at its end: write it without"
    if not all(0x20 <= byte < 0x7F for byte in text):  # noqa: PLR2004 - printable ASCII
        return "is not text: a byte of it is none of printable ASCII"
    if text != text.strip():
        return "has a blank at its beginning or its end"
    return ""
