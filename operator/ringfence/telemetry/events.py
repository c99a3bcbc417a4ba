"""Events of the domain: what happened, once, as typed objects. Metrics, log lines and Kubernetes Events are sinks.

Whoever has something to tell calls `emit(event)` in one place; who wants to know of it adds a sink. No event holds a
secret's value, nor anything made from one. Those of the admission server are in reviews.py,
those of egress gateways in refusals.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

SecretState = Literal["fresh", "due", "expired"]

EDITED: Final = "ChildEdited"
DELETED: Final = "ChildDeleted"
HELD: Final = "ChildHeld"
LEFT_BEHIND: Final = "PodLeftBehind"
"""Rules of source `drift` in ringfence_violations_total: of agents' children, and of namespaces' own policies."""


class AgentName(NamedTuple):
    """Which AgentDeployment."""

    namespace: str
    name: str


@dataclass(frozen=True)
class SecretAge:
    """One secret of an agent. Times are Unix times in seconds.

    `name`: as in `spec.secrets`. `since`: when its value was last changed. `due`: when it should be rotated at the
    latest, including the grace that a tick of the job needs; None: never. `expires`: when it becomes older than its
    policy allows; None: never.
    """

    name: str
    since: float
    due: float | None = None
    expires: float | None = None

    def state(self, now: float) -> SecretState:
        """fresh; due: its rotation is late; expired: older than allowed."""
        if self.expires is not None and now > self.expires:
            return "expired"
        return "due" if self.due is not None and now > self.due else "fresh"


@dataclass(frozen=True, kw_only=True)
class AgentEvent:
    """Something about one agent. `uid`: of the AgentDeployment."""

    agent: AgentName
    uid: str = ""


@dataclass(frozen=True, kw_only=True)
class ViolationFound(AgentEvent):
    """A stored spec violates a rule that it did not violate before."""

    generation: int
    rule: str
    path: str
    manager: str | None
    changed_at: str | None


@dataclass(frozen=True, kw_only=True)
class ChildRepaired(AgentEvent):
    """A child was edited or deleted by somebody else, and is put right. `rule`: ChildEdited or ChildDeleted.

    `count`: how many times in a row that was.
    """

    kind: str
    name: str
    rule: str
    count: int = 1
    manager: str | None = None
    changed_at: str | None = None


@dataclass(frozen=True, kw_only=True)
class FinalizersRemoved(AgentEvent):
    """A child that was being deleted, and that somebody kept by finalizers, is let go. `rule`: ChildHeld."""

    kind: str
    name: str
    rule: str
    finalizers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PodEnded(AgentEvent):
    """A pod of an edited Deployment is ended at once. `rule`: PodLeftBehind. `count`: how many in a row that makes."""

    name: str
    rule: str = LEFT_BEHIND
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class ServiceRedirected(AgentEvent):
    """A Service that the agent may call leads to other pods than before. `service`: NAMESPACE/NAME:PORT."""

    service: str
    previous: str
    leads_to: str


@dataclass(frozen=True, kw_only=True)
class FenceWidenedBy(AgentEvent):
    """An object of others widens the fence that did not before. `rule`: ForeignPolicy, ForeignBinding, PodRelabelled.

    `name`: KIND NAME of it.
    """

    rule: str
    name: str


@dataclass(frozen=True)
class ChildWritten:
    """One write to a child. `verb`: create, update, delete."""

    kind: str
    verb: str


@dataclass(frozen=True, kw_only=True)
class AgentStopped(AgentEvent):
    """Its pods are taken away. `reason`: Unfenced, FenceContested, SuspendedByPolicy, Deleting."""

    reason: str
    why: str


@dataclass(frozen=True, kw_only=True)
class RunEnded(AgentEvent):
    """A run of an agent whose work ends is over. `outcome`: Succeeded, Failed, Ended, Refused, as in the status."""

    name: str
    cause: str
    outcome: str
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class ConditionChanged(AgentEvent):
    """A condition has another status or reason than before, and that is stored. `told`: worth a person's attention."""

    generation: int
    type: str
    status: str
    previous: str | None
    reason: str
    message: str
    told: bool


@dataclass(frozen=True, kw_only=True)
class AgentObserved(AgentEvent):
    """A pass over an agent ended: its conditions as they are stored, its pods, how many rules it violates."""

    conditions: Sequence[Mapping[str, Any]] = ()
    ready: int = 0
    wanted: int = 0
    rules: int = 0


@dataclass(frozen=True, kw_only=True)
class SecretsObserved(AgentEvent):
    """The ages of an agent's secrets."""

    secrets: Sequence[SecretAge] = ()


@dataclass(frozen=True, kw_only=True)
class AgentForgotten(AgentEvent):
    """The agent is gone."""


