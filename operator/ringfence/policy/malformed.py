"""What can be read of a spec that is malformed, so that all that is wrong with it is told at once.

One malformed word takes nothing else out of the judgement: what stands beside it is read as it is. Words and entries
keep their places, because a violation names its place. That a word is malformed is told by `parse`; what a rule says
about the very same place besides is left out (`decide`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, get_args

from ringfence.api import parse
from ringfence.api.agentdeployment import ImageSignature, Sandbox, Storage
from ringfence.api.base import Model
from ringfence.api.container import EnvVar, Resources
from ringfence.api.containers import InitContainer, Sidecar, SideFile, SideVar
from ringfence.api.files import ConfigFile, EnvFrom
from ringfence.api.identity import Annotation, Identity, IdentityToken
from ringfence.api.network import (
    MAX_EGRESS,
    EgressRule,
    HostLimits,
    IngressRule,
    Network,
    Peer,
    Preset,
    RequestRule,
    ServiceTarget,
)
from ringfence.api.permissions import AgentRule, Permissions
from ringfence.api.run import Run
from ringfence.api.scratch import Scratch
from ringfence.api.secrets import (
    AgentSecret,
    EnvDelivery,
    ExistingSecret,
    FileDelivery,
    GatewayDelivery,
    Rotation,
    SecretDelivery,
    SecretSource,
)
from ringfence.api.volumes import ExistingVolume

from . import levels
from .grants import CLUSTER_READS

M = TypeVar("M", bound=Model)

_IMAGE: Final = re.compile(r"[!-~]{1,512}")
"""What is looked at as an image: not longer than the API's own bound."""
_MOST: Final = MAX_EGRESS
"""Entries of a list that are read: no list of the API that is judged is longer. That it is too long is told anyway."""
_MOST_SIGNATURES: Final = 8
"""As the API bounds them, since each is verified by each key."""
_MOST_CHARACTERS: Final = 300
"""Of a word: longer than any that is known."""
_CLUSTER_READS: Final = tuple(one.resource for one in CLUSTER_READS)
_UNREADABLE: Final = "?"
"""In place of a word that is no text."""


@dataclass(frozen=True)
class Parts:
    """What can be read. None: absent where the API asks for it, or so malformed that nothing can be said about it."""

    image: str | None
    image_signatures: list[ImageSignature]
    permissions: Permissions
    network: Network
    secrets: list[AgentSecret]
    env: list[EnvVar]
    env_from: list[EnvFrom]
    files: list[ConfigFile]
    scratch: list[Scratch]
    identity: Identity
    run_as_user: int | None
    run_as_group: int | None
    resources: Resources | None
    storage: Storage | None
    run: Run | None
    init_containers: list[InitContainer]
    sidecars: list[Sidecar]
    volumes: list[ExistingVolume]
    sandbox: Sandbox | None
    sandbox_is_read: bool = True
    """Whether `sandbox` is None because there is none."""


def readable(spec: Any) -> Parts:
    """The parts of `spec`, any JSON. Never raises."""
    raw = _mapping(spec)
    sandbox = raw.get("sandbox")
    read = _read(Sandbox, sandbox)
    return Parts(
        image=_image(raw.get("image")),
        image_signatures=[
            _read(ImageSignature, one) or ImageSignature.model_construct(bundle="")
            for one in _list(raw.get("imageSignatures"))[:_MOST_SIGNATURES]
        ],
        permissions=_permissions(_mapping(raw.get("permissions"))),
        network=_network(_mapping(raw.get("network"))),
        secrets=[_secret(_mapping(one)) for one in _list(raw.get("secrets"))],
        env=[found for one in _list(raw.get("env")) if (found := _read(EnvVar, one)) is not None],
        env_from=[_env_from(_mapping(one)) for one in _list(raw.get("envFrom"))],
        files=[_file(_mapping(one)) for one in _list(raw.get("files"))],
        scratch=[_scratch(one) for one in _list(raw.get("scratch"))],
        identity=_identity(_mapping(raw.get("identity"))),
        run_as_user=_whole(raw.get("runAsUser")),
        run_as_group=_whole(raw.get("runAsGroup")),
        resources=_read(Resources, raw.get("resources")),
        storage=_read(Storage, raw.get("storage")),
        run=_read(Run, raw.get("run")),
        init_containers=[InitContainer.model_construct(**_beside(one)) for one in _list(raw.get("initContainers"))],
        sidecars=[Sidecar.model_construct(**_beside(one)) for one in _list(raw.get("sidecars"))],
        volumes=[_volume(one) for one in _list(raw.get("volumes"))],
        sandbox=read,
        sandbox_is_read=sandbox is None or read is not None,
    )


