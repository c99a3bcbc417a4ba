"""The text of a quantity, as a regular expression and as the rule that API servers get in its place.

Before 1.34 an API server estimates what a rule costs as if a text that may be an integer, too, were as long as a
request, whatever its maxLength (kubernetes/kubernetes#132837). One look at such a text as a whole (`matches`, `string`,
`isQuantity`, and even `type(self) == string`) at each place of the API that has quantities is all that it allows for a
CRD, or more. So the rules look at single characters, and for the type in a list of one, which counts the same for any
text.
"""

from typing import Final

MAX_LENGTH: Final = 32
PATTERN: Final = r"^[0-9]+(\.[0-9]+)?(m|[kMGTPE]|[KMGTPE]i)?$"

_BINARY: Final = "['K', 'M', 'G', 'T', 'P', 'E']"
"""What may stand before an i at the end."""
_LAST: Final = "['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'm', 'k', 'M', 'G', 'T', 'P', 'E']"
"""What may stand at the end."""


def _digit(at: str) -> str:
    """Whether there is a digit at an index; past the end there is none."""
    return f"self.charAt({at}) >= '0' && self.charAt({at}) <= '9'"


def _indexes(first: int) -> str:
    return str([*range(first, MAX_LENGTH)])


TEXT: Final = "type(self) in [string]"
INTEGER_OR_TEXT: Final = f"type(self) in [int] || {TEXT}"
CEL: Final = (
    f"!({TEXT}) || "
    f"{_digit('0')} "
    f"&& {_indexes(1)}.all(i, i >= self.size() - (self.endsWith('i') ? 2 : 1) || {_digit('i')} "
    f"|| self.charAt(i) == '.' && {_digit('i + 1')}) "
    f"&& {_indexes(0)}.filter(i, i < self.size() && self.charAt(i) == '.').size() <= 1 "
    f"&& (self.endsWith('i') ? self.charAt(self.size() - 2) in {_BINARY} : self.charAt(self.size() - 1) in {_LAST})"
)
"""Takes what PATTERN takes, of texts within MAX_LENGTH, and integers."""
