"""Asks whether somebody still holds what agents have, or are to get: the namespace's delegate, else whoever asked.

Admission asks when a spec is written. Here it is asked again, when permissions there may have changed and every few
minutes. Who asked is recorded in the agent's annotation, where the cluster can do that (policy/recorded.py).
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, Final, NamedTuple, Protocol

import structlog

from ringfence.api import AgentDeploymentSpec
from ringfence.api.status import ConditionType, Reason
from ringfence.kube import ApiError, Unreachable
from ringfence.kube.access import MOST_NAMES, AccessReviews, TooManyError
from ringfence.policy.atoms import PermissionSet
from ringfence.policy.delegate import Subject, malformed
from ringfence.policy.delegate import delegate as read_delegate
from ringfence.policy.elsewhere import by_place, with_own
from ringfence.policy.files import named_config_maps, not_readable, reading
from ringfence.policy.handover import existing_secrets
from ringfence.policy.held import ALL, GET_SECRETS, RULES, Held, not_held, too_many, unreadable
from ringfence.policy.model import RuleName, Violation
from ringfence.policy.recorded import NOT_BELIEVED, NOTHING_RECORDS, recorded
from ringfence.store.records import Key, StoredAgent
from ringfence.store.store import Store

log = structlog.get_logger(__name__)

EVERY: Final = 300.0
"""Seconds between two times that it is asked about an agent, for what is not watched: ClusterRoles, groups."""
KEPT: Final = 60.0
"""Seconds for which a yes counts for all agents of a namespace, unless permissions there may have changed."""
SOON: Final = 2.0
"""Seconds between two times at the least: somebody may edit bindings in a loop.