def readable_rules(spec: Any) -> list[AgentRule]:
    """The rules of permissions in `spec`, any JSON. Never raises."""
    return _permissions(_mapping(_mapping(spec).get("permissions"))).rules


def _permissions(raw: Mapping[str, Any]) -> Permissions:
    level = raw.get("level", levels.LEVELS[0])
    # Under the highest one only what no level gives is wrong.
    known = level if isinstance(level, str) and level in levels.LEVELS else levels.LEVELS[-1]
    return Permissions.model_construct(
        level=known,
        rules=[_rule(_mapping(one)) for one in _list(raw.get("rules"))],
        cluster_reads=[name for name in _CLUSTER_READS if name in _words(raw.get("clusterReads"))],
    )


def _rule(raw: Mapping[str, Any]) -> AgentRule:
    return AgentRule.model_construct(
        api_groups=_words(raw.get("apiGroups")),
        resources=_words(raw.get("resources")),
        resource_names=_words(raw.get("resourceNames")),
        verbs=_words(raw.get("verbs")),
        namespaces=_words(raw.get("namespaces")),
    )


def _network(raw: Mapping[str, Any]) -> Network:
    return Network.model_construct(
        egress=[_egress(_mapping(one)) for one in _list(raw.get("egress"))],
        ingress=[_ingress(_mapping(one)) for one in _list(raw.get("ingress"))],
    )


def _ingress(raw: Mapping[str, Any]) -> IngressRule:
    """Who is named as the caller; the agent's own namespace where that cannot be read."""
    caller = _mapping(raw.get("from")).get("namespace")
    peer = _read(Peer, {"namespace": caller, "podLabels": {"any": "one"}}) or Peer(pod_labels={"any": "one"})
    return IngressRule.model_construct(from_=peer, port=_UNREADABLE)


def _egress(raw: Mapping[str, Any]) -> EgressRule:
    """The cidr, the host, the ports and the Service each by itself, whatever the others are."""
    cidr, host = raw.get("cidr"), raw.get("host")
    found = _read(EgressRule, {"cidr": cidr, "ports": [1]}) if isinstance(cidr, str) else None
    named = _read(EgressRule, {"host": host}) if isinstance(host, str) else None
    ports = [port if type(port) is int else 0 for port in _list(raw.get("ports"))]
    return EgressRule.model_construct(
        cidr=found.cidr if found else None,
        host=named.host if named else None,
        ports=ports,
        service=_read(ServiceTarget, raw.get("service")),
        mode="Tunnel" if raw.get("mode") == "Tunnel" else None,
        rules=_rules(raw),
        preset=raw.get("preset") if _is_preset(raw.get("preset")) else None,
        limits=_read(HostLimits, raw.get("limits")),
    )


def _rules(raw: Mapping[str, Any]) -> list[RequestRule] | None:
    """Those that can be read; none is not the same as absent, also in place of a preset that cannot be read."""
    if raw.get("rules") is None and (raw.get("preset") is None or _is_preset(raw.get("preset"))):
        return None
    return [found for one in _list(raw.get("rules")) if (found := _read(RequestRule, _mapping(one))) is not None]


def _is_preset(word: Any) -> bool:
    return isinstance(word, str) and word in get_args(Preset)


