"""The secrets of one agent in the cluster: made once, looked at by their metadata, never read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from ringfence.api.secrets import AgentSecret
from ringfence.kube import ApiError, Conflict, Kube, NotFound, Object, RingfenceError, path_of
from ringfence.resources import Agent, Identity, Ref
from ringfence.resources.model import ROTATION_LABEL, child
from ringfence.resources.secret_names import PREVIOUS, VALUE, secret_reference
from ringfence.resources.secrets import PREVIOUS_UNTIL, ROTATED_AT, stamp
from ringfence.resources.stored import controlled_by
from ringfence.sources import first_value
from ringfence.telemetry.events import DELETED, AgentName, ChildRepaired, ChildWritten, Emit, OverlapEnded, SecretMade

from .ages import ObservedSecret
from .errors import NotGranted, NotLeading, OwnershipConflict

Metadata = Mapping[str, Any]


@dataclass
class Secrets:
    """I/O about Secrets. `account`: NAMESPACE:NAME of the controller's own ServiceAccount, for whom is not granted."""

    kube: Kube
    leading: Callable[[], bool]
    account: str
    emit: Emit
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def metadata(self, agent: Identity, secret: AgentSecret) -> Metadata | None:
        """Of a secret's Secret; None where it is not there. Raises NotGranted, ApiError, Unreachable."""
        return await self.metadata_of(agent, secret_reference(agent.name, secret)[0])

    async def metadata_of(self, agent: Identity, name: str) -> Metadata | None:
        """Of a Secret beside the agent, by its own name. As `metadata`."""
        try:
            found: Metadata = (await self.kube.get_metadata(path_of("v1", "secrets", agent.namespace, name)))[
                "metadata"
            ]
        except NotFound:
            return None
        except ApiError as failure:
            raise self.explained(agent, failure) from failure
        return found

    async def make(self, agent: Agent, secret: AgentSecret, *, known: bool) -> Metadata:
        """Have a generated Secret there; its metadata. `known`: it was, so that its absence is somebody's deletion.

        Raises NotGranted, OwnershipConflict, NotLeading, ApiError, Unreachable.
        """
        made = await self._create(agent, secret)
        if made is not None:
            if known:
                name, _ = secret_reference(agent.name, secret)
                self.emit(ChildRepaired(agent=_name(agent), uid=agent.uid, kind="Secret", name=name, rule=DELETED))
            return made
        found = await self.metadata(agent, secret)
        if found is None or not controlled_by(found, agent.uid):
            raise OwnershipConflict(_ref(agent, secret))
        return found

    async def drop_previous(self, agent: Agent, one: ObservedSecret) -> None:
        """Remove a value whose overlap is over.

        It is removed without being read: the patch names its key, and fails when there was a rotation meanwhile.
        """
        self.guard()
        path = path_of("v1", "secrets", agent.namespace, one.object_name)
        mark = f"/metadata/annotations/{PREVIOUS_UNTIL.replace('/', '~1')}"
        test = {"op": "test", "path": mark, "value": stamp(one.previous_until or self.clock())}
        try:
            await self.kube.json_patch(path, [test, {"op": "remove", "path": f"/data/{PREVIOUS}"}])
        except ApiError as failure:
            if failure.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}:
                raise
            return  # rotated or removed meanwhile: the next look tells
        self.emit(OverlapEnded(agent=_name(agent), uid=agent.uid, secret=one.name))

    async def remove(self, name: str, agent: Agent) -> None:
        """Delete the Secret of a secret that the spec does not name any more."""
        path = path_of("v1", "secrets", agent.namespace, name)
        try:
            found = (await self.kube.get_metadata(path))["metadata"]
        except NotFound:
            return
        except ApiError as failure:
            if failure.status == HTTPStatus.FORBIDDEN:
                return  # the namespace was closed to secrets: it goes with its agent
            raise
        if controlled_by(found, agent.uid):
            self.guard()
            await self.kube.delete(path, uid=found["uid"])
            self.emit(ChildWritten("Secret", "delete"))

    async def _create(self, agent: Agent, secret: AgentSecret) -> Metadata | None:
        """The first value; None where somebody was faster. From now on only the job writes values."""
        name, _ = secret_reference(agent.name, secret)
        manifest = child(agent, "v1", "Secret", name=name, type="Opaque", data={VALUE: first_value(secret.source)})
        manifest["metadata"]["labels"][ROTATION_LABEL] = name
        manifest["metadata"]["annotations"] = {ROTATED_AT: stamp(self.clock())}
        self.guard()
        try:
            answer: Object = await self.kube.create(path_of("v1", "secrets", agent.namespace), manifest)
        except Conflict:
            return None
        except ApiError as failure:
            raise self.explained(agent, failure) from failure
        self.emit(ChildWritten("Secret", "create"))
        self.emit(SecretMade(agent=_name(agent), uid=agent.uid, secret=secret.name))
        metadata: Metadata = answer["metadata"]
        return metadata

    def explained(self, agent: Identity, failure: ApiError) -> RingfenceError:
        """The failure, or that nobody granted Secrets in the agent's namespace."""
        if failure.status == HTTPStatus.FORBIDDEN and not failure.terminating:
            return NotGranted(agent.namespace, self.account)
        return failure

    def guard(self) -> None:
        """Raise NotLeading unless anything may be written."""
        if not self.leading():
            raise NotLeading("the lease is not held any more")


def _name(agent: Identity) -> AgentName:
    return AgentName(agent.namespace, agent.name)


def _ref(agent: Identity, secret: AgentSecret) -> Ref:
    return Ref("Secret", agent.namespace, secret_reference(agent.name, secret)[0])
