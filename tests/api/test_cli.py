"""status, explain and rotate as processes, against a real API server: its answers, its rights, its jobs."""

import json
import os
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from api.server import Answer, Server
from cluster import Cluster, CommandFailed, programs
from ringfence.api import AgentDeploymentSpec, parse
from ringfence.api.names import AGENTS_ENABLED, AGENTS_LABEL, API_VERSION
from ringfence.kube import path_of
from ringfence.resources import Agent, JobImage, build
from ringfence.resources.network import allow_policy
from ringfence.resources.rotation import rotation_children
from ringfence.resources.secret_names import rotation_name

SPEC: dict[str, Any] = {
    "image": "registry.example/agent@sha256:" + "0" * 64,
    "replicas": 0,
    "ports": [{"name": "panel", "port": 8080}],
    "network": {"ingress": [{"from": {"namespace": "ops", "podLabels": {"app": "console"}}, "port": "panel"}]},
    "secrets": [
        {
            "name": "panel",
            "source": {"generate": {}},
            "rotation": {"every": "720h", "overlap": "1h"},
            "delivery": {"env": {"name": "PANEL_KEY"}},
        }
    ],
}
PATHS = {
    "NetworkPolicy": ("networking.k8s.io/v1", "networkpolicies"),
    "ServiceAccount": ("v1", "serviceaccounts"),
    "Role": ("rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("rbac.authorization.k8s.io/v1", "rolebindings"),
    "CronJob": ("batch/v1", "cronjobs"),
    "Service": ("v1", "services"),
    "Deployment": ("apps/v1", "deployments"),
}


class Team:
    """A namespace with an agent whose status is written by hand, and the command as its user would call it."""

    def __init__(self, server: Server, kubeconfig: Path) -> None:
        self.server = server
        self.kubeconfig = kubeconfig
        self.name = f"cli-{uuid4().hex[:8]}"
        labels = {AGENTS_LABEL: AGENTS_ENABLED}
        self.send("POST", "/api/v1/namespaces", {"metadata": {"name": self.name, "labels": labels}})

    def send(self, method: str, path: str, body: Any, kind: str = "application/json") -> Answer:
        answer = self.server.request(method, path, json.dumps(body).encode(), kind)
        assert answer.ok, answer
        return answer

    def agent(self, *, ready: bool) -> Agent:
        """An agent, and what the controller would have made and said of it."""
        collection = path_of(API_VERSION, "agentdeployments", self.name)
        body = {"apiVersion": API_VERSION, "kind": "AgentDeployment", "metadata": {"name": "a"}, "spec": SPEC}
        stored = self.send("POST", collection, body).body
        spec = parse(AgentDeploymentSpec, SPEC).value
        assert spec is not None
        image = JobImage("registry.example/ringfence:1")
        agent = Agent(name="a", namespace=self.name, uid=stored["metadata"]["uid"], spec=spec, job_image=image)
        condition = {
            "type": "Ready",
            "status": "True" if ready else "False",
            "reason": "Ready" if ready else "Suspended",
            "message": "the fence stands" if ready else "suspended: no pods",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        status = {
            "observedGeneration": 1,
            "acceptedGeneration": 1,
            "conditions": [condition],
            "effectiveEgress": ["203.0.113.0/28:443"],
            "secrets": [{"name": "panel", "lastRotated": "2026-01-01T00:00:00Z"}],
            "oldestSecret": "2026-01-01T00:00:00Z",
        }
        self.send("PATCH", f"{collection}/a/status", {"status": status}, "application/merge-patch+json")
        for manifest in [allow_policy(agent), *rotation_children(agent)]:
            self.send("POST", path_of(*PATHS[manifest["kind"]], self.name), manifest)
        return agent

    def event(self, agent: Agent, note: str) -> None:
        """As the controller writes them."""
        about = {"apiVersion": API_VERSION, "kind": "AgentDeployment", "name": "a", "namespace": self.name}
        body = {
            "metadata": {"name": f"a.{uuid4().hex}", "namespace": self.name},
            "eventTime": "2026-01-01T00:00:00.000000Z",
            "reportingController": "ringfence.dev/ringfence",
            "reportingInstance": "x",
            "action": "Reconcile",
            "reason": "DriftRepaired",
            "type": "Warning",
            "note": note,
            "regarding": about | {"uid": agent.uid},
        }
        self.send("POST", path_of("events.k8s.io/v1", "events", self.name), body)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), **variables}
        program = [sys.executable, "-m", "ringfence", *arguments]
        return subprocess.run(program, capture_output=True, text=True, env=environment, timeout=300, check=False)


