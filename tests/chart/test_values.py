"""What may be said in values, and what helm makes of it."""

import json
import re
from typing import Any

import click
import pytest
import yaml

from chart.rendering import CHART, IMAGE, NAMESPACE, VALUES, helm, of_kind, pods, render, text
from cluster import CommandFailed
from ringfence.cli.main import cli
from ringfence.policy.handover import WHAT_RUNS
from ringfence.policy.opened import CLOSED_NAMESPACES
from ringfence.resources.gateway import COMPONENT, COMPONENT_LABEL

CERT_MANAGER = "certificates.provider=cert-manager,certificates.certManager"


def test_lints(values: tuple[str, ...]) -> None:
    helm("lint", "--strict", str(CHART), *IMAGE, *values)


def test_the_crds_chart_lints() -> None:
    helm("lint", "--strict", str(CHART.with_name("ringfence-crds")))


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("admission.replica=3", "additional properties 'replica' not allowed"),
        ("controler.replicas=3", "additional properties 'controler' not allowed"),
        ("image.tags=dev", "additional properties 'tags' not allowed"),
        ("image.digest=sha256:abc", "/image/digest"),
        ("global.imageRegistry=https://mirror.example", "/global/imageRegistry"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        ("controller.replicas=0", "/controller/replicas"),
        ("log.level=loud", "/log/level"),
        ("certificates.provider=none", "/certificates/provider"),
        (f"{CERT_MANAGER}.renewBefore=30d", "/certificates/certManager/renewBefore"),
        (f"{CERT_MANAGER}.duration=9999999h", "/certificates/certManager/duration"),
        (f"{CERT_MANAGER}=null", "missing property 'certManager'"),
        (f"{CERT_MANAGER}.renewBefore=null", "missing property 'renewBefore'"),
        (f"{CERT_MANAGER}.renewBefore=3h59m", "certificates.certManager.renewBefore: 3h59m leaves no time to be told"),
        (f"{CERT_MANAGER}.renewBefore=129600m", "renewBefore: 129600m is not less than the duration, 2160h"),
        (f"{CERT_MANAGER}.duration=72h", "renewBefore: 720h is not less than the duration, 72h"),
        ("networkPolicy.apiServer.ports={0}", "/networkPolicy/apiServer/ports"),
        ("networkPolicy.apiServer.cidrs={everywhere}", "/networkPolicy/apiServer/cidrs"),
        ("clusterNetworks={10.0.0.0}", "/clusterNetworks"),
        ("apiServerNetworks={10.0.0.1}", "/apiServerNetworks"),
        ("floor.enabled=maybe", "/floor/enabled"),
        ("dns.service=kube-dns", "/dns/service"),
        ("dns.addresses={169.254.0.0/16}", "/dns/addresses"),
        ("dns.address=169.254.20.10", "additional properties 'address' not allowed"),
        ("gateway.upstreamProxy.addresses={proxy.corp.example}", "/gateway/upstreamProxy/addresses"),
        ("gateway.upstreamProxy.address=10.20.0.5", "additional properties 'address' not allowed"),
        ("gateway.upstreamProxy.port=0", "/gateway/upstreamProxy/port"),
        ("gateway.upstreamProxy.credentialsSecret=Proxy", "/gateway/upstreamProxy/credentialsSecret"),
        ("gateway.upstreamProxy.credentialsSecret=proxy", "set gateway.upstreamProxy.addresses to the proxy's"),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(setting: str, complaint: str) -> None:
    with pytest.raises(CommandFailed, match=re.escape(complaint)):
        text("--set", setting)


@pytest.mark.parametrize(
    ("version", "fits"), [("1.30.14", False), ("1.31.0", True), ("1.31.14-eks-1", True), ("1.36.3", True)]
)
def test_an_older_kubernetes_is_refused(version: str, *, fits: bool) -> None:
    arguments = ("template", "ringfence", str(CHART), *IMAGE, "--kube-version", version)
    if fits:
        helm(*arguments)
        return
    with pytest.raises(CommandFailed, match=re.escape("requires kubeVersion: >=1.31")):
        helm(*arguments)


def test_the_controller_is_told_where_dns_is() -> None:
    (container,) = pods("--set", "dns.service=a/b", "--set", "dns.addresses={192.0.2.1/32}")["ringfence-controller"][
        "spec"
    ]["containers"]
    assert {"--dns-service=a/b", "--dns-address=192.0.2.1/32"} <= {*container["args"]}
    (usual,) = pods()["ringfence-controller"]["spec"]["containers"]
    assert not [one for one in usual["args"] if "dns" in one]


def of_egress(*values: str) -> tuple[list[str], set[int], list[str]]:
    """The controller's arguments about it, its ports, and the names of what else there is for it."""
    (container,) = pods(*values)["ringfence-controller"]["spec"]["containers"]
    args = [one for one in container["args"] if "egress" in one or "scraper" in one]
    names = [name for kind in ("Service", "NetworkPolicy") for name in of_kind(kind, *values) if "egress" in name]
    return args, {port["containerPort"] for port in container["ports"]}, names


def test_gateways_find_the_port_at_which_they_tell() -> None:
    args, ports, names = of_egress()
    assert args == ["--egress-port=4318", "--egress-service=ringfence-egress"]
    assert ports == {8080, 4318}
    assert names == ["ringfence-egress", "ringfence-egress"]
    service, policy = of_kind("Service")["ringfence-egress"], of_kind("NetworkPolicy")["ringfence-egress"]
    labels = pods()["ringfence-controller"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    (peer,) = policy["spec"]["ingress"][0]["from"]
    assert peer["podSelector"]["matchLabels"][COMPONENT_LABEL] == COMPONENT


def test_where_gateways_tell_nobody_no_port_is_open_for_it() -> None:
    assert of_egress("--set", "gateway.tellRefusals=false") == ([], {8080}, [])


def test_the_controller_is_told_of_a_corporate_proxy() -> None:
    def told(*values: str) -> list[str]:
        (container,) = pods(*values)["ringfence-controller"]["spec"]["containers"]
        return [one for one in container["args"] if "upstream-proxy" in one]

    assert told() == []
    addresses = ("--set", "gateway.upstreamProxy.addresses={10.20.0.5,fd00:20::5}")
    args = ["--upstream-proxy=10.20.0.5", "--upstream-proxy=fd00:20::5", "--upstream-proxy-port=3128"]
    assert told(*addresses) == args
    secret = ("--set", "gateway.upstreamProxy.credentialsSecret=corporate-proxy")
    assert told(*addresses, *secret) == [*args, "--upstream-proxy-secret=corporate-proxy"]


def test_who_reads_our_figures_reads_those_of_gateways() -> None:
    chosen = "networkPolicy.metrics.namespaceSelector.kubernetes\\.io/metadata\\.name=monitoring"
    args, _, _ = of_egress("--set", chosen)
    assert "--scraper=kubernetes.io/metadata.name=monitoring" in args


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("image.tag=1.0", "image.repository is not set"),
        ("image.repository=registry.example/ringfence", "image.digest is not set: set it to the sha256:..."),
    ],
)
def test_an_image_that_nobody_named_is_refused_in_words(setting: str, complaint: str) -> None:
    with pytest.raises(CommandFailed, match=re.escape(complaint)):
        helm("template", "ringfence", str(CHART), "--set", setting)


