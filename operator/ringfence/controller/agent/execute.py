"""Does what a plan says, in order, and tells how far it came. The only place that writes for agents, with writer.py."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import product
from typing import Any, Protocol

from ringfence.api.status import ConditionType, Reason
from ringfence.kube import ApiError, ErrorKind, NotFound, NotServed, RingfenceError, Unreachable
from ringfence.policy.atoms import Atom
from ringfence.policy.levels import CEILING
from ringfence.resources import Agent, Identity, Manifest, Ref
from ringfence.resources.phases import DENY as DENY_PHASE
from ringfence.resources.phases import PERMISSIONS, Order, Phase
from ringfence.store.records import Key
from ringfence.telemetry.events import EDITED, AgentName, AgentStopped, Emit

from .actions import (
    Action,
    AwaitEnd,
    DropGateway,
    DropPrevious,
    EndPods,
    EnsureChild,
    MakeSecret,
    PutGateway,
    PutReads,
    RemoveChild,
    RemoveLeft,
    RemoveRun,
    RemoveSecret,
    StopWorkload,
)
from .errors import (
    AgentGone,
    GatewayUnusable,
    MutatedOnWrite,
    NotGranted,
    NotHeld,
    NotInCeiling,
    NotLeading,
    OwnershipConflict,
    ReadsMissing,
    Requeue,
    Settling,
)
from .fence import TRY_AGAIN, unfenced
from .gateways import Gateways
from .left import remove_left
from .observed import Observed
from .plan import Mode, Plan, part_of_fence
from .pods import Pods
from .reads import KIND, ClusterReads
from .secrets import Secrets
from .workloads import stop_action
from .writer import Writer


@dataclass(frozen=True)
class Blocked:
    """Where a pass could not go on: the condition that says so, why, and a sentence for a person.

    `fenceless`: what blocks it will not pass before somebody does something. `retry`: whether to try again soon.
    """

    condition: ConditionType
    reason: Reason
    message: str
    fenceless: bool = False
    retry: bool = False
    retry_after: float | None = None

    def error(self, longest_pause: float | None = None) -> Requeue:
        """The same, for whoever tries again."""
        failure = Requeue(self.message, self.retry_after)
        failure.longest_pause = longest_pause
        return failure


@dataclass
class Outcome:
    """What executing came to.

    `made`: metadata of the Secrets that were made, by the secret's name. `failure`: what passes by itself. `unfenced`:
    which part of the fence is stored otherwise than it should be, and why that could not be helped. `lacks_block`:
    whether a child's `blockOwnerDeletion` is to be added later.
    """

    blocked: Blocked | None = None
    wrote: bool = False
    made: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    failure: RingfenceError | None = None
    unfenced: str = ""
    without_deny: bool = False
    lacks_block: bool = False

    @property
    def halted(self) -> bool:
        """Whether something is in the way of what comes next."""
        return self.blocked is not None or self.failure is not None


class Ceiling(Protocol):
    """The controller's own binding in a namespace, without which it can give agents nothing there."""

    def right(self, namespace: str) -> bool:
        """Whether it is stored as it should be."""

    def settles(self, namespace: str) -> bool:
        """Whether it was made a moment ago, and may not be known yet to the API server that was asked."""


