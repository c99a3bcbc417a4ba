"""What people should not get, in one table: each is refused at its field, and the refusal says what to write instead.

The policy allows all that a policy can allow. What a kubelet or a scheduler has to see (a container that never ends, a
device that no node has, times that were missed) is in e2e/suites/agents.
"""

from typing import Any

import pytest

from unit.policy.make import IMAGE, judge

OPEN = {
    "pods": {
        "users": [{"first": 1, "last": 2147483647}],
        "tolerations": [{"key": "any"}],
        "labels": [{"key": "app"}],
        "annotations": ["example.com/contact"],
        "claims": [{"name": "ringfence-other", "access": "ReadWrite"}],
        "devices": [{"name": "nvidia.com/gpu", "most": 4}],
        "maxGracePeriod": "10m",
    },
    "secrets": {"allowNever": True},
}
MIB = "x" * 2**20


def files(*paths: str, **others: Any) -> dict[str, Any]:
    return {"files": [{"path": path, "content": "x"} for path in paths], **others}


def secret(name: str, **others: Any) -> dict[str, Any]:
    source = {"existing": {"secretName": name, "key": "key"}}
    return {"secrets": [{"name": "key", "source": source, "delivery": {"env": {"name": "KEY"}}} | others]}


def beside(**fields: Any) -> dict[str, Any]:
    return {"sidecars": [{"name": "helper", "image": IMAGE} | fields]}


def scheduled(schedule: str) -> dict[str, Any]:
    return {"run": {"mode": "Schedule", "schedule": schedule}}


