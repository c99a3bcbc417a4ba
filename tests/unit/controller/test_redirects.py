"""A Service that leads elsewhere than when the agent was accepted opens nothing until the agent is written again."""

from typing import Any

from ringfence.controller.agent.actions import EnsureChild
from ringfence.controller.agent.execute import Outcome
from ringfence.controller.agent.observed import Observed
from ringfence.controller.agent.plan import plan
from ringfence.controller.agent.redirects import redirected, remembered
from ringfence.controller.agent.report import After, report
from ringfence.resources.model import ServicePort
from ringfence.resources.network import MAX_LINE
from unit.controller.make import observed

KEY = ("team", "search", 80)
SEARCH, LEDGER = ServicePort({"app": "search"}, 8080), ServicePort({"app": "ledger"}, 8080)
TARGET = {"network": {"egress": [{"service": {"name": "search", "port": 80}}]}}
STOOD = "team/search:80 -> app=search:8080"


def seen(service: ServicePort | None, *, accepted: int = 1, stood: str = STOOD) -> Observed:
    found = observed(TARGET, accepted=accepted, services={KEY: service} if service else {})
    status = {**found.status, "acceptedServices": [stood]}
    return observed(TARGET, accepted=accepted, services=found.services, status=status)


def opened(of: Observed) -> list[dict[str, Any]]:
    """To which pods the allow policy leads, but DNS."""
    (policy,) = [
        one.desired.manifest
        for one in plan(of).actions
        if isinstance(one, EnsureChild) and one.desired.ref.name.endswith("-allow")
    ]
    peers = [peer["podSelector"]["matchLabels"] for rule in policy["spec"].get("egress", []) for peer in rule["to"]]
    return [labels for labels in peers if "k8s-app" not in labels]


def network(of: Observed) -> tuple[str, str, str]:
    found = next(one for one in report(of, plan(of), Outcome(), After()).findings if one.type == "NetworkPolicyApplied")
    return found.status, str(found.reason), found.message


def kept(of: Observed) -> Any:
    return report(of, plan(of), Outcome(), After()).status.get("acceptedServices")


def test_where_it_led_it_is_followed() -> None:
    assert opened(seen(SEARCH)) == [{"app": "search"}]
    assert network(seen(SEARCH))[:2] == ("True", "Applied")
    assert kept(seen(SEARCH)) == [STOOD]


def test_elsewhere_it_is_not() -> None:
    for lead in (LEDGER, ServicePort({"app": "search"}, 9000), ServicePort({"app": "search", "x": "y"}, 8080)):
        assert opened(seen(lead)) == []
        status, reason, message = network(seen(lead))
        assert (status, reason) == ("False", "ServiceRedirected")
        assert "team/search:80 led to app=search:8080" in message
        assert kept(seen(lead)) == [STOOD], "what stood is what counts, also in the next pass"


def test_who_writes_the_agent_takes_it_as_it_is() -> None:
    found = seen(LEDGER, accepted=0)
    assert opened(found) == [{"app": "ledger"}]
    assert network(found)[:2] == ("True", "Applied")
    assert kept(found) == ["team/search:80 -> app=ledger:8080"]


def test_a_service_that_is_made_anew_is_no_way_around() -> None:
    assert kept(seen(None)) == [STOOD]
    assert network(seen(None))[1] == "ServiceNotFound"
    assert opened(seen(LEDGER)) == []


def test_one_that_was_not_there_when_the_agent_was_accepted_is_taken_as_it_comes() -> None:
    found = seen(LEDGER, stood="team/other:80 -> app=x:80")
    assert opened(found) == [{"app": "ledger"}]
    assert kept(found) == ["team/other:80 -> app=x:80", "team/search:80 -> app=ledger:8080"]


def test_nothing_is_kept_for_an_agent_without_services() -> None:
    assert kept(observed(accepted=1)) == []


def test_a_selector_that_is_too_long_for_a_line_is_told_from_another() -> None:
    long = {f"label-{number}": "v" * 60 for number in range(8)}
    one, other = ServicePort(long, 80), ServicePort(long | {"label-7": "w"}, 80)
    (line,) = remembered({KEY: one}, {})
    before = {line.partition(" -> ")[0]: line.partition(" -> ")[2]}
    assert len(line) == MAX_LINE
    assert not redirected({KEY: one}, before)
    assert list(redirected({KEY: other}, before)) == [KEY]
