"""Words of users inside our sentences: how long, and how the ends are."""

import pytest

from ringfence.policy import text


@pytest.mark.parametrize(("length", "cut"), [(79, False), (80, False), (81, True), (5000, True)])
def test_a_quoted_word_is_cut_after_80_characters(length: int, cut: bool) -> None:
    assert text.quote("x" * length) == ('"' + "x" * 80 + '..."' if cut else '"' + "x" * length + '"')


@pytest.mark.parametrize(("length", "cut"), [(255, False), (256, False), (257, True), (5000, True)])
def test_a_path_is_cut_after_256_characters(length: int, cut: bool) -> None:
    assert text.path("x" * length) == ("x" * 256 + "..." if cut else "x" * length)


@pytest.mark.parametrize(
    ("word", "quoted"),
    [('a"b', '"a\\"b"'), ("a\nb", '"a\\nb"'), ("\u202e", '"\\u202e"'), ("\ud800", '"\\ud800"'), ("", '""')],
)
def test_what_is_not_ascii_is_escaped(word: str, quoted: str) -> None:
    assert text.quote(word) == quoted
    assert text.path(word) == quoted[1:-1].replace('\\"', '"')


def test_an_escape_counts_by_its_length() -> None:
    assert text.quote("\u202e" * 14) == '"' + ("\\u202e" * 14)[:80] + '..."'


@pytest.mark.parametrize(
    ("count", "most", "shown"),
    [(0, 3, ""), (1, 3, "w0"), (3, 3, "w0, w1, w2"), (4, 3, "w0, w1, w2 and 1 more"), (9, 2, "w0, w1 and 7 more")],
)
def test_a_list_says_how_many_more(count: int, most: int, shown: str) -> None:
    assert text.listed((f"w{number}" for number in range(count)), most) == shown


def test_a_list_shows_six_unless_told() -> None:
    assert text.listed("abcdefg") == "a, b, c, d, e, f and 1 more"


@pytest.mark.parametrize(
    ("raw", "most", "shown"),
    [
        ("plain", 10, "plain"),
        ("exactly-10", 10, "exactly-10"),
        ("eleven-char", 10, "eleven-ch\u2026"),
        ("a\nb\tc", 10, "a\ufffdb\ufffdc"),
        ("a\u200bb", 10, "a\ufffdb"),
        ("naïve ü", 10, "naïve ü"),
        ("\x1b[2Jevil" * 9, 10, "\ufffd[2Jevil\ufffd\u2026"),
    ],
)
def test_a_line_is_tame_and_as_long_as_it_may_be(raw: str, most: int, shown: str) -> None:
    assert text.clean(raw, most) == shown
