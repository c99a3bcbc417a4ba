"""The floor: what the API server refuses by itself, our webhook's registration edited or gone (S-a, B37 to B39)."""

import json
import random
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from itertools import pairwise, product
from typing import Any
from uuid import uuid4

import pytest

from api.server import Answer, Server
from chart.conftest import OPENED
from chart.rendering import NAMESPACE, of_kind
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.api.names import AGENTS_LABEL
from ringfence.api.permissions import Permissions
from ringfence.policy.addresses import Addresses
from ringfence.policy.atoms import Atom
from ringfence.policy.levels import ATOMS, LEVELS, role_rules
from ringfence.policy.metadata import METADATA
from ringfence.policy.permissions import check_permissions
from ringfence.policy.special import LINK_LOCAL

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
REGISTRATION = f"{CONFIGURATIONS}/ringfence"
BINDING = (
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/ringfence-needs-its-webhook-configuration"
)


def say(server: Server, method: str, path: str, body: Any = None) -> dict[str, Any]:
    answer = server.request(method, path, json.dumps(body).encode() if body else b"")
    assert answer.ok, answer.message
    return answer.body


@pytest.fixture
def registration(installed: Cluster, server: Server) -> Iterator[dict[str, Any]]:
    """The webhook's registration, put back afterwards."""
    found = say(server, "GET", REGISTRATION)
    current = json.loads(json.dumps(found))
    for key in ("resourceVersion", "uid", "managedFields", "creationTimestamp", "generation"):
        found["metadata"].pop(key, None)
    yield current
    server.request("DELETE", REGISTRATION)
    say(server, "POST", CONFIGURATIONS, found)
    wait_for("the webhook", lambda: "failed calling" in answer(server, agent()))


def agent(**spec: Any) -> dict[str, Any]:
    image = f"example.test/agent@sha256:{'0' * 64}"
    head = {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentDeployment", "metadata": {"name": "probe"}}
    return head | {"spec": {"image": image} | spec}


def answer(server: Server, manifest: dict[str, Any], namespace: str = OPENED) -> str:
    """What the API server says to a (dry-run) creation: empty when it would do it."""
    path = f"/apis/ringfence.dev/v1alpha1/namespaces/{namespace}/agentdeployments?dryRun=All&fieldValidation=Strict"
    given = server.request("POST", path, json.dumps(manifest).encode())
    return "" if given.ok else given.message


WORST = {
    "everything": {"egress": [{"cidr": "0.0.0.0/0", "ports": [443]}]},
    "everything by IPv6": {"egress": [{"cidr": "::/0", "ports": [443]}]},
    "half of everything": {"egress": [{"cidr": "128.0.0.0/1", "ports": [443]}]},
    "global unicast": {"egress": [{"cidr": "2000::/3", "ports": [443]}]},
    "metadata": {"egress": [{"cidr": "169.254.169.254/32", "ports": [80]}]},
    "metadata in a network": {"egress": [{"cidr": "169.254.0.0/16", "ports": [80]}]},
    "metadata of another cloud": {"egress": [{"cidr": "100.100.0.0/16", "ports": [80]}]},
    "a part of link-local": {"egress": [{"cidr": "169.254.7.0/24", "ports": [80]}]},
    "a part of link-local by IPv6": {"egress": [{"cidr": "fe80::7:0/112", "ports": [80]}]},
    "metadata by IPv6": {"egress": [{"cidr": "fd00:ec2::/32", "ports": [80]}]},
    "second of two": {"egress": [{"cidr": "192.0.2.0/24", "ports": [443]}, {"cidr": "0.0.0.0/0", "ports": [443]}]},
}
RIGHTS = {
    "verbs": {"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]},
    "resources": {"apiGroups": [""], "resources": ["*"], "verbs": ["get"]},
    "groups": {"apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"]},
    "subresources": {"apiGroups": [""], "resources": ["pods/*"], "verbs": ["get"]},
    "escalate": {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["escalate"]},
    "bind": {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["bind"]},
    "impersonate": {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]},
}


MIXED = {
    "apiGroups": ["", "", "", "apps", "batch", "coordination.k8s.io", "rbac.authorization.k8s.io"],
    "resources": ["pods", "pods", "configmaps", "configmaps", "pods/log", "pods/exec", "secrets", "deployments",
                  "deployments/scale", "jobs", "leases", "roles"],
    "verbs": ["get", "get", "get", "list", "create", "update", "delete", "deletecollection"],
}  # fmt: skip
"""What is common more than once: half of the mixtures would else be of nothing that there is."""