@pytest.mark.parametrize(
    ("repository", "mirrored"),
    [
        ("registry.example/platform/ringfence", "mirror.example:5000/copies/platform/ringfence"),
        ("localhost/ringfence", "mirror.example:5000/copies/ringfence"),
        ("registry:5000/ringfence", "mirror.example:5000/copies/ringfence"),
        ("platform/ringfence", "mirror.example:5000/copies/platform/ringfence"),
        ("ringfence", "mirror.example:5000/copies/ringfence"),
    ],
)
def test_a_mirror_takes_the_place_of_the_registry(repository: str, mirrored: str) -> None:
    args = ("--set", "global.imageRegistry=mirror.example:5000/copies/", "--set", f"image.repository={repository}")
    wanted = {f"{mirrored}@sha256:{'0' * 64}"}
    assert {one["image"] for pod in pods(*args).values() for one in pod["spec"]["containers"]} == wanted
    (job,) = re.findall(r"--job-image=(\S+)", text(*args))
    assert {job} == wanted


def test_every_value_is_in_the_schema_and_commented() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    source = (CHART / "values.yaml").read_text()
    top = yaml.safe_load(source)

    def walk(value: dict[str, Any], declared: dict[str, Any], path: str) -> set[str]:
        assert declared.get("additionalProperties") is not True, path
        for key, inner in value.items():
            assert key in declared["properties"], f"{path}{key} has no schema"
            if isinstance(inner, dict) and "properties" in declared["properties"][key]:
                walk(inner, declared["properties"][key], f"{path}{key}.")
        return set(declared["properties"].keys() - value.keys())

    assert walk(top, schema, "") == set()
    for key in top:
        assert re.search(rf"(#.*\n){key}:|^{key}:\n +#", source, re.MULTILINE), f"{key} has no comment"


