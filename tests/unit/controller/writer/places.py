"""A place with one agent, on a pretended API server, and the writer at work."""

from typing import Any

from ringfence.controller.agent.actions import (
    EnsureChild,
)
from ringfence.controller.agent.fit import judge
from ringfence.controller.agent.writer import Writer
from ringfence.kube import Object
from ringfence.resources import CHILD_KINDS, Ref
from ringfence.resources.phases import ALLOW
from ringfence.store.context import PolicyContext
from ringfence.store.records import agent_path, child_path
from ringfence.store.store import Store
from ringfence.telemetry.events import ChildRepaired, ChildWritten, FinalizersRemoved
from unit.controller.make import (
    ACCOUNT,
    BINDING,
    DEPLOYMENT,
    KEY,
    POLICY_ALLOW,
    POLICY_DENY,
    ROLE,
    RULES,
    agent,
    body,
    built,
)
from unit.fakes.kube import FakeKube

AGENT = agent()
EVERY = [POLICY_DENY, POLICY_ALLOW, ACCOUNT, ROLE, BINDING, DEPLOYMENT]


class Place:
    """A writer, the API server that it writes to, and what it told."""

    def __init__(self) -> None:
        self.kube, self.store, self.told, self.leads = FakeKube(), Store(PolicyContext()), list[Any](), True
        self.kube.cluster.put(agent_path(KEY), body())
        self.writer = Writer(self.kube, self.store, lambda: self.leads, self.told.append)

    async def ensure(self, ref: Ref, spec: Any = RULES, *, known: bool = False, behind: Ref | None = None) -> bool:
        """As a pass would have it: judged by what the store has."""
        desired = built(ref, spec)
        fit = judge(desired, self.store.children.get(ref), AGENT, self.store.ownership.get(ref))
        action = EnsureChild(phase=ALLOW, desired=desired, fit=fit, known=known, behind_fence=behind)
        return await self.writer.ensure(action, AGENT)

    async def edit(self, ref: Ref, change: Object, *, manager: str = "kubectl-edit") -> None:
        """Somebody's edit, which the watch shows."""
        self.kube.cluster.time = "2026-01-02T00:00:00Z"
        await FakeKube(self.kube.cluster).merge(child_path(ref), change, manager=manager)
        self.hear(ref)

    def hear(self, ref: Ref) -> None:
        self.store.children.observe("MODIFIED", {"kind": ref.kind, **self.live(ref)})

    def live(self, ref: Ref) -> Object:
        return self.kube.objects[child_path(ref)]

    def take(self) -> tuple[list[str], list[str]]:
        """Requests and what was told since the last look."""
        requests, self.kube.requests[:] = [one.verb for one in self.kube.requests], []
        told, self.told[:] = [_short(one) for one in self.told], []
        return requests, told


def making(ref: Ref) -> str:
    """The request by which a child is made."""
    return "apply_new" if CHILD_KINDS[ref.kind].merged else "create"


def _short(event: Any) -> str:
    match event:
        case ChildWritten():
            return event.verb
        case FinalizersRemoved():
            return f"{event.rule} {','.join(event.finalizers)}"
        case ChildRepaired():
            return f"{event.rule} {event.manager}"
    return type(event).__name__
