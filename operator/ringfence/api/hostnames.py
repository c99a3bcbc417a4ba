"""Host names as the API takes them, and what is wrong with any other text. The one normaliser: everything else asks it.

A name is taken in one spelling alone, the canonical one: lower case, A-labels (`xn--...`) for what is not ASCII, no dot
at the end. What two programs could read differently is refused, with the canonical form as what to write. The schema
says the same as far as a pattern and CEL can (`HostPattern`); that an A-label is one, and mixes no scripts, is told
here alone.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from .base import ValueRule

MAX_NAME: Final = 253
"""RFC 1035 section 2.3.4: 255 bytes on the wire."""
MAX_LABEL: Final = 63
MAX_LABELS: Final = 10
"""Of a name, beside the star: more carry data in names, and no API has them."""
_MOST: Final = 1024
"""Characters of a text that is looked at for what was meant."""

STAR: Final = "*."
_LABEL: Final = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
HOST_PATTERN: Final = rf"^(\*\.)?({_LABEL}\.){{1,{MAX_LABELS - 1}}}[a-z]([-a-z0-9]{{0,61}}[a-z0-9])?$"
"""The last label begins with a letter: no address in any spelling does (127.1, 2130706433, 0x7f.1)."""
_RESERVED: Final = r"(^|\.)([a-wyz0-9][-a-z0-9]|x[-a-mo-z0-9])--"
"""RFC 5891 section 4.2.3.1: two hyphens in the third and fourth place are for A-labels."""
_INSIDE: Final = ("svc", "local", "localhost", "localdomain", "internal", "arpa", "onion", "alt", "invalid")
"""Last labels of names that are not on the public internet: the cluster's own, of RFC 6761, 6762, 7686, 8375, 9476, and
`internal` (ICANN, resolution 2024.07.29.06)."""
_INSIDE_PATTERN: Final = rf"\.({'|'.join(_INSIDE)})$"


class Why(StrEnum):
    """Why a text is no host name that is taken."""

    EMPTY = "Empty"
    TOO_LONG = "TooLong"
    CONTROL = "Control"
    BLANK = "Blank"
    SCHEME = "Scheme"
    USER = "User"
    ZONE = "Zone"
    PERCENT = "Percent"
    BRACKETS = "Brackets"
    PATH = "Path"
    ADDRESS = "Address"
    PORT = "Port"
    NOT_ASCII = "NotAscii"
    HOMOGRAPH = "Homograph"
    WILDCARD = "Wildcard"
    UPPER_CASE = "UpperCase"
    FINAL_DOT = "FinalDot"
    EMPTY_LABEL = "EmptyLabel"
    UNDERSCORE = "Underscore"
    CHARACTER = "Character"
    LABEL_TOO_LONG = "LabelTooLong"
    TOO_MANY_LABELS = "TooManyLabels"
    ONE_LABEL = "OneLabel"
    HYPHEN = "Hyphen"
    LAST_LABEL = "LastLabel"
    INSIDE = "Inside"
    PUNYCODE = "Punycode"


_WORDS: Final = {
    Why.EMPTY: "is empty: write a host name such as api.example.com",
    Why.TOO_LONG: f"is too long: a host name has at most {MAX_NAME} characters",
    Why.CONTROL: "has a control character in it, at which some programs end the name and others do not",
    Why.BLANK: "has a blank in it: name one host, and each other one in an entry of its own",
    Why.SCHEME: "is a URL: name the host alone. Its port goes into ports, its path into rules: [{paths: [...]}]",
    Why.USER: "has a user in it: name the host alone. A password goes into a Secret, and into spec.secrets",
    Why.ZONE: "is an address with a zone: name a host; an address goes into cidr, without a zone",
    Why.PERCENT: "has a percent sign in it, which some programs decode and others do not: write the name as it is",
    Why.BRACKETS: "has brackets in it: name a host; an IPv6 address goes into cidr, without brackets",
    Why.PATH: "has a path in it: name the host alone. The path goes into rules: [{paths: [...]}]",
    Why.ADDRESS: "is an address: name a host, or write cidr: ADDRESS/32 (IPv6: /128) with ports in place of host",
    Why.PORT: "has a port in it: name the host alone. The port goes into ports",
    Why.NOT_ASCII: "has a character that is not ASCII, and that may look like another one",
    Why.HOMOGRAPH: "has a label with letters of several scripts, of which some look alike: write the name that its "
    "owner uses",
    Why.WILDCARD: "has a star where none is taken: a star stands for the first label alone, before at least two others,"
    " such as *.example.com",
    Why.UPPER_CASE: "has capitals in it: names are written in lower case here",
    Why.FINAL_DOT: "ends with a dot, with which some programs take it for another name",
    Why.EMPTY_LABEL: "has a dot too many; every name below another one is *.example.com",
    Why.UNDERSCORE: "has an underscore in it, which no name in a certificate has: write the host's own name",
    Why.CHARACTER: "has a character that host names do not have: they are a-z, 0-9, - and .",
    Why.LABEL_TOO_LONG: f"has a label of more than {MAX_LABEL} characters, as no host has",
    Why.TOO_MANY_LABELS: f"has more than {MAX_LABELS} labels: name a host that has fewer",
    Why.ONE_LABEL: "is a single label, which means another host in each network: write the whole name, such as "
    "api.example.com; what is in the cluster goes into service: {name: search, port: 8443}",
    Why.HYPHEN: "has a label that begins or ends with a hyphen, or has two in its third and fourth place: "
    "write the name that its owner uses",
    Why.LAST_LABEL: "ends with a label that does not begin with a letter, as in an address: write the whole name",
    Why.INSIDE: "is no name of the public internet: what is in the cluster goes into service: {name: search, "
    "namespace: tools, port: 8443}",
    Why.PUNYCODE: "has a label that begins with xn-- and is no A-label: write the name that its owner uses",
}


@dataclass(frozen=True)
class Host:
    """A name that is taken, in its canonical spelling."""

    name: str

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for every name with one label in place of the star."""
        return self.name.startswith(STAR)

    @property
    def base(self) -> str:
        """Of a wildcard what stands behind the star; of any other name the name itself."""
        return self.name.removeprefix(STAR)

    def covers(self, other: "Host") -> bool:
        """Whether each name that `other` stands for is one that this stands for. A star is one label, as in TLS."""
        if not self.is_wildcard or other.is_wildcard:
            return self == other
        return other.name.partition(".")[2] == self.base

    def meets(self, other: "Host") -> bool:
        """Whether there is a name that both stand for."""
        return self.covers(other) or other.covers(self)


