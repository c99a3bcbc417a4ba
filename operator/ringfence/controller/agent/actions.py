"""What a pass can do to an agent's surroundings: plan.py chooses, execute.py does."""

from dataclasses import dataclass

from ringfence.resources import Ref
from ringfence.resources.phases import Phase
from ringfence.resources.stored import Desired, StoredChild
from ringfence.store.records import StoredPod

from . import ages
from .fence import Stop
from .fit import Fit


@dataclass(frozen=True, kw_only=True)
class EnsureChild:
    """Have a child stored exactly as desired.

    `known`: it was there before, so that its absence is somebody's deletion. `keep`: to be done even where a phase
    before it is blocked: it is there, and stays as it should be. `behind_fence`: the deny policy, made in this very
    pass, is to own it too.
    """

    phase: Phase
    desired: Desired
    fit: Fit
    known: bool
    keep: bool = False
    behind_fence: Ref | None = None


@dataclass(frozen=True, kw_only=True)
class RemoveChild:
    """Delete a child that is not wanted any more."""

    phase: Phase
    child: StoredChild


@dataclass(frozen=True, kw_only=True)
class RemoveLeft:
    """Delete a child in another namespace whose agent is gone: nothing else removes it."""

    phase: Phase
    child: StoredChild


@dataclass(frozen=True, kw_only=True)
class PutReads:
    """Have the agent listed for exactly these cluster-wide reads. `known`: it was listed so before."""

    phase: Phase
    wanted: frozenset[str]
    known: bool = False


@dataclass(frozen=True, kw_only=True)
class StopWorkload:
    """No pods. `others`: what else makes them. `runs`: of its CronJob, which nothing would start again: they go."""

    ref: Ref
    why: Stop
    others: tuple[Ref, ...] = ()
    runs: tuple[StoredChild, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RemoveRun:
    """Delete a Job with its pods. `pods`: those of them that are ended at once, as no template of ours is theirs."""

    phase: Phase
    child: StoredChild
    pods: tuple[StoredPod, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AwaitEnd:
    """Make nothing before something has ended. `what`: a sentence."""

    phase: Phase
    what: str


@dataclass(frozen=True, kw_only=True)
class MakeSecret:
    """The first value of a secret that Ringfence keeps. `name`: in the spec. `known`: it was there before."""

    phase: Phase
    name: str
    known: bool


@dataclass(frozen=True, kw_only=True)
class RemoveSecret:
    """Delete the Secret of a secret that the spec does not name any more. `name`: of the object."""

    phase: Phase
    name: str


@dataclass(frozen=True, kw_only=True)
class PutGateway:
    """Have the gateway's configuration and certificates stored, and taken up by its pods. `known`: they were there."""

    phase: Phase
    known: bool


@dataclass(frozen=True, kw_only=True)
class DropGateway:
    """Delete both Secrets of the gateway of an agent that has no hosts any more."""

    phase: Phase


@dataclass(frozen=True, kw_only=True)
class DropPrevious:
    """Remove a value whose overlap is over."""

    phase: Phase
    secret: ages.ObservedSecret


@dataclass(frozen=True, kw_only=True)
class EndPods:
    """End pods at once that an edited Deployment seems to have left behind."""

    phase: Phase
    pods: tuple[StoredPod, ...]


Action = (
    EnsureChild
    | RemoveChild
    | RemoveLeft
    | PutReads
    | StopWorkload
    | RemoveRun
    | AwaitEnd
    | MakeSecret
    | RemoveSecret
    | PutGateway
    | DropGateway
    | DropPrevious
    | EndPods
)
