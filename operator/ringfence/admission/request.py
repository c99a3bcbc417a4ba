"""From the bytes of an AdmissionReview to a Request, whatever the bytes are."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

import orjson

from .strictjson import NotStrictError, loads

REVIEW_VERSION: Final = "admission.k8s.io/v1"
MAX_UID: Final = 128
_UID: Final = re.compile(rb'"uid"\s*:\s*"([A-Za-z0-9._:-]{1,128})"')
_UID_WITHIN: Final = 4096
"""The API server writes the review's uid within the first bytes of the body."""


class Operation(StrEnum):
    """What the API server was asked to do."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    CONNECT = "CONNECT"
    UNKNOWN = "UNKNOWN"


class NotAReviewError(ValueError):
    """The body is not an AdmissionReview that could be answered. The message is safe to show."""


@dataclass(frozen=True)
class Request:
    """One question of the API server. Fields of a wrong shape are empty, the two objects are as sent."""

    uid: str
    operation: Operation
    resource: str
    """GROUP/VERSION/PLURAL"""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    dry_run: bool = False
    user: str = ""
    user_info: Mapping[str, Any] = field(default_factory=dict)
    """Who asks, as the API server authenticated him: username, uid, groups, extra."""
    object: Any = None
    old_object: Any = None

    @cached_property
    def spec_unchanged(self) -> bool:
        """Whether an UPDATE leaves the spec as it is stored. Byte for byte: in Python, 1 equals True."""
        if self.operation is not Operation.UPDATE:
            return False
        old, new = (_canonical(_mapping(one).get("spec")) for one in (self.old_object, self.object))
        return old is not None and old == new

    @cached_property
    def changes_nothing(self) -> bool:
        """Whether a write leaves all that people write as it is: of status, or of the same manifest once more."""
        if self.operation is not Operation.UPDATE:
            return False
        return self.subresource == "status" or (
            self.spec_unchanged and _written(self.object) == _written(self.old_object)
        )

    @property
    def scales(self) -> bool:
        """Whether it changes the number of pods by the scale subresource: then `object` is a Scale."""
        return self.operation is Operation.UPDATE and self.subresource == "scale"

    def of_whole(self, stored: Mapping[str, Any]) -> "Request":
        """Of a Scale, the same as a change of the whole object. `stored`: as it is now."""
        replicas = _mapping(_mapping(self.object).get("spec")).get("replicas", 0)  # a Scale leaves out 0
        changed = {**stored, "spec": {**_mapping(stored.get("spec")), "replicas": replicas}}
        return replace(self, subresource="", object=changed, old_object=stored)


def read(body: bytes | bytearray) -> Request:
    """Parse a review. Raises NotAReviewError when there is nothing that an answer could refer to."""
    try:
        review = loads(body)
    except NotStrictError as failure:
        raise NotAReviewError(f"the body cannot be read: {failure}") from None
    request = _mapping(_mapping(review).get("request"))
    uid = request.get("uid")
    if not isinstance(uid, str) or not 0 < len(uid) <= MAX_UID:
        raise NotAReviewError("the body is not an AdmissionReview: request.uid is missing")
    if _mapping(review).get("apiVersion") != REVIEW_VERSION:
        raise NotAReviewError(f"only AdmissionReview of {REVIEW_VERSION} is understood")
    resource = _mapping(request.get("resource"))
    return Request(
        uid=uid,
        operation=_operation(request.get("operation")),
        resource="/".join(_text(resource.get(part)) for part in ("group", "version", "resource")),
        subresource=_text(request.get("subResource")),
        namespace=_text(request.get("namespace")),
        # With generateName only the object knows its name.
        name=_text(_metadata(request.get("object")).get("name")) or _text(request.get("name")),
        dry_run=request.get("dryRun") is True,
        user=_text(_mapping(request.get("userInfo")).get("username")),
        user_info=_mapping(request.get("userInfo")),
        object=request.get("object"),
        old_object=request.get("oldObject"),
    )


def uid_of_fragment(start: bytes) -> str | None:
    """The uid in the first bytes of a review that is too long to be read; None when it is not there."""
    found = _UID.search(start[:_UID_WITHIN])
    return found.group(1).decode() if found else None


def _canonical(value: Any) -> bytes | None:
    """One text for one value; None for none, and for what no API server has stored (integers beyond 64 bits)."""
    try:
        return None if value is None else orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return None


def _written(body: Any) -> list[Any]:
    """The metadata that people write."""
    metadata = _metadata(body)
    return [metadata.get(name) or None for name in ("labels", "annotations", "finalizers", "ownerReferences")]


def _operation(value: Any) -> Operation:
    return Operation.__members__.get(value, Operation.UNKNOWN) if isinstance(value, str) else Operation.UNKNOWN


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}  # JSON has no other, and the question is cheaper than Mapping's


def _metadata(value: Any) -> Mapping[str, Any]:
    return _mapping(_mapping(value).get("metadata"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
