"""The jobs themselves: what they reach and may do, that they need no operator, and that they can be killed anywhere."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cluster.shell import wait_for
from harness.api import Api
from harness.environment import Environment
from harness.install import NAMESPACE
from harness.kubectl import Kubectl, Object
from harness.probing import LLM, METADATA, node_address, probe
from harness.rotating import KEYS, RESTRICTED, RotatingAgent
from suites.rotation.conftest import Make
from suites.rotation.test_env import env_of

LONG_AGO = "2026-01-01T00:00:00Z"


def test_a_job_reaches_the_api_server_and_nothing_else(make: Make, kubectl: Kubectl) -> None:
    agent = make("reach")
    cron_job = kubectl.get("cronjob", agent.secret_name, "-n", KEYS)
    template = cron_job["spec"]["jobTemplate"]["spec"]["template"]
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "like-a-job", "labels": template["metadata"]["labels"]},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {"name": "a", "image": agent.environment.testbox, "args": ["agent"], "securityContext": RESTRICTED}
            ],
        },
    }
    kubectl("create", "-n", KEYS, "-f", "-", stdin=json.dumps(body))
    try:
        kubectl("wait", "-n", KEYS, "pod/like-a-job", "--for=condition=Ready", "--timeout=60s")
        service = kubectl.get("service", "kubernetes", "-n", "default")["spec"]["clusterIP"]
        server = kubectl.get("service", "reach-check", "-n", KEYS)["spec"]["clusterIP"]
        open_ = f"https://{service}/version"
        closed = [
            f"https://{LLM}/",
            f"http://{METADATA}/latest/",
            f"http://{server}/",
            f"https://{node_address(kubectl)}:10250/pods",
            "dns://kubernetes.default.svc.cluster.local",
        ]
        found = probe(kubectl, KEYS, "like-a-job", [open_, *closed])
        assert found == {open_: "reachable"} | dict.fromkeys(closed, "blocked")
        unlike = probe(kubectl, KEYS, "deploy/reach-check", closed)
        assert "blocked" not in unlike.values(), "it is the job's fence that blocks"
    finally:
        kubectl("delete", "pod", "like-a-job", "-n", KEYS, "--grace-period=0", "--force", "--wait=false")


@pytest.mark.parametrize(("verb", "what"), [
    ("get", "secrets/{}"), ("update", "secrets/{}"), ("get", "deployments/ringfence-{}"),
    ("patch", "deployments/ringfence-{}"),
])  # fmt: skip
def test_a_jobs_rights(keyed_by_variable: RotatingAgent, kubectl: Kubectl, verb: str, what: str) -> None:
    agent = keyed_by_variable
    named = what.format(agent.secret_name if what.startswith("secrets") else agent.name)
    assert _may(kubectl, agent, verb, named) == "yes"


@pytest.mark.parametrize(("verb", "what"), [
    ("list", "secrets"), ("watch", "secrets"), ("create", "secrets"), ("get", "secrets/other"),
    ("delete", "secrets/{}"), ("patch", "deployments/other"), ("list", "deployments"), ("get", "pods"),
    ("create", "jobs"), ("create", "serviceaccounts/token"), ("get", "configmaps"),
])  # fmt: skip
def test_a_jobs_rights_end_there(keyed_by_variable: RotatingAgent, kubectl: Kubectl, verb: str, what: str) -> None:
    assert _may(kubectl, keyed_by_variable, verb, what.format(keyed_by_variable.secret_name)) == "no"


@pytest.fixture(scope="module")
def keyed_by_variable(environment: Environment, api: Api) -> Iterator[RotatingAgent]:
    agent = RotatingAgent(environment, api, "rights")
    agent.create(variable="AGENT_KEY", calls=False)
    yield agent
    agent.remove()


def _may(kubectl: Kubectl, agent: RotatingAgent, verb: str, what: str) -> str:
    account = f"--as=system:serviceaccount:{KEYS}:{agent.secret_name}"
    return kubectl("auth", "can-i", verb, what, "-n", KEYS, account, ok=True).strip().splitlines()[-1]


def test_a_missed_time_is_caught_up_without_the_operator(make: Make, kubectl: Kubectl) -> None:
    """The Secret says that its day is long past; the scheduler's next job (made to come within a minute) sees to it."""
    agent = make("late", calls=False)
    before, name = agent.value(), agent.secret_name
    with without_operator(kubectl):
        kubectl("annotate", "secret", name, "-n", KEYS, "--overwrite", f"ringfence.dev/rotated-at={LONG_AGO}")
        kubectl("patch", "cronjob", name, "-n", KEYS, "--type=merge", "-p", '{"spec":{"schedule":"* * * * *"}}')
        wait_for("the scheduler's job", lambda: agent.rotated_by().startswith(f"{name}-"), timeout=240)
        assert agent.rotated_by().removeprefix(f"{name}-").isdigit()
        assert agent.value("previous") == before
        agent.wait_file(agent.value())


