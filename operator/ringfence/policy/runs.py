"""When an agent works: a schedule that comes, a time zone that there is, and what policies bound."""

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from ringfence.api.run import NAME_RULE, Run

from . import cron
from .limits import parallel_bounds
from .model import NamedPolicy, RuleName, Violation
from .text import quote

_AT: Final = "spec.run"


def check_run(run: Run | None, name: str) -> Iterator[Violation]:
    """What the agent itself gets wrong. `name`: of the agent."""
    if run is None:
        return
    if run.ends and not NAME_RULE.check(name):
        yield Violation("metadata.name", RuleName.INVALID_FIELD, NAME_RULE.message)
    if run.schedule is not None:
        try:
            cron.parse(run.schedule)
        except cron.ScheduleError as failure:
            yield Violation(f"{_AT}.schedule", RuleName.INVALID_FIELD, str(failure))
    if run.time_zone is not None and run.time_zone not in time_zones():
        message = f"there is no time zone {quote(run.time_zone)}: write one such as Europe/Paris or Etc/UTC"
        yield Violation(f"{_AT}.timeZone", RuleName.INVALID_FIELD, message)


def check_parallel(run: Run | None, policies: Sequence[NamedPolicy]) -> Iterator[Violation]:
    """Runs beside each other are as many as there happen to be: where a policy bounds pods, that is none it allows."""
    if run is None or run.concurrency != "Allow":
        return
    for policy in policies:
        if bound := parallel_bounds(policy.spec):
            message = (
                f"any number of runs may be at work at a time, and policy {quote(policy.name)} bounds them (limits."
                f"{bound}): write Forbid or Replace"
            )
            yield Violation(f"{_AT}.concurrency", RuleName.REPLICAS_ABOVE_POLICY, message)


@cache
def time_zones() -> frozenset[str]:
    """The names of the time zone database, as the locked package has them: in each process the same."""
    return frozenset((files("tzdata") / "zones").read_text(encoding="utf-8").split())
