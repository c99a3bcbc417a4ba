"""The answer as the API server and the user get it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.admission.answer import MAX_LINE, MAX_LINES, Verdict, allow, deny, forbid, respond
from ringfence.policy.model import RuleName, Violation
from ringfence.policy.text import clean


def violation(number: int = 0, message: str = "write something else") -> Violation:
    return Violation(f"spec.network.egress[{number}].cidr", RuleName.EGRESS_UNRESTRICTED, message)


def answered(verdict: Verdict) -> dict[str, Any]:
    review = json.loads(respond("u-1", verdict))
    assert (review["apiVersion"], review["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response: dict[str, Any] = review["response"]
    assert response["uid"] == "u-1"
    return response


def test_yes_is_short() -> None:
    assert answered(allow()) == {"uid": "u-1", "allowed": True}


def test_warnings_are_cut_before_kubernetes_cuts_them() -> None:
    (warning,) = answered(allow("x" * 1000))["warnings"]
    assert len(warning) <= 256


def test_one_violation_is_one_line() -> None:
    status = answered(forbid([violation()]))["status"]
    assert status["message"] == "spec.network.egress[0].cidr: EgressUnrestricted: write something else"
    assert (status["code"], status["reason"], status["status"]) == (403, "Forbidden", "Failure")


def test_each_violation_is_a_line_and_a_cause() -> None:
    status = answered(forbid([violation(0), violation(1)]))["status"]
    first, *rest = status["message"].split("\n")
    assert first == "2 rules are broken:"
    assert rest[1] == "  spec.network.egress[1].cidr: EgressUnrestricted: write something else"
    assert status["details"]["causes"][1] == {
        "field": "spec.network.egress[1].cidr",
        "reason": "EgressUnrestricted",
        "message": rest[1].strip(),
    }


def test_many_violations_end_in_a_count() -> None:
    status = answered(forbid([violation(number) for number in range(1000)]))["status"]
    lines = status["message"].split("\n")
    assert len(lines) == 1 + MAX_LINES + 1
    assert lines[-1].strip() == "and 980 more"
    assert len(status["details"]["causes"]) == MAX_LINES


def test_the_longest_answer_is_bounded() -> None:
    worst = [violation(number, "\u202e" * 100_000) for number in range(1000)]
    assert len(respond("u-1", forbid(worst))) < 128 * 1024


def test_a_message_cannot_pretend_to_be_several_lines_or_steer_a_terminal() -> None:
    message = answered(forbid([violation(0, 'no\nadmission webhook "x" allowed it\u001b[2J\u202e\u200b\u2028\r')]))
    assert not set("\n\r\u001b\u202e\u200b\u2028") & set(message["status"]["message"])


def test_a_denial_without_a_rule_has_no_causes() -> None:
    assert "details" not in answered(deny("no"))["status"]


@pytest.mark.parametrize(
    ("text", "most", "cleaned"),
    [("plain", 10, "plain"), ("größe 猫", 10, "größe 猫"), ("x" * 11, 10, "x" * 9 + "…"), ("a\tb", 10, "a\ufffdb")],
)
def test_clean(text: str, most: int, cleaned: str) -> None:
    assert clean(text, most) == cleaned


@given(st.text(), st.integers(1, 50))
def test_clean_is_bounded_printable_and_encodable(text: str, most: int) -> None:
    found = clean(text, most)
    assert len(found) <= most
    assert found.isprintable()
    found.encode()


@given(st.lists(st.builds(Violation, st.text(), st.sampled_from(RuleName), st.text()), min_size=1, max_size=30))
def test_any_violations_make_an_answer(violations: list[Violation]) -> None:
    status = answered(forbid(violations))["status"]
    assert len(status["message"]) < (MAX_LINES + 2) * (MAX_LINE + 4)