@dataclass
class Executor:
    """Works on one agent at a time."""

    writer: Writer
    secrets: Secrets
    pods: Pods
    emit: Emit
    ceiling: Ceiling | None = None
    reads: ClusterReads | None = None
    gateways: Gateways | None = None

    async def execute(self, seen: Observed, planned: Plan) -> Outcome:
        """Do it; stop at the first phase that cannot be done, but for what is there and stays as it should be.

        Raises RingfenceError of the kinds RETRY and GONE: the caller tries again later, or forgets the agent. Not where
        the agent is to be stopped: that is said first.
        """
        outcome = Outcome()
        self.writer.remember(planned.right, seen.identity)
        last: list[tuple[Action, RingfenceError]] = []
        for action in planned.actions:
            if outcome.halted and not _goes_on(action, outcome):
                continue
            try:
                await self._act(action, seen, planned, outcome)
            except (AgentGone, NotLeading):
                raise
            except RingfenceError as failure:
                if isinstance(action, EndPods):  # it hinders nothing, and comes before all: it is told last
                    last.append((action, failure))
                else:
                    told = await self._explained(action, failure)
                    await self._failed(action, told, seen, planned, outcome)
                if isinstance(failure, Unreachable):
                    break  # nor will there be an answer to the next one
        for one in last:
            await self._failed(*one, seen, planned, outcome)
        self._remember(seen.key, planned, outcome)
        if outcome.failure is not None and planned.stop is None:
            outcome.failure.longest_pause = TRY_AGAIN if outcome.unfenced else None
            raise outcome.failure
        if planned.mode is Mode.HOLD and outcome.blocked is None:
            outcome.blocked = Blocked(ConditionType.ACCEPTED, Reason.REFUSED, "not accepted")
        return outcome

    def _remember(self, key: Key, planned: Plan, outcome: Outcome) -> None:
        fences = self.writer.fences
        if outcome.unfenced:
            fences.not_right(key, outcome.unfenced)
            return
        fences.right(key)
        if planned.stop is None:
            fences.run(key)

    async def _failed(
        self, action: Action, failure: RingfenceError, seen: Observed, planned: Plan, outcome: Outcome
    ) -> None:
        """What stands in the way of one action is told, or remembered where it will pass by itself."""
        phase: Phase | None = getattr(action, "phase", None)
        part = part_of_fence(action)
        if part is not None and self._lets_more(action, part, failure, seen.identity):
            outcome.unfenced = outcome.unfenced or f"{part.kind} {part.name}: {failure}"[:1000]
        blocked = obstacle(phase, failure) if phase else None
        if blocked is None and phase is not None and planned.stop is not None:
            blocked = Blocked(phase.condition, Reason.WRITE_FAILED, str(failure)[:1000], retry=True)
        if blocked is None:
            outcome.failure = outcome.failure or failure
        outcome.blocked = outcome.blocked or blocked
        if phase is DENY_PHASE and isinstance(action, EnsureChild):
            outcome.without_deny = True
            if blocked is not None and blocked.fenceless:  # no prospect of it
                await self._stop(seen.identity, stop_action(seen, unfenced(outcome.unfenced or str(failure))))

    async def _served(self, ref: Ref, failure: NotFound) -> RingfenceError:
        """The failure, or why it had to be: the cluster may lack the kind."""
        with contextlib.suppress(ApiError, Unreachable):
            if not await self.writer.kube.serves(ref.group_version, ref.plural):
                return NotServed(ref.kind, ref.group_version)
        return failure

    async def _explained(self, action: Action, failure: RingfenceError) -> RingfenceError:
        """The failure, or why it had to be: who holds nothing can give nothing."""
        if isinstance(action, EnsureChild) and isinstance(failure, NotFound):
            return await self._served(action.desired.ref, failure)
        if not (isinstance(action, EnsureChild) and action.phase is PERMISSIONS and isinstance(failure, ApiError)):
            return failure
        if failure.status != HTTPStatus.FORBIDDEN or failure.terminating:
            return failure
        namespace = action.desired.ref.namespace
        if self.ceiling is not None and not self.ceiling.right(namespace):
            return NotHeld(namespace)
        if self.ceiling is not None and self.ceiling.settles(namespace):
            return Settling()
        lacking = _custom(action.desired.manifest)
        return NotInCeiling(lacking) if lacking else failure

    def _lets_more(self, action: Action, part: Ref, failure: RingfenceError, agent: Identity) -> bool:
        """Whether what an action could not put right may give the agent more than its spec says.

        What is absent gives nothing, but for the deny policy. In a namespace that is being deleted all ends anyway.
        """
        if isinstance(failure, ApiError) and failure.terminating:
            return False
        if not isinstance(action, EnsureChild):
            return True
        absent = self.writer.store.children.get(part) is None
        return action.phase is DENY_PHASE if absent else self.writer.lets_more(part, action.desired, agent)

    async def _act(self, action: Action, seen: Observed, planned: Plan, outcome: Outcome) -> None:
        match action:
            case EnsureChild():
                outcome.wrote |= await self.writer.ensure(action, seen.identity)
                outcome.lacks_block |= self.writer.lacks_block(action)
            case RemoveChild() | RemoveRun():
                await self._remove(action, seen.identity)
                outcome.wrote = True
            case RemoveLeft() | PutReads():
                await self._act_elsewhere(action, seen, outcome)
            case StopWorkload():
                await self._stop(seen.identity, action)
            case AwaitEnd():
                raise Requeue(action.what)
            case MakeSecret() | RemoveSecret() | DropPrevious() if planned.agent is not None:
                await self._act_on_secret(action, planned.agent, outcome)
            case PutGateway() | DropGateway():
                await self._act_on_gateway(action, seen, planned, outcome)
            case EndPods():
                await self.pods.end(action.pods, seen.identity)

    async def _act_on_secret(
        self, action: MakeSecret | RemoveSecret | DropPrevious, agent: Agent, outcome: Outcome
    ) -> None:
        match action:
            case MakeSecret(name=name, known=known):
                secret = next(one for one in agent.spec.secrets if one.name == name)
                outcome.made[name] = await self.secrets.make(agent, secret, known=known)
            case RemoveSecret():
                await self.secrets.remove(action.name, agent)
            case DropPrevious():
                await self.secrets.drop_previous(agent, action.secret)

    async def _act_on_gateway(
        self, action: PutGateway | DropGateway, seen: Observed, planned: Plan, outcome: Outcome
    ) -> None:
        if self.gateways is None:
            return
        if isinstance(action, DropGateway):
            await self.gateways.drop(seen.identity)
        elif planned.agent is not None:
            await self.gateways.put(planned.agent, seen.gateway, known=action.known)
            outcome.wrote = True

    async def _remove(self, action: RemoveChild | RemoveRun, agent: Identity) -> None:
        if isinstance(action, RemoveRun):
            await self.pods.end_at_once(action.pods)
        await self.writer.remove(action.child, agent)

    async def _act_elsewhere(self, action: RemoveLeft | PutReads, seen: Observed, outcome: Outcome) -> None:
        """What is outside of the agent's namespace, and no child that a pass keeps."""
        if isinstance(action, RemoveLeft):
            await remove_left(self.writer, action.child, seen.key)
        elif self.reads is not None:
            changed = await self.reads.put(seen.key, action.wanted)
            outcome.wrote |= bool(changed)
            for binding in changed if action.known else ():
                self.writer.repaired(Ref(KIND, "", binding), seen.identity, EDITED)

    async def _stop(self, agent: Identity, action: StopWorkload) -> None:
        """No pods. To scale up what was stopped is one more edit."""
        stopped = [ref for ref in (action.ref, *action.others) if await self.writer.scale_to_zero(ref, agent)]
        for run in action.runs:
            await self.writer.remove(run, agent)
        if not stopped:
            return
        if self.writer.fences.stop(Key(agent.namespace, agent.name)):
            name = AgentName(agent.namespace, agent.name)
            self.emit(AgentStopped(agent=name, uid=agent.uid, reason=str(action.why.reason), why=action.why.message))
        else:
            for ref in stopped:
                self.writer.repaired(ref, agent, EDITED)


