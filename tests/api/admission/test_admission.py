"""The review server in front of a real API server: what users see, and what does not break.

Two replicas behind a stand-in for the Service; certificates made by the keeper, as in the cluster.
"""

import copy
import json
import subprocess
import time
from http import HTTPStatus
from typing import Any

import pytest
from tools.logs_reference import LINES

from api.admission.setup import AGENTS, PINNED, WIDE_OPEN, Setup, agent, namespace, policy, refused
from api.server import Server
from cluster.errors import CommandFailed
from cluster.shell import wait_for
from unit.policy.signing import Signer, asking, carried


class TestWhatUsersSee:
    def test_a_modest_agent_gets_in(self, setup: Setup) -> None:
        assert "created" in setup.cluster.apply(agent("modest"))

    def test_each_broken_rule_is_a_line_with_its_field_and_the_fix(self, setup: Setup) -> None:
        spec = copy.deepcopy(WIDE_OPEN)
        spec["image"] = "registry.example/acme/researcher:latest"
        spec["permissions"] = {"rules": [{"apiGroups": [""], "resources": ["*"], "verbs": ["get"]}]}
        text = refused(setup.cluster, agent("greedy", spec))
        assert 'admission webhook "admission.ringfence.dev" denied the request' in text
        assert "\n  spec.image: ImageNoDigest: " in text
        assert "\n  spec.network.egress[0].cidr: EgressUnrestricted: " in text
        assert "\n  spec.permissions.rules[0].resources[0]: RightsWildcard: " in text

    def test_a_namespace_that_is_not_open_says_how_it_is_opened(self, setup: Setup) -> None:
        assert "ringfence.dev/agents: enabled" in refused(setup.cluster, agent("lost", namespace="closed"))

    def test_a_policy_with_idle_words_gets_in_with_a_warning(self, setup: Setup, server: Server) -> None:
        allow = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
        spec = {"namespaceSelector": {"matchLabels": {"nobody": "here"}}, "permissions": {"allow": allow}}
        done = subprocess.run(
            ["kubectl", "create", "-f", "-"],
            input=json.dumps(policy("idle", spec)),
            env=setup.cluster.env,
            capture_output=True,
            text=True,
            check=True,
        )
        assert 'Warning: spec.permissions.allow[0].resources: "secrets"' in done.stderr

    def test_each_decision_is_one_line_with_who_and_what(self, setup: Setup) -> None:
        def said(name: str) -> list[dict[str, Any]]:
            texts = [replica.log.read_text() for replica in setup.replicas]
            lines = [json.loads(line) for text in texts for line in text.splitlines() if line.startswith("{")]
            found = [line for line in lines if line.get("name") == name]
            assert all(
                set(line) - {"timestamp", "level", "event"} == set(LINES[line["event"]].fields) for line in found
            )
            return found

        for _ in range(3):  # the same manifest again is no decision
            setup.cluster.apply(agent("told"))
        refused(setup.cluster, agent("told-no", WIDE_OPEN))
        setup.cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(agent("told-dry")))
        (line,) = said("told")
        assert (line["event"], line["operation"], line["kind"]) == ("allowed", "CREATE", "AgentDeployment")
        assert (line["namespace"], line["user"], line["dryRun"]) == ("team", "ringfence-admin", False)
        assert line["uid"]
        (line,) = said("told-no")
        assert (line["event"], line["allowed"], line["user"]) == ("refused", False, "ringfence-admin")
        assert "EgressUnrestricted" in line["rules"]
        assert "spec.network.egress[0].cidr" in line["paths"]
        assert [line["dryRun"] for line in said("told-dry")] == [True]

    def test_a_secret_in_plain_text_is_refused_and_not_repeated(self, setup: Setup) -> None:
        value = "hunter2-in-the-clear"
        env = [{"name": "DB_PASSWORD", "value": value}, {"name": "URL", "value": f"https://agent:{value}@example.com/"}]
        said = refused(setup.cluster, agent("plain", {"image": PINNED, "env": env, "args": ["--token", value]}))
        assert "spec.args[1]: SecretInPlainText: the name before it says that this is a secret" in said
        assert "spec.env[0].value: SecretInPlainText: the variable's name says that this is a secret" in said
        assert "delivery: {env: {name: DB_PASSWORD}}" in said
        assert "spec.env[1].value: SecretInPlainText: looks like a URL with a password" in said

        def logs() -> str:
            return "".join(replica.log.read_text() for replica in setup.replicas)

        wait_for("the line of the log, which comes after the answer", lambda: "SecretInPlainText" in logs())
        assert value not in said + logs()

    @pytest.mark.parametrize("how", ["--server-side", "--dry-run=server"])
    def test_other_ways_in_meet_the_same_rules(self, setup: Setup, how: str) -> None:
        text = json.dumps(agent("greedy", WIDE_OPEN))
        with pytest.raises(Exception, match="EgressUnrestricted"):
            setup.cluster.kubectl("apply", how, "-f", "-", stdin=text)

    def test_generate_name(self, setup: Setup, server: Server) -> None:
        obj = agent("x", WIDE_OPEN)
        obj["metadata"] = {"generateName": "made-", "namespace": "team"}
        answer = server.request("POST", AGENTS, json.dumps(obj).encode())
        assert answer.code == 403
        assert answer.body["details"]["causes"][0]["field"].startswith("spec.network.egress[0]")

    @pytest.mark.parametrize("kind", ["merge", "json"])
    def test_a_patch_is_decided_as_what_it_makes(self, setup: Setup, kind: str) -> None:
        setup.cluster.apply(agent("patched"))
        merge = '{"spec": {"image": "nginx:latest"}}'
        patch = merge if kind == "merge" else '[{"op": "replace", "path": "/spec/image", "value": "nginx:latest"}]'
        with pytest.raises(Exception, match="ImageNoDigest"):
            setup.cluster.kubectl("patch", "-n", "team", "agd", "patched", "--type", kind, "-p", patch)


