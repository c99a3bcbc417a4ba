"""Where the cluster's DNS answers, by the Services of several distributions."""

from dataclasses import replace
from typing import Any

import pytest

from ringfence.resources.dns import KNOWN, NODE_LOCAL, OPENSHIFT, USUAL_DNS, Asked, find, rules, words
from ringfence.resources.network import allow_policy
from unit.resources.agents import read

KUBE_DNS, COREDNS = KNOWN


def service(selector: dict[str, str] | None, udp: Any = None, tcp: Any = None, **more: Any) -> dict[str, Any]:
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"} | ({"targetPort": udp} if udp else {}),
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"} | ({"targetPort": tcp} if tcp else {}),
        {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
    ]
    return {"selector": selector, "ports": ports, "type": "ClusterIP", "clusterIPs": ["10.96.0.10", "fd00::a"], **more}


USUALLY = service({"k8s-app": "kube-dns"}, 53, 53)
RENAMED = service({"app": "dns", "tier": "a"}, 8053, 8053)
OF_OPENSHIFT = service({"dns.operator.openshift.io/daemonset-dns": "default"}, "dns", "dns-tcp")


def opened(asked: Asked, services: dict[tuple[str, str], Any]) -> list[tuple[Any, ...]]:
    """(namespace or "address", labels or addresses, UDP port, TCP port) of each rule."""
    found: list[tuple[Any, ...]] = []
    for rule in rules(find(asked, services)):
        by = {port["protocol"]: port["port"] for port in rule["ports"]}
        if "ipBlock" in rule["to"][0]:
            found.append(("address", [one["ipBlock"]["cidr"] for one in rule["to"]], by.get("UDP"), by.get("TCP")))
            continue
        (peer,) = rule["to"]
        namespace = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        found.append((namespace, peer["podSelector"]["matchLabels"], by.get("UDP"), by.get("TCP")))
    return found


USUAL_RULE = ("kube-system", {"k8s-app": "kube-dns"}, 53, 53)


@pytest.mark.parametrize(
    ("asked", "services", "expected"),
    [
        (Asked(), {}, [USUAL_RULE]),
        (Asked(), {KUBE_DNS: USUALLY}, [USUAL_RULE]),
        (Asked(), {KUBE_DNS: service({"k8s-app": "kube-dns"})}, [USUAL_RULE]),
        (Asked(), {KUBE_DNS: RENAMED}, [("kube-system", {"app": "dns", "tier": "a"}, 8053, 8053)]),
        (Asked(), {COREDNS: RENAMED}, [("kube-system", {"app": "dns", "tier": "a"}, 8053, 8053)]),
        (Asked(), {COREDNS: RENAMED, KUBE_DNS: USUALLY}, [USUAL_RULE]),
        # A namespace of OpenShift's name is anybody's elsewhere.
        (Asked(), {OPENSHIFT: OF_OPENSHIFT}, [USUAL_RULE]),
        (
            Asked(openshift=True),
            {OPENSHIFT: OF_OPENSHIFT},
            [("openshift-dns", {"dns.operator.openshift.io/daemonset-dns": "default"}, "dns", "dns-tcp")],
        ),
        # Nothing that would open more than pods of DNS.
        (Asked(), {KUBE_DNS: service({}, 53, 53)}, [USUAL_RULE]),
        (Asked(), {KUBE_DNS: service(None, 53, 53)}, [USUAL_RULE]),
        (Asked(), {KUBE_DNS: service({"a": "b"}, 53, 53, type="ExternalName")}, [USUAL_RULE]),
        (Asked(), {KUBE_DNS: service({"a": "b"}, 53, 53, ports=[{"port": 443, "targetPort": 443}])}, [USUAL_RULE]),
        (
            Asked(),
            {KUBE_DNS: service({"a": "b"}, ports=[{"port": 53, "protocol": "UDP", "targetPort": 5353}])},
            [("kube-system", {"a": "b"}, 5353, None)],
        ),
        # By value.
        (
            Asked(("dns", "own")),
            {KUBE_DNS: USUALLY, ("dns", "own"): RENAMED},
            [("dns", RENAMED["selector"], 8053, 8053)],
        ),
        (Asked(("dns", "own")), {KUBE_DNS: RENAMED}, [USUAL_RULE]),
        (
            Asked(addresses=("169.254.25.10/32",)),
            {KUBE_DNS: USUALLY},
            [USUAL_RULE, ("address", ["169.254.25.10/32"], 53, 53)],
        ),
        # NodeLocal DNSCache answers at its own address, and at the Service's.
        (
            Asked(),
            {KUBE_DNS: USUALLY, NODE_LOCAL: USUALLY},
            [USUAL_RULE, ("address", ["169.254.20.10/32", "10.96.0.10/32", "fd00::a/128"], 53, 53)],
        ),
        (Asked(), {NODE_LOCAL: USUALLY}, [USUAL_RULE, ("address", ["169.254.20.10/32"], 53, 53)]),
        (
            Asked(),
            {KUBE_DNS: USUALLY | {"clusterIPs": ["None"]}, NODE_LOCAL: USUALLY},
            [USUAL_RULE, ("address", ["169.254.20.10/32"], 53, 53)],
        ),
    ],
)
def test_where_it_answers(asked: Asked, services: dict[tuple[str, str], Any], expected: list[tuple[Any, ...]]) -> None:
    assert opened(asked, services) == expected


def test_it_is_opened_with_a_headless_service_and_not_without() -> None:
    dns = find(Asked(), {KUBE_DNS: RENAMED})
    wanted = [*rules(dns)]
    egress = allow_policy(replace(read("headless"), dns=dns))["spec"]["egress"]
    assert all(rule in egress for rule in wanted)
    assert next(rules(USUAL_DNS)) not in egress
    without = allow_policy(replace(read("service"), dns=dns, services={}))["spec"].get("egress", [])
    assert not any(rule in without for rule in wanted)


def test_in_words() -> None:
    assert words(find(Asked(), {KUBE_DNS: RENAMED, NODE_LOCAL: USUALLY})).startswith("kube-system/app=dns,tier=a, 169.")
