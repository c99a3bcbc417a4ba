"""What agents left behind: what is an orphan, and what is done about it."""

from dataclasses import replace
from typing import Any

import pytest

from ringfence.api import AgentPolicySpec
from ringfence.controller.namespace.orphans import Orphan, Remedy, of_child, of_pods, remedy_for, sentence, stops
from ringfence.policy.model import NamedPolicy
from ringfence.resources import Ref
from ringfence.store.orphans import ownerless
from ringfence.store.records import Key, read_pod
from unit.controller.make import JOBS, KEY, RULES, SECRETS, all_children, as_stored
from unit.store.make import pod

NOBODY: dict[str, Any] = {"ownerReferences": []}
CHILDREN = all_children(RULES | SECRETS | {"network": {"egress": [{"cidr": "203.0.113.0/28", "ports": [443]}]}},
                        job_image=JOBS)  # fmt: skip


def test_what_has_its_owner_is_none() -> None:
    assert not any(ownerless(child) for child in CHILDREN)


def test_what_lost_its_owner_is_one() -> None:
    stripped = [replace(child, owners=()) for child in CHILDREN]
    assert all(ownerless(child) for child in stripped)
    other = [one._replace(name="b") for one in CHILDREN[0].owners]
    assert ownerless(replace(CHILDREN[0], owners=tuple(other))), "owned by another agent"
    assert not any(ownerless(replace(child, labels=())) for child in stripped), "not by its labels"


def test_what_gives_something_goes_and_what_holds_data_stays() -> None:
    found = {child.ref: remedy_for(child) for child in CHILDREN}
    rest = {ref: one for ref, one in found.items() if "." not in ref.name}
    assert rest.pop(Ref("Deployment", "team", "ringfence-a")) is Remedy.STOP
    assert rest.pop(Ref("RoleBinding", "team", "ringfence-a")) is Remedy.REMOVE
    assert set(rest.values()) == {Remedy.NONE}
    assert {one for ref, one in found.items() if "." in ref.name} == {Remedy.NONE}, "what rotates a key"


@pytest.mark.parametrize(
    ("spec", "remedy"),
    [
        ({"policyTypes": ["Ingress", "Egress"]}, Remedy.NONE),
        ({"policyTypes": ["Ingress", "Egress"], "egress": [{}]}, Remedy.REMOVE),
        ({"policyTypes": ["Ingress"], "ingress": [{"from": []}]}, Remedy.REMOVE),
        ({"policyTypes": ["Ingress"], "egress": [{}]}, Remedy.NONE),
        ({"egress": []}, Remedy.NONE),
    ],
)
def test_a_policy_goes_where_it_allows_anything(spec: dict[str, Any], remedy: Remedy) -> None:
    labels = {"app.kubernetes.io/managed-by": "ringfence", "ringfence.dev/agent": "a"}
    metadata = {"name": "ringfence-a-deny", "namespace": "team", "labels": labels}
    assert remedy_for(as_stored({"kind": "NetworkPolicy", "metadata": metadata, "spec": spec})) is remedy


def test_a_workload_without_pods_is_stopped_already() -> None:
    workload = next(child for child in CHILDREN if child.ref.kind == "Deployment")
    stopped = {**(workload.shown or {}), "spec": {"replicas": 0}}
    assert remedy_for(replace(workload, shown=stopped)) is Remedy.NONE


def test_pods_of_a_workload_that_goes_are_none() -> None:
    pods, workload = [read_pod(pod())], next(child for child in CHILDREN if child.ref.kind == "Deployment")
    assert of_pods(KEY, pods, workload, left=False) == []
    assert [one.ref for one in of_pods(KEY, pods, workload, left=True)] == [Ref("Pod", "ns", "ringfence-a-1")]
    assert len(of_pods(KEY, pods, None, left=False)) == 1
    assert of_pods(KEY, [read_pod(pod(phase="Succeeded"))], None, left=False) == []


def test_policies_stop_unless_all_say_otherwise() -> None:
    def policy(**spec: Any) -> NamedPolicy:
        return NamedPolicy("p", AgentPolicySpec.model_validate(spec))

    keep, elsewhere = policy(on_orphans="Keep"), policy(namespaceSelector={"matchLabels": {"x": "y"}})
    assert stops([], {})
    assert stops([policy()], {})
    assert not stops([keep], {})
    assert stops([keep, policy()], {})
    assert not stops([keep, elsewhere], {})


def test_the_sentence_names_a_few_and_what_to_do() -> None:
    orphans = [of_child(child, was_ours=False) for child in CHILDREN]
    told = sentence(orphans)
    assert told.startswith("AgentDeployment a is not there, but of it are left: NetworkPolicy ringfence-a-deny")
    assert f"and {len(orphans) - 8} more" in told
    assert told.endswith("-n team -l ringfence.dev/agent=a")
    assert "more" not in sentence([Orphan(Key("ns", "a"), Ref("Pod", "ns", "x"), Remedy.NONE)])