def test_namespace_policy_and_agent_in_one_apply(setup: Setup) -> None:
    """The watch of the review server may lag behind: a live read keeps the good ones from being refused."""
    for number in range(5):
        name = f"fresh-{number}"
        bound = policy(name, {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}})
        bound["spec"]["images"] = {"requireDigest": False}
        unpinned = agent("quick", {"image": "registry.example/x:1"}, namespace=name)
        setup.cluster.apply(namespace(name), bound, unpinned)
        setup.cluster.kubectl("delete", "--wait=false", "namespace", name)
        setup.cluster.kubectl("delete", "agp", name)


def test_an_image_that_nobody_signed_is_refused(setup: Setup, server: Server) -> None:
    """Until it is signed, and while one key is replaced by another."""
    apply, name = setup.cluster.apply, "signed"
    old, new = Signer(), Signer()
    bound = policy(name, {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}})
    apply(namespace(name), bound)
    digest = PINNED.partition("@")[2]

    def brings(*bundles: Any) -> dict[str, Any]:
        return agent("a", {"image": PINNED} | carried(*bundles), namespace=name)

    def answers(expected: int, body: dict[str, Any]) -> None:
        path, text = AGENTS.replace("/team/", f"/{name}/") + "?dryRun=All", json.dumps(body).encode()
        wait_for(str(expected), lambda: {server.request("POST", path, text).code for _ in range(5)} == {expected})

    apply(bound | {"spec": bound["spec"] | asking(old.pem)})
    answers(HTTPStatus.FORBIDDEN, brings())
    said = refused(setup.cluster, brings(new.bundle(digest)))
    assert "spec.image: ImageNotSigned: is not signed by a key of policy" in said
    assert "spec.imageSignatures[0] is not by one of these keys" in said
    assert f"cosign sign --key KEY --bundle FILE NAME@{digest}" in said
    apply(brings(old.bundle(digest)))
    apply(bound | {"spec": bound["spec"] | asking(old.pem, new.pem)})
    answers(HTTPStatus.CREATED, brings(new.bundle(digest)) | {"metadata": {"name": "b", "namespace": name}})
    apply(brings(old.bundle(digest), new.bundle(digest)))


