"""The trial of an agent's fence that somebody asked for: when it is to be, what came of it, what is told. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from ringfence.api.status import ConditionType, Reason
from ringfence.controller.runtime.loop import Look
from ringfence.proof.attempts import attempts_of
from ringfence.resources import Agent, Ref
from ringfence.resources.model import Verification
from ringfence.resources.secrets import stamp, when
from ringfence.resources.stored import StoredChild
from ringfence.resources.verification import DEADLINE
from ringfence.resources.workload import is_stopped
from ringfence.store.records import StoredPod

from . import diagnosis
from .conditions import Finding
from .fence import Stop
from .observed import Observed

FIELD: Final = "verification"
"""Of the status."""
NO_PODS_YET: Final = timedelta(seconds=5)
"""After the end of its Job: so long its pod, which is told by another watch, is waited for."""
LOOK: Final = 2.0
"""Seconds between two looks at one that is under way: what hinders it, no watch tells."""
MOST_LISTED: Final = {"failed": 32, "untried": 32, "silent": 256, "held": 256}
"""As the CRD bounds them."""
NO_IMAGE: Final = "the controller was started without --job-image, and so has nothing to try it with"
STOPPED: Final = "the agent has no pods, since it is suspended or has no replicas: let it run, and ask again"
NOT_ACCEPTED: Final = "the agent is not accepted: condition Accepted says why"


def asked(seen: Observed) -> str | None:
    """Name of the Job of a request that was not answered yet."""
    name = seen.agent.verify_request if seen.agent else ""
    return name if name and (seen.status.get(FIELD) or {}).get("name") != name else None


def wanted(seen: Observed, agent: Agent, stop: Stop | None) -> Verification | None:
    """Of an agent that is applied: what is to be tried now."""
    name = asked(seen)
    if name is None or stop is not None or is_stopped(agent) or agent.job_image is None:
        return None
    if seen.trial is not None and (table := (seen.trial.shown or {}).get("table")):
        return Verification(name, table)  # what is around the agent may be another by now: what has begun goes on
    rows = [one.as_json() for one in attempts_of(agent, seen.around)]
    return Verification(name, json.dumps(rows, separators=(",", ":")))


def answer(
    seen: Observed, agent: Agent | None, *, applied: bool, stopped: bool, blocked: str, trouble: str
) -> dict[str, Any] | None:
    """The field of the status for what was asked; None: nothing was asked, or it is under way.

    `applied`: the agent is accepted, or kept as it was. `blocked`: what is in the way of its children. `trouble`: why
    it does not begin.
    """
    name = asked(seen)
    if name is None:
        return None
    never = _never(seen, agent if applied else None, stopped=stopped)
    if not never and (text := _left_behind(seen.trial_pods, name)) is not None:
        return _told(seen, name, text)
    if not never and seen.trial is None and blocked:
        never = f"its fence is not in its place yet: {blocked}"
    if not never and seen.trial is not None and _is_over(seen, seen.trial):
        why = trouble or "its pod did not start, or said nothing"
        never = f"no pod could try it within {DEADLINE} s: {why}"
    return _not_tried(seen, name, never) if never else None


def _never(seen: Observed, agent: Agent | None, *, stopped: bool) -> str:
    """Why it cannot be tried at all; empty: it can."""
    if agent is None:
        return NOT_ACCEPTED
    if seen.job_image is None:
        return NO_IMAGE
    return STOPPED if stopped or is_stopped(agent) else ""


def soon(look: Look, seen: Observed, answered: Mapping[str, Any] | None) -> Look:
    """The same look, sooner: to take the Job away that is told, or to see what hinders one that is under way."""
    if answered is not None and seen.trial is not None:
        pause = 0.0
    elif answered is None and asked(seen) is not None:
        pause = LOOK
    else:
        return look
    return replace(look, after=pause if look.after is None else min(look.after, pause))


def finding(seen: Observed, answered: Mapping[str, Any] | None, trouble: str) -> Finding | None:
    """The condition; None where nobody ever asked. What is known stands until something newer is."""
    kind = ConditionType.FENCE_VERIFIED
    told: Mapping[str, Any] | None = answered or seen.status.get(FIELD)
    if told is None:
        if asked(seen) is None:
            return None
        return Finding(kind, "Unknown", Reason.PROGRESSING, f"is being tried{f': {trouble}' if trouble else ''}")
    generation = seen.agent.generation if seen.agent else 0
    if told["generation"] != generation:
        sentence = f"generation {told['generation']} was tried at {told['time']}; the spec is another one since"
        return Finding(kind, "Unknown", Reason.SPEC_CHANGED, f"{sentence}: ringfence verify {seen.key.name}")
    sentence = f"{told['message']} (at {told['time']})"
    if told["outcome"] == "Held":
        return Finding(kind, "True", Reason.FENCE_HOLDS, sentence)
    if told["outcome"] == "NotTried":
        return Finding(kind, "Unknown", Reason.NOT_TRIED, sentence)
    through = any(one["wanted"] == "closed" for one in told.get("failed") or ())
    return Finding(kind, "False", Reason.FENCE_OPEN if through else Reason.NOT_REACHED, sentence)


def _left_behind(pods: Sequence[StoredPod], name: str) -> str | None:
    """The termination message of its pod."""
    for pod in pods:
        if pod.job is None or pod.job[0] != name:
            continue
        for container in pod.manifest()["status"].get("containerStatuses") or ():
            ended = (container.get("state") or {}).get("terminated")
            if ended and ended.get("message"):
                return str(ended["message"])
    return None


def _is_over(seen: Observed, job: StoredChild) -> bool:
    """Whether it has ended, and not just now: what its pod said would be here."""
    conditions = ((job.shown or {}).get("status") or {}).get("conditions") or ()
    ended = next((str(one.get("lastTransitionTime")) for one in conditions), None)
    return ended is not None and seen.now - (when(ended) or seen.now) >= NO_PODS_YET


def waits(pods: Sequence[StoredPod]) -> str:
    """Why the pods of a trial do not begin, by their own word; empty: nothing is wrong so far."""
    found = diagnosis.tell([pod.manifest() for pod in pods], ())
    return found[1] if found else ""


def _not_tried(seen: Observed, name: str, why: str) -> dict[str, Any]:
    return _entry(seen, name, "NotTried", f"not tried: {why}")


def _entry(seen: Observed, name: str, outcome: str, message: str, **more: Any) -> dict[str, Any]:
    generation = seen.agent.generation if seen.agent else 0
    said = {"name": name, "generation": generation, "time": stamp(seen.now), "outcome": outcome}
    lists: dict[str, list[Any]] = {field: [] for field in MOST_LISTED}
    return said | {"message": message[:1024], "tried": 0} | lists | more


def _told(seen: Observed, name: str, text: str) -> dict[str, Any]:
    """From a termination message, see `packets.trying`. One that cannot be read proves nothing."""
    try:
        found = json.loads(text)
        tried, failed = int(found["tried"]), int(found["failedNumber"])
        untried = int(found["untriedNumber"])
        lists: dict[str, list[Any]] = {
            field: [_attempt(*one) for one in found[field]][: MOST_LISTED[field]] for field in ("failed", "untried")
        } | {field: [str(one)[:512] for one in found[field]][: MOST_LISTED[field]] for field in ("silent", "held")}
    except (ValueError, KeyError, TypeError):
        return _not_tried(seen, name, f"its pod left no result, but: {' '.join(text.split())[:300]}")
    if failed:
        first = f": {_sentence(lists['failed'][0])}" if lists["failed"] else ""
        return _entry(seen, name, "Failed", f"{failed} of {tried} attempts failed{first}", tried=tried, **lists)
    if untried:
        first = f": {_sentence(lists['untried'][0])}" if lists["untried"] else ""
        message = f"{untried} of {tried} attempts could not be made{first}"
        return _entry(seen, name, "NotTried", message, tried=tried, **lists)
    silent = int(found.get("silentNumber", 0))
    beside = f"; {silent} of them were silent, and may be so by themselves" if silent else ""
    return _entry(seen, name, "Held", f"{tried} attempts came out as they must{beside}", tried=tried, **lists)


def _attempt(name: str, want: str, came: str, why: str) -> dict[str, str]:
    wanted = "closed" if want == "closed" else "open"
    return {"id": str(name)[:512], "wanted": wanted, "came": str(came)[:256], "why": str(why)[:256]}


def _sentence(one: Mapping[str, str]) -> str:
    must = "must be closed" if one["wanted"] == "closed" else "must be open"
    return f"{one['id']} {must} ({one['why']}), and came to: {one['came']}"


def trial_of(children: Sequence[StoredChild], name: str, namespace: str) -> StoredChild | None:
    """The Job of that name among an agent's children."""
    return next((one for one in children if one.ref == Ref("Job", namespace, name)), None)
