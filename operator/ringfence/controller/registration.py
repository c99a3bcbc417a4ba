"""Whether admission is registered as the chart installed it: the webhook, and the policies in the API server.

The chart renders what it installs a second time, into a file that the controller reads. What is stored is compared
with that field by field, for each of them can blunt admission: a selector, a condition, a rule, an address. The one
that is left out is the caBundle, which somebody else sets (the controller itself, or cert-manager).
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import orjson

from ringfence.kube import ApiError, Kube, NotFound, Object, Unreachable, path_of
from ringfence.telemetry.events import Emit, RegistrationChanged, RegistrationObserved

LOOK_SECONDS: Final = 10.0
"""Between two looks."""
SHOWN: Final = 20
"""Differences that are told; more of them say no more."""
FIELDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "ValidatingWebhookConfiguration": ("validatingwebhookconfigurations", "webhooks"),
        "ValidatingAdmissionPolicy": ("validatingadmissionpolicies", "spec"),
        "ValidatingAdmissionPolicyBinding": ("validatingadmissionpolicybindings", "spec"),
        "MutatingAdmissionPolicy": ("mutatingadmissionpolicies", "spec"),
        "MutatingAdmissionPolicyBinding": ("mutatingadmissionpolicybindings", "spec"),
    }
)
"""Kind -> its plural, and the field that holds all that it does."""
LISTED: Final = frozenset(FIELDS) - {"ValidatingWebhookConfiguration"}
"""Kinds of which there are many: one request shows all of them."""


class Unreadable(Exception):
    """The file does not say what is installed."""


@dataclass(frozen=True)
class Installed:
    """One object as the chart installs it."""

    api_version: str
    kind: str
    name: str
    content: Any

    @property
    def path(self) -> str:
        """Its URL path."""
        return path_of(self.api_version, FIELDS[self.kind][0], name=self.name)

    def differences(self, stored: Object | None) -> Iterator[str]:
        """What of it is stored otherwise, as paths of fields."""
        about, field = f"{self.kind} {self.name}", FIELDS[self.kind][1]
        if stored is None:
            yield f"{about}: is not there"
            return
        for at, what in _differences(field, _meaning(self.content), _meaning(stored.get(field))):
            yield f"{about}: {at}: {what}"


def read(file: Path) -> list[Installed]:
    """What the chart installs. Raises Unreadable."""
    try:
        entries = orjson.loads(file.read_bytes())
        found = [Installed(one["apiVersion"], one["kind"], one["name"], one["content"]) for one in entries]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as failure:
        raise Unreadable(f"{file}: {type(failure).__name__}: {failure}") from failure
    if not found or unknown_kinds(found):
        raise Unreadable(f"{file}: names {', '.join(unknown_kinds(found)) or 'nothing'}")
    return found


def unknown_kinds(found: Sequence[Installed]) -> list[str]:
    """Kinds that nobody here compares."""
    return [str(one.kind) for one in found if one.kind not in FIELDS]


@dataclass(frozen=True)
class Seen:
    """What is stored otherwise than installed. `recording`: whether who asks for an agent is recorded as installed.

    None: nothing is installed that records it.
    """

    differences: tuple[str, ...]
    recording: bool | None = None


@dataclass(frozen=True)
class Registration:
    """What is stored beside what the chart installs. `file`: of that; it is read anew each time."""

    kube: Kube
    file: Path

    async def look(self) -> Seen:
        """No differences where all is as installed. What cannot be read is a difference.

        Raises ApiError, Unreachable where the API server does not answer for the moment: that says nothing.
        """
        try:
            return await self._look()
        except ApiError as failure:
            if failure.passing:
                raise
            return Seen((f"cannot be read: {failure}",), recording=False)

    async def _look(self) -> Seen:
        try:
            installed = read(self.file)
        except Unreadable as failure:
            return Seen((f"what is installed cannot be read: {failure}",), recording=False)
        collections = {(one.api_version, one.kind) for one in installed if one.kind in LISTED}
        single = [one.path for one in installed if one.kind not in LISTED]
        answers = await asyncio.gather(*map(self._get, single), *(self._list(*of) for of in sorted(collections)))
        stored = {path: body for found in answers for path, body in found.items()}
        found = [(one, tuple(one.differences(stored.get(one.path)))) for one in installed]
        recorders = _recorders(installed)
        right = not any(texts for one, texts in found if one.name in recorders)
        differences = tuple(text for _, texts in found for text in texts)
        return Seen(differences, recording=right if recorders else None)

    async def _get(self, path: str) -> dict[str, Object]:
        try:
            return {path: await self.kube.get(path)}
        except NotFound:
            return {}

    async def _list(self, api_version: str, kind: str) -> dict[str, Object]:
        """All of a kind: a selector would not show the one whose label somebody took away."""
        collection = path_of(api_version, FIELDS[kind][0])
        return {f"{collection}/{one['metadata']['name']}": one for one in await self.kube.list(collection)}


@dataclass
class RegistrationWatch:
    """Compares for ever. `changed`: told when who asks is recorded otherwise than before."""

    registration: Registration
    emit: Emit
    changed: Callable[[], None] = lambda: None
    recording: bool | None = None
    """Whether who asks for an agent is recorded, as far as it was seen; see `Seen`."""
    looked: bool = False
    """Whether it was seen at all."""
    _told: tuple[str, ...] = ()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Compare once; an API server that does not answer says nothing."""
        try:
            seen = await self.registration.look()
        except (ApiError, Unreachable):
            return
        found = seen.differences[:SHOWN]
        before, self.recording, self.looked = self.recording, seen.recording, True
        if before != self.recording:
            self.changed()
        if found != self._told:
            self._told = found
            self.emit(RegistrationChanged(found))
        self.emit(RegistrationObserved(in_force=not found))


def _recorders(installed: Sequence[Installed]) -> frozenset[str]:
    """The name of what writes who asks, and of what sees that nobody else does: it is one."""
    return frozenset(one.name for one in installed if one.kind == "MutatingAdmissionPolicy")


def _meaning(value: Any) -> Any:
    """Without what means nothing (the API server fills in empty selectors), and without the caBundle."""
    if isinstance(value, Mapping):
        found = {key: _meaning(inner) for key, inner in value.items() if key != "caBundle"}
        return {key: inner for key, inner in found.items() if inner not in (None, "", {}, [])}
    if isinstance(value, list):
        return [_meaning(inner) for inner in value]
    return value


def _differences(at: str, wanted: Any, found: Any) -> Iterator[tuple[str, str]]:
    """Paths of fields, and what is with them; values are not told: they may be long."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for key in sorted({*wanted, *found}):
            if key not in wanted or key not in found:
                yield f"{at}.{key}", "was added" if key in found else "was removed"
            else:
                yield from _differences(f"{at}.{key}", wanted[key], found[key])
    elif isinstance(wanted, list) and isinstance(found, list):
        if len(wanted) != len(found):
            yield at, f"has {len(found)} entries in place of {len(wanted)}"
        for index, (one, other) in enumerate(zip(wanted, found, strict=False)):
            yield from _differences(f"{at}[{index}]", one, other)
    elif wanted != found:
        yield at, "was removed" if found is None else "was changed"
