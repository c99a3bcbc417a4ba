"""Whether admission is registered as the chart installed it: the webhook, and the floor in the API server.

The chart renders what it installs a second time, into a file that the controller reads. What is stored is compared
with that field by field, for each of them can blunt admission: a selector, a condition, a rule, an address. The one
that is left out is the caBundle, which somebody else sets (the controller itself, or cert-manager).
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
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
    }
)
"""Kind -> its plural, and the field that holds all that it does."""
LISTED: Final = frozenset({"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"})
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
class Registration:
    """What is stored beside what the chart installs. `file`: of that; it is read anew each time."""

    kube: Kube
    file: Path

    async def differences(self) -> list[str]:
        """None where all is as installed. What cannot be read is a difference.

        Raises ApiError, Unreachable where the API server does not answer for the moment: that says nothing.
        """
        try:
            return await self._differences()
        except ApiError as failure:
            if failure.passing:
                raise
            return [f"cannot be read: {failure}"]

    async def _differences(self) -> list[str]:
        try:
            installed = read(self.file)
        except Unreadable as failure:
            return [f"what is installed cannot be read: {failure}"]
        collections = {(one.api_version, one.kind) for one in installed if one.kind in LISTED}
        single = [one.path for one in installed if one.kind not in LISTED]
        answers = await asyncio.gather(*map(self._get, single), *(self._list(*of) for of in sorted(collections)))
        stored = {path: body for found in answers for path, body in found.items()}
        return [text for one in installed for text in one.differences(stored.get(one.path))]

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
    """Compares for ever."""

    registration: Registration
    emit: Emit
    _told: tuple[str, ...] = ()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Compare once; an API server that does not answer says nothing."""
        try:
            found = tuple(await self.registration.differences())[:SHOWN]
        except (ApiError, Unreachable):
            return
        if found != self._told:
            self._told = found
            self.emit(RegistrationChanged(found))
        self.emit(RegistrationObserved(in_force=not found))


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
