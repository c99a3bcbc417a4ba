"""What a plan withdraws, and what it does about secrets and the workload."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ringfence.api.status import ConditionType
from ringfence.controller.agent.actions import (
    RemoveChild,
    RemoveSecret,
)
from ringfence.controller.agent.conditions import condition_before
from ringfence.controller.agent.plan import plan
from ringfence.controller.agent.workloads import workload_of
from ringfence.resources.secrets import PREVIOUS_UNTIL, restart_annotation, stamp
from unit.controller.make import (
    BINDING,
    DEPLOYMENT,
    FENCE,
    HOUR,
    JOBS,
    METADATA,
    NAME,
    NOW,
    POLICY_ALLOW,
    POLICY_DENY,
    ROLE,
    RULES,
    SECRET,
    SECRETS,
    UID,
    all_children,
    as_stored,
    available,
    built,
    edited,
    fits,
    observed,
    told,
)

# --- what is withdrawn


def test_permissions_that_the_spec_does_not_ask_for_any_more_are_withdrawn_before_anything_else() -> None:
    seen = observed(accepted=0, children=all_children(RULES, without=[POLICY_DENY, POLICY_ALLOW]))
    assert told(plan(seen)) == [
        "absent NetworkPolicy/-deny",
        "remove Role/",
        "remove RoleBinding/",
        "absent NetworkPolicy/-allow",
        "wrong Deployment/ behind",
    ]


def test_a_secret_that_is_not_named_any_more_goes_before_its_job() -> None:
    seen = observed(accepted=0, children=all_children(SECRETS, job_image=JOBS), job_image=JOBS)
    lines = told(plan(seen))
    suffix = SECRET[len(NAME) :]
    assert f"remove secret {suffix}" in lines
    assert lines.index(f"remove secret {suffix}") < lines.index(f"remove CronJob/{suffix}")
    kinds = ["NetworkPolicy", "ServiceAccount", "Role", "RoleBinding", "CronJob"]
    assert [line for line in lines if line.startswith("remove ") and "secret" not in line] == [
        f"remove {kind}/{suffix}" for kind in kinds
    ]


@pytest.mark.parametrize("spec", [SECRETS, None], ids=["named", "not named any more"])
def test_without_a_job_image_jobs_go_and_no_value_does(spec: Any) -> None:
    children = all_children(SECRETS, job_image=JOBS)
    planned = plan(observed(spec, accepted=0, children=children, secrets={"signing": METADATA}))
    assert [one.child.ref.kind for one in planned.actions if isinstance(one, RemoveChild)][-1] == "CronJob"
    assert not [one for one in planned.actions if isinstance(one, RemoveSecret)]


def test_volumes_and_policies_are_never_withdrawn() -> None:
    spec = {"storage": {"mountPath": "/data", "size": "1Gi"}}
    planned = plan(observed(accepted=0, children=all_children(spec)))
    assert not [one for one in planned.actions if isinstance(one, RemoveChild)]


def test_what_is_not_ours_is_not_withdrawn() -> None:
    children = edited(all_children(RULES), ROLE, owners=())
    planned = plan(observed(accepted=0, children=children))
    assert [one.child.ref for one in planned.actions if isinstance(one, RemoveChild)] == [BINDING]


# --- secrets


@pytest.mark.parametrize(
    ("secrets", "accepted", "makes"),
    [
        (None, None, ["make signing"]),
        (None, 1, ["make signing known"]),
        ({"signing": None}, 1, ["make signing known"]),
        ({"signing": METADATA}, 1, []),
        ({"signing": {"uid": "s"}}, 1, ["make signing known"]),
        ({"signing": {"uid": "s", "ownerReferences": [{"controller": True, "uid": "z"}]}}, 1, ["make signing known"]),
        ({"signing": {"uid": "s", "ownerReferences": [{"uid": UID}]}}, 1, ["make signing known"]),
    ],
)
def test_secrets_that_are_not_held_are_made(secrets: Any, accepted: int | None, makes: list[str]) -> None:
    planned = plan(observed(SECRETS, accepted=accepted, secrets=secrets))
    assert [line for line in told(planned) if line.startswith("make")] == makes


def test_they_are_made_after_permissions_and_before_their_jobs() -> None:
    lines = told(plan(observed(SECRETS, job_image=JOBS)))
    at = lines.index("make signing")
    assert lines[at - 1] == "absent ServiceAccount/"
    assert lines[at + 1].startswith("absent NetworkPolicy/.")
    assert lines[-2].startswith("absent CronJob/.")


def test_a_secret_of_somebody_else_is_not_made() -> None:
    existing = {"name": "llm", "source": {"existing": {"secretName": "llm", "key": "k"}}}
    spec = {"secrets": [existing | {"delivery": {"env": {"name": "K"}}}]}
    assert not [line for line in told(plan(observed(spec))) if line.startswith("make")]


def _previous(left: timedelta) -> dict[str, Any]:
    fields: list[Any] = [{"fieldsV1": {"f:data": {"f:previous": {}}}}]
    return METADATA | {"annotations": {PREVIOUS_UNTIL: stamp(NOW + left)}, "managedFields": fields}


@pytest.mark.parametrize(
    ("left", "pods", "secrets", "drops"),
    [
        (-HOUR, True, True, ["drop signing"]),
        (HOUR, True, True, []),
        (-HOUR, False, True, []),
        (-HOUR, True, False, []),
    ],
    ids=["over", "not over", "not rolled out", "not looked at"],
)
def test_a_value_before_goes_when_its_overlap_is_over(
    left: timedelta, pods: bool, secrets: bool, drops: list[str]
) -> None:
    children = [available(one) if pods and one.ref == DEPLOYMENT else one for one in all_children(SECRETS)]
    seen = observed(SECRETS, accepted=1, children=children, secrets={"signing": _previous(left)} if secrets else None)
    assert [line for line in told(plan(seen)) if line.startswith("drop")] == drops


def test_pods_of_a_stranger_say_nothing_about_an_overlap() -> None:
    children = [replace(available(one), owners=()) if one.ref == DEPLOYMENT else one for one in all_children(SECRETS)]
    seen = observed(SECRETS, accepted=1, children=children, secrets={"signing": _previous(-HOUR)})
    assert workload_of(seen) is None
    assert not [line for line in told(plan(seen)) if line.startswith("drop")]


# --- the workload


@pytest.mark.parametrize(("deleting", "fence"), [(False, FENCE), (True, None)])
def test_the_workload_belongs_to_its_fence_unless_that_is_being_deleted(deleting: bool, fence: str | None) -> None:
    planned = plan(observed(accepted=1, children=edited(all_children(), POLICY_DENY, deleting=deleting)))
    assert planned.agent is not None
    assert planned.agent.fence_uid == fence
    assert (DEPLOYMENT in fits(planned)) is deleting


MARK = restart_annotation("signing")


@pytest.mark.parametrize(
    ("mark", "kept"),
    [({MARK: stamp(NOW)}, {MARK: stamp(NOW)}), ({MARK: "never"}, {}), ({"x/y": stamp(NOW)}, {})],
)
def test_restarts_by_rotation_jobs_are_kept(mark: dict[str, str], kept: dict[str, str]) -> None:
    marked = as_stored(
        built(DEPLOYMENT, SECRETS).manifest,
        lambda live: live["spec"]["template"]["metadata"]["annotations"].update(mark),
    )
    children = [*all_children(SECRETS, without=[DEPLOYMENT]), marked]
    planned = plan(observed(SECRETS, accepted=1, children=children))
    assert planned.agent is not None
    assert planned.agent.restarts == kept
    assert (DEPLOYMENT in fits(planned)) is (not kept)


def test_conditions_come_in_the_order_of_the_phases() -> None:
    order = [
        ConditionType.ACCEPTED,
        ConditionType.NETWORK_POLICY_APPLIED,
        ConditionType.RIGHTS_APPLIED,
        ConditionType.SECRETS_FRESH,
        ConditionType.WORKLOAD_AVAILABLE,
    ]
    for place, one in enumerate(order):
        assert [condition_before(one, other) for other in order] == [place < n for n in range(len(order))]
