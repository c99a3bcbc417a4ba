"""What widens an agent's fence beside our own objects: policies add up, bindings too, and pods are changed. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from .selectors import selects

Labels = Mapping[str, str]
NAMED = 8
"""Objects that are named in one sentence; the rest is counted."""


class Way(IntEnum):
    """In what way; the worst first."""

    PODS = 0
    """A pod of the agent has lost the label that the policies select by: nothing fences it."""
    SHAPES = 1
    """A pod of the agent was changed on its way into the cluster: it may do what `restricted` forbids."""
    POLICIES = 2
    """Somebody's policy allows its pods something."""
    BINDINGS = 3
    """Somebody's binding gives its ServiceAccount permissions."""


@dataclass(frozen=True)
class Opening:
    """A policy that allows something to the pods that it selects.

    `told`: its kind and name. `pods`, `namespaces`: selectors as they are stored; None for `namespaces`: its own.
    """

    told: str
    pods: Mapping[str, Any]
    namespaces: Mapping[str, Any] | None = None


@dataclass(frozen=True, order=True)
class Widening:
    """One object that widens the fence: KIND NAME, where in another place with that."""

    way: Way
    told: str


def openings_for(openings: Iterable[Opening], pods: Sequence[Labels], namespace: Labels) -> list[Widening]:
    """Those that select any of an agent's pods. `namespace`: labels of theirs."""
    return [
        Widening(Way.POLICIES, one.told)
        for one in openings
        if (one.namespaces is None or selects(one.namespaces, namespace))
        and any(selects(one.pods, labels) for labels in pods)
    ]


def sentence(found: Sequence[Widening]) -> str:
    """For a person. `found`: sorted, at least one."""
    said = {
        Way.PODS: "run without the agent's label, and so without its fence",
        Way.SHAPES: "are not as Ringfence makes pods, and fall short of the Pod Security Standard restricted",
        Way.POLICIES: "allow its pods what its spec does not say",
        Way.BINDINGS: "give its ServiceAccount permissions that its spec does not name",
    }
    parts = []
    for way, what in said.items():
        names = [one.told for one in found if one.way is way]
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            parts.append(f"{', '.join(names[:NAMED])}{more}: {what}")
    return f"{'; '.join(parts)}. They are not Ringfence's and were left as they are: delete what should not be there."
