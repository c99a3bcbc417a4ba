"""A manifest in the making: what could be taken over, and a note for everything that could not.

No note holds a value of the source: it may be a secret.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ringfence.api import AgentDeploymentSpec, parse
from ringfence.api.hints import UNKNOWN
from ringfence.api.names import API_VERSION, MAX_AGENT_NAME
from ringfence.policy import text
from ringfence.policy.decide import decide
from ringfence.policy.model import AgentObject, Facts
from ringfence.policy.plaintext import check_plaintext

MOST_REPAIRS: Final = 200
"""Mistakes that are taken out one after the other. A real workload has a handful."""
DEFAULT_NAME: Final = "agent"
_NOT_IN_A_NAME: Final = re.compile(r"[^a-z0-9]+")
_ELEMENT: Final = re.compile(r"spec\.([A-Za-z]+)(?:\[(\d+)\])?")
_BESIDE: Final = re.compile(r"spec\.(initContainers|sidecars)\[(\d+)\]\.(?!(?:image|name)$)(.+)")
"""What a container beside the agent's own can go without."""

What = Literal["left out", "fill in", "mend"]


@dataclass(frozen=True)
class Note:
    """Something that a person has to know. `where`: a path in the source, or (mend) in the result."""

    what: What
    where: str
    sentence: str


@dataclass
class Draft:
    """The manifest so far. `source`: what it is made from, in words."""

    name: str
    source: str
    namespace: str | None = None
    spec: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def leave_out(self, where: str, sentence: str) -> None:
        """Note what the source has and the manifest has not."""
        self.notes.append(Note("left out", where, sentence))

    def ask_for(self, where: str, sentence: str) -> None:
        """Note what only a person can tell."""
        self.notes.append(Note("fill in", where, sentence))

    def unknown(self, where: str, key: str) -> None:
        """Note a field that an agent has not, with Ringfence's own way where there is one."""
        self.leave_out(where, UNKNOWN["AgentDeploymentSpec"].get(key, "an agent has nothing like it"))

    def add(self, name: str, item: Any) -> None:
        """Append to a list of the spec."""
        self.spec.setdefault(name, []).append(item)

    def secret(self, variable: str, secret_name: str, key: str, container: str = "") -> None:
        """A variable with the value of a Secret that is there already. `container`: beside the agent's own."""
        existing = {"secretName": secret_name, "key": key}
        found = {
            "name": self.secret_called(variable),
            "source": {"existing": existing},
            "delivery": {"env": {"name": variable}},
        }
        self.add("secrets", found | ({"containers": [container]} if container else {}))

    def secret_called(self, words: str) -> str:
        """A name for one more secret, which no other secret of the agent has."""
        taken = {secret["name"] for secret in self.spec.get("secrets", [])}
        wanted = slug(words, longest=60)
        numbered = (f"{wanted}-{number}" for number in range(2, len(taken) + 3))
        return wanted if wanted not in taken else next(name for name in numbered if name not in taken)

    @property
    def manifest(self) -> dict[str, Any]:
        """The AgentDeployment, without what is empty."""
        metadata = {"name": self.name} | ({"namespace": self.namespace} if self.namespace else {})
        order = [field.alias or name for name, field in AgentDeploymentSpec.model_fields.items()]
        spec = {key: _without_empty(self.spec[key]) for key in order if self.spec.get(key) not in (None, [], {})}
        return {"apiVersion": API_VERSION, "kind": "AgentDeployment", "metadata": metadata, "spec": spec}


def _without_empty(value: Any) -> Any:
    """The same without what its containers, or other entries, have nothing of."""
    if not isinstance(value, list):
        return value
    return [
        {key: one for key, one in entry.items() if one not in ([], {})} if isinstance(entry, dict) else entry
        for entry in value
    ]


def slug(words: str, *, longest: int = MAX_AGENT_NAME) -> str:
    """A name of a-z, 0-9 and - that is like these words."""
    return _NOT_IN_A_NAME.sub("-", words.lower()).strip("-")[:longest].strip("-") or DEFAULT_NAME


def finish(draft: Draft) -> Draft:
    """The same draft, fit to be printed.

    What the API cannot take is left out with its reason, secrets in plain text become Secrets, and what the built-in
    policy refuses is noted.
    """
    _hide_secrets(draft)
    spec = _repaired(draft)
    if spec is None:
        return draft
    found = decide(AgentObject(draft.name, draft.namespace or "default", draft.manifest["spec"]), (), Facts())
    draft.notes += [Note("mend", violation.path, violation.message) for violation in found]
    return draft


