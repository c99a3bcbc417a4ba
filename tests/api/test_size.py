"""Objects that are far too big: refused with a sentence by both, in a time that harms nobody."""

import time
from typing import Any

import pytest

from api.parity import Parity, errors
from api.samples import agent, policy

RULE = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}
MIB = 2**20
DEADLINE = 0.2
"""Seconds of the processor for one verdict in Python, where a webhook has five of the clock. It takes milliseconds."""


def test_10_000_rules(parity: Parity) -> None:
    parity.refused(agent(permissions={"rules": [RULE] * 10_000}), "spec.permissions.rules", "32")


def test_10_000_egress_rules(parity: Parity) -> None:
    rules = [{"cidr": f"10.{n // 256}.{n % 256}.0/24", "ports": [443]} for n in range(10_000)]
    parity.refused(agent(network={"egress": rules}), "spec.network.egress", "128")


@pytest.mark.parametrize("spread", ["one text", "many texts", "labels", "verbs"])
def test_an_object_of_1_mib(parity: Parity, spread: str) -> None:
    manifest: dict[str, Any] = {
        "one text": agent(args=["a" * MIB]),
        "many texts": agent(args=["a" * 1024] * 1024),
        "labels": policy(namespaceSelector={"matchLabels": {f"k{n}": "v" * 50 for n in range(20_000)}}),
        "verbs": agent(permissions={"rules": [{**RULE, "verbs": ["get"] * 150_000}]}),
    }[spread]
    assert not parity.verdict(manifest)
    started = time.process_time()
    found = errors(manifest)
    assert time.process_time() - started < DEADLINE
    assert all(len(error) < 1000 for error in found)


def test_more_than_a_request_may_hold(parity: Parity) -> None:
    manifest = agent(args=["a" * 4 * MIB])
    answer = parity.server.create(manifest, kind="AgentDeployment")
    assert not answer.ok
    assert errors(manifest)


def test_the_largest_object_that_the_schema_takes_passes_the_cost_of_its_rules(parity: Parity) -> None:
    # CEL stops a rule that costs too much: then nobody could write what the bounds allow.
    label = {f"{'a' * 253}/{n:063}": "v" * 63 for n in range(8)}
    largest = agent(
        "a" * 63,
        args=["a" * 4096] * 32,
        ports=[{"name": f"{n:x}" * 7 + "port", "port": n + 1} for n in range(16)],
        health={"port": "f" * 7 + "port"},
        network={
            "egress": [{"cidr": "2001:0db8:0000:0000:0000:0000:0000:0000/128", "ports": list(range(1, 17))}] * 64,
            "ingress": [{"from": {"podLabels": label}, "port": "f" * 7 + "port"}] * 64,
        },
    )
    answer = parity.answer(largest)
    assert answer.ok, answer.message


def test_the_largest_policy_passes_the_cost_of_its_rules(parity: Parity) -> None:
    key = f"{'a' * 253}/{'b' * 60}"
    largest = policy(
        namespaceSelector={
            "matchLabels": {f"{key}{n:03}": "v" * 63 for n in range(16)},
            "matchExpressions": [{"key": key, "operator": "In", "values": ["v" * 63] * 64}] * 16,
        },
        egress={"cidrs": [f"2001:0db8:0000:0000:0000:0000:{n:04x}:0000/128" for n in range(256)]},
    )
    answer = parity.answer(largest)
    assert answer.ok, answer.message


def test_a_deep_object(parity: Parity) -> None:
    deep: Any = "bottom"
    for _ in range(5_000):
        deep = {"a": deep}
    # Built by hand: Python's own writer of JSON is recursive.
    sent = '{"apiVersion":"ringfence.dev/v1alpha1","kind":"AgentDeployment","metadata":{"name":"a"},"spec":'
    sent += '{"image":"a","network":' + '{"a":' * 5_000 + "1" + "}" * 5_000 + "}}"
    assert not parity.verdict(agent(network=deep), sent.encode())
