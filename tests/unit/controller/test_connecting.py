"""Who may get into agents of a namespace: kept, and asked anew after each change that could matter."""

from typing import Any

from ringfence.controller.namespace.connecting import Connecting
from ringfence.store.context import PolicyContext
from ringfence.store.sources import AGENT_POLICY, NAMESPACE


def policy(name: str, *groups: str, **labels: str) -> dict[str, Any]:
    spec = {"connections": {"groups": list(groups)}, "namespaceSelector": {"matchLabels": labels}}
    return {"metadata": {"name": name}, "spec": spec}


def test_by_the_policies_that_bind_it_now() -> None:
    context = PolicyContext()
    known = Connecting(context)
    assert known.groups("team") == ()
    context.observe(AGENT_POLICY, "ADDED", policy("all", "on-call", "sre"))
    assert known.groups("team") == ("on-call", "sre")
    context.observe(AGENT_POLICY, "ADDED", policy("strict", "sre", tier="x"))
    assert known.groups("team") == ("on-call", "sre")
    context.observe(NAMESPACE, "MODIFIED", {"metadata": {"name": "team", "labels": {"tier": "x"}}})
    assert known.groups("team") == ("sre",)
    assert known.groups("other") == ("on-call", "sre")
    context.observe(AGENT_POLICY, "DELETED", policy("all"))
    assert (known.groups("team"), known.groups("other")) == (("sre",), ())
