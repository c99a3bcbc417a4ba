"""Writable directories of the agent's container, and HOME among them."""

from ringfence.api.scratch import SHM, TMP, Scratch
from ringfence.policy.quantities import canonical

from .kinds import Manifest
from .model import Agent

TMP_SIZE = "256Mi"
"""Of /tmp, where the spec says nothing about it."""
_HOME = "HOME"


def scratch_mounts(agent: Agent) -> list[Manifest]:
    """The one of /tmp first, which every agent has."""
    return [{"name": "tmp", "mountPath": TMP}] + [
        {"name": _name(index), "mountPath": one.path} for index, one in _others(agent)
    ]


def scratch_volumes(agent: Agent) -> list[Manifest]:
    """The volumes behind them, in the same order."""
    own = next((one for one in agent.spec.scratch if one.path == TMP), None)
    tmp = _empty(own) if own else {"sizeLimit": TMP_SIZE}
    return [{"name": "tmp", "emptyDir": tmp}] + [
        {"name": _name(index), "emptyDir": _empty(one)} for index, one in _others(agent)
    ]


def scratch_names(agent: Agent) -> dict[str, str]:
    """Paths, and the names of their volumes; without /tmp."""
    return {one.path: _name(index) for index, one in _others(agent)}


def home_variable(agent: Agent) -> list[Manifest]:
    """HOME where it can write: at the first directory that the spec names, else /tmp. Not where the spec sets it."""
    named = {variable.name for variable in agent.spec.env}
    named |= {key for source in agent.spec.env_from for key in source.keys}
    named |= {secret.delivery.variable for secret in agent.spec.secrets if secret.delivery.variable}
    places = [one.path for one in agent.spec.scratch if one.path != SHM]
    if _HOME in named:
        return []
    return [{"name": _HOME, "value": places[0] if places else TMP}]


def _others(agent: Agent) -> list[tuple[int, Scratch]]:
    return [(index, one) for index, one in enumerate(agent.spec.scratch) if one.path != TMP]


def _name(index: int) -> str:
    return f"scratch-{index}"


def _empty(scratch: Scratch) -> Manifest:
    medium = {"medium": "Memory"} if scratch.medium == "Memory" else {}
    return {"sizeLimit": canonical(scratch.size), **medium}
