"""Volumes of a pod: files, secrets, scratch and storage of an agent."""

from collections.abc import Mapping
from typing import Any, Final

from .draft import Draft, listed, mapping

SIZE: Final = "1Gi"
"""Of a directory whose size the source does not say."""


def take_volumes(draft: Draft, container: Mapping[str, Any], pod: Mapping[str, Any], at: str) -> None:
    """Each mount of the container, by the kind of its volume. `at`: where the container stands."""
    volumes = {str(volume.get("name")): volume for volume in map(mapping, listed(pod.get("volumes")))}
    for index, mount in enumerate(map(mapping, listed(container.get("volumeMounts")))):
        volume = volumes.get(str(mount.get("name")), {})
        _take(draft, volume, mount, f"{at}.volumeMounts[{index}]")


def mounts_of(container: Mapping[str, Any]) -> dict[str, str]:
    """Path -> name of the volume."""
    mounts = map(mapping, listed(container.get("volumeMounts")))
    return {str(mount.get("mountPath")): str(mount.get("name")) for mount in mounts}


def _take(draft: Draft, volume: Mapping[str, Any], mount: Mapping[str, Any], where: str) -> None:
    path = str(mount.get("mountPath"))
    if "emptyDir" in volume:
        _scratch(draft, mapping(volume["emptyDir"]), path)
    elif "configMap" in volume:
        _files(draft, mapping(volume["configMap"]), mount, where)
    elif "secret" in volume:
        _keys(draft, mapping(volume["secret"]), mount, where)
    elif "persistentVolumeClaim" in volume:
        _claim(draft, mapping(volume["persistentVolumeClaim"]), mount)
    elif not volume:  # a claim of a StatefulSet's template is no volume of its pod
        _storage(draft, path, where)
    elif path.startswith("/var/run/secrets/kubernetes.io/"):
        return  # the API server itself adds it to pods
    else:
        draft.leave_out(
            where, "an agent mounts files, secrets, claims and directories of its own, and nothing of a node"
        )


def _scratch(draft: Draft, source: Mapping[str, Any], path: str) -> None:
    entry = {"path": path, "size": source.get("sizeLimit") or SIZE}
    draft.add("scratch", entry | ({"medium": "Memory"} if source.get("medium") == "Memory" else {}))


def _files(draft: Draft, source: Mapping[str, Any], mount: Mapping[str, Any], where: str) -> None:
    """A ConfigMap's keys are known where the volume, or the mount, names them."""
    name = source.get("name")
    for key, path in _named(source, mount):
        draft.add("files", {"path": path, "configMap": {"name": name, "key": key}})
    if not list(_named(source, mount)):
        draft.ask_for(
            where,
            f"an agent gets files that are named: files: [{{path: {mount.get('mountPath')}/config.yaml, configMap: "
            f"{{name: {name}, key: config.yaml}}}}]",
        )


def _keys(draft: Draft, source: Mapping[str, Any], mount: Mapping[str, Any], where: str) -> None:
    name = source.get("secretName")
    found = _named(source, mount)
    for key, path in found:
        called = draft.secret_called(key)
        existing = {"secretName": name, "key": key}
        draft.add("secrets", {"name": called, "source": {"existing": existing}, "delivery": {"file": {"path": path}}})
    if not found:
        draft.ask_for(where, "an agent gets no whole Secret: write an entry of secrets for each key that it needs")


def _named(source: Mapping[str, Any], mount: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(key, full path) of each key that is named."""
    place, single = str(mount.get("mountPath")), mount.get("subPath")
    items = [(str(item.get("key")), str(item.get("path"))) for item in map(mapping, listed(source.get("items")))]
    if single:
        known = [key for key, path in items if path == single] or [str(single)]
        return [(known[0], place)]
    return [(key, f"{place}/{path}") for key, path in items]


def _claim(draft: Draft, source: Mapping[str, Any], mount: Mapping[str, Any]) -> None:
    """Nothing says whether the program writes into it; what Kubernetes lets it do, it may need."""
    entry = {"claim": source.get("claimName"), "mountPath": mount.get("mountPath")}
    read_only = bool(source.get("readOnly") or mount.get("readOnly"))
    draft.add("volumes", entry if read_only else entry | {"access": "ReadWrite"})


def _storage(draft: Draft, path: str, where: str) -> None:
    if "storage" in draft.spec:
        draft.leave_out(where, "an agent has one volume that outlives its pods, and it has one already")
        return
    draft.spec["storage"] = {"mountPath": path, "size": SIZE}
    draft.ask_for(where, f"the volume is a new one of {SIZE}: set its size in storage, and copy what is in the old one")
