"""The examples as they are applied: with an image that the cluster has in the placeholder's place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import ClusterError

from .install import ROOT

__all__ = [
    "EXAMPLE_AGENTS",
    "FLEET",
    "KINDS",
    "NAMESPACE",
    "PLACEHOLDER",
    "PLATFORM",
    "TOOLS",
    "Refused",
    "accepted",
    "kinds",
    "refused",
    "unfenced",
]

FOLDER = ROOT / "examples"
PLACEHOLDER = f"registry.example/acme/agent@sha256:{'0' * 64}"
"""What the examples name; nobody can pull it."""
REGISTRY = "registry.example/acme"
CALLS = 'args: [agent, -url, "https://api.anthropic.com/v1/messages", -interval, 10s]'
"""Of the researcher."""
NAMESPACE = "research"
EXAMPLE_AGENTS = ("minimal", "researcher", "librarian", "panel", "courier")
"""Those of the examples that are accepted."""
TOOLS = "tools"
FLEET, PLATFORM = "fleet", "platform"
"""Where the agents of `examples/agents/` are, and what they talk to."""
KINDS = (
    *("assistant", "coder", "browser", "mcp-handbook", "mcp-tickets", "helpdesk", "rag", "slack", "langgraph-redis"),
    *("langgraph", "workflow", "planner", "writer", "critic", "analyst"),
)
"""Those of them that go on, in that namespace. Beside them: `report`, which works at night, and `sre` in ops."""


def accepted(image: str, *, only: str = "", without: str = "", quiet: bool = False) -> str:
    """All of `kubectl apply -f examples/`, as one YAML text; or `only` one file, or all `without` one.

    `quiet`: the researcher calls nobody, for clusters whose internet is no pretended one.
    """
    names = sorted(path for path in FOLDER.glob("*.yaml") if (not only or path.name == only) and path.name != without)
    text = "\n---\n".join(_read(path, image) for path in names)
    return text.replace(CALLS, "args: [agent]") if quiet else text


def kinds(image: str) -> str:
    """All of `kubectl apply -f examples/agents/`, as one YAML text."""
    return "\n---\n".join(_read(path, image) for path in sorted((FOLDER / "agents").glob("*.yaml")))


@dataclass(frozen=True)
class Refused:
    """An example that is meant to be refused, and the rule that it breaks: both stand in its first line."""

    name: str
    rule: str
    text: str


def refused(image: str) -> list[Refused]:
    """All of `examples/refused/`."""
    found = []
    for path in sorted((FOLDER / "refused").glob("*.yaml")):
        text = _read(path, image)
        rule = re.match(r"# Meant to be refused, by `?([\w ]+)`?: ", text)
        if rule is None:
            raise ClusterError(f"{path.name} does not say in its first line which rule refuses it")
        found.append(Refused(path.name, rule[1], text))
    return found


def unfenced(image: str) -> str:
    """Two pods beside the agents without a fence: what they reach shows that a blocked agent means something."""
    return _read(Path(__file__).parent / "unfenced.yaml", image)


def _read(path: Path, image: str) -> str:
    text = path.read_text().replace(PLACEHOLDER, image)
    # The policy allows the registry of the placeholder: let it allow that of the image, too.
    return text.replace(f"[{REGISTRY}, localhost]", f"[{image.partition('@')[0]}, {REGISTRY}, localhost]")
