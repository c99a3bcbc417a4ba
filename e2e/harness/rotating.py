"""One agent with one key, the server that checks the key, and what is seen of both."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cluster.errors import ClusterError
from cluster.shell import seconds_until, wait_for

from . import agents
from .api import Api
from .environment import Environment
from .kubectl import Object

__all__ = ["FILE", "KEYS", "RESTRICTED", "STRICT", "RotatingAgent", "namespace", "now", "policy"]

KEYS = "keys"
"""Namespace of the agents and of the servers beside them."""
FILE = "/var/run/ringfence/provider"
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
STRICT: Object = {
    "env": [{"name": "AGENT_STRICT", "value": "1"}],
    "ports": [{"name": "panel", "port": 8080}],
    "health": {"path": "/healthz", "port": "panel"},
}
"""Of a spec: the agent is ready once a call was answered."""


@dataclass
class RotatingAgent:
    """An agent that shows its key to a server with every call; the server takes the value and the one before."""

    environment: Environment
    api: Api
    name: str
    jobs: int = 0

    def create(self, *, variable: str = "", stubborn: bool = False, calls: bool = True, **spec: Any) -> None:
        """Create the agent and, unless it makes no `calls`, its server; wait until both run."""
        delivery: Object = {"env": {"name": variable}} if variable else {"file": {"path": FILE}}
        secret = {
            "name": "provider",
            "source": {"generate": {"length": 40}},
            "rotation": {"every": "720h", "overlap": "1h"},
            "delivery": delivery,
        }
        variables = [] if variable else [{"name": "AGENT_KEY_FILE", "value": FILE}]
        body: Object = {
            "apiVersion": "ringfence.dev/v1alpha1",
            "kind": "AgentDeployment",
            "metadata": {"name": self.name},
            "spec": {
                "image": self.environment.testbox,
                "args": ["agent", "-interval", "50ms"],
                "secrets": [secret],
                **spec,
            },
        }
        if calls:
            rule = {"service": {"name": f"{self.name}-check", "namespace": KEYS, "port": 80}}
            body["spec"]["network"] = {"egress": [rule]}
            variables.append({"name": "AGENT_URL", "value": f"http://{self.name}-check.{KEYS}.svc.cluster.local/"})
        body["spec"]["env"] = variables + spec.get("env", [])
        self.api.create(agents.agent_path(KEYS), body)
        wait_for(f"a Secret of {self.name}", self._secrets)
        if calls:
            self._start_server(stubborn)
        agents.wait(self.api, KEYS, self.name)

    def remove(self) -> None:
        """Delete agent and server."""
        self.api.delete(agents.agent_path(KEYS, self.name))
        self.environment.kubectl("delete", "deploy,svc,sa,role,rolebinding", "-n", KEYS, "-l", f"check={self.name}")

    # The key

    @property
    def secret_name(self) -> str:
        """Also the name of the CronJob and of what belongs to it."""
        return str(self._secrets()[0]["metadata"]["name"])

    @property
    def secret(self) -> Object:
        return self.api.get(f"/api/v1/namespaces/{KEYS}/secrets/{self.secret_name}")

    def value(self, key: str = "value") -> str:
        """What is stored; empty where nothing is."""
        return base64.b64decode((self.secret.get("data") or {}).get(key, "")).decode()

    def _secrets(self) -> list[Object]:
        found: list[Object] = self.api.get(
            f"/api/v1/namespaces/{KEYS}/secrets?labelSelector=ringfence.dev/agent%3D{self.name}"
        )["items"]
        return found

    def write_secret(self, data: Object) -> None:
        """What somebody does by hand; `data` in base64."""
        self.api.patch(f"/api/v1/namespaces/{KEYS}/secrets/{self.secret_name}", {"data": data})

    def wait_secret_other_than(self, value: str) -> None:
        """Wait until another value is stored, the Secret having been gone meanwhile or not."""
        wait_for("another value", lambda: self._secrets() and self.value() not in ("", value), timeout=180)

    # Jobs

    def start_job(self) -> str:
        """`kubectl create job --from=cronjob/...`, as the how-to page says."""
        self.jobs += 1
        job = f"{self.name}-by-hand-{self.jobs}"
        self.environment.kubectl("create", "job", job, "-n", KEYS, f"--from=cronjob/{self.secret_name}")
        return job

    def rotate(self, *, timeout: float = 180) -> str:
        """Rotate, and wait until the new value is stored; the job's name."""
        job = self.start_job()
        wait_for(f"{job} to write", lambda: self.rotated_by() == job, timeout=timeout)
        return job

    def rotated_by(self) -> str:
        """The job that wrote the value that is stored."""
        return str(self.secret["metadata"].get("annotations", {}).get("ringfence.dev/rotated-by", ""))

    def wait_job(self, job: str, kind: str = "Complete", *, timeout: float = 180) -> None:
        """Wait until a job has ended."""
        path = f"/apis/batch/v1/namespaces/{KEYS}/jobs/{job}"

        def ended() -> bool:
            conditions = self.api.get(path)["status"].get("conditions") or []
            return any(one["type"] == kind and one["status"] == "True" for one in conditions)

        wait_for(f"job {job} to be {kind}", ended, timeout=timeout)

    def job_said(self, job: str) -> str:
        """What the last container of the job that ended with an error left as its last words; empty if none did."""
        for pod in self.api.get(f"/api/v1/namespaces/{KEYS}/pods?labelSelector=job-name%3D{job}")["items"]:
            for status in pod["status"].get("containerStatuses") or []:
                for state in (status.get("state", {}), status.get("lastState", {})):
                    if (state.get("terminated") or {}).get("exitCode"):
                        return str(state["terminated"].get("message", ""))
        return ""

    # The agent

    def condition(self, kind: str = "SecretsFresh") -> Object:
        return agents.condition(agents.get(self.api, KEYS, self.name), kind)

    def pods(self) -> list[Object]:
        """Those that are not on their way out."""
        found = agents.pods(self.api, KEYS, self.name)
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    def pod(self) -> Object:
        """The only one."""
        (pod,) = self.pods()
        return pod

    def names(self) -> list[str]:
        """Of its pods."""
        return [str(pod["metadata"]["name"]) for pod in self.pods()]

    def inside(self, *words: str) -> str:
        """Run a command of the test image in the agent's pod."""
        return self.environment.kubectl("exec", "-n", KEYS, f"deploy/ringfence-{self.name}", "--", "/testbox", *words)

    def file(self, path: str = FILE) -> str:
        """A file as the agent sees it; empty when it is not there."""
        try:
            return self.inside("cat", path)
        except ClusterError:
            return ""

    def wait_file(self, value: str) -> None:
        """Wait until the agent reads this value."""
        wait_for(f"the file of {self.name} to change", lambda: self.file() == value, timeout=180)

    def calls(self, pod: str = "", *, last: int = 0) -> list[tuple[str, str]]:
        """(time, outcome) of each call so far; of the `last` few alone."""
        pod = pod or self.pod()["metadata"]["name"]
        tail = f"?tailLines={last}" if last else ""
        lines = self.api.text(f"/api/v1/namespaces/{KEYS}/pods/{pod}/log{tail}").splitlines()
        return [(line.split(" ", 1)[0], line.partition(": ")[2]) for line in lines]

    def uses_new_value_since(self, moment: str, *, timeout: float = 180) -> float:
        """Seconds until a call after that time was made with the value that is stored now."""

        def there() -> bool:
            return any(time > moment and said == "200 OK value" for time, said in self.calls(last=3))

        return seconds_until(f"{self.name} to use the new value", there, timeout=timeout)

    def wait_restarted(self) -> None:
        """Wait until the pods that run are those of the template, available, and alone; and that it is the last one."""
        stamp = self.secret["metadata"]["annotations"]["ringfence.dev/rotated-at"]

        def there() -> bool:
            found = self.api.get(f"/apis/apps/v1/namespaces/{KEYS}/deployments/ringfence-{self.name}")
            template, status = found["spec"]["template"], found["status"]
            counts = [status.get(field) for field in ("replicas", "updatedReplicas", "availableReplicas")]
            return (
                stamp in (template["metadata"].get("annotations") or {}).values()
                and status.get("observedGeneration") == found["metadata"]["generation"]
                and counts == [1, 1, 1]
            )

        wait_for(f"{self.name} to be restarted", there, timeout=180)

    # The server

    def refusals(self) -> list[str]:
        """What the server told: one line for each call with neither value."""
        return self.environment.kubectl("logs", "-n", KEYS, f"deploy/{self.name}-check").splitlines()

    def restart_server(self) -> None:
        self.environment.kubectl("rollout", "restart", "-n", KEYS, f"deploy/{self.name}-check")

    def _start_server(self, stubborn: bool) -> None:
        name, labels = f"{self.name}-check", {"check": self.name}
        arguments = ["keycheck", "-secret", f"{KEYS}/{self.secret_name}", *(["-stubborn"] if stubborn else [])]
        container = {
            "name": "keycheck",
            "image": self.environment.testbox,
            "args": arguments,
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
            "securityContext": RESTRICTED,
        }
        pod = {
            "serviceAccountName": name,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
        }
        rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [self.secret_name], "verbs": ["get"]}
        group = "rbac.authorization.k8s.io"
        objects: list[tuple[str, str, Object]] = [
            ("v1", "ServiceAccount", {}),
            (f"{group}/v1", "Role", {"rules": [rule]}),
            (
                f"{group}/v1",
                "RoleBinding",
                {
                    "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
                    "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": KEYS}],
                },
            ),
            ("v1", "Service", {"spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}}),
            (
                "apps/v1",
                "Deployment",
                {
                    "spec": {
                        "selector": {"matchLabels": labels},
                        "template": {"metadata": {"labels": labels}, "spec": pod},
                    }
                },
            ),
        ]
        metadata = {"name": name, "namespace": KEYS, "labels": labels}
        self.environment.kubectl.apply(
            *(json.dumps({"apiVersion": v, "kind": k, "metadata": metadata, **rest}) for v, k, rest in objects)
        )
        self.environment.kubectl("rollout", "status", "-n", KEYS, f"deploy/{name}", "--timeout=120s", timeout=130)


def now() -> str:
    """The time as agents print it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def namespace() -> Object:
    """Open to agents; to secrets the chart opens it: `agentNamespaces={keys}`."""
    labels = {"ringfence.dev/agents": "enabled", "pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": KEYS, "labels": labels}}


def policy(image: str) -> Object:
    """What agents there may: call servers of their own namespace, and run the test image."""
    return {
        "apiVersion": "ringfence.dev/v1alpha1",
        "kind": "AgentPolicy",
        "metadata": {"name": KEYS},
        "spec": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": KEYS}},
            "egress": {"serviceNamespaces": [KEYS]},
            "images": {"registries": [image.partition("@")[0]]},
        },
    }
