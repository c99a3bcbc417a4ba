"""A policy that cannot be read allows nothing, whoever reads it: one answer of all who decide, or tell."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from ringfence.admission.request import read
from ringfence.admission.review import judge
from ringfence.api import AgentPolicySpec
from ringfence.api.names import API_VERSION
from ringfence.cli import cluster
from ringfence.cli.against_cluster import Progress, Reader
from ringfence.cli.explain import gather
from ringfence.cli.main import cli
from ringfence.controller.agent.plan import Mode, plan
from ringfence.policy.decide import decide
from ringfence.policy.model import AgentObject, Facts, NamedPolicy
from ringfence.store.context import PolicyContext
from ringfence.store.sources import AGENT_POLICY, NAMESPACE
from unit.admission.make import agent as reviewed
from unit.admission.make import encoded, review
from unit.cli.fake import NAMESPACE as PLACE
from unit.cli.fake import Cluster
from unit.controller.make import observed

OPENED = {"ringfence.dev/agents": "enabled"}
GOOD = {"image": "registry.example/a@sha256:" + "0" * 64}
UNREADABLE: list[Any] = [
    None,
    7,
    [],
    "text",
    {"surprise": 1},
    {"egress": {"cidrs": ["x"]}},
    {"egress": {"cidrs": ["0.0.0.0/0"]}, "images": {"registries": 7}},
    {"namespaceSelector": 7},
    {"permissions": {"maxLevel": "Everything"}},
    {"existing": "Stop"},
    {"limits": {"cpu": "much"}},
]


def stored(spec: Any) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": "AgentPolicy", "metadata": {"name": "broken"}, "spec": spec}


async def readings(kube: Cluster, spec: Any) -> dict[str, list[NamedPolicy]]:
    """By who reads it: the policy as he takes it."""
    context, place = PolicyContext(), {"metadata": {"name": PLACE, "labels": OPENED}}
    context.observe(NAMESPACE, None, place)
    kube.put_namespace()
    kube.put(API_VERSION, "agentpolicies", stored(spec))
    stored_agent = kube.put_agent()
    explained = await gather(cluster.Session(kube, PLACE), stored_agent, "ringfence-system/ringfence-controller")
    reader = Reader(kube, None, Progress())
    await reader.read()
    context.observe(AGENT_POLICY, "ADDED", stored(spec))
    return {
        "the watch of admission and controller": context.policies(),
        "the live read of admission": context.with_fresh(place, [stored(spec)]).policies(),
        "explain": list(explained.policies or ()),
        "policy check": reader.policies,
    }


@pytest.mark.parametrize("spec", UNREADABLE, ids=repr)
async def test_who_reads_it_takes_it_alike_and_it_allows_nothing(kube: Cluster, spec: Any) -> None:
    found = await readings(kube, spec)
    first = found["explain"]
    assert [policy.name.partition(" ")[0] for policy in first] == ["broken"]
    for who, policies in found.items():
        assert policies == first, who
    agent = AgentObject(name="a", namespace=PLACE, spec=GOOD)
    assert decide(agent, first, Facts(namespace_labels=OPENED))
    assert decide(agent, [*first, NamedPolicy("open", AgentPolicySpec())], Facts(namespace_labels=OPENED)), (
        "all must allow"
    )


@pytest.mark.parametrize("spec", UNREADABLE, ids=repr)
def test_admission_and_controller_let_nobody_in(spec: Any) -> None:
    context = PolicyContext()
    context.observe(NAMESPACE, None, {"metadata": {"name": "team", "labels": OPENED}})
    context.observe(AGENT_POLICY, "ADDED", stored(spec))
    assert not judge(read(encoded(review(reviewed(GOOD)))), context).allowed
    planned = plan(observed(policies=context.policies()))
    assert planned.mode is Mode.HOLD
    assert {str(one.rule) for one in planned.violations} == {"ImageRegistry"}


@pytest.mark.parametrize("spec", UNREADABLE, ids=repr)
def test_lint_decides_nothing_by_it(spec: Any, tmp_path: Path) -> None:
    policy, agent = tmp_path / "policy.yaml", tmp_path / "agent.yaml"
    policy.write_text(yaml.safe_dump(stored(spec)))
    about = {"apiVersion": API_VERSION, "kind": "AgentDeployment", "metadata": {"name": "a"}, "spec": GOOD}
    agent.write_text(yaml.safe_dump(about))
    result = CliRunner().invoke(cli, ["lint", "--policy", str(policy), str(agent)])
    assert (result.exit_code, "accepted" in result.stdout) == (2, False)
