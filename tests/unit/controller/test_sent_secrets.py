"""Secrets that an agent never sees: what its gateway is given, what the agent is given, and what is said of it."""

import base64
import json
from typing import Any

import pytest

from ringfence.api.network import EgressRule
from ringfence.api.secrets import GatewayDelivery
from ringfence.controller.agent.gateway import places
from ringfence.controller.agent.report import ROTATES_AGAIN, SECRETS_AGAIN
from ringfence.controller.agent.sent_secrets import LONGEST, SentSecrets, problem_of
from ringfence.gateway.model import Place
from ringfence.kube import Object
from ringfence.resources import JobImage, Ref
from ringfence.resources.secret_names import rotation_name
from ringfence.resources.secrets import stamp
from ringfence.store.records import child_path
from unit.controller.make import KEY
from unit.controller.test_gateway import CONFIG, GATEWAY, PODS, TRUST, GatewayPlace

SECRETS = f"/api/v1/namespaces/{KEY.namespace}/secrets"
LLM = f"{SECRETS}/llm"
REAL = "sk-real-0123456789"
HOST = {"host": "a.example.com", "rules": [{"methods": ["POST"], "paths": ["/v1/x"]}]}
EXISTING = {"existing": {"secretName": "llm", "key": "token"}}
PLACEHOLDER = "placeholder.key"


def secret(source: Any = None, **more: Any) -> dict[str, Any]:
    delivery = {"host": "a.example.com", "env": "API_KEY", "header": "x-api-key", **more}
    delivery = {field: value for field, value in delivery.items() if value is not None}
    rotation = {} if source is None else {"rotation": {"every": "720h"}}
    return {"name": "key", "source": source or EXISTING, "delivery": {"gateway": delivery}, **rotation}


class KeyPlace(GatewayPlace):
    """With an agent that has one such secret, and a Secret that somebody else made."""

    def __init__(self) -> None:
        super().__init__()
        self.reconciler.observer.sent_secrets = SentSecrets(self.reconciler.observer.secrets)
        self.reconciler.observer.job_image = JobImage("registry.example/ringfence:1")

    def ask(self, source: Any = None, *hosts: Object, **more: Any) -> None:
        self.deploy({"network": {"egress": list(hosts or [HOST])}, "secrets": [secret(source, **more)]})

    def store_secret(self, value: bytes | None = REAL.encode(), *, key: str = "token", uid: str = "llm-uid") -> None:
        data = {} if value is None else {key: base64.b64encode(value).decode()}
        metadata = {"name": "llm", "namespace": KEY.namespace, "uid": uid}
        self.kube.cluster.put(LLM, {"kind": "Secret", "metadata": metadata, "data": data})

    def routes(self) -> str:
        return self.data(CONFIG)["rds-443.json"].decode()

    def template(self, ref: Ref) -> Any:
        return self.kube.objects[child_path(ref)]["spec"]["template"]

    async def taken_up(self) -> Any:
        """Which version of its configuration its pod was told of, after a pass; None: it was told nothing yet."""
        await self.reconcile()
        metadata = self.kube.objects[f"{PODS}/g"]["metadata"]
        return metadata.get("annotations", {}).get("ringfence.dev/gateway-config")

    def mark(self) -> str:
        found: str = self.template(GATEWAY)["metadata"]["annotations"]["ringfence.dev/gateway-keys"]
        return found


AGENT = Ref("Deployment", KEY.namespace, f"ringfence-{KEY.name}")


@pytest.fixture
async def place() -> KeyPlace:
    found = KeyPlace()
    found.store_secret()
    found.ask()
    await found.settle()
    return found


