"""Configuration that an agent is given: each file in a place of its own, and no variable that leads others astray."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ringfence.api.agentdeployment import Storage
from ringfence.api.container import EnvVar
from ringfence.api.containers import SideFile, SideVar
from ringfence.api.files import ConfigFile, EnvFrom
from ringfence.api.scratch import Scratch
from ringfence.api.secrets import AgentSecret
from ringfence.api.volumes import ExistingVolume

from . import variables
from .atoms import Atom, PermissionSet
from .delegate import Subject
from .model import RuleName, Violation
from .pods import RESERVED_PATHS, SYSTEM_PATHS, overlap
from .text import quote

GET_CONFIGMAPS: Final = Atom("", "configmaps", "get")


def check_files(
    files: Sequence[ConfigFile | SideFile], mounted: Sequence[str], spec: str = "spec"
) -> Iterator[Violation]:
    """Every file hides at most one file of the image, and none of the pod's own or of another entry.

    `mounted`: paths of the container's volumes. `spec`: path of the container.
    """
    for index, file in enumerate(files):
        at = f"{spec}.files[{index}].path"
        for place in (*RESERVED_PATHS, *SYSTEM_PATHS, *mounted):
            if overlap(file.path, place):
                message = f"would hide {place} or a part of it: choose another path, such as /etc/agent/config.yaml"
                yield Violation(at, RuleName.INVALID_FIELD, message)
                break
        for other, before in enumerate(files):
            if other != index and file.path.startswith(f"{before.path}/"):
                message = f"{spec}.files[{other}] is a file on the way to this one: choose another directory"
                yield Violation(at, RuleName.INVALID_FIELD, message)


def volumes(storage: Storage | None, scratch: Sequence[Scratch], existing: Sequence[ExistingVolume] = ()) -> list[str]:
    """Paths of the agent's volumes."""
    own = [storage.mount_path] if storage else []
    return [*own, *(one.path for one in scratch), *(one.mount_path for one in existing)]


def check_env_from(
    sources: Sequence[EnvFrom], env: Sequence[EnvVar | SideVar], secrets: Sequence[AgentSecret], spec: str = "spec"
) -> Iterator[Violation]:
    """No variable from a ConfigMap tells loaders or clients what to do, and none is set twice.

    `secrets`: those that the container gets. `spec`: path of the container.
    """
    if not sources:
        return
    taken = {variable.name: f"{spec}.env" for variable in env}
    taken |= {one.delivery.variable: "spec.secrets" for one in secrets if one.delivery.variable}
    for index, source in enumerate(sources):
        at = f"{spec}.envFrom[{index}]"
        for place, name in enumerate(source.keys):
            path = f"{at}.keys[{place}]"
            if told := variables.why(name):
                message = (
                    f"{quote(name)} {told}, and whoever writes the ConfigMap would decide it: set it by value in "
                    f"{spec}.env, or choose another name"
                )
                yield Violation(path, RuleName.VARIABLE_RESERVED, message)
            if name in taken:
                message = f"{taken[name]} sets {quote(name)} as well: drop one of the two"
                yield Violation(path, RuleName.INVALID_FIELD, message)
            taken.setdefault(name, at)


def named_config_maps(spec: Any) -> dict[str, str]:
    """ConfigMaps that a spec names: name -> path of the first field that does. `spec`: whatever somebody sent."""
    raw = spec if isinstance(spec, Mapping) else {}
    found: dict[str, str] = {}
    for at, container in containers_of(raw):
        for index, file in enumerate(_entries(container.get("files"))):
            source = file.get("configMap")
            name = source.get("name") if isinstance(source, Mapping) else None
            if isinstance(name, str):
                found.setdefault(name, f"{at}.files[{index}].configMap.name")
        for index, one in enumerate(_entries(container.get("envFrom"))):
            if isinstance(name := one.get("configMap"), str):
                found.setdefault(name, f"{at}.envFrom[{index}].configMap")
    return found


def containers_of(raw: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The agent's own container, which is the spec itself, and those beside it, with their paths."""
    yield "spec", raw
    for field in ("initContainers", "sidecars"):
        for index, one in enumerate(_entries(raw.get(field))):
            yield f"spec.{field}[{index}]", one


def reading(config_maps: Mapping[str, str]) -> PermissionSet:
    """What somebody has to hold who gives these ConfigMaps to an agent."""
    return PermissionSet({GET_CONFIGMAPS: frozenset(config_maps)}) if config_maps else PermissionSet()


def not_readable(config_maps: Mapping[str, str], lacking: PermissionSet, subject: Subject) -> Iterator[Violation]:
    """One for each ConfigMap that he may not get."""
    hidden = lacking.atoms.get(GET_CONFIGMAPS, frozenset()) or frozenset()
    for name, path in config_maps.items():
        if name not in hidden:
            continue
        if subject.who is None:
            message = (
                f"you may not get ConfigMap {quote(name)} in this namespace, so you may not give it to an agent or "
                "change what an agent with it runs: ask somebody who may, or for that permission"
            )
        else:
            message = f"{subject.who}, may not get ConfigMap {quote(name)}, so {subject.consequence}: {subject.remedy}"
        yield Violation(path, RuleName.PERMISSION_NOT_HELD, message)


def _entries(raw: Any) -> list[Mapping[str, Any]]:
    """Those that are objects keep their places; the rest is empty ones."""
    return [one if isinstance(one, Mapping) else {} for one in raw] if isinstance(raw, list) else []
