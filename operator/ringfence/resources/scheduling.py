"""What the scheduler is told about an agent's pods."""

from ringfence.api import AgentDeploymentSpec
from ringfence.api.scheduling import Toleration

from .affinity import affinity
from .kinds import Manifest
from .model import Agent


def scheduling(agent: Agent) -> Manifest:
    """Fields of a pod's spec; empty where the agent's says nothing."""
    asked = agent.spec.scheduling
    if asked is None:
        return {}
    found: Manifest = {}
    if asked.node_selector:
        found["nodeSelector"] = dict(asked.node_selector)
    if asked.tolerations:
        found["tolerations"] = [_toleration(one) for one in asked.tolerations]
    if asked.spread:
        found["topologySpreadConstraints"] = [
            {
                "maxSkew": one.max_skew,
                "topologyKey": one.topology_key,
                "whenUnsatisfiable": one.when_unsatisfiable,
                "labelSelector": {"matchLabels": agent.selector},
            }
            for one in asked.spread
        ]
    if where := affinity(asked, agent.name):
        found["affinity"] = where
    if asked.priority_class_name:
        found["priorityClassName"] = asked.priority_class_name
    return found


def devices(spec: AgentDeploymentSpec) -> dict[str, str]:
    """For the requests and the limits alike, as Kubernetes asks of these."""
    return {device.name: str(device.count) for device in spec.devices}


def _toleration(one: Toleration) -> Manifest:
    match = {"operator": "Exists"} if one.value is None else {"operator": "Equal", "value": one.value}
    return {"key": one.key, **match} | ({"effect": one.effect} if one.effect else {})