async def test_the_agent_gets_a_placeholder_and_the_gateway_alone_the_secret(place: KeyPlace) -> None:
    held = place.data(TRUST)[PLACEHOLDER].decode()
    assert held.startswith("ringfence-placeholder-")
    assert len(held) == len("ringfence-placeholder-") + 48
    assert f'"exact":"{held}"' in place.routes()
    (agent,) = place.template(AGENT)["spec"]["containers"]
    variable = next(one for one in agent["env"] if one["name"] == "API_KEY")
    assert variable["valueFrom"] == {"secretKeyRef": {"name": TRUST.rpartition("/")[2], "key": PLACEHOLDER}}
    assert '"llm"' not in json.dumps(place.template(AGENT)), "its pod mounts nothing of the Secret"
    gateway = place.template(GATEWAY)["spec"]
    (volume,) = (one for one in gateway["volumes"] if one["name"].startswith("key-"))
    assert volume["secret"]["secretName"] == "llm"
    assert volume["secret"]["items"] == [{"key": "token", "path": "token"}]
    (mount,) = (one for one in gateway["containers"][0]["volumeMounts"] if one["name"] == volume["name"])
    assert mount == {"name": volume["name"], "mountPath": "/etc/ringfence/secrets/key", "readOnly": True}
    told = place.data(CONFIG)
    assert "/etc/ringfence/secrets/key/token" in told["sds-key-a.example.com-443-key-0.json"].decode()
    assert place.condition("Ready") == ("True", "Ready")


async def test_the_value_is_in_nothing_that_is_written_or_told(place: KeyPlace) -> None:
    del place.kube.objects[LLM]
    everything = json.dumps([place.kube.objects, [repr(one) for one in place.told]], default=repr)
    assert REAL not in everything
    assert base64.b64encode(REAL.encode()).decode() not in everything
    assert not any(REAL.encode() in content for path in (CONFIG, TRUST) for content in place.data(path).values())


async def test_at_rest_nothing_is_written_and_no_value_is_read(place: KeyPlace) -> None:
    place.take()
    await place.reconcile()
    assert {one.split()[0] for one in place.take()} <= {"get_metadata"}


async def test_a_rotated_value_is_taken_up_without_a_restart(place: KeyPlace) -> None:
    place.pod()
    held, mark, template = place.data(TRUST)[PLACEHOLDER], place.mark(), place.template(AGENT)
    place.store_secret(b"sk-next-9876543210")
    await place.reconcile()
    assert place.kube.objects[f"{PODS}/g"]["metadata"]["annotations"]["ringfence.dev/gateway-config"]
    assert (place.data(TRUST)[PLACEHOLDER], place.mark(), place.template(AGENT)) == (held, mark, template)


BROKEN: list[tuple[Any, str, str]] = [
    (None, "SecretNotFound", "has no key token"),
    (b"", "SecretUnusable", "is empty"),
    (b"\n", "SecretUnusable", "is empty"),
    (b"a\nb", "SecretUnusable", "has a line break inside"),
    (b"\x80\x81", "SecretUnusable", "is not text"),
]


@pytest.mark.parametrize(("value", "reason", "told"), BROKEN)
async def test_a_value_that_cannot_be_sent_closes_the_host_and_is_told(
    place: KeyPlace, value: bytes | None, reason: str, told: str
) -> None:
    place.store_secret(value)
    await place.reconcile()
    assert place.condition("GatewayReady") == ("False", reason)
    message = next(one["message"] for one in place.status["conditions"] if one["type"] == "GatewayReady")
    assert "a.example.com" in message
    assert told in message
    assert '"status":503' in place.routes()
    assert "placeholder" not in place.routes()
    place.store_secret(b"sk-good\n")
    await place.reconcile()
    place.run(GATEWAY)
    await place.reconcile()
    assert "placeholder" in place.routes()
    assert place.condition("GatewayReady") == ("True", "Available")


async def test_a_secret_that_goes_withdraws_the_route_and_one_that_comes_has_a_new_gateway(place: KeyPlace) -> None:
    mark = place.mark()
    place.kube.cluster.remove(LLM)
    await place.reconcile()
    assert place.condition("GatewayReady") == ("False", "SecretNotFound")
    assert place.condition("SecretsFresh") == ("False", "SecretNotFound")
    assert "is not there" in place.routes()
    assert '"cluster":"a.example.com' not in place.routes()
    place.store_secret(uid="another")
    await place.reconcile()
    assert '"cluster":"a.example.com' in place.routes()
    assert place.mark() != mark, "Envoy takes up for certain only what is there when it begins"


