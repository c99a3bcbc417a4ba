"""Asks whether the delegate of a namespace still holds what agents there have, or are to get.

Admission asks when a spec is written. Who wrote it is known to nobody later, but a delegate stands in the namespace: so
about him it is asked again, when permissions there may have changed and every few minutes.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, NamedTuple

import structlog

from ringfence.api import AgentDeploymentSpec
from ringfence.api.status import ConditionType
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
PATIENCE: Final = 5.0
"""Seconds for all questions about one agent."""
UNANSWERED: Final = (
    "the API server did not answer whether the delegate of this namespace may do what this agent is to get, so it is "
    "not given: it is asked again"
)


class _Epoch(NamedTuple):
    """Of a namespace: within one, the same question has the same answer. `settled`: a change was long enough ago."""

    version: tuple[int, int]
    settled: bool


@dataclass(frozen=True)
class _Found:
    spec: tuple[str, int, str]
    """Which spec of which agent, and the delegate."""
    epoch: _Epoch
    at: float
    violations: tuple[Violation, ...]


@dataclass
class Delegates:
    """Remembers the last answer for each agent that there is something to ask about."""

    reviews: AccessReviews
    store: Store
    clock: Callable[[], float] = monotonic
    _found: dict[Key, _Found] = field(default_factory=dict)
    _asked: dict[str, set[Key]] = field(default_factory=dict)
    """By namespace, the agents about which there is something to ask: with the last of them all of it is forgotten."""
    _since: dict[str, tuple[tuple[int, int], float]] = field(default_factory=dict)
    """Of namespaces with a delegate: the version that was seen last, and when it was seen first."""
    _epochs: dict[str, _Epoch] = field(default_factory=dict)
    """Those that the answers of `reviews` belong to."""
    _unanswered: set[str] = field(default_factory=set)

    async def of(self, key: Key, agent: StoredAgent, spec: AgentDeploymentSpec | None) -> Held:
        """About the agent as it is stored. `spec`: None where it cannot be read."""
        named = self.store.context.delegate(key.namespace)
        secrets = {name: path for path, name in reversed(existing_secrets(agent.spec))} if named is not None else {}
        config_maps = named_config_maps(agent.spec) if named is not None else {}
        permitted = by_place(spec.permissions, key.namespace) if spec and named is not None else {}
        permitted = with_own(permitted, key.namespace, reading(config_maps))
        if named is None or spec is None or not (secrets or permitted):
            self.forget(key)
            return ALL
        subject = read_delegate(named)
        if subject is None:
            return Held((Violation("metadata.namespace", RuleName.PERMISSION_NOT_HELD, malformed(named)),))
        self._asked.setdefault(key.namespace, set()).add(key)
        about, now = (agent.uid, agent.generation, named), self.clock()
        epoch = self._epoch(key.namespace, now)
        known = self._found.get(key)
        if known is not None and known.spec == about:
            left = known.at + (EVERY if known.epoch == epoch and epoch.settled else SOON) - now
            if left > 0:
                return Held(known.violations, left)
        found = await self._ask(key.namespace, epoch, subject, secrets, config_maps, permitted, spec)
        if found is None:
            if known is not None and known.spec == about:
                return Held(known.violations, SOON)
            return Held(() if _in_force(agent) else (_unanswered(),), SOON)
        self._found[key] = _Found(about, epoch, now, found)
        return Held(found, EVERY if epoch.settled else SOON)

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

    async def _ask(  # noqa: PLR0917 - what is asked about, by whom, where
        self,
        namespace: str,
        epoch: _Epoch,
        subject: Subject,
        secrets: Mapping[str, str],
        config_maps: Mapping[str, str],
        permitted: Mapping[str, PermissionSet],
        spec: AgentDeploymentSpec,
    ) -> tuple[Violation, ...] | None:
        """What is lacking; None: no answer."""
        if self._epochs.get(namespace) != epoch:
            for place in {namespace, *permitted}:
                self.reviews.answers.forget(place)
            self._epochs[namespace] = epoch
        try:
            async with asyncio.timeout(PATIENCE):
                hidden = await self.reviews.lacking_names(subject, namespace, GET_SECRETS, frozenset(secrets))
                lacking = {
                    place: missing
                    for place, asked in permitted.items()
                    if (missing := await self.reviews.lacking(subject, place, asked))
                }
        except TooManyError as failure:
            return (too_many(failure, MOST_NAMES),)
        except (ApiError, Unreachable, TimeoutError) as failure:
            if namespace not in self._unanswered:  # once, and not for each agent
                self._unanswered.add(namespace)
                why = str(failure) or "too slow"
                log.warning("no answer about what the delegate holds", namespace=namespace, error=why)
            return None
        self._unanswered.discard(namespace)
        return (
            *unreadable(secrets, hidden, subject),
            *not_held(spec.permissions, namespace, lacking, subject),
            *not_readable(config_maps, lacking.get(namespace, PermissionSet()), subject),
        )


def _in_force(agent: StoredAgent) -> bool:
    """Whether this very spec was accepted, and nothing was said against it since."""
    status: Mapping[str, Any] = agent.status
    accepted = [one["status"] for one in status.get("conditions") or [] if one["type"] == ConditionType.ACCEPTED]
    return status.get("acceptedGeneration") == agent.generation and accepted == ["True"]


def _unanswered() -> Violation:
    return Violation(RULES, RuleName.PERMISSION_NOT_HELD, UNANSWERED)
