"""A row of docs/security/coverage.md, and tests that many rows name."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent


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
    return of_folder("tests/chart/guards", *names)


def admission(*names: str) -> tuple[str, ...]:
    return of_folder("tests/api/admission", *names)


def of_folder(folder: str, *names: str) -> tuple[str, ...]:
    """Tests, in whichever file of the folder they are. KeyError: there is none of that name."""
    return tuple(f"{_tests(folder)[name]}::{name}" for name in names)


@cache
def _tests(folder: str) -> dict[str, str]:
    files = sorted((ROOT / folder).glob("test_*.py"), reverse=True)  # where two have a name, the first counts
    found = ((file, name) for file in files for name in re.findall(r"(?m)^ *def (test_\w+)", file.read_text()))
    return {name: f"{folder}/{file.name}" for file, name in found}


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
