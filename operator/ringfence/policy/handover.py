"""Existing Secrets that an agent is to be given, and whether anybody was asked about it.

Whether the writer of a spec may hand a Secret over is asked at admission. Where admission could be passed at that time
nobody was asked. The hand-over is undecided then, and stays so for this generation: the status remembers it.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from ringfence.api.secrets import SECRETS_DIRECTORY
from ringfence.api.status import ConditionType, Reason

from .identity import token_directories
from .model import RuleName, Violation
from .secret_files import secret_directories
from .text import quote


class HandOver(StrEnum):
    """Of the existing Secrets of one generation of a spec."""

    DECIDED = "decided"
    """There are none; or admission was registered as installed when this generation was seen first."""
    UNDECIDED = "undecided"


WHAT_RUNS: Final = (
    "image",
    "command",
    "args",
    "env",
    "envFrom",
    "files",
    "probes",
    "initContainers",
    "sidecars",
    "volumes",
    "stop",
)
"""Fields of a spec that decide which program runs, beside where volumes are mounted."""


def existing_secrets(spec: Any) -> list[tuple[str, str]]:
    """(path of the field, name) of each existing Secret that a spec names. `spec`: whatever somebody sent."""
    return [(path, name) for path, name, _ in _named(spec)]


def newly_delivered(spec: Any, old: Any) -> dict[str, str]:
    """Existing Secrets that are delivered otherwise than by the `old` spec: name -> path of the field.

    They are all of them where something else runs than before: it would get what the old program was trusted with.
    One that the gateway sends is among them where its host is reached otherwise: by other requests, ports or limits.
    """
    before = [_delivered(secret, old) for _, _, secret in _named(old)] if runs_the_same(spec, old) else []
    return {name: path for path, name, secret in _named(spec) if _delivered(secret, spec) not in before}


def runs_the_same(spec: Any, old: Any) -> bool:
    """Whether the program is the one that the `old` spec was trusted with. `spec`, `old`: whatever somebody sent."""
    return _what_runs(spec) == _what_runs(old)


def _what_runs(spec: Any) -> list[Any]:
    """What decides which program runs: absent is the same as empty. A volume may hide files of the image."""
    found = spec if isinstance(spec, Mapping) else {}
    mounted = _inside(found.get("storage"), "mountPath")
    entries = found.get("scratch")
    scratch = [one.get("path") for one in entries if isinstance(one, Mapping)] if isinstance(entries, list) else []
    own = _directories(found.get("secrets"))
    return [*(found.get(field) or None for field in WHAT_RUNS), mounted, scratch, own, token_directories(found)]


def _directories(secrets: Any) -> list[str]:
    """What is mounted for secrets. Where that is not readable there is nothing that could be accepted."""
    files = [_inside(_inside(one, "delivery"), "file") for one in (secrets if isinstance(secrets, list) else [])]
    paths = [path for one in files if isinstance(path := _inside(one, "path"), str)]
    return [one for one in secret_directories(paths) if one != SECRETS_DIRECTORY]


def _inside(found: Any, name: str) -> Any:
    return found.get(name) if isinstance(found, Mapping) else None


def _delivered(secret: Mapping[str, Any], spec: Mapping[str, Any]) -> list[Any]:
    """Which key of which Secret arrives where, and with which requests where the gateway brings it to a host."""
    delivery = secret.get("delivery")
    return [secret["source"]["existing"], delivery, secret.get("containers") or None, _ways(delivery, spec)]


def _ways(delivery: Any, spec: Mapping[str, Any]) -> list[Any]:
    """All that the spec says of the host that gets a value."""
    host = _inside(_inside(delivery, "gateway"), "host")
    rules = _inside(spec.get("network"), "egress")
    return [one for one in rules if _inside(one, "host") == host] if host and isinstance(rules, list) else []


def _named(spec: Any) -> list[tuple[str, str, Mapping[str, Any]]]:
    secrets = spec.get("secrets") if isinstance(spec, Mapping) else None
    found = []
    for index, secret in enumerate(secrets if isinstance(secrets, list) else []):
        source = secret.get("source") if isinstance(secret, Mapping) else None
        existing = source.get("existing") if isinstance(source, Mapping) else None
        name = existing.get("secretName") if isinstance(existing, Mapping) else None
        if isinstance(name, str):
            found.append((f"spec.secrets[{index}].source.existing.secretName", name, secret))
    return found


def undecided_generation(status: Any) -> int | None:
    """The generation that was last looked at, where its hand-over is undecided. `status`: as it is stored."""
    conditions = status.get("conditions") if isinstance(status, Mapping) else None
    for one in conditions if isinstance(conditions, list) else []:
        marked = isinstance(one, Mapping) and one.get("reason") == Reason.HAND_OVER_UNDECIDED
        if marked and one.get("type") == ConditionType.ACCEPTED:
            return int(one.get("observedGeneration") or 0)
    return None


def settled(spec: Any, status: Mapping[str, Any], generation: int) -> HandOver | None:
    """What is known of this generation. None: it is seen for the first time, and one has to look."""
    if not existing_secrets(spec) or status.get("acceptedGeneration") == generation:
        return HandOver.DECIDED
    if undecided_generation(status) == generation:
        return HandOver.UNDECIDED
    return HandOver.DECIDED if status.get("observedGeneration") == generation else None


def check_hand_over(spec: Any, found: HandOver) -> Iterator[Violation]:
    """A violation for each Secret that nobody was asked about."""
    if found is HandOver.UNDECIDED:
        for path, name in existing_secrets(spec):
            yield Violation(path, RuleName.HAND_OVER_UNDECIDED, _sentence(name))


def _sentence(name: str) -> str:
    return (
        f"nobody asked whether the writer of this spec may get Secret {quote(name)}: admission was not registered as "
        "installed when the spec was seen first. It is not handed over, also when the registration is right again. "
        "Put the registration right (helm upgrade); then have somebody who may get the Secret change any field of this "
        "spec, or delete the AgentDeployment and apply it again"
    )
