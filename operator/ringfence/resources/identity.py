"""Who an agent is to a cloud, as its ServiceAccount and its pods say it."""

from collections.abc import Mapping
from typing import Any

from ringfence.api.identity import ANNOTATIONS, IDENTITY_DOMAINS, IdentityToken
from ringfence.api.secrets import duration
from ringfence.policy.identity import directory

from .kinds import Manifest
from .model import Agent


def account_annotations(agent: Agent) -> dict[str, str]:
    """Of its ServiceAccount."""
    found = agent.spec.identity
    return {one.key: one.value for one in found.annotations} if found else {}


def identity_annotations(annotations: Mapping[str, Any]) -> dict[str, Any]:
    """Those of any object that speak to a cloud, whoever wrote them."""
    return {key: value for key, value in annotations.items() if key.startswith(IDENTITY_DOMAINS)}


def identity_labels(agent: Agent) -> dict[str, str]:
    """Of the pods, where an annotation does nothing without."""
    return dict(label for key in account_annotations(agent) if (label := ANNOTATIONS[key].label))


def token_mounts(agent: Agent) -> list[Manifest]:
    """One for each directory; the kubelet renews what is in it."""
    return [{"name": name, "mountPath": place, "readOnly": True} for name, place in zip(*_names(agent), strict=True)]


def token_volumes(agent: Agent) -> list[Manifest]:
    """The volumes behind them, in the same order."""
    tokens = agent.spec.identity.tokens if agent.spec.identity else []
    return [
        {
            "name": name,
            "projected": {"defaultMode": 420, "sources": [_source(one) for one in tokens if directory(one) == place]},
        }
        for name, place in zip(*_names(agent), strict=True)
    ]


def _names(agent: Agent) -> tuple[list[str], list[str]]:
    tokens = agent.spec.identity.tokens if agent.spec.identity else []
    places = list(dict.fromkeys(map(directory, tokens)))
    return [f"identity-{index}" for index in range(len(places))], places


def _source(token: IdentityToken) -> Manifest:
    seconds = int(duration(token.expiration).total_seconds())
    file = token.path.rpartition("/")[2]
    return {"serviceAccountToken": {"audience": token.audience, "expirationSeconds": seconds, "path": file}}
