"""What an agent becomes: pairs of YAML files, and what holds for every one of them."""

import os
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ringfence.api.fields import DNS_LABEL
from ringfence.resources import Agent, Identity, ServicePort, build, build_deny
from ringfence.resources.model import child_name
from ringfence.resources.network import effective_egress, leads, missing_services
from ringfence.resources.permissions import effective_permissions
from ringfence.resources.phases import PHASES
from unit.resources.agents import DATA, NAMES, read

ORDER = [
    ("NetworkPolicy", "ringfence-a-deny"),
    ("NetworkPolicy", "ringfence-a-allow"),
    ("ServiceAccount", "ringfence-a"),
    ("Role", "ringfence-a"),
    ("RoleBinding", "ringfence-a"),
    ("PersistentVolumeClaim", "ringfence-a"),
    ("Service", "ringfence-a"),
    ("Deployment", "ringfence-a"),
]
names = st.from_regex(DNS_LABEL, fullmatch=True).filter(lambda name: len(name) <= 63)


@pytest.mark.parametrize("name", NAMES)
def test_children_are_as_written_down(name: str) -> None:
    """RINGFENCE_WRITE=1 writes them down anew: read the difference."""
    found = build(read(name))
    path = DATA / "output" / f"{name}.yaml"
    if os.environ.get("RINGFENCE_WRITE"):
        path.write_text(yaml.safe_dump_all(found, sort_keys=False, width=120))
    assert list(yaml.safe_load_all(path.read_text())) == found


@pytest.mark.parametrize("name", NAMES)
def test_the_fence_comes_first_and_the_workload_last(name: str) -> None:
    found = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in build(read(name))]
    assert found == [child for child in ORDER if child in found]
    assert found[:3] == ORDER[:3]
    assert found[-1] == ORDER[-1]
    assert [phase.order for phase in PHASES] == sorted(phase.order for phase in PHASES)


