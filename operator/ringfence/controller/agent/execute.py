"""Does what a plan says, in order, and tells how far it came. The only place that writes for agents, with writer.py."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ringfence.api.status import ConditionType, Reason
from ringfence.kube import ApiError, ErrorKind, RingfenceError
from ringfence.resources import Identity, Ref
from ringfence.resources.model import child_name
from ringfence.resources.phases import DENY as DENY_PHASE
from ringfence.resources.phases import Order, Phase
from ringfence.telemetry.events import AgentName, AgentStopped, Emit

from .errors import MutatedOnWrite, NotGranted, OwnershipConflict, Requeue
from .plan import (
    NO_FENCE,
    Action,
    DropPrevious,
    EnsureChild,
    MakeSecret,
    Mode,
    Observed,
    Plan,
    RemoveChild,
    RemoveSecret,
    StopWorkload,
)
from .secrets import Secrets
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

    def error(self) -> Requeue:
        """The same, for whoever tries again."""
        return Requeue(self.message, self.retry_after)


@dataclass
class Outcome:
    """What executing came to. `made`: metadata of the Secrets that were made, by the secret's name."""

    blocked: Blocked | None = None
    wrote: bool = False
    made: dict[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass
class Executor:
    """Works on one agent at a time."""

    writer: Writer
    secrets: Secrets
    emit: Emit

    async def execute(self, seen: Observed, planned: Plan) -> Outcome:
        """Do it; stop at the first phase that cannot be done, but for what is there and stays as it should be.

        Raises RingfenceError of the kinds RETRY and GONE: the caller tries again later, or forgets the agent.
        """
        outcome = Outcome()
        agent = planned.agent or seen.identity
        self.writer.remember(planned.right, seen.identity)
        for action in planned.actions:
            if outcome.blocked and not (isinstance(action, EnsureChild) and action.keep):
                continue
            blocked = await self._try(action, self._act(action, seen, planned, outcome))
            outcome.blocked = outcome.blocked or blocked
            if blocked and isinstance(action, EnsureChild) and action.phase is DENY_PHASE:
                if blocked.fenceless:  # without the policy, and no prospect of it, the agent's pods are stopped
                    await self._stop(agent, NO_FENCE)
                break
        if planned.mode is Mode.HOLD and outcome.blocked is None:
            outcome.blocked = Blocked(ConditionType.ACCEPTED, Reason.REFUSED, "not accepted")
        return outcome

    async def _act(self, action: Action, seen: Observed, planned: Plan, outcome: Outcome) -> None:
        match action:
            case EnsureChild():
                outcome.wrote |= await self.writer.ensure(action, seen.identity)
            case RemoveChild():
                await self.writer.remove(action.child, seen.identity)
                outcome.wrote = True
            case StopWorkload():
                await self._stop(seen.identity, action.why)
            case MakeSecret() if planned.agent is not None:
                secret = next(one for one in planned.agent.spec.secrets if one.name == action.name)
                outcome.made[action.name] = await self.secrets.make(planned.agent, secret, known=action.known)
            case RemoveSecret() if planned.agent is not None:
                await self.secrets.remove(action.name, planned.agent)
            case DropPrevious() if planned.agent is not None:
                await self.secrets.drop_previous(planned.agent, action.secret)

    async def _stop(self, agent: Identity, why: str) -> None:
        """No pods."""
        ref = Ref("Deployment", agent.namespace, child_name(agent.name))
        if await self.writer.scale_to_zero(ref, agent):
            self.emit(AgentStopped(agent=AgentName(agent.namespace, agent.name), uid=agent.uid, why=why))

    async def _try(self, action: Action, work: Awaitable[None]) -> Blocked | None:
        """Do one action; what stands in its way is told, or raised where it will pass by itself."""
        try:
            await work
        except RingfenceError as failure:
            phase = getattr(action, "phase", None)
            if phase is None or (blocked := obstacle(phase, failure)) is None:
                raise
            return blocked
        return None


def obstacle(phase: Phase, failure: RingfenceError) -> Blocked | None:
    """What a failure means for a phase. None: nothing to tell, it passes by itself or the agent is gone."""
    condition, found = phase.condition, None
    match failure:
        case OwnershipConflict():
            found = Blocked(condition, Reason.CHILD_NOT_OURS, str(failure), fenceless=True)
        case NotGranted():
            found = Blocked(condition, Reason.NOT_GRANTED, str(failure))
        case MutatedOnWrite():
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