def test_killed_between_its_two_writes_a_job_goes_on(make: Make, kubectl: Kubectl) -> None:
    """The second write is kept from it until it has been killed after the first."""
    agent = make("killed", variable="AGENT_KEY", calls=False)
    first = agent.value()
    with without_operator(kubectl):
        with without_second_write(agent, kubectl) as job:
            second = agent.value()
            assert second not in agent.job_said(job)
            _kill(kubectl, job)
            assert (agent.value(), agent.value("previous")) == (second, first)
        agent.wait_job(job)
        assert (agent.value(), agent.value("previous")) == (second, first), "rotated once"
        wait_for("the restart", lambda: env_of(agent) == second, timeout=120)


def test_what_a_job_left_at_its_deadline_the_schedulers_next_one_does(make: Make, kubectl: Kubectl) -> None:
    """The deadline comes between its two writes, and ends it for good; until the next one both values are kept."""
    agent = make("overdue", variable="AGENT_KEY", calls=False)
    first, name = agent.value(), agent.secret_name
    with without_operator(kubectl):
        with without_second_write(agent, kubectl) as job:
            second = agent.value()
            kubectl("patch", "job", job, "-n", KEYS, "--type=merge", "-p", '{"spec":{"activeDeadlineSeconds":1}}')
            agent.wait_job(job, "Failed")
            ended = kubectl.get("job", job, "-n", KEYS)["status"]["conditions"]
            assert "DeadlineExceeded" in {one.get("reason") for one in ended}
            assert (agent.value(), agent.value("previous")) == (second, first)
            assert env_of(agent) == first, "the agent runs on with a value that is still taken"
        kubectl("patch", "cronjob", name, "-n", KEYS, "--type=merge", "-p", '{"spec":{"schedule":"* * * * *"}}')
        wait_for("the restart", lambda: env_of(agent) == second, timeout=240)
        assert (agent.value(), agent.value("previous")) == (second, first), "rotated once"
        assert agent.rotated_by() == job


def test_killed_after_its_write_a_job_does_not_rotate_twice(make: Make, kubectl: Kubectl) -> None:
    agent = make("struck", calls=False)
    for _ in range(3):
        before = agent.value()
        job = agent.start_job()
        wait_for(f"{job} to write", lambda job=job: agent.rotated_by() == job, timeout=180)  # type: ignore[misc]
        _kill(kubectl, job)
        after = agent.value()
        agent.wait_job(job)
        assert (agent.value(), agent.value("previous")) == (after, before)
        agent.wait_file(after)


@contextmanager
def without_second_write(agent: RotatingAgent, kubectl: Kubectl) -> Iterator[str]:
    """A job that has made its first write and cannot make the second; afterwards it could. Its name."""
    role = agent.secret_name
    rules = kubectl.get("role", role, "-n", KEYS)["rules"]
    kept = [rules[0], rules[1] | {"verbs": ["get"]}]
    kubectl("patch", "role", role, "-n", KEYS, "--type=merge", "-p", json.dumps({"rules": kept}))
    job = agent.rotate()
    wait_for("the job to stop at its second write", lambda: agent.job_said(job), timeout=120)
    yield job
    kubectl("patch", "role", role, "-n", KEYS, "--type=merge", "-p", json.dumps({"rules": rules}))


@contextmanager
def without_operator(kubectl: Kubectl) -> Iterator[None]:
    """Nothing puts right what a test bends, and jobs are on their own."""
    kubectl("scale", "-n", NAMESPACE, "deploy/ringfence-controller", "--replicas=0")
    wait_for("no controller", lambda: not _controllers(kubectl), timeout=120)
    try:
        yield
        assert not _controllers(kubectl)
    finally:
        kubectl("scale", "-n", NAMESPACE, "deploy/ringfence-controller", "--replicas=2")
        kubectl("rollout", "status", "-n", NAMESPACE, "deploy/ringfence-controller", "--timeout=180s", timeout=190)


def _controllers(kubectl: Kubectl) -> list[Object]:
    return kubectl.items("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=controller")


def _kill(kubectl: Kubectl, job: str) -> None:
    kubectl("delete", "pods", "-n", KEYS, "-l", f"job-name={job}", "--grace-period=0", "--force", "--ignore-not-found")
