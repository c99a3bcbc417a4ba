"""What several policies allow together, field by field, and which of them narrows it. Pure.

For people: `decide` asks each policy by itself.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, Final, NamedTuple

from ringfence.api.secrets import duration

from .atoms import PermissionSet
from .egress_hosts import limits_of
from .hostnames import Host, covered
from .identity import pairs
from .images import covers
from .levels import LEVELS
from .limits import bounds_of, spelled
from .model import NamedPolicy
from .scheduling import labels, meet, meet_devices, most, taints
from .scheduling import spelled as written
from .text import listed
from .users import both, ids, words
from .volumes import claims, meet_claims

Meet = Callable[[Any, Any], Any]
_SHOWN: Final = 8
"""Values of one field in one line."""


class Narrowed(NamedTuple):
    """One field of AgentPolicy.spec: what all policies together allow, and those without which it would be more."""

    path: str
    value: str
    policies: tuple[str, ...]


class _Field(NamedTuple):
    """`of`: what a policy says, None where it says nothing; `meet`: what two allow together; `words`: for a person."""

    path: str
    of: Callable[[NamedPolicy], Any]
    meet: Meet
    words: Callable[[Any], str]


def together(bound: Sequence[NamedPolicy]) -> list[Narrowed]:
    """Of the policies that bind an agent, at least one. Fields that none of them speaks of are left out."""
    return [found for field in (*_FIELDS, *_limits(bound)) if (found := _narrowed(field, bound)) is not None]


def _narrowed(field: _Field, bound: Sequence[NamedPolicy]) -> Narrowed | None:
    said = [(policy.name, value) for policy in bound if (value := field.of(policy)) is not None]
    if not said:
        return None
    all_of_them = reduce(field.meet, (value for _, value in said))
    needed = [
        name
        for place, (name, _) in enumerate(said)
        if not (others := said[:place] + said[place + 1 :])
        or reduce(field.meet, (value for _, value in others)) != all_of_them
    ]
    # Where two say the same, it needs neither: both are named.
    names = needed or [name for name, value in said if value == all_of_them] or [name for name, _ in said]
    return Narrowed(field.path, field.words(all_of_them), tuple(names))


def _both(left: PermissionSet, right: PermissionSet) -> PermissionSet:
    return left.without(left.without(right))


def _registries(left: frozenset[str], right: frozenset[str]) -> frozenset[str]:
    """Of each two the narrower one, where one lies in the other."""
    found = {one for one in left for other in right if covers(other, one.split("/"))}
    return frozenset(found | {one for one in right for other in left if covers(other, one.split("/"))})


def _hosts(left: frozenset[Host], right: frozenset[Host]) -> frozenset[Host]:
    """Of each two the narrower one, where one covers the other."""
    found = {one for one in left if covered(one, right)}
    return frozenset(found | {one for one in right if covered(one, left)})


def _host_names(found: frozenset[Host]) -> str:
    return listed(sorted(one.name for one in found), _SHOWN) or "none"


def _names(none: str) -> Callable[[Any], str]:
    return lambda found: listed(sorted(found), _SHOWN) or none


def _permissions(found: PermissionSet) -> str:
    return listed((str(atom) for atom in sorted(found.atoms)), _SHOWN) or "none"


def _limit(field: str) -> Callable[[NamedPolicy], int | None]:
    return lambda one: limits_of(one.spec.egress.limits).get(field)


def _stricter(strict: str) -> Meet:
    return lambda left, right: strict if strict in {left, right} else left


_FIELDS: Final = (
    _Field("permissions.maxLevel", lambda one: LEVELS.index(one.spec.permissions.max_level), min, lambda n: LEVELS[n]),
    _Field("permissions.allow", lambda one: one.allowed_permissions, _both, _permissions),
    _Field("permissions.namespaces", lambda one: one.target_namespaces, lambda a, b: a & b, _names("its own alone")),
    _Field(
        "permissions.clusterReads",
        lambda one: frozenset(one.spec.permissions.cluster_reads),
        lambda a, b: a & b,
        _names("none"),
    ),
    _Field("egress.hosts", lambda one: one.allowed_hosts, _hosts, _host_names),
    _Field("egress.tunnel", lambda one: one.tunnel_hosts, _hosts, _host_names),
    _Field("egress.unkeyed", lambda one: one.unkeyed_hosts, _hosts, _host_names),
    _Field("egress.limits.requestsPerMinute", _limit("requestsPerMinute"), min, str),
    _Field("egress.limits.maxBodyBytes", _limit("maxBodyBytes"), min, str),
    _Field("egress.cidrs", lambda one: one.allowed_networks, lambda a, b: a & b, lambda a: a.display(_SHOWN) or "none"),
    _Field("egress.maxPublicAddresses", lambda one: one.spec.egress.max_public_addresses, min, str),
    _Field("egress.serviceNamespaces", lambda one: one.service_namespaces, lambda a, b: a & b, _names("its own alone")),
    _Field("egress.dns", lambda one: one.spec.egress.dns, _stricter("Never"), str),
    _Field("ingress.namespaces", lambda one: one.caller_namespaces, lambda a, b: a & b, _names("its own alone")),
    _Field("images.registries", lambda one: frozenset(one.spec.images.registries), _registries, _names("none")),
    _Field("images.requireDigest", lambda one: one.spec.images.require_digest, max, lambda one: str(one).lower()),
    _Field(
        "sandbox.runtimeClassNames",
        lambda one: None if (named := one.spec.sandbox.runtime_class_names) is None else frozenset(named),
        lambda a, b: a & b,
        _names("none"),
    ),
    _Field("pods.nodeLabels", lambda one: labels(one.spec.pods.node_labels), meet, written),
    _Field("pods.tolerations", lambda one: taints(one.spec.pods.tolerations), meet, written),
    _Field(
        "pods.priorityClassNames",
        lambda one: frozenset(one.spec.pods.priority_class_names),
        lambda a, b: a & b,
        _names("none"),
    ),
    _Field(
        "pods.devices",
        lambda one: most(one.spec.pods.devices),
        meet_devices,
        lambda found: listed((f"{number} {name}" for name, number in found.items()), _SHOWN) or "none",
    ),
    _Field(
        "pods.claims",
        lambda one: claims(one.spec.pods.claims),
        meet_claims,
        lambda found: listed((f"{name} ({access})" for name, access in found.items()), _SHOWN) or "none",
    ),
    _Field(
        "pods.topologyKeys",
        lambda one: frozenset(one.spec.pods.topology_keys),
        lambda a, b: a & b,
        _names("none"),
    ),
    _Field("pods.labels", lambda one: labels(one.spec.pods.labels), meet, written),
    _Field("pods.annotations", lambda one: frozenset(one.spec.pods.annotations), lambda a, b: a & b, _names("none")),
    _Field(
        "pods.maxGracePeriod",
        lambda one: (duration(one.spec.pods.max_grace_period), one.spec.pods.max_grace_period),
        min,
        lambda one: str(one[1]),
    ),
    _Field("pods.users", lambda one: ids(one.spec.pods.users), both, words),
    _Field(
        "identity.annotations",
        lambda one: pairs(one.spec.identity.annotations),
        lambda a, b: a & b,
        lambda found: listed((f"{key}={value}" for key, value in sorted(found)), _SHOWN) or "none",
    ),
    _Field(
        "identity.audiences", lambda one: frozenset(one.spec.identity.audiences), lambda a, b: a & b, _names("none")
    ),
    _Field(
        "connections.groups",
        lambda one: frozenset(one.spec.connections.groups),
        lambda a, b: a & b,
        _names("nobody"),
    ),
    _Field(
        "secrets.maxAge",
        lambda one: (duration(one.spec.secrets.max_age), one.spec.secrets.max_age),
        min,
        lambda one: str(one[1]),
    ),
    _Field("secrets.allowNever", lambda one: one.spec.secrets.allow_never, min, lambda one: str(one).lower()),
    _Field("onOrphans", lambda one: one.spec.on_orphans, _stricter("Stop"), str),
    _Field("onRepeatedEdits", lambda one: one.spec.on_repeated_edits, _stricter("Stop"), str),
    _Field("existing", lambda one: one.spec.existing, _stricter("Suspend"), str),
)


def _limits(bound: Sequence[NamedPolicy]) -> Iterator[_Field]:
    """Those that any of them sets."""
    set_by: Mapping[str, Mapping[str, int]] = {policy.name: bounds_of(policy.spec) for policy in bound}
    for path in dict.fromkeys(path for limits in set_by.values() for path in limits):
        yield _Field(
            path,
            lambda one, path=path: set_by[one.name].get(path),  # type: ignore[misc]
            min,
            lambda value, path=path: spelled(path.rpartition(".")[2], value),  # type: ignore[misc]
        )
