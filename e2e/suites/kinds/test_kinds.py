"""The agents of examples/agents/: each is Ready only once it has talked to all that it talks to, and each is attacked.

What an agent is meant to reach is tried beside what it is not; what of it may be reached, by its caller and by others.
That the others get there at all is what a pod without a fence shows.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from cluster.errors import ClusterError
from cluster.shell import wait_for
from harness import agents, manifests
from harness.api import Api
from harness.environment import Environment
from harness.kubectl import Kubectl
from harness.manifests import FLEET, NAMESPACE, PLATFORM
from harness.probing import ELSEWHERE, LLM, METADATA, PROVIDER, PROVIDER_ADDRESS, node_address, pod_of, probe

pytestmark = pytest.mark.usefixtures("kinds")

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
BY_ADDRESS = f"tcp://{LLM}:443"
BY_NAME, SLACK = f"tcp://{PROVIDER}:443", "tcp://slack.com:443"
"""Hosts, which agents reach through gateways of their own."""


def service(name: str, port: int, namespace: str = PLATFORM) -> str:
    """The way to a Service by its name, which takes DNS."""
    return f"tcp://{name}.{namespace}.svc.cluster.local:{port}"


POSTGRES, VECTORS, GIT = service("postgres", 5432), service("vectors", 6333), service("git", 3000)
REACHED: Mapping[str, frozenset[str]] = {
    "assistant": frozenset({BY_NAME}),
    "coder": frozenset({BY_NAME, GIT}),
    "browser": frozenset({BY_ADDRESS}),
    "mcp-handbook": frozenset(),
    "mcp-tickets": frozenset({POSTGRES}),
    "helpdesk": frozenset(
        {service("ringfence-mcp-handbook", 8080, FLEET), service("ringfence-mcp-tickets", 8080, FLEET)}
    ),
    "rag": frozenset({BY_NAME, VECTORS}),
    "slack": frozenset({SLACK}),
    "langgraph-redis": frozenset(),
    "langgraph": frozenset({BY_NAME, service("ringfence-langgraph-redis", 6379, FLEET)}),
    "workflow": frozenset({POSTGRES}),
    "planner": frozenset({BY_NAME, service("ringfence-writer", 8080, FLEET), service("ringfence-critic", 8080, FLEET)}),
    "writer": frozenset(),
    "critic": frozenset(),
    "analyst": frozenset({BY_NAME, POSTGRES}),
}
"""Agent -> all that it may reach of what any of them may."""


HOSTS = frozenset({BY_NAME, SLACK})
WITH_HOSTS = tuple(agent for agent, named in REACHED.items() if named & HOSTS)

SECONDS = 5.0
"""For an attempt: names are asked for on the way, on a machine that may be busy."""


@pytest.fixture(scope="module")
def ways(kinds: None, kubectl: Kubectl) -> dict[str, str]:
    """What any of them may reach -> the same by its address, so that a refusal is the fence's and not that of DNS."""
    found = {BY_ADDRESS: BY_ADDRESS}
    for target in set().union(*REACHED.values()) - {BY_ADDRESS, *HOSTS}:
        host, _, port = target.removeprefix("tcp://").partition(":")
        name, namespace = host.split(".")[:2]
        found[target] = f"tcp://{kubectl.get('service', name, '-n', namespace)['spec']['clusterIP']}:{port}"
    return found


@pytest.fixture(scope="module")
def gateways(kinds: None, kubectl: Kubectl) -> dict[str, str]:
    """Agent -> the way to its gateway, by its address."""
    names = {agent: f"ringfence--{agent}-gateway" for agent in (*WITH_HOSTS, "report")}
    return {
        agent: f"tcp://{kubectl.get('service', name, '-n', FLEET)['spec']['clusterIP']}:443"
        for agent, name in names.items()
    }


