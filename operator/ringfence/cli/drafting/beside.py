"""Containers beside the first one of a pod: initContainers and sidecars of an agent."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from ringfence.api.containers import AGENT
from ringfence.api.scratch import TMP

from .draft import Draft, quoted, slug

Field = Literal["initContainers", "sidecars"]
LONGEST_NAME: Final = 32
_ITS_OWN: Final = ("image", "command", "args", "env", "envFrom", "files", "resources")
"""What a container beside the agent has as the agent has it."""
_AGENTS_ALONE: Final[Mapping[str, str]] = {
    "devices": "devices are for the agent's own container",
    "stop": "a command before the end is for the agent's own container",
}


def join(draft: Draft, field: Field, side: Draft, at: str, volumes: dict[str, str], mounts: Mapping[str, str]) -> None:
    """Put a container that was taken by itself beside the agent.

    `side`: as if it were an agent's own; its name is the container's. `volumes`: where the agent has each volume of the
    pod, which this adds to. `mounts`: path -> volume of the container.
    """
    spec = side.spec
    found: dict[str, Any] = {"name": _name(draft, side.name)} | {key: spec[key] for key in _ITS_OWN if spec.get(key)}
    names = _ports(draft, spec.get("ports", []) if field == "sidecars" else [])
    if field == "sidecars" and spec.get("probes"):
        found["probes"] = [_renamed(probe, names) for probe in spec["probes"]]
    if shares := _shares(draft, spec, at, volumes, mounts):
        found["shares"] = shares
    for secret in spec.get("secrets", []):
        _secret(draft, secret, str(found["name"]))
    for key, sentence in _AGENTS_ALONE.items():
        if key in spec:
            draft.leave_out(at, sentence)
    for key in ("runAsUser", "runAsGroup"):
        if key in spec and spec[key] != draft.spec.get(key):
            draft.leave_out(f"{at}.securityContext.{key}", "all containers of an agent run as the agent does")
    draft.notes += side.notes
    draft.add(field, found)


def _name(draft: Draft, wanted: str) -> str:
    """A name that no other container of the agent has."""
    taken = {AGENT, *(one["name"] for key in ("initContainers", "sidecars") for one in draft.spec.get(key, []))}
    name = slug(wanted, longest=LONGEST_NAME)
    numbered = (f"{slug(wanted, longest=LONGEST_NAME - 4)}-{number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(one for one in numbered if one not in taken)


def _ports(draft: Draft, ports: list[dict[str, Any]]) -> dict[str, str]:
    """The ports of a pod are the agent's, whichever container listens; name in the source -> name there."""
    names = {}
    for port in ports:
        known = {one["port"]: one["name"] for one in draft.spec.get("ports", [])}
        if port["port"] not in known:
            name = port["name"] if port["name"] not in known.values() else f"port-{port['port']}"
            draft.add("ports", port | {"name": name})
            known[port["port"]] = name
        names[port["name"]] = known[port["port"]]
    return names


def _renamed(probe: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    ways = {way: probe[way] for way in ("http", "tcp") if way in probe}
    return probe | {way: one | {"port": names.get(one["port"], one["port"])} for way, one in ways.items()}


def _shares(
    draft: Draft, spec: Mapping[str, Any], at: str, volumes: dict[str, str], mounts: Mapping[str, str]
) -> list[str]:
    """Paths of the agent's volumes that the container has. One that the agent has not becomes the agent's, too."""
    found: list[str] = []
    kept = [("storage", spec["storage"], "mountPath")] if "storage" in spec else []
    kept += [("volumes", one, "mountPath") for one in spec.get("volumes", [])]
    kept += [("scratch", one, "path") for one in spec.get("scratch", [])]
    for key, entry, path_key in kept:
        path = str(entry[path_key])
        volume = mounts.get(path, "")
        place = volumes.get(volume)
        if TMP in (path, place):
            if place is not None:
                draft.ask_for(at, f"each container has a {TMP} of its own: what it shares with the agent needs another")
            continue
        if place is None and path in volumes.values():
            draft.ask_for(at, f"the agent has another directory at {path}: choose another path for one of the two")
            continue
        if place is None:
            volumes[volume] = place = path
            _give(draft, key, entry, at, path)
        elif place != path:
            draft.ask_for(at, f"it shares a directory, at the agent's path {place} and not at {path}: tell it so")
        found.append(place)
    return list(dict.fromkeys(found))


def _give(draft: Draft, key: str, entry: dict[str, Any], at: str, path: str) -> None:
    if key == "storage" and "storage" in draft.spec:
        draft.leave_out(at, "an agent has one volume that outlives its pods, and it has one already")
        return
    if key == "storage":
        draft.spec[key] = entry
    else:
        draft.add(key, entry)
    draft.leave_out(at, f"of directories a container has {TMP} alone for itself: the agent has {quoted(path)}, too")


def _secret(draft: Draft, secret: dict[str, Any], container: str) -> None:
    """One more entry, or one more container of an entry that gives the same in the same way."""
    for known in draft.spec.get("secrets", []):
        if (known["source"], known["delivery"]) == (secret["source"], secret["delivery"]):
            known["containers"] = [*known.get("containers", [AGENT]), container]
            return
    draft.add("secrets", secret | {"name": draft.secret_called(secret["name"]), "containers": [container]})
