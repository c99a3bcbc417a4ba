"""What the scale trial makes: namespaces, the policies that bind them, agents."""

from __future__ import annotations

from typing import Any, NamedTuple

from ringfence.api.names import AGENTS_ENABLED, AGENTS_LABEL, API_VERSION

__all__ = [
    "AGENTS",
    "EVERYBODY",
    "NAMESPACES",
    "POLICIES",
    "Key",
    "agent",
    "allowing",
    "deny_path",
    "keys",
    "namespace",
    "policies",
    "ports",
]

NAMESPACES = 200
TEAMS = 20
"""Each namespace is bound by the policy for all and by that of its team."""
AGENTS = f"/apis/{API_VERSION}/agentdeployments"
POLICIES = f"/apis/{API_VERSION}/agentpolicies"
EVERYBODY = "scale-everybody"
"""The policy that binds all agents."""
NETWORK, ELSEWHERE = "203.0.113.0/28", "198.51.100.0/24"
IMAGE = "registry.example/scale/agent@sha256:" + "0123456789abcdef" * 4
RULES = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]


class Key(NamedTuple):
    """Which agent."""

    namespace: str
    name: str

    @property
    def collection(self) -> str:
        """Path of the agents of its namespace."""
        return f"/apis/{API_VERSION}/namespaces/{self.namespace}/agentdeployments"

    @property
    def path(self) -> str:
        """Its own path."""
        return f"{self.collection}/{self.name}"


def keys(first: int, last: int) -> list[Key]:
    """Agents by number, dealt out over the namespaces."""
    return [Key(f"scale-{number % NAMESPACES}", f"agent-{number}") for number in range(first, last)]


def namespace(name: str, **labels: str) -> dict[str, Any]:
    """One that is open to agents."""
    return {"metadata": {"name": name, "labels": {AGENTS_LABEL: AGENTS_ENABLED, "scale": "yes"} | labels}}


def team(number: int) -> str:
    """Which team a namespace belongs to."""
    return f"team-{number % TEAMS}"


def policies() -> list[dict[str, Any]]:
    """One for all, and one for each team."""
    selectors = {EVERYBODY: {"scale": "yes"}} | {f"scale-{team(n)}": {"team": team(n)} for n in range(TEAMS)}
    return [
        {
            "apiVersion": API_VERSION,
            "kind": "AgentPolicy",
            "metadata": {"name": name},
            "spec": {"namespaceSelector": {"matchLabels": labels}} | allowing(everything=True),
        }
        for name, labels in selectors.items()
    ]


def allowing(*, everything: bool) -> dict[str, Any]:
    """The part of a policy that decides whether the agents of this trial are accepted."""
    return {"egress": {"cidrs": [NETWORK if everything else ELSEWHERE]}}


def ports(port: int) -> dict[str, Any]:
    """The part of an agent that its policy `allow` comes from."""
    return {"network": {"egress": [{"cidr": NETWORK, "ports": [port]}]}}


def agent(key: Key, **spec: Any) -> dict[str, Any]:
    """A suspended agent with permissions, a port and egress: six children."""
    return {
        "apiVersion": API_VERSION,
        "kind": "AgentDeployment",
        "metadata": {"name": key.name, "namespace": key.namespace},
        "spec": {
            "image": IMAGE,
            "suspended": True,
            "permissions": {"rules": RULES},
            "ports": [{"name": "panel", "port": 8080}],
            **ports(443),
            **spec,
        },
    }


def deny_path(key: Key) -> str:
    """Path of the policy that denies everything to an agent."""
    return f"/apis/networking.k8s.io/v1/namespaces/{key.namespace}/networkpolicies/ringfence-{key.name}-deny"