def test_the_floor_and_the_webhook_know_the_same_metadata_addresses() -> None:
    """The floor's list is in CEL: it is read out of the chart as helm makes it."""
    floor = of_kind("ValidatingAdmissionPolicy")["ringfence-floor"]["spec"]["validations"]
    (expression,) = (one["expression"] for one in floor if "containsCIDR" in one["expression"])
    listed = Addresses.of(*re.findall(r"'([0-9a-f.:]+/[0-9]+)'", expression))
    assert listed == METADATA | LINK_LOCAL


Edit = Callable[[dict[str, Any]], None]


def _switched_off(webhook: dict[str, Any]) -> None:
    webhook["failurePolicy"] = "Ignore"


EDITS: dict[str, Edit] = {
    "Ignore": _switched_off,
    "objectSelector": lambda w: w.update(objectSelector={"matchLabels": {"never": "there"}}),
    "namespaceSelector": lambda w: w["namespaceSelector"]["matchExpressions"][0]["values"].append(OPENED),
    "namespaceSelector by label": lambda w: w["namespaceSelector"].update(matchLabels={"never": "there"}),
    "matchConditions": lambda w: w.update(matchConditions=[{"name": "never", "expression": "false"}]),
    "rules": lambda w: w["rules"][0].update(operations=["UPDATE"]),
    "service": lambda w: w["clientConfig"]["service"].update(name="another"),
}


@pytest.fixture(params=EDITS)
def edited(request: pytest.FixtureRequest, server: Server, registration: dict[str, Any]) -> None:
    """The registration with one edit that takes the webhook out of the way, however that is done."""
    edit(server, registration, request.param)


@pytest.fixture
def alone(server: Server, registration: dict[str, Any]) -> None:
    """The floor alone, by one of these."""
    edit(server, registration, "Ignore")


def edit(server: Server, registration: dict[str, Any], which: str) -> None:
    EDITS[which](registration["webhooks"][0])
    # Where the edit leaves the webhook to be called (and nothing answers), a failure is let by, to see the floor alone.
    if which == "service":
        _switched_off(registration["webhooks"][0])
    say(server, "PUT", REGISTRATION, registration)
    wait_for("the edit to count", lambda: answer(server, agent()) == "")
    # The floor reads the registration by a watch of its own, which may lag behind the webhook's by a moment.
    wait_for("the floor to see it", lambda: answer(server, agent(network=WORST["everything"])) != "")


def test_while_the_webhook_is_registered_it_is_asked(installed: Cluster, server: Server) -> None:
    said = answer(server, agent(network=WORST["everything"]))
    assert 'failed calling webhook "admission.ringfence.dev"' in said  # nothing runs here: refused all the same


def test_the_worst_is_refused_with_the_webhook_out_of_the_way(edited: None, server: Server) -> None:
    for what, network in WORST.items():
        said = answer(server, agent(network=network))
        assert "ValidatingAdmissionPolicy 'ringfence-floor'" in said, f"{what}: {said}"
    for what, rule in RIGHTS.items():
        said = answer(server, agent(permissions={"level": "Critical", "rules": [rule]}))
        assert "ringfence-floor" in said or "is invalid" in said, f"{what}: {said}"
    said = answer(server, agent(), namespace="default")
    assert "kubectl label namespace default ringfence.dev/agents=enabled" in said


def test_a_modest_agent_passes_the_floor(edited: None, server: Server) -> None:
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}
    network = {"egress": [{"cidr": "203.0.113.0/28", "ports": [443]}]}
    assert answer(server, agent(network=network, permissions={"level": "ReadOnly", "rules": [rule]})) == ""


@pytest.fixture
def stored(server: Server, registration: dict[str, Any]) -> Iterator[str]:
    """The path of an agent that the floor would refuse, stored while it was away; then the floor alone."""
    edit(server, registration, "Ignore")
    name = f"stored-{uuid4().hex[:8]}"  # where the floor holds what it should let go, another one is not in the way
    binding = say(server, "GET", BINDING)
    for key in ("resourceVersion", "uid", "managedFields", "creationTimestamp", "generation"):
        binding["metadata"].pop(key, None)
    worst = agent(network=WORST["everything"])
    say(server, "DELETE", BINDING)
    try:
        wait_for("the floor to be away", lambda: answer(server, worst) == "")
        worst["metadata"] |= {"name": name, "finalizers": ["example.com/hold"], "labels": {"a": "b"}}
        say(server, "POST", f"/apis/ringfence.dev/v1alpha1/namespaces/{OPENED}/agentdeployments", worst)
    finally:
        say(server, "POST", BINDING.rpartition("/")[0], binding)
    wait_for("the floor", lambda: answer(server, agent(network=WORST["everything"])) != "")
    path = f"/apis/ringfence.dev/v1alpha1/namespaces/{OPENED}/agentdeployments/{name}"
    yield path
    if server.request("GET", path).ok:
        free = b'{"metadata": {"finalizers": null}}'
        server.request("PATCH", path, free, "application/merge-patch+json")
        server.request("DELETE", path)


