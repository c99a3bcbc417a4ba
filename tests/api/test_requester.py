"""Who applies an agent holds what it gets, or the namespace's delegate does: a real API server with real RBAC.

The applier is bound to cluster-admin, as those of GitOps tools mostly are; the tenant has a Role.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from api.admission.setup import PINNED, SYSTEM, Setup, configuration, namespace
from api.review_server import Service
from api.server import Server
from chart.rendering import render
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.api.names import REQUESTED_BY_ANNOTATION, TAKE_OVER

SPACE, TARGET = "tenants", "tenants-target"
AGENTS = f"/apis/ringfence.dev/v1alpha1/namespaces/{SPACE}/agentdeployments"
RBAC = "rbac.authorization.k8s.io"
DELEGATE = f"system:serviceaccount:{SPACE}:deployer"
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "delete"]}
LIST_PODS = PODS | {"verbs": ["list"]}
RESOURCES = ["configmaps", "endpoints", "events", "persistentvolumeclaims", "pods"]
OWN = [f"own-{number}" for number in range(50)]
KEY = {
    "name": "llm",
    "source": {"existing": {"secretName": "llm", "key": "k"}},
    "delivery": {"file": {"path": "/var/run/ringfence/llm"}},
}


@dataclass
class People:
    """Each with a certificate of his own."""

    setup: Setup
    applier: Server
    tenant: Server

    def requests(self) -> float:
        """Questions to the API server until now: all that admission posts."""
        return sum(one.metric('ringfence_kube_requests_total{code="201",verb="POST"}') for one in self.setup.replicas)

    def delegate(self, value: str | None) -> None:
        change = "ringfence.dev/delegate" + ("-" if value is None else f"={value}")
        self.setup.cluster.kubectl("annotate", "namespace", SPACE, "--overwrite", change)


def agent(name: str, *rules: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "ringfence.dev/v1alpha1",
        "kind": "AgentDeployment",
        "metadata": {"name": name, "namespace": SPACE},
        "spec": {"image": PINNED, "permissions": {"level": "Critical", "rules": list(rules)}, **spec},
    }


def write(who: Server, body: dict[str, Any], *, dry_run: bool = False) -> str:
    """Create it, or put it in place of the stored one. What is said against it; empty: it got in."""
    query = "?dryRun=All" if dry_run else ""
    path = f"{AGENTS}/{body['metadata']['name']}"
    if (found := who.request("GET", path)).ok:
        answer = who.request("PUT", path + query, json.dumps(found.body | {"spec": body["spec"]}).encode())
    else:
        answer = who.request("POST", AGENTS + query, json.dumps(body).encode())
    return "" if answer.ok else answer.message


def role(name: str, *rules: dict[str, Any], subject: dict[str, Any]) -> list[dict[str, Any]]:
    place = {"name": name, "namespace": SPACE}
    reference = {"apiGroup": RBAC, "kind": "Role", "name": name}
    return [
        {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": place, "rules": list(rules)},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": place,
            "roleRef": reference,
            "subjects": [subject],
        },
    ]


def user(name: str) -> dict[str, Any]:
    return {"apiGroup": RBAC, "kind": "User", "name": name}


@pytest.fixture(scope="module")
def people(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    setup = Setup(cluster, Service(), tmp_path_factory.mktemp("requester"))
    space = namespace(SPACE)
    space["metadata"]["labels"]["requester"] = "tested"
    target = namespace(TARGET, opened=False)
    target["metadata"]["annotations"] = {"ringfence.dev/consent": f"{SPACE}=Critical"}
    bounds = {"maxLevel": "Critical", "namespaces": [TARGET], "clusterReads": ["nodes"]}
    hosts = [{"name": "api.anthropic.com"}, {"name": "files.example.com"}]
    egress = {"hosts": hosts, "unkeyed": ["api.anthropic.com"], "tunnel": ["api.anthropic.com"]}
    lax = {"namespaceSelector": {"matchLabels": {"requester": "tested"}}, "permissions": bounds, "egress": egress}
    everything = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "requester-applier"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [user("applier")],
    }
    writes = {"apiGroups": ["ringfence.dev"], "resources": ["agentdeployments"], "verbs": ["get", "create", "update"]}
    own = {"apiGroups": [""], "resources": RESOURCES, "resourceNames": OWN, "verbs": ["get"]}
    cluster.apply(
        namespace(SYSTEM, opened=False),
        space,
        target,
        {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentPolicy", "metadata": {"name": "lax"}, "spec": lax},
        everything,
        *role("tenant", writes, LIST_PODS, own, subject=user("tenant")),
    )
    cluster.apply(configuration(setup.service.port))
    clients = [Server(cluster.server, cluster.user_kubeconfig(name)) for name in ("applier", "tenant")]
    try:
        assert setup.keep() < setup.keep()
        setup.service.replicas.append(setup.start().wait_ready())
        setup.service.wait_all()
        found = People(setup, *clients)
        wait_for("the webhook", lambda: "PermissionNotHeld" in write(found.tenant, agent("probe", PODS), dry_run=True))
        yield found
    finally:
        for one in clients:
            one.close()
        for replica in setup.replicas:
            replica.process.kill()
            replica.process.wait()
        setup.service.close()
        cluster.kubectl("delete", "--ignore-not-found", "validatingwebhookconfiguration", "ringfence")
        cluster.kubectl("delete", "--ignore-not-found", "agp", "lax")
        cluster.kubectl("delete", "--ignore-not-found", "clusterrolebinding", "requester-applier")
        cluster.kubectl("delete", "--ignore-not-found", "namespace", SPACE, TARGET, SYSTEM)


def test_who_may_do_everything_is_asked_one_question_and_without_permissions_none(people: People) -> None:
    before = people.requests()
    assert write(people.applier, agent("plain")) == ""
    assert people.requests() == before
    named = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a", "b"], "verbs": ["get"]}
    wait_for("what was answered before to be forgotten", lambda: asked(people, agent("rich", PODS, named)))
    before = people.requests()
    assert write(people.applier, agent("rich", PODS, named, replicas=2)) == ""
    assert people.requests() == before, "no permission is new"


def asked(people: People, body: dict[str, Any]) -> bool:
    """Whether the applier's write of this cost a question: one, never more."""
    before = people.requests()
    assert write(people.applier, body, dry_run=True) == ""
    assert people.requests() - before in {0, 1}
    return people.requests() > before


