"""Configuration as pods get it: files from annotations of the pods or from ConfigMaps, variables from ConfigMaps.

Content of the spec is in annotations of the pods' template, which the kubelet writes out as files (downwardAPI). So it
changes with the template and with nothing else, an edit of it is an edit of the Deployment, and the controller needs no
right on ConfigMaps. Each file is a mount of its own (subPath): it hides nothing beside it, and stays as it was when its
container started.
"""

from collections.abc import Sequence

from ringfence.api.containers import SideFile
from ringfence.api.files import ConfigFile, EnvFrom
from ringfence.api.names import FILE_ANNOTATION

from .kinds import Manifest
from .model import Agent

FILE_MODE = 0o444
_VOLUME = "files"
Files = Sequence[ConfigFile | SideFile]


def file_annotations(agent: Agent) -> dict[str, str]:
    """For the pods' template."""
    return annotations(agent.spec.files)


def file_mounts(agent: Agent) -> list[Manifest]:
    """Of the agent's own container."""
    return mounts(agent.spec.files, _VOLUME)


def file_volumes(agent: Agent) -> list[Manifest]:
    """The volume behind them."""
    return volumes(agent.spec.files, _VOLUME)


def annotations(files: Files, mark: str = "") -> dict[str, str]:
    """What is written out. The places of the files in the spec are their names: a path may be too long for one.

    `mark`: tells the files of a container beside the agent's own from others'.
    """
    return {
        f"{FILE_ANNOTATION}{mark}{index}": file.content for index, file in enumerate(files) if file.content is not None
    }


def mounts(files: Files, volume: str) -> list[Manifest]:
    """One for each file."""
    return [
        {"name": volume, "mountPath": file.path, "subPath": str(index), "readOnly": True}
        for index, file in enumerate(files)
    ]


def volumes(files: Files, volume: str, mark: str = "") -> list[Manifest]:
    """The volume behind them; of each ConfigMap only the keys that are named."""
    sources = [_source(index, file, mark) for index, file in enumerate(files)]
    return [{"name": volume, "projected": {"defaultMode": FILE_MODE, "sources": sources}}] if sources else []


def config_variables(sources: Sequence[EnvFrom]) -> list[Manifest]:
    """Environment variables, in the order of the spec."""
    return [
        {"name": key, "valueFrom": {"configMapKeyRef": {"name": source.config_map, "key": key}}}
        for source in sources
        for key in source.keys
    ]


def _source(index: int, file: ConfigFile | SideFile, mark: str) -> Manifest:
    if file.config_map:
        item = {"key": file.config_map.key, "path": str(index)}
        return {"configMap": {"name": file.config_map.name, "items": [item]}}
    annotation = f"metadata.annotations['{FILE_ANNOTATION}{mark}{index}']"
    item_of_pod = {"path": str(index), "fieldRef": {"apiVersion": "v1", "fieldPath": annotation}}
    return {"downwardAPI": {"items": [item_of_pod]}}
