"""`ringfence init`: what is taken over, what is left out and said, and that no secret comes along."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from unit.cli.initial import BESIDE, IMAGE, from_pod, from_service, init, manifest
from unit.policy.plaintexts import some

SECRET = "gh" + "p_" + some(36)


@pytest.mark.parametrize(
    ("container", "pod", "expected"),
    [
        ({"command": ["/a"], "args": ["b"]}, {}, {"command": ["/a"], "args": ["b"]}),
        (
            {"env": [{"name": "A", "value": "b"}, {"name": "B"}]},
            {},
            {"env": [{"name": "A", "value": "b"}, {"name": "B", "value": ""}]},
        ),
        (
            {"env": [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
            {},
            {
                "secrets": [
                    {
                        "name": "k",
                        "source": {"existing": {"secretName": "s", "key": "k"}},
                        "delivery": {"env": {"name": "K"}},
                    }
                ]
            },
        ),
        (
            {
                "env": [
                    {"name": name, "valueFrom": {"configMapKeyRef": {"name": "m", "key": name}}} for name in ("A", "B")
                ]
            },
            {},
            {"envFrom": [{"configMap": "m", "keys": ["A", "B"]}]},
        ),
        (
            {"ports": [{"containerPort": 80}], "livenessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 5}},
            {},
            {
                "ports": [{"name": "port-80", "port": 80}],
                "probes": [{"type": "Liveness", "tcp": {"port": "port-80"}, "every": "5s"}],
            },
        ),
        (
            {"readinessProbe": {"httpGet": {"port": 81, "path": "/r", "scheme": "HTTPS"}, "failureThreshold": 9}},
            {},
            {
                "ports": [{"name": "port-81", "port": 81}],
                "probes": [
                    {"type": "Readiness", "http": {"path": "/r", "port": "port-81", "scheme": "HTTPS"}, "failures": 9}
                ],
            },
        ),
        (
            {"resources": {"limits": {"cpu": 1, "nvidia.com/gpu": "2"}, "requests": {"memory": "1Gi"}}},
            {},
            {
                "resources": {"limits": {"cpu": 1}, "requests": {"memory": "1Gi"}},
                "devices": [{"name": "nvidia.com/gpu", "count": 2}],
            },
        ),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/w"}]},
            {"volumes": [{"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}}]},
            {"scratch": [{"path": "/w", "size": "8Mi", "medium": "Memory"}]},
        ),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/etc/bot/a.yaml", "subPath": "a.yaml"}]},
            {"volumes": [{"name": "v", "configMap": {"name": "m"}}]},
            {"files": [{"path": "/etc/bot/a.yaml", "configMap": {"name": "m", "key": "a.yaml"}}]},
        ),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/data"}]},
            {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]},
            {"volumes": [{"claim": "c", "mountPath": "/data", "access": "ReadWrite"}]},
        ),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/data", "readOnly": True}]},
            {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]},
            {"volumes": [{"claim": "c", "mountPath": "/data"}]},
        ),
        (
            {"volumeMounts": [{"name": "of-the-set", "mountPath": "/data"}]},
            {},
            {"storage": {"mountPath": "/data", "size": "1Gi"}},
        ),
        (
            {"lifecycle": {"preStop": {"exec": {"command": ["/app/drain"]}}}},
            {"terminationGracePeriodSeconds": 60},
            {"stop": {"gracePeriod": "60s", "command": ["/app/drain"]}},
        ),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/etc/keys"}]},
            {"volumes": [{"name": "v", "secret": {"secretName": "s", "items": [{"key": "k", "path": "token"}]}}]},
            {
                "secrets": [
                    {
                        "name": "k",
                        "source": {"existing": {"secretName": "s", "key": "k"}},
                        "delivery": {"file": {"path": "/etc/keys/token"}},
                    }
                ]
            },
        ),
        (
            {"securityContext": {"runAsUser": 1000}},
            {"securityContext": {"runAsGroup": 1001, "fsGroup": 1}},
            {"runAsUser": 1000, "runAsGroup": 1001},
        ),
        (
            {},
            {
                "nodeSelector": {"pool": "agents"},
                "tolerations": [
                    {"key": "agents", "operator": "Exists"},
                    {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300},
                ],
                "imagePullSecrets": [{"name": "registry"}],
                "runtimeClassName": "gvisor",
            },
            {
                "scheduling": {"nodeSelector": {"pool": "agents"}, "tolerations": [{"key": "agents"}]},
                "imagePullSecrets": ["registry"],
                "sandbox": {"runtimeClassName": "gvisor"},
            },
        ),
    ],
)
def test_a_workload_is_taken_over(container: dict[str, Any], pod: dict[str, Any], expected: dict[str, Any]) -> None:
    assert manifest(from_pod(container, **pod))["spec"] == {"image": IMAGE} | expected


@pytest.mark.parametrize(
    ("kind", "more", "run"),
    [
        ("Job", {}, {"mode": "Job"}),
        (
            "CronJob",
            {"schedule": "0 3 * * *", "timeZone": "Europe/Paris", "concurrencyPolicy": "Forbid"},
            {"mode": "Schedule", "schedule": "0 3 * * *", "timeZone": "Europe/Paris", "concurrency": "Forbid"},
        ),
    ],
)
def test_what_ends_has_runs(kind: str, more: dict[str, Any], run: dict[str, Any]) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": IMAGE}]}}
    spec: dict[str, Any] = {"template": template}
    spec = more | ({"jobTemplate": {"spec": spec}} if kind == "CronJob" else spec)
    text = yaml.safe_dump({"apiVersion": "batch/v1", "kind": kind, "metadata": {"name": "bot"}, "spec": spec})
    assert manifest(init("--from", "-", stdin=text))["spec"] == {"image": IMAGE, "run": run}


@pytest.mark.parametrize(
    ("container", "pod", "said"),
    [
        ({"securityContext": {"privileged": True}}, {}, "securityContext.privileged: leave it out"),
        ({"securityContext": {"runAsUser": 0}}, {}, "no agent runs as root"),
        ({"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}, {}, "capabilities.add: leave it out"),
        ({}, {"hostNetwork": True}, "spec.template.spec.hostNetwork: leave it out"),
        ({}, {"serviceAccountName": "admin"}, 'the rights of ServiceAccount "admin" are not taken over'),
        ({"envFrom": [{"secretRef": {"name": "s"}}]}, {}, "an agent gets no whole Secret"),
        ({"readinessProbe": {"httpGet": {"port": "http"}}}, {}, "its port is none that has a name"),
        ({}, {"initContainers": [{"name": "fetch"}]}, "left out: spec.initContainers[0].image: is required"),
        ({}, {"initContainers": [BESIDE | {"args": ["x"] * 99}]}, "left out: spec.initContainers[0].args"),
        ({}, {"initContainers": [BESIDE | {"resources": {"limits": {"a.example/gpu": 1}}}]}, "devices are for the"),
        ({}, {"initContainers": [BESIDE | {"securityContext": {"runAsUser": 5}}]}, "all containers of an agent run as"),
        ({"lifecycle": {"postStart": {"exec": {"command": ["a"]}}}}, {}, "and no other hook"),
        ({"ports": [{"containerPort": 53, "protocol": "UDP"}]}, {}, "ports of agents are TCP"),
        ({"ports": [{"containerPort": 80, "hostPort": 80}]}, {}, "never one of its node"),
        ({"somethingNew": 1}, {}, "containers[0].somethingNew: an agent has nothing like it"),
        ({"env": [{"name": "bad-name", "value": "x"}]}, {}, "spec.env[0].name: must be a variable's name"),
        ({"resources": {"limits": {"memory": "1e9x"}}}, {}, "must be a quantity"),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/host"}]},
            {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
            "volumeMounts[0]: an agent mounts files",
        ),
        ({"image": "registry.example/bot:latest"}, {}, "mend: spec.image: the image is not pinned"),
    ],
)
def test_what_an_agent_cannot_have_is_said(container: dict[str, Any], pod: dict[str, Any], said: str) -> None:
    result = from_pod(container, **pod)
    manifest(result)
    assert any(said in line for line in result.stdout.splitlines() if line.startswith("# ")), result.stdout


@pytest.mark.parametrize(
    "secret_in", ["env", "args", "flag", "content", "probe", "stop", "sidecar", "init", "beside a broken probe"]
)
def test_no_secret_comes_along(secret_in: str) -> None:
    found = {
        "env": lambda: from_pod({"env": [{"name": "OPENAI_API_KEY", "value": SECRET}]}),
        "args": lambda: from_pod({"args": [SECRET]}),
        "flag": lambda: from_pod({"args": ["run", f"--api-key={SECRET}"]}),
        "content": lambda: from_service({"environment": {"A": SECRET}}),
        "probe": lambda: from_pod({"livenessProbe": {"exec": {"command": ["check", SECRET]}}}),
        "stop": lambda: from_pod({"lifecycle": {"preStop": {"exec": {"command": ["end", SECRET]}}}}),
        "sidecar": lambda: from_pod({}, others=[BESIDE | {"env": [{"name": "A", "value": SECRET}]}]),
        "init": lambda: from_pod({}, initContainers=[BESIDE | {"args": [f"--token={SECRET}"]}]),
        "beside a broken probe": lambda: from_pod(
            {"env": [{"name": "A", "value": SECRET}], "livenessProbe": {"tcpSocket": {"port": "http"}}}
        ),
    }[secret_in]()
    spec = manifest(found)["spec"]
    assert SECRET not in found.output
    if secret_in == "flag":
        assert spec["args"] == ["run", "--api-key=$(API_KEY)"]
    if secret_in in ("sidecar", "init"):
        assert spec["secrets"][0]["containers"] == ["helper"]
    if secret_in not in ("probe", "stop"):
        assert spec["secrets"][0]["source"]["existing"]["secretName"] == "bot-secrets"
        assert "kubectl create secret generic bot-secrets" in found.stdout


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "1",
        "services: 3",
        "services: {}",
        "kind: Service",
        "kind: Deployment",
        "services: {a: 1}",
        "kind: Pod\nspec: []",
    ],
)
def test_whatever_the_source_is_no_traceback(content: str) -> None:
    result = init("--from", "-", stdin=content)
    assert result.exit_code in (0, 1)


@pytest.mark.parametrize("wrong", [1, "x", [], {}, None, [1], [{}], {"a": 1}, [[]]])
def test_whatever_a_field_holds_no_traceback(wrong: Any) -> None:
    fields = (
        "image",
        "command",
        "args",
        "env",
        "envFrom",
        "ports",
        "resources",
        "livenessProbe",
        "securityContext",
        "volumeMounts",
    )
    of_pod = (
        "containers",
        "initContainers",
        "volumes",
        "tolerations",
        "imagePullSecrets",
        "nodeSelector",
        "securityContext",
        "serviceAccountName",
    )
    of_compose = (
        "image",
        "command",
        "environment",
        "ports",
        "volumes",
        "user",
        "healthcheck",
        "deploy",
        "secrets",
        "depends_on",
        "links",
        "tmpfs",
        "shm_size",
        "mem_limit",
    )
    for field in fields:
        assert from_pod({field: wrong}).exit_code == 0, field
        assert from_pod({}, others=[BESIDE | {field: wrong}, wrong]).exit_code == 0, field
    for field in of_pod:
        assert from_pod({}, **{field: wrong}).exit_code == 0, field
    for field in of_compose:
        assert from_service({field: wrong}).exit_code == 0, field


def test_of_several_one_is_picked(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(yaml.safe_dump({"services": {"a": {"image": IMAGE}, "b": {"image": IMAGE}}}))
    several = init("--from", str(file))
    assert (several.exit_code, several.stdout) == (1, "")
    assert "name one by --pick service/a or --pick service/b" in several.stderr
    assert manifest(init("--from", str(file), "--pick", "b"))["metadata"] == {"name": "b"}
    assert init("--from", str(file), "--pick", "c").exit_code == 1
    assert init("--from", str(tmp_path / "none.yaml")).exit_code == 2


def test_answers_by_options() -> None:
    given = ("bot", "-n", "chat", "--image", IMAGE, "--port", "8080", "--reach", "search.tools:8443")
    found = manifest(init(*given, "--reach", "203.0.113.0/28:443", "--secret", "KEY=s/k", "--read", "configmaps"))
    assert found["metadata"] == {"name": "bot", "namespace": "chat"}
    assert found["spec"]["network"]["egress"] == [
        {"service": {"name": "search", "namespace": "tools", "port": 8443}},
        {"cidr": "203.0.113.0/28", "ports": [443]},
    ]
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}
    assert found["spec"]["permissions"] == {"level": "ReadOnly", "rules": [rule]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nobody is there to answer"),
        (("Bot",), "write a name such as bot"),
        (("--pick", "a"), "--pick needs --from"),
        (("--from", "x", "--image", IMAGE), "go without --from"),
        (("--image", IMAGE, "--reach", "example.com"), "is no destination"),
        (("--image", IMAGE, "--read", "nodes"), "is nothing that an agent can read"),
    ],
)
def test_what_is_wrong_is_said(arguments: tuple[str, ...], said: str) -> None:
    result = init(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_mistyped_secret_is_not_repeated() -> None:
    result = init("--image", IMAGE, "--secret", f"KEY={SECRET}")
    assert result.exit_code == 2
    assert SECRET not in result.output


def test_questions_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong answer is asked for again."""
    monkeypatch.setattr("ringfence.cli.init.asked_of_a_person", lambda: True)
    answers = ["bot", IMAGE, "http", "8080", "", "search:80", "", "", ""]
    found = manifest(init(stdin="".join(f"{answer}\n" for answer in answers)))
    assert found["metadata"] == {"name": "bot"}
    assert found["spec"]["ports"] == [{"name": "port-8080", "port": 8080}]
    assert found["spec"]["network"]["egress"] == [{"service": {"name": "search", "port": 80}}]