def test_a_tenant_gives_what_the_tenant_holds(people: People) -> None:
    assert write(people.tenant, agent("lists", LIST_PODS)) == ""
    named = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["own-1", "own-2"], "verbs": ["get"]}
    assert write(people.tenant, agent("reads", named)) == ""
    said = write(people.tenant, agent("deletes", LIST_PODS, PODS | {"verbs": ["delete"]}))
    assert "spec.permissions.rules[1]: PermissionNotHeldByRequester: you may not do this yourself" in said
    assert ": delete pods; leave it out" in said
    said = write(people.tenant, agent("reads-more", named | {"resourceNames": ["own-1", "another"]}))
    assert ': get configmaps "another"; leave it out' in said


def test_what_is_asked_for_in_another_namespace_must_be_held_there(people: People) -> None:
    there = LIST_PODS | {"namespaces": [TARGET]}
    said = write(people.tenant, agent("elsewhere", there))
    assert f'you may not do this yourself in namespace "{TARGET}"' in said
    assert write(people.applier, agent("elsewhere", there)) == ""
    assert write(people.tenant, agent("elsewhere", there, replicas=0)) == "", "it had that before"
    said = write(people.tenant, agent("here", LIST_PODS | {"namespaces": [SPACE]}))
    assert said == "", "by its name its own namespace is none other"
    held = role("lists", LIST_PODS, subject=user("tenant"))
    for one in held:
        one["metadata"] = one["metadata"] | {"namespace": TARGET}
    people.setup.cluster.apply(*held)
    wait_for("what was granted there", lambda: write(people.tenant, agent("by-tenant", there), dry_run=True) == "")
    said = write(people.tenant, agent("by-tenant", PODS | {"namespaces": [TARGET]}))
    assert ": delete pods; leave it out" in said


