"""How keys reach the agent's pods: as files that change under it, or as variables that a restart changes."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from ringfence.api.containers import AGENT
from ringfence.api.names import CHILD_PREFIX, GROUP, RESTART_ANNOTATION
from ringfence.api.secrets import KEYS_DIRECTORY, PREVIOUS_SUFFIX, AgentSecret
from ringfence.policy.secret_files import secret_directories

from .kinds import Manifest
from .model import Agent

VALUE, PREVIOUS = "value", "previous"
"""Keys of a generated Secret's data."""
ROTATED_AT = f"{GROUP}/rotated-at"
ROTATED_BY = f"{GROUP}/rotated-by"
PREVIOUS_UNTIL = f"{GROUP}/previous-until"
"""Annotations of a generated Secret: times as RFC 3339 in UTC, and the name of the job that rotated it last."""
KEY_FILE_MODE = 0o440
"""The agent's own group (its fsGroup) reads, nobody writes."""
MAX_CRONJOB_NAME = 52
"""Kubernetes adds 11 characters for a job and caps names at 63."""
_DIGEST = 10


def rotation_name(agent: str, secret: str) -> str:
    """Name of a generated Secret, and of the CronJob that rotates it with its ServiceAccount, rights and policy.

    The dot is in no other child's name, as no agent's name has one.
    """
    digest = hashlib.sha256(f"{agent}/{secret}".encode()).hexdigest()[:_DIGEST]
    return f"{CHILD_PREFIX}{agent}"[: MAX_CRONJOB_NAME - 1 - _DIGEST].rstrip("-") + f".{digest}"


def secret_reference(agent: str, secret: AgentSecret) -> tuple[str, str]:
    """(Secret, key) that holds the value."""
    if secret.source.existing:
        return secret.source.existing.secret_name, secret.source.existing.key
    return rotation_name(agent, secret.name), VALUE


def restart_annotation(secret: str) -> str:
    """On the pods' template: which rotation the pods have seen. To change it is to restart them."""
    return f"{RESTART_ANNOTATION}{hashlib.sha256(secret.encode()).hexdigest()[:_DIGEST]}"


def secret_variables(agent: Agent, container: str = AGENT) -> list[Manifest]:
    """Environment variables, in the order of the spec."""
    variables: list[Manifest] = []
    for secret in _given(agent, container):
        if secret.delivery.env:
            name, key = secret_reference(agent.name, secret)
            reference = {"name": name, "key": key}
            variables.append({"name": secret.delivery.env.name, "valueFrom": {"secretKeyRef": reference}})
    return variables


def secret_mounts(agent: Agent, container: str = AGENT, prefix: str = "") -> list[Manifest]:
    """One for each directory; never a subPath, which the kubelet would not keep up to date."""
    found = _volumes(agent, container).items()
    return [{"name": f"{prefix}{name}", "mountPath": directory, "readOnly": True} for directory, name in found]


def secret_volumes(agent: Agent, container: str = AGENT, prefix: str = "") -> list[Manifest]:
    """The volumes behind them: of each Secret only the keys that are delivered."""
    found: list[Manifest] = []
    for directory, volume in _volumes(agent, container).items():
        sources: list[Manifest] = []
        for secret, path in _files(agent, container, directory):
            name, key = secret_reference(agent.name, secret)
            sources.append({"secret": {"name": name, "items": [{"key": key, "path": path}]}})
            if secret.source.generate:  # there only during an overlap
                items = [{"key": PREVIOUS, "path": path + PREVIOUS_SUFFIX}]
                sources.append({"secret": {"name": name, "items": items, "optional": True}})
        found.append({"name": f"{prefix}{volume}", "projected": {"defaultMode": KEY_FILE_MODE, "sources": sources}})
    return found


def _given(agent: Agent, container: str) -> list[AgentSecret]:
    return [secret for secret in agent.spec.secrets if container in secret.receivers]


def _volumes(agent: Agent, container: str) -> dict[str, str]:
    """Directories to mount, and the names of their volumes."""
    directories = secret_directories(one.delivery.file.path for one in _given(agent, container) if one.delivery.file)
    others = [one for one in directories if one != KEYS_DIRECTORY]
    return {one: f"keys-{others.index(one)}" if one in others else "keys" for one in directories}


def _files(agent: Agent, container: str, directory: str) -> list[tuple[AgentSecret, str]]:
    """Secrets delivered as files below a directory, with their paths inside of it."""
    return [
        (secret, secret.delivery.file.path.removeprefix(f"{directory}/"))
        for secret in _given(agent, container)
        if secret.delivery.file and secret.delivery.file.path.startswith(f"{directory}/")
    ]


def stamp(moment: datetime) -> str:
    """A time as it is stored."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def when(text: Any) -> datetime | None:
    """A stored time; None for what is none."""
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
