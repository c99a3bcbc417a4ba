"""Bounds whose number alone does not say what to write instead. A table and nothing else."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from .containers import MAX_CONTENT as OF_SIDE
from .files import MAX_CONTENT
from .users import NOBODY

_CONTENT: Final = (
    "must have at most {} characters: put what is larger into the image, or into a ConfigMap that it names"
)
_NO_ROOT: Final = (
    f"no agent runs as root: leave it out, which means {NOBODY}, or write an id that policies allow, such as 10001"
)

OUT_OF_BOUNDS: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("ConfigFile", "content"): _CONTENT.format(MAX_CONTENT),
        ("SideFile", "content"): _CONTENT.format(OF_SIDE),
        ("AgentDeploymentSpec", "runAsUser"): _NO_ROOT,
        ("AgentDeploymentSpec", "runAsGroup"): _NO_ROOT,
    }
)
"""Type, field -> the sentence for a text that is too long, or a number that is too small."""
