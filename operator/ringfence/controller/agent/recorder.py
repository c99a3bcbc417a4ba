"""Tells what is news of an agent: violations, rotations, secrets that became too old. Each is told once."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ringfence.policy.model import Violation
from ringfence.policy.widening import Widening
from ringfence.resources.field_manager import FieldManager
from ringfence.resources.network import leads
from ringfence.resources.secrets import stamp
from ringfence.store.records import Key
from ringfence.telemetry.events import (
    AgentForgotten,
    AgentName,
    Emit,
    FenceWidenedBy,
    RotationFailed,
    RotationFollowed,
    SecretAge,
    SecretOverwritten,
    SecretRotated,
    SecretsObserved,
    SecretTooOld,
    ServiceRedirected,
    ViolationFound,
)

from . import ages
from .conditions import WIDENED_BY

MOST_ABSENT = 64
"""Services that are remembered of an agent although it does not call them, or they are not there."""


class Recorder:
    """Remembers of each agent what was told; bounded by the number of agents and their secrets."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._violations: dict[Key, tuple[int, frozenset[Violation]]] = {}
        self._secrets: dict[Key, dict[str, tuple[datetime, bool]]] = {}
        self._failed: dict[Key, dict[str, datetime | None]] = {}
        self._leads: dict[Key, dict[str, str]] = {}
        self._widened: dict[Key, frozenset[Widening]] = {}
        self._overwritten: dict[tuple[Key, str], str | None] = {}

    def violations(
        self, key: Key, uid: str, generation: int, violations: Sequence[Violation], manager: FieldManager
    ) -> None:
        """Take what a stored spec violates; what it did not violate at the last pass over this generation is told."""
        seen = self._violations.get(key)
        known = seen[1] if seen and seen[0] == generation else frozenset()
        if violations or seen:
            self._violations[key] = (generation, frozenset(violations))
        for one in violations:
            if one not in known:
                self._emit(
                    ViolationFound(
                        agent=AgentName(*key),
                        uid=uid,
                        generation=generation,
                        rule=str(one.rule),
                        path=one.path,
                        manager=manager.manager,
                        changed_at=manager.time,
                    )
                )

    def widened(self, key: Key, uid: str, found: Sequence[Widening]) -> None:
        """Take what widens an agent's fence; what did not at the last pass is told."""
        known = self._widened.pop(key, frozenset())
        for one in found:
            if one not in known:
                rule = str(WIDENED_BY[one.way])
                self._emit(FenceWidenedBy(agent=AgentName(*key), uid=uid, rule=rule, name=one.told))
        if found:
            self._widened[key] = frozenset(found)

    def secrets(
        self, key: Key, seen: Sequence[ages.ObservedSecret], *, max_age: timedelta, now: datetime, uid: str = ""
    ) -> None:
        """Take an agent's secrets; a rotation, and a secret that has become too old, are told when they are new."""
        known = self._secrets.get(key, {})
        found: dict[str, tuple[datetime, bool]] = {}
        old = {one.name for one in ages.too_old(seen, max_age=max_age, now=now)}
        for one in seen:
            if one.changed is None:
                continue
            found[one.name] = (one.changed, one.name in old)
            before = known.get(one.name)
            agent, rotated_at = AgentName(*key), stamp(one.changed)
            if one.overwritten_by and self._overwritten.get((key, one.name)) != one.overwritten_by:
                self._emit(SecretOverwritten(agent=agent, uid=uid, secret=one.name, manager=one.overwritten_by))
            self._overwritten[key, one.name] = one.overwritten_by
            if before and one.every and before[0] < one.changed:
                self._emit(SecretRotated(agent=agent, secret=one.name, rotated_at=rotated_at))
            if one.name in old and not (before and before[1]):
                self._emit(SecretTooOld(agent=agent, secret=one.name, rotated_at=rotated_at))
        if seen or known:
            self._secrets[key] = found
            told = tuple(_age(one, max_age) for one in seen if one.changed)
            self._emit(SecretsObserved(agent=AgentName(*key), secrets=told))

    def jobs(self, key: Key, cron_jobs: Mapping[str, Mapping[str, Any]]) -> None:
        """Take the CronJobs of an agent's secrets, by the secret's name; a tick that failed is told when it is new."""
        known = self._failed.get(key, {})
        failed = {name: ages.failed_tick(found) for name, found in cron_jobs.items()}
        for name, tick in failed.items():
            if name not in known:
                self._emit(RotationFollowed(agent=AgentName(*key), secret=name))
            elif tick is not None and tick != known[name]:
                job = ages.job_of(cron_jobs[name], tick)
                self._emit(RotationFailed(agent=AgentName(*key), secret=name, job=job))
        if failed or known:
            self._failed[key] = failed

    def services(self, key: Key, uid: str, *, stored: Sequence[str], found: Sequence[str]) -> None:
        """Take where the Services that an agent may call lead to; one that led elsewhere before is told.

        `stored`, `found`: lines of `lead_lines`, of the status before this pass, and of now. A Service that is
        not there for a while is remembered: to delete it and make another one is no way around.
        """
        known = self._leads.get(key, leads(stored))
        now = leads(found)
        for service, lead in now.items():
            if (before := known.get(service, lead)) != lead:
                about = {"service": service, "previous": before, "leads_to": lead}
                self._emit(ServiceRedirected(agent=AgentName(*key), uid=uid, **about))
        kept = {service: lead for service, lead in known.items() if service not in now}
        if now or kept:
            self._leads[key] = now | dict(list(kept.items())[:MOST_ABSENT])

    def forget(self, key: Key) -> None:
        """The agent is gone."""
        for known in (self._violations, self._secrets, self._failed, self._leads, self._widened):
            known.pop(key, None)
        for told in [told for told in self._overwritten if told[0] == key]:
            del self._overwritten[told]
        self._emit(AgentForgotten(agent=AgentName(*key)))


def _age(one: ages.ObservedSecret, max_age: timedelta) -> SecretAge:
    since = one.changed.timestamp() if one.changed else 0.0
    due = (one.due + ages.grace(one.every)).timestamp() if one.due and one.every else None
    limit = ages.allowed(one, max_age)
    return SecretAge(one.name, since, due, None if limit is None else since + limit.total_seconds())
