"""Quantities in the API server's own spelling. tests/api/controller compares with a real one."""

import re
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ringfence.policy.quantities import amount, canonical

TABLE = {
    "0": "0",
    "1": "1",
    1000: "1k",
    "1500": "1500",
    "1000m": "1",
    "0.5": "500m",
    "0.5k": "500",
    "100000": "100k",
    "1M": "1M",
    "1000k": "1M",
    "1024Mi": "1Gi",
    "1.5Gi": "1536Mi",
    "0.5Ki": "512",
    "1.5Ki": "1536",
    "1023.5Ki": "1048064",
    "1024": "1024",
    "2000Ki": "2000Ki",
    "1000Ki": "1000Ki",
    "8E": "8E",
    "7Ei": "7Ei",
    "8Ei": "9223372036854775807",
    "0.1m": "100u",
    "0.0001m": "100n",
    "0.0000001m": "1n",
    "3P": "3P",
    "5Pi": "5Pi",
    "4Ti": "4Ti",
    "4T": "4T",
    "4G": "4G",
    "0.9765625Ki": "1k",
    "0.1Mi": "104857600m",
    "1023Ki": "1023Ki",
    "2048Ki": "2Mi",
    "0.0000000001": "1n",
    "99999999999999999999": "9223372036854775807",
    "0Gi": "0",
    "007": "7",
}
texts = st.builds(
    lambda whole, part, suffix: f"{whole}{f'.{part}' if part is not None else ''}{suffix}",
    st.integers(0, 10**6),
    st.none() | st.integers(0, 999),
    st.sampled_from(["", "m", *"kMGT", "Ki", "Mi", "Gi"]),
)


@pytest.mark.parametrize(("written", "stored"), TABLE.items())
def test_spelling(written: str | int, stored: str) -> None:
    assert canonical(written) == stored


NUMBER = re.compile(r"([0-9]+)(|[numkMGTPE]|[KMGTPE]i)")
VALUES = {"n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": Fraction(1)}
VALUES |= {"k": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9), "T": Fraction(10**12)}
VALUES |= {"P": Fraction(10**15), "E": Fraction(10**18)}
VALUES |= {"Ki": Fraction(2**10), "Mi": Fraction(2**20), "Gi": Fraction(2**30), "Ti": Fraction(2**40)}
VALUES |= {"Pi": Fraction(2**50), "Ei": Fraction(2**60)}


def read(spelled: str) -> tuple[int, str]:
    found = NUMBER.fullmatch(spelled)
    assert found, f"not a whole number with a suffix: {spelled}"
    return int(found[1]), found[2]


@given(texts)
def test_the_amount_is_the_same_and_no_larger_suffix_leaves_a_whole_number(text: str) -> None:
    number, suffix = read(canonical(text))
    exact = amount(text)
    assert 0 <= number * VALUES[suffix] - exact < Fraction(1, 10**9), "rounded up, to a billionth"
    binary = text.endswith("i") and exact >= 1024 and exact.denominator == 1
    assert number == 0 or number % (1024 if binary else 1000), "one suffix more would do"
    assert not suffix or suffix.endswith("i") == binary


@given(texts)
def test_what_is_stored_is_not_spelled_anew(text: str) -> None:
    spelled = canonical(text)
    assume(spelled[-1] not in "nu")  # the API takes nothing finer than a thousandth
    assert canonical(spelled) == spelled
