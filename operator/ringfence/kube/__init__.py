"""The edge to the API server: the client, the paths, the errors."""

from .client import METADATA_ONLY, Kube, Object, Observer
from .errors import ApiError, Conflict, ErrorKind, NotFound, NotServed, RingfenceError, Unreachable
from .official import ConfigException
from .paths import path_of

__all__ = [
    "METADATA_ONLY",
    "ApiError",
    "ConfigException",
    "Conflict",
    "ErrorKind",
    "Kube",
    "NotFound",
    "NotServed",
    "Object",
    "Observer",
    "RingfenceError",
    "Unreachable",
    "path_of",
]
