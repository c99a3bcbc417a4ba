"""What tools that apply manifests make of an agent: kstatus (Flux, kpt), and Argo CD by the script of the docs."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from lupa.lua54 import LuaRuntime

from ringfence.api.status import ConditionType, Reason
from ringfence.controller.agent.conditions import GOES_ON, Finding, progress
from ringfence.controller.agent.execute import Blocked
from ringfence.controller.agent.fence import Stop
from ringfence.controller.agent.report import After, Report
from unit.controller.test_report import DONE, RUNNING, STARTING, VIOLATION, come_to

PAGE = (Path(__file__).resolve().parents[3] / "docs/how-to/gitops.md").read_text()
(SCRIPT,) = re.findall(r"^```lua\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)

Kstatus = Literal["InProgress", "Failed", "Current"]
PAUSED = RUNNING | {"spec": {"replicas": 0}, "status": {"observedGeneration": 1}}

CASES: dict[str, tuple[Report, Kstatus, str]] = {
    "runs": (come_to(), "Current", "Healthy"),
    "starts": (come_to(after=replace(DONE, workload=STARTING)), "InProgress", "Progressing"),
    "not begun": (come_to(after=After()), "InProgress", "Progressing"),
    "a write failed": (
        come_to(blocked=Blocked(ConditionType.RIGHTS_APPLIED, Reason.WRITE_FAILED, "x")), "InProgress", "Progressing",
    ),
    "refused": (come_to(violations=(VIOLATION,)), "Failed", "Degraded"),
    "somebody else's child": (
        come_to(blocked=Blocked(ConditionType.RIGHTS_APPLIED, Reason.CHILD_NOT_OURS, "x")), "Failed", "Degraded",
    ),
    "pods that fail": (
        come_to(after=replace(DONE, workload=STARTING, diagnosis=(Reason.UNAVAILABLE, "no such image"))),
        "Failed", "Degraded",
    ),
    "stopped by a policy": (
        come_to(violations=(VIOLATION,), stop=Stop(Reason.SUSPENDED_BY_POLICY, "stricter")),
        "Failed", "Degraded",
    ),
    # kstatus knows no suspended object: Ready is False, so it waits. docs/how-to/gitops.md has what to tell Flux.
    "suspended": (come_to({"suspended": True}, after=replace(DONE, workload=PAUSED)), "InProgress", "Suspended"),
}  # fmt: skip


def stored(found: Report) -> dict[str, Any]:
    """The agent as a tool reads it."""
    return {"metadata": {"generation": 1}, "status": found.status}


def kstatus(found: dict[str, Any]) -> Kstatus:
    """The rules of sigs.k8s.io/cli-utils, pkg/kstatus, for a kind that it does not know."""
    status = found["status"]
    if status.get("observedGeneration") != found["metadata"]["generation"]:
        return "InProgress"
    by_type = {one["type"]: one["status"] for one in status["conditions"]}
    if by_type.get("Reconciling") == "True":
        return "InProgress"
    if by_type.get("Stalled") == "True":
        return "Failed"
    return "Current" if by_type.get("Ready", "True") == "True" else "InProgress"


def argo(found: dict[str, Any]) -> str:
    """What Argo CD would show."""
    lua = LuaRuntime(register_eval=False)
    lua.globals().obj = lua.table_from(found, recursive=True)
    health = lua.execute(SCRIPT)
    assert health.message
    return str(health.status)


@pytest.mark.parametrize("name", CASES)
def test_tools_see_what_is_so(name: str) -> None:
    report, by_kstatus, by_argo = CASES[name]
    assert kstatus(stored(report)) == by_kstatus
    assert argo(stored(report)) == by_argo


def test_a_suspended_agent_is_neither_under_way_nor_stuck() -> None:
    conditions = {one["type"]: one["status"] for one in CASES["suspended"][0].status["conditions"]}
    assert (conditions["Reconciling"], conditions["Stalled"]) == ("False", "False")


@pytest.mark.parametrize("found", [{"metadata": {"generation": 1}}, {"metadata": {"generation": 1}, "status": {}}])
def test_what_nobody_looked_at_yet_is_under_way(found: dict[str, Any]) -> None:
    assert argo(found) == "Progressing"


def test_what_was_said_of_an_older_generation_does_not_count() -> None:
    found = stored(CASES["runs"][0]) | {"metadata": {"generation": 2}}
    assert argo(found) == "Progressing"
    assert kstatus(found) == "InProgress"


@pytest.mark.parametrize("reason", Reason)
def test_at_most_one_of_the_pair_is_true(reason: Reason) -> None:
    going, stuck = progress(Finding(ConditionType.READY, "False", reason, "why"))
    assert [going.status, stuck.status].count("True") == (0 if reason is Reason.SUSPENDED else 1)
    assert (going.status == "True") == (reason in GOES_ON)
    for one in progress(Finding(ConditionType.READY, "True", reason, "fine")):
        assert one.status == "False"
