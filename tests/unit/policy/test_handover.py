"""Whether anybody was asked about the existing Secrets of a spec, and what follows where nobody was."""

from typing import Any

import pytest

from ringfence.policy.handover import (
    HandOver,
    check_hand_over,
    existing_secrets,
    newly_delivered,
    settled,
    undecided_generation,
)
from ringfence.policy.model import RuleName

NAMING = {
    "secrets": [
        {"name": "own", "source": {"generate": {}}},
        {"name": "llm", "source": {"existing": {"secretName": "payroll", "key": "k"}}},
    ]
}
PATH = "spec.secrets[1].source.existing.secretName"


def accepted(reason: str, generation: Any, kind: str = "Accepted") -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": "False", "reason": reason, "observedGeneration": generation}]}


def test_existing_secrets_are_found_where_they_are_named() -> None:
    assert existing_secrets(NAMING) == [(PATH, "payroll")]


@pytest.mark.parametrize(
    ("spec", "status", "known"),
    [
        pytest.param({}, {}, HandOver.DECIDED, id="it names none"),
        pytest.param(NAMING, {}, None, id="new"),
        pytest.param(NAMING, {"acceptedGeneration": 3}, HandOver.DECIDED, id="its children are written"),
        pytest.param(NAMING, {"acceptedGeneration": 2, "observedGeneration": 2}, None, id="a new generation"),
        pytest.param(NAMING, {"observedGeneration": 3}, HandOver.DECIDED, id="seen before, and not marked"),
        pytest.param(
            NAMING,
            {"observedGeneration": 3} | accepted("HandOverUndecided", 3),
            HandOver.UNDECIDED,
            id="marked",
        ),
        pytest.param(
            NAMING,
            {"observedGeneration": 2} | accepted("HandOverUndecided", 2),
            None,
            id="the generation before is marked",
        ),
        pytest.param(
            NAMING,
            {"observedGeneration": 3} | accepted("HandOverUndecided", 3, kind="Ready"),
            HandOver.DECIDED,
            id="the sum is no mark",
        ),
        pytest.param(NAMING, {"observedGeneration": 3} | accepted("Refused", 3), HandOver.DECIDED, id="refused"),
        pytest.param({}, accepted("HandOverUndecided", 3), HandOver.DECIDED, id="marked, and it names none"),
    ],
)
def test_what_is_known_of_a_generation(spec: Any, status: dict[str, Any], known: HandOver | None) -> None:
    assert settled(spec, status, 3) is known


@pytest.mark.parametrize(("generation", "found"), [(4, 4), (None, 0), (0, 0)])
def test_the_mark_names_its_generation(generation: Any, found: int) -> None:
    assert undecided_generation(accepted("HandOverUndecided", generation)) == found


def test_each_secret_that_nobody_was_asked_about_is_a_violation() -> None:
    assert list(check_hand_over(NAMING, HandOver.DECIDED)) == []
    (found,) = check_hand_over(NAMING, HandOver.UNDECIDED)
    assert (found.path, found.rule) == (PATH, RuleName.HAND_OVER_UNDECIDED)
    assert all(part in found.message for part in ("payroll", "helm upgrade", "change any field of this spec"))


HOST = {"host": "api.example.com", "ports": [443], "rules": [{"methods": ["POST"], "paths": ["/v1/x"]}]}
OTHER = {"host": "files.example.com"}
GATEWAY = {"host": "api.example.com", "header": "x-api-key", "env": "API_KEY"}


def sent(*rules: Any, **delivery: Any) -> dict[str, Any]:
    """A spec whose gateway sends a Secret."""
    gateway = {field: value for field, value in (GATEWAY | delivery).items() if value is not None}
    secret = {"name": "llm", "source": {"existing": {"secretName": "payroll", "key": "k"}}}
    return {
        "network": {"egress": list(rules or [HOST, OTHER])},
        "secrets": [secret | {"delivery": {"gateway": gateway}}],
    }


ELSEWHERE: dict[str, dict[str, Any]] = {
    "its rules": sent(HOST | {"rules": [{"methods": ["POST"], "paths": ["/v1/files"]}]}, OTHER),
    "no rules": sent({"host": "api.example.com", "ports": [443]}, OTHER),
    "preset": sent({"host": "api.example.com", "ports": [443], "preset": "anthropic"}, OTHER),
    "mode": sent(HOST | {"mode": "Tunnel"}, OTHER),
    "ports": sent(HOST | {"ports": [443, 8443]}, OTHER),
    "limits": sent(HOST | {"limits": {"requestsPerMinute": 9}}, OTHER),
    "one more rule": sent(HOST, HOST | {"ports": [8443]}, OTHER),
    "host": sent(HOST, OTHER, host="files.example.com"),
    "header": sent(HOST, OTHER, header="x-other"),
    "scheme": sent(HOST, OTHER, header="authorization", scheme="Bearer"),
    "basic": sent(HOST, OTHER, header=None, basic={"user": "u"}),
    "query": sent(HOST, OTHER, header=None, query="key"),
    "env": sent(HOST, OTHER, env="OTHER_KEY"),
}


@pytest.mark.parametrize("changed", ELSEWHERE)
def test_what_decides_where_a_gateway_sends_a_secret_is_asked_about(changed: str) -> None:
    found = newly_delivered(ELSEWHERE[changed], sent())
    assert found == {"payroll": "spec.secrets[0].source.existing.secretName"}


def test_what_else_its_agent_reaches_is_not() -> None:
    for rules in ([HOST], [HOST, {"host": "other.example.com"}], [{"cidr": "192.0.2.0/24", "ports": [443]}, HOST]):
        assert newly_delivered(sent(*rules), sent()) == {}


@pytest.mark.parametrize("network", [None, 3, {}, {"egress": None}, {"egress": "x"}, {"egress": [None, 3, {}]}])
def test_a_network_that_cannot_be_read_names_no_host(network: Any) -> None:
    spec = sent() | {"network": network}
    assert newly_delivered(spec, spec) == {}
    assert newly_delivered(spec, sent())
    for gateway in (None, 3, {}, {"host": None}):
        odd = {"secrets": [sent()["secrets"][0] | {"delivery": {"gateway": gateway}}], "network": network}
        assert newly_delivered(odd, odd) == {}
