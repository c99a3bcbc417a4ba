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