@pytest.fixture
def team(server: Server, cluster: Cluster) -> Iterator[Team]:
    made = Team(server, cluster.kubeconfig)
    yield made
    server.request("DELETE", f"/api/v1/namespaces/{made.name}")


def test_status(team: Team) -> None:
    empty = team.run("status", "-n", team.name)
    assert (empty.returncode, empty.stdout) == (0, "")
    team.agent(ready=True)
    shown = team.run("status", "-n", team.name)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines()[1].split()[0:5:3] == ["a", "0/0"]
    everywhere = json.loads(team.run("status", "-A", "-o", "json").stdout)["agents"]
    assert (team.name, "a", True) in [(one["namespace"], one["name"], one["ready"]) for one in everywhere]
    assert team.run("status", "b", "-n", team.name).returncode == 1


def test_what_is_rendered_can_be_compared_with_what_is_there(team: Team, cluster: Cluster, tmp_path: Path) -> None:
    """`ringfence render | kubectl diff -f -`: no difference of an agent that exists, and each one of an edited spec."""
    agent = team.agent(ready=True)
    place = path_of(*PATHS["NetworkPolicy"], team.name, allow_policy(agent)["metadata"]["name"])
    assert team.server.request("DELETE", place).ok
    for manifest in build(replace(agent, job_image=None)):
        team.send("POST", path_of(*PATHS[manifest["kind"]], team.name), manifest)
    file = tmp_path / "agent.yaml"
    for spec, differs in ((SPEC, False), (SPEC | {"args": ["--edited"]}, True)):
        metadata = {"name": "a", "namespace": team.name}
        file.write_text(
            json.dumps({"apiVersion": API_VERSION, "kind": "AgentDeployment", "metadata": metadata, "spec": spec})
        )
        policy = tmp_path / "policy.yaml"
        policy.write_text(
            json.dumps({"kind": "AgentPolicy", "metadata": {"name": "p"}, "spec": {"ingress": {"namespaces": ["ops"]}}})
        )
        rendered = team.run("render", "--policy", str(policy), str(file))
        assert rendered.returncode == 0, rendered.stderr
        if differs:
            with pytest.raises(CommandFailed) as caught:
                cluster.kubectl("diff", "-f", "-", stdin=rendered.stdout)
            assert "+        - --edited" in caught.value.output
        else:
            assert cluster.kubectl("diff", "-f", "-", stdin=rendered.stdout) == ""


def test_a_first_manifest_from_a_workload_that_runs(team: Team, cluster: Cluster, tmp_path: Path) -> None:
    """What the API server has filled in needs no note, and the API server takes the result."""
    container = {"name": "c", "image": SPEC["image"], "ports": [{"containerPort": 80}], "args": ["run"]}
    labels = {"app": "bot"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "bot"}, "spec": spec}
    team.send("POST", path_of(*PATHS["Deployment"], team.name), body)
    made = team.run("init", "--from", "deploy/bot", "-n", team.name)
    assert made.returncode == 0, made.stderr
    notes = [line for line in made.stdout.splitlines() if line.startswith("# ")]
    assert [note.partition(": ")[0] for note in notes] == [f"# From Deployment {team.name}/bot.", "# fill in"], notes
    assert cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=made.stdout)
    gone = team.run("init", "--from", "deploy/none", "-n", team.name)
    assert (gone.returncode, gone.stdout) == (1, "")
    assert f"no Deployment {team.name}/none" in gone.stderr


