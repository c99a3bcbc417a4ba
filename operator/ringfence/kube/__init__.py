"""The edge to the API server: the client, the paths, the errors."""

from .client import (
    METADATA_ONLY,
    ApiError,
    Conflict,
    Kube,
    NotFound,
    Object,
    Unreachable,
    path_of,
)

__all__ = ["METADATA_ONLY", "ApiError", "Conflict", "Kube", "NotFound", "Object", "Unreachable", "path_of"]
