"""A plan that is executed by hands that only take note."""

from collections.abc import Iterable, Mapping
from typing import Any

from ringfence.api.status import Reason
from ringfence.controller.agent.actions import (
    Action,
    EndPods,
    EnsureChild,
)
from ringfence.controller.agent.ages import ObservedSecret
from ringfence.controller.agent.execute import Executor, Outcome
from ringfence.controller.agent.fence import Fences, Stop
from ringfence.controller.agent.fit import Fit
from ringfence.controller.agent.plan import (
    Mode,
    Plan,
)
from ringfence.kube import ApiError
from ringfence.resources import Ref
from ringfence.resources.phases import ALLOW, DENY, PERMISSIONS, WORKLOAD, Phase
from ringfence.store.context import PolicyContext
from ringfence.store.records import StoredPod, read_pod
from ringfence.store.store import Store
from unit.controller.make import (
    ACCOUNT,
    DEPLOYMENT,
    POLICY_ALLOW,
    POLICY_DENY,
    ROLE,
    RULES,
    agent,
    built,
    left_pod,
    observed,
)
from unit.controller.make import SECRETS as WITH_SECRETS


class Hands:
    """In place of the writer and of the secrets: notes what is asked for, and fails where a test says so."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.fails: dict[str, Exception] = {}
        self.fences, self.store = Fences(), Store(PolicyContext())
        self.wrong: set[Ref] = set()
        self.unblocked: set[Ref] = set()

    def _do(self, what: str) -> None:
        self.done.append(what)
        if what in self.fails:
            raise self.fails[what]

    async def ensure(self, action: EnsureChild, _: Any) -> bool:
        self._do(f"{action.desired.ref.kind} {action.desired.ref.name}")
        return True

    async def remove(self, what: Any, _: Any = None) -> None:
        self._do(f"remove {what if isinstance(what, str) else what.ref.kind}")

    async def scale_to_zero(self, ref: Ref, _: Any) -> bool:
        self._do(f"stop {ref.name}")
        return True

    async def make(self, _: Any, secret: Any, *, known: bool) -> Mapping[str, Any]:
        self._do(f"make {secret.name} {known}")
        return {"uid": "s"}

    async def end(self, pods: Iterable[StoredPod], _: Any) -> None:
        self._do(f"end {' '.join(pod.key[1] for pod in pods)}")

    async def drop_previous(self, _: Any, one: ObservedSecret) -> None:
        self._do(f"drop {one.name}")

    def lacks_block(self, action: EnsureChild) -> bool:
        return action.desired.ref in self.unblocked

    def lets_more(self, ref: Ref, _desired: Any, _agent: Any) -> bool:
        return ref in self.wrong

    def repaired(self, ref: Ref, _agent: Any, rule: str) -> None:
        self.done.append(f"{rule} {ref.kind}")

    def remember(self, right: Any, _: Any) -> None:
        self.done += [f"remember {child.ref.kind}" for child in right]


class Run:
    """An executor, what it did, and what it told."""

    def __init__(self) -> None:
        self.hands, self.told = Hands(), list[Any]()
        hands: Any = self.hands
        self.executor = Executor(hands, hands, hands, self.told.append)

    async def do(self, *actions: Action, mode: Mode = Mode.APPLY, **more: Any) -> Outcome:
        return await self.executor.execute(
            observed(), Plan(mode=mode, agent=agent(WITH_SECRETS), actions=actions, **more)
        )


def ensure(phase: Phase, ref: Ref, *, keep: bool = False) -> EnsureChild:
    return EnsureChild(phase=phase, desired=built(ref, RULES), fit=Fit.WRONG, known=keep, keep=keep)


FIVE = [
    ensure(DENY, POLICY_DENY),
    ensure(ALLOW, POLICY_ALLOW),
    ensure(PERMISSIONS, ACCOUNT),
    ensure(PERMISSIONS, ROLE),
    ensure(WORKLOAD, DEPLOYMENT),
]
END = EndPods(phase=WORKLOAD, pods=(read_pod(left_pod()),))
UNFENCED = Stop(Reason.UNFENCED, "x")
REFUSED = ApiError(422, "Invalid", "no such thing")
