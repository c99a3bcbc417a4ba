"""Ids of pods: ours, the spec's, or none where the platform assigns them."""

from dataclasses import replace
from typing import Any

import pytest

from ringfence.api import AgentDeploymentSpec
from ringfence.policy.pod_security import unrestricted, without_user
from ringfence.resources import Agent, JobImage, Manifest, build
from ringfence.resources.compare import completed_only, matches, stamp
from ringfence.resources.users import UserIds, ids_of

OURS = {"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532}
ROTATED = {
    "name": "signing",
    "source": {"generate": {"length": 32}},
    "rotation": {"every": "720h", "overlap": "1h"},
    "delivery": {"file": {"path": "/var/run/ringfence/signing/key"}},
}
CASES: list[tuple[UserIds, dict[str, int], dict[str, int]]] = [
    (UserIds.FIXED, {}, OURS),
    (UserIds.FIXED, {"runAsUser": 1000}, OURS | {"runAsUser": 1000}),
    (UserIds.FIXED, {"runAsGroup": 2000}, OURS | {"runAsGroup": 2000, "fsGroup": 2000}),
    (UserIds.ASSIGNED, {}, {}),
    (UserIds.ASSIGNED, {"runAsUser": 1000}, {"runAsUser": 1000}),
    (UserIds.ASSIGNED, {"runAsGroup": 2000}, {"runAsGroup": 2000, "fsGroup": 2000}),
]


def agent(whose: UserIds, **fields: Any) -> Agent:
    spec = AgentDeploymentSpec.model_validate({"image": "registry.example/agent", "secrets": [ROTATED]} | fields)
    image = JobImage("registry.example/ringfence")
    return Agent(name="a", namespace="team", uid="u", spec=spec, job_image=image, user_ids=whose)


def pod(manifest: Manifest) -> Manifest:
    spec = manifest["spec"]
    found: Manifest = spec.get("jobTemplate", {"spec": spec})["spec"]["template"]["spec"]
    return found


def workloads(whose: UserIds, **fields: Any) -> list[Manifest]:
    """The agent's own and the rotation's."""
    found = [one for one in build(agent(whose, **fields)) if one["kind"] in {"Deployment", "CronJob", "Job"}]
    assert len(found) == 2
    return found


@pytest.mark.parametrize(("whose", "fields", "ids"), CASES)
def test_ids_of_an_agents_pods(whose: UserIds, fields: dict[str, int], ids: dict[str, int]) -> None:
    context = pod(build(agent(whose, **fields))[-1])["securityContext"]
    assert context == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}} | ids


@pytest.mark.parametrize("run", [{}, {"run": {"mode": "Job"}}, {"run": {"mode": "Schedule", "schedule": "0 3 * * *"}}])
def test_no_pod_says_an_id_where_they_are_assigned(run: dict[str, Any]) -> None:
    for manifest in build(agent(UserIds.ASSIGNED, **run)):
        assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(str(manifest).split("'")), manifest["kind"]


@pytest.mark.parametrize("whose", UserIds)
def test_all_pass_the_restricted_standard(whose: UserIds) -> None:
    for manifest in workloads(whose):
        assert unrestricted(pod(manifest)) == []
        assert bool(without_user(pod(manifest))) is (whose is UserIds.ASSIGNED)


def assigned(spec: Manifest) -> Manifest:
    """As `restricted-v2` leaves a pod: a user id for each container, the rest for the pod."""
    context = spec["securityContext"] | {"fsGroup": 1000680000, "seLinuxOptions": {"level": "s0:c26,c15"}}
    containers = [
        one | {"securityContext": one["securityContext"] | {"runAsUser": 1000680000}} for one in spec["containers"]
    ]
    return spec | {"securityContext": context, "containers": containers}


def test_a_pod_with_assigned_ids_is_no_fault() -> None:
    for manifest in workloads(UserIds.ASSIGNED):
        found = assigned(pod(manifest))
        assert (unrestricted(found), without_user(found)) == ([], [])


def test_ids_that_are_filled_into_the_template_are_taken_for_completed() -> None:
    """A cluster's policy may do so with Deployments, too; what was filled in is no reason to write again."""
    deployment = stamp(build(agent(UserIds.ASSIGNED))[-1])
    filled = assigned(pod(deployment))
    spec = deployment["spec"] | {"template": deployment["spec"]["template"] | {"spec": filled}}
    assert completed_only(deployment, deployment | {"spec": spec})
    filled["securityContext"]["runAsUser"] = 0
    assert not completed_only(deployment, deployment | {"spec": spec})


def test_a_change_of_who_says_it_is_a_change_of_the_workload() -> None:
    before = agent(UserIds.FIXED)
    after = build(replace(before, user_ids=UserIds.ASSIGNED))[-1]
    assert not matches(stamp(after), stamp(build(before)[-1]))


def test_nobody_is_named_by_accident() -> None:
    assert ids_of(UserIds.ASSIGNED) == {}
    assert ids_of(UserIds.FIXED) == {"runAsUser": 65532, "runAsGroup": 65532}
