"""Quantities in the API server's own spelling. tests/api/controller compares with a real one."""

from fractions import Fraction

import pytest
from hypothesis import given
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


@given(texts)
def test_the_amount_is_the_same_and_the_spelling_is_final(text: str) -> None:
    spelled = canonical(text)
    assert canonical(spelled) == spelled
    assert 0 <= amount(spelled) - amount(text) < Fraction(1, 10**9)