async def test_without_the_secret_an_agent_starts_and_the_rest_works() -> None:
    place = KeyPlace()
    place.ask(None, HOST, {"host": "b.example.com"})
    await place.settle()
    assert child_path(AGENT) in place.kube.objects
    assert '"host_rewrite_literal":"b.example.com.:443"' in place.routes()
    assert '"cluster":"a.example.com' not in place.routes()


async def test_of_a_generated_one_the_gateway_begins_with_the_value() -> None:
    place = KeyPlace()
    place.ask({"generate": {}})
    with pytest.raises(Exception, match="waits for the Secrets that its egress gateway sends"):
        await place.reconcile()
    assert child_path(GATEWAY) not in place.kube.objects
    with pytest.raises(Exception, match="address of its egress gateway"):
        await place.reconcile()
    mark = place.mark()
    place.assign()
    await place.reconcile()
    await place.reconcile()
    assert place.mark() == mark, "one gateway, not two"
    name = rotation_name(KEY.name, "key")
    volumes = place.template(GATEWAY)["spec"]["volumes"]
    assert name in {one["secret"]["secretName"] for one in volumes if "secret" in one}
    assert name not in json.dumps(place.template(AGENT))


@pytest.mark.parametrize("path", [TRUST, CONFIG])
async def test_the_placeholder_outlives_either_secret(place: KeyPlace, path: str) -> None:
    held = place.data(TRUST)[PLACEHOLDER]
    place.kube.cluster.remove(path)
    await place.reconcile()
    assert place.data(TRUST)[PLACEHOLDER] == place.data(CONFIG)[PLACEHOLDER] == held


async def test_a_placeholder_that_somebody_else_wrote_counts_for_nothing(place: KeyPlace) -> None:
    held = place.data(TRUST)[PLACEHOLDER]
    known = base64.b64encode(b"ringfence-placeholder-" + b"0" * 48).decode()
    await place.kube.merge(TRUST, {"data": {PLACEHOLDER: known}}, manager="kubectl-edit")
    await place.reconcile()
    assert place.data(TRUST)[PLACEHOLDER] == held


async def test_two_agents_have_two_placeholders(place: KeyPlace) -> None:
    other = KeyPlace()
    other.store_secret()
    other.ask()
    await other.settle()
    assert place.data(TRUST)[PLACEHOLDER] != other.data(TRUST)[PLACEHOLDER]


async def test_limits_and_presets_reach_the_gateway() -> None:
    place = KeyPlace()
    limited = HOST | {"limits": {"requestsPerMinute": 7, "maxBodyBytes": 1000}}
    place.store_secret()
    place.ask(None, limited, basic={"user": "git"}, header=None)
    await place.settle()
    assert '"max_request_bytes":1000' in place.routes()
    assert "count > 7" in place.data(CONFIG)["cds.json"].decode()
    held = place.data(TRUST)[PLACEHOLDER].decode()
    basic = base64.b64encode(f"git:{held}".encode()).decode()
    assert f"Basic {basic}" in place.routes()


def test_a_secret_has_the_place_that_is_said_or_each_of_the_preset() -> None:
    google = {"host": "generativelanguage.googleapis.com", "env": "API_KEY"}
    rule = EgressRule.model_validate({"host": google["host"], "preset": "google"})
    found = places(rule, GatewayDelivery.model_validate(google))
    assert found == (Place("x-goog-api-key"), Place(query="key"), Place("authorization", "Bearer"))
    assert places(rule, GatewayDelivery.model_validate(google | {"query": "token"})) == (Place(query="token"),)


