"""Whether anybody was asked about the existing Secrets of a spec, and what follows where nobody was."""

from typing import Any

import pytest

from ringfence.policy.handover import HandOver, check_hand_over, existing_secrets, settled, undecided_generation
from ringfence.policy.model import RuleName

NAMING = {
    "secrets": [
        {"name": "own", "source": {"generate": {}}},
        {"name": "llm", "source": {"existing": {"secretName": "payroll", "key": "k"}}},
    ]
}
PATH = "spec.secrets[1].source.existing.secretName"


def accepted(reason: str, generation: Any, kind: str = "Accepted") -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": "False", "reason": reason, "observedGeneration": generation}]}


def test_existing_secrets_are_found_where_they_are_named() -> None:
    assert existing_secrets(NAMING) == [(PATH, "payroll")]


@pytest.mark.parametrize(
    ("spec", "status", "known"),
    [
        pytest.param({}, {}, HandOver.DECIDED, id="it names none"),
        pytest.param(NAMING, {}, None, id="new"),
        pytest.param(NAMING, {"acceptedGeneration": 3}, HandOver.DECIDED, id="its children are written"),
        pytest.param(NAMING, {"acceptedGeneration": 2, "observedGeneration": 2}, None, id="a new generation"),
        pytest.param(NAMING, {"observedGeneration": 3}, HandOver.DECIDED, id="seen before, and not marked"),
        pytest.param(
            NAMING,
            {"observedGeneration": 3} | accepted("HandOverUndecided", 3),
            HandOver.UNDECIDED,
            id="marked",
        ),
        pytest.param(
            NAMING,
            {"observedGeneration": 2} | accepted("HandOverUndecided", 2),
            None,
            id="the generation before is marked",
        ),
        pytest.param(
            NAMING,
            {"observedGeneration": 3} | accepted("HandOverUndecided", 3, kind="Ready"),
            HandOver.DECIDED,
            id="the sum is no mark",
        ),
        pytest.param(NAMING, {"observedGeneration": 3} | accepted("Refused", 3), HandOver.DECIDED, id="refused"),
        pytest.param({}, accepted("HandOverUndecided", 3), HandOver.DECIDED, id="marked, and it names none"),
    ],
)
def test_what_is_known_of_a_generation(spec: Any, status: dict[str, Any], known: HandOver | None) -> None:
    assert settled(spec, status, 3) is known


@pytest.mark.parametrize(("generation", "found"), [(4, 4), (None, 0), (0, 0)])
def test_the_mark_names_its_generation(generation: Any, found: int) -> None:
    assert undecided_generation(accepted("HandOverUndecided", generation)) == found


def test_each_secret_that_nobody_was_asked_about_is_a_violation() -> None:
    assert list(check_hand_over(NAMING, HandOver.DECIDED)) == []
    (found,) = check_hand_over(NAMING, HandOver.UNDECIDED)
    assert (found.path, found.rule) == (PATH, RuleName.HAND_OVER_UNDECIDED)
    assert all(part in found.message for part in ("payroll", "helm upgrade", "change any field of this spec"))