STORAGE = {"storage": {"mountPath": "/data", "size": "1Gi"}}
OWN_KEY = "Use a key of your own"
FULL_PATH = "must be a full path"
WISHES: list[tuple[str, dict[str, Any], str, str]] = [
    # Files that shadow each other, or what is the system's or the pod's.
    ("a file twice", files("/etc/a", "/etc/a"), "files", "drop one of them"),
    ("a file in a file", files("/etc/a", "/etc/a/b"), "files[1].path", "choose another directory"),
    ("users of the system", files("/etc/passwd"), "files[0].path", "choose another path"),
    ("names of the system", files("/etc/hosts"), "files[0].path", "choose another path"),
    ("a loader", files("/etc/ld.so.preload"), "files[0].path", "choose another path"),
    ("a program", files("/usr/bin/python3"), "files[0].path", "choose another path"),
    ("a token", files("/var/run/secrets/kubernetes.io/serviceaccount/token"), "files[0].path", "choose another path"),
    ("a device", files("/dev/shm/a"), "files[0].path", "choose another path"),
    ("out of a directory", files("/etc/../proc/a"), "files[0].path", FULL_PATH),
    ("what the kubelet calls its own", files("/etc/..data/a"), "files[0].path", FULL_PATH),
    ("in a volume", files("/data/a", **STORAGE), "files[0].path", "choose another path"),
    ("of a sidecar", beside(files=[{"path": "/proc/a", "content": ""}]), "sidecars[0].files[0].path", "choose another"),
    ("storage over a secret", {"storage": STORAGE["storage"] | {"mountPath": "/var/run/ringfence"}},
     "storage.mountPath", "choose another path"),
    # Too much of it.
    ("1 MiB", {"files": [{"path": "/etc/a", "content": MIB}]}, "files[0].content", "into a ConfigMap"),
    ("1 MiB in eight", {"files": [{"path": f"/etc/{n}", "content": "x" * 2**17} for n in range(8)]}, "",
     "into a ConfigMap"),
    ("1 MiB of a sidecar", beside(files=[{"path": "/etc/a", "content": MIB}]), "sidecars[0].files[0].content",
     "into a ConfigMap"),
    ("1 MiB in a variable", {"env": [{"name": "A", "value": MIB}]}, "env[0].value", "at most 32768"),
    # What does not end.
    ("no end", {"stop": {"command": ["sleep", "9"], "gracePeriod": "24h"}}, "stop.gracePeriod", "from 1s to 10m"),
    ("an end by force", {"stop": {"gracePeriod": "0s"}}, "stop.gracePeriod", "from 1s to 10m"),
    ("as pods have it", {"lifecycle": {"preStop": {}}}, "lifecycle", "write stop: {gracePeriod"),
    # Others' secrets and volumes.
    ("a container that is not there", secret("mine", containers=["other"]), "", "the name of one of initContainers"),
    ("a sidecar's own word", beside(secrets=["mine"]), "sidecars[0].secrets", "name this container at the secret"),
    ("as pods have it", beside(env=[{"name": "A", "valueFrom": {}}]), "sidecars[0].env[0].valueFrom", "spec.secrets"),
    ("another agent's secret", secret("ringfence-other.0123456789"), "secrets[0].source.existing.secretName",
     "name one of yours"),
    ("another agent's storage", {"volumes": [{"claim": "ringfence-other", "mountPath": "/in"}]}, "volumes[0].claim",
     "name one of yours"),
    # Nodes.
    ("control planes", {"scheduling": {"tolerations": [{"key": "node-role.kubernetes.io/control-plane"}]}},
     "scheduling.tolerations[0].key", "name a taint of your own"),
    ("masters", {"scheduling": {"tolerations": [{"key": "node-role.kubernetes.io/master", "effect": "NoSchedule"}]}},
     "scheduling.tolerations[0].key", "name a taint of your own"),
    ("every taint", {"scheduling": {"tolerations": [{"key": "any", "operator": "Exists"}]}},
     "scheduling.tolerations[0].operator", "leave it out"),
    ("every taint, by no key", {"scheduling": {"tolerations": [{"effect": "NoSchedule"}]}},
     "scheduling.tolerations[0].key", "is required"),
    ("a node by name", {"nodeName": "control-plane"}, "nodeName", "write scheduling"),
    ("more GPUs than allowed", {"devices": [{"name": "nvidia.com/gpu", "count": 5}]}, "devices[0]", "leave it out, or"),
    ("a GPU of no policy", {"devices": [{"name": "example.com/gpu", "count": 1}]}, "devices[0]", "leave it out, or"),
    ("as pods have it", {"resources": {"limits": {"nvidia.com/gpu": 1}}}, "resources.limits.nvidia.com/gpu",
     "write devices:"),
    # Root.
    *((f"root as {user!r}", {field: user}, field, "root")
      for field in ("runAsUser", "runAsGroup") for user in (0, -1, "0", "root", 0.0, "0x0", True)),
    ("as pods have it", {"securityContext": {"runAsUser": 0}}, "securityContext", "runAsUser: 10001"),
    ("a sidecar as root", beside(runAsUser=0), "sidecars[0].runAsUser", "leave it out"),
    # When.
    ("30 February", scheduled("0 0 30 2 *"), "run.schedule", "write a day that there is"),
    ("the 31st of short months", scheduled("0 0 31 4,6,9,11 *"), "run.schedule", "write a day that there is"),
    ("minute 61", scheduled("61 * * * *"), "run.schedule", "must be from 0 to 59"),
    ("every second", scheduled("@every 1s"), "run.schedule", "must be five fields"),
    # Labels and annotations that lead others.
    ("another agent's fence", {"podLabels": {"ringfence.dev/agent": "other"}}, "podLabels", OWN_KEY),
    ("made by us", {"podLabels": {"app.kubernetes.io/managed-by": "ringfence"}}, "podLabels", OWN_KEY),
    ("the cluster's DNS", {"podLabels": {"k8s-app": "kube-dns"}}, "podLabels", OWN_KEY),
    ("another ReplicaSet", {"podLabels": {"pod-template-hash": "abc"}}, "podLabels", OWN_KEY),
    ("a Service's selector", {"podLabels": {"component": "api"}}, "podLabels", "have it added to the policy's"),
    ("no mesh", {"podAnnotations": {"sidecar.istio.io/inject": "false"}}, "podAnnotations", OWN_KEY),
    ("past a mesh", {"podAnnotations": {"traffic.sidecar.istio.io/excludeInterfaces": ""}}, "podAnnotations", OWN_KEY),
    ("another network", {"podAnnotations": {"k8s.v1.cni.cncf.io/networks": "host"}}, "podAnnotations", OWN_KEY),
    ("no tracking", {"podAnnotations": {"io.cilium/no-track-port": "443"}}, "podAnnotations", OWN_KEY),
    ("no seccomp", {"podAnnotations": {"container.apparmor.security.beta.kubernetes.io/agent": "unconfined"}},
     "podAnnotations", OWN_KEY),
    ("of no policy", {"podAnnotations": {"example.com/other": "x"}}, "podAnnotations", "have it added to the policy's"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "path", "fix"), [wish[1:] for wish in WISHES], ids=[f"{wish[2] or 'spec'}: {wish[0]}" for wish in WISHES]
)
def test_it_is_refused_with_what_to_write_instead(spec: dict[str, Any], path: str, fix: str) -> None:
    found = {violation.path: violation.message for violation in judge(spec, OPEN)}
    at = f"spec.{path}".rstrip(".")
    assert fix in found.get(at, ""), found


def test_the_policy_is_not_what_refuses_them() -> None:
    """The same fields with something fair in them are accepted."""
    spec: dict[str, Any] = {
        **files("/etc/a", "/etc/b", "/home/.config/a", **STORAGE),
        **secret("mine", containers=["agent", "helper"]),
        **beside(),
        **scheduled("0 0 29 2 *"),
        "stop": {"gracePeriod": "10m", "command": ["sleep", "infinity"]},
        "scheduling": {"tolerations": [{"key": "any"}]},
        "devices": [{"name": "nvidia.com/gpu", "count": 4}],
        "runAsUser": 1,
        "podLabels": {"app": "x"},
        "podAnnotations": {"example.com/contact": "x"},
    }
    assert judge(spec, OPEN) == []
