"""What several policies allow together, and which of them narrows it."""

from typing import Any

import pytest

from ringfence.api import AgentPolicySpec
from ringfence.policy.builtin import RESTRICTED
from ringfence.policy.model import NamedPolicy
from ringfence.policy.together import together


def found(path: str, *specs: dict[str, Any]) -> tuple[str, str] | None:
    """The value of a field, and the policies (a, b, ...) that narrow it."""
    policies = [
        NamedPolicy(name, AgentPolicySpec.model_validate(spec)) for name, spec in zip("abc", specs, strict=False)
    ]
    one = next((one for one in together(policies) if one.path == path), None)
    return None if one is None else (one.value, "".join(one.policies))


def nested(path: str, value: Any) -> dict[str, Any]:
    for step in reversed(path.split(".")):
        value = {step: value}
    return dict(value)


PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
MAPS = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}


@pytest.mark.parametrize(
    ("path", "values", "value", "by"),
    [
        ("permissions.maxLevel", ["Admin", "LimitedWrite"], "LimitedWrite", "b"),
        ("permissions.maxLevel", ["Admin", "Admin"], "Admin", "ab"),
        ("permissions.allow", [[PODS, MAPS], [PODS | {"verbs": ["get"]}]], "get pods", "b"),
        ("permissions.allow", [[MAPS], [PODS]], "none", "ab"),
        ("permissions.allow", [[MAPS], None], "get configmaps", "a"),
        ("egress.cidrs", [["203.0.113.0/24"], ["203.0.113.0/28"]], "203.0.113.0/28", "b"),
        ("egress.cidrs", [["203.0.113.0/28"], ["198.51.100.0/28"]], "none", "ab"),
        ("egress.hosts", [[{"name": "*.x.example"}], [{"name": "a.x.example"}]], "a.x.example", "b"),
        ("egress.hosts", [[{"name": "*.x.example"}, {"name": "b.y"}], [{"name": "*.x.example"}]], "*.x.example", "b"),
        ("egress.hosts", [[{"name": "*.r2.dev"}], [{"name": "a.r2.dev"}]], "none", "a"),
        ("egress.tunnel", [["a.example", "b.example"], ["b.example"]], "b.example", "b"),
        ("egress.unkeyed", [["*.openai.com"], []], "none", "b"),
        ("egress.limits.requestsPerMinute", [60, 600], "60", "a"),
        ("egress.limits.requestsPerMinute", [None, 600], "600", "b"),
        ("egress.limits.maxBodyBytes", [4096, 1024], "1024", "b"),
        ("egress.maxPublicAddresses", [16, 32], "16", "a"),
        ("egress.serviceNamespaces", [["a", "b"], ["b", "c"]], "b", "ab"),
        ("egress.serviceNamespaces", [[], ["b", "c"]], "its own alone", "a"),
        ("egress.dns", ["Never", "WhereNeeded"], "Never", "a"),
        ("ingress.namespaces", [["ops"], ["ops", "x"]], "ops", "a"),
        ("images.registries", [["*"], ["r.example/a"]], "r.example/a", "b"),
        ("images.registries", [["r.example"], ["r.example/a", "s.example"]], "r.example/a", "ab"),
        ("images.registries", [["r.example"], ["r.example.org"]], "none", "ab"),
        ("images.requireDigest", [False, True], "true", "b"),
        ("images.requireDigest", [False, False], "false", "ab"),
        ("sandbox.runtimeClassNames", [["gvisor", "kata"], None], "gvisor, kata", "a"),
        ("pods.users", [[{"first": 9, "last": 20}], [{"first": 15, "last": 30}]], "15-20, 65532", "ab"),
        ("pods.users", [[{"first": 9, "last": 20}], []], "65532", "b"),
        ("pods.nodeLabels", [[{"key": "a"}, {"key": "b", "value": "x"}], [{"key": "a", "value": "y"}]], "a=y", "b"),
        ("pods.nodeLabels", [[{"key": "b", "value": "x"}], [{"key": "b", "value": "y"}]], "none", "ab"),
        ("pods.tolerations", [[{"key": "a"}], [{"key": "a", "effect": "NoExecute"}]], "a=*:NoExecute", "b"),
        ("pods.priorityClassNames", [["a", "b"], ["b"]], "b", "b"),
        ("pods.devices", [[{"name": "x/gpu", "most": 4}], [{"name": "x/gpu", "most": 2}]], "2 x/gpu", "b"),
        ("pods.claims", [[{"name": "a", "access": "ReadWrite"}, {"name": "b"}], [{"name": "a"}]], "a (ReadOnly)", "b"),
        ("pods.claims", [[{"name": "a"}], []], "none", "b"),
        ("pods.topologyKeys", [["zone", "host"], ["zone"]], "zone", "b"),
        ("connections.groups", [["on-call", "sre"], ["sre"]], "sre", "b"),
        ("connections.groups", [["on-call"], ["sre"]], "nobody", "ab"),
        ("connections.groups", [["on-call"], None], "nobody", "b"),
        ("secrets.maxAge", ["720h", "24h"], "24h", "b"),
        ("secrets.allowNever", [True, False], "false", "b"),
        ("onOrphans", ["Keep", "Stop"], "Stop", "b"),
        ("onRepeatedEdits", ["Keep", "Keep"], "Keep", "ab"),
        ("existing", ["Suspend", "Report"], "Suspend", "a"),
        ("limits.cpu", ["1500m", "2"], "1500m", "a"),
        ("limits.agents", [None, 3], "3", "b"),
        ("limits.perAgent.memory", ["1Gi", "512Mi"], "512Mi", "b"),
    ],
)
def test_each_field(path: str, values: list[Any], value: str, by: str) -> None:
    specs = [{} if one is None else nested(path, one) for one in values]
    assert found(path, *specs) == (value, by)


@pytest.mark.parametrize(
    "path", ["permissions.allow", "sandbox.runtimeClassNames", "limits.cpu", "limits.perAgent.cpu"]
)
def test_what_nobody_speaks_of_is_left_out(path: str) -> None:
    assert found(path, {}, {}) is None


def test_three_of_which_two_are_needed() -> None:
    cidrs = [["203.0.113.0/24"], ["203.0.113.0/25"], ["203.0.113.64/26", "198.51.100.0/24"]]
    specs = [nested("egress.cidrs", one) for one in cidrs]
    assert found("egress.cidrs", *specs) == ("203.0.113.64/26", "c")


def test_every_field_of_a_policy_is_told() -> None:
    """One that is new is told as well, or named here."""
    told = {one.path.partition(".")[0] for one in together([RESTRICTED])}
    fields = {AgentPolicySpec.model_fields[name].alias or name for name in AgentPolicySpec.model_fields}
    quiet = {"sandbox", "limits"}  # where they say nothing
    assert told | quiet == fields - {"namespaceSelector"}
