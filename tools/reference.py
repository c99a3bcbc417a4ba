"""docs/reference/api.md."""


def files() -> dict[str, str]:
    """Path -> content."""
    return {}