@dataclass(frozen=True)
class Refused:
    """`write`: the canonical spelling of what was probably meant, which is taken; None where there is none.

    `message` never has more of the text in it than that name: what was pasted may be a secret.
    """

    why: Why
    message: str
    write: str | None = None


@lru_cache(maxsize=4096)
def read_host(text: str) -> Host | Refused:
    """The host that `text` names, or why it is not taken. What it takes it gives back as it is. Never raises.

    Kept, as a spec is looked at many times.
    """
    why = _problem(text)
    if why is None:
        return Host(text)
    meant = _meant(text)
    if meant is not None and (inner := _problem(meant)) is not None:
        if inner in {Why.ADDRESS, Why.INSIDE, Why.HOMOGRAPH, Why.ONE_LABEL} and why is not Why.TOO_LONG:
            why = inner  # "https://127.1/" is an address before it is anything else
        meant = None
    message = _WORDS[why] + (f" ({_strange(text)})" if why is Why.NOT_ASCII else "")
    return Refused(why, message + (f". Write {meant}" if meant else ""), meant)


def _problem(text: str) -> Why | None:
    """What is wrong with a text as it stands."""
    return next(_problems(text), None)


def _problems(text: str) -> Iterator[Why]:
    if not text or len(text) > MAX_NAME:
        yield Why.TOO_LONG if text else Why.EMPTY
    yield from _foreign(text)
    if _is_address(text):
        yield Why.ADDRESS
    if ":" in text:
        yield Why.PORT
    if not text.isascii():
        yield Why.NOT_ASCII
    name = text.removeprefix(STAR)
    if "*" in name or (name != text and name.count(".") < 1):
        yield Why.WILDCARD
    yield from _of_spelling(name)
    yield from _of_labels(name.split("."))


