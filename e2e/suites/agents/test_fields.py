"""The fields that shape the pod: what the spec says is what runs."""

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cluster.errors import ClusterError
from cluster.shell import wait_for
from harness import agents
from harness.api import Api
from harness.environment import Environment
from harness.kubectl import Kubectl, Object
from harness.manifests import NAMESPACE

Make = Callable[..., Object]
Inside = Callable[..., str]
RUNTIMES = "/apis/node.k8s.io/v1/runtimeclasses"
MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where cgroup v2 and v1 say it."""


def pod_of(make: Make, api: Api, **spec: Any) -> tuple[str, Object]:
    """The name and the running pod of a new agent."""
    name = make(**spec)["metadata"]["name"]
    agents.wait(api, NAMESPACE, name)
    return name, agents.pods(api, NAMESPACE, name)[0]


def test_what_runs(make: Make, api: Api, inside: Inside) -> None:
    args = ["agent", "-interval", "1h", "; id", "$HOME", "`id`", "naïve", ""]
    env = [{"name": "PLAIN", "value": "a  b'c\"; id"}, {"name": "EMPTY"}]
    name, _ = pod_of(make, api, command=["/testbox"], args=args, env=env)
    assert inside(name, "cat", "/proc/1/cmdline").split("\0")[:-1] == ["/testbox", *args]
    found = inside(name, "env").splitlines()
    assert "PLAIN=a  b'c\"; id" in found
    assert "EMPTY=" in found


def test_configuration(make: Make, api: Api, kubectl: Kubectl, inside: Inside) -> None:
    """Files and variables say what the spec says, nobody in the pod can write them, and none takes a neighbour away."""
    kubectl(
        "create",
        "configmap",
        "e2e-config",
        "--from-literal=MODEL=small",
        "--from-literal=LD_PRELOAD=/x",
        "-n",
        NAMESPACE,
    )
    try:
        content = "a: 1\nb: 'naïve ✓'\n"
        files = [
            {"path": "/etc/agent/config.yaml", "content": content},
            {"path": "/etc/agent/model", "configMap": {"name": "e2e-config", "key": "MODEL"}},
        ]
        sources = [{"configMap": "e2e-config", "keys": ["MODEL"]}]
        name, _ = pod_of(make, api, files=files, envFrom=sources)
        assert inside(name, "cat", "/etc/agent/config.yaml") == content
        assert inside(name, "cat", "/etc/agent/model") == "small"
        found = inside(name, "env").splitlines()
        assert "MODEL=small" in found
        assert not [one for one in found if one.startswith("LD_PRELOAD")]
        for path in ("/etc/agent/config.yaml", "/etc/agent/model"):
            with pytest.raises(ClusterError, match=r"read-only file system|permission denied"):
                inside(name, "write", path, "text")
    finally:
        kubectl("delete", "configmap", "e2e-config", "-n", NAMESPACE)


def test_a_secret_lies_where_the_agent_wants_it(make: Make, api: Api, kubectl: Kubectl, inside: Inside) -> None:
    kubectl("create", "secret", "generic", "e2e-placed", "--from-literal=key=not-a-real-one", "-n", NAMESPACE)
    try:
        secret = {
            "name": "placed",
            "source": {"existing": {"secretName": "e2e-placed", "key": "key"}},
            "delivery": {"file": {"path": "/etc/agent/keys/token"}},
        }
        name, _ = pod_of(make, api, secrets=[secret])
        assert inside(name, "cat", "/etc/agent/keys/token") == "not-a-real-one"
        with pytest.raises(ClusterError, match=r"read-only file system|permission denied"):
            inside(name, "write", "/etc/agent/keys/token", "text")
    finally:
        kubectl("delete", "secret", "e2e-placed", "-n", NAMESPACE)


def test_resources(make: Make, api: Api, inside: Inside) -> None:
    limits = {"cpu": "300m", "memory": "96Mi", "ephemeral-storage": "64Mi"}
    requests = {"cpu": "10m", "memory": "32Mi", "ephemeral-storage": "16Mi"}
    name, pod = pod_of(make, api, resources={"limits": limits, "requests": requests})
    assert pod["spec"]["containers"][0]["resources"] == {"limits": limits, "requests": requests}
    assert memory_limit(name, inside) == 96 * 2**20


def test_resources_that_are_left_out_are_limited_too(make: Make, api: Api, inside: Inside) -> None:
    name, pod = pod_of(make, api)
    assert pod["spec"]["containers"][0]["resources"]["limits"].keys() == {"cpu", "memory", "ephemeral-storage"}
    assert memory_limit(name, inside) == 512 * 2**20


def memory_limit(name: str, inside: Inside) -> int:
    """What the kernel holds the agent to, in bytes."""
    for path in MEMORY_LIMITS:
        try:
            return int(inside(name, "cat", path))
        except ClusterError:
            continue
    raise AssertionError("no cgroup of memory is to be seen in the pod")


def test_replicas(make: Make, api: Api, kubectl: Kubectl) -> None:
    name, _ = pod_of(make, api, replicas=2)
    assert len(agents.pods(api, NAMESPACE, name)) == 2
    kubectl("scale", "-n", NAMESPACE, f"agd/{name}", "--replicas=1")
    wait_for("one pod", lambda: len(agents.pods(api, NAMESPACE, name)) == 1)
    scale = f"{agents.agent_path(NAMESPACE, name)}/scale"
    told = {"replicas": 1, "selector": f"ringfence.dev/agent={name}"}
    wait_for("what autoscalers read", lambda: api.get(scale)["status"] == told)
    api.patch(agents.agent_path(NAMESPACE, name), {"spec": {"replicas": 0}})
    wait_for("its pods to be gone", lambda: not agents.pods(api, NAMESPACE, name))


def test_storage(make: Make, api: Api) -> None:
    """Of a class that is not there: nothing takes its place."""
    name = make(storage={"mountPath": "/data", "size": "32Mi", "storageClassName": "nowhere"})["metadata"]["name"]
    path = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/ringfence-{name}"
    wait_for("the claim", lambda: api.find(path))
    agents.wait(api, NAMESPACE, name, "WorkloadAvailable", status="False")
    claim = api.get(path)
    assert claim["spec"]["resources"]["requests"] == {"storage": "32Mi"}
    assert claim["spec"]["storageClassName"] == "nowhere"
    assert claim["status"]["phase"] == "Pending"


def test_health(make: Make, api: Api) -> None:
    ports = [{"name": "open", "port": 8080}, {"name": "dead", "port": 9}]
    name, pod = pod_of(make, api, ports=ports, health={"path": "/healthz", "port": "open"})
    for probe in ("readinessProbe", "livenessProbe"):
        asked = pod["spec"]["containers"][0][probe]["httpGet"]
        assert (asked["path"], asked["port"]) == ("/healthz", 8080)
    dead = make(ports=ports, health={"path": "/healthz", "port": "dead"})["metadata"]["name"]
    wait_for("its pod to run", lambda: agents.phase(api, NAMESPACE, dead) == "Running")
    agents.wait(api, NAMESPACE, dead, "WorkloadAvailable", status="False")
    assert agents.condition(agents.get(api, NAMESPACE, name))["status"] == "True"


def test_probes(make: Make, api: Api) -> None:
    """A slow starter is not ended by its liveness; one that is not ready runs on, and is told."""
    ports = [{"name": "open", "port": 8080}, {"name": "dead", "port": 9}]
    well = {"type": "Startup", "command": ["/testbox", "cat", "/etc/hostname"], "every": "1s"}
    lives = {"type": "Liveness", "tcp": {"port": "open"}}
    pod_of(make, api, ports=ports, probes=[well, lives, {"type": "Readiness", "http": {"path": "/", "port": "open"}}])
    never = {"type": "Startup", "tcp": {"port": "dead"}, "failures": 1000}
    ends = {"type": "Liveness", "tcp": {"port": "dead"}, "every": "1s", "failures": 1}
    name = make(ports=ports, probes=[never, ends])["metadata"]["name"]
    wait_for("its pod to run", lambda: agents.phase(api, NAMESPACE, name) == "Running")
    agents.wait(api, NAMESPACE, name, "WorkloadAvailable", status="False")
    (pod,) = agents.pods(api, NAMESPACE, name)
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def test_scratch(make: Make, api: Api, inside: Inside) -> None:
    places = [
        {"path": "/home/agent", "size": "1Mi", "medium": "Memory"},
        {"path": "/dev/shm", "size": "2Mi", "medium": "Memory"},
    ]
    name, _ = pod_of(make, api, scratch=places)
    assert "HOME=/home/agent" in inside(name, "env").splitlines()
    for place in ("/home/agent", "/dev/shm", "/tmp"):
        inside(name, "write", f"{place}/note", "kept for a while")
    mounts = {
        words[1]: words[2:4] for line in inside(name, "cat", "/proc/mounts").splitlines() if (words := line.split())
    }
    assert mounts["/home/agent"][0] == mounts["/dev/shm"][0] == "tmpfs"
    with pytest.raises(ClusterError, match="read-only file system"):
        inside(name, "write", "/home/other", "x")


def test_volumes(make: Make, api: Api, inside: Inside) -> None:
    """Read, not written where it is not allowed; one that is not there is told; none of another agent's."""
    claims = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims"
    size = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}}
    api.create(claims, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "e2e"}, "spec": size})
    volume = {"claim": "e2e", "mountPath": "/corpus"}
    with pytest.raises(Exception, match="VolumeAbovePolicy"):
        make(volumes=[volume])
    with pytest.raises(Exception, match="VolumeReserved"):
        make(volumes=[volume | {"claim": "ringfence-panel"}])
    policy = "/apis/ringfence.dev/v1alpha1/agentpolicies/research"
    allowed = [{"name": "e2e", "access": "ReadWrite"}, {"name": "nowhere"}]
    api.patch(policy, {"spec": {"pods": {"claims": allowed}}})
    try:
        name, _ = pod_of(make, api, volumes=[volume | {"access": "ReadWrite"}])
        inside(name, "write", "/corpus/note", "kept")
        api.patch(agents.agent_path(NAMESPACE, name), {"spec": {"volumes": [volume]}})
        agents.wait(api, NAMESPACE, name)
        assert inside(name, "cat", "/corpus/note") == "kept"

        def refused() -> bool:
            try:
                inside(name, "write", "/corpus/note", "kept")  # `exec` may take a pod of before, which is about to end
            except ClusterError as failure:
                return "read-only file system" in str(failure)
            return False

        wait_for("nothing is written any more", refused)
        lost = make(volumes=[volume | {"claim": "nowhere"}])["metadata"]["name"]
        agents.wait(api, NAMESPACE, lost, "WorkloadAvailable", status="False")
        wait_for(
            "the claim's name in the condition",
            lambda: "nowhere" in agents.condition(agents.get(api, NAMESPACE, lost), "WorkloadAvailable")["message"],
        )
    finally:
        api.patch(policy, {"spec": {"pods": None}})
        api.delete(f"{claims}/e2e")


