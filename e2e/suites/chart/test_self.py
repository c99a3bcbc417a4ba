"""Ringfence's own pods, from inside and from outside: what they are, what they reach, who reaches them."""

import json
from collections.abc import Iterator

import pytest

from cluster import CommandFailed
from cluster.shell import run, wait_for
from suites.chart.release import CRDS, Release

COMPONENTS = ["controller", "admission"]

LOOK = """
import json, os
def writes(path):
    try: open(path + "/probe", "w").close(); return True
    except OSError: return False
status = dict(line.rstrip().split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
print(json.dumps({
    "uid": os.getuid(), "gid": os.getgid(), "capabilities": int(status["CapEff"], 16),
    "no_new_privileges": status["NoNewPrivs"], "seccomp": status["Seccomp"],
    "writes": [path for path in ("/", "/etc", "/home/ringfence", "/usr/local", "/tmp") if writes(path)],
}))
"""

REACH = """
import socket, sys
host, port, family = sys.argv[1], int(sys.argv[2]), socket.AF_INET
s = socket.socket(family, socket.SOCK_STREAM); s.settimeout(2)
try: s.connect((host, port)); print("reachable")
except TimeoutError: print("blocked")
except OSError as error: print("refused", error)
"""


@pytest.fixture(scope="module", autouse=True)
def installed(release: Release) -> None:
    """Whatever the other tests left, the release is there now."""
    release.helm("upgrade", "--install", "ringfence-crds", str(CRDS))
    release.put("upgrade", "--install")


@pytest.fixture(params=COMPONENTS)
def pod(request: pytest.FixtureRequest, release: Release) -> str:
    name: str = release.pods(request.param)[0]["metadata"]["name"]
    return name


def test_runs_as_nobody_in_particular_on_a_read_only_root(release: Release, pod: str) -> None:
    seen = json.loads(release.python(pod, LOOK))
    assert seen == {
        "uid": 65532,
        "gid": 65532,
        "capabilities": 0,
        "no_new_privileges": "1",
        "seccomp": "2",
        "writes": ["/tmp"],
    }


@pytest.mark.parametrize("program", ["sh", "bash", "apt-get", "dpkg", "pip3", "perl", "curl"])
def test_the_image_holds_no_shell_and_no_package_manager(release: Release, pod: str, program: str) -> None:
    with pytest.raises(CommandFailed, match=r"not found|no such file"):
        release.execute(pod, program, "--version")


def _reach(release: Release, pod: str, host: str, port: int) -> str:
    return release.execute(pod, "python3", "-c", REACH, host, str(port)).strip()


def test_reaches_no_port_but_the_api_servers(release: Release, pod: str) -> None:
    assert _reach(release, pod, "10.96.0.1", 443) == "reachable"
    other = release.pods("admission")[-1]["status"]["podIP"]
    for host, port in (
        ("203.0.113.10", 8080),  # the internet
        ("169.254.169.254", 80),  # the cloud's metadata
        ("10.96.0.10", 53),  # DNS
        (other, 8080),  # another pod of ours
        (release.cluster.address, 10250),  # the kubelet
    ):
        assert _reach(release, pod, host, port) == "blocked", f"{host}:{port}"


OUTSIDE = ("203.0.113.10", 443)
"""Somebody on the internet who answers on the API server's port."""


def test_with_its_address_known_it_reaches_the_api_server_and_nothing_else(release: Release, pod: str) -> None:
    assert _reach(release, pod, *OUTSIDE) == "reachable", "without: docs/limits.md says so"
    release.put("upgrade", "--set", "networkPolicy.apiServer.discover=true")
    try:
        wait_for("the way out is closed", lambda: _reach(release, pod, *OUTSIDE) == "blocked")
        assert _reach(release, pod, "10.96.0.1", 443) == "reachable"
    finally:
        release.put("upgrade")


@pytest.fixture(scope="module")
def visitor(release: Release) -> Iterator[str]:
    """A pod in another namespace that tries to get in."""
    metadata = {"name": "visitor", "namespace": "visitors"}
    container = {"name": "main", "image": release.cluster.testbox.pinned, "args": ["echo", "-http", ":8080"]}
    release.cluster.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "visitors"}},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
        },
    )
    release.cluster.kubectl("wait", "pod/visitor", "-n", "visitors", "--for=condition=Ready", "--timeout=60s")
    yield "visitor"
    release.cluster.kubectl("delete", "namespace", "visitors", "--wait=false")


def _verdict(release: Release, url: str) -> str:
    probe = ["kubectl", "exec", "-n", "visitors", "visitor", "--", "/testbox", "probe", "-timeout", "2s", url]
    # It ends with another code than 0 for what it could not reach.
    verdict: str = json.loads(run(probe, env=release.cluster.env, ok=True))["verdict"]
    return verdict


def test_metrics_are_for_the_namespaces_that_are_let_in(release: Release, visitor: str) -> None:
    def verdict() -> str:
        """Of a pod that is there now: those of before are replaced, as gateways are to let in the same namespaces."""
        return _verdict(release, f"http://{release.pods('controller')[0]['status']['podIP']}:8080/metrics")

    assert verdict() == "blocked"
    labels = '{"kubernetes.io/metadata.name":"visitors"}'
    release.put("upgrade", "--set-json", f"networkPolicy.metrics.namespaceSelector={labels}")
    try:
        wait_for("the way in", lambda: verdict() == "reachable")
        metrics = release.python(
            release.pods("controller")[0]["metadata"]["name"],
            "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8080/metrics').read().decode())",
        )
        assert "ringfence_" in metrics
    finally:
        release.put("upgrade")


def test_the_review_port_is_open_and_the_health_port_is_not(release: Release, visitor: str) -> None:
    address = release.pods("admission")[0]["status"]["podIP"]
    assert _verdict(release, f"tcp://{address}:8443") == "reachable"
    assert _verdict(release, f"tcp://{address}:8080") == "blocked"


def test_memory_stays_below_what_is_promised(release: Release) -> None:
    """At rest, right after a start: the bars are 150 MiB (controller) and 100 MiB (admission)."""
    code = "print(next(l.split()[1] for l in open('/proc/1/status') if l.startswith('VmRSS')))"
    for component, limit in (("controller", 150), ("admission", 100)):
        for pod in release.pods(component):
            used = int(release.python(pod["metadata"]["name"], code)) // 1024
            assert used < limit, f"{pod['metadata']['name']}: {used} MiB"