@pytest.fixture(scope="module")
def closed(kinds: None, kubectl: Kubectl) -> list[str]:
    """What none of them may reach, and a pod without a fence does."""
    neighbour = pod_of(kubectl, NAMESPACE, "app=unfenced")["status"]["podIP"]
    api_server = kubectl.get("service", "kubernetes", "-n", "default")["spec"]["clusterIP"]
    return [
        f"tcp://{ELSEWHERE}:443",
        f"tcp://{PROVIDER_ADDRESS}:443",
        f"tcp://{LLM}:7",
        "dns://example.com@203.0.113.53",
        f"tcp://{METADATA}:80",
        f"tcp://{neighbour}:8080",
        f"tcp://{api_server}:443",
        f"tcp://{node_address(kubectl)}:10250",
    ]


def test_they_are_those_of_the_folder() -> None:
    assert set(REACHED) == set(manifests.KINDS)


def test_the_attempts_mean_something(kubectl: Kubectl, ways: dict[str, str], closed: list[str]) -> None:
    """From a pod without a fence: all but what other agents let nobody but each other have."""
    tried = [*(way for target, way in ways.items() if f".{FLEET}." not in target), *closed]
    assert probe(kubectl, NAMESPACE, "deploy/unfenced", tried) == dict.fromkeys(tried, "reachable")


@pytest.mark.parametrize("agent", manifests.KINDS)
def test_it_reaches_what_it_names_and_nothing_else(
    kubectl: Kubectl, ways: dict[str, str], gateways: dict[str, str], closed: list[str], agent: str
) -> None:
    own = f"//ringfence-{agent}.{FLEET}."  # by its Service a pod reaches itself
    others = [way for target, way in ways.items() if own not in target]
    named = REACHED[agent]
    tried = [*named, *others, *gateways.values(), *closed]
    found = probe(kubectl, FLEET, f"deploy/ringfence-{agent}", tried, seconds=SECONDS)
    may = {*named, *(ways[target] for target in named - HOSTS), gateways.get(agent)}
    assert found == {target: "reachable" if target in may else "blocked" for target in found}


@dataclass(frozen=True)
class Door:
    """A port of an agent, and who may come in: a namespace, and a label of pods in it."""

    agent: str
    port: int
    namespace: str
    caller: str


DOORS = [
    Door("assistant", 18789, PLATFORM, "app=console"),
    Door("rag", 8000, PLATFORM, "app=gateway"),
    Door("workflow", 5678, PLATFORM, "app=gateway"),
    Door("mcp-handbook", 8080, FLEET, "ringfence.dev/agent=helpdesk"),
    Door("mcp-tickets", 8080, FLEET, "ringfence.dev/agent=helpdesk"),
    Door("langgraph-redis", 6379, FLEET, "ringfence.dev/agent=langgraph"),
    Door("writer", 8080, FLEET, "ringfence.dev/agent=planner"),
    Door("critic", 8080, FLEET, "ringfence.dev/agent=planner"),
]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.agent)
def test_it_is_reached_by_whom_it_names_alone(kubectl: Kubectl, door: Door) -> None:
    """By its Service, which opens nothing by itself."""
    address = kubectl.get("service", f"ringfence-{door.agent}", "-n", FLEET)["spec"]["clusterIP"]
    target = f"tcp://{address}:{door.port}"
    caller = pod_of(kubectl, door.namespace, door.caller)["metadata"]["name"]
    assert probe(kubectl, door.namespace, caller, [target], seconds=SECONDS)[target] == "reachable"
    others = {(PLATFORM, "app=console"), (PLATFORM, "app=gateway"), (NAMESPACE, "app=unfenced")}
    others |= {(FLEET, "ringfence.dev/agent=slack")}
    for namespace, label in others - {(door.namespace, door.caller)}:
        pod = pod_of(kubectl, namespace, label)["metadata"]["name"]
        assert probe(kubectl, namespace, pod, [target])[target] == "blocked", label


@pytest.mark.parametrize(("agent", "port"), [("browser", 9222), ("workflow", 5680), ("analyst", 8888), ("coder", 8080)])
def test_what_is_for_the_pod_alone_is_not_reached_from_beside_it(kubectl: Kubectl, agent: str, port: int) -> None:
    address = pod_of(kubectl, FLEET, f"ringfence.dev/agent={agent}")["status"]["podIP"]
    inside = f"tcp://127.0.0.1:{port}"
    assert probe(kubectl, FLEET, f"deploy/ringfence-{agent}", [inside])[inside] == "reachable"
    outside = f"tcp://{address}:{port}"
    assert probe(kubectl, NAMESPACE, "deploy/unfenced", [outside])[outside] == "blocked"


