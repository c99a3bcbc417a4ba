"""Probes: what they may say, and that another command is another program."""

from typing import Any

import pytest

from ringfence.policy.handover import runs_the_same
from unit.policy.make import judge, places

PORTS = [{"name": "panel", "port": 8080}]


def probe(**fields: Any) -> dict[str, Any]:
    return {"ports": PORTS, "probes": [{"type": "Readiness", **fields}]}


@pytest.mark.parametrize(
    "fields",
    [
        {"http": {"port": "panel"}},
        {"http": {"port": "panel", "path": "/ready", "scheme": "HTTPS"}, "every": "1h", "timeout": "1s"},
        {"tcp": {"port": "panel"}, "delay": "1h", "failures": 1000},
        {"command": ["/agent", "ready"]},
    ],
)
def test_what_is_accepted(fields: dict[str, Any]) -> None:
    assert judge(probe(**fields)) == []


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, ""),
        ({"command": []}, ".command"),
        ({"http": {"port": "panel"}, "tcp": {"port": "panel"}}, ""),
        ({"http": {"port": 8080}}, ".http.port"),
        ({"http": {"port": "panel", "host": "10.0.0.1"}}, ".http.host"),
        ({"http": {"port": "panel", "httpHeaders": []}}, ".http.httpHeaders"),
        ({"grpc": {"port": 1}, "command": ["a"]}, ".grpc"),
        ({"command": ["a"], "every": "0s"}, ".every"),
        ({"command": ["a"], "timeout": "2h"}, ".timeout"),
        ({"command": ["a"], "failures": 0}, ".failures"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], path: str) -> None:
    assert places(judge(probe(**fields))) == {("InvalidField", f"spec.probes[0]{path}")}


def test_a_port_must_be_the_agents_own() -> None:
    assert places(judge(probe(tcp={"port": "other"}))) == {("InvalidField", "spec")}


def test_a_secret_in_a_command_is_refused() -> None:
    found = judge(probe(command=["curl", "--password=hunter2hunter2", "localhost"]))
    assert places(found) == {("SecretInPlainText", "spec.probes[0].command[1]")}


def test_another_command_is_another_program() -> None:
    """It runs in the agent's container, and reads what that may read."""
    assert runs_the_same(probe(command=["a"]), probe(command=["a"]))
    assert not runs_the_same(probe(command=["cat", "/var/run/ringfence/key"]), probe(command=["a"]))
    assert not runs_the_same(probe(command=["a"]), {})