def _goes_on(action: Action, outcome: Outcome) -> bool:
    """Whether an action is done though something is in the way: what is there stays as it should be.

    Without the deny policy the other parts of the fence do, and nothing else. A stop is done whatever is in its way.
    """
    if isinstance(action, StopWorkload | RemoveLeft):
        return True
    if not isinstance(action, EnsureChild) or not action.keep:
        return False
    return part_of_fence(action) is not None or not outcome.without_deny


def _custom(role: Manifest) -> list[Atom]:
    """What of a Role is on custom resources."""
    return sorted(
        {
            Atom(*words)
            for rule in role.get("rules") or []
            for words in product(rule["apiGroups"], rule["resources"], rule["verbs"])
        }
        - CEILING
    )


def obstacle(phase: Phase, failure: RingfenceError) -> Blocked | None:
    """What a failure means for a phase. None: nothing to tell, it passes by itself or the agent is gone."""
    condition, found = phase.condition, None
    match failure:
        case OwnershipConflict():
            found = Blocked(condition, Reason.CHILD_NOT_OURS, str(failure), fenceless=True)
        case NotGranted():
            found = Blocked(condition, Reason.NOT_GRANTED, str(failure))
        case GatewayUnusable():
            found = Blocked(condition, Reason.GATEWAY_UNUSABLE, str(failure))
        case NotHeld() | NotInCeiling() | ReadsMissing():
            found = Blocked(condition, Reason.NOT_GRANTED, str(failure), retry=True)
        case MutatedOnWrite():
            soon = phase.order <= Order.ALLOW
            found = Blocked(condition, Reason.WRITE_FAILED, str(failure), fenceless=True, retry=soon)
        case NotServed():
            soon = phase.order <= Order.ALLOW
            found = Blocked(condition, Reason.WRITE_FAILED, str(failure), fenceless=True, retry=soon)
        case Requeue():
            found = Blocked(condition, Reason.PROGRESSING, str(failure), retry=True, retry_after=failure.retry_after)
        case ApiError() if failure.kind is not ErrorKind.RETRY:  # what passes by itself is not worth a word
            # A refusal is said in the status. It is tried again all the same, at growing intervals: quotas and the like
            # do change, and tell nobody. A fence is tried again soon, and so is what was not refused for good (a 500).
            found = Blocked(
                condition,
                Reason.WRITE_FAILED,
                failure.message[:1000],
                fenceless=failure.final,
                retry=phase.order <= Order.ALLOW or not failure.final,
                retry_after=failure.retry_after,
            )
    return found
