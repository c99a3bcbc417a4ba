"""Nodes, priorities and devices: closed, and opened by every policy that binds."""

from typing import Any

import pytest

from unit.policy.make import judge, places

POOL = {"key": "example.com/pool", "value": "agents"}
TAINT = {"key": "example.com/agents", "value": "yes", "effect": "NoSchedule"}
OPEN = {
    "pods": {
        "nodeLabels": [POOL, {"key": "zone"}],
        "tolerations": [TAINT, {"key": "any"}, {"key": "some", "effect": "NoSchedule"}],
        "priorityClassNames": ["agents"],
        "topologyKeys": ["zone"],
        "devices": [{"name": "nvidia.com/gpu", "most": 4}],
    }
}
AT = "spec.scheduling"
ABOVE = "SchedulingAbovePolicy"

ASKED: list[tuple[dict[str, Any], str, bool]] = [
    ({"nodeSelector": {"example.com/pool": "agents"}}, "nodeSelector", True),
    ({"nodeSelector": {"zone": "a"}}, "nodeSelector", True),
    ({"nodeSelector": {"example.com/pool": "others"}}, "nodeSelector", False),
    ({"nodeSelector": {"zone": "a", "kubernetes.io/hostname": "node-1"}}, "nodeSelector", False),
    ({"tolerations": [TAINT]}, "tolerations[0]", True),
    ({"tolerations": [TAINT | {"value": "no"}]}, "tolerations[0]", False),
    ({"tolerations": [TAINT | {"effect": "NoExecute"}]}, "tolerations[0]", False),
    ({"tolerations": [{"key": "example.com/agents"}]}, "tolerations[0]", False),
    ({"tolerations": [{"key": "any"}]}, "tolerations[0]", True),
    ({"tolerations": [{"key": "any", "value": "x", "effect": "NoExecute"}]}, "tolerations[0]", True),
    ({"tolerations": [{"key": "some", "value": "x", "effect": "NoSchedule"}]}, "tolerations[0]", True),
    ({"tolerations": [{"key": "some", "value": "x"}]}, "tolerations[0]", False),
    ({"spread": [{"topologyKey": "zone"}]}, "spread[0].topologyKey", True),
    ({"spread": [{"topologyKey": "kubernetes.io/hostname"}]}, "spread[0].topologyKey", False),
    *(
        ({"nodeAffinity": {field: [asked]}}, f"nodeAffinity.{field}[0]", allowed)
        for field in ("required", "preferred")
        for asked, allowed in (
            ({"key": "zone", "operator": "In", "values": ["a", "b"]}, True),
            ({"key": "zone", "operator": "NotIn", "values": ["a"]}, True),
            ({"key": "zone", "operator": "Exists"}, True),
            ({"key": "zone", "operator": "DoesNotExist"}, True),
            ({"key": "zone", "operator": "Gt", "values": ["3"]}, True),
            ({"key": "kubernetes.io/hostname", "operator": "In", "values": ["node-1"]}, False),
            ({"key": "kubernetes.io/hostname", "operator": "Exists"}, False),
            ({"key": "example.com/pool", "operator": "In", "values": ["agents"]}, True),
            ({"key": "example.com/pool", "operator": "In", "values": ["agents", "others"]}, False),
        )
    ),
    *(
        ({field: [{"topologyKey": key, **other}]}, f"{field}[0].topologyKey", key == "zone")
        for field in ("near", "apart")
        for key in ("zone", "kubernetes.io/hostname")
        for other in ({}, {"agent": "b"})
    ),
    ({"priorityClassName": "agents"}, "priorityClassName", True),
    ({"priorityClassName": "system-node-critical"}, "priorityClassName", False),
]


@pytest.mark.parametrize(("asked", "path", "allowed"), ASKED)
def test_each_is_what_a_policy_names(asked: dict[str, Any], path: str, *, allowed: bool) -> None:
    assert places(judge({"scheduling": asked}, OPEN)) == (set() if allowed else {(ABOVE, f"{AT}.{path}")})
    assert places(judge({"scheduling": asked}, OPEN, {})) == {(ABOVE, f"{AT}.{path}")}, "all must allow"
    assert places(judge({"scheduling": asked})) == {(ABOVE, f"{AT}.{path}")}, "none binds: closed"


