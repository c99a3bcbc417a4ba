"""Whoever may write the Lease does his worst: a replica leads all the same; where none can, each says so."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from api.controller.place import FULL, Place
from api.controller.process import Controller, Options
from api.server import Server
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.resources import Manifest

LEASE = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/ringfence-controller"
FORGED = {
    "holderIdentity": "nobody",
    "leaseDurationSeconds": 3600,
    "leaseTransitions": 2**31 - 1,
    "renewTime": "2999-01-01T00:00:00.000000Z",
}
OPEN: Manifest = {"spec": {"egress": [{}], "policyTypes": ["Ingress", "Egress"]}}
Begin = Callable[..., Controller]

pytestmark = pytest.mark.usefixtures("nobody_else")


@pytest.fixture
def begin(lease_namespace: str, replica: Callable[[Options], Controller]) -> Begin:
    """Start replicas, by name. What one of them leaves, as a pod whose container is restarted, is started anew."""

    def start(identity: str, kubeconfig: Path | None = None) -> Controller:
        return replica(Options(lease_namespace, identity, kubeconfig))

    return start


@pytest.fixture
def lease(lease_namespace: str) -> str:
    return LEASE.format(lease_namespace)


def spec_of(client: Server, path: str) -> Manifest:
    found: Manifest = client.request("GET", path).body["spec"]
    return found


def test_a_forged_lease_is_taken_over_and_an_edited_policy_put_right(
    client: Server, fresh: Place, begin: Begin, lease: str
) -> None:
    first = begin("first").wait_leading()
    second = begin("second")
    wait_for("the second waits", lambda: second.get("/readyz")[0] == 200)
    fresh.agent("a", FULL)
    fresh.wait_applied()

    fresh.merge_at(lease, {"spec": FORGED})
    wait_for("the leader stops", lambda: first.exit_code is not None)
    fresh.merge("NetworkPolicy", "ringfence-a-allow", OPEN)
    fresh.merge_at(
        lease, {"metadata": {"labels": {"edited": "again"}}, "spec": FORGED | {"leaseDurationSeconds": 9999}}
    )
    third = begin("third")
    wait_for("the third waits", lambda: third.get("/readyz")[0] == 200)
    fresh.wait_right()  # of a process that was there already, and without a restart

    found = spec_of(client, lease)
    assert found["holderIdentity"] in {"second", "third"}
    assert found["leaseDurationSeconds"] < FORGED["leaseDurationSeconds"]
    leads, stands_by = (second, third) if found["holderIdentity"] == "second" else (third, second)
    leads.wait_leading()
    assert stands_by.get("/readyz")[0] == 200
    assert [line for one in (second, third) for line in one.lines if line["event"] == "nobody leads"] == []


def test_a_lease_held_by_a_finalizer_and_deleted_is_made_again(
    client: Server, fresh: Place, begin: Begin, lease: str
) -> None:
    only = begin("only").wait_leading()
    before = client.request("GET", lease).body["metadata"]["uid"]
    fresh.merge_at(lease, {"metadata": {"finalizers": ["example.com/hold"]}})
    client.request("DELETE", lease)

    def made_again() -> bool:
        answer = client.request("GET", lease)
        return answer.ok and answer.body["metadata"]["uid"] != before

    wait_for("a Lease of ours", made_again)
    fresh.agent("a", FULL)
    fresh.wait_applied()
    assert only.exit_code is None
    assert spec_of(client, lease)["holderIdentity"] == "only"


def test_nobody_leads_is_said_until_somebody_does(
    cluster: Cluster, client: Server, begin: Begin, lease: str, fresh: Place
) -> None:
    """Two replicas without a right on the Lease, which they get in the end."""
    user = f"replica-{uuid4().hex[:8]}"
    kubeconfig = cluster.user_kubeconfig(user, [])
    pair = [begin("one", kubeconfig), begin("two", kubeconfig)]
    for one in pair:
        wait_for("it says so", partial(complains, one))
        code, text = one.get("/readyz")
        assert code == 503
        assert "leader: no leader has been seen for" in text
        assert "forbidden" in text
        assert one.metric("ringfence_leader") == 0
        assert one.metric("ringfence_leader_last_seen_timestamp_seconds") > 0
        wait_for("it is in the log", partial(told, one))

    subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    role = {"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": "rbac.authorization.k8s.io"}
    binding = {"metadata": {"name": user}, "subjects": [subject], "roleRef": role}
    bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    assert client.request("POST", bindings, json.dumps(binding).encode()).ok
    try:
        wait_for("one leads", lambda: any(one.leading() for one in pair))
        wait_for("both are ready", lambda: all(one.get("/readyz")[0] == 200 for one in pair))
        assert [len(told(one)) for one in pair] == [1, 1]
        assert [line["level"] for one in pair for line in told(one)] == ["error", "error"]
        fresh.agent("a", FULL)
        fresh.wait_applied()
    finally:
        for one in pair:
            one.stop()
        client.request("DELETE", f"{bindings}/{user}")


def complains(one: Controller) -> bool:
    return "no leader" in one.get("/readyz")[1]


def told(one: Controller) -> list[dict[str, Any]]:
    return [line for line in one.lines if line["event"] == "nobody leads"]