def test_what_a_namespace_may_ask_for_in_sum(setup: Setup, server: Server) -> None:
    """Asked at both replicas, of which each counts for itself."""
    apply, name = setup.cluster.apply, "limited"
    bound = policy(name, {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}})
    bound["spec"]["limits"] = {"agents": 2, "replicas": 4, "cpu": "3", "memory": "1Gi", "storage": "1Gi"}
    apply(namespace(name), bound)
    path, lowest = AGENTS.replace("/team/", f"/{name}/"), {"limits": {"cpu": "10m", "memory": "1Mi"}}

    def small(agent_name: str, **spec: Any) -> dict[str, Any]:
        return agent(agent_name, {"image": PINNED, "resources": lowest} | spec, namespace=name)

    def refuses(body: dict[str, Any]) -> bool:
        text = json.dumps(body).encode()
        return all(server.request("POST", f"{path}?dryRun=All", text).code == HTTPStatus.FORBIDDEN for _ in range(5))

    wait_for("the replicas to know the policy", lambda: refuses(small("large", replicas=5)))
    apply(small("a", replicas=3))
    wait_for("the replicas to know the agent", lambda: refuses(small("b", replicas=2)))
    expected: dict[str, dict[str, Any]] = {
        "spec.replicas: ReplicasAbovePolicy": {"replicas": 2},
        "spec.resources.limits.cpu: CpuAbovePolicy": {"resources": {"limits": {"cpu": 3, "memory": "1Mi"}}},
        "spec.resources.limits.memory: MemoryAbovePolicy": {"resources": {"limits": {"cpu": "10m", "memory": "1Gi"}}},
        "spec.storage.size: StorageAbovePolicy": {"storage": {"mountPath": "/data", "size": "1025Mi"}},
    }
    for said, spec in expected.items():
        assert said in refused(setup.cluster, small("b", **spec))
    assert "3 in sum (limits.cpu), of which other agents have 30m" in refused(
        setup.cluster, small("b", resources={"limits": {"cpu": "2971m", "memory": "1Mi"}})
    )
    apply(small("b"))
    wait_for("the replicas to know both", lambda: refuses(small("c", suspended=True)))
    assert "spec: AgentsAbovePolicy" in refused(setup.cluster, small("c", suspended=True))
    # Room that is left is there at once: what a cache that lags refuses is read again.
    setup.cluster.kubectl("delete", "-n", name, "agd", "a")
    apply(small("c", replicas=3))
    setup.cluster.kubectl("delete", "--wait=false", "namespace", name)
    setup.cluster.kubectl("delete", "agp", name)


def test_an_agent_is_scaled_within_what_policies_allow(setup: Setup, server: Server) -> None:
    kubectl, name = setup.cluster.kubectl, "scaled"
    bound = policy(name, {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}})
    bound["spec"]["limits"] = {"perAgent": {"replicas": 3}}
    setup.cluster.apply(namespace(name), bound)
    setup.cluster.apply(agent("a", {"image": PINNED}, namespace=name))
    setup.cluster.apply(agent("b", {"image": PINNED, "storage": {"mountPath": "/data", "size": "1Gi"}}, namespace=name))

    def scale(agent_name: str, number: int) -> str:
        try:
            return kubectl("scale", "-n", name, f"agd/{agent_name}", f"--replicas={number}")
        except CommandFailed as failure:
            return str(failure)

    wait_for("the replicas to know the policy", lambda: all("perAgent" in scale("a", 4) for _ in range(5)))
    assert "ReplicasAbovePolicy" in scale("a", 4)
    assert "scaled" in scale("a", 3)
    assert setup.cluster.get("agd", "a", "-n", name)["spec"]["replicas"] == 3
    assert "storage is mounted by one pod at a time" in scale("b", 2)
    assert "less than or equal to 100" in scale("a", 101)
    kubectl("delete", "--wait=false", "namespace", name)
    kubectl("delete", "agp", name)