@pytest.mark.parametrize(
    "key",
    [
        "node-role.kubernetes.io/control-plane",
        "node-role.kubernetes.io/master",
        "node.kubernetes.io/unreachable",
        "node.kubernetes.io/unschedulable",
    ],
)
def test_control_plane_nodes_are_never_tolerated(key: str) -> None:
    found = judge({"scheduling": {"tolerations": [{"key": key, "effect": "NoSchedule"}]}}, OPEN)
    assert places(found) == {("InvalidField", f"{AT}.tolerations[0].key")}


@pytest.mark.parametrize(
    ("operator", "values"),
    [("NotIn", ["others"]), ("Exists", []), ("DoesNotExist", []), ("Gt", ["1"]), ("Lt", ["1"])],
)
@pytest.mark.parametrize("field", ["required", "preferred"])
def test_what_is_not_named_is_chosen_by_a_key_that_is_open(field: str, operator: str, values: list[str]) -> None:
    """A policy that allows one value of a label allows no way around it."""
    asked = {"key": POOL["key"], "operator": operator, "values": values}
    found = judge({"scheduling": {"nodeAffinity": {field: [asked]}}}, OPEN)
    assert places(found) == {(ABOVE, f"{AT}.nodeAffinity.{field}[0]")}
    assert operator in found[0].message
    open_key = {"pods": {"nodeLabels": [{"key": POOL["key"]}]}}
    assert judge({"scheduling": {"nodeAffinity": {field: [asked]}}}, open_key) == []


def test_no_agent_keeps_another_one_from_starting() -> None:
    """The scheduler keeps those pods away, too, from which a pod must stay away."""
    for other, bad in (({}, False), ({"agent": "b"}, True)):
        asked = {"topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", **other}
        found = judge({"scheduling": {"apart": [asked]}}, OPEN)
        assert places(found) == ({("InvalidField", f"{AT}.apart[0]")} if bad else set())
        assert judge({"scheduling": {"near": [asked]}}, OPEN) == []
    assert judge({"scheduling": {"apart": [{"topologyKey": "zone", "agent": "b"}]}}, OPEN) == []


@pytest.mark.parametrize(
    "selector", ["namespaces", "namespaceSelector", "labelSelector", "matchLabelKeys", "podLabels", "namespace"]
)
def test_only_agents_of_its_own_namespace_are_looked_for(selector: str) -> None:
    for field in ("near", "apart"):
        found = judge({"scheduling": {field: [{"topologyKey": "zone", selector: {}}]}}, OPEN)
        assert places(found) == {("InvalidField", f"{AT}.{field}[0].{selector}")}


@pytest.mark.parametrize("one", [{}, {"operator": "Exists"}, {"key": "", "effect": "NoSchedule"}, {"key": "*"}])
def test_not_all_taints_at_once(one: dict[str, Any]) -> None:
    assert any(
        path.startswith(f"{AT}.tolerations[0]")
        for _, path in places(judge({"scheduling": {"tolerations": [one]}}, OPEN))
    )


@pytest.mark.parametrize(
    ("name", "count", "replicas", "allowed"),
    [
        ("nvidia.com/gpu", 1, 1, True),
        ("nvidia.com/gpu", 2, 2, True),
        ("nvidia.com/gpu", 2, 3, False),
        ("nvidia.com/gpu", 5, 0, False),
        ("amd.com/gpu", 1, 1, False),
    ],
)
def test_devices_are_counted_over_all_pods(name: str, count: int, replicas: int, *, allowed: bool) -> None:
    spec = {"devices": [{"name": name, "count": count}], "replicas": replicas}
    assert places(judge(spec, OPEN)) == (set() if allowed else {(ABOVE, "spec.devices[0]")})
    assert places(judge(spec)) == {(ABOVE, "spec.devices[0]")}


@pytest.mark.parametrize(
    "name", ["cpu", "memory", "hugepages-2Mi", "requests.x/cpu", "kubernetes.io/x", "a.kubernetes.io/x"]
)
def test_no_resource_of_kubernetes_is_a_device(name: str) -> None:
    assert places(judge({"devices": [{"name": name, "count": 1}]}, OPEN)) == {("InvalidField", "spec.devices[0].name")}