def test_a_consent_of_this_very_moment_counts(people: People) -> None:
    """kubectl apply writes the annotation and the agent within milliseconds: what is stored is read, past the cache."""
    there, annotation = LIST_PODS | {"namespaces": [TARGET]}, "ringfence.dev/consent"
    for _ in range(3):
        people.setup.cluster.kubectl("annotate", "namespace", TARGET, f"{annotation}-")
        wait_for(
            "no consent", lambda: "NamespaceConsentMissing" in write(people.applier, agent("n", there), dry_run=True)
        )
        body = json.dumps({"metadata": {"annotations": {annotation: f"{SPACE}=ReadOnly"}}}).encode()
        path, merge = f"/api/v1/namespaces/{TARGET}", "application/merge-patch+json"
        assert people.applier.request("PATCH", path, body, merge).ok
        assert write(people.applier, agent("n", there), dry_run=True) == ""


def test_cluster_wide_reads_must_be_held_in_the_whole_cluster(people: People) -> None:
    body = agent("nodes")
    body["spec"]["permissions"] = {"level": "Admin", "clusterReads": ["nodes"]}
    said = write(people.tenant, body)
    assert "spec.permissions.clusterReads[0]: PermissionNotHeldByRequester: you may not do this yourself in the" in said
    assert "get nodes, list nodes, watch nodes" in said
    assert write(people.applier, body) == ""


def test_a_tenant_gives_no_config_map_that_the_tenant_may_not_read(people: People) -> None:
    def files(name: str) -> dict[str, Any]:
        return {"files": [{"path": "/etc/agent/a", "configMap": {"name": name, "key": "k"}}]}

    def variables(name: str) -> dict[str, Any]:
        return {"envFrom": [{"configMap": name, "keys": ["A"]}]}

    for number, given in enumerate((files, variables)):
        assert write(people.tenant, agent(f"config-{number}", **given("own-1"))) == ""
        said = write(people.tenant, agent(f"config-{number}", **given("another")))
        assert 'PermissionNotHeldByRequester: you may not get ConfigMap "another"' in said
        assert write(people.applier, agent(f"config-{number}", **given("another"))) == ""
        assert write(people.tenant, agent(f"config-{number}", **given("another"), replicas=2)) == "", "it had that"
        said = write(people.tenant, agent(f"config-{number}", **given("another"), args=["serve"]))
        assert "another" in said, "another program would read it"


def test_a_tenant_adds_nothing_to_an_agent_and_may_change_the_rest(people: People) -> None:
    assert write(people.applier, agent("shared", PODS)) == ""
    assert write(people.tenant, agent("shared", PODS, replicas=2)) == "", "it had that before"
    assert "update configmaps" in write(
        people.tenant, agent("shared", PODS, {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["update"]})
    )


def test_a_tenant_takes_no_secret_by_changing_what_runs(people: People) -> None:
    assert write(people.applier, agent("keyed", secrets=[KEY])) == ""
    assert write(people.tenant, agent("keyed", secrets=[KEY], replicas=0)) == ""
    other = KEY | {"source": {"existing": {"secretName": "llm", "key": "other"}}}
    moved = KEY | {"delivery": {"env": {"name": "LLM"}}}
    changes: list[dict[str, Any]] = [{"image": PINNED[:-1] + "b"}, {"command": ["sh"]}, {"args": ["x"]}]
    changes += [{"env": [{"name": "A", "value": "b"}]}, {"secrets": [other]}, {"secrets": [moved]}]
    changes += [{"files": [{"path": "/app/main.py", "content": "import os"}]}]
    for change in changes:
        said = write(people.tenant, agent("keyed", **{"secrets": [KEY], **change}))
        assert "SecretNotReadableByRequester" in said, change
    assert write(people.applier, agent("keyed", secrets=[KEY], args=["x"])) == ""


HOST = {"host": "api.anthropic.com", "rules": [{"methods": ["POST"], "paths": ["/v1/messages"]}]}
OTHER = {"host": "files.example.com", "rules": [{"methods": ["POST"]}]}
GATEWAY = {"host": "api.anthropic.com", "header": "x-api-key", "env": "API_KEY"}


def sent(*rules: dict[str, Any], **delivery: Any) -> dict[str, Any]:
    """Of a spec: a Secret that its gateway sends."""
    given = {field: value for field, value in (GATEWAY | delivery).items() if value is not None}
    return {"secrets": [KEY | {"delivery": {"gateway": given}}], "network": {"egress": list(rules or (HOST, OTHER))}}


