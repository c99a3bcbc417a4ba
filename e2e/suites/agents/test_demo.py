"""Everything that the demo claims, as assertions: the same code tells and checks it."""

import pytest

from demo.account import Account
from demo.api import Api
from demo.place import Place
from demo.story import Story


def told(place: Place, api: Api, section: str) -> list[str]:
    """What went wrong in one section of the demo."""
    account = Account(as_json=True)
    story = Story(place, api, account, place.testbox)
    with account.section(section):
        getattr(story, section)()
    return [f"{line.text}: {line.detail}" for line in account.lines if line.state == "failed"]


def test_agents_run(place: Place, api: Api, examples: None) -> None:
    assert told(place, api, "agent_runs") == []


@pytest.mark.parametrize("section", ["reach", "nothing_at_all"])
def test_packets_pass_only_where_the_spec_says(place: Place, api: Api, examples: None, section: str) -> None:
    assert told(place, api, section) == []


def test_requests_that_go_too_far_are_refused(place: Place, api: Api, examples: None) -> None:
    assert told(place, api, "refused") == []


def test_a_deleted_and_an_edited_policy_are_put_back(place: Place, api: Api, examples: None) -> None:
    assert told(place, api, "put_back") == []


def test_violations_are_counted(place: Place, api: Api, examples: None) -> None:
    assert told(place, api, "refused") == []
    assert told(place, api, "put_back") == []
    assert told(place, api, "violations") == []


def test_on_a_network_that_enforces_nothing_the_same_attempts_get_through(
    place: Place, api: Api, examples: None
) -> None:
    """What `blocked` means above: without enforcement these very tests fail."""
    assert place.cluster
    place.cluster.set_network_policy("ignore")
    try:
        open_now = told(place, api, "reach") + told(place, api, "nothing_at_all")
    finally:
        place.cluster.set_network_policy("enforce")
    for what in ("another host on the internet", "cloud metadata service", "another pod of its namespace"):
        assert any(line.startswith(what) and "should be blocked" in line for line in open_now), what
    assert any("minimal asks the cluster's DNS" in line for line in open_now)
    assert told(place, api, "reach") == []
