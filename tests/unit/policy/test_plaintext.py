"""Secrets in plain text: what is refused, what passes, and that no message repeats a value."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.policy.credentials import OTHERS, WORDS, kind
from ringfence.policy.model import RuleName, Violation
from unit.policy.make import judge, places
from unit.policy.plaintexts import FOUND, HARMLESS, LITERALS, NAMES, NO_SECRET_NAMES, NO_SECRETS, SHAPES

RULE = RuleName.SECRET_IN_PLAIN_TEXT.value


def env(name: str, value: str) -> list[Violation]:
    return judge({"env": [{"name": "OTHER", "value": "something"}, {"name": name, "value": value}]})


def refused(found: list[Violation], path: str, *values: str) -> Violation:
    """The one violation, at `path`, without any part of a value."""
    assert places(found) == {(RULE, path)}
    (violation,) = found
    for value in values:
        assert not any(value[at : at + 8] in violation.message for at in range(0, max(1, len(value) - 7), 4)), violation
    return violation


@pytest.mark.parametrize(("what", "text"), FOUND)
def test_known_shapes_are_refused_wherever_they_stand(what: str, text: str) -> None:
    spellings = [text, f"--flag={text}", f'{{"a": "{text}"}}', f"some words, {text}, and more", f"\n{text}\n"]
    assert [kind(one) for one in spellings] == [what] * len(spellings)
    assert what in refused(env("SETTING", text), "spec.env[1].value").message
    assert what in refused(judge({"args": ["run", text]}), "spec.args[1]").message
    assert what in refused(judge({"command": [text]}), "spec.command[0]").message


def test_every_shape_has_its_example_and_an_article() -> None:
    kinds = [shape.kind for shape in (*WORDS, *OTHERS)]
    assert set(SHAPES) == set(kinds)
    assert len(kinds) == len(set(kinds))
    assert all(re.match(r"an? ", one) for one in kinds)
    assert not any(re.compile(shape.pattern).groups for shape in (*WORDS, *OTHERS))


def test_enough_of_both() -> None:
    assert len({text for _, text in FOUND}) >= 60
    assert len(set(HARMLESS)) >= 60


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_passes(text: str) -> None:
    spec = {"env": [{"name": "SETTING", "value": text}], "args": [text[:4096]], "command": [text[:4096]]}
    assert judge(spec) == []


@pytest.mark.parametrize("text", [text for _, text in FOUND if re.fullmatch(r"[\w-]+", text)])
def test_the_end_of_a_longer_word_is_no_credential(text: str) -> None:
    assert kind(f"longer{text}") is None


@pytest.mark.parametrize("name", NAMES)
def test_a_name_says_that_its_value_is_a_secret(name: str) -> None:
    for value in LITERALS:
        violation = refused(env(name, value), "spec.env[1].value", value)
        assert f"spec.secrets: source: {{existing: ...}}, delivery: {{env: {{name: {name}}}}}" in violation.message
    flag = name.lower().replace("_", "-") if "_" in name else name
    for args in ([f"--{flag}={LITERALS[0]}"], [f"{name}={LITERALS[0]}"]):
        assert "$(API_KEY)" in refused(judge({"args": args}), "spec.args[0]", LITERALS[0]).message
    refused(judge({"args": [f"--{flag}", LITERALS[0]]}), "spec.args[1]", LITERALS[0])
    refused(judge({"command": ["run", f"-{flag}", LITERALS[0]]}), "spec.command[2]", LITERALS[0])


@pytest.mark.parametrize("name", NO_SECRET_NAMES)
def test_other_names_say_nothing(name: str) -> None:
    assert env(name, LITERALS[0]) == []
    assert judge({"args": [f"--{name.lower().replace('_', '-')}={LITERALS[0]}"]}) == []


@pytest.mark.parametrize("value", NO_SECRETS)
@pytest.mark.parametrize("name", ["PASSWORD", "API_KEY"])
def test_what_a_name_does_not_make_a_secret(name: str, value: str) -> None:
    assert env(name, value) == []
    assert judge({"args": [f"--{name}={value}", f"--{name}", value]}) == []


@pytest.mark.parametrize(
    "value", ["disabled1", "changeme-7f3a", "12345678x", "/9j+4AAQSkZJRg==", "hunter2.hunter2", "vault7secret"]
)
def test_what_only_begins_like_something_harmless(value: str) -> None:
    refused(env("API_KEY", value), "spec.env[1].value", value)


def test_a_flag_goes_with_the_next_argument_alone() -> None:
    assert judge({"args": ["--token", "--verbose", LITERALS[0]]}) == []
    assert judge({"args": ["--token", "short", LITERALS[0]]}) == []
    assert judge({"command": ["run", "--token"], "args": [LITERALS[0]]}) == []


def test_each_is_named_and_an_example_hides_no_key() -> None:
    key = SHAPES["a GitHub token"][0]
    variables = [
        {"name": "A", "value": "x"},
        {"name": "B", "value": key},
        {"name": "PASSWORD", "value": "hunter2hunter2"},
    ]
    found = judge({"env": variables, "args": ["a", "gh" + "p_" + "x" * 36 + " " + key], "command": [key]})
    assert [violation.path for violation in found] == [
        "spec.args[1]",
        "spec.command[0]",
        "spec.env[1].value",
        "spec.env[2].value",
    ]


def test_the_way_that_the_message_names_is_open() -> None:
    source = {"existing": {"secretName": "provider", "key": "api-key"}}
    secret = {"name": "provider", "source": source, "delivery": {"env": {"name": "LLM_API_KEY"}}}
    assert judge({"secrets": [secret], "args": ["--api-key=$(LLM_API_KEY)", "--api-key", "$(LLM_API_KEY)"]}) == []


OURS = re.compile(
    f"(looks like ({'|'.join(SHAPES)})|the (variable's name|name before it) says that this is a secret), and whoever "
    "reads the object reads it: put it into a Secret, ("
    r"drop it here, and name the Secret in spec\.secrets: source: {existing: \.\.\.}, delivery: "
    rf"{{env: {{name: ({'|'.join(NAMES)}|SETTING)}}}} or a file|"
    r"name that in spec\.secrets \(source: {existing: \.\.\.}, delivery: {env: {name: API_KEY}}\), and write "
    r"\$\(API_KEY\) here)"
)
_TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60)
_VALUE = st.one_of(
    _TEXT, st.sampled_from([text for _, text in FOUND]), st.tuples(_TEXT, st.sampled_from(LITERALS)).map(" ".join)
)


@given(
    st.lists(st.tuples(st.sampled_from([*NAMES, "SETTING"]), _VALUE), max_size=4, unique_by=lambda pair: pair[0]),
    st.lists(_VALUE, max_size=4),
)
def test_no_message_has_a_value_in_it(pairs: list[tuple[str, str]], words: list[str]) -> None:
    """Messages are the same whatever the value is: kinds, names of variables and our own words."""
    args = [*words, *(f"--{name}={value}" for name, value in pairs), *(f"{value}={name}" for name, value in pairs)]
    spec: dict[str, Any] = {
        "env": [{"name": name, "value": value} for name, value in pairs],
        "args": args,
        "command": words,
    }
    for violation in judge(spec):
        assert violation.rule.value == RULE
        assert re.fullmatch(r"spec\.(env\[\d+\]\.value|args\[\d+\]|command\[\d+\])", violation.path)
        assert OURS.fullmatch(violation.message), violation.message
