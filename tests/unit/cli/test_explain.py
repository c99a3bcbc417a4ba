"""`ringfence explain`: what is in force, what is hidden, and what happened, on one screen."""

import json
from typing import Any

import pytest

from ringfence.api.names import API_VERSION
from ringfence.kube import path_of
from ringfence.policy.builtin import RESTRICTED
from unit.cli.fake import NAMESPACE, SECRETS, Cluster, condition
from unit.policy.signing import asking

SPEC = {
    "permissions": {"level": "ReadOnly", "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]},
    "ports": [{"name": "panel", "port": 18789}],
    "network": {
        "egress": [{"service": {"name": "search", "namespace": "tools", "port": 8443}}],
        "ingress": [{"from": {"podLabels": {"app": "console"}}, "port": "panel"}],
    },
    "secrets": SECRETS,
}
STATUS = {
    "effectiveEgress": ["tools/search:8443", "DNS at kube-system/k8s-app=kube-dns"],
    "effectivePermissions": ["get configmaps"],
    "secrets": [
        {"name": "panel", "lastRotated": "2026-04-30T12:00:00Z", "nextRotation": "2026-05-30T12:00:00Z"},
        {"name": "token", "lastRotated": "2026-04-30T09:00:00Z", "nextRotation": "2026-05-01T09:00:00Z"},
        {"name": "model", "lastRotated": "2026-04-01T12:00:00Z"},
    ],
}
ALLOW = {
    "metadata": {"name": "ringfence-researcher-allow", "namespace": NAMESPACE},
    "spec": {
        "egress": [{"to": [], "ports": [{"port": 53, "protocol": "UDP"}]}],
        "ingress": [
            {
                "from": [
                    {
                        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ops"}},
                        "podSelector": {"matchLabels": {"app": "console"}},
                    }
                ],
                "ports": [{"port": 18789, "protocol": "TCP"}],
            }
        ],
    },
}


def event(name: str, message: str, **fields: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": NAMESPACE},
        "involvedObject": {"kind": "AgentDeployment", "name": "researcher"},
        "type": "Warning",
        "reason": "DriftRepaired",
        "message": message,
        **fields,
    }


@pytest.fixture
def full(kube: Cluster) -> Cluster:
    """A cluster where everything may be seen."""
    kube.put_agent(spec=SPEC, status=STATUS, conditions=[condition("Ready"), condition("Accepted", reason="Accepted")])
    kube.put_namespace()
    kube.put("networking.k8s.io/v1", "networkpolicies", ALLOW)
    kube.put("v1", "events", event("a", "Role x was edited and is put right", eventTime="2026-05-01T11:58:00.123456Z"))
    kube.put("v1", "events", event("b", "Role x was edited and is put right", lastTimestamp="2026-05-01T11:50:00Z"))
    kube.put("v1", "events", event("c", "older", eventTime="2026-05-01T11:00:00Z", series={"count": 3}))
    theirs = {"kind": "AgentDeployment", "name": "librarian"}
    other_fields: tuple[dict[str, Any], ...] = ({"involvedObject": theirs}, {"type": "Normal"})
    for number, fields in enumerate(other_fields):
        kube.put("v1", "events", event(f"no-{number}", "not to be told", eventTime="2026-05-01T11:59:00Z", **fields))
    policy: dict[str, Any] = {"metadata": {"name": "open"}, "spec": {"egress": {"serviceNamespaces": ["tools"]}}}
    policy["spec"] |= asking("-----BEGIN PUBLIC KEY-----\n" + "A" * 64 + "\n-----END PUBLIC KEY-----\n")
    kube.put(API_VERSION, "agentpolicies", policy)
    other = {"metadata": {"name": "others"}, "spec": {"namespaceSelector": {"matchLabels": {"team": "x"}}}}
    kube.put(API_VERSION, "agentpolicies", other)
    return kube


def sections(text: str) -> dict[str, list[str]]:
    """Title -> its lines."""
    found: dict[str, list[str]] = {}
    for block in text.split("\n\n"):
        title, *lines = block.splitlines()
        found[title] = [line.strip() for line in lines]
    return found


def test_one_screen_tells_it_all(full: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    result = full.run(monkeypatch, "explain", "researcher")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) <= 43
    said = sections(result.stdout)
    assert said["research/researcher: ready since 60m"][0].endswith("1/1 pods ready, made 3d ago")
    assert said["May reach"] == [
        "tools/search:8443",
        "the API server, for the rights below",
        "DNS, at the cluster's own DNS pods only",
    ]
    assert said["May be reached by"] == ["pods of ops with app=console on port 18789"]
    assert said["May do (level ReadOnly)"] == ["get configmaps"]
    assert [line.split()[0] for line in said["Secrets"]] == ["NAME", "panel", "token", "model"]
    assert said["Secrets"][1].endswith("in 29d")
    assert said["Secrets"][2].endswith("3h late")
    assert "Secret model-key" in said["Secrets"][3]
    assert said["Secrets"][3].endswith("not by Ringfence")
    assert said["Conditions"] == [
        "Ready is True since 60m: Ready",
        "all is well",
        "Accepted is True since 60m: Accepted",
        "all is well",
    ]
    assert said["Violations lately"] == [
        "119s ago (2 times): DriftRepaired: Role x was edited and is put right",
        "60m ago (3 times): DriftRepaired: older",
    ]
    (policy,) = said["Policies that bind it"]
    assert policy.startswith("open: level up to ReadOnly; ")
    assert "Services of tools" in policy
    assert "images signed by k0" in policy


def test_json_says_the_same(full: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    found = json.loads(full.run(monkeypatch, "explain", "researcher", "-o", "json").stdout)
    assert found["egress"] == {"destinations": ["tools/search:8443"], "hosts": [], "dns": True, "apiServer": True}
    assert found["ingress"] == {
        "observed": True,
        "callers": [{"namespace": "ops", "podLabels": {"app": "console"}, "port": 18789}],
    }
    assert [one["delivery"] for one in found["secrets"]] == ["/var/run/ringfence/panel", "$TOKEN", "$MODEL_KEY"]
    assert [one["count"] for one in found["violations"]] == [2, 3]
    assert [one["name"] for one in found["policies"]] == ["open"]
    assert found["ready"] is True


def test_what_may_not_be_seen_is_said_to_be_hidden(full: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (
        path_of("v1", "namespaces", name=NAMESPACE),
        path_of("v1", "events", NAMESPACE),
        path_of(API_VERSION, "agentpolicies"),
        path_of("networking.k8s.io/v1", "networkpolicies", NAMESPACE, "ringfence-researcher-allow"),
    ):
        full.answer(403, path=path)
    result = full.run(monkeypatch, "explain", "researcher")
    assert result.exit_code == 0
    said = sections(result.stdout)
    assert said["May be reached by"] == [
        "pods of research with app=console on port 18789 (as the spec asks; the NetworkPolicy cannot be seen)"
    ]
    assert "DNS, at the cluster's own DNS pods only" in said["May reach"]
    assert said["Violations lately"][0].startswith("hidden")
    assert said["Policies that bind it"][0].startswith("hidden")


def test_an_agent_that_has_nothing_is_told_so(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    kube.put_agent()
    kube.put_namespace({})
    said = sections(kube.run(monkeypatch, "explain", "researcher").stdout)
    assert said["May reach"] == ["nothing, not even DNS"]
    assert said["May be reached by"][0].startswith("nobody but the kubelet's probes")
    assert said["May do (level ReadOnly)"] == ["nothing on the Kubernetes API; it has no token"]
    assert said["Secrets"] == ["none"]
    assert said["Violations lately"] == ["none (the cluster keeps Events for about an hour)"]
    assert said["Policies that bind it"][0].startswith(RESTRICTED.name)
    assert "not open to agents" in said["Policies that bind it"][1]


def test_that_no_label_opens_the_namespace_where_ringfence_runs_is_told(
    kube: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    kube.put_agent()
    kube.put_namespace()
    said = sections(kube.run(monkeypatch, "explain", "researcher", "--lease", f"{NAMESPACE}/x").stdout)
    assert "holds Ringfence's own pods and is closed to agents" in said["Policies that bind it"][1]
    assert len(sections(kube.run(monkeypatch, "explain", "researcher").stdout)["Policies that bind it"]) == 1


def test_a_refused_change_does_not_hide_what_is_still_in_force(full: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = [
        condition("Ready", "False", "Refused", "spec.image: no"),
        condition("Accepted", "False", "Refused", "a\nb"),
    ]
    full.put_agent(spec=SPEC, status=STATUS | {"observedGeneration": 3}, conditions=refused, generation=3)
    result = full.run(monkeypatch, "explain", "researcher")
    assert result.exit_code == 1
    said = sections(result.stdout)
    assert said["research/researcher: not ready since 60m"][1:] == [
        "waits for Refused: spec.image: no",
        "The newest spec is not in force (yet): what follows is that of generation 2.",
    ]
    assert said["Conditions"][2:] == ["Accepted is False since 60m: Refused", "a", "b"]
    full.put_agent(conditions=refused, status={"acceptedGeneration": None})
    assert "No spec of it was accepted so far" in full.run(monkeypatch, "explain", "researcher").stdout


def test_a_policy_that_cannot_be_read_is_not_passed_over(full: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    full.put(API_VERSION, "agentpolicies", {"metadata": {"name": "newer"}, "spec": {"unheard": 1}})
    said = sections(full.run(monkeypatch, "explain", "researcher").stdout)
    assert "newer: cannot be read by this version" in said["Policies that bind it"]


def test_it_binds_all_the_same_and_the_built_in_does_not(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the controller has it: it allows nothing until it is fixed."""
    kube.put_agent()
    kube.put_namespace()
    kube.put(API_VERSION, "agentpolicies", {"metadata": {"name": "newer"}, "spec": {"unheard": 1}})
    said = sections(kube.run(monkeypatch, "explain", "researcher").stdout)
    assert "newer: cannot be read by this version" in said["Policies that bind it"]
    assert "built-in" not in str(said["Policies that bind it"])


def test_several_policies_are_shown_together(full: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Together they allow" not in sections(full.run(monkeypatch, "explain", "researcher").stdout)
    strict = {"egress": {"serviceNamespaces": []}, "secrets": {"maxAge": "24h"}, "limits": {"agents": 3}}
    full.put(API_VERSION, "agentpolicies", {"metadata": {"name": "strict"}, "spec": strict})
    full.put(API_VERSION, "agentpolicies", {"metadata": {"name": "newer"}, "spec": {"unheard": 1}})
    said = sections(full.run(monkeypatch, "explain", "researcher").stdout)["Together they allow"]
    for line in (
        "egress.serviceNamespaces: its own alone (by newer, strict)",
        "secrets.maxAge: 24h (by strict)",
        "limits.agents: 3 (by strict)",
        "images.registries: none (by newer)",
        "images.requireDigest: true (by newer, open, strict)",
    ):
        assert line in said
    found = json.loads(full.run(monkeypatch, "explain", "researcher", "-o", "json").stdout)["together"]
    assert {"field": "images.registries", "value": "none", "narrowedBy": ["newer"]} in found


def test_exit_codes(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kube.run(monkeypatch, "explain", "nobody").exit_code == 1
    kube.put_agent()
    kube.answer(500, path=path_of("v1", "events", NAMESPACE))
    assert kube.run(monkeypatch, "explain", "researcher").exit_code == 2
