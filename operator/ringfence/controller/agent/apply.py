"""Writes the children of one agent in order: deny, allow, rights, run. Says how far it came."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field, replace

import structlog

from ringfence.api.status import ConditionType, Reason
from ringfence.controller.cache import Cache, Ref
from ringfence.kube import ApiError, Conflict, Object
from ringfence.resources import Agent, Identity, Manifest, build, build_deny
from ringfence.resources.compare import controller_uid
from ringfence.resources.model import DENY, child_name
from ringfence.resources.rotation import ROTATION_LABEL

from .secrets import Keys, NotGranted
from .writer import MutatedOnWrite, OwnershipConflict, Repair, Requeue, Writer

log = structlog.get_logger()

STEP_OF = {
    "NetworkPolicy": ConditionType.NETWORK_POLICY_APPLIED,
    "ServiceAccount": ConditionType.RIGHTS_APPLIED,
    "Role": ConditionType.RIGHTS_APPLIED,
    "RoleBinding": ConditionType.RIGHTS_APPLIED,
    "CronJob": ConditionType.SECRETS_FRESH,
    "PersistentVolumeClaim": ConditionType.WORKLOAD_AVAILABLE,
    "Deployment": ConditionType.WORKLOAD_AVAILABLE,
}
"""Which condition speaks of a child of the agent's own; what rotates a key is all part of SecretsFresh."""
ORDER = (
    ConditionType.ACCEPTED,
    ConditionType.NETWORK_POLICY_APPLIED,
    ConditionType.RIGHTS_APPLIED,
    ConditionType.SECRETS_FRESH,
    ConditionType.WORKLOAD_AVAILABLE,
)
"""Each step waits for the ones before it."""
RIGHTS_KINDS = ("RoleBinding", "Role")
"""What goes when the spec does not ask for it any more. A volume stays: no data is lost by an edit."""


def step_of(manifest: Manifest) -> ConditionType:
    """The condition that speaks of a child."""
    if ROTATION_LABEL in manifest["metadata"]["labels"]:
        return ConditionType.SECRETS_FRESH
    return STEP_OF[manifest["kind"]]


@dataclass
class Outcome:
    """What applying came to: the repairs, and where it stopped (the step, the reason, a sentence).

    `fenceless`: the deny policy is not there, and will not be before somebody does something. `unseen`: why the age of
    the keys cannot be told, though all is applied.
    """

    repairs: list[Repair] = field(default_factory=list)
    stopped: tuple[ConditionType, Reason, str] | None = None
    retry: bool = False
    retry_after: float | None = None
    fenceless: bool = False
    unseen: str = ""


