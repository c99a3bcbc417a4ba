"""Who asked for an agent, as an annotation of it says: all of it, or it is not known."""

import json
from typing import Any

import pytest

from ringfence.policy.delegate import Subject
from ringfence.policy.recorded import INCOMPLETE, NOT_RECORDED, UNREADABLE, recorded

ADA: dict[str, Any] = {
    "username": "ada",
    "uid": "7",
    "groups": ["team", "system:authenticated"],
    "extra": {"example.org/scope": ["a", "b"]},
}


def test_all_of_it_is_asked_about() -> None:
    found = recorded(json.dumps(ADA))
    assert isinstance(found, Subject)
    identity = {"user": "ada", "uid": "7", "groups": ADA["groups"], "extra": ADA["extra"]}
    assert (found.identity, found.who) == (identity, '"ada", who asked for it')
    bare = recorded(json.dumps(ADA | {"uid": "", "groups": [], "extra": {}}))
    assert isinstance(bare, Subject)
    assert bare.identity == {"user": "ada"}


@pytest.mark.parametrize(
    ("annotation", "why"),
    [
        (None, NOT_RECORDED),
        ("", NOT_RECORDED),
        ('{"incomplete":true}', INCOMPLETE),
        ("me", UNREADABLE),
        ("[" * 100_000, UNREADABLE),
        ("[]", UNREADABLE),
        ("{}", UNREADABLE),
        ('{"incomplete":false}', UNREADABLE),
        (json.dumps(ADA | {"username": ""}), UNREADABLE),
        (json.dumps(ADA | {"username": None}), UNREADABLE),
        (json.dumps(ADA | {"uid": 7}), UNREADABLE),
        (json.dumps(ADA | {"groups": "team"}), UNREADABLE),
        (json.dumps(ADA | {"groups": [7]}), UNREADABLE),
        (json.dumps(ADA | {"extra": []}), UNREADABLE),
        (json.dumps(ADA | {"extra": {"a": "b"}}), UNREADABLE),
        (json.dumps(ADA | {"more": 1}), UNREADABLE),
        (json.dumps({key: value for key, value in ADA.items() if key != "groups"}), UNREADABLE),
    ],
)
def test_what_does_not_say_it_is_not_known(annotation: str | None, why: str) -> None:
    assert recorded(annotation) == why


@pytest.mark.parametrize("name", ["\u202eada", "a" * 500, 'a"b', "a\nb"])
def test_a_strange_name_steers_nothing(name: str) -> None:
    found = recorded(json.dumps(ADA | {"username": name}))
    assert isinstance(found, Subject)
    assert found.identity["user"] == name
    assert str(found.who).isascii()
    assert len(str(found.who)) < 200
    assert "\n" not in str(found.who)
