"""Runtime, limits and storage."""

from fractions import Fraction
from typing import Any

import pytest

from ringfence.policy.quantities import amount
from unit.policy.make import judge, places


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        (2, 2),
        ("2", 2),
        ("500m", Fraction(1, 2)),
        ("1.5", Fraction(3, 2)),
        ("0.1Gi", Fraction(2**30, 10)),
        ("1k", 1000),
        ("1Ki", 1024),
        ("3M", 3 * 10**6),
        ("1E", 10**18),
        ("1Ei", 2**60),
        ("0m", 0),
    ],
)
def test_amounts_are_exact(quantity: int | str, value: Fraction) -> None:
    assert amount(quantity) == value


@pytest.mark.parametrize(
    ("resources", "path"),
    [
        ({"limits": {"memory": 0}}, "limits.memory"),
        ({"limits": {"memory": "0"}}, "limits.memory"),
        ({"limits": {"cpu": "0m"}}, "limits.cpu"),
        ({"limits": {"ephemeral-storage": "0.0Gi"}}, "limits.ephemeral-storage"),
        ({"requests": {"memory": 0}}, "requests.memory"),
        ({"requests": {"cpu": "1001m"}, "limits": {"cpu": 1}}, "requests.cpu"),
        ({"requests": {"memory": "1Gi"}, "limits": {"memory": "1G"}}, "requests.memory"),
    ],
)
def test_limits_limit(resources: dict[str, Any], path: str) -> None:
    assert places(judge({"resources": resources})) == {("InvalidField", f"spec.resources.{path}")}


@pytest.mark.parametrize(
    "resources",
    [
        {},
        {"limits": {"cpu": "10m"}},
        {"requests": {"cpu": 8}},
        {"requests": {"cpu": 1}, "limits": {"cpu": "1000m"}},
        {"requests": {"memory": 0}, "limits": {"memory": "1Gi"}},
    ],
)
def test_resources_that_fit(resources: dict[str, Any]) -> None:
    assert judge({"resources": resources}) == []


@pytest.mark.parametrize(
    ("path", "free"),
    [
        ("/var/lib/agent", True),
        ("/tmpfiles", True),
        ("/data", True),
        ("/tmp", False),
        ("/tmp/cache", False),
        ("/proc", False),
        ("/sys/fs", False),
        ("/dev/shm", False),
        ("/var", False),
        ("/var/run", False),
        ("/var/run/secrets/kubernetes.io/serviceaccount", False),
        ("/run", False),
    ],
)
def test_storage_hides_nothing(path: str, *, free: bool) -> None:
    found = judge({"storage": {"mountPath": path, "size": "1Gi"}})
    assert places(found) == (set() if free else {("InvalidField", "spec.storage.mountPath")})


def test_storage_has_a_size() -> None:
    found = judge({"storage": {"mountPath": "/data", "size": 0}})
    assert places(found) == {("InvalidField", "spec.storage.size")}


def test_sandbox() -> None:
    wanted = {"sandbox": {"runtimeClassNames": ["gvisor", "kata"]}}
    at = {("SandboxRequired", "spec.sandbox.runtimeClassName")}
    assert places(judge({}, wanted)) == at
    assert places(judge({"sandbox": {"runtimeClassName": "runc"}}, wanted)) == at
    assert judge({"sandbox": {"runtimeClassName": "kata"}}, wanted) == []
    assert (
        places(judge({"sandbox": {"runtimeClassName": "kata"}}, wanted, {"sandbox": {"runtimeClassNames": ["x"]}}))
        == at
    )
    assert judge({}) == []
