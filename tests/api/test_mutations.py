"""Valid samples, changed at random: whatever comes out, both judges agree on it."""

import copy
import json
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from api.parity import KINDS, Parity
from api.samples import full

CALLS = 400
"""Objects sent to the API server in one run: about two seconds."""

TEXTS = st.one_of(
    st.sampled_from(
        ["", "*", "a", "A", "-", "a.b", "a/b", "0", "::/0", "0.0.0.0/0", "10.0.0.0/8", "1Gi", "get", "panel"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8),
    st.from_regex(r"\A[a-z0-9./:*-]{1,12}\Z"),
    st.integers(1, 600).map(lambda size: "a" * size),
)
SCALARS = st.one_of(
    TEXTS,
    st.booleans(),
    st.none(),
    st.integers(-2, 70_000),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-5, 70_000).map(float),
)
MARKS = ["\n", " ", "\x00", "\u200b", "\u202e", "0", "-", ".", "*", "/"]
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(TEXTS, SCALARS, max_size=3))


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a manifest's spec."""
    found: list[tuple[Any, Any]] = []
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in entries:
        found.append((value, key))
        found += places(below)
    return found


def respelled(value: Any) -> st.SearchStrategy[Any]:
    """The same value written otherwise, or almost the same."""
    if isinstance(value, bool):
        return st.sampled_from([str(value), int(value), None])
    if isinstance(value, int):
        return st.sampled_from([float(value), value + 0.5, str(value), value * 1.0000000001, -value])
    if isinstance(value, str):
        return st.sampled_from([*(mark + value for mark in MARKS), *(value + mark for mark in MARKS), value.upper()])
    return st.sampled_from([None, [value], {"a": value}])


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A full sample with one to three changes: replaced, written otherwise, removed, doubled, moved."""
    manifest = full(draw(st.sampled_from(sorted(KINDS))))
    for _ in range(draw(st.integers(1, 3))):
        container, key = draw(st.sampled_from(places(manifest["spec"]) or [(manifest, "spec")]))
        match draw(st.sampled_from(["replace", "respell", "respell", "remove", "double", "add", "move"])):
            case "replace":
                container[key] = draw(VALUES)
            case "respell":
                container[key] = draw(respelled(container[key]))
            case "remove":
                del container[key]
            case "double" if isinstance(container, list):
                container.append(copy.deepcopy(container[key]))
            case "add" if isinstance(container, dict):
                container[draw(TEXTS)] = draw(VALUES)
            case _:
                other, place = draw(st.sampled_from(places(manifest["spec"])))
                container[key] = copy.deepcopy(other[place])
    return manifest


@seed(20250101)
@settings(
    max_examples=CALLS,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(manifest=mutated())
def test_both_agree_on_mutations(parity: Parity, manifest: dict[str, Any]) -> None:
    # Through JSON first, so that both read the same text.
    sent = json.dumps(manifest)
    parity.answer(json.loads(sent), sent.encode())
