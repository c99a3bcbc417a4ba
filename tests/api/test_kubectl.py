"""What a person sees: `kubectl explain`, `kubectl get`, short names, the status subresource."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.fields import all_fields
from api.parity import KINDS
from api.samples import agent, policy
from api.server import Server
from cluster import Cluster, CommandFailed
from ringfence.api.schema import custom_resource_definition, walk
from ringfence.api.status import AgentStatus, Condition

SHORT = {"AgentDeployment": "agd", "AgentPolicy": "agp"}
OBJECTS = [
    (kind, path, node)
    for kind, (model, _) in KINDS.items()
    for path, node in walk(custom_resource_definition(model)["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    if node.get("properties") or node.get("items", {}).get("properties")
]
"""Everything that has fields of its own; an object inside of a list shows under the list's name."""


@pytest.mark.parametrize(
    ("kind", "path", "node"),
    [pytest.param(*item, id=f"{item[0]}{item[1]}") for item in OBJECTS if not item[1].endswith("[]")],
)
def test_explain_describes_every_field(cluster: Cluster, kind: str, path: str, node: dict[str, Any]) -> None:
    shown = words(cluster.kubectl("explain", f"{SHORT[kind]}{path.replace('[]', '')}"))
    assert words(node["description"]) in shown
    fields = node.get("properties", node.get("items", {}).get("properties", {}))
    for name in fields.keys() - {"apiVersion", "kind", "metadata"}:  # those have Kubernetes' own words
        assert f" {name} <" in shown
        assert words(fields[name]["description"]) in shown, f"{name} has no description"


def words(text: str) -> str:
    """Text without line breaks: kubectl folds descriptions."""
    return " ".join(text.split()).replace("\t", " ")


def test_explain_reads_like_documentation(cluster: Cluster) -> None:
    shown = words(cluster.kubectl("explain", "agd.spec.network.egress"))
    assert "What the agent may reach. Empty: nothing, not even DNS." in shown
    assert "Metadata addresses, nodes, pods, Services and the API server are never reachable this way" in shown
    level = words(cluster.kubectl("explain", "agd.spec.permissions.level"))
    assert "ReadOnly < LimitedWrite < Admin < Critical" in level
    assert "ENUM: ReadOnly LimitedWrite Admin Critical" in level


def test_each_description_ends_and_says_something() -> None:
    short = [
        f"{kind}{path}"
        for kind, path, node in all_fields()
        if path[-1] not in "]}" and not (len(node["description"]) > 12 and node["description"][-1] in ".:?")
    ]
    assert short == []


STATUS = AgentStatus(
    observed_generation=1,
    conditions=[
        Condition(
            type="Ready",
            status="True",
            observed_generation=1,
            last_transition_time="2025-01-01T00:00:00Z",
            reason="Ready",
            message="The fence is in place and 1 of 1 pods run.",
        )
    ],
    effective_egress=["203.0.113.0/28:443"],
    effective_permissions=["get configmaps"],
    ready_replicas=1,
)


def test_get_tells_the_story_in_one_line(cluster: Cluster, server: Server) -> None:
    assert server.create(agent("story"), kind="AgentDeployment", dry_run=False).ok
    try:
        patch = json.dumps({"status": STATUS.manifest()})
        cluster.kubectl("patch", "agd", "story", "--subresource=status", "--type=merge", "-p", patch)
        header, line = cluster.kubectl("get", "agd").splitlines()
        assert header.split() == ["NAME", "READY", "REASON", "PODS", "LEVEL", "SECRETS", "AGE"]
        assert line.split()[:5] == ["story", "True", "Ready", "1", "ReadOnly"]
        wide = cluster.kubectl("get", "agds", "-o", "wide")
        assert wide.splitlines()[0].split() == [
            *("NAME", "READY", "REASON", "PODS", "LEVEL", "SECRETS", "SCHEDULE", "LAST", "RUN", "EGRESS", "RIGHTS"),
            *("MESSAGE", "AGE"),
        ]
        assert "203.0.113.0/28:443" in wide
        assert "The fence is in place" in wide
        assert "agentdeployment.ringfence.dev/story" in cluster.kubectl("get", "ringfence", "-o", "name")
    finally:
        server.delete("AgentDeployment", "story")