def test_home(make: Make, api: Api, inside: Inside) -> None:
    name, _ = pod_of(make, api)
    assert "HOME=/tmp" in inside(name, "env").splitlines()
    inside(name, "write", "/tmp/note", "kept for a while")
    name, _ = pod_of(make, api, env=[{"name": "HOME", "value": "/elsewhere"}])
    assert "HOME=/elsewhere" in inside(name, "env").splitlines()


def test_stop(make: Make, api: Api, kubectl: Kubectl, inside: Inside) -> None:
    """The command runs before the end; one that never ends is ended."""
    note = ["/testbox", "write", "/data/note", "it ends"]
    name, pod = pod_of(make, api, storage={"mountPath": "/data", "size": "8Mi"}, stop={"command": note})
    kubectl("delete", "pod", pod["metadata"]["name"], "-n", NAMESPACE, "--wait=false")

    def another() -> bool:
        uids = {one["metadata"]["uid"] for one in agents.pods(api, NAMESPACE, name)}
        return bool(uids) and pod["metadata"]["uid"] not in uids

    wait_for("another pod", another)
    agents.wait(api, NAMESPACE, name)
    assert inside(name, "cat", "/data/note") == "it ends"
    endless = {"gracePeriod": "2s", "command": ["/testbox", "agent"]}
    name, pod = pod_of(make, api, stop=endless)
    assert pod["spec"]["terminationGracePeriodSeconds"] == 2
    api.patch(agents.agent_path(NAMESPACE, name), {"spec": {"suspended": True}})
    wait_for("its end", lambda: not agents.pods(api, NAMESPACE, name))


