"""Existing volumes in an agent's pods."""

from ringfence.api.volumes import ExistingVolume

from .kinds import Manifest
from .model import Agent


def existing_mounts(agent: Agent, paths: list[str] | None = None) -> list[Manifest]:
    """In the order of the spec. `paths`: only those that are mounted there."""
    return [
        {"name": _name(index), "mountPath": one.mount_path, **_read_only(one)}
        for index, one in enumerate(agent.spec.volumes)
        if paths is None or one.mount_path in paths
    ]


def existing_volumes(agent: Agent) -> list[Manifest]:
    """The volumes behind them. Read-only ones are so for the whole pod."""
    return [
        {"name": _name(index), "persistentVolumeClaim": {"claimName": one.claim, **_read_only(one)}}
        for index, one in enumerate(agent.spec.volumes)
    ]


def is_written(agent: Agent) -> bool:
    """Whether the agent may write to any of them."""
    return any(one.access == "ReadWrite" for one in agent.spec.volumes)


def _name(index: int) -> str:
    return f"volume-{index}"


def _read_only(one: ExistingVolume) -> dict[str, bool]:
    return {} if one.access == "ReadWrite" else {"readOnly": True}
