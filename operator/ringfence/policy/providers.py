"""LLM providers: their hosts, where their clients put a key, and the requests of inference (`providers.json`).

A host of theirs takes data for whoever has an account: who brings a key of his own carries data out there.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from ringfence.api.hostnames import STAR, Host


@dataclass(frozen=True)
class KeyPlace:
    """Where a key stands in a request: in a header, in lower case, behind `scheme` and a blank; or in the query."""

    header: str | None = None
    scheme: str | None = None
    query: str | None = None


@dataclass(frozen=True)
class Inference:
    """Requests of inference: one of the methods, and one of the paths, with {name} for text within a segment."""

    methods: tuple[str, ...]
    paths: tuple[str, ...]

    @cached_property
    def patterns(self) -> tuple[str, ...]:
        """The paths as regular expressions in RE2 syntax, each for the whole path without its query."""
        return tuple(map(pattern, self.paths))

    def allows(self, method: str, path: str) -> bool:
        """Whether a request is one of these."""
        return method in self.methods and any(re.fullmatch(one, path) for one in self.patterns)


@dataclass(frozen=True)
class Provider:
    """`hosts`: a star is any text within one label. `signed`: clients without a key sign, which takes none."""

    name: str
    hosts: tuple[str, ...]
    keys: tuple[KeyPlace, ...]
    rules: tuple[Inference, ...]
    sources: tuple[str, ...]
    signed: bool = False

    def meets(self, host: Host) -> bool:
        """Whether `host` is one of the provider's, or stands for one."""
        return any(_meet(pattern, host) for pattern in self.hosts)

    def allows(self, method: str, path: str) -> bool:
        """Whether a request is one of inference."""
        return any(rule.allows(method, path) for rule in self.rules)


@cache
def providers() -> Mapping[str, Provider]:
    """By their names, which presets have."""
    text = files("ringfence.policy").joinpath("providers.json").read_text("utf-8")
    return MappingProxyType({one["name"]: _provider(one) for one in json.loads(text)["providers"]})


@lru_cache(maxsize=4096)
def provider_of(host: Host) -> Provider | None:
    """Whose host it is; None where it is no LLM provider's. A wildcard that stands for one is that one's."""
    return next((one for one in providers().values() if one.meets(host)), None)


def _provider(raw: Mapping[str, Any]) -> Provider:
    return Provider(
        name=raw["name"],
        hosts=tuple(raw["hosts"]),
        keys=tuple(KeyPlace(**one) for one in raw["keys"]),
        rules=tuple(Inference(tuple(one["methods"]), tuple(one["paths"])) for one in raw["rules"]),
        sources=tuple(raw["sources"]),
        signed=raw.get("signed", False),
    )


def _meet(pattern: str, host: Host) -> bool:
    theirs, asked = pattern.split("."), host.name.split(".")
    return len(theirs) == len(asked) and all(
        label == STAR[0] or re.fullmatch(re.escape(mark).replace(r"\*", "[a-z0-9-]+"), label)
        for mark, label in zip(theirs, asked, strict=True)
    )


def pattern(path: str) -> str:
    """A path with {name} in it as a regular expression in RE2 syntax, for the whole path without its query."""
    parts = re.split(r"\{[a-z]+\}(.?)", path)
    found = re.escape(parts[0])
    for behind, rest in zip(parts[1::2], parts[2::2], strict=True):
        found += f"[^/{behind if behind != '/' else ''}]+{re.escape(behind + rest)}"
    return found
