"""How keys reach the agent's pods: as files that change under it, or as variables that a restart changes."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from ringfence.api.containers import AGENT
from ringfence.api.names import GROUP, RESTART_ANNOTATION
from ringfence.api.secrets import PREVIOUS_SUFFIX, SECRETS_DIRECTORY, AgentSecret
from ringfence.policy.secret_files import secret_directories

from .gateway_secrets import placeholder_reference
from .kinds import Manifest
from .model import Agent
from .secret_names import PREVIOUS, secret_reference

ROTATED_AT = f"{GROUP}/rotated-at"
ROTATED_BY = f"{GROUP}/rotated-by"
PREVIOUS_UNTIL = f"{GROUP}/previous-until"
"""Annotations of a generated Secret: times as RFC 3339 in UTC, and the name of the job that rotated it last."""
KEY_FILE_MODE = 0o440
"""The agent's own group (its fsGroup) reads, nobody writes."""
_DIGEST = 10


def restart_annotation(secret: str) -> str:
    """On the pods' template: which rotation the pods have seen. To change it is to restart them."""
    return f"{RESTART_ANNOTATION}{hashlib.sha256(secret.encode()).hexdigest()[:_DIGEST]}"


def secret_variables(agent: Agent, container: str = AGENT) -> list[Manifest]:
    """Environment variables, in the order of the spec."""
    variables: list[Manifest] = []
    for secret in _given(agent, container):
        if secret.delivery.env:
            name, key = secret_reference(agent.name, secret)
            reference: Manifest = {"name": name, "key": key}
            variables.append({"name": secret.delivery.env.name, "valueFrom": {"secretKeyRef": reference}})
        elif secret.delivery.gateway:
            reference = placeholder_reference(agent, secret)
            variables.append({"name": secret.delivery.gateway.env, "valueFrom": {"secretKeyRef": reference}})
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
    others = [one for one in directories if one != SECRETS_DIRECTORY]
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
