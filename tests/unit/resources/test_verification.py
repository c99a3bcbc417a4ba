"""The pod that tries a fence is the agent's in all that the fence is made of, and in nothing else."""

from dataclasses import replace
from typing import Any

import pytest

from ringfence.policy.pod_security import unrestricted, without_user
from ringfence.resources import Agent, JobImage, build
from ringfence.resources.model import Verification
from ringfence.resources.runs import makes_pods
from ringfence.resources.secret_names import rotation_name
from ringfence.resources.verification import is_verification, verification, verification_name
from unit.resources.agents import NAMES, read

TRIAL = Verification("ringfence-a.verify-x0123abcd", "[]")


def tried(name: str) -> Agent:
    return replace(read(name), verification=TRIAL, job_image=JobImage("ringfence"), gateway_address="10.96.0.50")


def pod_of(agent: Agent) -> dict[str, Any]:
    job = verification(agent)
    assert job is not None
    template: dict[str, Any] = job["spec"]["template"]
    return template


@pytest.mark.parametrize("name", NAMES)
def test_it_has_the_agents_identity_and_ways(name: str) -> None:
    agent = tried(name)
    own = next((one for one in build(agent) if one["kind"] in {"Deployment", "Job", "CronJob"} and _runs(one)), None)
    assert own is not None
    spec = own["spec"]["jobTemplate"]["spec"] if own["kind"] == "CronJob" else own["spec"]
    agents, trial = spec["template"]["spec"], pod_of(agent)
    for field in ("serviceAccountName", "dnsPolicy", "dnsConfig", "hostAliases", "runtimeClassName", "securityContext"):
        assert trial["spec"].get(field) == agents.get(field), field
    assert agent.labels.items() <= trial["metadata"]["labels"].items()
    volumes = {one["name"]: one for one in trial["spec"]["volumes"]}
    kept = {one["name"]: one for one in agents["volumes"] if one["name"] in {"token", "trust"}}
    assert volumes == kept, "its token and whom it trusts, and nothing else: no secret, no file, no storage"


def _runs(manifest: dict[str, Any]) -> bool:
    return makes_pods(manifest["kind"], manifest["metadata"]["name"])


@pytest.mark.parametrize("name", NAMES)
def test_it_passes_restricted_and_no_service_leads_to_it(name: str) -> None:
    pod = pod_of(tried(name))
    assert [*unrestricted(pod["spec"], {}), *without_user(pod["spec"])] == []
    assert pod["spec"]["readinessGates"] == [{"conditionType": "ringfence.dev/serves"}]
    variables = {one["name"] for one in pod["spec"]["containers"][0]["env"]}
    assert "RINGFENCE_ATTEMPTS" in variables
    assert not any("secretKeyRef" in str(one) for one in pod["spec"]["containers"][0]["env"])


def test_nothing_is_made_where_nobody_asks() -> None:
    agent = tried(NAMES[0])
    assert verification(replace(agent, verification=None)) is None
    assert verification(replace(agent, job_image=None)) is None


def test_its_job_is_told_from_all_others() -> None:
    name = verification_name("a", "now")
    assert is_verification("Job", name)
    assert not makes_pods("Job", name), "it is no run of the agent"
    assert not is_verification("Job", f"{rotation_name('a', 'verify')}-29000000")
    assert not is_verification("CronJob", rotation_name("a", "verify-x"))
    assert name != verification_name("a", "later")


def test_the_name_fits_a_label_whatever_the_agents_is() -> None:
    names = {verification_name("a" * length, "now") for length in (30, 40, 62, 63)}
    assert len(names) == 4
    assert all(len(one) <= 63 and is_verification("Job", one) for one in names)
