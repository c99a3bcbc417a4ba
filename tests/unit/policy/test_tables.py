"""The tables that decide, written down once more from the manuals: a word that gets lost there is missed here."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from ringfence.api.permissions import Level
from ringfence.policy import levels
from ringfence.policy.addresses import Addresses
from ringfence.policy.model import RuleName
from ringfence.policy.special import PUBLIC
from unit.policy.make import CRITICAL, egress, judge, places, rule

AT = "spec.permissions.rules[0]"


def asks(asked: dict[str, Any], level: str = "Critical") -> set[tuple[str, str]]:
    """Rules and places of what is decided about one rule of permissions."""
    return places(judge({"permissions": {"level": level, "rules": [asked]}}, CRITICAL))


ESCALATION = {name for name, _ in asks(rule("get", "pods/exec"))}
UNKNOWN = {name for name, _ in asks(rule("get", "x"))}

LOADING = {
    "ld.so(8)": ["LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "LD_BIND_NOW", "LD_X"],
    "dyld(1)": ["DYLD_INSERT_LIBRARIES", "DYLD_LIBRARY_PATH"],
    "glibc, environment of iconv and locale": ["GCONV_PATH", "LOCPATH"],
    "mallopt(3)": ["MALLOC_CHECK_", "MALLOC_PERTURB_"],
    "sh(1), bash(1)": ["PATH", "IFS", "ENV", "BASH_ENV", "SHELLOPTS"],
    "python(1)": ["PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"],
    "node(1)": ["NODE_OPTIONS", "NODE_PATH", "NODE_EXTRA_CA_CERTS"],
    "perlrun(1)": ["PERL5LIB", "PERL5OPT"],
    "ruby(1)": ["RUBYLIB", "RUBYOPT"],
    "java(1), JVM TI": ["CLASSPATH", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"],
    "openssl(1)": ["SSL_CERT_FILE", "SSL_CERT_DIR"],
    "curl(1)": ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "https_proxy"],
    "git(1)": ["GIT_SSH_COMMAND", "GIT_EXEC_PATH"],
    "client-go, in-cluster configuration": ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"],
}


@pytest.mark.parametrize("name", [name for names in LOADING.values() for name in names])
def test_a_secret_never_becomes_a_variable_that_loads_code(name: str) -> None:
    secret = {
        "name": "a",
        "source": {"generate": {}},
        "rotation": {"every": "720h"},
        "delivery": {"env": {"name": name}},
    }
    assert places(judge({"secrets": [secret]})) == {("SecretDelivery", "spec.secrets[0].delivery.env.name")}


RAISING = ["escalate", "bind", "impersonate", "impersonate:user-info", "approve", "sign", "attest", "use"]
CLOSED_GROUPS = [
    "rbac.authorization.k8s.io",
    "authorization.k8s.io",
    "authorization.openshift.io",
    "authentication.k8s.io",
    "certificates.k8s.io",
    "cert-manager.io",
    "admissionregistration.k8s.io",
    "apiregistration.k8s.io",
    "apiextensions.k8s.io",
    "ringfence.dev",
    "node.k8s.io",
    "storage.k8s.io",
    "scheduling.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "policy.networking.k8s.io",
    "crd.projectcalico.org",
    "projectcalico.org",
    "cilium.io",
    "gateway.networking.k8s.io",
    "security.openshift.io",
]
CLOSED_RESOURCES = [
    "pods/exec",
    "pods/attach",
    "pods/portforward",
    "pods/proxy",
    "services/proxy",
    "nodes/proxy",
    "pods/ephemeralcontainers",
    "pods/binding",
    "bindings",
    "pods/eviction",
    "pods/resize",
    "pods/status",
    "serviceaccounts",
    "serviceaccounts/token",
    "tokenreviews",
    "roles",
    "rolebindings",
    "clusterroles",
    "clusterrolebindings",
    "nodes",
    "nodes/status",
    "csinodes",
    "csidrivers",
    "volumeattachments",
    "runtimeclasses",
    "persistentvolumes",
    "storageclasses",
    "priorityclasses",
    "componentstatuses",
    "certificatesigningrequests",
    "certificatesigningrequests/approval",
    "clustertrustbundles",
    "podcertificaterequests",
    "customresourcedefinitions",
    "apiservices",
    "mutatingwebhookconfigurations",
    "validatingwebhookconfigurations",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
    "resourceclaims",
    "resourceclaimtemplates",
    "deviceclasses",
    "agentdeployments",
    "agentpolicies",
    "securitycontextconstraints",
    "users",
    "groups",
    "userextras",
    "userextras/scopes",
    "uids",
]
READ_AT_MOST = [
    "services",
    "ingressclasses",
    "ingresses",
    "endpoints",
    "endpointslices",
    "networkpolicies",
    "namespaces",
    "resourcequotas",
    "limitranges",
    "services/status",
]
RUNNING = [
    "pods",
    "podtemplates",
    "replicationcontrollers",
    "deployments",
    "replicasets",
    "statefulsets",
    "daemonsets",
    "jobs",
    "cronjobs",
]


@pytest.mark.parametrize("verb", RAISING)
def test_verbs_that_raise_permissions(verb: str) -> None:
    assert (*ESCALATION, f"{AT}.verbs[0]") in asks(rule(verb, "pods"))


@pytest.mark.parametrize("group", CLOSED_GROUPS)
def test_groups_of_which_nothing_is_given(group: str) -> None:
    assert (*ESCALATION, f"{AT}.apiGroups[0]") in asks(rule("get", "x", group))


@pytest.mark.parametrize("resource", CLOSED_RESOURCES)
def test_resources_of_which_nothing_is_given(resource: str) -> None:
    assert asks(rule("get", resource)) == {(*ESCALATION, f"{AT}.resources[0]")}


@pytest.mark.parametrize("verb", ["create", "update", "patch", "delete", "deletecollection"])
@pytest.mark.parametrize("resource", READ_AT_MOST)
def test_resources_that_are_read_at_most(resource: str, verb: str) -> None:
    assert (*ESCALATION, f"{AT}.resources[0]") in asks(rule(verb, resource))


@pytest.mark.parametrize("resource", RUNNING)
def test_whatever_runs_is_not_written(resource: str) -> None:
    for verb in ("create", "update", "patch"):
        assert (*ESCALATION, f"{AT}.resources[0]") in asks(rule(verb, resource))
    for verb in ("delete", "deletecollection"):
        assert (*ESCALATION, f"{AT}.resources[0]") not in asks(rule(verb, resource))


@pytest.mark.parametrize("resource", ["networkpolicies", "resourcequotas", "replicationcontrollers"])
def test_reading_them_is_no_escalation(resource: str) -> None:
    """Not in any level either: the fix is to leave it out, and the message does not frighten."""
    assert ESCALATION.isdisjoint(name for name, _ in asks(rule("get", resource)))


READ = {
    "": "configmaps endpoints events persistentvolumeclaims pods services",
    "apps": "daemonsets deployments replicasets statefulsets",
    "autoscaling": "horizontalpodautoscalers",
    "batch": "cronjobs jobs",
    "coordination.k8s.io": "leases",
    "discovery.k8s.io": "endpointslices",
    "events.k8s.io": "events",
    "networking.k8s.io": "ingresses",
    "policy": "poddisruptionbudgets",
}
GIVEN: dict[Level, list[str]] = {
    "ReadOnly": [
        "get pods/log",
        *(
            f"{verb} {resource}" + (f".{group}" if group else "")
            for group, resources in READ.items()
            for resource in resources.split()
            for verb in ("get", "list", "watch")
        ),
    ],
    "LimitedWrite": [
        *(
            f"{verb} {what}"
            for verb in ("create", "update", "patch")
            for what in ("configmaps", "leases.coordination.k8s.io")
        ),
        "create events",
        "create events.events.k8s.io",
    ],
    "Admin": [
        "delete configmaps",
        "delete pods",
        "delete leases.coordination.k8s.io",
        *(f"{verb} {what}/scale.apps" for verb in ("update", "patch") for what in ("deployments", "statefulsets")),
    ],
    "Critical": ["deletecollection configmaps", "delete persistentvolumeclaims", "delete jobs.batch"],
}
"""What each level adds to the one before: the promise of docs/reference/rules.md."""


def test_each_level_gives_these_and_no_others() -> None:
    held: set[str] = set()
    for level, added in GIVEN.items():
        held |= set(added)
        assert {str(atom) for atom in levels.ATOMS[level]} == held


PROTECTED = ["169.254.0.0/16", "fe80::/10", "127.0.0.0/8", "::1/128", "0.0.0.0/8", "::/128", "224.0.0.0/4", "ff00::/8"]
PROTECTED += ["255.255.255.255/32", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"]
PROTECTED += ["fd00:ec2::254/128", "fd00:ec2::23/128", "fd20:ce::254/128"]


@pytest.mark.parametrize("network", PROTECTED)
def test_no_policy_opens_what_is_protected(network: str) -> None:
    there = ip_network(network)
    for address in (there.network_address, there.broadcast_address):
        assert RuleName.EGRESS_METADATA in {one.rule for one in egress(f"{address}/{there.max_prefixlen}")}, address


BESIDE = ["1.0.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "223.255.255.255"]
BESIDE += ["255.255.255.254", "100.100.100.199", "168.63.129.17", "192.0.0.193", "fd00:ec2::253", "fd20:ce::255"]
BESIDE += ["fe7f::1", "fec0::", "feff::1"]


@pytest.mark.parametrize("address", BESIDE)
def test_what_lies_beside_is_not_protected(address: str) -> None:
    assert RuleName.EGRESS_METADATA not in {
        one.rule for one in egress(f"{address}/{ip_address(address).max_prefixlen}")
    }


NOT_PUBLIC_V4 = ["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"]
NOT_PUBLIC_V4 += [
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
]
NOT_PUBLIC_V4 += ["224.0.0.0/4", "240.0.0.0/4"]
NOT_PUBLIC_V6 = [
    "::/96",
    "::ffff:0:0/96",
    "::ffff:0:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
]
NOT_PUBLIC_V6 += ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16"]
NOT_PUBLIC_V6 += ["fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"]
"""IANA's registries of special-purpose addresses (RFC 6890) that are not globally reachable, or no longer, multicast,
and the IPv6 forms that carry an IPv4 address."""


def test_the_public_internet_is_all_but_the_registries() -> None:
    apart = Addresses.of(*NOT_PUBLIC_V4, *NOT_PUBLIC_V6)
    assert Addresses.of("0.0.0.0/0", "::/0") - apart == PUBLIC
    sizes = [sum(ip_network(one).num_addresses for one in some) for some in (NOT_PUBLIC_V4, NOT_PUBLIC_V6)]
    assert [PUBLIC.v4.size, PUBLIC.v6.size] == [2**32 - sizes[0], 2**128 - sizes[1]]


@pytest.mark.parametrize("port", [53, 853])
def test_ports_by_which_names_carry_data_out(port: int) -> None:
    rules = [{"cidr": "192.0.2.0/24", "ports": [443, port]}]
    found = judge({"network": {"egress": rules}}, {"egress": {"cidrs": ["192.0.2.0/24"]}})
    assert places(found) == {("EgressDnsBypass", "spec.network.egress[0].ports[1]")}


@pytest.mark.parametrize("namespace", ["kube-system", "kube-public", "kube-node-lease"])
def test_the_clusters_own_namespaces_are_closed_to_every_policy(namespace: str) -> None:
    rules = [{"service": {"name": "a", "namespace": namespace, "port": 443}}]
    found = judge({"network": {"egress": rules}}, {"egress": {"serviceNamespaces": [namespace]}})
    assert places(found) == {("EgressServiceForbidden", "spec.network.egress[0].service.namespace")}


@pytest.mark.parametrize(
    "path",
    ["/tmp", "/proc", "/sys", "/dev", "/run/secrets", "/var/run/secrets", "/run/ringfence", "/var/run/ringfence"],
)
def test_no_volume_hides_what_the_pod_has_there(path: str) -> None:
    for place in (path, f"{path}/deeper"):
        found = judge({"storage": {"mountPath": place, "size": "1Gi"}})
        assert places(found) == {("InvalidField", "spec.storage.mountPath")}, place
    assert judge({"storage": {"mountPath": f"{path}-of-mine", "size": "1Gi"}}) == []


@pytest.mark.parametrize(
    ("allowed", "says"),
    [([], "name a service instead"), (["10.1.0.0/16", "192.0.2.7/32"], "keep to 10.1.0.0/16, 192.0.2.7")],
)
def test_a_network_that_the_policy_does_not_list_is_answered_with_those_that_it_does(
    allowed: list[str], says: str
) -> None:
    (found,) = judge({"network": {"egress": [{"cidr": "10.2.0.0/24", "ports": [443]}]}}, {"egress": {"cidrs": allowed}})
    assert found.rule is RuleName.EGRESS_ABOVE_POLICY
    assert f'"p0" does not allow 10.2.0.0/24: {says}, or have' in found.message


def test_the_proxy_of_a_node_is_told_to_run_commands() -> None:
    """Not only to reach the node: `get` alone is enough, which surprises."""
    (found,) = judge({"permissions": {"level": "Critical", "rules": [rule("get", "nodes/proxy")]}}, CRITICAL)
    assert "runs commands in pods" in found.message
