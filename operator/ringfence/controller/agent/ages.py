"""How old the secrets of an agent are, and whether that is well. Pure: it sees metadata, never a value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, cast

from ringfence.api.names import FIELD_MANAGER
from ringfence.api.secrets import NEVER, AgentSecret, duration
from ringfence.api.status import ConditionType, Reason
from ringfence.resources.rotation import tick
from ringfence.resources.secret_names import PREVIOUS, VALUE, secret_reference
from ringfence.resources.secrets import PREVIOUS_UNTIL, ROTATED_AT, stamp, when

from .conditions import Finding, Status

JOB_DEADLINE = timedelta(minutes=15)
"""From a job's time to its end: its pod, its image, its retries."""

HIDDEN: Mapping[str, Any] = MappingProxyType({})
"""Metadata of a Secret that the controller may not look at: it may be there, and nothing is known of it."""

OWN_MANAGERS = frozenset({FIELD_MANAGER, "Python"})
"""Field managers of Ringfence's own writes of values: the second is what the API server calls the client by itself."""


@dataclass(frozen=True)
class ObservedSecret:
    """One secret. `object_name`: its Secret; `metadata`: of that, None when it is not there.

    HIDDEN when the controller may not look. `max_age`: what the agent itself says of an existing one: timedelta.max is
    never; None: nothing.
    """

    name: str
    object_name: str
    metadata: Mapping[str, Any] | None
    every: timedelta | None = None
    generated: bool = False
    max_age: timedelta | None = None
    at_gateway: bool = False

    @property
    def overwritten_by(self) -> str | None:
        """Who else wrote a value that Ringfence keeps: a field manager's name. Values are not looked at for that."""
        if not self.generated:
            return None
        entries = (self.metadata or {}).get("managedFields") or []
        names = [str(one.get("manager")) for one in entries if f"f:{VALUE}" in _data(one)]
        return next((name for name in names if name not in OWN_MANAGERS), None)

    @property
    def changed(self) -> datetime | None:
        """When its value changed last, as far as that can be told."""
        if self.metadata is None:
            return None
        if self.every is not None and (rotated := when((self.metadata.get("annotations") or {}).get(ROTATED_AT))):
            return rotated
        return _data_changed(self.metadata)

    @property
    def due(self) -> datetime | None:
        """When it will have been rotated at the latest; None for what somebody else keeps."""
        return self.changed + self.every if self.changed and self.every else None

    @property
    def previous_until(self) -> datetime | None:
        """Until when the value before is kept."""
        return when(((self.metadata or {}).get("annotations") or {}).get(PREVIOUS_UNTIL))

    def overlap_is_over(self, now: datetime) -> bool:
        """Whether a value before is still there though its time is up."""
        return self.has_previous and self.previous_until is not None and self.previous_until <= now

    @property
    def has_previous(self) -> bool:
        """Whether the value before is still there: by the fields' names in managedFields, which hold no values."""
        return any(f"f:{PREVIOUS}" in _data(entry) for entry in (self.metadata or {}).get("managedFields") or [])


