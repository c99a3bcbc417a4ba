"""The one normaliser of host names: what it takes, what it refuses with which words, and that it agrees with others."""

import ipaddress
import re
import socket
from typing import Any

import idna
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ringfence.api.hostnames import HOST_PATTERN, MAX_LABELS, MAX_NAME, Host, HostPattern, Refused, Why, read_host

TAKEN = [
    "api.anthropic.com",
    "a.b",
    "a-b.example",
    "3m.com",
    "api.x.ai",
    "1.2.3.example",
    "*.example.com",
    "*.co.uk",
    "xn--mnchen-3ya.de",
    "*.xn--bcher-kva.example",
    "xn--wgv71a119e.jp",
    "xn--80ak6aa92e.com",
    "xn--fa-hia.de",
    "svc.ms",
    "local.example",
    "a.xn--fiqs8s",
    f"{'a' * 63}.example",
    ".".join("abcdefghij"),
]

ADDRESSES = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0X7F.1",
    "0177.0.0.1",
    "017700000001",
    "0x7f.0x0.0x0.0x1",
    "127.0.0.1.",
    "127.0.0.1:80",
    "http://127.1/",
    "https://user@2130706433:8443/x",
    "::1",
    "[::1]",
    "[::1]:443",
    "::ffff:127.0.0.1",
    "[::ffff:7f00:1]",
    "64:ff9b::7f00:1",
    "\uff11\uff12\uff17.0.0.1",
    "127\u30020\u30020\u30021",
    "\u2460\u2461\u2466.0.0.1",
]