And as long after a change it is asked once more: the API server may decide by what was before for some milliseconds.
"""
DEADLINE: Final = 5.0
"""Seconds for all questions about one agent."""
UNANSWERED: Final = (
    "the API server did not answer whether {who}, may do what this agent is to get, so it is not given: it is asked "
    "again"
)
ASKED_AGAIN: Final = "the API server did not answer whether {who}, holds what this agent gets: it is asked again"


class Recording(Protocol):
    """Whether who asks for an agent is recorded."""

    recording: bool | None
    """None: nothing is installed that does. False: what is installed is not as installed."""


class _Epoch(NamedTuple):
    """Of a namespace: within one, the same question has the same answer. `settled`: a change was long enough ago."""

    version: tuple[int, int]
    settled: bool


@dataclass(frozen=True)
class _Found:
    spec: tuple[str, int, str]
    """Which spec of which agent, and the delegate or the record of who asked."""
    epoch: _Epoch
    at: float
    violations: tuple[Violation, ...]


@dataclass(frozen=True)
class _Asked:
    """What somebody must hold for an agent. `secrets`, `config_maps`: name -> path of the field."""

    spec: AgentDeploymentSpec
    secrets: Mapping[str, str]
    config_maps: Mapping[str, str]
    permitted: Mapping[str, PermissionSet]

    @classmethod
    def of(cls, key: Key, raw: Any, spec: AgentDeploymentSpec) -> "_Asked":
        config_maps = named_config_maps(raw)
        permitted = with_own(by_place(spec.permissions, key.namespace), key.namespace, reading(config_maps))
        return cls(spec, {name: path for path, name in reversed(existing_secrets(raw))}, config_maps, permitted)


@dataclass
class Holders:
    """Remembers the last answer for each agent that there is something to ask about.

    `recorder`: what is known of the record of who asks; without one it is never believed.
    """

    reviews: AccessReviews
    store: Store
    recorder: Recording | None = None
    clock: Callable[[], float] = monotonic
    _found: dict[Key, _Found] = field(default_factory=dict)
    _asked: dict[str, set[Key]] = field(default_factory=dict)
    """By namespace, the agents about which there is something to ask: with the last of them all of it is forgotten."""
    _since: dict[str, tuple[tuple[int, int], float]] = field(default_factory=dict)
    """Of these namespaces: the version that was seen last, and when it was seen first."""
    _epochs: dict[str, _Epoch] = field(default_factory=dict)
    """Those that the answers of `reviews` belong to."""
    _unanswered: set[str] = field(default_factory=set)

    async def of(self, key: Key, agent: StoredAgent, spec: AgentDeploymentSpec | None) -> Held:
        """About the agent as it is stored. `spec`: None where it cannot be read."""
        asked = _Asked.of(key, agent.spec, spec) if spec else None
        if asked is None or not (asked.secrets or asked.permitted):
            self.forget(key)
            return ALL
        named = self.store.context.delegate(key.namespace)
        if named is None:
            subject = recorded(agent.requested_by)
            if isinstance(subject, str):
                self.forget(key)
                sentence = NOTHING_RECORDS if self._recording is None else subject
                return Held(unknown=(Reason.REQUESTER_UNKNOWN, sentence))
            source = str(agent.requested_by)
            return self._as_believed(await self._asked_of(key, agent, asked, subject, source))
        delegate = read_delegate(named)
        if delegate is None:
            why = Violation("metadata.namespace", RuleName.PERMISSION_NOT_HELD, malformed(named))
            return Held((why,))
        return await self._asked_of(key, agent, asked, delegate, named)

    @property
    def _recording(self) -> bool | None:
        return self.recorder.recording if self.recorder else None

    def _as_believed(self, found: Held) -> Held:
        """A no counts whoever wrote the record; a yes only where nobody else can have written it."""
        if found.violations or self._recording:
            return found
        sentence = NOTHING_RECORDS if self._recording is None else NOT_BELIEVED
        return replace(found, unknown=(Reason.REQUESTER_UNKNOWN, sentence))

    async def _asked_of(self, key: Key, agent: StoredAgent, asked: _Asked, subject: Subject, source: str) -> Held:
        """`source`: what names the subject."""
        self._asked.setdefault(key.namespace, set()).add(key)
        who, now = str(subject.who), self.clock()
        about = (agent.uid, agent.generation, source)
        epoch = self._epoch(key.namespace, now)
        known = self._found.get(key)
        if known is not None and known.spec == about:
            left = known.at + (EVERY if known.epoch == epoch and epoch.settled else SOON) - now
            if left > 0:
                return Held(known.violations, left, who)
        found = await self._ask(key.namespace, epoch, subject, asked)
        if found is None:
            if known is not None and known.spec == about:
                return Held(known.violations, SOON, who)
            if _in_force(agent):
                return Held((), SOON, who, (Reason.NOT_ANSWERED, ASKED_AGAIN.format(who=who)))
            return Held((_unanswered(who),), SOON, who)
        self._found[key] = _Found(about, epoch, now, found)
        return Held(found, EVERY if epoch.settled else SOON, who)

    def forget(self, key: Key) -> None:
        """The agent is gone, or nobody is to be asked about it."""
        self._found.pop(key, None)
        asked = self._asked.get(key.namespace)
        if asked is None:
            return
        asked.discard(key)
        if not asked:
            for known in (self._asked, self._since, self._epochs):
                known.pop(key.namespace, None)
            self._unanswered.discard(key.namespace)
            self.reviews.answers.forget(key.namespace)

    def _epoch(self, namespace: str, now: float) -> _Epoch:
        version = self.store.rights.of(namespace)
        if self._since.get(namespace, (None,))[0] != version:
            self._since[namespace] = (version, now)
        return _Epoch(version, now - self._since[namespace][1] >= SOON)

    async def _ask(
        self, namespace: str, epoch: _Epoch, subject: Subject, asked: _Asked
    ) -> tuple[Violation, ...] | None:
        """What is lacking; None: no answer."""
        if self._epochs.get(namespace) != epoch:
            for place in {namespace, *asked.permitted}:
                self.reviews.answers.forget(place)
            self._epochs[namespace] = epoch
        try:
            async with asyncio.timeout(DEADLINE):
                hidden = await self.reviews.lacking_names(subject, namespace, GET_SECRETS, frozenset(asked.secrets))
                lacking = {
                    place: missing
                    for place, wanted in asked.permitted.items()
                    if (missing := await self.reviews.lacking(subject, place, wanted))
                }
        except TooManyError as failure:
            return (too_many(failure, MOST_NAMES),)
        except (ApiError, Unreachable, TimeoutError) as failure:
            if namespace not in self._unanswered:  # once, and not for each agent
                self._unanswered.add(namespace)
                why = str(failure) or "too slow"
                log.warning("no answer about what somebody holds", namespace=namespace, error=why)
            return None
        self._unanswered.discard(namespace)
        return (
            *unreadable(asked.secrets, hidden, subject),
            *not_held(asked.spec.permissions, namespace, lacking, subject),
            *not_readable(asked.config_maps, lacking.get(namespace, PermissionSet()), subject),
        )


def _in_force(agent: StoredAgent) -> bool:
    """Whether this very spec was accepted, and nothing was said against it since."""
    status: Mapping[str, Any] = agent.status
    accepted = [one["status"] for one in status.get("conditions") or [] if one["type"] == ConditionType.ACCEPTED]
    return status.get("acceptedGeneration") == agent.generation and accepted == ["True"]


def _unanswered(who: str) -> Violation:
    return Violation(RULES, RuleName.PERMISSION_NOT_HELD, UNANSWERED.format(who=who))