def test_user(make: Make, api: Api, inside: Inside) -> None:
    with pytest.raises(Exception, match="UserAbovePolicy"):
        make(runAsUser=1000)
    policy = "/apis/ringfence.dev/v1alpha1/agentpolicies/research"
    api.patch(policy, {"spec": {"pods": {"users": [{"first": 1000, "last": 2000}]}}})
    try:
        name, _ = pod_of(make, api, runAsUser=1000, runAsGroup=2000)
        status = inside(name, "cat", "/proc/1/status").splitlines()
        assert [line.split()[1:] for line in status if line.startswith(("Uid:", "Gid:"))] == [
            ["1000"] * 4,
            ["2000"] * 4,
        ]
    finally:
        api.patch(policy, {"spec": {"pods": None}})


def test_a_device_that_no_node_has(make: Make, api: Api) -> None:
    """It waits, and its condition says for what; nothing else is given to it."""
    policy, device = "/apis/ringfence.dev/v1alpha1/agentpolicies/research", "example.com/gpu"
    api.patch(policy, {"spec": {"pods": {"devices": [{"name": device, "most": 1}]}}})
    try:
        name = make(devices=[{"name": device, "count": 1}])["metadata"]["name"]
        agents.wait(api, NAMESPACE, name, "WorkloadAvailable", status="False", says=f"Insufficient {device}")
        agents.wait(api, NAMESPACE, name, status="False")
        assert agents.phase(api, NAMESPACE, name) == "Pending"
    finally:
        api.patch(policy, {"spec": {"pods": None}})


