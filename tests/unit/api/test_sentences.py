"""What people write first is refused with the Ringfence way, and no refusal is pydantic's or a regular expression."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from ringfence.api import AgentDeployment, AgentDeploymentSpec, AgentPolicy, AgentPolicySpec, parse
from ringfence.api.base import Model
from ringfence.api.hints import UNKNOWN
from ringfence.api.patterns import PATTERNS
from ringfence.api.schema import custom_resource_definition, walk
from ringfence.api.sentences import closest

DIGEST = "a@sha256:" + "0" * 64


def said(**spec: Any) -> dict[str, str]:
    return {error.path: error.message for error in parse(AgentDeploymentSpec, {"image": DIGEST} | spec).errors}


FIRST: list[tuple[dict[str, Any], str, str]] = [
    ({"containers": [{}]}, "spec.containers", "stand in spec itself"),
    ({"template": {}}, "spec.template", "image, command, args"),
    ({"livenessProbe": {}}, "spec.livenessProbe", "health: {path: /healthz, port: http}"),
    ({"readinessProbe": {}}, "spec.readinessProbe", "health: {"),
    ({"healthcheck": {}}, "spec.healthcheck", "health: {"),
    ({"volumeMounts": []}, "spec.volumeMounts", "storage: {"),
    ({"securityContext": {}}, "spec.securityContext", "leave it out: every agent runs without root"),
    ({"privileged": True}, "spec.privileged", "leave it out"),
    ({"serviceAccountName": "x"}, "spec.serviceAccountName", "permissions: {level: ReadOnly"),
    ({"automountServiceAccountToken": False}, "spec.automountServiceAccountToken", "leave it out"),
    ({"hostNetwork": True}, "spec.hostNetwork", "network.egress"),
    ({"hostPID": True}, "spec.hostPID", "never shares"),
    ({"probes": [{"periodSeconds": 3}]}, "spec.probes[0].periodSeconds", "every: 10s"),
    ({"config": {}}, "spec.config", "envFrom: [{configMap: settings, keys: [LOG_LEVEL]}]"),
    ({"envFrom": {}}, "spec.envFrom", "must be a list"),
    ({"shm": 1}, "spec.shm", "scratch: [{path: /dev/shm, size: 64Mi}]"),
    ({"gpus": 1}, "spec.gpus", "devices: [{name: nvidia.com/gpu, count: 1}]"),
    ({"tmpfs": []}, "spec.tmpfs", "scratch: [{path: /cache, size: 1Gi}]"),
    ({"tolerations": []}, "spec.tolerations", "write scheduling"),
    ({"probes": [{"type": "Liveness", "httpGet": {}}]}, "spec.probes[0].httpGet", "write http: {path: /healthz"),
    ({"health": {"port": "a", "periodSeconds": 3}}, "spec.health.periodSeconds", "write probes"),
    ({"environment": {}}, "spec.environment", "write a list: env"),
    ({"nodeSelector": {}}, "spec.nodeSelector", "write scheduling: {nodeSelector"),
    ({"imagePullPolicy": "Always"}, "spec.imagePullPolicy", "digest"),
    ({"runtimeClassName": "gvisor"}, "spec.runtimeClassName", "sandbox: {runtimeClassName: gvisor}"),
    ({"entrypoint": []}, "spec.entrypoint", "write command"),
    ({"depends_on": []}, "spec.depends_on", "network.egress"),
    ({"egress": []}, "spec.egress", "network: {egress: [{host: api.example.com}]}"),
    ({"rules": []}, "spec.rules", "permissions: {level"),
    ({"model": "x"}, "spec.model", "env"),
    ({"replicas": "1"}, "spec.replicas", "without quotes, such as 1"),
    ({"suspended": "yes"}, "spec.suspended", "true or false, without quotes"),
    ({"env": [{"name": "A", "valueFrom": {}}]}, "spec.env[0].valueFrom", "source: {existing: {secretName"),
    ({"env": [{"name": "A", "value": 8080}]}, "spec.env[0].value", 'in quotes, such as "8080"'),
    ({"env": [{"name": "A", "value": True}]}, "spec.env[0].value", 'in quotes, such as "true"'),
    ({"env": {"A": "b"}}, "spec.env", "env: [{name: LOG_LEVEL, value: info}]"),
    ({"env": [{"name": "A B"}]}, "spec.env[0].name", "such as LOG_LEVEL"),
    ({"args": "hello"}, "spec.args", "must be a list"),
    ({"health": "x"}, "spec.health", "an object with path, port"),
    ({"ports": [{"name": "http", "containerPort": 1}]}, "spec.ports[0].containerPort", "write port: 8080"),
    ({"ports": [{"name": 8080, "port": 1}]}, "spec.ports[0].name", "a name with a letter in it, such as http"),
    ({"ports": [{"name": "http", "port": 70000}]}, "spec.ports[0].port", "at most 65535"),
    ({"resources": {"limits": {"memory": "512MB"}}}, "spec.resources.limits.memory", "512Mi"),
    ({"resources": {"memory": "1Gi"}}, "spec.resources.memory", "write limits"),
    ({"network": {"egress": [{"url": "a.example"}]}}, "spec.network.egress[0].url", "write host: api.example.com"),
    ({"network": {"ingress": [{"from": {}, "port": 80}]}}, "spec.network.ingress[0].port", "the name of one of"),
    ({"network": {"egres": []}}, "spec.network.egres", "did you mean egress?"),
    ({"Network": {}}, "spec.Network", "did you mean network?"),
    ({"image_pull_secrets": []}, "spec.image_pull_secrets", "did you mean imagePullSecrets?"),
    ({"mountPath": "/data"}, "spec.mountPath", "it stands in spec.storage.mountPath"),
    ({"cidr": "x"}, "spec.cidr", "it stands in spec.network.egress[].cidr"),
    ({"zzzzz": 1}, "spec.zzzzz", "here are image, "),
    ({"image": "https://a b"}, "spec.image", "without https://"),
    ({"storage": {"mountPath": "data", "size": "1Gi"}}, "spec.storage.mountPath", "such as /data"),
    ({"secrets": [{"name": "a", "value": "x"}]}, "spec.secrets[0].value", "no value of a secret stands in"),
    ({"secrets": [{"rotation": {"every": "30d"}}]}, "spec.secrets[0].rotation.every", "30 days are 720h"),
    ({"permissions": {"level": "admin"}}, "spec.permissions.level", "'Admin'"),
]


@pytest.mark.parametrize(("spec", "path", "words"), FIRST, ids=[path for _, path, _ in FIRST])
def test_what_people_write_first_is_told_how_it_is_written_here(spec: dict[str, Any], path: str, words: str) -> None:
    assert words in said(**spec)[path]


VALUES: tuple[Any, ...] = ("\x00", "", "x" * 100_000, -1, 2**60, 1.5, True, [], [1], [[]] * 300, {}, {"a": "\x00"})


def broken() -> Iterator[tuple[Any, Any]]:
    """Each field of both kinds with values of all sorts."""
    for kind, spec in ((AgentDeployment, AgentDeploymentSpec), (AgentPolicy, AgentPolicySpec)):
        schema = custom_resource_definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for path, _ in walk(schema["properties"]["spec"]):
            for value in VALUES:
                yield spec, nested(path, value)


def nested(path: str, value: Any) -> Any:
    for step in reversed([one for one in path.replace("[]", ".[]").replace("{}", ".{}").split(".") if one]):
        value = [value] if step == "[]" else {"a": value} if step == "{}" else {step: value}
    return value


def test_no_sentence_is_pydantics_or_a_regular_expression() -> None:
    found = {error.message for spec, content in broken() for error in parse(spec, content).errors}
    assert len(found) > 40
    foreign = re.compile(r"Input|String should|should |pattern|\^|\\[a-z]|validation|dictionary|instance")
    assert [message for message in found if foreign.search(message)] == []


def test_no_row_speaks_of_a_field_that_is_there() -> None:
    types = {one.__name__: one for one in all_types(Model)}
    dead = [(name, row) for name, rows in UNKNOWN.items() for row in rows if row in known_fields(types[name])]
    assert dead == []


def all_types(model: type[Model]) -> Iterator[type[Model]]:
    for one in model.__subclasses__():
        yield one
        yield from all_types(one)


def known_fields(model: type[Model]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def test_a_sentence_is_short_enough_to_be_read() -> None:
    sentences = [*PATTERNS.values(), *(words for rows in UNKNOWN.values() for words in rows.values())]
    assert all(10 < len(words) <= 260 and not re.search(r"[a-z]\.$", words) for words in sentences)


def test_the_value_is_never_shown() -> None:
    for spec in ({"env": [{"name": "A", "value": 31337}]}, {"replicas": "sk-31337"}, {"image": "sk 31337"}):
        assert "31337" not in repr(said(**spec))


def test_the_api_server_shows_no_regular_expression_either() -> None:
    for kind in (AgentDeployment, AgentPolicy):
        schema = custom_resource_definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][
            "spec"
        ]
        assert [path for path, node in walk(schema) if "pattern" in node] == []


@pytest.mark.parametrize(
    ("word", "meant"),
    [("egres", "egress"), ("EGRESS", "egress"), ("in_gress", "ingress"), ("x", None), ("e" * 10_000, None)],
)
def test_what_is_alike_is_found(word: str, meant: str | None) -> None:
    assert closest(word, ["egress", "ingress"]) == meant