@pytest.mark.parametrize("name", NAMES)
def test_every_workload_passes_the_restricted_pod_security_standard(name: str) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards, control by control, and a bit more."""
    pod = build(read(name))[-1]["spec"]["template"]["spec"]
    assert {"hostNetwork", "hostPID", "hostIPC", "ephemeralContainers"} & pod.keys() == set()
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] != 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {"sysctls", "seLinuxOptions", "appArmorProfile", "windowsOptions"} & pod["securityContext"].keys() == set()
    kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
    assert kinds <= {"emptyDir", "persistentVolumeClaim", "projected"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        context = container["securityContext"]
        assert context == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert all("hostPort" not in port for port in container.get("ports", []))
        assert container["resources"]["limits"].keys() >= {"cpu", "memory", "ephemeral-storage"}
        assert "envFrom" not in container
        sources = {kind for variable in container.get("env", []) for kind in variable.get("valueFrom", {})}
        assert sources <= {"configMapKeyRef", "secretKeyRef"}


@pytest.mark.parametrize("name", NAMES)
def test_every_child_belongs_to_the_agent_alone(name: str) -> None:
    for manifest in build(read(name)):
        metadata = manifest["metadata"]
        assert metadata["namespace"] == "ns"
        assert metadata["labels"] == {"app.kubernetes.io/managed-by": "ringfence", "ringfence.dev/agent": "a"}
        assert [owner["kind"] for owner in metadata["ownerReferences"] if owner.get("controller")] == [
            "AgentDeployment"
        ]


@pytest.mark.parametrize("name", NAMES)
def test_policies_select_exactly_the_pods(name: str) -> None:
    children = build(read(name))
    pods = children[-1]["spec"]["template"]["metadata"]["labels"]
    for policy in children[:2]:
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= pods.items()
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert children[0]["spec"].keys() == {"podSelector", "policyTypes"}


def test_the_deny_policy_needs_no_spec() -> None:
    agent = read("full")
    identity = Identity(name=agent.name, namespace=agent.namespace, uid=agent.uid)
    assert build_deny(identity) == build(agent)[0]


def test_the_workload_belongs_to_its_fence() -> None:
    fence = build(read("full"))[-1]["metadata"]["ownerReferences"][1]
    assert (fence["kind"], fence["name"], fence["blockOwnerDeletion"]) == ("NetworkPolicy", "ringfence-a-deny", True)
    assert "controller" not in fence


def test_without_rights_there_is_no_token() -> None:
    children = build(read("minimal"))
    assert {manifest["kind"] for manifest in children} & {"Role", "RoleBinding"} == set()
    assert "serviceAccountToken" not in str(children)


@given(names, names)
def test_no_two_agents_share_a_child(first: str, second: str) -> None:
    def children(agent: str) -> set[tuple[str, str]]:
        policies = {("NetworkPolicy", child_name(agent, suffix)) for suffix in ("deny", "allow")}
        return policies | {(kind, child_name(agent)) for kind, _ in ORDER[2:]}

    assert first == second or not children(first) & children(second)
    assert all(len(name) <= 253 for _, name in children(first))


def test_a_long_line_of_the_status_is_cut_and_no_two_look_the_same() -> None:
    service, shown = read("service"), set[str]()
    for end in "ab":
        port = ServicePort({f"label-{n}": "x" * 60 + end for n in range(9)}, 8080)
        first, _ = effective_egress(replace(service, services={**service.services, ("tools", "search", 80): port}))
        assert len(first) == 256
        assert first.startswith("tools/search:80 -> label-0=xxx")
        shown.add(first)
    assert len(shown) == 2


def test_what_is_in_force_in_words() -> None:
    service = read("service")
    shown = ["tools/search:80 -> app=search:http", "ns/cache:6379 -> app=cache,tier=b:6380"]
    assert effective_egress(service) == shown
    assert leads(shown) == {"tools/search:80": "app=search:http", "ns/cache:6379": "app=cache,tier=b:6380"}
    assert leads(["tools/search:80", "203.0.113.0/28:443"]) == {}
    assert missing_services(service) == ["ns/missing:1"]
    assert effective_egress(read("cidr")) == ["203.0.113.0/28:443,8443", "2001:db8::/64:443"]
    assert effective_permissions(read("rights")) == [
        "get,list configmaps",
        "get deployments.apps,deployments.batch [a,b]",
    ]


def _rules(name: str) -> Any:
    return build(read(name))[1]["spec"].get("egress")


def _cluster(*networks: str) -> Agent:
    return replace(read("cidr"), cluster=tuple(ip_network(one) for one in networks))


def test_a_node_that_joins_inside_of_a_network_is_left_out_of_it() -> None:
    agent = _cluster("203.0.113.9/32", "10.0.0.0/8", "2001:db8::1/128")
    first, second = build(agent)[1]["spec"]["egress"]
    assert first["to"] == [{"ipBlock": {"cidr": "203.0.113.0/28", "except": ["203.0.113.9/32"]}}]
    assert second["to"] == [{"ipBlock": {"cidr": "2001:db8::/64", "except": ["2001:db8::1/128"]}}]
    assert effective_egress(agent) == [
        "203.0.113.0/28:443,8443 except 203.0.113.9/32",
        "2001:db8::/64:443 except 2001:db8::1/128",
    ]


def test_a_network_that_is_all_the_clusters_own_opens_nothing() -> None:
    agent = _cluster("203.0.113.0/24")
    (rule,) = build(agent)[1]["spec"]["egress"]
    assert rule["to"] == [{"ipBlock": {"cidr": "2001:db8::/64"}}]
    assert effective_egress(agent) == ["2001:db8::/64:443"]


def test_other_networks_of_the_cluster_change_nothing() -> None:
    assert build(_cluster("10.0.0.0/8", "fd00::/8")) == build(read("cidr"))


def test_dns_only_where_a_headless_service_is_named() -> None:
    assert "kube-dns" in str(_rules("headless"))
    assert "kube-dns" not in str(_rules("service"))
    assert "kube-dns" not in str([_rules(name) for name in NAMES if name != "headless"])
