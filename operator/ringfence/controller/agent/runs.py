"""The runs of an agent whose work ends: what is there, which are to be, what is told of them. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from ringfence.api import AgentDeploymentSpec
from ringfence.api.secrets import duration
from ringfence.resources import Ref
from ringfence.resources.model import Runs, child_name
from ringfence.resources.runs import BY_REQUEST, BY_SPEC, concurrency, ends, kept, makes_pods, requested_run, spec_run
from ringfence.resources.secrets import when
from ringfence.resources.stored import Desired, StoredChild

from .fence import Stop
from .observed import Observed

MOST: Final = 10
"""Runs that the status has, as the CRD bounds it."""
LAST_SPEC, LAST_REQUEST = "lastSpecRun", "lastRequestedRun"
"""Fields of the status."""

NO_MORE: Final = Runs(by_spec=False)
Cause = Literal["Spec", "Schedule", "Request"]
SUSPENDED, CHANGED, REPLACED, REMOVED = "Suspended", "SpecChanged", "Replaced", "Removed"
NO_RUNS, ANOTHER, NOT_ACCEPTED = "NoRuns", "AnotherRun", "NotAccepted"


@dataclass(frozen=True)
class Run:
    """One Job as it is stored. `failure`: why it failed. `template`: digest of what its pods run."""

    child: StoredChild
    cause: Cause
    began: str | None
    ended: str | None
    failure: str | None
    ready: int
    failures: int
    template: str

    @property
    def name(self) -> str:
        """Of its Job."""
        return self.child.ref.name

    @property
    def active(self) -> bool:
        """Whether it has pods, or will have some."""
        return self.ended is None and not self.child.deleting

    @property
    def is_there(self) -> bool:
        """Whether pods of it may be there still."""
        return self.ended is None or self.child.deleting


@dataclass(frozen=True)
class Removal:
    """A run that is to go. `why`: for the status, where it is at work; None: it has ended, and is not kept any more."""

    run: Run
    why: str | None = None


@dataclass(frozen=True)
class Coming:
    """What is to become of an agent's runs.

    `runs`: those to be. `leaving`: the workload of the mode before. `removals`: runs to go. `waits`: what has to end
    before anything is made; empty: nothing. `refused`: name of the Job of a request that is refused, and why.
    """

    runs: Runs = NO_MORE
    leaving: tuple[StoredChild, ...] = ()
    removals: tuple[Removal, ...] = ()
    waits: str = ""
    refused: tuple[str, str] | None = None


NOTHING: Final = Coming()


def read(child: StoredChild, agent: str) -> Run:
    """A Job of the agent of that name."""
    shown = child.shown or {}
    status, metadata = shown.get("status") or {}, shown.get("metadata") or {}
    end = next(iter(status.get("conditions") or ()), None)
    failure = str(end.get("reason") or "Failed") if end and end.get("type") == "Failed" else None
    ended = (status.get("completionTime") or end.get("lastTransitionTime")) if end else None
    return Run(
        child=child,
        cause=_cause(child.ref.name, agent),
        began=status.get("startTime") or metadata.get("creationTimestamp"),
        ended=ended or (metadata.get("creationTimestamp") if end else None),
        failure=failure,
        ready=status.get("ready") or 0,
        failures=status.get("failed") or 0,
        template=shown.get("template") or "",
    )


def present(seen: Observed) -> list[Run]:
    """All that are stored, the newest first."""
    found = [read(child, seen.key.name) for child in seen.runs]
    return sorted(found, key=lambda run: (run.began or "", run.name), reverse=True)


def schedule_of(seen: Observed) -> StoredChild | None:
    """The agent's CronJob."""
    ref = Ref("CronJob", seen.key.namespace, child_name(seen.key.name))
    return next((child for child in seen.owned if child.ref == ref), None)


def workloads(seen: Observed) -> list[StoredChild]:
    """What is stored that makes the agent's pods: its Deployment, its CronJob, its own Jobs that have not ended."""
    own = [child for child in seen.owned if makes_pods(child.ref.kind, child.ref.name)]
    return [one for one in own if one.ref.kind != "Job" or read(one, seen.key.name).ended is None]