REFUSED: list[tuple[str, Why, str | None]] = [
    *((text, Why.ADDRESS, None) for text in ADDRESSES),
    ("", Why.EMPTY, None),
    ("api\0.example.com", Why.CONTROL, None),
    ("api.example.com\0.evil.example", Why.CONTROL, None),
    ("api.example.com\n", Why.CONTROL, "api.example.com"),
    ("api.example.com\r\nHost: evil.example", Why.CONTROL, None),
    ("api.\x7fexample.com", Why.CONTROL, None),
    ("api .example.com", Why.BLANK, None),
    ("api.example.com ", Why.BLANK, "api.example.com"),
    ("a.example, b.example", Why.BLANK, None),
    ("api\u00a0.example.com", Why.BLANK, None),
    ("https://api.example.com/v1", Why.SCHEME, "api.example.com"),
    ("HTTPS://API.example.com:8443/v1?k=v#f", Why.SCHEME, "api.example.com"),
    ("//api.example.com", Why.SCHEME, "api.example.com"),
    ("https:\\\\api.example.com", Why.SCHEME, "api.example.com"),
    ("file:///etc/passwd", Why.SCHEME, None),
    ("user:word@api.example.com", Why.USER, "api.example.com"),
    ("api.example.com@evil.example", Why.USER, "evil.example"),
    ("fe80::1%eth0", Why.ZONE, None),
    ("[fe80::1%25eth0]", Why.ZONE, None),
    ("api%2eexample.com", Why.PERCENT, None),
    ("api.example.com%00.evil.example", Why.PERCENT, None),
    ("[api.example.com]", Why.BRACKETS, "api.example.com"),
    ("api.example.com/v1", Why.PATH, "api.example.com"),
    ("api.example.com?x", Why.PATH, "api.example.com"),
    ("api.example.com#x", Why.PATH, "api.example.com"),
    ("api.example.com\\x", Why.PATH, "api.example.com"),
    ("api.example.com:8443", Why.PORT, "api.example.com"),
    ("api.example.com:", Why.PORT, "api.example.com"),
    ("m\u00fcnchen.de", Why.NOT_ASCII, "xn--mnchen-3ya.de"),
    ("*.b\u00fccher.example", Why.NOT_ASCII, "*.xn--bcher-kva.example"),
    ("\uff41\uff50\uff49.example.com", Why.NOT_ASCII, "api.example.com"),
    ("api\u3002example\u3002com", Why.NOT_ASCII, "api.example.com"),
    ("api\u200b.example.com", Why.NOT_ASCII, "api.example.com"),
    ("api\u00ad.example.com", Why.NOT_ASCII, "api.example.com"),
    ("\u0430\u0440\u0440\u04cf\u0435.com", Why.NOT_ASCII, "xn--80ak6aa92e.com"),
    ("\u0430pple.com", Why.HOMOGRAPH, None),
    ("\u03b1pi.example.com", Why.HOMOGRAPH, None),
    ("api\u202e.example.com", Why.NOT_ASCII, None),
    ("xn--pple-43d.com", Why.HOMOGRAPH, None),
    ("*", Why.WILDCARD, None),
    ("*.com", Why.WILDCARD, None),
    ("**.example.com", Why.WILDCARD, None),
    ("*.*.example.com", Why.WILDCARD, None),
    ("api.*.example.com", Why.WILDCARD, None),
    ("api*.example.com", Why.WILDCARD, None),
    ("*example.com", Why.WILDCARD, None),
    ("API.Example.COM", Why.UPPER_CASE, "api.example.com"),
    ("*.Example.com", Why.UPPER_CASE, "*.example.com"),
    ("XN--MNCHEN-3YA.de", Why.UPPER_CASE, "xn--mnchen-3ya.de"),
    ("api.example.com.", Why.FINAL_DOT, "api.example.com"),
    ("api.example.com..", Why.FINAL_DOT, None),
    (".example.com", Why.EMPTY_LABEL, None),
    ("api..example.com", Why.EMPTY_LABEL, None),
    (".", Why.EMPTY_LABEL, None),
    ("_dmarc.example.com", Why.UNDERSCORE, None),
    ("a,b.example", Why.CHARACTER, None),
    ("a'b.example", Why.CHARACTER, None),
    ("$(host).example", Why.CHARACTER, None),
    (f"{'a' * 64}.example", Why.LABEL_TOO_LONG, None),
    (".".join("abcdefghijk"), Why.TOO_MANY_LABELS, None),
    (".".join(["a" * 63] * 4), Why.TOO_LONG, None),
    ("a" * 100_000, Why.TOO_LONG, None),
    ("anthropic", Why.ONE_LABEL, None),
    ("xn--fiqs8s", Why.ONE_LABEL, None),
    ("-a.example", Why.HYPHEN, None),
    ("a-.example", Why.HYPHEN, None),
    ("ab--c.example", Why.HYPHEN, None),
    ("api.example.1", Why.LAST_LABEL, None),
    ("api.example.0x7f", Why.LAST_LABEL, None),
    ("localhost", Why.INSIDE, None),
    ("api.localhost", Why.INSIDE, None),
    ("search.tools.svc", Why.INSIDE, None),
    ("search.tools.svc.cluster.local", Why.INSIDE, None),
    ("kubernetes.default.svc.cluster.local.", Why.INSIDE, None),
    ("printer.local", Why.INSIDE, None),
    ("metadata.google.internal", Why.INSIDE, None),
    ("1.0.0.127.in-addr.arpa", Why.INSIDE, None),
    ("x.onion", Why.INSIDE, None),
    ("https://search.tools.svc:8443/", Why.INSIDE, None),
    ("xn--a.example", Why.PUNYCODE, None),
    ("xn--.example", Why.HYPHEN, None),
    ("xn--api.example", Why.PUNYCODE, None),
]

ADAPTER: TypeAdapter[str] = TypeAdapter(HostPattern)


@pytest.mark.parametrize("name", TAKEN)
def test_a_canonical_name_is_taken_as_it_is(name: str) -> None:
    assert read_host(name) == Host(name)
    assert ADAPTER.validate_python(name) == name


@pytest.mark.parametrize(("text", "why", "write"), REFUSED, ids=[ascii(text)[:60] for text, _, _ in REFUSED])
def test_e7_to_e11_any_other_spelling_is_refused_with_what_to_write(text: str, why: Why, write: str | None) -> None:
    found = read_host(text)
    assert isinstance(found, Refused)
    assert (found.why, found.write) == (why, write)
    assert write is None or found.message.endswith(f"Write {write}")


def test_every_reason_is_tried() -> None:
    assert {why for _, why, _ in REFUSED} == set(Why)


UNTOLD = {Why.PUNYCODE, Why.HOMOGRAPH}
"""What no pattern tells."""


