"""Labels and annotations of an agent's pods: those that all policies name, and never what leads pods."""

from typing import Any

import pytest

from ringfence.api.marks import PLAIN, leads
from ringfence.resources import build
from ringfence.resources.workload import DEFAULT_CONTAINER
from unit.policy.make import judge, places
from unit.resources.agents import make

IMAGE = "registry.example/a@sha256:" + "0" * 64
TEAM = {"pods": {"labels": [{"key": "team"}], "annotations": ["example.com/contact"]}}
RED = {"pods": {"labels": [{"key": "team", "value": "red"}]}}
LABEL = {("MarkAbovePolicy", "spec.podLabels")}
ANNOTATION = {("MarkAbovePolicy", "spec.podAnnotations")}


@pytest.mark.parametrize(
    ("spec", "policies", "found"),
    [
        ({"podLabels": {"team": "red"}}, [], LABEL),
        ({"podLabels": {"team": "red"}}, [{}], LABEL),
        ({"podLabels": {"team": "red"}}, [TEAM], set()),
        ({"podLabels": {"team": "red"}}, [RED], set()),
        ({"podLabels": {"team": "blue"}}, [RED], LABEL),
        ({"podLabels": {"team": "red"}}, [TEAM, RED], set()),
        ({"podLabels": {"team": "blue"}}, [TEAM, RED], LABEL),
        ({"podLabels": {"team": "red", "app": "web"}}, [TEAM], LABEL),
        ({"podLabels": {"Team": "red"}}, [TEAM], LABEL),
        ({"podAnnotations": {"example.com/contact": "x"}}, [], ANNOTATION),
        ({"podAnnotations": {"example.com/contact": "x"}}, [TEAM], set()),
        ({"podAnnotations": {"example.com/contact": "x"}}, [TEAM, RED], ANNOTATION),
        ({"podAnnotations": {"team": "x"}}, [TEAM], ANNOTATION),
        ({"podLabels": {"example.com/contact": "x"}}, [TEAM], LABEL),
    ],
)
def test_every_policy_must_name_it(spec: dict[str, Any], policies: list[dict[str, Any]], found: set[Any]) -> None:
    assert places(judge(spec, *policies)) == found


LEADING = [
    *("ringfence.dev/agent", "ringfence.dev/rotation", "x.ringfence.dev/a", "app.kubernetes.io/managed-by"),
    *("kubernetes.io/x", "pod-security.kubernetes.io/enforce", "container.seccomp.security.alpha.kubernetes.io/agent"),
    *("container.apparmor.security.beta.kubernetes.io/agent", "cluster-autoscaler.kubernetes.io/safe-to-evict"),
    *("pod-template-hash", "controller-revision-hash", "job-name", "batch.kubernetes.io/job-name", "k8s-app"),
    *("sidecar.istio.io/inject", "traffic.sidecar.istio.io/excludeOutboundPorts", "ambient.istio.io/redirection"),
    *("linkerd.io/inject", "config.linkerd.io/skip-outbound-ports", "kuma.io/sidecar-injection"),
    *("consul.hashicorp.com/connect-inject", "vault.hashicorp.com/agent-inject", "dapr.io/enabled"),
    *("k8s.v1.cni.cncf.io/networks", "v1.multus-cni.io.cncf.io/default-network", "cni.projectcalico.org/ipAddrs"),
    *("io.cilium/no-track-port", "policy.cilium.io/proxy-visibility", "io.cilium.proxy-visibility"),
    *("k8s.ovn.org/pod-networks", "io.kubernetes.cri-o.Devices", "io.katacontainers.config.hypervisor.path"),
    *("dev.gvisor.spec.mount.a.source", "karpenter.sh/do-not-disrupt", "azure.workload.identity/use"),
    *("gke.io/x", "networking.gke.io/x", "instrumentation.opentelemetry.io/inject-python"),
]


@pytest.mark.parametrize("key", LEADING)
def test_no_policy_allows_what_leads_pods(key: str) -> None:
    assert leads(key)
    for field in ("podLabels", "podAnnotations"):
        assert ("InvalidField", f"spec.{field}") in places(judge({field: {key: "x"}}, TEAM))


@pytest.mark.parametrize(
    "key", [*PLAIN, "team", "example.com/team", "notkubernetes.io/x", "mykuma.io/x", "example.com/pod-template-hash"]
)
def test_what_describes_is_left_to_the_policy(key: str) -> None:
    assert not leads(key)
    assert places(judge({"podLabels": {key: "x"}}, {"pods": {"labels": [{"key": key}]}})) == set()


def test_a_secret_in_an_annotation_is_refused() -> None:
    policy = {"pods": {"annotations": ["example.com/token", "a"]}}
    for key, value in (("example.com/token", "k9Xw2LmQ8rTz"), ("a", "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8")):
        found = judge({"podAnnotations": {key: value}}, policy)
        assert places(found) == {("SecretInPlainText", "spec.podAnnotations")}
        assert value not in found[0].message


def test_they_are_on_the_pods_and_never_in_place_of_ours() -> None:
    spec = {"image": IMAGE, "podLabels": {"team": "red"}, "podAnnotations": {"example.com/contact": "x"}}
    workload = build(make({"spec": spec}))[-1]
    ours = {"app.kubernetes.io/managed-by": "ringfence", "ringfence.dev/agent": "a"}
    assert workload["spec"]["template"]["metadata"]["labels"] == ours | {"team": "red"}
    assert workload["spec"]["template"]["metadata"]["annotations"] == {
        "example.com/contact": "x",
        DEFAULT_CONTAINER: "agent",
    }
    assert workload["spec"]["selector"]["matchLabels"] == {"ringfence.dev/agent": "a"}
    assert workload["metadata"]["labels"] == ours
    other = build(make({"spec": spec | {"podAnnotations": {"example.com/contact": "y"}}}))[-1]
    mark = "ringfence.dev/desired"
    assert workload["metadata"]["annotations"][mark] != other["metadata"]["annotations"][mark], "a change is written"
