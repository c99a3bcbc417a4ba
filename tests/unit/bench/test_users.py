"""What the load of many users asks, and how it judges the answers."""

import pytest

from bench.users import BAD, Stages, Tally, asked, failed


def test_one_in_ten_is_bad_and_no_user_asks_the_same_always() -> None:
    every = [asked(user, number) for user in range(20) for number in range(200)]
    assert sum(map(bool, every)) == len(every) / 10
    for user in range(20):
        assert {asked(user, number) for number in range(200)} == {"", *BAD}
    assert 40 < sum(bool(asked(user, 0)) for user in range(500)) < 60, "they are mixed at every moment"


@pytest.mark.parametrize(
    ("broken", "code", "text", "found"),
    [
        ("", 201, "", {"admitted": 1}),
        ("ImageNoDigest", 403, "spec.image: ImageNoDigest: x", {"refused": 1}),
        ("", 403, "spec.image: ImageNoDigest: x", {"good, refused": 1}),
        ("ImageNoDigest", 201, "", {"bad, admitted": 1}),
        ("ImageNoDigest", 403, "spec.network: EgressUnrestricted: x", {"bad, refused for something else": 1}),
        ("", 503, "try again", {503: 1}),
        ("ImageNoDigest", 0, "TimeoutError()", {0: 1}),
    ],
)
def test_an_answer_is_right_wrong_or_none(broken: str, code: int, text: str, found: dict[str | int, int]) -> None:
    tally = Tally(decides=True)
    tally.count(broken, code, text)
    assert tally.right | tally.wrong | tally.undecided == found
    told = tally.told(Stages(), {})
    assert (told["requests"], "example" in told) == (1, not tally.right)


def test_where_nothing_is_decided_the_bad_ones_pass() -> None:
    tally = Tally(decides=False)
    tally.count("ImageNoDigest", 201, "")
    tally.count("ImageNoDigest", 403, "ImageNoDigest")
    assert (tally.right, tally.wrong) == ({"admitted": 1}, {"good, refused": 1})


def load(wrong: int = 0, undecided: int = 0, others: int = 0) -> dict[str, dict[str, int]]:
    peer = {"wrong": 0, "undecided": others}
    return {"none": peer, "allows_everything": peer, "webhook": {"wrong": wrong, "undecided": undecided}}


def test_a_wrong_decision_is_a_failure_always_and_none_where_others_decide() -> None:
    assert failed(load(), load(undecided=9)) == []
    assert failed(load(wrong=1), load(wrong=2)) == ["paced: 1 wrong decisions", "storm: 2 wrong decisions"]
    assert failed(load(undecided=3), load()) == ["paced: 3 answers say to try again"]
    assert failed(load(undecided=3, others=1), load()) == [], "the machine is too busy to tell"
