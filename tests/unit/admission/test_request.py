"""Bytes to a Request: strict, and without a surprise for any bytes."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.admission.answer import respond
from ringfence.admission.request import NotAReviewError, Operation, read, uid_of_fragment
from ringfence.admission.review import judge
from ringfence.admission.strictjson import MAX_VALUES, NotStrictError, loads
from unit.admission.make import UID, agent, encoded, review, world

WORLD = world()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def test_a_review_is_read() -> None:
    request = read(encoded(review(agent(), agent(), dryRun=True)))
    assert request.uid == UID
    assert request.operation is Operation.UPDATE
    assert request.resource == "ringfence.dev/v1alpha1/agentdeployments"
    assert (request.namespace, request.name, request.user, request.dry_run) == ("team", "researcher", "dev", True)
    assert request.object == request.old_object == agent()


def test_with_generate_name_the_object_knows_its_name() -> None:
    assert read(encoded(review(agent(name="made-x7k2p"), name=""))).name == "made-x7k2p"


@pytest.mark.parametrize("value", [1, "true", None, [], {}])
def test_only_true_is_a_dry_run(value: Any) -> None:
    assert read(encoded(review(agent(), dryRun=value))).dry_run is False


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"nothing",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1, "a": 1}',
        b'{"o": {"x": 1, "y": 2, "x": 1}}',
        b'{"a": "\\ud800"}',
        b'"\\udc00"',
        b"\xff\xfe",
        b'{"a": "\xc3"}',
        b'\xef\xbb\xbf{"a": 1}',
        b"{} {}",
        b"{'a': 1}",
        b'{"a": 1,}',
        b'{"a": 01}',
        b'{"a": "\n"}',
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[" * 1_000_000,
        b"[" + b"0," * MAX_VALUES + b"0]",
        b"[" + b"[]," * MAX_VALUES + b"0]",
        b"1" * 5000,
        "{}".encode("utf-16"),
        b"\x1f\x8b\x08\x00\x00",
    ],
    ids=lambda data: repr(data[:20]),
)
def test_what_is_not_strict_json_is_refused(data: bytes) -> None:
    with pytest.raises(NotStrictError) as caught:
        loads(data)
    assert len(str(caught.value)) < 80
    with pytest.raises(NotAReviewError):
        read(data)


def compact(value: Any) -> bytes:
    """As the API server writes it: no blanks, and a newline at the end."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize("write", [compact, encoded], ids=["compact", "with blanks"])
@pytest.mark.parametrize(
    "value",
    [
        review(agent()),
        {"a": [1, -1, 0.5, 1e300, 2**53, True, None, "", "\u2028<&>\u00e9\U0001f600"]},
        {"big": [2**63, 2**64, -(2**63), 10**30]},
        {"deep": [[]]},
    ],
    ids=["review", "scalars", "big", "deep"],
)
def test_both_ways_of_reading_give_the_same(value: Any, write: Callable[[Any], bytes]) -> None:
    assert loads(write(value)) == value


@pytest.mark.parametrize("depth", [250, 260, 900])
def test_deep_but_legal_nesting_is_read(depth: int) -> None:
    """Deeper than the library writes, and less deep than it reads."""
    assert loads(b"[" * depth + b"]" * depth)


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("text", [b'{"a":1,"a":1}', b'{"a":1,"\\u0061":2}', b'{"o":[{"x":{},"y":1,"x":{}}]}'])
def test_a_key_twice_is_refused_in_compact_text_too(text: bytes, end: bytes) -> None:
    with pytest.raises(NotStrictError, match="twice"):
        loads(text + end)


def test_errors_do_not_repeat_what_was_sent() -> None:
    with pytest.raises(NotAReviewError) as caught:
        read(b'{"request": {"uid": "x", "password": hunter2}}')
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [{"uid": None}, {"uid": ""}, {"uid": 7}, {"uid": "x" * 129}, {"uid": ["x"]}],
)
def test_without_a_uid_there_is_nothing_to_answer(change: dict[str, Any]) -> None:
    with pytest.raises(NotAReviewError, match=r"request\.uid"):
        read(encoded(review(agent(), **change)))


@pytest.mark.parametrize("value", [None, [], "x", 7, {}, {"request": None}, {"request": []}, {"request": "x"}])
def test_other_shapes_are_not_reviews(value: Any) -> None:
    with pytest.raises(NotAReviewError):
        read(encoded(value))


@pytest.mark.parametrize("version", ["admission.k8s.io/v1beta1", "v1", "", None, 7])
def test_other_versions_are_not_understood(version: Any) -> None:
    with pytest.raises(NotAReviewError, match=r"admission\.k8s\.io/v1"):
        read(encoded(review(agent()) | {"apiVersion": version}))


def test_the_uid_of_a_review_that_is_too_long_is_found() -> None:
    # The order in which the API server writes a review.
    start = b'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"' + UID.encode()
    assert uid_of_fragment(start + b'","kind":{') == UID
    assert uid_of_fragment(start[:-40]) is None
    assert uid_of_fragment(b"x" * 5000 + start + b'"') is None
    assert uid_of_fragment(b'{"uid":"a\\"b"}') is None


def outcome(data: bytes) -> bool | None:
    """None for a 400, else whether it was allowed."""
    try:
        request = read(data)
    except NotAReviewError:
        return None
    answer = json.loads(respond(request.uid, judge(request, WORLD)))
    assert answer["response"]["uid"] == request.uid
    allowed = answer["response"]["allowed"]
    assert isinstance(allowed, bool)
    return allowed


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_arbitrary_bytes_are_never_let_in(data: bytes) -> None:
    assert outcome(data) is None


@given(VALUES)
@settings(max_examples=150)
def test_arbitrary_objects_are_never_let_in(value: Any) -> None:
    assert outcome(encoded(review(value))) is not True


@given(VALUES)
@settings(max_examples=150)
def test_arbitrary_specs_are_never_let_in(spec: Any) -> None:
    assert outcome(encoded(review({**agent(), "spec": spec}))) is not True


@given(st.sampled_from(sorted(review(agent())["request"])), VALUES)
@settings(max_examples=200)
def test_an_arbitrary_field_of_the_review_raises_nothing(field: str, value: Any) -> None:
    outcome(encoded(review(agent(), **{field: value})))


@given(st.data())
@settings(max_examples=200)
def test_a_damaged_review_raises_nothing(data: st.DataObject) -> None:
    body = bytearray(encoded(review(agent(), agent())))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] = data.draw(st.integers(0, 255))
    outcome(bytes(body))
