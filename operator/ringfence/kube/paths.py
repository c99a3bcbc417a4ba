"""URL paths of resources."""

from urllib.parse import quote


def group_path(group_version: str) -> str:
    """The URL path at which the API server lists the resources of a group's version."""
    return f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"


def path_of(group_version: str, plural: str, namespace: str | None = None, name: str | None = None) -> str:
    """The URL path of a resource: `path_of("apps/v1", "deployments", "ns", "x")`; `v1` is the core group."""
    scope = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"{group_path(group_version)}{scope}/{plural}" + (f"/{quote(name, safe='')}" if name else "")
