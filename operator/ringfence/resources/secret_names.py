"""Which Secret, and which key of it, holds the value of an agent's secret."""

import hashlib
from typing import Final

from ringfence.api.names import CHILD_PREFIX
from ringfence.api.secrets import AgentSecret

VALUE, PREVIOUS = "value", "previous"
"""Keys of a generated Secret's data."""
MAX_CRONJOB_NAME: Final = 52
"""Kubernetes adds 11 characters for a job and caps names at 63."""
_DIGEST: Final = 10


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
