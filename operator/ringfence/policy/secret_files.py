"""Files of secrets: each in a place of its own, in a directory that hides nothing of the system or of the pod."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from ringfence.api.secrets import PREVIOUS_SUFFIX, SECRETS_DIRECTORY, AgentSecret

from .model import RuleName, Violation
from .pods import RESERVED_PATHS, SYSTEM_PATHS, overlap

_AT: Final = "spec.secrets"
_OTHERS: Final = tuple(place for place in RESERVED_PATHS if place != SECRETS_DIRECTORY)


def secret_directories(paths: Iterable[str]) -> list[str]:
    """The directories to mount for files at these paths, sorted; none lies in another one.

    A whole directory each, and never a single file: what a subPath mounts does not change with the value.
    """
    above = sorted({_directory(path) for path in paths})
    return [one for one in above if not any(one.startswith(f"{other}/") for other in above)]


def check_secret_files(secrets: Sequence[AgentSecret], mounted: Mapping[str, Sequence[str]]) -> Iterator[Violation]:
    """Every violation. `mounted`: by the containers' names, the paths of their other mounts, files included."""
    for container, others in mounted.items():
        own = [
            (f"{_AT}[{index}]", secret.delivery.file.path)
            for index, secret in enumerate(secrets)
            if container in secret.receivers and secret.delivery.file
        ]
        yield from _check_apart(own)
        yield from _check_directories(own, others)


def _check_directories(files: Sequence[tuple[str, str]], others: Sequence[str]) -> Iterator[Violation]:
    for at, path in files:
        directory = _directory(path)
        if directory == SECRETS_DIRECTORY:
            continue
        hidden = next((one for one in (*_OTHERS, *SYSTEM_PATHS, *others) if overlap(directory, one)), None)
        if hidden or overlap(directory, SECRETS_DIRECTORY):
            message = (
                f"{directory}, which is mounted for it, would hide {hidden or SECRETS_DIRECTORY}, or lie in it: choose "
                f"another directory, such as {SECRETS_DIRECTORY} or /etc/agent-secrets"
            )
            yield Violation(f"{at}.delivery.file.path", RuleName.SECRET_DELIVERY, message)


def _directory(path: str) -> str:
    return SECRETS_DIRECTORY if path.startswith(f"{SECRETS_DIRECTORY}/") else path.rpartition("/")[0]


def _check_apart(files: Sequence[tuple[str, str]]) -> Iterator[Violation]:
    """No two files at one place, and none where another has its directory."""
    taken: dict[str, str] = {}
    for at, path in files:
        first = taken.setdefault(path, at)
        taken.setdefault(path + PREVIOUS_SUFFIX, at)
        if first != at:
            message = f"{first} is delivered to this path already: choose another"
            yield Violation(f"{at}.delivery.file.path", RuleName.SECRET_DELIVERY, message)
    for at, path in files:
        for directory in _directories(path):
            if directory in taken:
                message = f"{taken[directory]} is a file on the way to this one: choose another directory"
                yield Violation(f"{at}.delivery.file.path", RuleName.SECRET_DELIVERY, message)


def _directories(path: str) -> Iterator[str]:
    """The directories above a path of the API, which has no dots, no empty parts and no slash at its end."""
    while path := path.rpartition("/")[0]:
        yield path
