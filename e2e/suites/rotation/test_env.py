"""Delivery as a variable: the value comes with a restart, which the job asks for once the value is stored."""

import subprocess
import sys

from cluster.shell import wait_for
from harness import agents
from harness.rotating import KEYS, STRICT, RotatingAgent, now
from suites.rotation.conftest import Make


def env_of(agent: RotatingAgent) -> str:
    lines = agent.inside("env").splitlines()
    return next((line.partition("=")[2] for line in lines if line.startswith("AGENT_KEY=")), "")


def test_a_restart_brings_the_new_value_and_no_call_fails(make: Make) -> None:
    agent = make("variable", variable="AGENT_KEY", **STRICT)
    old = agent.pod()["metadata"]["name"]
    assert env_of(agent) == agent.value()
    agent.wait_job(agent.rotate())
    moment = now()
    agent.wait_restarted()
    assert old not in agent.names()
    agent.uses_new_value_since(moment)
    assert env_of(agent) == agent.value()
    assert agent.refusals() == []


def test_rotate_wait_follows_until_the_pods_have_the_value(make: Make) -> None:
    agent = make("followed", variable="AGENT_KEY", **STRICT)
    before = agent.value()
    told = subprocess.run(
        [sys.executable, "-m", "ringfence", "rotate", agent.name, "-n", KEYS, "--wait"],
        env=dict(agent.environment.kubectl.env),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert "followed: restarted, its pods have the new value" in told.stdout
    assert before != agent.value() == env_of(agent)
    assert before not in told.stdout + told.stderr
    assert agent.value() not in told.stdout + told.stderr


def test_a_pod_that_never_gets_ready_leaves_the_old_value_valid_and_says_so(make: Make) -> None:
    """The other side takes the first value alone, so that the restarted pod's calls fail and it is never ready."""
    agent = make("stuck", variable="AGENT_KEY", stubborn=True, **STRICT)
    first, old = agent.value(), agent.pod()["metadata"]["name"]
    job = agent.rotate()
    agent.wait_job(job)
    wait_for("the restarted pod", lambda: len(agent.pods()) == 2)
    second = agent.value()
    said = "of provider the value before stays valid until the restarted pods are available"
    agents.wait(agent.api, KEYS, agent.name, "SecretsFresh", says=said)

    again = agent.start_job()
    wait_for("the job to give up for now", lambda: "not available yet" in agent.job_said(again), timeout=120)
    assert "both values stay valid, and nothing was rotated" in agent.job_said(again)
    assert (agent.value(), agent.value("previous")) == (second, first)
    assert agent.calls(old, last=1)[0][1] == "200 OK value", "the pod with the old value works on"
    agent.environment.kubectl("delete", "job", "-n", KEYS, again)

    agent.restart_server()  # now it takes the value that is stored
    agent.wait_restarted()
    assert old not in agent.names()
    wait_for("the sentence to go", lambda: said not in agent.condition()["message"], timeout=120)
    assert agent.condition()["status"] == "True"
