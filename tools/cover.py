"""A row of docs/security/coverage.md, and tests that many rows name."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Cover:
    """`tried`: what the id stands for; empty where tools/catalogued.py has it.

    `reason`: why no test on a real API server tries it, or what the tests leave open.
    """

    tried: str = ""
    tests: tuple[str, ...] = ()
    reason: str = ""


def of(file: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{file}::{name}" for name in names)


def guards(*names: str) -> tuple[str, ...]:
    return of("tests/chart/test_guards.py", *names)


def requested(*names: str) -> tuple[str, ...]:
    return of("tests/chart/test_guards_requester.py", *names)


def admission(*names: str) -> tuple[str, ...]:
    return of("tests/api/test_admission.py", *names)


def floor(*names: str) -> tuple[str, ...]:
    return of("tests/chart/test_floor.py", *names)


def rights(*names: str) -> tuple[str, ...]:
    return of("tests/chart/test_rights.py", *names)


def values(*names: str) -> tuple[str, ...]:
    return of("tests/chart/test_values.py", *names)


def pod(*names: str) -> tuple[str, ...]:
    return of("e2e/suites/agents/test_pod.py", *names)


def drift(*names: str) -> tuple[str, ...]:
    return of("tests/api/controller/test_drift.py", *names)


UNKNOWN_FIELD: Final = of("tests/api/test_bounds.py", "test_unknown_fields_are_refused")
WORST: Final = floor("test_the_worst_is_refused_with_the_webhook_out_of_the_way")
NO_ESCALATION: Final = of("tests/chart/test_escalation.py", "test_may_not")
CEILING: Final = of(
    "tests/chart/test_escalation.py", "test_the_api_server_refuses_to_let_the_controller_grant_more_than_the_ceiling"
)
STANDARD: Final = (
    *of("tests/unit/resources/test_build.py", "test_every_workload_passes_the_restricted_pod_security_standard"),
    *pod("test_it_runs_as_nobody_in_particular_without_any_capability"),
)
STATIC: Final = values("test_the_webhook_is_static_and_fails_closed")
NODES: Final = "nodes, and who may write to their disks, are trusted: outside of this threat model"
NOT_FOUND: Final = "Ringfence looks at no object but agents and what is beside them"
