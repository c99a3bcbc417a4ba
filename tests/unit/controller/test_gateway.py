"""Whole passes over an agent with hosts: its gateway, the Secrets of that, and what is said of it."""

import base64
import json
from typing import Any

import pytest
from cryptography import x509

from ringfence.controller.agent.gateways import Gateways
from ringfence.kube import ApiError, Object
from ringfence.resources import JobImage, Ref
from ringfence.resources.gateway_names import authorities_name, gateway_label, gateway_name
from ringfence.store.records import child_path
from ringfence.store.sources import AGENT_POLICY
from ringfence.telemetry.events import ChildRepaired
from unit.controller.make import KEY
from unit.controller.test_reconciler import Place

ENVOY = JobImage("registry.example/envoy@sha256:" + "1" * 64)
NAME = gateway_name(KEY.name)
CONFIG = f"/api/v1/namespaces/{KEY.namespace}/secrets/{NAME}"
TRUST = f"/api/v1/namespaces/{KEY.namespace}/secrets/{authorities_name(KEY.name)}"
PODS = f"/api/v1/namespaces/{KEY.namespace}/pods"
SERVICE, GATEWAY = (Ref(kind, KEY.namespace, NAME) for kind in ("Service", "Deployment"))
POLICY = {
    "metadata": {"name": "p"},
    "spec": {"egress": {"hosts": [{"name": "a.example.com"}, {"name": "b.example.com"}]}},
}


class GatewayPlace(Place):
    """With gateways. The cluster gives a Service its address when that is made."""

    def __init__(self, image: JobImage | None = ENVOY) -> None:
        super().__init__()
        gateways = Gateways(self.reconciler.observer.secrets)
        self.reconciler.observer.gateways, self.reconciler.observer.gateway_image = gateways, image
        self.reconciler.executor.gateways = gateways
        self.store.context.observe(AGENT_POLICY, "ADDED", POLICY)

    def hosts(self, *names: str) -> None:
        """The agent is to reach these."""
        self.deploy({"network": {"egress": [{"host": name} for name in names]}})

    def assign(self) -> None:
        """The address of its Service."""
        live = self.kube.objects[child_path(SERVICE)]
        live["spec"]["clusterIP"] = "10.96.0.7"
        live["metadata"]["resourceVersion"] = str(self.kube.cluster.version + 1)
        self.store.children.observe("MODIFIED", live)

    async def settle(self) -> None:
        """From nothing to everything there."""
        with pytest.raises(Exception, match="address of its egress gateway"):
            await self.reconcile()
        self.assign()
        await self.reconcile()
        self.run()
        self.run(GATEWAY)
        await self.reconcile()

    def data(self, path: str) -> dict[str, bytes]:
        found = self.kube.objects[path]["data"]
        return {name: base64.b64decode(value) for name, value in found.items()}

    def aliases(self) -> Any:
        workload = self.kube.objects[child_path(Ref("Deployment", KEY.namespace, f"ringfence-{KEY.name}"))]
        return workload["spec"]["template"]["spec"].get("hostAliases")

    def pod(self) -> Object:
        """One of the gateway's."""
        metadata = {"name": "g", "uid": "p", "labels": {"ringfence.dev/agent": gateway_label(KEY.name)}}
        return self.kube.cluster.put(f"{PODS}/g", {"kind": "Pod", "metadata": metadata | {"namespace": KEY.namespace}})


@pytest.fixture
async def place() -> GatewayPlace:
    found = GatewayPlace()
    found.hosts("a.example.com")
    await found.settle()
    return found


async def test_first_the_fence_and_the_secrets_then_the_gateway_then_the_agent() -> None:
    place = GatewayPlace()
    place.hosts("a.example.com")
    await place.settle()
    made = [one.split()[1] for one in place.take() if one.startswith(("create ", "apply_new "))]
    assert made == [
        "networkpolicies/ringfence-a-deny",
        "networkpolicies/ringfence-a-allow",
        "serviceaccounts/ringfence-a",
        f"secrets/{NAME}-ca",
        f"secrets/{NAME}",
        f"networkpolicies/{NAME}",
        f"serviceaccounts/{NAME}",
        f"services/{NAME}",
        f"deployments/{NAME}",
        "deployments/ringfence-a",
    ]
    assert place.aliases() == [{"ip": "10.96.0.7", "hostnames": ["a.example.com"]}]
    assert place.condition("GatewayReady") == place.condition("WorkloadAvailable") == ("True", "Available")
    assert place.condition("Ready") == ("True", "Ready")


async def test_at_rest_nothing_is_written(place: GatewayPlace) -> None:
    place.take()
    await place.reconcile()
    assert {one.split()[0] for one in place.take()} <= {"get_metadata"}


async def test_the_agent_is_given_certificates_and_the_gateway_no_authority(place: GatewayPlace) -> None:
    trust, config = place.data(TRUST), place.data(CONFIG)
    assert set(trust) == {"ca.crt", "authorities.json"}
    (authority,) = x509.load_pem_x509_certificates(trust["ca.crt"])
    leaf = x509.load_pem_x509_certificate(config["a.example.com.crt"])
    leaf.verify_directly_issued_by(authority)
    for name, content in config.items():
        if name.endswith(".json"):
            json.loads(content)
    key = json.loads(trust["authorities.json"])["a.example.com"]["authorities"][0][1]
    assert all(base64.b64decode(key) not in content for content in config.values())