def test_that_nobody_leads_is_said(team: Team) -> None:
    """A Lease that nobody renews any more, and one that is not there."""
    agent = team.agent(ready=True)
    leases = path_of("coordination.k8s.io/v1", "leases", team.name)
    spec = {"holderIdentity": "gone", "leaseDurationSeconds": 3600, "renewTime": "2026-01-01T00:00:00.000000Z"}
    team.send("POST", leases, {"metadata": {"name": "x"}, "spec": spec})
    where = ("-n", team.name, "--lease", f"{team.name}/x")
    shown = team.run("status", *where)
    assert shown.returncode == 1
    assert "NOBODY LEADS" in shown.stderr
    found = json.loads(team.run("explain", agent.name, *where, "-o", "json").stdout)
    assert found["leader"] == {"leads": False, "holder": "gone", "renewed": "2026-01-01T00:00:00.000000Z"}
    unknown = team.run("status", "-n", team.name, "--lease", f"{team.name}/y")
    assert unknown.returncode == 0
    assert "is not known" in unknown.stderr


def test_the_namespace_is_that_of_the_context(team: Team, tmp_path: Path) -> None:
    team.agent(ready=False)
    config = json.loads(team.kubeconfig.read_text())
    for context in config["contexts"]:
        context["context"]["namespace"] = team.name
    team.kubeconfig = tmp_path / "config"
    team.kubeconfig.write_text(json.dumps(config))
    shown = team.run("status")
    assert shown.returncode == 1, shown.stderr
    assert "Suspended: suspended: no pods" in shown.stdout
    words = {"_RINGFENCE_COMPLETE": "bash_complete", "COMP_WORDS": "ringfence explain ", "COMP_CWORD": "2"}
    program = [sys.executable, "-c", "from ringfence.cli.main import main; main(prog_name='ringfence')"]
    environment = {**os.environ, "KUBECONFIG": str(team.kubeconfig), **words}
    for _ in range(3):  # a prompt waits two seconds for the cluster and no longer, however busy the machine is
        shown = subprocess.run(program, capture_output=True, text=True, env=environment, timeout=300, check=False)
        if shown.stdout.strip():
            break
    assert shown.stdout == "plain,a\n"


def test_a_cluster_that_is_not_there(team: Team, tmp_path: Path) -> None:
    config = json.loads(team.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    (tmp_path / "gone").write_text(json.dumps(config))
    (tmp_path / "broken").write_text("not: [a kubeconfig")
    (tmp_path / "empty").write_text("")
    for name in ("gone", "broken", "empty", "absent"):
        shown = team.run("status", KUBECONFIG=str(tmp_path / name))
        assert (shown.returncode, shown.stdout) == (2, ""), shown
        assert "Traceback" not in shown.stderr
        assert shown.stderr.startswith("ringfence status: "), shown.stderr
    assert team.run("status", "--context", "nowhere").returncode == 2


def test_explain(team: Team) -> None:
    agent = team.agent(ready=True)
    team.event(agent, "Role ringfence-a was edited and is put right")
    shown = team.run("explain", "a", "-n", team.name)
    assert shown.returncode == 0, shown.stderr
    for line in (
        f"{team.name}/a: ready",
        "  203.0.113.0/28:443",
        "  pods of ops with app=console on port 8080",
        "  nothing on the Kubernetes API; it has no token",
        "Ready is True since ",
        "DriftRepaired: Role ringfence-a was edited and is put right",
        "restricted (built-in): level up to ReadOnly",
    ):
        assert line in shown.stdout
    assert "\x1b" not in shown.stdout
    found = json.loads(team.run("explain", "a", "-n", team.name, "-o", "json").stdout)
    assert found["ingress"]["observed"] is True
    assert found["violations"][0]["count"] == 1


def test_a_developer_sees_what_he_may(team: Team, cluster: Cluster) -> None:
    """Rights in his namespace only: the account says what is hidden, and fails at nothing."""
    team.agent(ready=True)
    rules = [{"apiGroups": ["ringfence.dev"], "resources": ["agentdeployments"], "verbs": ["get", "list"]}]
    team.send("POST", path_of(*PATHS["Role"], team.name), {"metadata": {"name": "dev"}, "rules": rules})
    group = "rbac.authorization.k8s.io"
    binding = {
        "metadata": {"name": "dev"},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "dev"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": team.name}],
    }
    team.send("POST", path_of(*PATHS["RoleBinding"], team.name), binding)
    team.kubeconfig = cluster.user_kubeconfig(team.name)
    shown = team.run("explain", "a", "-n", team.name)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("hidden") == 3  # the policies, the Events, and whether a controller leads
    assert "(as the spec asks; the NetworkPolicy cannot be seen)" in shown.stdout
    refused = team.run("status", "-A")
    assert refused.returncode == 2
    assert "ask for this right" in refused.stderr
    assert team.run("rotate", "a", "-n", team.name).returncode == 2


def test_whom_a_policy_would_hit(team: Team, cluster: Cluster, tmp_path: Path) -> None:
    team.agent(ready=True)
    selector = {"matchLabels": {"kubernetes.io/metadata.name": team.name}}
    spec = {"namespaceSelector": selector, "images": {"registries": ["nowhere.example"]}, "existing": "Suspend"}
    spec["ingress"] = {"namespaces": ["ops"]}
    policy = {"apiVersion": API_VERSION, "kind": "AgentPolicy", "metadata": {"name": team.name}, "spec": spec}
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(policy))
    check = ("policy", "check", "--against-cluster", "-o", "json", str(file))
    shown = team.run(*check)
    (agent,) = json.loads(shown.stdout)["agents"]
    assert (shown.returncode, agent["namespace"], agent["then"]) == (1, team.name, "Suspended")
    assert [one["rule"] for one in agent["violations"]] == ["ImageRegistry"]
    nobody = cluster.user_kubeconfig("policy-reader", ["policy-readers"])
    refused = team.run(*check, KUBECONFIG=str(nobody))
    assert (refused.returncode, refused.stdout) == (2, "")
    for resource in ("agentpolicies", "namespaces", "agentdeployments"):
        assert f'cannot list resource "{resource}"' in refused.stderr
    answer = team.server.request("GET", path_of(API_VERSION, "agentpolicies", name=team.name))
    assert answer.code == 404, "it reads only"


