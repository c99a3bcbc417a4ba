"""The agent itself: a Deployment that passes the `restricted` Pod Security Standard, and its volume.

Every field that the API server would fill in is written out, so that what is stored can be compared with what was
meant, field by field: a field that we did not write is somebody else's.
"""

from collections.abc import Mapping
from typing import Any

from ringfence.api.containers import AGENT
from ringfence.policy.quantities import canonical

from .containers import annotations_beside, container, containers_beside, resources, volumes_beside
from .files import config_variables, file_annotations, file_mounts, file_volumes
from .gate import gates
from .gateway import host_variables, trust_mounts, trust_volumes
from .hosts_file import dns_settings, host_aliases
from .identity import identity_labels, token_mounts, token_volumes
from .kinds import Manifest
from .model import DENY, FOREGROUND, Agent, child, child_name
from .probes import probes
from .scheduling import devices, scheduling
from .scratch import home_variable, scratch_mounts, scratch_volumes
from .secrets import secret_mounts, secret_variables, secret_volumes
from .stop import grace_seconds, lifecycle
from .users import security_context
from .volumes import existing_mounts, existing_volumes, is_written

TOKEN_SECONDS = 3600
"""Life of the agent's API token; the kubelet renews it after 80 %."""
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - where clients look for it

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
"""Whose logs kubectl shows, and where its exec goes, without a word about the gate."""


def volume_claim(agent: Agent) -> Manifest | None:
    """The PersistentVolumeClaim; None without storage."""
    storage = agent.spec.storage
    if storage is None:
        return None
    spec: Manifest = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": canonical(storage.size)}},
        "volumeMode": "Filesystem",
    }
    if storage.storage_class_name:
        spec["storageClassName"] = storage.storage_class_name
    return child(agent, "v1", "PersistentVolumeClaim", spec=spec)


def deployment(agent: Agent) -> Manifest:
    """The workload; no pods while suspended. It belongs to the deny policy too, which thereby outlives its pods."""
    spec = agent.spec
    manifest = child(
        agent,
        "apps/v1",
        "Deployment",
        spec={
            "replicas": 0 if spec.suspended else spec.replicas,
            "selector": {"matchLabels": agent.selector},
            "strategy": _strategy(agent),
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": 600,
            "template": pod_template(agent),
        },
    )
    return behind_fence(manifest, agent)


def behind_fence(manifest: Manifest, agent: Agent) -> Manifest:
    """A workload that outlives its pods, and that the deny policy outlives."""
    manifest["metadata"]["finalizers"] = [FOREGROUND]
    return owned_by_fence(manifest, child_name(agent.name, DENY), agent.fence_uid) if agent.fence_uid else manifest


def pod_template(agent: Agent) -> Manifest:
    """What each pod of the agent is, whoever makes it."""
    return {"metadata": _template_metadata(agent), "spec": _pod(agent)}


def owned_by_fence(manifest: Manifest, name: str, uid: str) -> Manifest:
    """The workload with the deny policy as one more owner, which therefore outlives its pods."""
    metadata = manifest["metadata"]
    fence = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "name": name,
        "uid": uid,
        "blockOwnerDeletion": True,
    }
    return manifest | {"metadata": metadata | {"ownerReferences": [*metadata["ownerReferences"], fence]}}


def _template_metadata(agent: Agent) -> Manifest:
    beside = {**agent.restarts, **file_annotations(agent), **annotations_beside(agent), DEFAULT_CONTAINER: AGENT}
    labels = agent.spec.pod_labels | agent.labels | identity_labels(agent)
    return {"labels": labels, "annotations": agent.spec.pod_annotations | beside}


def _strategy(agent: Agent) -> Manifest:
    # A volume that one pod mounts cannot be handed over while the old pod runs.
    if agent.spec.storage or is_written(agent):
        return {"type": "Recreate"}
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}


def _pod(agent: Agent) -> Manifest:
    spec = agent.spec
    name = child_name(agent.name)
    pod: Manifest = {
        "serviceAccountName": name,
        "serviceAccount": name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Always",
        **dns_settings(agent),
        "schedulerName": "default-scheduler",
        "terminationGracePeriodSeconds": grace_seconds(spec),
        "securityContext": security_context(agent.user_ids, spec.run_as_user, spec.run_as_group),
        "containers": [_container(agent)],
        "volumes": _volumes(agent) + volumes_beside(agent),
    }
    if before := [*gates(agent), *containers_beside(agent)]:
        pod["initContainers"] = before
    if aliases := host_aliases(agent):
        pod["hostAliases"] = aliases
    if spec.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": secret} for secret in spec.image_pull_secrets]
    if spec.sandbox:
        pod["runtimeClassName"] = spec.sandbox.runtime_class_name
    return pod | scheduling(agent)


def _container(agent: Agent) -> Manifest:
    spec = agent.spec
    env = (
        home_variable(agent)
        + host_variables(agent, spec.env)
        + config_variables(spec.env_from)
        + secret_variables(agent)
    )
    limits = {which: amounts | devices(spec) for which, amounts in resources(spec.resources).items()}
    manifest = container(AGENT, spec, limits, env, _mounts(agent))
    if spec.ports:
        manifest["ports"] = [{"name": p.name, "containerPort": p.port, "protocol": "TCP"} for p in spec.ports]
    return manifest | probes(spec) | lifecycle(spec)


def _mounts(agent: Agent) -> list[Manifest]:
    mounts = scratch_mounts(agent)
    if agent.spec.storage:
        mounts.append({"name": "storage", "mountPath": agent.spec.storage.mount_path})
    mounts += token_mount(agent)
    mounts += existing_mounts(agent) + file_mounts(agent) + secret_mounts(agent)
    return mounts + token_mounts(agent) + trust_mounts(agent)


def _volumes(agent: Agent) -> list[Manifest]:
    volumes = scratch_volumes(agent)
    if agent.spec.storage:
        volumes.append({"name": "storage", "persistentVolumeClaim": {"claimName": child_name(agent.name)}})
    volumes += token_volume(agent)
    volumes += existing_volumes(agent) + file_volumes(agent) + secret_volumes(agent)
    return volumes + token_volumes(agent) + trust_volumes(agent)


def token_mount(agent: Agent) -> list[Manifest]:
    """Where the agent's API token is; empty where it asks for nothing there."""
    mount = {"name": "token", "mountPath": TOKEN_PATH, "readOnly": True}
    return [mount] if agent.spec.permissions.asks else []


def token_volume(agent: Agent) -> list[Manifest]:
    """The volume behind it."""
    volume = {"name": "token", "projected": {"defaultMode": 420, "sources": _token_sources()}}
    return [volume] if agent.spec.permissions.asks else []


def _token_sources() -> list[Manifest]:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": TOKEN_SECONDS}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]


def is_stopped(agent: Agent) -> bool:
    """Whether the spec asks for no pods."""
    return agent.spec.suspended or agent.spec.replicas == 0


def rolled_out(deployment: Mapping[str, Any]) -> bool:
    """Whether all pods of the Deployment are of its newest template and available, and none of an older one is left."""
    wanted = deployment["spec"].get("replicas", 1)
    status = deployment.get("status") or {}
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    # An old pod is available as well: only without one do the available pods say anything about the new.
    return bool(seen and updated >= wanted and available >= wanted and status.get("replicas", 0) <= updated)
