"""The gate of an agent's pods: what it is, where it stands, and what it looks for."""

from dataclasses import replace
from typing import Any

import pytest

from ringfence.api.containers import GATE
from ringfence.policy.pod_security import unrestricted
from ringfence.resources import Agent, JobImage, Manifest, build
from ringfence.resources.kinds import pod_template
from ringfence.resources.model import Gate
from ringfence.resources.stored import Desired, immutable_differs, stored
from ringfence.resources.stored import content_fits as fits
from unit.controller.make import RULES, SECRETS, agent

IMAGE = JobImage("registry.example/ringfence@sha256:" + "1" * 64, "Always")
KNOWN = Gate(IMAGE, "10.96.0.9", 7007, api_server=True)
BESIDE = {"initContainers": [{"name": "first", "image": "x@sha256:" + "2" * 64}],
          "sidecars": [{"name": "beside", "image": "x@sha256:" + "3" * 64}]}  # fmt: skip
HOSTS = {"network": {"egress": [{"host": "b.example.com", "ports": [8443]}, {"host": "a.example.com"}]}}
DENIED = ["gate", "--denied=TCP:10.96.0.9:7007", "--denied=UDP:10.96.0.9:7007"]
API = "--api-server=denied"
JOB = {"run": {"mode": "Job"}}
SCHEDULE = {"run": {"mode": "Schedule", "schedule": "0 3 * * *"}}


def workload(spec: Any = None, **known: Any) -> Manifest:
    return build(agent(spec, **({"gate": KNOWN} | known)))[-1]


def before(spec: Any = None, **known: Any) -> list[Manifest]:
    made = workload(spec, **known)
    found: list[Manifest] = pod_template(made["kind"], made)["spec"].get("initContainers", [])
    return found


@pytest.mark.parametrize("spec", [{}, JOB, SCHEDULE], ids=["Deployment", "Job", "CronJob"])
def test_it_is_the_first_container_of_every_pod(spec: Any) -> None:
    gate, *others = before(spec | BESIDE)
    assert [one["name"] for one in others] == ["first", "beside"]
    assert (gate["name"], gate["image"], gate["imagePullPolicy"]) == (GATE, IMAGE.name, "Always")
    assert gate["command"] == ["python3", "-m", "ringfence.packets"]


def test_it_has_nothing_of_the_agents_and_passes_the_restricted_standard() -> None:
    gate = before(BESIDE | {"env": [{"name": "A", "value": "b"}]} | RULES)[0]
    assert gate.keys() & {"env", "envFrom", "volumeMounts", "ports", "restartPolicy", "lifecycle"} == set()
    assert gate["resources"]["limits"].keys() == {"cpu", "memory", "ephemeral-storage"}  # as quotas may ask
    assert not unrestricted({"securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                             "containers": [gate], "initContainers": [gate]}, {}, closed=True)  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "known", "arguments"),
    [
        ({}, {}, [*DENIED, API]),
        ({}, {"gate": replace(KNOWN, api_server=False)}, DENIED),
        ({}, {"gate": replace(KNOWN, address="fd00::9")},
         ["gate", "--denied=TCP:[fd00::9]:7007", "--denied=UDP:[fd00::9]:7007", API]),
        (RULES, {}, DENIED),
        (HOSTS, {"gateway_address": "10.96.0.7"}, [*DENIED, API, "--reachable=TCP:10.96.0.7:443"]),
        (HOSTS, {"gateway_address": "fd00::7"}, [*DENIED, API, "--reachable=TCP:[fd00::7]:443"]),
        (HOSTS, {}, [*DENIED, API]),
    ],
    ids=["plain", "API server on a node", "IPv6", "with permissions", "hosts", "hosts by IPv6", "no gateway yet"],
)  # fmt: skip
def test_what_it_looks_for(spec: Any, known: Any, arguments: list[str]) -> None:
    assert before(spec, **known)[0]["args"] == arguments


def test_gateways_and_rotation_have_none() -> None:
    made = build(agent(HOSTS | SECRETS, gate=KNOWN, job_image=IMAGE, gateway_image=IMAGE))
    pods = [pod_template(one["kind"], one)["spec"] for one in made if one["kind"] in {"Deployment", "CronJob"}]
    assert [GATE in str(pod) for pod in pods] == [False, False, True]


def test_without_it_the_agent_is_as_it_was() -> None:
    assert before(gate=None) == []


MOVED = Gate(JobImage("registry.example/ringfence:2"), "10.96.0.99", 7007)


def child(known: Gate, **edit: Any) -> tuple[Desired, Any]:
    """A run as it is wanted, and one that began with another gate."""
    wanted = Desired(workload(JOB))
    live = workload(JOB, gate=known)
    live["metadata"] |= {"uid": "u", "resourceVersion": "1"}
    live["spec"]["template"]["spec"]["initContainers"][0] |= edit
    return wanted, stored(live)


def test_another_version_or_canary_ends_no_run() -> None:
    """Its gate is behind it."""
    wanted, live = child(MOVED)
    assert (fits(wanted, live), immutable_differs(wanted, live)) == (True, False)
    assert wanted.template == (live.shown or {})["template"]
    assert Desired(workload(SCHEDULE)).template == Desired(workload(SCHEDULE, gate=MOVED)).template


@pytest.mark.parametrize("edit", [{"command": ["sh"]}, {"volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]},
                                  {"name": "other"}, {"securityContext": {}}])  # fmt: skip
def test_a_gate_that_is_none_does(edit: Any) -> None:
    wanted, live = child(MOVED, **edit)
    assert (fits(wanted, live), immutable_differs(wanted, live)) == (False, True)


def test_a_run_without_a_gate_does() -> None:
    wanted = Desired(workload(JOB))
    assert not fits(wanted, stored(workload(JOB, gate=None)))


@pytest.mark.parametrize("spec", [{}, SCHEDULE], ids=["Deployment", "CronJob"])
def test_what_makes_pods_gets_the_new_one(spec: Any) -> None:
    wanted, live = Desired(workload(spec)), workload(spec, gate=MOVED)
    assert not fits(wanted, stored(live))


def test_an_agent_is_known_without_one() -> None:
    assert Agent(name="a", namespace="n", uid="u", spec=agent().spec).gate is None
