"""Kubernetes quantities in the one spelling that the API server stores, whatever spelling they were written in."""

from fractions import Fraction

DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = {"": 0, "Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
FINEST = 10**9
"""Nothing is stored finer than a billionth; what is finer is rounded up."""
LARGEST = 2**63 - 1
KIBI = 1024


def canonical(quantity: int | str) -> str:
    """The stored spelling: `1024Mi` is `1Gi`, `0.5` is `500m`, 1000 is `1k`.

    The rules are those of apimachinery's `api/resource/quantity.go`; tests compare with a real API server.
    """
    text = str(quantity)
    number = text.rstrip("mkKMGTPEi")
    suffix = text[len(number) :]
    binary = suffix.endswith("i")
    factor = Fraction(KIBI) ** BINARY[suffix] if binary else Fraction(10) ** DECIMAL[suffix]
    value = min(_rounded_up(Fraction(number) * factor), Fraction(LARGEST))
    if binary and value >= KIBI and value.denominator == 1:
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