async def test_a_changed_list_is_taken_up_by_the_pods(place: GatewayPlace) -> None:
    place.pod()
    before, trusted = place.data(CONFIG), place.data(TRUST)["ca.crt"]
    place.hosts("a.example.com", "b.example.com")
    await place.reconcile()
    after = place.data(CONFIG)
    assert before["a.example.com.crt"] == after["a.example.com.crt"], "who is in a call goes on"
    assert place.data(TRUST)["ca.crt"].startswith(trusted)
    assert "b.example.com.crt" in after
    annotations = place.kube.objects[f"{PODS}/g"]["metadata"]["annotations"]
    assert list(annotations) == ["ringfence.dev/gateway-config"]
    assert place.aliases()[0]["hostnames"] == ["a.example.com", "b.example.com"]


@pytest.mark.parametrize("path", [CONFIG, TRUST])
async def test_what_somebody_wrote_is_put_back_and_counts(place: GatewayPlace, path: str) -> None:
    before, place.told[:] = place.data(CONFIG), []
    await place.kube.merge(path, {"data": {"lds.json": "e30="}}, manager="kubectl-edit")
    await place.reconcile()
    assert place.data(CONFIG) == before
    (told,) = (one for one in place.told if isinstance(one, ChildRepaired))
    assert (told.kind, told.rule) == ("Secret", "ChildEdited")
    place.told.clear()
    await place.reconcile()
    assert not [one for one in place.told if isinstance(one, ChildRepaired)], "it is told once"


async def test_a_secret_of_which_no_manager_is_known_is_made_anew(place: GatewayPlace) -> None:
    """Whoever resets the list has no later edit show in it."""
    before = place.data(CONFIG)
    live = place.kube.objects[CONFIG]
    uid = live["metadata"]["uid"]
    live["metadata"]["managedFields"] = []
    live["data"] = {}
    await place.reconcile()
    assert place.data(CONFIG) == before
    assert place.kube.objects[CONFIG]["metadata"]["uid"] != uid


async def test_what_somebody_deleted_is_made_anew_with_the_same_authority(place: GatewayPlace) -> None:
    trusted = place.data(TRUST)["ca.crt"]
    place.kube.cluster.remove(CONFIG)
    await place.reconcile()
    assert place.data(TRUST)["ca.crt"] == trusted
    assert "a.example.com.crt" in place.data(CONFIG)


async def test_without_an_image_it_waits_and_says_so() -> None:
    place = GatewayPlace(image=None)
    place.hosts("a.example.com")
    await place.reconcile()
    assert place.condition("GatewayReady") == ("False", "NoGatewayImage")
    assert place.condition("Ready") == ("False", "NoGatewayImage")
    assert not [path for path in place.kube.objects if "deployments" in path and "ringfence-a" in path]


async def test_where_secrets_are_not_granted_it_says_what_to_do() -> None:
    place = GatewayPlace()
    place.hosts("a.example.com")
    place.kube.refuse(ApiError(403, "Forbidden", "no"), verb="get")
    await place.reconcile()
    assert place.condition("GatewayReady") == ("False", "NotGranted")


async def test_without_hosts_all_of_it_goes(place: GatewayPlace) -> None:
    place.hosts()
    await place.reconcile()
    left = [path for path in place.kube.objects if NAME in path]
    assert left == []
    assert not any(one["type"] == "GatewayReady" for one in place.status["conditions"])
    assert place.aliases() is None


async def test_a_strangers_secret_of_that_name_is_left_alone() -> None:
    place = GatewayPlace()
    stranger = {"kind": "Secret", "metadata": {"name": NAME, "namespace": KEY.namespace}, "data": {"x": "eA=="}}
    place.kube.cluster.put(CONFIG, stranger)
    place.hosts("a.example.com")
    await place.reconcile()
    assert place.kube.objects[CONFIG]["data"] == {"x": "eA=="}
    assert place.condition("GatewayReady") == ("False", "ChildNotOurs")


async def test_a_gateway_that_goes_by_what_was_before_is_said_to(place: GatewayPlace) -> None:
    place.reconciler.observer.gateway_refuses = lambda key: key == KEY
    await place.reconcile()
    assert place.condition("GatewayReady") == ("True", "Available"), "its pod has the last word"
    place.run(GATEWAY, ready=0)
    await place.reconcile()
    assert place.condition("GatewayReady") == place.condition("Ready") == ("False", "GatewayRefusedUpdate")
    found = next(one for one in place.status["conditions"] if one["type"] == "GatewayReady")
    assert f"kubectl logs deployment/{NAME}" in found["message"]
    place.run(GATEWAY)
    await place.reconcile()
    assert place.condition("GatewayReady") == ("True", "Available")


async def test_what_no_secret_holds_is_said_and_the_gateway_goes_on(place: GatewayPlace) -> None:
    before = place.kube.objects[CONFIG]["metadata"]["resourceVersion"]
    names = [f"host-{number}.example.com" for number in range(100)]
    place.store.context.observe(
        AGENT_POLICY, "MODIFIED", POLICY | {"spec": {"egress": {"hosts": [{"name": name} for name in names]}}}
    )
    place.deploy({"network": {"egress": [{"host": name, "ports": [443, 8443, 9443]} for name in names]}})
    await place.reconcile()
    assert place.condition("GatewayReady") == ("False", "GatewayUnusable")
    assert place.condition("Ready") == ("False", "GatewayUnusable")
    found = next(one for one in place.status["conditions"] if one["type"] == "GatewayReady")
    assert "name fewer hosts" in found["message"]
    assert place.kube.objects[CONFIG]["metadata"]["resourceVersion"] == before