@dataclass
class Applier:
    """Works on one agent at a time. Raises ApiError, Unreachable, NotLeading: the caller tries again later."""

    cache: Cache
    writer: Writer
    keys: Keys

    async def apply(self, agent: Agent, *, known: bool) -> Outcome:
        """Write all children; stop at the first that cannot be written.

        `known`: they were all written for this generation before. Then the rest is kept as it should be all the same.
        """
        outcome = await self.fence(agent, known=known)
        if outcome.stopped:
            return outcome
        if not agent.spec.permissions.rules:  # what is taken away does not wait for anything
            await self._withdraw_rights(agent, outcome)
        agent = replace(agent, fence_uid=self._fence_uid(agent))
        children = build(agent)
        await self._withdraw_keys(agent, children, outcome)
        held = not agent.spec.secrets
        for manifest in children[1:]:
            step = step_of(manifest)
            if not held and ORDER.index(step) >= ORDER.index(ConditionType.SECRETS_FRESH):
                held = True
                if outcome.stopped is None:
                    await self._try(ConditionType.SECRETS_FRESH, self._hold_keys(agent, outcome, known=known), outcome)
            if outcome.stopped is None:
                await self._try(step, self.writer.ensure(manifest, agent, known=known), outcome)
            elif known and Ref.of(manifest) in self.cache.children:
                rest = Outcome()
                await self._try(step, self.writer.ensure(manifest, agent, known=known), rest)
                outcome.repairs += rest.repairs
        return outcome

    async def fence(self, agent: Identity, *, known: bool) -> Outcome:
        """The policy that drops everything, alone. Without it, and no prospect of it, the agent's pods are stopped."""
        outcome = Outcome()
        deny = build_deny(agent)
        await self._try(STEP_OF[deny["kind"]], self.writer.ensure(deny, agent, known=known), outcome)
        if outcome.fenceless:
            await self.stop(agent, "the deny policy cannot be held")
        return outcome

    async def stop(self, agent: Identity, why: str) -> None:
        """No pods."""
        ref = Ref("Deployment", agent.namespace, child_name(agent.name))
        if await self.writer.scale_to_zero(ref, agent):
            log.error("stopped", agent=agent.name, namespace=agent.namespace, why=why)

    def workload(self, agent: Identity) -> Object | None:
        """The agent's Deployment as last seen; a stranger's of that name is none."""
        live = self.cache.children.get(Ref("Deployment", agent.namespace, child_name(agent.name)))
        return live if live and controller_uid(live) == agent.uid else None

    async def _withdraw_rights(self, agent: Agent, outcome: Outcome) -> None:
        for kind in RIGHTS_KINDS:
            ref = Ref(kind, agent.namespace, child_name(agent.name))
            await self._try(STEP_OF[kind], self.writer.remove(ref, agent), outcome)

    async def _hold_keys(self, agent: Agent, outcome: Outcome, *, known: bool) -> None:
        outcome.repairs += await self.keys.hold(agent, known=known)

    async def _withdraw_keys(self, agent: Agent, children: Sequence[Manifest], outcome: Outcome) -> None:
        """What rotated a key that the spec does not name any more goes, and the key with it."""
        wanted = {Ref.of(manifest) for manifest in children}
        for ref, live in list(self.cache.children.items()):
            ours = ref.namespace == agent.namespace and "." in ref.name and controller_uid(live) == agent.uid
            if ours and ref not in wanted:
                if ref.kind == "CronJob" and agent.job_image:  # the Secret first: the CronJob is what reminds of it
                    await self.keys.remove(ref.namespace, ref.name, agent)
                await self._try(ConditionType.SECRETS_FRESH, self.writer.remove(ref, agent), outcome)

    def _fence_uid(self, agent: Agent) -> str | None:
        """None while the policy is being deleted: it would wait for the workload, and the workload stays."""
        deny = self.cache.children.get(Ref("NetworkPolicy", agent.namespace, child_name(agent.name, DENY)))
        return str(deny["metadata"]["uid"]) if deny and not deny["metadata"].get("deletionTimestamp") else None

    async def _try(self, step: ConditionType, work: Awaitable[Repair | None], outcome: Outcome) -> None:
        try:
            if repair := await work:
                outcome.repairs.append(repair)
        except OwnershipConflict as failure:
            outcome.stopped, outcome.fenceless = (step, Reason.CHILD_NOT_OURS, str(failure)), True
        except NotGranted as failure:
            outcome.stopped = (step, Reason.NOT_GRANTED, str(failure))
        except Requeue as failure:
            outcome.stopped, outcome.retry = (step, Reason.PROGRESSING, str(failure)), True
        except MutatedOnWrite as failure:
            outcome.stopped, outcome.fenceless = (step, Reason.WRITE_FAILED, str(failure)), True
            outcome.retry = True
        except Conflict:
            raise  # somebody wrote at the same time: look again, say nothing
        except ApiError as failure:
            if failure.terminating or failure.passing:
                raise  # nothing can be written here any more and all of it goes, or just not now
            # A refusal is said in the status; it is tried again all the same, for quotas and the like do change.
            outcome.stopped = (step, Reason.WRITE_FAILED, failure.message[:1000])
            outcome.fenceless = failure.final
            outcome.retry, outcome.retry_after = True, failure.retry_after