def _secret(raw: Mapping[str, Any]) -> AgentSecret:
    source, delivery = _mapping(raw.get("source")), _mapping(raw.get("delivery"))
    return AgentSecret.model_construct(
        name=_UNREADABLE,
        source=SecretSource.model_construct(existing=_read(ExistingSecret, source.get("existing")), generate=None),
        rotation=_read(Rotation, raw.get("rotation")),
        containers=_words(raw.get("containers")),
        delivery=SecretDelivery.model_construct(
            file=_read(FileDelivery, delivery.get("file")),
            env=_read(EnvDelivery, delivery.get("env")),
            gateway=_read(GatewayDelivery, delivery.get("gateway")),
        ),
    )


def _env_from(raw: Mapping[str, Any]) -> EnvFrom:
    return EnvFrom.model_construct(config_map=_UNREADABLE, keys=_words(raw.get("keys")))


def _image(raw: Any) -> str | None:
    return raw if isinstance(raw, str) and _IMAGE.fullmatch(raw) else None


def _beside(entry: Any) -> dict[str, Any]:
    """Of a container beside the agent's own. Its image is empty where it cannot be read."""
    raw = _mapping(entry)
    name = raw.get("name")
    return {
        "name": name[:_MOST_CHARACTERS] if isinstance(name, str) else _UNREADABLE,
        "image": _image(raw.get("image")) or "",
        "env": [found for one in _list(raw.get("env")) if (found := _read(SideVar, one)) is not None],
        "env_from": [_env_from(_mapping(one)) for one in _list(raw.get("envFrom"))],
        "files": [_side_file(_mapping(one)) for one in _list(raw.get("files"))],
        "shares": _words(raw.get("shares")),
        "resources": _read(Resources, raw.get("resources")) or Resources(),
    }


def _side_file(raw: Mapping[str, Any]) -> SideFile:
    found = _read(SideFile, {"path": raw.get("path"), "content": ""})
    return found or SideFile.model_construct(path=_UNREADABLE, content=None, config_map=None)


def _file(raw: Mapping[str, Any]) -> ConfigFile:
    """Its place alone."""
    found = _read(ConfigFile, {"path": raw.get("path"), "content": ""})
    return found or ConfigFile.model_construct(path=_UNREADABLE, content=None, config_map=None)


def _volume(raw: Any) -> ExistingVolume:
    found = _read(ExistingVolume, raw)
    return found or ExistingVolume.model_construct(claim=_UNREADABLE, mount_path=_UNREADABLE, access="ReadOnly")


def _scratch(raw: Any) -> Scratch:
    return _read(Scratch, raw) or Scratch.model_construct(path=_UNREADABLE, size=1, medium="Disk")


def _identity(raw: Mapping[str, Any]) -> Identity:
    """What cannot be read keeps its place, and asks for nothing. Each word of a token by itself."""
    nothing = Annotation.model_construct(key="eks.amazonaws.com/role-arn", value="")
    return Identity.model_construct(
        annotations=[_read(Annotation, one) or nothing for one in _list(raw.get("annotations"))],
        tokens=[_token(_mapping(one)) for one in _list(raw.get("tokens"))],
    )


def _token(raw: Mapping[str, Any]) -> IdentityToken:
    audience, path = raw.get("audience"), raw.get("path")
    named = _read(IdentityToken, {"audience": audience, "path": "/a/b"})
    placed = _read(IdentityToken, {"audience": "a", "path": path})
    return IdentityToken.model_construct(
        audience=named.audience if named else "", path=placed.path if placed else f"/{_UNREADABLE}/", expiration="1h"
    )


def _read(model: type[M], raw: Any) -> M | None:
    return parse(model, raw).value


def _whole(raw: Any) -> int | None:
    return raw if type(raw) is int else None


def _words(raw: Any) -> list[str]:
    return [word[:_MOST_CHARACTERS] if isinstance(word, str) else _UNREADABLE for word in _list(raw)]


def _list(raw: Any) -> list[Any]:
    return raw[:_MOST] if isinstance(raw, list) else []


def _mapping(raw: Any) -> Mapping[str, Any]:
    return raw if isinstance(raw, Mapping) else {}