_FOREIGN: Final = (
    (re.compile(r"\s"), Why.BLANK),
    (re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:[/\\]|^[/\\]{2}"), Why.SCHEME),
    (re.compile("@"), Why.USER),
    (re.compile(r":.*%"), Why.ZONE),
    (re.compile("%"), Why.PERCENT),
    (re.compile(r"[\[\]]"), Why.BRACKETS),
    (re.compile(r"[/\\?#]"), Why.PATH),
)


def _foreign(text: str) -> Iterator[Why]:
    """What belongs to a URL and not to a name."""
    if any(unicodedata.category(character) == "Cc" for character in text):
        yield Why.CONTROL
    yield from (why for pattern, why in _FOREIGN if pattern.search(text))


def _of_spelling(name: str) -> Iterator[Why]:
    if name != name.lower():
        yield Why.UPPER_CASE
    if name.endswith(".") and name.strip("."):
        yield Why.FINAL_DOT
    if "" in name.split("."):
        yield Why.EMPTY_LABEL
    if "_" in name:
        yield Why.UNDERSCORE
    if re.fullmatch(r"[-.a-z0-9]*", name) is None:
        yield Why.CHARACTER


def _of_labels(labels: list[str]) -> Iterator[Why]:
    if any(len(label) > MAX_LABEL for label in labels):
        yield Why.LABEL_TOO_LONG
    if len(labels) > MAX_LABELS:
        yield Why.TOO_MANY_LABELS
    if labels[-1] in _INSIDE:
        yield Why.INSIDE
    if len(labels) == 1:
        yield Why.ONE_LABEL
    if any(label != label.strip("-") for label in labels) or re.search(_RESERVED, ".".join(labels)):
        yield Why.HYPHEN
    if not labels[-1][:1].isalpha():
        yield Why.LAST_LABEL
    for label in labels:
        if label.startswith("xn--"):
            yield from _of_a_label(label)


def _of_a_label(label: str) -> Iterator[Why]:
    import idna  # noqa: PLC0415 - few names need it, and start-up time counts

    try:
        scripts = _scripts(idna.decode(label))
    except UnicodeError:
        yield Why.PUNYCODE
    else:
        if len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER):
            yield Why.HOMOGRAPH


_TOGETHER: Final = tuple(
    frozenset({"LATIN", "CJK", *others})
    for others in (("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "IDEOGRAPHIC"), ("HANGUL",), ("BOPOMOFO",))
)
"""Scripts that are written together: UTS 39, section 5.2, "highly restrictive"."""


def _scripts(label: str) -> frozenset[str]:
    """Of its letters, by their names in Unicode: CYRILLIC SMALL LETTER A."""
    letters = (character for character in label if unicodedata.category(character).startswith("L"))
    return frozenset(unicodedata.name(letter, "").partition(" ")[0] for letter in letters)


def _strange(text: str) -> str:
    """The name of the first character that is not ASCII."""
    found = next(character for character in text if not character.isascii())
    return unicodedata.name(found, f"U+{ord(found):04X}")


_NUMBER: Final = "(0x[0-9a-f]*|[0-9]+)"
_OLD_ADDRESS: Final = re.compile(rf"{_NUMBER}(\.{_NUMBER}){{0,3}}\.?", re.IGNORECASE)
"""What inet_aton(3) takes, and more: 127.1, 0177.0.0.1, 0x7f000001, 2130706433."""


def _is_address(text: str) -> bool:
    if _OLD_ADDRESS.fullmatch(text):
        return True
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _meant(text: str) -> str | None:
    """The name in what looks like a URL, a name of another alphabet, or one in another spelling."""
    if len(text) > _MOST or "%" in text.partition("/")[0]:
        return None
    rest = re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*:)?[/\\]{2}", "", text.strip())
    rest = re.split(r"[/\\?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    if rest.startswith("["):
        rest = rest[1:].partition("]")[0]
    elif rest.count(":") == 1:
        rest = rest.partition(":")[0]
    star, rest = (STAR, rest[len(STAR) :]) if rest.startswith(STAR) else ("", rest)
    ascii_name = rest.lower() if rest.isascii() else _a_labels(rest)
    return None if ascii_name is None else star + ascii_name.removesuffix(".")


def _a_labels(text: str) -> str | None:
    """As browsers would have it (UTS 46); None where they refuse it."""
    import idna  # noqa: PLC0415 - see above

    try:
        mapped = idna.uts46_remap(text, std3_rules=True, transitional=False)
        return mapped if mapped.isascii() else idna.encode(mapped).decode()
    except UnicodeError:
        return None


def _told(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """The verdict is the schema's, the sentence the normaliser's."""
    try:
        return validate(value)
    except ValidationError as failure:
        found = read_host(value) if isinstance(value, str) else None
        if not isinstance(found, Refused):
            raise
        raise ValueError(found.message) from failure


HostPattern = Annotated[
    str,
    Field(min_length=3, max_length=MAX_NAME, pattern=HOST_PATTERN),
    ValueRule(
        cel=f"!self.matches(r'{_RESERVED}')",
        message="two hyphens in the third and fourth place of a label are for names such as xn--bcher-kva.example",
        check=lambda name: re.search(_RESERVED, name) is None,
    ),
    ValueRule(
        cel=f"!self.matches(r'{_INSIDE_PATTERN}')",
        message="is no name of the public internet: what is in the cluster goes into service: {name: search, "
        "namespace: tools, port: 8443}",
        check=lambda name: re.search(_INSIDE_PATTERN, name) is None,
    ),
    WrapValidator(_told),
]
"""A host name such as api.example.com, or a wildcard such as *.example.com."""
