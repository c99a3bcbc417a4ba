"""`up` works over remains of a killed run, and `down` leaves nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cluster import Cluster
from cluster.instance import base, find
from cluster.shell import wait_for
from suites.cluster.pods import Space, pod
from suites.cluster.traces import traces
from suites.names import own

COMMAND = [sys.executable, "-m", "cluster"]
NOBODY = own("nobody")


def command(*args: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run([*COMMAND, *args], env=env, capture_output=True, text=True, check=False)


def kill_at_once(cluster: Cluster) -> None:
    for pid in cluster.running().values():
        os.kill(pid, signal.SIGKILL)


def test_api_mode_over_a_killed_run_and_down() -> None:
    name = own("kill-api")
    cluster = Cluster.up(name, mode="api")
    try:
        cluster.kubectl("create", "namespace", "before")
        kill_at_once(cluster)
        cluster = Cluster.up(name, mode="api")
        assert "before" not in cluster.kubectl("get", "namespaces", "-o", "name"), "a new cluster"
        assert traces(name), "what the next line looks for can be found"
    finally:
        cluster.down()
    assert traces(name) == []


def test_up_killed_half_way() -> None:
    name = own("half")
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    half = subprocess.Popen([*COMMAND, "up", "--name", name, "--mode", "api"], env=env)
    try:
        wait_for("the first program", lambda: (instance := find(name)) and Cluster(instance).running(), timeout=600)
        half.kill()
        half.wait()
        Cluster.up(name, mode="api").kubectl("get", "namespaces")
    finally:
        command("down", "--name", name)
    assert traces(name) == []


def test_a_node_over_a_killed_run_and_down() -> None:
    name = own("kill")
    cluster = Cluster.up(name)
    try:
        Space(cluster, "default").run(pod("left-behind", image=cluster.testbox.tag))
        kill_at_once(cluster)
        assert traces(name), "pods and mounts outlive the programs"
        cluster = Cluster.up(name)
        space = Space(cluster, "default")
        assert not space.exists("pod", "left-behind")
        space.run(pod("fresh", image=cluster.testbox.tag))
        space.wait_verdict("fresh", "https://llm.example/", "reachable")
    finally:
        cluster.down()
    assert traces(name) == []


def test_down_ends_no_stranger() -> None:
    """A process that has the same command line and knows the folder, but was not started by the cluster."""
    name = own("stranger")
    cluster = Cluster.up(name, mode="api")
    env = {**os.environ, "HOME": str(base() / name), "RINGFENCE_INSTANCE": str(base() / name) + "-other"}
    stranger = subprocess.Popen(["sleep", "600"], env=env)
    try:
        cluster.down()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
    assert traces(name) == []


@pytest.mark.parametrize("name", [NOBODY])
def test_down_of_nothing_is_fine(name: str) -> None:
    assert command("down", "--name", name).returncode == 0
    status = command("status", "--name", name)
    assert (status.returncode, status.stdout.strip()) == (1, f"{name}: not there")


def test_bad_usage_is_explained() -> None:
    missing = command("exec", "--name", NOBODY, "--", "true")
    assert missing.returncode == 1
    assert f"there is no cluster {NOBODY}" in missing.stderr
    assert "Traceback" not in missing.stderr
    assert command("up", "--mode", "nonsense").returncode == 2


def test_quiet_and_colourless_when_nothing_is_to_be_done(api: Cluster) -> None:
    again = command("up", "--name", api.name, "--mode", "api")
    assert again.returncode == 0
    assert "\033[" not in again.stderr
    assert again.stdout.strip() == f"export KUBECONFIG={api.kubeconfig}"


def test_down_does_not_disturb_another_node(node: Cluster) -> None:
    """The kubelets' mount point is the machine's: removing it would undo the mounts of all instances."""
    other = Cluster.up(own("other"))
    other.down()
    mounts = Path(f"/proc/{node.running()['kubelet']}/mountinfo").read_text()
    assert " /var/lib/kubelet " in mounts
    space = Space(node, "default")
    space.run(pod("undisturbed", image=node.testbox.tag))
    space.kubectl("delete", "pod", "undisturbed", "--wait=false")