def run(kubectl: Kubectl, agent: str, container: str, *words: str, ok: bool = False) -> str:
    return kubectl("exec", "-n", FLEET, f"deploy/ringfence-{agent}", "-c", container, "--", "/testbox", *words, ok=ok)


@pytest.mark.parametrize("agent", manifests.KINDS)
def test_it_has_no_token_and_its_root_is_read_only(kubectl: Kubectl, agent: str) -> None:
    with pytest.raises(ClusterError, match="no such file"):
        run(kubectl, agent, "agent", "cat", TOKEN)
    for path in ("/etc/note", "/x"):
        with pytest.raises(ClusterError, match=r"read-only file system|permission denied|no such file"):
            run(kubectl, agent, "agent", "write", path, "text")


def test_a_page_that_leads_the_browser_elsewhere_leads_nowhere(kubectl: Kubectl, closed: list[str]) -> None:
    """By the debugging port, as a page's content would have the agent do it."""
    for page in (f"https://{ELSEWHERE}/", f"http://{METADATA}/latest/", f"https://{node_address(kubectl)}:10250/pods"):
        talk = ("talk", "-once", "-for", "8s", f"cdp://127.0.0.1:9222/?open={page}")
        said = run(kubectl, "browser", "agent", *talk, ok=True)
        assert "net::ERR_CONNECTION_TIMED_OUT" in said
        assert "page loaded" not in said
    assert "loaded" in run(kubectl, "browser", "agent", "talk", "-once", f"cdp://127.0.0.1:9222/?open=https://{LLM}/")
    found = probe_from(kubectl, "browser", "chromium", closed)
    assert set(found.values()) == {"blocked"}


def probe_from(kubectl: Kubectl, agent: str, container: str, targets: list[str]) -> dict[str, str]:
    lines = run(kubectl, agent, container, "probe", "-expect", "any", "-timeout", "2s", *targets).splitlines()
    return {line["target"]: line["verdict"] for line in map(json.loads, lines)}


@pytest.mark.parametrize("agent", [agent for agent in WITH_HOSTS if BY_NAME in REACHED[agent]])
def test_it_holds_a_placeholder_in_place_of_the_key(kubectl: Kubectl, agent: str) -> None:
    """Each is Ready, so its provider got the key."""
    variables = run(kubectl, agent, "agent", "env").splitlines()
    assert any(one.startswith("ANTHROPIC_API_KEY=ringfence-placeholder-") for one in variables)
    assert not any("put-the-key-here" in one for one in variables)


@pytest.mark.parametrize(("agent", "container"), [("workflow", "runner"), ("analyst", "kernel")])
def test_code_beside_the_agent_has_none_of_its_secrets(
    kubectl: Kubectl, closed: list[str], agent: str, container: str
) -> None:
    own, beside = (run(kubectl, agent, one, "env") for one in ("agent", container))
    names = {line.partition("=")[0] for line in beside.splitlines()}
    hidden = {"ANTHROPIC_API_KEY", "DB_POSTGRESDB_PASSWORD"}
    assert hidden & {line.partition("=")[0] for line in own.splitlines()}
    assert not hidden & names
    for path in (f"/etc/{agent}/keys/encryption-key", f"/etc/{agent}/keys/.pgpass"):
        with pytest.raises(ClusterError, match="no such file"):
            run(kubectl, agent, container, "cat", path)
    assert set(probe_from(kubectl, agent, container, closed).values()) == {"blocked"}


def test_the_coder_cannot_push(kubectl: Kubectl) -> None:
    """The token was for the container that fetched."""
    assert run(kubectl, "coder", "agent", "cat", "/workspace/HEAD")
    with pytest.raises(ClusterError, match="no such file"):
        run(kubectl, "coder", "agent", "cat", "/etc/git/token")


