"""One object, two judges: the types in Python and the API server. Their verdicts must be the same."""

from dataclasses import dataclass
from typing import Any

from api.server import Answer, Server
from ringfence.api import AgentDeployment, AgentDeploymentSpec, AgentPolicy, AgentPolicySpec, name_error, parse

KINDS: dict[str, tuple[Any, Any]] = {
    "AgentDeployment": (AgentDeployment, AgentDeploymentSpec),
    "AgentPolicy": (AgentPolicy, AgentPolicySpec),
}


def errors(manifest: dict[str, Any]) -> list[str]:
    """What Python says about an object: sentences that start with the path."""
    kind, spec = KINDS[manifest["kind"]]
    found = list(parse(spec, manifest.get("spec")).errors)
    if named := name_error(kind, manifest["metadata"].get("name"), manifest.get("spec")):
        found.append(named)
    return [f"{error.path}: {error.message}" for error in found]


@dataclass(frozen=True)
class Parity:
    """Asks both."""

    server: Server

    def verdict(self, manifest: dict[str, Any], sent: bytes | None = None, media: str = "json") -> bool:
        """Whether the object is right. Fails the test when the two judges disagree.

        `sent`: the bytes for the API server, where they are not simply the JSON of `manifest`.
        """
        answer = self.answer(manifest, sent, media)
        return answer.ok

    def refused(self, manifest: dict[str, Any], *said: str) -> None:
        """Demand that both refuse the object, each with all of `said` in its message."""
        answer = self.answer(manifest)
        assert not answer.ok, "both take it"
        here = "; ".join(errors(manifest))
        for text in said:
            assert text in answer.message, f"the API server does not say {text!r}: {answer.message}"
            assert text in here, f"Python does not say {text!r}: {here}"

    def answer(self, manifest: dict[str, Any], sent: bytes | None = None, media: str = "json") -> Answer:
        """The API server's answer, once it is known to be Python's too."""
        answer = self.server.create(sent or manifest, kind=manifest["kind"], media=media)
        here = errors(manifest)
        assert answer.code < 500, answer
        assert answer.ok == (not here), f"\nAPI server: {answer.code} {answer.message}\nPython: {here}"
        return answer