@pytest.mark.parametrize(("text", "why", "write"), REFUSED, ids=[ascii(text)[:60] for text, _, _ in REFUSED])
def test_the_schema_refuses_the_same_in_the_same_words(text: str, why: Why, write: str | None) -> None:
    if why in UNTOLD and text.isascii():
        assert ADAPTER.validate_python(text) == text
        return
    with pytest.raises(ValidationError) as failure:
        ADAPTER.validate_python(text)
    found = read_host(text)
    assert isinstance(found, Refused)
    assert failure.value.errors()[0]["msg"] == f"Value error, {found.message}"


@pytest.mark.parametrize(
    "text",
    [
        "https://u:hunter2hunter2@h.example/hunter2hunter2?k=hunter2hunter2",
        "hunter2hunter2",
        "hunter2hunter2@@h.example",
    ],
)
def test_what_was_pasted_by_mistake_is_not_repeated(text: str) -> None:
    found = read_host(text)
    assert isinstance(found, Refused)
    assert "hunter2" not in found.message


HOSTLIKE = st.text(alphabet="abxn0127.-*:/%@[]_A\u0430\u00e9\u3002\uff0e\0", max_size=24)
LABELS = st.lists(st.text(alphabet="abx0n-", min_size=1, max_size=8), min_size=1, max_size=12).map(".".join)
DIGITS = st.lists(st.sampled_from(["0", "127", "1", "0x7f", "0177", "255", "256", "a", "0xg", "08"]), max_size=5).map(
    ".".join
)


@given(st.one_of(st.text(max_size=40), HOSTLIKE, LABELS, DIGITS))
@example("xn--mnchen-3ya.de")
@example("*.example.com")
@example("\uff11\uff12\uff17.0.0.1")
@example("0x7f.1")
def test_it_is_idempotent_and_nothing_that_it_takes_means_anything_else(text: str) -> None:
    found = read_host(text)
    if isinstance(found, Refused):
        if found.write is not None:
            assert read_host(found.write) == Host(found.write)
        return
    assert found.name == text == read_host(found.name).name  # type: ignore[union-attr]
    assert re.fullmatch(HOST_PATTERN, text)
    assert ADAPTER.validate_python(text) == text
    assert idna.encode(found.base).decode() == found.base
    assert idna.encode(found.base, uts46=True).decode() == found.base
    assert len(text) <= MAX_NAME
    assert found.base.count(".") < MAX_LABELS
    assert not is_address(found.base)


def is_address(text: str) -> bool:
    """To anything in the standard library."""
    try:
        socket.inet_aton(text)
    except OSError:
        pass
    else:
        return True
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@given(st.one_of(HOSTLIKE, LABELS, DIGITS))
def test_the_schema_takes_nothing_more_but_labels_that_are_none(text: str) -> None:
    try:
        ADAPTER.validate_python(text)
    except ValidationError:
        taken = False
    else:
        taken = True
    found = read_host(text)
    assert taken is (isinstance(found, Host) or (found.why in UNTOLD and text.isascii()))


@pytest.mark.parametrize("text", [None, 1, ["a.example"], {"host": "a.example"}])
def test_what_is_no_text_is_told_so(text: Any) -> None:
    with pytest.raises(ValidationError) as failure:
        ADAPTER.validate_python(text, strict=True)
    assert failure.value.errors()[0]["type"] == "string_type"


COVERS = [
    ("*.example.com", "api.example.com", True),
    ("*.example.com", "*.example.com", True),
    ("*.example.com", "example.com", False),
    ("*.example.com", "a.b.example.com", False),
    ("*.example.com", "*.b.example.com", False),
    ("*.example.com", "badexample.com", False),
    ("*.example.com", "api.example.com.evil.example", False),
    ("api.example.com", "api.example.com", True),
    ("api.example.com", "*.example.com", False),
    ("api.example.com", "xapi.example.com", False),
]


@pytest.mark.parametrize(("pattern", "name", "expected"), COVERS)
def test_a_star_is_one_label(pattern: str, name: str, *, expected: bool) -> None:
    assert Host(pattern).covers(Host(name)) is expected