def test_rotate_makes_the_job_that_kubectl_makes(team: Team, cluster: Cluster) -> None:
    team.agent(ready=True)
    cron_job = rotation_name("a", "panel")
    shown = team.run("rotate", "a", "-n", team.name, "--wait", "--timeout", "1")
    assert shown.returncode == 1
    assert "has not ended in time" in shown.stderr
    (ours,) = team.server.request("GET", path_of("batch/v1", "jobs", team.name)).body["items"]
    command = ("create", "job", "theirs", f"--from=cronjob/{cron_job}", "-n", team.name, "-o", "json")
    theirs = json.loads(cluster.kubectl(*command))
    for field in ("ownerReferences", "annotations"):
        assert ours["metadata"][field] == theirs["metadata"][field]
    assert _own(ours) == _own(theirs)


def _own(job: dict[str, Any]) -> Any:
    """A job's spec without what names the job itself."""
    text = json.dumps(job["spec"], sort_keys=True)
    for word in (job["metadata"]["name"], job["metadata"]["uid"]):
        text = text.replace(word, "X")
    return json.loads(text)


def test_rotate_waits_until_the_job_has_ended(team: Team, cluster: Cluster) -> None:
    agent = team.agent(ready=True)
    selector = {"matchLabels": agent.selector}
    container = {"name": "agent", "image": "registry.example/agent:1"}
    template = {"metadata": {"labels": agent.labels}, "spec": {"containers": [container]}}
    workload = {
        "metadata": {"name": "ringfence-a"},
        "spec": {"replicas": 0, "selector": selector, "template": template},
    }
    team.send("POST", path_of("apps/v1", "deployments", team.name), workload)
    kubelet = threading.Thread(target=_end_pods, args=(cluster, team.name))
    kubelet.start()
    shown = team.run("rotate", "a", "-n", team.name, "--wait", "--timeout", "150")
    kubelet.join()
    assert shown.returncode == 0, shown.stderr
    assert "panel: the new value is stored" in shown.stdout
    assert "a: restarted" in shown.stdout


def _end_pods(cluster: Cluster, namespace: str) -> None:
    """Do a kubelet's part: the job's pod has run, and well."""
    server = Server(cluster.server, cluster.kubeconfig)
    pods = path_of("v1", "pods", namespace)
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        for pod in server.request("GET", pods).body["items"]:
            status = json.dumps({"status": {"phase": "Succeeded"}}).encode()
            path = f"{pods}/{pod['metadata']['name']}/status"
            assert server.request("PATCH", path, status, "application/merge-patch+json").ok
            server.close()
            return
        time.sleep(0.2)
    server.close()


