"""Hosts in words: what is let through of each, and by which rule a target is reached."""

from typing import Any

import pytest

from ringfence.api.network import EgressRule
from ringfence.cli.hosts import host_lines, named_hosts, rule_for

IMAGE = "registry.example/a@sha256:" + "0" * 64
RULES = [
    {"methods": ["GET", "HEAD"]},
    {"paths": ["/v1/*"]},
    {"methods": ["POST"], "paths": ["/a", "/b"]},
]
HOSTS: list[tuple[dict[str, Any], str]] = [
    ({"host": "a.example"}, "a.example:443 by the gateway: any request"),
    ({"host": "a.example", "ports": [80, 443]}, "a.example:80,443 by the gateway: any request, without TLS on port 80"),
    (
        {"host": "*.example.com", "rules": RULES},
        "*.example.com:443 by the gateway: GET|HEAD any path, any method /v1/*, POST /a|/b",
    ),
    (
        {"host": "a.example", "mode": "Tunnel", "ports": [8443]},
        "a.example:8443 by a tunnel, in which the gateway sees nothing",
    ),
]


@pytest.mark.parametrize(("rule", "line"), HOSTS, ids=[line for _, line in HOSTS])
def test_a_host_in_words(rule: dict[str, Any], line: str) -> None:
    assert list(host_lines([EgressRule.model_validate(rule)])) == [line]


@pytest.mark.parametrize(
    ("name", "port", "expected"),
    [
        ("api.example.com", 443, "api.example.com"),
        ("API.example.com.", 443, "api.example.com"),
        ("www.example.com", 443, "*.example.com"),
        ("api.example.com", 80, None),
        ("example.com", 443, None),
        ("127.0.0.1", 443, None),
    ],
)
def test_the_exact_name_goes_before_a_wildcard(name: str, port: int, expected: str | None) -> None:
    rules = [EgressRule.model_validate({"host": one}) for one in ("*.example.com", "api.example.com")]
    found = rule_for(rules, name, port)
    assert (found and found.host) == expected


def test_a_spec_that_was_not_accepted_opens_nothing() -> None:
    spec = {"image": IMAGE, "network": {"egress": [{"host": "a.example"}]}}
    agent: dict[str, Any] = {"metadata": {"generation": 2}, "spec": spec, "status": {"acceptedGeneration": 2}}
    assert [rule.host for rule in named_hosts(agent)] == ["a.example"]
    assert named_hosts(agent | {"status": {"acceptedGeneration": 1}}) == []
    assert named_hosts(agent | {"status": None}) == []
    assert named_hosts(agent | {"spec": {"image": 1}}) == []
