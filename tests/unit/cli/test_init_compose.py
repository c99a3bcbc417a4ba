"""`ringfence init` from a service of a compose file."""

from typing import Any

import pytest

from unit.cli.initial import IMAGE, from_service, manifest


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ({"command": 'run "a b"', "entrypoint": ["/x"]}, {"command": ["/x"], "args": ["run", "a b"]}),
        (
            {"environment": ["A=b=c", "D=${E:-f}", "P=$$5"]},
            {"env": [{"name": "A", "value": "b=c"}, {"name": "D", "value": "f"}, {"name": "P", "value": "$5"}]},
        ),
        ({"environment": {"A": True, "B": 1}}, {"env": [{"name": "A", "value": "true"}, {"name": "B", "value": "1"}]}),
        (
            {"ports": ["127.0.0.1:8080:80/tcp", {"target": 81}], "expose": [80]},
            {"ports": [{"name": "port-80", "port": 80}, {"name": "port-81", "port": 81}]},
        ),
        (
            {"volumes": ["data:/data:rw", {"type": "tmpfs", "target": "/w"}]},
            {"storage": {"mountPath": "/data", "size": "1Gi"}, "scratch": [{"path": "/w", "size": "1Gi"}]},
        ),
        ({"user": "1000:0"}, {"runAsUser": 1000}),
        (
            {"shm_size": "2gb", "mem_limit": "512m", "cpus": 0.5},
            {
                "scratch": [{"path": "/dev/shm", "size": "2Gi", "medium": "Memory"}],
                "resources": {"limits": {"memory": "512Mi", "cpu": "0.5"}},
            },
        ),
        (
            {"deploy": {"replicas": 2, "resources": {"limits": {"cpus": "2"}, "reservations": {"memory": "1g"}}}},
            {"replicas": 2, "resources": {"limits": {"cpu": "2"}, "requests": {"memory": "1Gi"}}},
        ),
        (
            {"healthcheck": {"test": "true", "interval": "1m30s", "retries": 2}},
            {"probes": [{"type": "Readiness", "command": ["/bin/sh", "-c", "true"], "every": "1m30s", "failures": 2}]},
        ),
        (
            {
                "secrets": ["token"],
                "environment": ["A_FILE=/run/secrets/token", "B=/var/run/secrets/token, /run/secrets/token.old"],
            },
            {
                "env": [
                    {"name": "A_FILE", "value": "/var/run/ringfence/token"},
                    {"name": "B", "value": "/var/run/ringfence/token, /run/secrets/token.old"},
                ],
                "secrets": [
                    {
                        "name": "token",
                        "source": {"existing": {"secretName": "bot-secrets", "key": "token"}},
                        "delivery": {"file": {"path": "/var/run/ringfence/token"}},
                    }
                ],
            },
        ),
        (
            {
                "secrets": [{"source": "db_key", "target": "/etc/bot/key"}],
                "environment": {"KEY_FILE": "/etc/bot/key"},
            },
            {
                "env": [{"name": "KEY_FILE", "value": "/etc/bot/key"}],
                "secrets": [
                    {
                        "name": "db-key",
                        "source": {"existing": {"secretName": "bot-secrets", "key": "db_key"}},
                        "delivery": {"file": {"path": "/etc/bot/key"}},
                    }
                ],
            },
        ),
        (
            {
                "secrets": [{"source": "a", "target": "/usr/bin/a"}],
                "environment": {"OTHER": "/run/secrets/b"},
                "command": ["--key=/usr/bin/a"],
            },
            {
                "env": [{"name": "OTHER", "value": "/run/secrets/b"}],
                "args": ["--key=/var/run/ringfence/a"],
                "secrets": [
                    {
                        "name": "a",
                        "source": {"existing": {"secretName": "bot-secrets", "key": "a"}},
                        "delivery": {"file": {"path": "/var/run/ringfence/a"}},
                    }
                ],
            },
        ),
        ({"depends_on": ["redis"]}, {"network": {"egress": [{"service": {"name": "redis", "port": 6379}}]}}),
        (
            {"depends_on": {"redis": {"condition": "service_healthy"}}},
            {"network": {"egress": [{"service": {"name": "redis", "port": 6379}}]}},
        ),
    ],
)
def test_a_service_of_compose_is_taken_over(service: dict[str, Any], expected: dict[str, Any]) -> None:
    found = from_service(service, redis={"image": "redis", "expose": ["6379"]})
    assert manifest(found)["spec"] == {"image": IMAGE} | expected


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ({"environment": {"A": "${B}"}}, '"B" came from outside'),
        ({"environment": ["A"]}, "its value came from the shell"),
        ({"volumes": ["./config:/etc/config"]}, '"./config" is on a machine of its own'),
        ({"depends_on": ["db"]}, 'the port of "db" is not known'),
        ({"user": "root"}, "no agent runs as root"),
        ({"network_mode": "host"}, "network_mode: leave it out"),
        ({"build": "."}, "build and push the image first"),
        ({"command": 'a "b'}, "its quotes do not match"),
    ],
)
def test_what_compose_alone_knows_is_asked_for(service: dict[str, Any], said: str) -> None:
    result = from_service(service)
    manifest(result)
    assert said in result.stdout