def test_what_they_keep_and_what_they_may_not_change(kubectl: Kubectl) -> None:
    run(kubectl, "assistant", "agent", "write", "/var/lib/assistant/memory", "kept")
    run(kubectl, "workflow", "agent", "write", "/home/node/.n8n/database", "kept")
    run(kubectl, "browser", "agent", "write", "/downloads/file", "shared")
    assert run(kubectl, "browser", "chromium", "cat", "/downloads/file") == "shared"
    assert "HOME=/home/node" in run(kubectl, "assistant", "agent", "env").splitlines()
    for agent, path in (
        ("assistant", "/etc/assistant/config.json"),
        ("assistant", "/etc/assistant/keys/panel"),
        ("mcp-handbook", "/handbook/page"),
        ("rag", "/corpus/page"),
        ("rag", "/etc/rag/settings.yaml"),
    ):
        with pytest.raises(ClusterError, match=r"read-only file system|permission denied"):
            run(kubectl, agent, "agent", "write", path, "text")


def test_redis_wants_its_password_from_its_worker_too(kubectl: Kubectl) -> None:
    target = f"redis://ringfence-langgraph-redis.{FLEET}.svc.cluster.local:6379#env:HOME"
    said = run(kubectl, "langgraph", "agent", "talk", "-once", "-for", "8s", target, ok=True)
    assert "WRONGPASS" in said
    assert "job" not in said


def test_the_report_is_written_in_its_fence(kubectl: Kubectl, environment: Environment) -> None:
    command = [sys.executable, "-m", "ringfence", "run", "report", "-n", FLEET, "--wait"]
    done = subprocess.run(
        command, env=dict(environment.kubectl.env), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def sre(environment: Environment, kubectl: Kubectl) -> Callable[..., tuple[int, str]]:
    """Runs kubectl with the SRE agent's own token, read from its own pod."""
    token = kubectl("exec", "-n", "ops", "deploy/ringfence-sre", "--", "/testbox", "cat", TOKEN)
    cluster = environment.cluster
    assert cluster

    def ask(*words: str) -> tuple[int, str]:
        options = [f"--server={cluster.server}", f"--certificate-authority={cluster.ca_file}", f"--token={token}"]
        argv = [str(environment.kubectl.kubectl), "--kubeconfig=/dev/null", *options, *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    return ask


def test_the_sre_agent_looks_and_does_nothing(kubectl: Kubectl, sre: Callable[..., tuple[int, str]]) -> None:
    for words in (("pods", "-n", "shop"), ("events", "-n", "shop"), ("nodes",)):
        assert sre("get", *words)[0] == 0
    for refused in (
        ("get", "secrets", "-n", "shop"),
        ("get", "pods", "-n", FLEET),
        ("get", "pods", "-A"),
        ("delete", "pod", "any", "-n", "shop"),
        ("create", "token", "default", "-n", "shop"),
        ("label", "node", "--all", "looked=at"),
    ):
        code, told = sre(*refused)
        assert code == 1, refused
        assert "forbidden" in told.lower(), told
    prometheus = service("prometheus", 9090)
    found = probe(kubectl, "ops", "deploy/ringfence-sre", [prometheus, BY_ADDRESS, f"tcp://{ELSEWHERE}:443"])
    assert found == {prometheus: "reachable", BY_ADDRESS: "blocked", f"tcp://{ELSEWHERE}:443": "blocked"}


def test_an_mcp_server_that_goes_takes_its_caller_out_of_service(kubectl: Kubectl, api: Api) -> None:
    """Ready is what was observed: the exchange by JSON-RPC is what helpdesk's health stands for."""
    path = agents.agent_path(FLEET, "mcp-tickets")
    api.patch(path, {"spec": {"suspended": True}})
    try:
        agents.wait(api, FLEET, "helpdesk", "WorkloadAvailable", status="False")
    finally:
        api.patch(path, {"spec": {"suspended": False}})
    agents.wait(api, FLEET, "mcp-tickets")
    wait_for(
        "helpdesk again", lambda: agents.condition(agents.get(api, FLEET, "helpdesk"))["status"] == "True", timeout=150
    )
