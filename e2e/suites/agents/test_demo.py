"""Everything that the demo claims, as assertions: the same code tells and checks it."""

import pytest

from demo.narrative import ASKED, Narrative
from demo.report import Report
from harness.api import Api
from harness.environment import Environment


def tell(environment: Environment, api: Api, section: str) -> Report:
    """One section of the demo."""
    report = Report(as_json=True)
    narrative = Narrative(environment, api, report, environment.testbox)
    with report.section(section):
        getattr(narrative, section)()
    return report


def failures(report: Report) -> list[str]:
    return [f"{line.text}: {line.detail}" for line in report.lines if line.state == "failed"]


def told(environment: Environment, api: Api, section: str) -> list[str]:
    """What went wrong in one section of the demo."""
    return failures(tell(environment, api, section))


def test_agents_run(environment: Environment, api: Api, examples: None) -> None:
    assert told(environment, api, "agent_runs") == []


@pytest.mark.parametrize("section", ["reach", "by_name", "nothing_at_all"])
def test_packets_pass_only_where_the_spec_says(
    environment: Environment, api: Api, examples: None, section: str
) -> None:
    assert told(environment, api, section) == []


def test_requests_that_go_too_far_are_refused(environment: Environment, api: Api, examples: None) -> None:
    assert told(environment, api, "refused") == []


def test_nobody_widens_a_fence_from_beside_it(environment: Environment, api: Api, examples: None) -> None:
    assert told(environment, api, "guarded") == []


def test_a_deleted_and_an_edited_policy_are_put_back(environment: Environment, api: Api, examples: None) -> None:
    assert told(environment, api, "put_back") == []


def test_violations_are_counted(environment: Environment, api: Api, examples: None) -> None:
    assert told(environment, api, "refused") == []
    assert told(environment, api, "put_back") == []
    report = tell(environment, api, "violations")
    assert failures(report) == []
    assert any(line.text.startswith(ASKED) for line in report.lines), "added up by hand, Prometheus was not asked"


def test_on_a_network_that_enforces_nothing_the_same_attempts_get_through(
    environment: Environment, api: Api, examples: None
) -> None:
    """What `blocked` means above: without enforcement these very tests fail."""
    assert environment.cluster
    environment.cluster.set_network_policy("ignore")
    try:
        open_now = told(environment, api, "reach") + told(environment, api, "nothing_at_all")
    finally:
        environment.cluster.set_network_policy("enforce")
    for what in ("another host on the internet", "cloud metadata service", "another pod of its namespace"):
        assert any(line.startswith(what) and "should be blocked" in line for line in open_now), what
    assert any("minimal asks the cluster's DNS" in line for line in open_now)
    assert told(environment, api, "reach") == []
