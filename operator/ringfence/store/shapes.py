"""Values out of objects of any shape: what a watch brings may lack anything."""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from ringfence.policy.model import Network


def at(body: Any, *path: str) -> Any:
    """The value at `path`, or None where anything on the way is absent or of another shape."""
    for step in path:
        if not isinstance(body, Mapping):
            return None
        body = body.get(step)
    return body


def items(value: Any) -> Sequence[Any]:
    """A list, or nothing."""
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def full_name(body: Any) -> str:
    """NAME, or NAMESPACE/NAME."""
    name, namespace = at(body, "metadata", "name"), at(body, "metadata", "namespace")
    return f"{namespace}/{name}" if namespace else str(name)


def labels(body: Any) -> Mapping[str, str]:
    """All labels."""
    found = at(body, "metadata", "labels")
    if not isinstance(found, Mapping):
        return {}
    return {str(key): str(value) for key, value in found.items()}


def networks(texts: Iterable[Any]) -> tuple[Network, ...]:
    """Addresses and networks; what is neither (a host name) is left out."""
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ip_network(text if isinstance(text, str) else "", strict=False))
        except ValueError:
            continue
    return tuple(found)
