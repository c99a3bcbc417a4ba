"""A gateway's message: OTLP's logs, of which the reasons count and nothing else. Pure."""

from collections import Counter
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from ringfence.gateway.log import Reason
from ringfence.gateway.reports import NOT_IN_FORCE, REASON

MOST_BYTES: Final = 65536
"""Of one message: four times what a gateway gathers."""
_KNOWN: Final = frozenset({*Reason, NOT_IN_FORCE})


class Unreadable(ValueError):
    """It is no such message."""


def reasons(body: bytes) -> Counter[str]:
    """How often each reason, and `NOT_IN_FORCE`, is in it; others are left out. Raises Unreadable."""
    try:
        message = ExportLogsServiceRequest.FromString(body)
    except DecodeError as failure:
        raise Unreadable(str(failure)) from failure
    records = [
        record for resource in message.resource_logs for scope in resource.scope_logs for record in scope.log_records
    ]
    told = [one.value.string_value for record in records for one in record.attributes if one.key == REASON]
    return Counter(word for word in told if word in _KNOWN)
