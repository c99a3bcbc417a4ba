"""For how long a part of an agent's fence is not right, how often its children are edited, and when that stops it."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from ringfence.api.status import ConditionType, Reason
from ringfence.policy.model import NamedPolicy
from ringfence.resources import Ref
from ringfence.resources.gateway import is_of_gateway
from ringfence.resources.model import ALLOW, DENY, child_name
from ringfence.store.records import Key

GRACE = 3.0
"""Seconds for which an agent runs on while a part of its fence is not right and cannot be put right. A busy API server
and a lost race pass within that; whoever was let in meanwhile is bounded by it."""
EDITS_IN_A_ROW = 3
ROW_SECONDS = 10.0
"""So many edits of one child within so long are no accident: nobody edits by hand that fast, against a repair."""
QUIET_SECONDS = 60.0
"""For so long nobody must have edited any child before an agent that was stopped for it runs again. An editor in a loop
then has his way for three repairs in a minute."""
TRY_AGAIN = 1.0
"""Longest pause, in seconds, between tries to put a fence right whose agent runs: the end of the grace is met."""
TRY_LATER = 10.0
"""The same once its agent is stopped: nothing gets out, but it should run again soon."""


@dataclass(frozen=True, kw_only=True)
class FenceHistory:
    """What was before this pass.

    `unfenced_for`: seconds since a part of the fence could not be put right; None: all is right. `unfenced`: which
    part, and why. `contested`: a child that is edited again and again; None: none is. `quiet_in`: seconds until it
    counts as left alone, if nobody edits it before.
    """

    unfenced_for: float | None = None
    unfenced: str = ""
    contested: Ref | None = None
    quiet_in: float = 0.0


@dataclass(frozen=True)
class Stop:
    """Why an agent has no pods though its spec asks for some. `message`: a sentence for a person."""

    reason: Reason
    message: str

    @property
    def withholds(self) -> bool:
        """Whether what lets the agent reach anything is taken away, too: its pods may take half a minute to end.

        What is not there nobody can edit meanwhile; and what a policy does not allow any more ends at once.
        """
        return self.reason in {Reason.FENCE_CONTESTED, Reason.SUSPENDED_BY_POLICY, Reason.REFUSED}


def stop_of(history: FenceHistory, bound: Sequence[NamedPolicy]) -> Stop | None:
    """Whether an agent is to be stopped. `bound`: the policies that bind it; the strictest decides."""
    if history.unfenced_for is not None and history.unfenced_for >= GRACE:
        return unfenced(history.unfenced)
    if history.contested is not None and any(policy.spec.on_repeated_edits == "Stop" for policy in bound):
        child = f"{history.contested.kind} {history.contested.name}"
        until = f"until nobody has edited a child of this agent for {QUIET_SECONDS:.0f} seconds"
        return Stop(Reason.FENCE_CONTESTED, f"{child} is edited again and again: stopped, no pods {until}")
    return None


def unfenced(what: str) -> Stop:
    """The agent is stopped because a part of its fence is not right. `what`: which part, and why."""
    return Stop(Reason.UNFENCED, f"stopped: no pods as long as a part of the fence cannot be put right: {what}")


def contest(child: Ref) -> str:
    """What a condition says of a child that is edited again and again."""
    return f"{child.kind} {child.name} is edited again and again; each edit is put back"


def condition_of(child: Ref, agent: str) -> ConditionType:
    """The condition that speaks of a child."""
    if child.kind == "NetworkPolicy" and child.name in {child_name(agent, DENY), child_name(agent, ALLOW)}:
        return ConditionType.NETWORK_POLICY_APPLIED
    if child.kind == "ClusterRoleBinding" or child.name.startswith(f"{child_name(agent)}.of."):
        return ConditionType.RIGHTS_APPLIED
    if is_of_gateway(child.name):
        return ConditionType.GATEWAY_READY
    if child.kind == "Service":
        return ConditionType.WORKLOAD_AVAILABLE
    if child.name != child_name(agent):
        return ConditionType.SECRETS_FRESH
    of_rights = child.kind in {"ServiceAccount", "Role", "RoleBinding"}
    return ConditionType.RIGHTS_APPLIED if of_rights else ConditionType.WORKLOAD_AVAILABLE


def contested_in(status: Mapping[str, Any], namespace: str) -> Ref | None:
    """The child that a stored status calls contested: what a controller knows that begins anew."""
    for condition in status.get("conditions") or []:
        words = str(condition.get("message", "")).split()
        if condition.get("reason") == Reason.FENCE_CONTESTED and words[1:]:
            return Ref(words[0], namespace, words[1])
    return None


@dataclass
class _Edits:
    times: deque[float] = field(default_factory=lambda: deque(maxlen=EDITS_IN_A_ROW))
    count: int = 0


@dataclass(slots=True)
class _Memory:
    since: float | None = None
    why: str = ""
    stopped: bool = False
    edits: dict[Ref, _Edits] = field(default_factory=dict)
    edited: float = float("-inf")
    ended: tuple[int, float] = (0, float("-inf"))
    contested: Ref | None = None


class Fences:
    """Remembers that of each agent. Bounded by the number of agents and of their children."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._known: dict[Key, _Memory] = {}

    def history(self, key: Key, status: Mapping[str, Any] | None = None) -> FenceHistory:
        """What is remembered; of an agent that is not known yet, what its status says."""
        if key not in self._known:
            self._known[key] = _Memory(contested=contested_in(status or {}, key.namespace), edited=self._clock())
        known, now = self._known[key], self._clock()
        self._end_row(known, now)
        return FenceHistory(
            unfenced_for=None if known.since is None else now - known.since,
            unfenced=known.why,
            contested=known.contested,
            quiet_in=max(known.edited + QUIET_SECONDS - now, 0.0) if known.contested else 0.0,
        )

    def not_right(self, key: Key, why: str) -> None:
        """A part of the fence could not be put right. The first reason stays, until all is right."""
        known = self._of(key)
        if known.since is None:
            known.since, known.why = self._clock(), why

    def right(self, key: Key) -> None:
        """All of it is right."""
        known = self._of(key)
        known.since, known.why = None, ""

    def stop(self, key: Key) -> bool:
        """The agent's pods are taken away. Whether it was not stopped before."""
        known = self._of(key)
        before, known.stopped = known.stopped, True
        return not before

    def run(self, key: Key) -> None:
        """The agent may have its pods."""
        self._of(key).stopped = False

    def edited(self, key: Key, child: Ref) -> int:
        """Somebody's edit of a child was put right. How many that makes in a row."""
        known, now = self._of(key), self._clock()
        self._end_row(known, now)
        edits = known.edits.setdefault(child, _Edits())
        edits.times.append(now)
        edits.count += 1
        known.edited = now
        if len(edits.times) == EDITS_IN_A_ROW and now - edits.times[0] <= ROW_SECONDS:
            known.contested = known.contested or child
        return edits.count

    def pod_ended(self, key: Key) -> int:
        """A pod of an edited Deployment was ended. How many that makes in a row."""
        known, now = self._of(key), self._clock()
        before, at = known.ended
        known.ended = (before + 1 if now - at < QUIET_SECONDS else 1, now)
        return known.ended[0]

    def forget(self, key: Key) -> bool:
        """The agent is gone. Whether it was known."""
        return self._known.pop(key, None) is not None

    def _of(self, key: Key) -> _Memory:
        return self._known.setdefault(key, _Memory())

    @staticmethod
    def _end_row(known: _Memory, now: float) -> None:
        if now - known.edited >= QUIET_SECONDS:
            known.edits.clear()
            known.contested = None
