"""What is kept of a pod, part by part. Pure."""

import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from ringfence.api.names import GROUP
from ringfence.kube import Object
from ringfence.policy.pod_security import unrestricted, without_user

Body = Mapping[str, Any]


def containers_before(spec: Body, status: Body) -> list[Object]:
    """Containers that start before the agent's own, as far as they are not done."""
    sidecars = {one["name"] for one in spec.get("initContainers") or [] if one.get("restartPolicy") == "Always"}
    return [
        {
            "name": one["name"],
            "ready": one.get("ready"),
            "state": one.get("state") or {},
            "restartPolicy": "Always" if one["name"] in sidecars else None,
        }
        for one in status.get("initContainerStatuses") or []
        if not (one.get("ready") or ((one.get("state") or {}).get("terminated") or {}).get("exitCode") == 0)
    ]


def pod_addresses(status: Body) -> tuple[str, ...]:
    """Of both families."""
    return tuple(str(one["ip"]) for one in status.get("podIPs") or [] if one.get("ip"))


def judged(metadata: Body) -> Object:
    """Its annotations but for those of ours, which hold an agent's files and would fill the memory."""
    found = metadata.get("annotations") or {}
    return {key: value for key, value in found.items() if not key.startswith(f"{GROUP}/")}


@lru_cache(maxsize=1024)
def falls_short(spec_and_annotations: bytes) -> tuple[str, ...]:
    """Fields by which a pod falls short of `restricted`.

    Kept, as a pod is told of some five times until it runs, and is the same but for its node.
    """
    spec, annotations = orjson.loads(spec_and_annotations)
    return (*unrestricted(spec, annotations), *without_user(spec))


def controller_of(metadata: Body, kind: str) -> tuple[str, str] | None:
    """Name and uid of what controls it, where that is of the kind."""
    for owner in metadata.get("ownerReferences") or []:
        if owner.get("controller") and owner["kind"] == kind:
            return sys.intern(owner["name"]), sys.intern(owner["uid"])
    return None
