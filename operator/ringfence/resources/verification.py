"""The pod that tries an agent's fence: with its labels, its ServiceAccount, its names and its ways out, and no more.

It has none of the agent's secrets, files and volumes. A Job makes it, as who makes an agent's pods is a controller of
the cluster's: the guards let nobody else.
"""

import hashlib
from typing import Any, Final

from ringfence.api.names import CHILD_PREFIX

from .gateway import host_variables, trust_mounts, trust_volumes
from .gateway_names import fitting
from .hosts_file import dns_settings, host_aliases
from .kinds import TABLE_VARIABLE, Manifest
from .model import Agent, JobImage, Verification, child, child_name
from .scheduling import scheduling
from .users import security_context
from .workload import token_mount, token_volume

MARK: Final = ".verify-"
"""In the names of its Jobs. A CronJob that rotates a secret of the name `verify` makes Jobs with a digit after it."""
DEADLINE: Final = 45
"""Seconds until it is given up: attempts take some seven; the rest is for an image that has to be pulled."""
KEPT: Final = 300
"""Seconds after which a Job goes that the controller did not take away."""
NEVER_READY: Final = "ringfence.dev/serves"
"""A condition that nobody sets: no Service leads to this pod, although it has the labels of the agent's."""
NODE_VARIABLE: Final = "NODE_ADDRESS"
RESOURCES: Final = {
    "limits": {"cpu": "500m", "memory": "128Mi", "ephemeral-storage": "16Mi"},
    "requests": {"cpu": "20m", "memory": "48Mi", "ephemeral-storage": "1Mi"},
}


def verification_name(agent: str, request: str) -> str:
    """Name of the Job that answers a request: the same one for the same text."""
    digest = hashlib.sha256(request.encode("utf-8", "replace")).hexdigest()[:8]
    return fitting(f"{CHILD_PREFIX}{agent}", f"{MARK}x{digest}", agent)


def is_verification(kind: str, name: str) -> bool:
    """Whether a child is such a Job."""
    return kind == "Job" and f"{MARK}x" in name


def verification(agent: Agent) -> Manifest | None:
    """The Job; None where nothing is to be tried."""
    if agent.verification is None or agent.job_image is None:
        return None
    spec: Manifest = {
        "parallelism": 1,
        "completions": 1,
        "completionMode": "NonIndexed",
        "podReplacementPolicy": "Failed",
        "backoffLimit": 0,
        "activeDeadlineSeconds": DEADLINE,
        "ttlSecondsAfterFinished": KEPT,
        "suspend": False,
        "manualSelector": False,
        "template": {
            "metadata": {"labels": agent.spec.pod_labels | agent.labels},
            "spec": _pod(agent, agent.job_image, agent.verification),
        },
    }
    return child(agent, "batch/v1", "Job", name=agent.verification.name, spec=spec)


def _pod(agent: Agent, image: JobImage, tried: Verification) -> Manifest:
    name, spec = child_name(agent.name), agent.spec
    pod: Manifest = {
        "serviceAccountName": name,
        "serviceAccount": name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        **dns_settings(agent),
        "schedulerName": "default-scheduler",
        "terminationGracePeriodSeconds": 1,
        "readinessGates": [{"conditionType": NEVER_READY}],
        "securityContext": security_context(agent.user_ids, spec.run_as_user, spec.run_as_group),
        "containers": [_container(agent, image, tried)],
        "volumes": [*token_volume(agent), *trust_volumes(agent)],
    }
    if aliases := host_aliases(agent):
        pod["hostAliases"] = aliases
    if spec.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": secret} for secret in spec.image_pull_secrets]
    if spec.sandbox:
        pod["runtimeClassName"] = spec.sandbox.runtime_class_name
    # Not how its pods keep apart: that would keep this one from where they are.
    where = scheduling(agent)
    return pod | {key: where[key] for key in ("nodeSelector", "tolerations", "priorityClassName") if key in where}


def _container(agent: Agent, image: JobImage, tried: Verification) -> Manifest:
    node: dict[str, Any] = {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.hostIP"}}
    return {
        "name": "verify",
        "image": image.name,
        "imagePullPolicy": image.pull_policy,
        "args": ["try"],
        "env": [
            {"name": TABLE_VARIABLE, "value": tried.table},
            {"name": NODE_VARIABLE, "valueFrom": node},
            *host_variables(agent, []),
        ],
        "resources": RESOURCES,
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [*token_mount(agent), *trust_mounts(agent)],
    }