def test_what_leaves_the_spec_alone_passes(server: Server, stored: str) -> None:
    """Else nobody could take a finalizer off, and the agent would stay for ever."""

    def patch(body: dict[str, Any]) -> Answer:
        return server.request("PATCH", stored, json.dumps(body).encode(), "application/merge-patch+json")

    assert patch({"metadata": {"labels": {"a": None}}}).ok
    assert "ringfence-floor" in patch({"spec": {"replicas": 2}}).message
    say(server, "DELETE", stored)
    assert "ringfence-floor" in patch({"spec": {"suspended": True}}).message, "it is there still, held by its finalizer"
    assert patch({"metadata": {"finalizers": None}}).ok
    assert server.request("GET", stored).code == HTTPStatus.NOT_FOUND


def beyond(server: Server, rules: list[dict[str, list[str]]], level: str) -> bool:
    """Whether the floor says that this is more than an agent of the level can be given; else it passes."""
    said = answer(server, agent(permissions={"level": level, "rules": rules}))
    assert said == "" or "what the level does not give to any agent" in said, said
    return said != ""


def test_every_permission_passes_at_its_level_and_is_refused_below(alone: None, server: Server) -> None:
    for level in LEVELS:
        assert not beyond(server, role_rules(ATOMS[level]), level), level
    for lower, higher in pairwise(LEVELS):
        for atom in sorted(ATOMS[higher] - ATOMS[lower]):
            assert beyond(server, role_rules([atom]), lower), f"{atom} at {lower}"


def test_the_floor_and_decide_agree_on_any_mixture(alone: None, server: Server) -> None:
    """Against the plain reading of RBAC: the product of the words, nothing left out. The seed is fixed: no luck."""
    choose = random.Random(9)
    seen = set()
    for _ in range(400):
        rules = [
            {field: choose.sample(words, choose.randint(1, 2)) for field, words in MIXED.items()}
            for _ in range(choose.randint(1, 3))
        ]
        level = choose.choice(LEVELS)
        asked = {Atom(*words) for one in rules for words in product(one["apiGroups"], one["resources"], one["verbs"])}
        within = asked <= ATOMS[level]
        assert beyond(server, rules, level) is not within, (level, rules)
        permissions = Permissions.model_validate({"level": level, "rules": rules})
        assert (list(check_permissions(permissions, [], "team")) == []) == within, (level, rules)
        seen.add(within)
    assert seen == {True, False}


def test_as_much_as_a_spec_can_hold_is_decided_within_the_api_servers_patience(alone: None, server: Server) -> None:
    reads = [atom for atom in ATOMS["ReadOnly"] if atom.group == "" and atom.resource != "pods/log"]
    every = {
        "apiGroups": [""],
        "resources": sorted({atom.resource for atom in reads}),
        "verbs": ["get", "list", "watch"],
    }
    assert not beyond(server, [every] * 32, "Critical")
    assert beyond(server, [*[every] * 31, every | {"resources": ["secrets"]}], "Critical")


def test_without_a_registration_nothing_is_admitted(server: Server, registration: dict[str, Any]) -> None:
    say(server, "DELETE", REGISTRATION)
    wait_for("the deletion to count", lambda: "failed calling" not in answer(server, agent()))
    for manifest in (agent(), agent(network=WORST["everything"])):
        assert "ringfence-needs-its-webhook-configuration" in answer(server, manifest)


@pytest.mark.parametrize("namespace", ["kube-system", NAMESPACE])
def test_the_floor_looks_where_the_webhook_does_not(installed: Cluster, server: Server, namespace: str) -> None:
    """And no label opens it, where the guard of the label is away."""
    assert "is closed to agents, whatever its labels say" in answer(server, agent(), namespace=namespace)
    installed.kubectl("delete", "validatingadmissionpolicybinding", "ringfence-guard-closed", "--ignore-not-found")
    wait_for("no guard", lambda: installed.kubectl("label", "namespace", namespace, f"{AGENTS_LABEL}=enabled"))
    try:
        assert "is closed to agents, whatever its labels say" in answer(server, agent(), namespace=namespace)
    finally:
        installed.kubectl("label", "namespace", namespace, f"{AGENTS_LABEL}-")
