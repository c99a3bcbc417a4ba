"""Who may get into agents through the API server, by all policies that bind their namespace. Pure."""

from collections.abc import Sequence

from .model import NamedPolicy


def connecting(bound: Sequence[NamedPolicy]) -> tuple[str, ...]:
    """The groups that every one of the policies names, in order. `bound`: at least one."""
    named = [frozenset(policy.spec.connections.groups) for policy in bound]
    return tuple(sorted(frozenset.intersection(*named)))