@dataclass(frozen=True, kw_only=True)
class AgentDeleted(AgentEvent):
    """An agent that was looked after is gone."""


@dataclass(frozen=True, kw_only=True)
class SecretMade(AgentEvent):
    """The first value of a generated secret is stored."""

    secret: str


@dataclass(frozen=True, kw_only=True)
class RotationFollowed(AgentEvent):
    """From now on the rotations of a secret are counted."""

    secret: str


@dataclass(frozen=True, kw_only=True)
class SecretRotated(AgentEvent):
    """A secret has a new value."""

    secret: str
    rotated_at: str


@dataclass(frozen=True, kw_only=True)
class RotationFailed(AgentEvent):
    """A scheduled rotation job ended without success."""

    secret: str
    job: str


@dataclass(frozen=True, kw_only=True)
class SecretTooOld(AgentEvent):
    """A secret is older than its policy allows."""

    secret: str
    rotated_at: str


@dataclass(frozen=True, kw_only=True)
class SecretOverwritten(AgentEvent):
    """Somebody else wrote the value of a generated secret. `manager`: what he calls himself."""

    secret: str
    manager: str


@dataclass(frozen=True, kw_only=True)
class OverlapEnded(AgentEvent):
    """The value before was removed."""

    secret: str


@dataclass(frozen=True)
class StandingRepaired:
    """What a namespace has for all of its agents was edited or deleted by somebody else, and is put right.

    `rule`: as above.
    """

    namespace: str
    kind: str
    name: str
    rule: str
    manager: str | None = None
    changed_at: str | None = None


@dataclass(frozen=True)
class StandingMissing:
    """What a namespace has for all of its agents cannot be stored. `why`: a sentence for a person."""

    namespace: str
    kind: str
    name: str
    why: str


@dataclass(frozen=True, kw_only=True)
class OrphansFound:
    """Objects without their agent: KIND/NAME each. `stopped`: whether they are stopped. `message`: what to do."""

    namespace: str
    agent: str
    objects: tuple[str, ...]
    stopped: bool
    message: str


@dataclass(frozen=True)
class NamespaceObserved:
    """A pass over a namespace ended. `orphans`: objects without their agent. `missing`: its policy is not stored."""

    namespace: str
    orphans: int = 0
    missing: bool = False


@dataclass(frozen=True)
class PassEnded:
    """One pass of a reconciler. `kind`: of the object; `result`: ok, retry, error; `seconds`: how long it took."""

    kind: str
    result: str
    seconds: float


@dataclass(frozen=True)
class QueueChanged:
    """Keys wait: `depth`. `added`, `retried`: what it was. `waited`: seconds, of one that is worked on now."""

    kind: str
    depth: int
    added: bool = False
    retried: bool = False
    waited: float | None = None


@dataclass(frozen=True)
class LeadershipChanged:
    """Whether this replica leads."""

    leads: bool


@dataclass(frozen=True)
class LeaderSeen:
    """A leader was seen alive: this replica, or another that took or renewed the Lease."""


@dataclass(frozen=True)
class WatchHeard:
    """An event, a bookmark or a list came from the API server."""


@dataclass(frozen=True)
class RegistrationObserved:
    """A look at the registration of admission. `in_force`: whether all of it is stored as the chart installed it."""

    in_force: bool


@dataclass(frozen=True)
class RegistrationChanged:
    """The registration of admission differs otherwise from what was installed. No differences: as installed again."""

    differences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class HandOverUndecided(AgentEvent):
    """A spec that names existing Secrets was seen first while admission was not registered as installed."""

    generation: int
    secrets: tuple[str, ...]
    differences: tuple[str, ...]


@dataclass(frozen=True)
class HandOverUnchecked:
    """Nobody said what is installed for admission: existing Secrets are handed over without a look at it."""


@dataclass(frozen=True, kw_only=True)
class ApiServerDoubted:
    """Addresses that an EndpointSlice announces as the API server's are not believed. `slice`: NAMESPACE/NAME."""

    slice: str
    uid: str
    addresses: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class ApiServerObserved:
    """A look at the addresses that are announced as the API server's: how many are believed, how many are not."""

    believed: int
    doubted: int


@dataclass(frozen=True)
class ClusterRead:
    """The leader has read everything, in so many seconds, and begins to work."""

    seconds: float


@dataclass(frozen=True)
class StoreCompared:
    """All kinds were compared with what is stored. `differences`: by kind, put right."""

    differences: Mapping[str, int] = field(default_factory=dict)


Emit = Callable[[Any], None]
"""Takes an event of the domain. Never raises, never waits."""


def silent(_: Any) -> None:
    """Nobody listens."""


def to_all(*sinks: Emit) -> Emit:
    """One emitter for several sinks."""

    def emit(event: Any) -> None:
        for sink in sinks:
            sink(event)

    return emit