def test_identity(make: Make, api: Api, inside: Inside, environment: Environment) -> None:
    """The kubelet's token is for whom it was asked and for this pod alone; the API server takes it for nobody's."""
    role = "arn:aws:iam::111122223333:role/agent"
    identity = {
        "annotations": [{"key": "eks.amazonaws.com/role-arn", "value": role}],
        "tokens": [{"audience": "sts.amazonaws.com", "path": "/var/run/identity/token", "expiration": "30m"}],
    }
    with pytest.raises(Exception, match="IdentityAbovePolicy"):
        make(identity=identity)
    policy = "/apis/ringfence.dev/v1alpha1/agentpolicies/research"
    allowed = {
        "annotations": [{"key": "eks.amazonaws.com/role-arn", "values": [role]}],
        "audiences": ["sts.amazonaws.com"],
    }
    api.patch(policy, {"spec": {"identity": allowed}})
    try:
        name, pod = pod_of(make, api, identity=identity)
        account = api.get(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/ringfence-{name}")
        assert account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"] == role
        token = inside(name, "cat", "/var/run/identity/token").strip()
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        assert claims["aud"] == ["sts.amazonaws.com"]
        assert claims["sub"] == f"system:serviceaccount:{NAMESPACE}:ringfence-{name}"
        assert claims["kubernetes.io"]["pod"]["uid"] == pod["metadata"]["uid"]
        assert claims["exp"] - claims["iat"] == 30 * 60
        with pytest.raises(ClusterError, match=r"read-only file system|permission denied"):
            inside(name, "write", "/var/run/identity/token", "text")
        with pytest.raises(ClusterError, match="no such file"):
            inside(name, "cat", "/var/run/secrets/kubernetes.io/serviceaccount/token")
        assert "must be logged in" in as_bearer(environment, token)
    finally:
        api.patch(policy, {"spec": {"identity": None}})


def as_bearer(environment: Environment, token: str) -> str:
    """What the API server answers to who asks it with this token."""
    cluster = environment.cluster
    assert cluster
    options = [f"--server={cluster.server}", f"--certificate-authority={cluster.ca_file}", f"--token={token}"]
    argv = [str(environment.kubectl.kubectl), "--kubeconfig=/dev/null", *options, "auth", "whoami"]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stderr


def test_pull_secrets(make: Make, api: Api, kubectl: Kubectl) -> None:
    kubectl("create", "secret", "docker-registry", "e2e-pull", "--docker-server=registry.example", *PULL)
    try:
        _, pod = pod_of(make, api, imagePullSecrets=["e2e-pull"])
        assert pod["spec"]["imagePullSecrets"] == [{"name": "e2e-pull"}]
        assert "e2e-pull" not in str(pod["spec"]["volumes"]), "only the kubelet is to read it"
        assert [one["name"] for one in pod["spec"]["containers"][0]["env"]] == ["HOME"]
    finally:
        kubectl("delete", "secret", "e2e-pull", "-n", NAMESPACE)


PULL = ("--docker-username=e2e", "--docker-password=unused", "-n", NAMESPACE)


@pytest.fixture
def runtime(api: Api) -> Iterator[str]:
    """A RuntimeClass; its handler is the ordinary one."""
    name = "e2e-sandbox"
    body = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": "runc"}
    api.create(RUNTIMES, body)
    yield name
    api.delete(f"{RUNTIMES}/{name}")


def test_sandbox(make: Make, api: Api, runtime: str) -> None:
    _, pod = pod_of(make, api, sandbox={"runtimeClassName": runtime})
    assert pod["spec"]["runtimeClassName"] == runtime
    name = make(sandbox={"runtimeClassName": "nowhere"})["metadata"]["name"]
    agents.wait(api, NAMESPACE, name, "WorkloadAvailable", status="False")
    assert agents.pods(api, NAMESPACE, name) == [], "it must not run under another runtime"


def test_resource_names(make: Make, api: Api, kubectl: Kubectl) -> None:
    rule = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["catalogue"], "verbs": ["get"]}
    name, _ = pod_of(make, api, permissions={"rules": [rule]})
    user = f"--as=system:serviceaccount:{NAMESPACE}:ringfence-{name}"

    def may(*words: str) -> bool:
        return kubectl("auth", "can-i", *words, "-n", NAMESPACE, user, ok=True).strip() == "yes"

    assert may("get", "configmap/catalogue")
    assert not may("get", "configmap/kube-root-ca.crt")
    assert not may("get", "configmaps")
    assert not may("list", "configmaps")