FORMS = [
    (b"sk-1", ""),
    (b"sk-1\n", ""),
    (b"two words", ""),
    (b"", "is empty"),
    (b"sk-1\n\n", "line break"),
    (b"sk-1\r\n", "line break"),
    (b"a\rb", "line break"),
    (b"a\x00b", "is not text"),
    (b"a\tb", "is not text"),
    ("schlüssel".encode(), "is not text"),
    (b" sk-1", "blank"),
    (b"sk-1 ", "blank"),
    (b"x" * LONGEST, ""),
    (b"x" * (LONGEST + 1), "longer"),
]


@pytest.mark.parametrize(("value", "told"), FORMS)
def test_what_a_header_takes(value: bytes, told: str) -> None:
    found = problem_of(value)
    assert (told in found) if told else not found
    assert "sk-1" not in found


async def test_the_end_of_a_rotation_wakes_the_agent_which_has_its_gateway_look_at_once() -> None:
    place = KeyPlace()
    place.ask({"generate": {}})
    with pytest.raises(Exception, match="waits for the Secrets"):
        await place.reconcile()
    await place.settle()
    place.pod()
    taken_up = await place.taken_up()
    ref = Ref("CronJob", KEY.namespace, rotation_name(KEY.name, "key"))
    woken: list[Any] = []
    place.store.wake = lambda key, _: woken.append(key)
    live = place.kube.objects[child_path(ref)]
    # As the cluster writes it when a Job of it ends, also of one that somebody made from it.
    live["status"] = {"lastSuccessfulTime": "2026-01-01T00:00:00Z"}
    live["metadata"]["resourceVersion"] = str(place.kube.cluster.version + 1)
    place.store.children.observe("MODIFIED", live)
    assert woken == [KEY]
    assert await place.taken_up() == taken_up, "the value is the same"
    path = f"{SECRETS}/{ref.name}"
    await place.kube.merge(path, {"data": {"value": base64.b64encode(b"the next one").decode()}}, manager="Python")
    assert await place.taken_up() != taken_up


@pytest.mark.parametrize(("source", "soon"), [({"generate": {}}, True), (None, False)])
async def test_while_a_rotation_runs_its_agent_is_looked_at_twice_a_second(source: Any, soon: bool) -> None:
    """The CronJob tells of the job's end seconds after the value was written."""
    place = KeyPlace()
    place.store_secret()
    place.ask(source)
    if source:
        with pytest.raises(Exception, match="waits for the Secrets"):
            await place.reconcile()
    await place.settle()
    assert (await place.reconcile()).after == SECRETS_AGAIN
    labels = {"ringfence.dev/rotation": rotation_name(KEY.name, "key")}
    metadata = {"namespace": KEY.namespace, "name": "job-1", "resourceVersion": "1", "labels": labels}
    status = {"phase": "Running", "startTime": stamp(place.reconciler.observer.clock())}
    place.store.rotations.pods.observe("ADDED", {"metadata": metadata, "status": status})
    assert (await place.reconcile()).after == (ROTATES_AGAIN if soon else SECRETS_AGAIN)
    metadata["resourceVersion"], status["phase"] = "2", "Succeeded"
    place.store.rotations.pods.observe("MODIFIED", {"metadata": metadata, "status": status})
    assert (await place.reconcile()).after == SECRETS_AGAIN


async def test_an_agent_without_such_a_secret_costs_no_look(place: KeyPlace) -> None:
    place.deploy({"network": {"egress": [HOST]}})
    await place.reconcile()
    place.take()
    await place.reconcile()
    assert sorted(place.take()) == sorted(f"get_metadata secrets/{path.rpartition('/')[2]}" for path in (CONFIG, TRUST))


async def test_of_an_agent_that_is_refused_nothing_of_the_secret_is_told() -> None:
    """Whoever wrote it may not be allowed to get it."""
    place = KeyPlace()
    place.store_secret(b"a\nb")
    place.ask(None, {"host": "refused.example.com"})
    await place.reconcile()
    assert place.condition("Accepted")[0] == "False"
    told = json.dumps([place.status, [repr(one) for one in place.told]])
    assert "line break" not in told
    assert not [path for path in (CONFIG, TRUST) if path in place.kube.objects]
