"""The pod itself, seen from inside."""

from collections.abc import Callable

import pytest

from cluster.shell import wait_for
from harness import agents
from harness.api import Api
from harness.kubectl import Kubectl
from harness.manifests import NAMESPACE
from harness.probing import pod_of

pytestmark = pytest.mark.usefixtures("examples")

Inside = Callable[..., str]


def facts(inside: Inside, agent: str) -> dict[str, str]:
    """/proc/1/status of the agent."""
    lines = inside(agent, "cat", "/proc/1/status").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_it_runs_as_nobody_in_particular_without_any_capability(inside: Inside) -> None:
    found = facts(inside, "minimal")
    assert set(found["Uid"].split()) == set(found["Gid"].split()) == {"65532"}
    assert {found[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert found["NoNewPrivs"] == "1"
    assert found["Seccomp"] == "2"  # a filter is in force


def test_the_root_file_system_is_read_only(inside: Inside) -> None:
    for path in ("/x", "/etc/x", "/proc/sys/kernel/hostname"):
        with pytest.raises(Exception, match=r"read-only file system|permission denied"):
            inside("minimal", "write", path, "text")


def test_tmp_is_writable(inside: Inside) -> None:
    inside("minimal", "write", "/tmp/note", "kept for a while")
    assert inside("minimal", "cat", "/tmp/note") == "kept for a while"


def test_storage_outlives_the_pod(inside: Inside, kubectl: Kubectl, api: Api) -> None:
    inside("panel", "write", "/var/lib/agent/note", "kept")
    old = pod_of(kubectl, NAMESPACE, "ringfence.dev/agent=panel")["metadata"]
    kubectl("delete", "pod", old["name"], "-n", NAMESPACE, "--grace-period=2")
    agents.wait(api, NAMESPACE, "panel")
    wait_for(
        "another pod of panel",
        lambda: pod_of(kubectl, NAMESPACE, "ringfence.dev/agent=panel")["metadata"]["uid"] != old["uid"],
    )
    agents.wait(api, NAMESPACE, "panel")
    assert inside("panel", "cat", "/var/lib/agent/note") == "kept"


def test_it_learns_nothing_of_the_namespaces_services(inside: Inside, kubectl: Kubectl) -> None:
    """Service links would put the addresses of all services into its environment."""
    names = {line.partition("=")[0] for line in inside("minimal", "env").splitlines()}
    assert not {name for name in names if name.endswith("_SERVICE_HOST") and name != "KUBERNETES_SERVICE_HOST"}