def test_a_policy_that_became_stricter_locks_nobody_out(setup: Setup, server: Server) -> None:
    lax = policy("lax", {"images": {"requireDigest": False}})
    setup.cluster.apply(lax)
    setup.cluster.apply(agent("loose", {"image": "registry.example/x:1"}, finalizers=["example.com/hold"]))
    setup.cluster.kubectl("delete", "agp", "lax")
    late = json.dumps(agent("late", {"image": "registry.example/x:1"})).encode()
    tries = range(5)  # the replicas learn of it each for itself
    wait_for(
        "the replicas to know",
        lambda: all(server.request("POST", f"{AGENTS}?dryRun=All", late).code == HTTPStatus.FORBIDDEN for _ in tries),
    )
    setup.cluster.kubectl("label", "-n", "team", "agd", "loose", "a=b")
    with pytest.raises(Exception, match="ImageNoDigest"):
        setup.cluster.kubectl("patch", "-n", "team", "agd", "loose", "--type=merge", "-p", '{"spec": {"replicas": 2}}')
    # B34: held alive by its finalizer, it is still decided.
    setup.cluster.kubectl("delete", "--wait=false", "-n", "team", "agd", "loose")
    with pytest.raises(Exception, match="ImageNoDigest"):
        setup.cluster.kubectl("patch", "-n", "team", "agd", "loose", "--type=merge", "-p", '{"spec": {"replicas": 2}}')
    free = '{"metadata": {"finalizers": null}}'
    setup.cluster.kubectl("patch", "-n", "team", "agd", "loose", "--type=merge", "-p", free)
    assert "loose" not in setup.cluster.kubectl("get", "-n", "team", "agd")


def test_a_large_object_is_decided(setup: Setup, server: Server) -> None:
    """R10: as large as etcd takes; an UPDATE carries it twice."""
    env = [{"name": f"V{number}", "value": "x" * 10_000} for number in range(100)]
    setup.cluster.kubectl("create", "-f", "-", stdin=json.dumps(agent("large", {"image": PINNED, "env": env})))
    with pytest.raises(Exception, match="ImageNoDigest"):
        setup.cluster.kubectl("patch", "-n", "team", "agd", "large", "--type=merge", "-p", '{"spec": {"image": "x:1"}}')
    setup.cluster.kubectl("label", "-n", "team", "agd", "large", "a=b")
    # Nearly as large as a request may be, beside the stored one: not stored itself, for etcd takes half as much.
    env = [{"name": f"V{number}", "value": "x" * 22_000} for number in range(128)]
    for image, code in ((PINNED, HTTPStatus.OK), ("x:1", HTTPStatus.FORBIDDEN)):
        body = json.dumps({"spec": {"image": image, "env": env}}).encode()
        path = f"{AGENTS}/large?dryRun=All"
        assert server.request("PATCH", path, body, "application/merge-patch+json").code == code


def test_metrics_tell_what_was_refused(setup: Setup) -> None:
    def counted() -> tuple[float, float]:
        violation = 'ringfence_violations_total{namespace="team",rule="EgressUnrestricted",source="admission"}'
        request = 'ringfence_admission_requests_total{allowed="false",operation="CREATE"}'
        return tuple(sum(one.metric(name) for one in setup.replicas) for name in (violation, request))  # type: ignore[return-value]

    violations, requests = counted()
    refused(setup.cluster, agent("greedy", WIDE_OPEN))
    with pytest.raises(Exception, match="EgressUnrestricted"):
        setup.cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(agent("greedy", WIDE_OPEN)))
    assert counted() == (violations + 1, requests + 1), "and the dry run is not among them"
    for replica in setup.replicas:
        assert replica.metric("ringfence_admission_certificate_expiry_timestamp_seconds") > time.time() + 80 * 86400
