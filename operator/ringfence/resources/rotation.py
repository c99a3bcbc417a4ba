"""What keeps an agent's keys fresh: for each rotating one a job on a schedule, in a fence of its own.

docs/adr/0001-rotation-without-reading.md says why it is built so.
"""

import hashlib
from collections.abc import Iterator
from datetime import timedelta

from ringfence.api.secrets import AgentSecret, duration

from .kinds import Manifest
from .model import ROTATION_LABEL, Agent, JobImage, child, child_name
from .network import api_server_only
from .runs import ends
from .secret_names import rotation_name
from .secrets import restart_annotation
from .users import ids_of

JOB_SECONDS = 300
"""A job that has not ended by then is stopped; the next tick begins anew."""
BACKOFF_LIMIT = 3


def rotating(agent: Agent) -> list[AgentSecret]:
    """The secrets that have a job."""
    return [secret for secret in agent.spec.secrets if secret.rotation]


def tick(every: timedelta) -> timedelta:
    """How often a job looks: at most a quarter of `every`, so that it comes little too early and never too late."""
    for step in (timedelta(days=1), timedelta(hours=1)):
        if every >= 4 * step:
            return step
    return timedelta(minutes=15)


def schedule(namespace: str, agent: str, secret: AgentSecret) -> str:
    """The tick as cron says it, its minute and hour spread by a hash."""
    if secret.rotation is None:
        raise ValueError("only a rotating secret has a schedule")
    number = int(hashlib.sha256(f"{namespace}/{agent}/{secret.name}".encode()).hexdigest()[:8], 16)
    minute, hour = number % 60, number // 60 % 24
    step = tick(duration(secret.rotation.every))
    if step == timedelta(days=1):
        return f"{minute} {hour} * * *"
    if step == timedelta(hours=1):
        return f"{minute} * * * *"
    first = minute % 15
    return f"{','.join(str(first + quarter * 15) for quarter in range(4))} * * * *"


def rotation_children(agent: Agent) -> Iterator[Manifest]:
    """The fence first, then the job: NetworkPolicy, ServiceAccount, Role, RoleBinding, CronJob for each secret."""
    if agent.job_image is None:
        return
    for secret in rotating(agent):
        name = rotation_name(agent.name, secret.name)
        for manifest in (
            api_server_only(agent, name, {ROTATION_LABEL: name}),
            child(agent, "v1", "ServiceAccount", name=name, automountServiceAccountToken=False),
            _role(agent, secret, name),
            _binding(agent, name),
            _cron_job(agent, secret, name, agent.job_image),
        ):
            manifest["metadata"]["labels"][ROTATION_LABEL] = name
            yield manifest


def _role(agent: Agent, secret: AgentSecret, name: str) -> Manifest:
    rules = [
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": [name],
            "verbs": ["get", "update"],
        }
    ]
    if _restarts(agent, secret):  # and to see that the restarted pods are there
        rules.append(
            {
                "apiGroups": ["apps"],
                "resources": ["deployments"],
                "resourceNames": [child_name(agent.name)],
                "verbs": ["get", "patch"],
            }
        )
    return child(agent, "rbac.authorization.k8s.io/v1", "Role", name=name, rules=rules)


def _binding(agent: Agent, name: str) -> Manifest:
    return child(
        agent,
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        name=name,
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        subjects=[{"kind": "ServiceAccount", "name": name, "namespace": agent.namespace}],
    )


def _cron_job(agent: Agent, secret: AgentSecret, name: str, image: JobImage) -> Manifest:
    template = {
        "metadata": {"labels": {ROTATION_LABEL: name}},
        "spec": {
            "backoffLimit": BACKOFF_LIMIT,
            "activeDeadlineSeconds": JOB_SECONDS,
            "ttlSecondsAfterFinished": 3600,
            "template": {"metadata": {"labels": {ROTATION_LABEL: name}}, "spec": _pod(agent, secret, name, image)},
        },
    }
    return child(
        agent,
        "batch/v1",
        "CronJob",
        name=name,
        spec={
            "schedule": schedule(agent.namespace, agent.name, secret),
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "suspend": False,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": template,
        },
    )


def _pod(agent: Agent, secret: AgentSecret, name: str, image: JobImage) -> Manifest:
    return {
        "serviceAccountName": name,
        "serviceAccount": name,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "restartPolicy": "OnFailure",
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "terminationGracePeriodSeconds": 5,
        "securityContext": {
            "runAsNonRoot": True,
            **ids_of(agent.user_ids),
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "rotate",
                "image": image.name,
                "imagePullPolicy": image.pull_policy,
                "args": _arguments(agent, secret),
                "env": [_field("POD_NAMESPACE", "metadata.namespace"), _field("JOB_NAME", _JOB_NAME_FIELD)],
                "resources": {
                    "limits": {"cpu": "500m", "memory": "128Mi"},
                    "requests": {"cpu": "20m", "memory": "64Mi"},
                },
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }


def _restarts(agent: Agent, secret: AgentSecret) -> bool:
    """Whether pods go on that have the value in a variable. A run keeps the value that it began with."""
    return secret.delivery.env is not None and not ends(agent.spec)


_JOB_NAME_FIELD = "metadata.labels['batch.kubernetes.io/job-name']"


def _field(name: str, path: str) -> Manifest:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def _arguments(agent: Agent, secret: AgentSecret) -> list[str]:
    """Everything the job must know; no value of a secret is among it."""
    if secret.rotation is None or secret.source.generate is None:
        raise ValueError("only a generated secret rotates")
    arguments = [
        "rotate-job",
        f"--secret={rotation_name(agent.name, secret.name)}",
        f"--cron-job={rotation_name(agent.name, secret.name)}",
        f"--length={secret.source.generate.length}",
        f"--every={secret.rotation.every}",
        f"--overlap={secret.rotation.overlap}",
    ]
    if _restarts(agent, secret):
        arguments += [f"--restart={child_name(agent.name)}", f"--annotation={restart_annotation(secret.name)}"]
    return arguments