def test_kubectl_finds_it_as_a_plugin_and_completes_its_words(cluster: Cluster, tmp_path: Path) -> None:
    scripts = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["scripts"]
    for name, place in scripts.items():
        module, _, function = place.partition(":")
        script = tmp_path / name
        script.write_text(f"#!{sys.executable}\nfrom {module} import {function}\n{function}()\n")
        script.chmod(0o755)
    variables = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "KUBECONFIG": str(cluster.kubeconfig)}
    kubectl = programs.tools() / "kubectl"

    def run(*arguments: str) -> str:
        command = [str(kubectl), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=variables, timeout=300, check=True).stdout

    assert "Usage: kubectl ringfence status" in run("ringfence", "status", "--help")
    assert run("__complete", "ringfence", "stat").splitlines()[0].startswith("status\t")
    assert "--all-namespaces" in run("__complete", "ringfence", "status", "--all")


def test_suspend_and_resume(team: Team) -> None:
    team.agent(ready=True)
    place = path_of(API_VERSION, "agentdeployments", team.name, "a")
    for command, suspended in (("suspend", True), ("resume", False)):
        shown = team.run(command, "a", "-n", team.name, "-o", "json")
        assert shown.returncode == 0, shown.stderr
        assert json.loads(shown.stdout)["changed"] is True
        assert team.server.request("GET", place).body["spec"]["suspended"] is suspended
        assert team.run(command, "a", "-n", team.name).stdout.endswith("already\n")
    assert team.run("suspend", "nobody", "-n", team.name).returncode == 1


def test_lint_by_what_the_cluster_has(team: Team, tmp_path: Path) -> None:
    metadata = {"name": "a", "namespace": team.name}
    spec = {key: value for key, value in SPEC.items() if key != "network"}
    agent = {"apiVersion": API_VERSION, "kind": "AgentDeployment", "metadata": metadata, "spec": spec}
    file = tmp_path / "agent.json"
    file.write_text(json.dumps(agent))
    shown = team.run("lint", "--cluster", str(file))
    assert shown.returncode == 0, shown.stderr + shown.stdout
    agent["metadata"] = metadata | {"namespace": "absent"}
    file.write_text(json.dumps(agent))
    shown = team.run("lint", "--cluster", str(file))
    assert shown.returncode == 1
    assert "NamespaceNotOpened" in shown.stdout
    assert "there is no namespace absent" in shown.stderr


def test_can(team: Team) -> None:
    """The API server's own answer about the agent's ServiceAccount, and its fence as it is stored."""
    team.agent(ready=True)
    group = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}]
    team.send("POST", path_of(*PATHS["Role"], team.name), {"metadata": {"name": "ringfence-a"}, "rules": rules})
    binding = {
        "metadata": {"name": "ringfence-a"},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "ringfence-a"},
        "subjects": [{"kind": "ServiceAccount", "name": "ringfence-a", "namespace": team.name}],
    }
    team.send("POST", path_of(*PATHS["RoleBinding"], team.name), binding)
    for question, code in (
        (("get", "deployments"), 0),
        (("get", "deployments.apps"), 0),
        (("get", "deployments/scale"), 1),
        (("get", "secrets"), 1),
        (("reach", "203.0.113.7:443"), 1),
        (("reach", "agent/a:panel"), 1),
        (("reach", "service/absent:80"), 2),
    ):
        shown = team.run("can", "a", *question, "-n", team.name)
        assert shown.returncode == code, (question, shown.stdout, shown.stderr)
        assert code == 2 or "by its Role alone" not in shown.stderr


def test_doctor(team: Team) -> None:
    """A cluster with our CRDs and nothing else of ours: what is missing is named, and what helps."""
    shown = team.run("doctor", "-o", "json")
    assert shown.returncode == 1, shown.stderr
    found = {one["check"]: one for one in json.loads(shown.stdout)["checks"]}
    assert (found["kubernetes"]["state"], found["crds"]["state"]) == ("ok", "ok"), found
    assert (found["webhook"]["state"], found["grants"]["state"]) == ("wrong", "wrong")
    assert found["namespaces"]["state"] == "ok"
    assert all(one["fix"] for one in found.values() if one["state"] != "ok")