def coming(
    seen: Observed, spec: AgentDeploymentSpec, stop: Stop | None, wanted: Desired | None, *, accepted: bool
) -> Coming:
    """Of an agent that is applied. `wanted`: a workload of this spec, to compare what runs with.

    `accepted`: whether it fits its policies; else it is kept as it was.
    """
    if stop is not None:
        return Coming(refused=_refuse(seen, str(stop.reason)))
    there = present(seen)
    own = [child for child in seen.owned if makes_pods(child.ref.kind, child.ref.name)]
    leaving = tuple(child for child in own if child.ref.kind not in {*_kinds(spec), "Job"})
    if not ends(spec):
        away = tuple(Removal(run, CHANGED if run.active else None) for run in there if not run.child.deleting)
        waits = _ending([*leaving, *(run.child for run in there)]) or _pods_left(seen, "job")
        return Coming(leaving=leaving, removals=away, waits=waits, refused=_refuse(seen, NO_RUNS))
    name = spec_run(seen.key.name, spec)
    removals = [*_outdated(seen, spec, there, wanted, name), *_too_many(seen, spec, there, name)]
    waits = _ending(leaving) or _pods_left(seen, "replica_set")
    by_spec = False
    if spec.run is not None and spec.run.mode == "Job":
        by_spec, before = _by_spec(seen, there, name, suspended=spec.suspended)
        waits = waits or _ending(before)
        removals += [Removal(run) for run in there if run.child in before and run.ended and not run.child.deleting]
    going = {one.run.name for one in removals}
    at_work = [run for run in there if run.active and run.name not in going]
    request = _Request(_request(seen), accepted=accepted, waiting=bool(waits), by_spec=by_spec)
    requested, refused, replaced = request.answer(spec, there, at_work)
    others = [run for run in at_work if run.cause != "Schedule"]
    return Coming(
        runs=Runs(by_spec, requested, held=bool(others or requested) and concurrency(spec.run) != "Allow"),
        leaving=leaving,
        removals=(*removals, *replaced),
        waits=waits or _ending([one.run.child for one in replaced]),
        refused=refused,
    )


def _by_spec(seen: Observed, there: Sequence[Run], name: str, *, suspended: bool) -> tuple[bool, Sequence[StoredChild]]:
    """Whether the run of mode Job is to be, and what has to end before it."""
    if seen.status.get(LAST_SPEC) == name:
        return False, ()
    job = next((run for run in there if run.name == name), None)
    if job is None:
        older = [run.child for run in there if run.cause == "Spec" and run.is_there]
        return not suspended, () if suspended else older
    if job.active:
        return True, ()
    told: Mapping[str, Any] = next((one for one in seen.status.get("runs") or [] if one["name"] == name), {})
    # One that ended and was told: the spec went to something else, and back to what it was.
    again = job.child.deleting or told.get("ended") == job.ended
    return False, (job.child,) if again else ()


@dataclass(frozen=True)
class _Request:
    """Somebody's request for a run. `name`: of its Job; None: there is none, or it was answered."""

    name: str | None
    accepted: bool
    waiting: bool
    by_spec: bool

    def answer(
        self, spec: AgentDeploymentSpec, there: Sequence[Run], at_work: Sequence[Run]
    ) -> tuple[str | None, tuple[str, str] | None, list[Removal]]:
        """Its Job, if it is to be now; why it is refused; which runs are to end before it."""
        job = next((run for run in there if run.name == self.name), None)
        if self.name is None or job is not None:
            return (self.name if job is not None and job.active and not spec.suspended else None), None, []
        if spec.suspended or not self.accepted:
            return None, (self.name, SUSPENDED if spec.suspended else NOT_ACCEPTED), []
        if concurrency(spec.run) == "Forbid" and (at_work or self.by_spec):
            return None, (self.name, ANOTHER), []
        if concurrency(spec.run) == "Replace" and (before := [run for run in there if run.is_there]):
            return None, None, [Removal(run, REPLACED) for run in before]
        return (None if self.waiting else self.name), None, []


def _request(seen: Observed) -> str | None:
    """Name of the Job of a request that was not answered yet."""
    digest = seen.agent.run_request if seen.agent else ""
    if not digest:
        return None
    name = requested_run(seen.key.name, digest)
    return None if seen.status.get(LAST_REQUEST) == name else name


def _refuse(seen: Observed, why: str) -> tuple[str, str] | None:
    name = _request(seen)
    if name is None or any(run.name == name for run in present(seen)):
        return None
    return name, why


def refusal(seen: Observed) -> tuple[str, str] | None:
    """Of an agent that is not accepted."""
    return _refuse(seen, NOT_ACCEPTED)


def _kinds(spec: AgentDeploymentSpec) -> frozenset[str]:
    """Kinds of the workload of a mode."""
    if spec.run is None or not spec.run.ends:
        return frozenset({"Deployment"})
    return frozenset({"Job"}) if spec.run.mode == "Job" else frozenset({"CronJob", "Job"})


def _ending(children: Iterable[StoredChild]) -> str:
    """What is to be waited for, in words; empty: nothing."""
    return next((f"waits until {child.ref.kind} {child.ref.name} has ended" for child in children), "")


def _pods_left(seen: Observed, owner: str) -> str:
    """A pod of the mode before, by the kind that made it."""
    for pod in seen.pods:
        if getattr(pod, owner) is not None and not pod.is_over:
            return f"waits until pod {pod.key.name} has ended"
    return ""


def _outdated(
    seen: Observed, spec: AgentDeploymentSpec, there: Sequence[Run], wanted: Desired | None, own_name: str
) -> Iterator[Removal]:
    """Runs at work of something else than the spec says now; where it is suspended, all but the one of mode Job."""
    mode = spec.run.mode if spec.run else "Service"
    right = _templates(seen, wanted)
    for run in there:
        if not run.active:
            continue
        of_mode = {"Spec": "Job", "Schedule": "Schedule"}.get(run.cause, mode)
        if of_mode != mode or (run.cause == "Spec" and run.name != own_name):
            yield Removal(run, CHANGED)
        elif run.cause != "Spec" and spec.suspended:
            yield Removal(run, SUSPENDED)
        elif run.cause != "Spec" and right and run.template not in right:
            yield Removal(run, CHANGED)