def test_a_tenant_has_no_secret_sent_elsewhere(people: People) -> None:
    """Where the value goes, with which requests, and how many: each as naming the Secret anew."""
    assert write(people.applier, agent("sends", **sent())) == ""
    assert write(people.tenant, agent("sends", **sent(HOST), replicas=2)) == "", "what else it reaches may change"
    assert write(people.tenant, agent("sends", **sent())) == ""
    changes = [
        sent(HOST | {"rules": [{"methods": ["POST"], "paths": ["/v1/files"]}]}, OTHER),
        sent({"host": "api.anthropic.com", "preset": "anthropic"}, OTHER),
        sent(HOST | {"ports": [443, 8443]}, OTHER),
        sent(HOST | {"limits": {"requestsPerMinute": 9}}, OTHER),
        sent(host="files.example.com"),
        sent(header="x-other"),
        sent(header="authorization", scheme="Bearer"),
        sent(header=None, basic={"user": "u"}),
        sent(header=None, query="key"),
        sent(env="OTHER_KEY"),
    ]
    for change in changes:
        said = write(people.tenant, agent("sends", **change))
        assert "SecretNotReadableByRequester" in said, change
        assert "what is sent with it" in said
        assert write(people.applier, agent("sends", **change), dry_run=True) == "", change
    tunnel = {field: value for field, value in HOST.items() if field != "rules"} | {"mode": "Tunnel"}
    assert "SecretDelivery" in write(people.applier, agent("sends", **sent(tunnel, OTHER))), "a tunnel sends none"


def test_a_tenant_uses_no_permission_by_changing_what_runs(people: People) -> None:
    """The tenant may list pods, and not delete them."""
    assert write(people.applier, agent("guarded", PODS, args=["serve"])) == ""
    assert write(people.tenant, agent("guarded", PODS, args=["serve"], replicas=2)) == "", "the program stays"
    changes: list[dict[str, Any]] = [{"image": PINNED[:-1] + "b"}, {"command": ["sh"]}, {"args": ["x"]}]
    changes += [{"env": [{"name": "A", "value": "b"}]}, {"storage": {"mountPath": "/app", "size": "1Gi"}}]
    for change in changes:
        said = write(people.tenant, agent("guarded", PODS, **{"args": ["serve"], "replicas": 1, **change}))
        assert "PermissionNotHeldByRequester" in said, change
        assert "change what an agent with it runs: delete pods; leave it out" in said
    assert write(people.tenant, agent("guarded", LIST_PODS, args=["x"])) == "", "with what the tenant holds"
    assert write(people.applier, agent("guarded", PODS, args=["y"])) == ""
    try:
        people.delegate(DELEGATE)
        other = agent("guarded", PODS, args=["z"])
        wait_for("the delegate", lambda: "delegate of this namespace" in write(people.applier, other, dry_run=True))
        assert write(people.applier, agent("guarded", PODS, args=["y"], replicas=3)) == ""
    finally:
        people.delegate(None)
    wait_for("no delegate", lambda: write(people.applier, other, dry_run=True) == "")


@pytest.mark.parametrize(
    ("value", "subject"),
    [
        (DELEGATE, {"kind": "ServiceAccount", "name": "deployer", "namespace": SPACE}),
        ("group:oidc:team-a", {"apiGroup": RBAC, "kind": "Group", "name": "oidc:team-a"}),
    ],
)
def test_the_delegate_is_asked_about_in_place_of_an_applier_that_is_cluster_admin(
    people: People, value: str, subject: dict[str, Any]
) -> None:
    """At first it does not exist: it holds nothing."""
    wanted = agent("by-gitops", PODS, secrets=[KEY])
    try:
        people.delegate(value)
        wait_for("the delegate", lambda: "delegate of this namespace" in write(people.applier, wanted, dry_run=True))
        said = write(people.applier, wanted)
        assert "spec.permissions.rules[0]: PermissionNotHeldByRequester" in said
        assert "delete pods, list pods" in said
        assert "spec.secrets[0].source.existing.secretName: SecretNotReadableByRequester" in said
        assert write(people.applier, agent("by-gitops-plain")) == ""
        reads = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["llm"], "verbs": ["get"]}
        people.setup.cluster.apply(*role("delegate", PODS, reads, subject=subject))
        wait_for("what was granted", lambda: write(people.applier, wanted, dry_run=True) == "")
        assert write(people.tenant, wanted, dry_run=True) == "", "whoever applies it"
        people.setup.cluster.kubectl("delete", "-n", SPACE, "rolebinding", "delegate")
        wait_for("what was taken away", lambda: "PermissionNotHeld" in write(people.applier, wanted, dry_run=True))
    finally:
        people.delegate(None)
    wait_for("no delegate", lambda: write(people.applier, wanted, dry_run=True) == "")