def _data(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of the data that an entry of managedFields holds."""
    found: Mapping[str, Any] = (entry.get("fieldsV1") or {}).get("f:data") or {}
    return found


def observed(agent: str, secret: AgentSecret, metadata: Mapping[str, Any] | None) -> ObservedSecret:
    """A key of the spec with what is known of its Secret."""
    return ObservedSecret(
        name=secret.name,
        object_name=secret_reference(agent, secret)[0],
        metadata=metadata,
        every=duration(secret.rotation.every) if secret.rotation else None,
        generated=secret.source.generate is not None,
        max_age=_own_age(secret.max_age),
        at_gateway=secret.delivery.gateway is not None,
    )


def _own_age(text: str | None) -> timedelta | None:
    if text is None:
        return None
    return timedelta.max if text == NEVER else duration(text)


def _data_changed(metadata: Mapping[str, Any]) -> datetime | None:
    """The last time at which anybody wrote the data, by the API server's own book (managedFields)."""
    times = [
        moment
        for entry in metadata.get("managedFields") or []
        if {"f:data", "f:stringData"} & (entry.get("fieldsV1") or {}).keys() and (moment := when(entry.get("time")))
    ]
    return max(times, default=when(metadata.get("creationTimestamp")))


def finding(secrets: Sequence[ObservedSecret], *, max_age: timedelta, now: datetime, rolled_out: bool) -> Finding:
    """The condition SecretsFresh: the first of these that applies."""
    kind = ConditionType.SECRETS_FRESH
    if not secrets:
        return Finding(kind, "True", Reason.NO_SECRETS, "no secrets")
    old = too_old(secrets, max_age=max_age, now=now)
    for status, reason, sentence in (
        ("False", Reason.SECRET_NOT_FOUND, _missing(secrets)),
        ("False", Reason.SECRET_OVERWRITTEN, _overwritten(secrets)),
        ("False", Reason.SECRET_TOO_OLD, _ours_too_old(old, max_age)),
        ("False", Reason.ROTATION_OVERDUE, _overdue(secrets, now)),
        ("False", Reason.EXISTING_SECRET_TOO_OLD, _existing_too_old(old, max_age)),
        ("Unknown", Reason.AGE_UNKNOWN, _hidden(secrets)),
    ):
        if sentence:
            return Finding(kind, cast("Status", status), reason, sentence)
    sentence = f"{len(secrets)} {'key' if len(secrets) == 1 else 'keys'}, none too old"
    kept = [one.name for one in secrets if one.has_previous or (one.previous_until and one.previous_until > now)]
    if kept and not rolled_out:
        sentence += f"; of {', '.join(kept)} the value before stays valid until the restarted pods are available"
    return Finding(kind, "True", Reason.FRESH, sentence)


def _missing(secrets: Sequence[ObservedSecret]) -> str:
    absent = [one for one in secrets if one.metadata is None]
    found = ", ".join(f"{one.name} (Secret {one.object_name})" for one in absent)
    wait = any(not one.at_gateway for one in absent)
    return found and f"not there: {found}; " + ("the agent's pods wait for it" if wait else "nothing goes to its host")


def _overwritten(secrets: Sequence[ObservedSecret]) -> str:
    found = ", ".join(f"{one.name} (by {one.overwritten_by})" for one in secrets if one.overwritten_by)
    return found and f"not the value that Ringfence made: {found}; ringfence rotate makes a new one"


def _ours_too_old(old: Sequence[ObservedSecret], max_age: timedelta) -> str:
    found = ", ".join(one.name for one in old if one.every)
    return found and f"older than the {_hours(max_age)} that policies allow: {found}; rotate now: ringfence rotate NAME"


def _overdue(secrets: Sequence[ObservedSecret], now: datetime) -> str:
    found = ", ".join(one.name for one in secrets if one.due and one.every and now > one.due + grace(one.every))
    return found and f"not rotated in time: {found}; kubectl get cronjobs,jobs -l ringfence.dev/rotation says why"


def _existing_too_old(old: Sequence[ObservedSecret], max_age: timedelta) -> str:
    found = ", ".join(f"{one.name} ({_hours(one.max_age or max_age)})" for one in old if not one.every)
    fix = "give the Secret a new value; its age counts from the last change of its data. The agent runs on"
    return found and f"older than allowed: {found}; {fix}"


def _hidden(secrets: Sequence[ObservedSecret]) -> str:
    found = ", ".join(f"{one.name} (Secret {one.object_name})" for one in secrets if one.metadata is HIDDEN)
    fix = "to have its age watched, list the namespace in the chart's value agentNamespaces"
    return found and f"Ringfence may not look at {found}: it is delivered all the same; {fix}"


def too_old(secrets: Sequence[ObservedSecret], *, max_age: timedelta, now: datetime) -> list[ObservedSecret]:
    """Those that are older than policies allow."""
    limits = ((one, allowed(one, max_age)) for one in secrets)
    return [one for one, limit in limits if limit is not None and one.changed and now > one.changed + limit]


def allowed(one: ObservedSecret, max_age: timedelta) -> timedelta | None:
    """How old a value may become before it is said. None: as old as it likes."""
    if one.max_age is not None:
        return one.max_age if one.max_age < timedelta.max else None
    return max_age + (grace(one.every) if one.every else timedelta())


def grace(every: timedelta) -> timedelta:
    """How late a rotation may be before it is said: one tick, and the time that a job takes."""
    return tick(every) + JOB_DEADLINE


def failed_tick(cron_job: Mapping[str, Any]) -> datetime | None:
    """The time of the last tick when its job ended without success; None while it runs, and when all went well.

    By the CronJob's own status: the job leaves `active` in the write that sets `lastSuccessfulTime`, if it sets that.
    """
    status = cron_job.get("status") or {}
    started, succeeded = when(status.get("lastScheduleTime")), when(status.get("lastSuccessfulTime"))
    if started is None or status.get("active") or (succeeded is not None and succeeded >= started):
        return None
    return started


def job_of(cron_job: Mapping[str, Any], tick: datetime) -> str:
    """The name that Kubernetes gives to the job of a tick: with its minutes since 1970."""
    return f"{cron_job['metadata']['name']}-{int(tick.timestamp()) // 60}"


def status(secrets: Sequence[ObservedSecret]) -> dict[str, Any]:
    """The status fields about secrets."""
    entries = []
    for one in secrets:
        times = {"lastRotated": one.changed, "nextRotation": one.due}
        entries.append({"name": one.name} | {field: stamp(time) for field, time in times.items() if time})
    oldest = min((one.changed for one in secrets if one.changed), default=None)
    return {"secrets": entries, "oldestSecret": stamp(oldest) if oldest else None}


def _hours(span: timedelta) -> str:
    return f"{span // timedelta(hours=1)}h"