def _repaired(draft: Draft) -> AgentDeploymentSpec | None:
    """The spec as the API reads it, once each mistake is taken out; None where that does not help."""
    for _ in range(MOST_REPAIRS):
        parsed = parse(AgentDeploymentSpec, draft.manifest["spec"])
        if parsed.value is not None:
            return parsed.value
        error = parsed.errors[0]
        if not _take_out(draft.spec, error.path):
            draft.notes += [Note("mend", one.path, one.message) for one in parsed.errors]
            return None
        draft.leave_out(error.path, error.message)
    return None


def _take_out(spec: dict[str, Any], path: str) -> bool:
    """Remove the field, or the element of the list, that a path leads into."""
    container, within = _container(spec, path)
    found = _ELEMENT.match(within)
    if found is None or found[1] not in container:
        return False
    if found[2] is None or not isinstance(container[found[1]], list):
        del container[found[1]]
    else:
        del container[found[1]][int(found[2])]
    return True


def _container(spec: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    """The container that a path leads into; the spec itself is the agent's own. And the path as if it were that."""
    found = _BESIDE.match(path)
    if found is None or not isinstance(one := spec[found[1]][int(found[2])], dict):
        return spec, path
    return one, f"spec.{found[3]}"


_TEXTS: Final = ("command", "args", "env", "files", "probes", "stop", "initContainers", "sidecars")
"""The fields that hold texts in which a secret may stand."""


def _hide_secrets(draft: Draft) -> None:
    """No value of a secret gets into the manifest, not even beside a note that it should not be there."""
    for _ in range(MOST_REPAIRS):
        texts = {name: draft.spec[name] for name in (*_TEXTS, "ports") if name in draft.spec}
        parsed = parse(AgentDeploymentSpec, {"image": "image", **texts})
        if parsed.value is None:
            error = parsed.errors[0]
            if not _take_out(draft.spec, error.path):
                break
            draft.leave_out(error.path, error.message)
            continue
        found = next(check_plaintext(parsed.value), None)
        if found is None:
            return
        _hide(draft, found.path)
    for name in _TEXTS:  # whatever was not looked at
        if draft.spec.pop(name, None):
            draft.leave_out(f"spec.{name}", "it could not be looked at for secrets")


def _hide(draft: Draft, path: str) -> None:
    """Put a Secret in the place of one value."""
    container, within = _container(draft.spec, path)
    name = "" if container is draft.spec else str(container["name"])
    found = _ELEMENT.match(within)
    if found is None:
        raise AssertionError(path)
    field_name, at = found[1], int(found[2] or 0)
    if field_name == "env":
        variable = container["env"].pop(at)["name"]
        _new_secret(draft, path, variable, name)
    elif field_name in ("command", "args"):
        word = container[field_name][at]
        flag, equals, _ = word.partition("=")
        variable = re.sub(r"[^A-Z0-9_]", "_", flag.strip("-").upper()) if equals else f"SECRET_{at}"
        variable = variable if variable[:1].isalpha() else f"SECRET_{at}"
        container[field_name][at] = f"{flag}=$({variable})" if equals else f"$({variable})"
        _new_secret(draft, path, variable, name)
    else:  # files, probes and stop, in which no variable is put in
        _take_out(draft.spec, path)
        draft.leave_out(path, "it holds a secret in plain text: put that into a Secret and name it in spec.secrets")


def _new_secret(draft: Draft, path: str, variable: str, container: str) -> None:
    name = slug(f"{draft.name}-secrets", longest=60)
    draft.secret(variable, name, variable, container)
    draft.ask_for(
        path,
        f"its value is a secret in plain text, and is not in this file: put it into a Secret, as by `kubectl create "
        f"secret generic {name} --from-file={variable}=FILE` (one --from-file for each), and change it, as many have "
        "read it",
    )


def quoted(value: Any) -> str:
    """A name of the source, fit for one line."""
    return text.quote(str(value))


def mapping(value: Any) -> Mapping[str, Any]:
    """Empty where it is none."""
    return value if isinstance(value, Mapping) else {}


def listed(value: Any) -> list[Any]:
    """Empty where it is none."""
    return value if isinstance(value, list) else []
