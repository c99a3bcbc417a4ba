"""The two Secrets of an agent's gateway in the cluster: its configuration with certificates, and the authorities.

The controller reads their values because it made them: an authority signs the certificate that follows, so that the
agent need not learn to trust another one. Of other Secrets it looks at the form alone: of those that gateways send.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final

import certifi

from ringfence.api.names import AGENT_LABEL, FIELD_MANAGER, GATEWAY_CONFIG_ANNOTATION
from ringfence.gateway.authorities import Authorities
from ringfence.gateway.certificates import names
from ringfence.gateway.envoy import files
from ringfence.gateway.model import Gateway
from ringfence.gateway.problems import of_gateway, problems, too_large
from ringfence.kube import ApiError, Conflict, NotFound, Object, path_of
from ringfence.policy.text import listed
from ringfence.resources import Agent, Identity, Ref
from ringfence.resources.gateway import AUTHORITIES, STATE, needs_public_roots
from ringfence.resources.gateway_names import authorities_name, gateway_label, gateway_name
from ringfence.resources.gateway_secrets import gateway_secrets, placeholder_key
from ringfence.resources.model import child
from ringfence.resources.secrets import stamp
from ringfence.resources.stored import DESIRED_ANNOTATION, controlled_by
from ringfence.telemetry.events import DELETED, EDITED, AgentName, ChildRepaired, ChildWritten

from .errors import GatewayUnusable, NotGranted, OwnershipConflict
from .gateway import RENEW_ANNOTATION, mark, others_wrote, settings
from .observed import GatewaySecrets
from .secrets import Secrets

Metadata = Mapping[str, Any]
_FORM: Final = "ringfence-placeholder-"
_PLACEHOLDER: Final = re.compile(f"{_FORM}[0-9a-f]{{48}}")


@dataclass
class Gateways:
    """I/O about them."""

    secrets: Secrets

    async def seen(self, agent: Identity) -> GatewaySecrets:
        """Metadata of both. Raises ApiError, Unreachable."""
        try:
            return GatewaySecrets(
                config=await self.secrets.metadata_of(agent, gateway_name(agent.name)),
                authorities=await self.secrets.metadata_of(agent, authorities_name(agent.name)),
            )
        except NotGranted as failure:
            return GatewaySecrets(not_granted=str(failure))

    async def put(self, agent: Agent, before: GatewaySecrets | None, *, known: bool) -> None:
        """Have both as they are to be, and the gateway's pods take them up.

        `before`: what was seen. `known`: as of a child. Raises GatewayUnusable, NotGranted, OwnershipConflict,
        NotLeading, ApiError, Unreachable.
        """
        now, desired = self.secrets.clock(), mark(agent)
        found = await self._read(agent, authorities_name(agent.name))
        stored = await self._read(agent, gateway_name(agent.name))
        placeholders = placeholders_for([one.name for one in gateway_secrets(agent)], found, stored)
        wanted = settings(agent, placeholders)
        authorities = Authorities.read(_value(found, STATE)).renewed(names(wanted), wanted.name, now)
        kept = {placeholder_key(name): text.encode() for name, text in placeholders.items()}
        config = _config(wanted, authorities) | kept
        annotations = {
            DESIRED_ANNOTATION: desired,
            RENEW_ANNOTATION: stamp(authorities.renew_at or now),
        }
        roots = certifi.contents().encode() if needs_public_roots(agent) else b""
        data = {AUTHORITIES: authorities.bundle() + roots, STATE: authorities.text()} | kept
        await self._write(agent, authorities_name(agent.name), data, annotations, found)
        version = await self._write(agent, gateway_name(agent.name), config, {DESIRED_ANNOTATION: desired}, stored)
        if known and before is not None:
            self._tell(agent, before)
        await self._have_taken_up(agent, version)

    async def drop(self, agent: Identity) -> None:
        """Delete both, as far as they are the agent's."""
        for name in (gateway_name(agent.name), authorities_name(agent.name)):
            try:
                found = await self.secrets.metadata_of(agent, name)
            except NotGranted:
                return  # the namespace was closed to secrets: they go with the agent
            if found is not None and controlled_by(found, agent.uid):
                self.secrets.guard()
                await self.secrets.kube.delete(path_of("v1", "secrets", agent.namespace, name), uid=found["uid"])
                self.secrets.emit(ChildWritten("Secret", "delete"))

    def _tell(self, agent: Agent, before: GatewaySecrets) -> None:
        """What somebody did to them meanwhile."""
        seen = {gateway_name(agent.name): before.config, authorities_name(agent.name): before.authorities}
        for name, metadata in seen.items():
            if metadata is None or others_wrote(metadata):
                rule = DELETED if metadata is None else EDITED
                told = AgentName(agent.namespace, agent.name)
                self.secrets.emit(ChildRepaired(agent=told, uid=agent.uid, kind="Secret", name=name, rule=rule))

    async def _have_taken_up(self, agent: Agent, version: str) -> None:
        """Change an annotation of the pods: else the kubelet would look at what it mounted about every minute."""
        pods = path_of("v1", "pods", agent.namespace)
        for pod in await self.secrets.kube.list(pods, label_selector=f"{AGENT_LABEL}={gateway_label(agent.name)}"):
            metadata = pod["metadata"]
            if (metadata.get("annotations") or {}).get(GATEWAY_CONFIG_ANNOTATION) == version:
                continue
            self.secrets.guard()
            body = {"metadata": {"uid": metadata["uid"], "annotations": {GATEWAY_CONFIG_ANNOTATION: version}}}
            try:
                await self.secrets.kube.merge(path_of("v1", "pods", agent.namespace, metadata["name"]), body)
            except (NotFound, Conflict):
                continue  # gone meanwhile: the next one begins with what is stored
            except ApiError as failure:
                raise self.secrets.explained(agent, failure) from failure

    async def _read(self, agent: Agent, name: str) -> Object | None:
        try:
            found = await self.secrets.kube.get(path_of("v1", "secrets", agent.namespace, name))
        except NotFound:
            return None
        except ApiError as failure:
            raise self.secrets.explained(agent, failure) from failure
        if not controlled_by(found["metadata"], agent.uid):
            raise OwnershipConflict(Ref("Secret", agent.namespace, name))
        return found

    async def _write(
        self, agent: Agent, name: str, data: Mapping[str, bytes], annotations: Mapping[str, str], found: Object | None
    ) -> str:
        """The version that is stored then."""
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        manifest = child(agent, "v1", "Secret", name=name, type="Opaque", data=encoded)
        manifest["metadata"]["annotations"] = dict(annotations)
        path = path_of("v1", "secrets", agent.namespace, name)
        # What others wrote is known by their names in managedFields, which are not to stay there. A list without any is
        # followed by no API server: then the object is made anew.
        entries = (found or {"metadata": {}})["metadata"].get("managedFields") or []
        ours = [one for one in entries if one.get("manager") == FIELD_MANAGER]
        self.secrets.guard()
        try:
            if found is not None and not ours:
                await self.secrets.kube.delete(path, uid=found["metadata"]["uid"])
            if found is None or not ours:
                collection = path_of("v1", "secrets", agent.namespace)
                answer = await self.secrets.kube.create(collection, manifest, manager=FIELD_MANAGER)
            else:
                kept = {key: found["metadata"][key] for key in ("uid", "resourceVersion")}
                manifest["metadata"] |= {**kept, "managedFields": ours}
                answer = await self.secrets.kube.replace(path, manifest, manager=FIELD_MANAGER)
        except ApiError as failure:
            raise self.secrets.explained(agent, failure) from failure
        self.secrets.emit(ChildWritten("Secret", "update" if found else "create"))
        return str(answer["metadata"]["resourceVersion"])


