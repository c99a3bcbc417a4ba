"""One pass over one agent: observe, plan, execute, report. Level-triggered: it asks what is, not what happened."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from ringfence.api.status import ConditionType, Reason
from ringfence.controller.runtime.loop import Look
from ringfence.kube import ApiError, NotFound, Object, RingfenceError
from ringfence.policy.builtin import RESTRICTED
from ringfence.policy.decide import decide
from ringfence.policy.limits import LIMIT_RULES
from ringfence.policy.model import NamedPolicy, RuleName
from ringfence.resources import Ref
from ringfence.resources.network import lead_lines
from ringfence.resources.rotation import rotating
from ringfence.resources.secret_names import rotation_name
from ringfence.resources.secrets import stamp
from ringfence.store.records import Key, agent_path, packed
from ringfence.store.store import Store
from ringfence.telemetry.events import (
    AgentDeleted,
    AgentName,
    AgentObserved,
    ConditionChanged,
    Emit,
    RunEnded,
)
from ringfence.telemetry.trials import FenceTried

from . import conditions, redirects, verification
from .conditions import Finding
from .errors import AgentGone
from .execute import Executor, Outcome
from .fence import TRY_AGAIN, TRY_LATER
from .observe import Observer
from .observed import Observed
from .plan import Mode, Plan, candidate, plan
from .recorder import Recorder
from .report import After, Report, changes, going, report
from .runs import ended_since
from .workloads import pods_wanted
from .writer import Writer

NOTHING = Look()
AT_ONCE = Look(after=0.0)
FIRST_STATUS = 1.0
"""Seconds until the first status of a new agent at the latest. The Deployment's own status, which comes within
milliseconds, wakes it sooner: one status then says all, in place of two."""


OF_NO_POLICY = {RuleName.HAND_OVER_UNDECIDED, RuleName.PERMISSION_NOT_HELD, RuleName.SECRET_UNREADABLE}
"""Rules about who asked, and not about what."""


@dataclass
class AgentReconciler:
    """Works on one key at a time; holds no state of its own about agents."""

    store: Store
    observer: Observer
    executor: Executor
    writer: Writer
    recorder: Recorder
    emit: Emit
    keep_namespace: Sequence[Callable[[str], Awaitable[None]]] = ()
    keep_target: Callable[[str], Awaitable[None]] | None = None
    """The same of another namespace that consents to permissions in it."""
    kind: str = field(default="AgentDeployment", init=False)
    _deferred: set[Key] = field(default_factory=set, init=False)
    """New agents whose first status waits for their workload's: once, and not for ever."""

    def about(self, key: Key) -> Mapping[str, str]:
        """As fields of a log line."""
        return {"agent": key.name, "namespace": key.namespace}

    async def reconcile(self, key: Key) -> Look:
        """One pass. Raises RingfenceError: the caller tries again later."""
        seen = await self.observer.observe(key)
        if seen.agent is not None:
            seen = replace(seen, fence=self.writer.fences.history(key, seen.status))
        planned = plan(seen)
        self._note_decision(seen, planned)  # before anybody else is decided on: nothing is waited for in between
        try:
            return await self._pass(seen, planned)
        except AgentGone:
            # Its end was told late or, between the first read and the watch, to nobody.
            if seen.agent is not None:
                self.store.agents.remove(key, seen.agent.version)
            self._forget(key)
            return NOTHING

    async def failed(self, key: Key, failure: Exception) -> None:
        """A pass ended by a mistake of ours: the agent's status says so. Its children stay as they are."""
        agent = self.store.agents.get(key)
        if agent is None or agent.deleting:
            return
        seen = Observed(key=key, agent=agent, now=self.observer.clock(), status=agent.status)
        sentence = (
            f"Ringfence could not work on this agent because of a mistake of its own ({type(failure).__name__}); it "
            "tries again with growing pauses. See the controller's log, and report it."
        )
        findings = [Finding(ConditionType.READY, "False", Reason.INTERNAL_ERROR, sentence)]
        old = seen.status.get("conditions") or []
        merged = conditions.stored(old, findings, generation=agent.generation, now=stamp(seen.now))
        kept = [one for one in old if one["type"] not in {said["type"] for said in merged}]
        await self._store_status(seen, {**seen.status, "conditions": [*merged, *kept]}, changes(seen, findings))

    async def _pass(self, seen: Observed, planned: Plan) -> Look:
        if planned.mode is Mode.FORGET:
            self._forget(seen.key)
            if planned.actions:  # in other namespaces
                self._raise(await self.executor.execute(seen, planned))
            return NOTHING
        self._record(seen, planned)
        if planned.mode is Mode.APPLY:
            await self._keep_namespace(seen.key, planned)
        outcome = await self.executor.execute(seen, planned)
        if planned.mode is Mode.WIND_DOWN:
            told = going(seen, outcome)
            await self._store_status(seen, told.status, told.changed)
            if outcome.failure is not None:
                raise outcome.failure
            return told.look
        if self._begins_to_be_contested(seen):
            return AT_ONCE
        if _just_made(seen, planned, outcome) and seen.key not in self._deferred:
            self._deferred.add(seen.key)
            return Look(after=FIRST_STATUS)
        self._deferred.discard(seen.key)
        after = await self.observer.after(seen, planned, outcome)
        if after.secrets is not None:
            self.recorder.secrets(seen.key, after.secrets, max_age=planned.max_age, now=seen.now, uid=seen.identity.uid)
        told = report(seen, planned, outcome, after)
        await self._store_status(seen, told.status, told.changed)
        if told.egress is not None:
            stored = seen.status.get(redirects.FIELD) or []
            self.recorder.services(seen.key, seen.identity.uid, stored=stored, found=lead_lines(seen.services))
        self._tell_runs(seen, told)
        self._tell_trial(seen, told)
        self._observed(seen, planned, told, after)
        self._try_again(outcome, after)
        return told.look

    async def _keep_namespace(self, key: Key, planned: Plan) -> None:
        """What the namespace has for itself first, before any pod. What hinders it, the namespace's pass tells."""
        for keep in self.keep_namespace:
            with contextlib.suppress(RingfenceError):
                await keep(key.namespace)
        if planned.agent is None or self.keep_target is None:
            return
        for target in planned.agent.elsewhere:
            with contextlib.suppress(RingfenceError):
                await self.keep_target(target)

    @staticmethod
    def _raise(outcome: Outcome) -> None:
        if outcome.blocked is not None:
            raise outcome.blocked.error()

    def _begins_to_be_contested(self, seen: Observed) -> bool:
        """Whether a repair of this very pass was one too many."""
        return seen.fence.contested is None and self.writer.fences.history(seen.key).contested is not None

    def _try_again(self, outcome: Outcome, after: After) -> None:
        """Raise what is to be tried again; a fence soon, and the sooner as long as its agent has pods."""
        pods = pods_wanted(after.workload)
        longest = (TRY_AGAIN if pods else TRY_LATER) if outcome.unfenced else None
        if (failure := outcome.failure) is not None:
            failure.longest_pause = longest
            raise failure
        if (blocked := outcome.blocked) is not None and (blocked.retry or (outcome.unfenced and pods)):
            raise blocked.error(longest)

    def _forget(self, key: Key) -> None:
        if self.writer.fences.forget(key):
            self.emit(AgentDeleted(agent=AgentName(*key)))
        self._let_be(key)

    def _let_be(self, key: Key) -> None:
        """Nothing more is told of it: it is gone, or about to go."""
        self._deferred.discard(key)
        self.recorder.forget(key)
        self.observer.forget(key)
        self.store.note_fit(key, frozenset(), frozenset())

    def _record(self, seen: Observed, planned: Plan) -> None:
        """What is told before anything is written: news that do not depend on it."""
        if seen.agent is None:
            return
        if planned.mode is Mode.WIND_DOWN:
            self._let_be(seen.key)
            return
        agent = seen.agent
        self.recorder.violations(seen.key, agent.uid, agent.generation, planned.violations, agent.manager)
        self.recorder.widened(seen.key, agent.uid, seen.widened)
        if planned.agent is not None:
            self.recorder.jobs(seen.key, self._cron_jobs(seen, planned))
        self._note_fit(seen, planned)

    def _note_decision(self, seen: Observed, planned: Plan) -> None:
        """What the agent takes of its policies' limits. One that was accepted before keeps what it has."""
        stored = self.store.agents.get(seen.key)
        if seen.agent is None or stored is None or stored.uid != seen.agent.uid or seen.agent.deleting:
            return
        no_room = any(violation.rule in LIMIT_RULES for violation in planned.violations)
        self.store.note_decision(seen.agent, accepted=planned.mode is Mode.APPLY, no_room=no_room)

    def _note_fit(self, seen: Observed, planned: Plan) -> None:
        """For the policies' own status: which bind the agent, and which of them it does not fit."""
        # The built-in policy is no object: one that has its name does not bind the agent by that.
        bound = [policy for policy in planned.bound if policy is not RESTRICTED]
        of_policies = [one for one in planned.violations if one.rule not in OF_NO_POLICY]
        misfits = frozenset(_misfits(seen, bound)) if of_policies else frozenset[str]()
        self.store.note_fit(seen.key, frozenset(map(_object_name, bound)), misfits)

    def _cron_jobs(self, seen: Observed, planned: Plan) -> dict[str, Mapping[str, object]]:
        """Those of the agent's secrets, as last seen, by the names of the secrets."""
        if planned.agent is None or not planned.agent.spec.secrets:
            return {}
        names = {one.name: rotation_name(seen.key.name, one.name) for one in rotating(planned.agent)}
        refs = {name: Ref("CronJob", seen.key.namespace, job) for name, job in names.items()}
        found = {name: seen.children[ref].shown for name, ref in refs.items() if ref in seen.children}
        return {name: shown for name, shown in found.items() if shown is not None}

    def _tell_runs(self, seen: Observed, told: Report) -> None:
        for one in ended_since(seen.status, told.status.get("runs") or []):
            self.emit(
                RunEnded(
                    agent=AgentName(*seen.key),
                    uid=seen.identity.uid,
                    name=one["name"],
                    cause=one["cause"],
                    outcome=one["outcome"],
                    reason=one.get("reason"),
                )
            )

    def _tell_trial(self, seen: Observed, told: Report) -> None:
        found = told.status.get(verification.FIELD)
        if found is None or found == seen.status.get(verification.FIELD):
            return
        self.emit(
            FenceTried(
                agent=AgentName(*seen.key),
                uid=seen.identity.uid,
                name=found["name"],
                outcome=found["outcome"],
                tried=found["tried"],
                failed=len(found["failed"]),
                message=found["message"],
            )
        )

    def _observed(self, seen: Observed, planned: Plan, told: Report, after: After) -> None:
        wanted = ((after.workload or {}).get("spec") or {}).get("replicas", told.status["replicas"]) or 0
        self.emit(
            AgentObserved(
                agent=AgentName(*seen.key),
                uid=seen.identity.uid,
                conditions=told.status["conditions"],
                ready=told.status["readyReplicas"],
                wanted=wanted,
                rules=len({violation.rule for violation in planned.violations}),
            )
        )

    async def _store_status(self, seen: Observed, status: Object, changed: Sequence[ConditionChanged]) -> None:
        """Write the status where it differs; then tell what changed."""
        if all(seen.status.get(name) == value for name, value in status.items()):
            return
        key = seen.key
        self.store.expected_status[key] = packed(status)
        try:
            self.store.agents.take(self.store.agents.record(await self._write_status(seen, status)))
        finally:
            self.store.expected_status.pop(key, None)
        for change in changed:
            self.emit(change)

    async def _write_status(self, seen: Observed, status: Object) -> Object:
        """The status of this very agent: a later one of the same name must not be taken for one that was accepted."""
        self.writer.guard()
        uid = seen.identity.uid
        operations: list[Object] = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "add", "path": "/status", "value": status},
        ]
        try:
            return await self.writer.kube.json_patch(agent_path(seen.key, "/status"), operations)
        except NotFound as failure:
            raise AgentGone(uid) from failure
        except ApiError as failure:
            if failure.status == HTTPStatus.UNPROCESSABLE_ENTITY:
                await self.writer.still_there(seen.identity)
            raise


def _just_made(seen: Observed, planned: Plan, outcome: Outcome) -> bool:
    """Whether all children of a new agent were written in this pass: what can be said of them comes in a moment."""
    made = outcome.wrote and outcome.blocked is None and not seen.accepted_before
    return made and planned.mode is Mode.APPLY and not planned.violations


def _misfits(seen: Observed, bound: Sequence[NamedPolicy]) -> list[str]:
    """The names of the policies that bind the agent and do not allow it as it is stored."""
    if len(bound) == 1:
        return [_object_name(bound[0])]
    agent = candidate(seen, seen.agent) if seen.agent else None
    return [_object_name(policy) for policy in bound if agent and decide(agent, [policy], seen.facts)]


def _object_name(policy: NamedPolicy) -> str:
    """The policy's own name: one that cannot be read has a remark behind it."""
    return policy.name.partition(" ")[0]
