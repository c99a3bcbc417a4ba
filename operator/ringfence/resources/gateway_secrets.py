"""Secrets whose values the egress gateway sends: each a folder of its own in the gateway's pod, and in no other pod.

The agent's pods get a placeholder for each, from the Secret of the gateway's authorities, which Ringfence keeps.
"""

from typing import Final

from ringfence.api.secrets import AgentSecret

from .digests import digest
from .gateway_names import authorities_name
from .kinds import Manifest
from .model import Agent
from .secret_names import secret_reference

SECRETS_DIRECTORY: Final = "/etc/ringfence/secrets"
_PLACEHOLDER: Final = "placeholder."


def gateway_secrets(agent: Agent) -> list[AgentSecret]:
    """Those of the spec that go through the gateway."""
    return [one for one in agent.spec.secrets if one.delivery.gateway]


def awaits_secrets(agent: Agent) -> bool:
    """Whether nothing is known of one of them yet: a generated one is made in the first pass, and known in the next."""
    return any(one.name not in agent.secret_states for one in gateway_secrets(agent))


def secret_file(agent: Agent, secret: AgentSecret) -> str:
    """Where the value is, in the directory of secrets."""
    return f"{secret.name}/{secret_reference(agent.name, secret)[1]}"


def placeholder_key(secret: str) -> str:
    """Key of the placeholder in the Secret of the authorities."""
    return f"{_PLACEHOLDER}{secret}"


def placeholder_reference(agent: Agent, secret: AgentSecret) -> Manifest:
    """For a variable of the agent's containers."""
    return {"name": authorities_name(agent.name), "key": placeholder_key(secret.name)}


def mounted_secrets(agent: Agent) -> str:
    """Which of them are there, as a mark: it changes when one comes, goes or is made anew, and not with its value."""
    return digest(
        {one.name: found.uid for one in gateway_secrets(agent) if (found := agent.secret_states.get(one.name))}
    )


def secret_volumes(agent: Agent) -> list[Manifest]:
    """Of each Secret the one key. Optional: without it the gateway serves its other hosts."""
    found = []
    for one in gateway_secrets(agent):
        name, key = secret_reference(agent.name, one)
        source = {"secretName": name, "items": [{"key": key, "path": key}], "defaultMode": 0o440, "optional": True}
        found.append({"name": _volume(one), "secret": source})
    return found


def secret_mounts(agent: Agent) -> list[Manifest]:
    """A folder for each."""
    return [
        {"name": _volume(one), "mountPath": f"{SECRETS_DIRECTORY}/{one.name}", "readOnly": True}
        for one in gateway_secrets(agent)
    ]


def _volume(secret: AgentSecret) -> str:
    """A volume's name has at most 63 characters, as the secret's own may have."""
    return f"key-{digest(secret.name)}"