def placeholders_for(names: Sequence[str], *kept: Object | None) -> dict[str, str]:
    """What the agent holds in place of each secret: the one that it has, or a new one of 192 random bits.

    It is kept in both Secrets: an agent that runs does not learn of another one. What somebody else wrote counts for
    nothing, as he would know it.
    """
    trusted = [one for one in kept if one is not None and not others_wrote(one["metadata"])]
    found = {}
    for name in names:
        before = (_value(one, placeholder_key(name)).decode("ascii", "replace") for one in trusted)
        found[name] = next(filter(_PLACEHOLDER.fullmatch, before), "") or f"{_FORM}{token_hex(24)}"
    return found


def _value(secret: Object | None, key: str) -> bytes:
    """Of a Secret's data; empty where there is none."""
    found = ((secret or {}).get("data") or {}).get(key)
    return base64.b64decode(found) if found else b""


def _config(wanted: Gateway, authorities: Authorities) -> dict[str, bytes]:
    """All files of the gateway's one folder. Raises GatewayUnusable: of one bad route Envoy refuses all."""
    texts = files(wanted)
    found = {name: text.encode() for name, text in texts.items()} | authorities.leaves()
    if why := too_large(found):
        raise GatewayUnusable(why)
    if wrong := [*of_gateway(wanted), *problems(texts)]:
        raise GatewayUnusable(f"Envoy would refuse its configuration ({listed(wrong, 3)}): please report this")
    return found
