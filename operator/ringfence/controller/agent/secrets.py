"""The keys of one agent in the cluster: made once, looked at by their metadata, never read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

import structlog

from ringfence.api.secrets import AgentSecret
from ringfence.controller.cache import Ref
from ringfence.kube import ApiError, Conflict, Kube, NotFound, Object, path_of
from ringfence.resources import Agent
from ringfence.resources.compare import controller_uid
from ringfence.resources.model import child
from ringfence.resources.rotation import ROTATION_LABEL
from ringfence.resources.secrets import PREVIOUS, PREVIOUS_UNTIL, ROTATED_AT, VALUE, key_source, stamp
from ringfence.sources.generated import new_value
from ringfence.telemetry.metrics import CHILD_WRITES

from . import ages
from .writer import DELETED, NotLeading, OwnershipConflict, Repair, repaired

log = structlog.get_logger()

GRANT = "kubectl create rolebinding ringfence-secrets --clusterrole=ringfence-secrets"
"""How a namespace is opened to secrets: the API server lets nobody give a right that he does not hold."""


class NotGranted(Exception):
    """The controller holds no right on Secrets in the namespace."""

    def __init__(self, namespace: str, account: str) -> None:
        super().__init__(
            f"namespace {namespace} is not open to secrets: have a platform engineer list it in the chart's value "
            f"agentNamespaces, or run: {GRANT} --serviceaccount={account} -n {namespace}"
        )


@dataclass
class Keys:
    """I/O about Secrets. `account`: NAMESPACE:NAME of the controller's own ServiceAccount, for the sentence above."""

    kube: Kube
    leading: Callable[[], bool]
    account: str
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def hold(self, agent: Agent, *, known: bool) -> list[Repair]:
        """Have every generated Secret there.

        Raises NotGranted, OwnershipConflict, NotLeading, ApiError, Unreachable.
        """
        repairs = []
        for secret in agent.spec.secrets:
            if secret.source.generate is None:
                continue
            found = await self._metadata(agent, secret)
            if found is None and await self._create(agent, secret, secret.source.generate.length):
                if known:
                    repairs.append(repaired(self._ref(agent, secret), agent, DELETED))
                continue
            found = found or await self._metadata(agent, secret)
            if found is None or controller_uid({"metadata": found}) != agent.uid:
                raise OwnershipConflict(self._ref(agent, secret))
        return repairs

    async def look(self, agent: Agent) -> list[ages.Key]:
        """Every key with the metadata of its Secret. Raises NotGranted, ApiError, Unreachable."""
        return [ages.key(agent.name, one, await self._metadata(agent, one)) for one in agent.spec.secrets]

    async def drop_previous(self, agent: Agent, keys: Sequence[ages.Key]) -> None:
        """Remove values whose overlap is over: the jobs do it too, at their next tick, which may be a day away.

        A value is removed without being read: the patch names its key, and fails when there was a rotation meanwhile.
        """
        for one in keys:
            if one.overlap_is_over(self.clock()):
                self._guard()
                path = path_of("v1", "secrets", agent.namespace, one.object_name)
                mark = f"/metadata/annotations/{PREVIOUS_UNTIL.replace('/', '~1')}"
                test = {"op": "test", "path": mark, "value": stamp(one.previous_until or self.clock())}
                try:
                    await self.kube.json_patch(path, [test, {"op": "remove", "path": f"/data/{PREVIOUS}"}])
                except ApiError as failure:
                    if failure.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}:
                        raise
                    continue  # rotated or removed meanwhile: the next look tells
                log.info("overlap is over", agent=agent.name, namespace=agent.namespace, secret=one.name)

    async def remove(self, namespace: str, name: str, agent: Agent) -> None:
        """Delete the Secret of a key that the spec does not name any more."""
        path = path_of("v1", "secrets", namespace, name)
        try:
            found = await self.kube.get_metadata(path)
        except NotFound:
            return
        except ApiError as failure:
            if failure.status == HTTPStatus.FORBIDDEN:
                return  # the namespace was closed to secrets: it goes with its agent
            raise
        if controller_uid(found) == agent.uid:
            self._guard()
            await self.kube.delete(path, uid=found["metadata"]["uid"])
            CHILD_WRITES.labels("Secret", "delete").inc()

    async def _metadata(self, agent: Agent, secret: AgentSecret) -> Object | None:
        name, _ = key_source(agent.name, secret)
        try:
            found: Object = (await self.kube.get_metadata(path_of("v1", "secrets", agent.namespace, name)))["metadata"]
        except NotFound:
            return None
        except ApiError as failure:
            if failure.status == HTTPStatus.FORBIDDEN:
                raise NotGranted(agent.namespace, self.account) from failure
            raise
        return found

    async def _create(self, agent: Agent, secret: AgentSecret, length: int) -> bool:
        """The first value; False where somebody was faster. From now on only the job writes values."""
        name, _ = key_source(agent.name, secret)
        manifest = child(agent, "v1", "Secret", name=name, type="Opaque", data={VALUE: new_value(length)})
        manifest["metadata"]["labels"][ROTATION_LABEL] = name
        manifest["metadata"]["annotations"] = {ROTATED_AT: stamp(self.clock())}
        self._guard()
        try:
            await self.kube.create(path_of("v1", "secrets", agent.namespace), manifest)
        except Conflict:
            return False
        except ApiError as failure:
            if failure.status == HTTPStatus.FORBIDDEN and not failure.terminating:
                raise NotGranted(agent.namespace, self.account) from failure
            raise
        CHILD_WRITES.labels("Secret", "create").inc()
        log.info("made a key", agent=agent.name, namespace=agent.namespace, secret=secret.name)
        return True

    def _ref(self, agent: Agent, secret: AgentSecret) -> Ref:
        return Ref("Secret", agent.namespace, key_source(agent.name, secret)[0])

    def _guard(self) -> None:
        if not self.leading():
            raise NotLeading("the lease is not held any more")