def test_get_shows_a_policy_in_one_line(cluster: Cluster, server: Server) -> None:
    manifest = policy("story", egress={"cidrs": ["203.0.113.0/24"]})
    assert server.create(manifest, kind="AgentPolicy", dry_run=False).ok
    try:
        header, line = cluster.kubectl("get", "agp").splitlines()
        assert header.split() == ["NAME", "MAX-LEVEL", "CIDRS", "AGE"]
        assert line.split()[:3] == ["story", "ReadOnly", '["203.0.113.0/24"]']
        assert "agentpolicy.ringfence.dev/story" in cluster.kubectl("get", "ringfence", "-o", "name")
    finally:
        server.delete("AgentPolicy", "story")


def test_status_is_written_apart_from_spec(cluster: Cluster, server: Server) -> None:
    created = server.create({**agent("apart"), "status": STATUS.manifest()}, kind="AgentDeployment", dry_run=False)
    try:
        assert created.ok
        assert "status" not in created.body, "whoever may create an agent could also claim that it is fenced"
        cluster.kubectl("patch", "agd", "apart", "--type=merge", "-p", json.dumps({"status": STATUS.manifest()}))
        assert "status" not in cluster.get("agd", "apart")
        patch = json.dumps({"status": STATUS.manifest(), "spec": {"replicas": 7}})
        cluster.kubectl("patch", "agd", "apart", "--subresource=status", "--type=merge", "-p", patch)
        stored = cluster.get("agd", "apart")
        assert stored["spec"]["replicas"] == 1
        assert stored["status"] == STATUS.manifest()
    finally:
        server.delete("AgentDeployment", "apart")


def test_a_policys_status_is_not_the_authors(server: Server) -> None:
    """It is a subresource: what a create says of it is dropped, and nothing but the known fields is taken at all."""
    answer = server.create({**policy(), "status": {"boundAgents": 7}}, kind="AgentPolicy")
    assert answer.ok, answer
    assert "status" not in answer.body
    answer = server.create({**policy(), "status": {"bound": 7}}, kind="AgentPolicy")
    assert answer.code == 400
    assert 'unknown field "status.bound"' in answer.message


@pytest.mark.parametrize("kind", ["agd", "agp"])
def test_the_crds_have_no_complaints(cluster: Cluster, kind: str) -> None:
    name = {"agd": "agentdeployments", "agp": "agentpolicies"}[kind]
    conditions = cluster.get("crd", f"{name}.ringfence.dev")["status"]["conditions"]
    assert {item["type"]: item["status"] for item in conditions} == {"NamesAccepted": "True", "Established": "True"}


def test_applying_the_crds_again_changes_nothing(cluster: Cluster) -> None:
    folder = str(Path(__file__).parents[2] / "crds")
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", folder)
    for name in ("agentdeployments", "agentpolicies"):
        assert cluster.get("crd", f"{name}.ringfence.dev")["metadata"]["generation"] == 1


def test_an_update_is_held_to_the_same_schema(cluster: Cluster, server: Server) -> None:
    assert server.create(agent("update"), kind="AgentDeployment", dry_run=False).ok
    try:
        for spec in ({"replicas": 101}, {"image": None}, {"network": {"egress": [{"cidr": "::/00", "ports": [1]}]}}):
            with pytest.raises(CommandFailed):
                cluster.kubectl("patch", "agd", "update", "--type=merge", "-p", json.dumps({"spec": spec}))
        # `kubectl patch` asks for no strictness: an unknown field is dropped, and so never means anything.
        cluster.kubectl("patch", "agd", "update", "--type=merge", "-p", '{"spec": {"hostNetwork": true}}')
        assert "hostNetwork" not in cluster.get("agd", "update")["spec"]
        assert cluster.get("agd", "update")["metadata"]["generation"] == 1
    finally:
        server.delete("AgentDeployment", "update")


def test_registries_are_replaced_by_whoever_applies_next(cluster: Cluster) -> None:
    """Nobody owns what is there by default: in a set "*" would stay, and a policy made stricter would not be."""
    applied = policy(name="loose", namespaceSelector={"matchLabels": {"never": "met"}})
    cluster.kubectl("apply", "--server-side", "--field-manager=first", "-f", "-", stdin=json.dumps(applied))
    try:
        assert cluster.get("agp", "loose")["spec"]["images"]["registries"] == ["*"]
        applied = policy(name="loose", images={"registries": ["registry.example/acme"]})
        cluster.kubectl("apply", "--server-side", "--field-manager=second", "-f", "-", stdin=json.dumps(applied))
        assert cluster.get("agp", "loose")["spec"]["images"]["registries"] == ["registry.example/acme"]
    finally:
        cluster.kubectl("delete", "agp", "loose")