def _templates(seen: Observed, wanted: Desired | None) -> set[str]:
    """Digests of what pods are to run: as it is meant, and as the API server has completed it."""
    if wanted is None or wanted.template is None:
        return set()
    schedule = schedule_of(seen)
    if schedule is not None and schedule.mark == wanted.mark:
        known = seen.ownership.get(schedule.ref)
        if known is not None and known.completed == (wanted.digest, schedule.digest):
            return {wanted.template, (schedule.shown or {}).get("template") or ""}
    return {wanted.template}


def _too_many(seen: Observed, spec: AgentDeploymentSpec, there: Sequence[Run], name: str) -> Iterator[Removal]:
    """Ended runs of ours that are not kept; none whose end is not known from the status. A CronJob keeps its own."""
    keep = kept(spec.run)
    lasts, counts = duration(keep.time), {True: 0, False: 0}
    untold = {_request(seen), None if seen.status.get(LAST_SPEC) == name else name}
    for run in there:
        if run.ended is None or run.child.deleting or run.cause == "Schedule":
            continue
        well = run.failure is None
        counts[well] += 1
        ended = when(run.ended)
        over = counts[well] > (keep.succeeded if well else keep.failed)
        if (over or (ended is not None and seen.now - ended >= lasts)) and run.name not in untold:
            yield Removal(run)


def kept_until(seen: Observed, spec: AgentDeploymentSpec) -> list[datetime]:
    """When ended runs of ours are to go."""
    lasts = duration(kept(spec.run).time)
    ended = [when(run.ended) for run in present(seen) if run.ended and run.cause != "Schedule"]
    return [one + lasts for one in ended if one is not None]


def history(seen: Observed, decided: Coming, now: str) -> dict[str, Any]:
    """The fields of the status that tell of runs; empty where there never was one."""
    before = {entry["name"]: entry for entry in seen.status.get("runs") or []}
    going = {one.run.name: one.why for one in decided.removals if one.why}
    found: dict[str, dict[str, Any]] = {name: dict(entry) for name, entry in before.items()}
    there = present(seen)
    for run in there:
        if (entry := _entry(run, before.get(run.name), going.get(run.name), now)) is not None:
            found[run.name] = entry
    for name in before.keys() - {run.name for run in there}:
        if found[name].get("outcome") == "Running":
            found[name] |= {"outcome": "Ended", "reason": REMOVED, "ended": now}
    if decided.refused is not None:
        name, why = decided.refused
        found[name] = {"name": name, "cause": "Request", "outcome": "Refused", "reason": why, "ended": now}
    newest = sorted(found.values(), key=lambda one: (one.get("started") or one["ended"], one["name"]), reverse=True)
    told: dict[str, Any] = {"runs": newest[:MOST]} if newest else {}
    for one in sorted(ended_since(seen.status, newest), key=lambda one: str(one["ended"])):
        if one["cause"] == "Spec" and one["outcome"] in {"Succeeded", "Failed"}:
            told[LAST_SPEC] = one["name"]
        if one["cause"] == "Request" and one["name"] == _request(seen):
            told[LAST_REQUEST] = one["name"]
    return told


def _entry(run: Run, before: Mapping[str, Any] | None, why: str | None, now: str) -> dict[str, Any] | None:
    """What is told of one Job; None: what was told before is all."""
    entry: dict[str, Any] = {"name": run.name, "cause": run.cause}
    entry |= {"started": run.began} if run.began else {}
    entry |= {"failures": run.failures} if run.failures else {}
    if run.ended is not None:
        outcome = {"outcome": "Succeeded"} if run.failure is None else {"outcome": "Failed", "reason": run.failure}
        return entry | outcome | {"ended": run.ended}
    if why is not None:
        return entry | {"outcome": "Ended", "reason": why, "ended": now}
    if run.child.deleting:
        if before is not None and before.get("outcome") != "Running":
            return None
        return entry | {"outcome": "Ended", "reason": REMOVED, "ended": now}
    return entry | {"outcome": "Running"}


def ended_since(status: Mapping[str, Any], told: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The runs that ended, or were refused, since a status."""
    before = {one["name"]: one.get("ended") for one in status.get("runs") or []}
    return [one for one in told if one.get("ended") and before.get(one["name"]) != one["ended"]]


def numbers(there: Sequence[Run]) -> dict[str, int]:
    """As a Deployment's."""
    at_work = [run for run in there if run.active]
    return {"replicas": len(at_work), "readyReplicas": sum(run.ready for run in at_work)}


def _cause(name: str, agent: str) -> Cause:
    rest = name.removeprefix(child_name(agent) + "-")
    return "Spec" if rest.startswith(BY_SPEC) else "Request" if rest.startswith(BY_REQUEST) else "Schedule"