def test_a_delegate_that_names_nobody(people: People) -> None:
    try:
        people.delegate("deployer")
        wait_for("the refusal", lambda: "names nobody" in write(people.applier, agent("x", PODS), dry_run=True))
        assert write(people.applier, agent("x"), dry_run=True) == ""
    finally:
        people.delegate(None)
    wait_for("no delegate", lambda: write(people.applier, agent("x", PODS), dry_run=True) == "")


def test_very_many_permissions(people: People) -> None:
    names = [f"object-{number}" for number in range(2000)]
    rule = {"apiGroups": [""], "resources": RESOURCES, "verbs": ["get"]}
    rules = [rule | {"resourceNames": names[at : at + 64]} for at in range(0, len(names), 64)]
    assert "10000 permissions on single objects" in write(people.tenant, agent("many", *rules), dry_run=True)
    assert write(people.applier, agent("many", *rules), dry_run=True) == ""
    held = agent("many", rule | {"resourceNames": OWN})
    wait_for("the answers within two seconds", lambda: write(people.tenant, held, dry_run=True) == "")


@pytest.fixture
def recording(people: People) -> Iterator[None]:
    """Who asks is recorded, by the chart's policies."""
    kind = "MutatingAdmissionPolicy"
    rendered = render("--api-versions", f"admissionregistration.k8s.io/v1/{kind}")
    policies = [one for one in rendered if one["metadata"]["name"] == "ringfence-guard-requester"]
    assert len(policies) == 4
    people.setup.cluster.apply(*policies)
    wait_for("the record", lambda: requested_by(people.applier, agent("recorded", LIST_PODS)) == "applier")
    yield
    for one in policies:
        people.setup.cluster.kubectl("delete", one["kind"], one["metadata"]["name"])


def requested_by(who: Server, body: dict[str, Any]) -> str:
    """Who is recorded for a new agent; nothing is stored."""
    answer = who.request("POST", f"{AGENTS}?dryRun=All", json.dumps(body).encode())
    found = answer.body["metadata"].get("annotations", {}).get(REQUESTED_BY_ANNOTATION) if answer.ok else None
    return str(json.loads(found)["username"]) if found else ""


def take_over(who: Server, name: str) -> str:
    """Stand for an agent. What is said against it."""
    stored = who.request("GET", f"{AGENTS}/{name}").body
    stored["metadata"]["annotations"][REQUESTED_BY_ANNOTATION] = TAKE_OVER
    answer = who.request("PUT", f"{AGENTS}/{name}", json.dumps(stored).encode())
    return "" if answer.ok else answer.message


@pytest.mark.usefixtures("recording")
def test_who_takes_an_agent_over_must_hold_all_of_it(people: People) -> None:
    named = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["own-1"], "verbs": ["get"]}
    assert write(people.applier, agent("of-applier", PODS)) == ""
    assert write(people.tenant, agent("of-applier", PODS, replicas=2)) == "", "nothing is asked for"
    refused = "you may not do this yourself in this namespace"
    said = take_over(people.tenant, "of-applier")
    assert refused in said
    assert ": delete pods; leave it out" in said
    said = write(people.tenant, agent("of-applier", PODS, named))
    assert ": delete pods; leave it out" in said, "who adds something that he holds stands for the rest, too"
    assert write(people.applier, agent("of-applier", PODS, named)) == ""
    assert write(people.applier, agent("for-tenant", LIST_PODS)) == ""
    assert take_over(people.tenant, "for-tenant") == ""
    stored = people.tenant.request("GET", f"{AGENTS}/for-tenant").body
    assert json.loads(stored["metadata"]["annotations"][REQUESTED_BY_ANNOTATION])["username"] == "tenant"
