"""Nodes, priorities and devices that an agent asks for: none without a policy that names them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ringfence.api.marks import PodMark
from ringfence.api.scheduling import Device, DeviceLimit, NodeLabel, Scheduling, Toleration

from .model import NamedPolicy, RuleName, Violation
from .text import listed, quote

ANY: Final = "*"
"""In place of a value or an effect. No label's value has this character."""
_AT: Final = "spec.scheduling"

Choices = frozenset[tuple[str, ...]]
"""(key, value) of labels, (key, value, effect) of taints."""


def check_scheduling(
    scheduling: Scheduling | None, devices: Sequence[Device], replicas: int, policies: Sequence[NamedPolicy]
) -> Iterator[Violation]:
    """All policies must allow each."""
    for policy in policies if scheduling or devices else ():
        pods, by = policy.spec.pods, f"policy {quote(policy.name)}"
        for key, value in scheduling.node_selector.items() if scheduling else ():
            if not _allowed((key, value), labels(pods.node_labels)):
                message = f"{by} lets no agent choose nodes by {quote(f'{key}={value}')}: {_fix('nodeLabels')}"
                yield Violation(f"{_AT}.nodeSelector", RuleName.SCHEDULING_ABOVE_POLICY, message)
        for index, one in enumerate(scheduling.tolerations if scheduling else ()):
            if not _allowed(_taint(one), taints(pods.tolerations)):
                message = f"{by} lets no agent tolerate this taint: {_fix('tolerations')}"
                yield Violation(f"{_AT}.tolerations[{index}]", RuleName.SCHEDULING_ABOVE_POLICY, message)
        for index, spread in enumerate(scheduling.spread if scheduling else ()):
            if spread.topology_key not in pods.topology_keys:
                message = f"{by} lets no agent spread over {quote(spread.topology_key)}: {_fix('topologyKeys')}"
                yield Violation(f"{_AT}.spread[{index}].topologyKey", RuleName.SCHEDULING_ABOVE_POLICY, message)
        yield from _check_affinity(scheduling, policy, by) if scheduling else ()
        name = scheduling.priority_class_name if scheduling else None
        if name is not None and name not in pods.priority_class_names:
            message = f"{by} gives no agent this PriorityClass: {_fix('priorityClassNames')}"
            yield Violation(f"{_AT}.priorityClassName", RuleName.SCHEDULING_ABOVE_POLICY, message)
        yield from _check_devices(devices, replicas, most(pods.devices), by)


def _check_affinity(scheduling: Scheduling, policy: NamedPolicy, by: str) -> Iterator[Violation]:
    allowed = labels(policy.spec.pods.node_labels)
    affinity = scheduling.node_affinity
    for field, wanted in (("required", affinity.required), ("preferred", affinity.preferred)):
        for index, one in enumerate(wanted):
            # What is compared in any other way than with In chooses values that are not named.
            asked = one.values if one.operator == "In" else [ANY]
            bad = [value for value in asked if not _allowed((one.key, value), allowed)]
            if bad:
                what = listed((quote(one.key if value == ANY else f"{one.key}={value}") for value in bad), 4)
                message = f"{by} lets no agent choose nodes by {what} with {one.operator}: {_fix('nodeLabels')}"
                yield Violation(f"{_AT}.nodeAffinity.{field}[{index}]", RuleName.SCHEDULING_ABOVE_POLICY, message)
    for field, others in (("near", scheduling.near), ("apart", scheduling.apart)):
        for index, other in enumerate(others):
            if other.topology_key not in policy.spec.pods.topology_keys:
                message = f"{by} lets no agent place pods by {quote(other.topology_key)}: {_fix('topologyKeys')}"
                at = f"{_AT}.{field}[{index}].topologyKey"
                yield Violation(at, RuleName.SCHEDULING_ABOVE_POLICY, message)


def _check_devices(devices: Sequence[Device], replicas: int, allowed: dict[str, int], by: str) -> Iterator[Violation]:
    for index, device in enumerate(devices):
        bound = allowed.get(device.name, 0)
        if device.count * max(replicas, 1) > bound:
            message = (
                f"{by} gives one agent {bound} of {quote(device.name)}, and this is {device.count} for each of its "
                f"pods: {_fix('devices')}"
            )
            yield Violation(f"spec.devices[{index}]", RuleName.SCHEDULING_ABOVE_POLICY, message)


def labels(named: Iterable[NodeLabel | PodMark]) -> Choices:
    """What a policy names."""
    return frozenset((one.key, ANY if one.value is None else one.value) for one in named)


def taints(named: Iterable[Toleration]) -> Choices:
    """The same of taints."""
    return frozenset(map(_taint, named))


def most(named: Iterable[DeviceLimit]) -> dict[str, int]:
    """By the devices' names."""
    return {one.name: one.most for one in named}


def meet(left: Choices, right: Choices) -> Choices:
    """What both allow: of each two that are compatible, the narrower words."""
    return frozenset(
        tuple(two if one == ANY else one for one, two in zip(first, second, strict=True))
        for first in left
        for second in right
        if all(one == two or ANY in {one, two} for one, two in zip(first, second, strict=True))
    )


def meet_devices(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    """The lower number of each."""
    return {name: min(left[name], right[name]) for name in sorted(left.keys() & right.keys())}


def spelled(found: Choices) -> str:
    """Such as `zone=a, gpu=*`."""
    return listed((f"{one[0]}={':'.join(one[1:])}" for one in sorted(found)), 8) or "none"


def _allowed(asked: tuple[str, ...], allowed: Choices) -> bool:
    return any(
        all(bound in {ANY, one} for one, bound in zip(asked, entry, strict=True)) and entry[0] == asked[0]
        for entry in allowed
    )


def _taint(one: Toleration) -> tuple[str, str, str]:
    return one.key, ANY if one.value is None else one.value, one.effect or ANY


def _fix(field: str) -> str:
    return f"leave it out, or have it added to the policy's pods.{field}"
