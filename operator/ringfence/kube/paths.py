"""URL paths of resources."""

from functools import lru_cache
from urllib.parse import quote


def group_path(group_version: str) -> str:
    """The URL path at which the API server lists the resources of a group's version."""
    return f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"


def path_of(group_version: str, plural: str, namespace: str | None = None, name: str | None = None) -> str:
    """The URL path of a resource: `path_of("apps/v1", "deployments", "ns", "x")`; `v1` is the core group."""
    scope = f"/namespaces/{_quoted(namespace)}" if namespace else ""
    return f"{group_path(group_version)}{scope}/{plural}" + (f"/{_quoted(name)}" if name else "")


@lru_cache(maxsize=4096)
def _quoted(name: str) -> str:
    """A name as one step of a path: an agent that is made has thirty of them, and few that differ."""
    return quote(name, safe="")