SCC = ("--api-versions", "security.openshift.io/v1/SecurityContextConstraints")


@pytest.mark.parametrize(
    ("args", "whose"),
    [
        ((), "fixed"),
        (SCC, "assigned"),
        ((*SCC, "--set", "userIds=fixed"), "fixed"),
        (("--set", "userIds=assigned"), "assigned"),
    ],
)
def test_no_pod_says_an_id_where_the_platform_assigns_them(args: tuple[str, ...], whose: str) -> None:
    found = pods(*args)
    assert len(found) == 4
    for pod in found.values():
        context = pod["spec"]["securityContext"]
        ids = {"runAsUser", "runAsGroup", "fsGroup"} & context.keys()
        assert (len(ids), context["runAsNonRoot"]) == (3 if whose == "fixed" else 0, True)
        assert all("runAsUser" not in one["securityContext"] for one in pod["spec"]["containers"])
    assert f"--user-ids={whose}" in found["ringfence-controller"]["spec"]["containers"][0]["args"]


def test_with_cert_manager_the_authority_keeps_its_key() -> None:
    """Else a renewal would be another authority, which the API server trusts before all servers are of it."""
    by = ("--set", "certificates.provider=cert-manager")
    issuers, certificates = of_kind("Issuer", *by), of_kind("Certificate", *by)
    authority, leaf = (certificates[name]["spec"] for name in ("ringfence-admission-ca", "ringfence-admission"))
    assert issuers[leaf["issuerRef"]["name"]]["spec"] == {"ca": {"secretName": authority["secretName"]}}
    assert issuers[authority["issuerRef"]["name"]]["spec"] == {"selfSigned": {}}
    assert (authority["isCA"], authority["privateKey"]["rotationPolicy"]) == (True, "Never")
    assert (leaf.get("isCA"), leaf["privateKey"]["rotationPolicy"]) == (None, "Always")
    assert of_kind("Issuer", *VALUES["full"]) == {}, "somebody else's issues"
    assert set(of_kind("Certificate", *VALUES["full"])) == {"ringfence-admission"}


def test_full_values_set_everything_that_defaults_leave_open() -> None:
    full = yaml.safe_load((CHART / "ci" / "full-values.yaml").read_text())
    manifests = text(*VALUES["full"])
    assert "example.test/platform/ringfence@sha256:" in manifests
    assert full["clusterNetworks"] == ["10.244.0.0/16", "fd00:10:244::/56"]
    for expected in (
        "--cluster-network=fd00:10:244::/56",
        "--api-server-network=192.0.2.0/24",
        "--certificates=external",
        "--client-ca=/etc/ringfence/client-ca/ca.crt",
        "--log-level=debug",
        "cert-manager.io/inject-ca-from: ringfence-system/ringfence-admission",
        "example.test/cost: platform",
        "name: platform",
        "kubernetes.io/metadata.name: monitoring",
        "namespace: kube-public",
    ):
        assert expected in manifests
    assert {pod["spec"].get("priorityClassName") for pod in pods(*VALUES["full"]).values()} == {
        "system-cluster-critical",
        None,  # the pod of `helm test`
    }


def test_the_names_that_design_fixes() -> None:
    names = {(item["kind"], item["metadata"]["name"]) for item in render()}
    assert {
        ("Deployment", "ringfence-controller"),
        ("Deployment", "ringfence-admission"),
        ("Deployment", "ringfence-canary"),
        ("Service", "ringfence-canary"),
        ("Service", "ringfence-admission"),
        ("Service", "ringfence-metrics"),
        ("ValidatingWebhookConfiguration", "ringfence"),
        ("ClusterRole", "ringfence-agent-ceiling"),
    } <= names


def test_a_tag_is_pulled_anew_and_a_digest_is_not() -> None:
    tag = ("--set", "image.tag=1.2,image.digest=")
    by_tag = pods(*tag)["ringfence-controller"]["spec"]["containers"][0]
    by_digest = pods(*VALUES["full"])["ringfence-controller"]["spec"]["containers"][0]
    assert (by_tag["image"], by_tag["imagePullPolicy"]) == ("registry.example/platform/ringfence:1.2", "Always")
    assert by_digest["imagePullPolicy"] == "IfNotPresent"


