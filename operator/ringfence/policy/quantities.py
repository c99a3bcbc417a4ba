"""Kubernetes quantities: how much one is, and the one spelling in which the API server stores it.

The rules are those of apimachinery's `api/resource/quantity.go`, as far as the API takes them; tests compare with a
real API server.
"""

from fractions import Fraction
from functools import lru_cache
from typing import Final

DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
"""Suffix -> power of 10."""
BINARY: Final = {"": 0, "Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
"""Suffix -> power of 1024."""
FINEST: Final = 10**9
"""Nothing is stored finer than a billionth; what is finer is rounded up."""
LARGEST: Final = 2**63 - 1
KIBI: Final = 1024


@lru_cache(maxsize=1024)
def amount(quantity: int | str) -> Fraction:
    """An exact number of cores or bytes. `quantity`: of the API's type Quantity, or as it is stored."""
    text = str(quantity)
    number = text.rstrip("numkKMGTPEi")
    suffix = text[len(number) :]
    factor = Fraction(KIBI) ** BINARY[suffix] if suffix.endswith("i") else Fraction(10) ** DECIMAL[suffix]
    return Fraction(number) * factor


def canonical(quantity: int | str) -> str:
    """The stored spelling: `1024Mi` is `1Gi`, `0.5` is `500m`, 1000 is `1k`."""
    value = min(_rounded_up(amount(quantity)), Fraction(LARGEST))
    if str(quantity).endswith("i") and value >= KIBI and value.denominator == 1:
        return _spell(value, KIBI, BINARY)
    return _spell(value, 10, DECIMAL)


def _rounded_up(value: Fraction) -> Fraction:
    return Fraction(-(-value * FINEST // 1), FINEST)


def _spell(value: Fraction, base: int, suffixes: dict[str, int]) -> str:
    """`value` with the largest suffix that leaves a whole number."""
    if value == 0:
        return "0"
    for suffix, power in sorted(suffixes.items(), key=lambda item: -item[1]):
        scaled = value / Fraction(base) ** power
        if scaled.denominator == 1:
            return f"{scaled.numerator}{suffix}"
    raise AssertionError("rounded to the finest suffix before")
