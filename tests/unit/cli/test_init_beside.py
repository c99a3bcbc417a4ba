"""`ringfence init` from a workload: the containers beside the first one."""

from typing import Any

import pytest

from unit.cli.initial import BESIDE, IMAGE, from_pod, manifest

KEY = {"secretKeyRef": {"name": "s", "key": "k"}}
OF_KEY = {"name": "k", "source": {"existing": {"secretName": "s", "key": "k"}}, "delivery": {"env": {"name": "K"}}}


def mounting(volume: str, path: str) -> dict[str, Any]:
    return {"volumeMounts": [{"name": volume, "mountPath": path}]}


@pytest.mark.parametrize(
    ("container", "pod", "expected"),
    [
        (
            {},
            {"initContainers": [BESIDE | {"command": ["/a"], "args": ["b"], "env": [{"name": "A", "value": "b"}]}]},
            {"initContainers": [BESIDE | {"command": ["/a"], "args": ["b"], "env": [{"name": "A", "value": "b"}]}]},
        ),
        (
            {"ports": [{"name": "http", "containerPort": 80}]},
            {
                "others": [
                    BESIDE
                    | {
                        "ports": [{"name": "http", "containerPort": 81}],
                        "livenessProbe": {"tcpSocket": {"port": "http"}},
                    }
                ]
            },
            {
                "ports": [{"name": "http", "port": 80}, {"name": "port-81", "port": 81}],
                "sidecars": [BESIDE | {"probes": [{"type": "Liveness", "tcp": {"port": "port-81"}}]}],
            },
        ),
        (
            {},
            {"initContainers": [BESIDE | {"name": "agent", "restartPolicy": "Always"}], "others": [BESIDE]},
            {"sidecars": [BESIDE | {"name": "agent-2"}, BESIDE]},
        ),
        (
            mounting("w", "/work"),
            {"others": [BESIDE | mounting("w", "/work")], "volumes": [{"name": "w", "emptyDir": {"sizeLimit": "1Mi"}}]},
            {"scratch": [{"path": "/work", "size": "1Mi"}], "sidecars": [BESIDE | {"shares": ["/work"]}]},
        ),
        (
            mounting("w", "/work"),
            {"others": [BESIDE | mounting("w", "/in")], "volumes": [{"name": "w", "emptyDir": {"sizeLimit": "1Mi"}}]},
            {"scratch": [{"path": "/work", "size": "1Mi"}], "sidecars": [BESIDE | {"shares": ["/work"]}]},
        ),
        (
            {},
            {
                "initContainers": [BESIDE | {"name": "first"} | mounting("c", "/data")],
                "others": [BESIDE | mounting("c", "/data")],
                "volumes": [{"name": "c", "persistentVolumeClaim": {"claimName": "c", "readOnly": True}}],
            },
            {
                "volumes": [{"claim": "c", "mountPath": "/data"}],
                "initContainers": [BESIDE | {"name": "first", "shares": ["/data"]}],
                "sidecars": [BESIDE | {"shares": ["/data"]}],
            },
        ),
        (
            {},
            {"others": [BESIDE | mounting("t", "/tmp")], "volumes": [{"name": "t", "emptyDir": {}}]},
            {"sidecars": [BESIDE]},
        ),
        (
            {"env": [{"name": "K", "valueFrom": KEY}]},
            {"others": [BESIDE | {"env": [{"name": "K", "valueFrom": KEY}]}]},
            {"sidecars": [BESIDE], "secrets": [OF_KEY | {"containers": ["agent", "helper"]}]},
        ),
        (
            {},
            {"initContainers": [BESIDE | {"env": [{"name": "K", "valueFrom": KEY}]}]},
            {"initContainers": [BESIDE], "secrets": [OF_KEY | {"containers": ["helper"]}]},
        ),
    ],
)
def test_containers_beside_the_first_one_come_along(
    container: dict[str, Any], pod: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert manifest(from_pod(container, **pod))["spec"] == {"image": IMAGE} | expected


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        ({"others": [BESIDE | mounting("w", "/in")]}, "at the agent's path /work and not at /in"),
        ({"others": [BESIDE | mounting("o", "/other")]}, 'the agent has "/other", too'),
        ({"others": [BESIDE | mounting("o", "/work")]}, "the agent has another directory at /work"),
        ({"others": [BESIDE | mounting("w", "/tmp")]}, "each container has a /tmp of its own"),
    ],
)
def test_what_is_shared_otherwise_is_said(pod: dict[str, Any], said: str) -> None:
    volumes = [{"name": "w", "emptyDir": {}}, {"name": "o", "emptyDir": {}}]
    result = from_pod(mounting("w", "/work"), volumes=volumes, **pod)
    manifest(result)
    assert said in result.stdout
