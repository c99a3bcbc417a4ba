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
from ringfence.policy.files import named_config_maps, not_readable, reading
from ringfence.policy.handover import existing_secrets
from ringfence.policy.held import ALL, GET_SECRETS, RULES, Held, not_held, too_many, unreadable
from ringfence.policy.levels import expand_asked
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
        permitted = expand_asked(spec.permissions.rules) if spec and named is not None else PermissionSet()
        permitted = permitted.union(reading(config_maps))
        if named is None or spec is None or not (secrets or permitted):
            self.forget(key)
            return ALL
        subject = read_delegate(named)
        if subject is None:
            return Held((Violation("metadata.namespace", RuleName.PERMISSION_NOT_HELD, malformed(named)),))
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
        permitted: PermissionSet,
        spec: AgentDeploymentSpec,
    ) -> tuple[Violation, ...] | None:
        """What is lacking; None: no answer."""
        if self._epochs.get(namespace) != epoch:
            self.reviews.answers.forget(namespace)
            self._epochs[namespace] = epoch
        try:
            async with asyncio.timeout(PATIENCE):
                hidden = await self.reviews.lacking_names(subject, namespace, GET_SECRETS, frozenset(secrets))
                lacking = await self.reviews.lacking(subject, namespace, permitted)
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
            *not_held(spec.permissions.rules, lacking, subject),
            *not_readable(config_maps, lacking, subject),
        )


def _in_force(agent: StoredAgent) -> bool:
    """Whether this very spec was accepted, and nothing was said against it since."""
    status: Mapping[str, Any] = agent.status
    accepted = [one["status"] for one in status.get("conditions") or [] if one["type"] == ConditionType.ACCEPTED]
    return status.get("acceptedGeneration") == agent.generation and accepted == ["True"]


def _unanswered() -> Violation:
    return Violation(RULES, RuleName.PERMISSION_NOT_HELD, UNANSWERED)
