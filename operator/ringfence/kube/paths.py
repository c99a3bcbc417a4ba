"""URL paths of resources."""

from urllib.parse import quote


def path_of(group_version: str, plural: str, namespace: str | None = None, name: str | None = None) -> str:
    """The URL path of a resource: `path_of("apps/v1", "deployments", "ns", "x")`; `v1` is the core group."""
    root = f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"
    scope = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"{root}{scope}/{plural}" + (f"/{quote(name, safe='')}" if name else "")
