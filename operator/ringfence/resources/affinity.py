"""An agent's affinity, as the scheduler reads it. Pods are known by the label of their agent alone."""

from collections.abc import Sequence
from typing import Final

from ringfence.api.affinity import Neighbour, NodeAffinity, NodeRequirement
from ringfence.api.names import AGENT_LABEL
from ringfence.api.scheduling import Scheduling

from .kinds import Manifest

_MUST: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_RATHER: Final = "preferredDuringSchedulingIgnoredDuringExecution"
_WEIGHT: Final = 100
"""Of a wish about pods: all count alike."""


def affinity(asked: Scheduling, agent: str) -> Manifest:
    """`affinity` of a pod's spec; empty where the agent's says nothing. `agent`: its name."""
    found = {
        "nodeAffinity": _of_nodes(asked.node_affinity),
        "podAffinity": _of_pods(asked.near, agent),
        "podAntiAffinity": _of_pods(asked.apart, agent),
    }
    return {kind: terms for kind, terms in found.items() if terms}


def _of_nodes(asked: NodeAffinity) -> Manifest:
    found: Manifest = {}
    if asked.required:
        found[_MUST] = {"nodeSelectorTerms": [{"matchExpressions": [_expression(one) for one in asked.required]}]}
    if asked.preferred:
        found[_RATHER] = [
            {"weight": one.weight, "preference": {"matchExpressions": [_expression(one)]}} for one in asked.preferred
        ]
    return found


def _expression(one: NodeRequirement) -> Manifest:
    return {"key": one.key, "operator": one.operator} | ({"values": list(one.values)} if one.values else {})


def _of_pods(asked: Sequence[Neighbour], agent: str) -> Manifest:
    must = [_term(one, agent) for one in asked if one.when_unsatisfiable == "DoNotSchedule"]
    rather = [
        {"weight": _WEIGHT, "podAffinityTerm": _term(one, agent)}
        for one in asked
        if one.when_unsatisfiable == "ScheduleAnyway"
    ]
    return ({_MUST: must} if must else {}) | ({_RATHER: rather} if rather else {})


def _term(one: Neighbour, agent: str) -> Manifest:
    """Without namespaces: the pod's own."""
    selector = {"matchLabels": {AGENT_LABEL: one.agent or agent}}
    return {"labelSelector": selector, "topologyKey": one.topology_key}
