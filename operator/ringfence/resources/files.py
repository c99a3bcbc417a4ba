"""Configuration as pods get it: files from annotations of the pods or from ConfigMaps, variables from ConfigMaps.

Content of the spec is in annotations of the pods' template, which the kubelet writes out as files (downwardAPI). So it
changes with the template and with nothing else, an edit of it is an edit of the Deployment, and the controller needs no
right on ConfigMaps. Each file is a mount of its own (subPath): it hides nothing beside it, and stays as it was when its
container started.
"""

from ringfence.api.files import ConfigFile
from ringfence.api.names import FILE_ANNOTATION

from .kinds import Manifest
from .model import Agent

FILE_MODE = 0o444
_VOLUME = "files"


def file_annotations(agent: Agent) -> dict[str, str]:
    """For the pods' template. The places of the files in the spec are their names: a path may be too long for one."""
    return {
        f"{FILE_ANNOTATION}{index}": file.content
        for index, file in enumerate(agent.spec.files)
        if file.content is not None
    }


def file_mounts(agent: Agent) -> list[Manifest]:
    """One for each file."""
    return [
        {"name": _VOLUME, "mountPath": file.path, "subPath": str(index), "readOnly": True}
        for index, file in enumerate(agent.spec.files)
    ]


def file_volumes(agent: Agent) -> list[Manifest]:
    """The volume behind them; of each ConfigMap only the keys that are named."""
    sources = [_source(index, file) for index, file in enumerate(agent.spec.files)]
    return [{"name": _VOLUME, "projected": {"defaultMode": FILE_MODE, "sources": sources}}] if sources else []


def config_variables(agent: Agent) -> list[Manifest]:
    """Environment variables, in the order of the spec."""
    return [
        {"name": key, "valueFrom": {"configMapKeyRef": {"name": source.config_map, "key": key}}}
        for source in agent.spec.env_from
        for key in source.keys
    ]


def _source(index: int, file: ConfigFile) -> Manifest:
    if file.config_map:
        item = {"key": file.config_map.key, "path": str(index)}
        return {"configMap": {"name": file.config_map.name, "items": [item]}}
    annotation = f"metadata.annotations['{FILE_ANNOTATION}{index}']"
    item_of_pod = {"path": str(index), "fieldRef": {"apiVersion": "v1", "fieldPath": annotation}}
    return {"downwardAPI": {"items": [item_of_pod]}}