def test_the_webhook_is_static_and_fails_closed(values: tuple[str, ...]) -> None:
    (webhook,) = of_kind("ValidatingWebhookConfiguration", *values)["ringfence"]["webhooks"]
    assert webhook["failurePolicy"] == "Fail"
    assert webhook["timeoutSeconds"] == 5
    assert webhook["sideEffects"] == "None"
    assert webhook["matchPolicy"] == "Equivalent"
    assert webhook["clientConfig"]["service"] == {
        "name": "ringfence-admission",
        "namespace": "ringfence-system",
        "path": "/validate",
        "port": 443,
    }
    assert "caBundle" not in webhook["clientConfig"]
    rules = {(*r["resources"], r["scope"]): r["operations"] for r in webhook["rules"]}
    wanted = ["CREATE", "UPDATE"]
    agents = ("agentdeployments", "agentdeployments/scale", "Namespaced")
    assert rules == {agents: wanted, ("agentpolicies", "Cluster"): wanted}
    (rule,) = webhook["namespaceSelector"]["matchExpressions"]
    assert sorted(rule["values"]) == ["kube-system", "ringfence-system"]


def test_the_chart_and_decisions_know_the_same_closed_namespaces() -> None:
    policies = of_kind("ValidatingAdmissionPolicy")
    for name in ("floor", "guard-closed", "guard-ceiling"):
        (found,) = {*re.findall(r"in (\['kube-[^]]*])", json.dumps(policies[f"ringfence-{name}"]["spec"]))} - {
            f"['kube-system', '{NAMESPACE}']"  # where the webhook is not asked
        }
        assert set(re.findall("'([^']*)'", found)) == CLOSED_NAMESPACES | {NAMESPACE}


def test_a_release_in_the_default_namespace_tests_elsewhere() -> None:
    manifests = yaml.safe_load_all(helm("template", "ringfence", str(CHART), "--namespace", "default", *IMAGE))
    trying = [
        item["metadata"]["namespace"]
        for item in manifests
        if item["kind"] == "Role" and item["rules"][0]["resources"] == ["agentdeployments"]
    ]
    assert trying == ["kube-public"]


@pytest.mark.parametrize("name", ["ringfence-controller", "ringfence-admission"])
def test_a_flag_of_the_chart_is_a_flag_of_the_command(name: str, values: tuple[str, ...]) -> None:
    command, *flags = pods(*values)[name]["spec"]["containers"][0]["args"]
    found = cli.get_command(click.Context(cli), command)
    assert found
    known = {option for parameter in found.params for option in parameter.opts}
    assert {flag.partition("=")[0] for flag in flags} <= known


RECORDING = ("--api-versions", "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy")
"""As helm itself asks of a cluster; a rendering knows no cluster."""
REQUESTER = "ringfence-guard-requester"


def test_who_asks_is_recorded_where_the_api_server_can() -> None:
    kinds = {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"}
    kinds |= {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    assert {one["kind"] for one in render(*RECORDING) if one["metadata"]["name"] == REQUESTER} == kinds
    for without in ((), (*RECORDING, "--set", "guards.enabled=false")):
        assert not [one for one in render(*without) if one["metadata"]["name"] == REQUESTER]
    file = of_kind("ConfigMap", *RECORDING)["ringfence-registration"]["data"]["registration.json"]
    assert {one["kind"] for one in json.loads(file) if one["name"] == REQUESTER} == kinds


def test_what_writes_who_asks_and_what_looks_after_it_compute_the_same() -> None:
    writes = of_kind("MutatingAdmissionPolicy", *RECORDING)[REQUESTER]["spec"]
    looks = of_kind("ValidatingAdmissionPolicy", *RECORDING)[REQUESTER]["spec"]
    assert writes["variables"] == looks["variables"]
    assert writes["matchConstraints"] == looks["matchConstraints"]
    assert (writes["failurePolicy"], looks["failurePolicy"]) == ("Ignore", "Fail")
    computed = {one["name"]: one["expression"] for one in writes["variables"]}
    assert "variables.runs != variables.ran_before" in computed["anew"]
    for name, spec in (("runs", "object.spec"), ("ran_before", "variables.before")):
        found = set(re.findall(rf"{re.escape(spec)}\.\?(\w+)", computed[name]))
        mounts = {"storage", "scratch", "secrets", "identity"}
        assert found == {*WHAT_RUNS, *mounts}, "another program is the same for admission"
