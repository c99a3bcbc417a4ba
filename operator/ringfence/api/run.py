"""When an agent works: always, once, or on a schedule."""

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from .base import Model, Rule
from .secrets import Duration, between

MAX_NAME: Final = 42
"""Characters of the name of an agent with runs: those of its CronJob's name, which are 52, without the prefix."""
DEADLINE: Final = "1h"
RETRIES: Final = 0
CONCURRENCY: Final = "Forbid"
TIME_ZONE: Final = "Etc/UTC"
KEPT: Final = 3
KEPT_FOR: Final = "24h"
"""Each where the spec says nothing."""

_FIELD = "[0-9A-Za-z*?,/-]{1,64}"
SCHEDULE = rf"^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|{_FIELD}( {_FIELD}){{4}})$"
TIME_ZONE_NAME = r"^[A-Za-z][A-Za-z0-9_+-]{0,31}(/[A-Za-z0-9_+-]{1,31}){0,2}$"

Deadline = Annotated[Duration, between("10s", "168h", ": an agent that goes on for longer is one of mode Service")]
KeptFor = Annotated[Duration, between("1m", "720h")]


_NONE: Final = (None, None, None, None)


class Keep(Model):
    """How much of ended runs stays in the cluster, with their logs. The status has the last ten runs in any case."""

    succeeded: int = Field(default=KEPT, ge=0, le=10, description="Runs that succeeded.")
    failed: int = Field(default=KEPT, ge=0, le=10, description="Runs that failed.")
    time: KeptFor = Field(default=KEPT_FOR, description="For how long, at the most, such as 24h.")


class Run(Model):
    """When the agent works. Each run is in the agent's fence from its first instant to its last."""

    cel_rules: ClassVar = (
        Rule(
            cel="(self.mode == 'Schedule') == has(self.schedule)",
            message="mode Schedule needs a schedule, such as 0 3 * * *; the other modes have none",
            check=lambda run: (run.mode == "Schedule") == (run.schedule is not None),
        ),
        Rule(
            cel="self.mode == 'Schedule' || !has(self.timeZone)",
            message="timeZone is for mode Schedule: leave it out",
            check=lambda run: run.mode == "Schedule" or run.time_zone is None,
        ),
        Rule(
            cel="self.mode != 'Service' || (!has(self.concurrency) && !has(self.deadline) && !has(self.retries) "
            "&& !has(self.keep))",
            message="concurrency, deadline, retries and keep are for agents that end: write mode: Job or mode: "
            "Schedule, or leave them out",
            check=lambda run: run.mode != "Service" or (run.concurrency, run.deadline, run.retries, run.keep) == _NONE,
        ),
    )

    mode: Literal["Service", "Job", "Schedule"] = Field(
        default="Service",
        description="Service: it goes on, and is started again when it ends. Job: it works once, and again when what "
        "it runs is changed. Schedule: it works at the times of schedule.",
    )
    schedule: Annotated[str, Field(min_length=6, max_length=128, pattern=SCHEDULE)] | None = Field(
        default=None,
        description="Minute, hour, day of the month, month, day of the week, as cron has them: 0 3 * * * is each "
        "night at 3. Or @hourly, @daily, @weekly, @monthly, @yearly.",
    )
    time_zone: Annotated[str, Field(min_length=2, max_length=64, pattern=TIME_ZONE_NAME)] | None = Field(
        default=None, description=f"Of the schedule, by name, such as Europe/Paris. Absent: {TIME_ZONE}."
    )
    concurrency: Literal["Allow", "Forbid", "Replace"] | None = Field(
        default=None,
        description="While a run is at work, the next one is left out (Forbid), ends it (Replace), or begins beside "
        f"it (Allow). Absent: {CONCURRENCY}.",
    )
    deadline: Deadline | None = Field(
        default=None,
        description=f"A run, with its retries, is ended after that time and has failed. Absent: {DEADLINE}.",
    )
    retries: Annotated[int, Field(ge=0, le=10)] | None = Field(
        default=None,
        description="How often a run whose pod failed is tried again. Absent: never, as work may be done twice.",
    )
    keep: Keep | None = Field(
        default=None,
        description=f"What stays of ended runs. Absent: {KEPT} that succeeded and {KEPT} that failed, for {KEPT_FOR}.",
    )

    @property
    def ends(self) -> bool:
        """Whether the agent has runs."""
        return self.mode != "Service"


_ENDS = "has(self.run) && self.run.mode != 'Service'"


def _ends(spec: Any) -> bool:
    return spec.run is not None and spec.run.ends


RUN_RULES: Final = (
    Rule(
        cel=f"!({_ENDS}) || self.replicas == 1",
        message="a run has one pod: leave replicas out where run.mode is Job or Schedule; suspended: true stops it",
        check=lambda spec: not _ends(spec) or spec.replicas == 1,
    ),
    Rule(
        cel=f"!({_ENDS}) || (size(self.ports) == 0 && !has(self.health) && size(self.probes) == 0)",
        message="ports, health and probes are for agents that go on: leave them out where run.mode is Job or Schedule; "
        "run.deadline ends a run that hangs",
        check=lambda spec: not _ends(spec) or not (spec.ports or spec.health or spec.probes),
    ),
    Rule(
        cel="!has(self.storage) || !has(self.run) || !has(self.run.concurrency) || self.run.concurrency != 'Allow'",
        message="storage is mounted by one pod at a time: write run.concurrency: Forbid or Replace, or drop storage",
        check=lambda spec: spec.storage is None or spec.run is None or spec.run.concurrency != "Allow",
    ),
)
"""Of a whole spec."""
NAME_RULE: Final = Rule(
    cel=f"!has(self.spec.run) || self.spec.run.mode == 'Service' || self.metadata.name.size() <= {MAX_NAME}",
    message=f"the name of an agent with run.mode Job or Schedule has at most {MAX_NAME} characters: "
    "it becomes a part of its runs' names",
    check=lambda name: len(name) <= MAX_NAME,
)
