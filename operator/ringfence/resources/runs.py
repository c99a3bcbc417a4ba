"""The workload of an agent whose work ends: a Job for each run, and with a schedule a CronJob that makes them."""

import hashlib
import json

from ringfence.api import AgentDeploymentSpec
from ringfence.api.run import CONCURRENCY, DEADLINE, KEPT_FOR, RETRIES, TIME_ZONE, Keep, Run
from ringfence.api.secrets import duration

from .gateway import is_of_gateway
from .kinds import Manifest
from .model import Agent, child, child_name
from .workload import behind_fence, deployment, pod_template

STARTING_SECONDS = 3600
"""A run that could not begin for so long is left out. Within it there are fewer missed times than the hundred at which
Kubernetes complains, whatever the schedule; an agent that missed a thousand goes on with its next one."""
WORKLOADS = frozenset({"Deployment", "CronJob", "Job"})
"""Kinds that make an agent's pods; a CronJob whose name has a dot rotates a key."""
BY_SPEC, BY_REQUEST = "s", "r"
"""What a Job's name says of why there is this run. A Job of the CronJob has eight digits there."""
_DIGEST = 8
"""Characters: two requests of one agent, one after the other, that are taken for the same are one in four thousand
million."""
_NOT_RUN = {"suspended", "replicas", "network", "permissions", "imageSignatures", "run"}
"""Fields that change nothing of what runs: a run that ended is not repeated for them."""


def ends(spec: AgentDeploymentSpec) -> bool:
    """Whether an agent has runs."""
    return spec.run is not None and spec.run.ends


def workload(agent: Agent) -> list[Manifest]:
    """All that makes pods of the agent: a Deployment; a CronJob; a Job for each run that is to be."""
    run = agent.spec.run
    if run is None or not run.ends:
        return [deployment(agent)]
    found = [_cron_job(agent, run)] if run.mode == "Schedule" else []
    if run.mode == "Job" and agent.runs.by_spec:
        found.append(_job(agent, run, spec_run(agent.name, agent.spec)))
    if agent.runs.request:
        found.append(_job(agent, run, agent.runs.request))
    return found


def spec_run(agent: str, spec: AgentDeploymentSpec) -> str:
    """Name of the Job of a spec. What is at its default is left out: a field that comes later changes no name."""
    said = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    text = json.dumps({name: value for name, value in said.items() if name not in _NOT_RUN}, sort_keys=True)
    return child_name(agent, BY_SPEC + _digest(text))


def request_digest(request: str | None) -> str:
    """What is kept of the text that asks for a run; nothing where there is none."""
    return _digest(request) if request else ""


def requested_run(agent: str, digest: str) -> str:
    """Name of the Job that answers a request: the same one for the same text."""
    return child_name(agent, BY_REQUEST + digest)


def is_of_schedule(name: str) -> bool:
    """Whether a Job's name is as a CronJob gives it."""
    return name.rpartition("-")[2].isdigit()


def makes_pods(kind: str, name: str) -> bool:
    """Whether a child of an agent is its workload, or a part of it."""
    return kind in WORKLOADS and "." not in name and not is_of_gateway(name)


def kept(run: Run | None) -> Keep:
    """What stays of ended runs."""
    return (run.keep if run else None) or Keep()


def concurrency(run: Run | None) -> str:
    """What becomes of a run that is to begin while another one is at work."""
    return (run.concurrency if run else None) or CONCURRENCY


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_DIGEST]


def _job(agent: Agent, run: Run, name: str) -> Manifest:
    spec = _job_spec(agent, run) | {"suspend": agent.spec.suspended, "manualSelector": False}
    return behind_fence(child(agent, "batch/v1", "Job", name=name, spec=spec), agent)


def _job_spec(agent: Agent, run: Run) -> Manifest:
    template = pod_template(agent)
    return {
        "parallelism": 1,
        "completions": 1,
        "completionMode": "NonIndexed",
        "podReplacementPolicy": "Failed",
        "backoffLimit": RETRIES if run.retries is None else run.retries,
        "activeDeadlineSeconds": int(duration(run.deadline or DEADLINE).total_seconds()),
        "template": template | {"spec": template["spec"] | {"restartPolicy": "Never"}},
    }


def _cron_job(agent: Agent, run: Run) -> Manifest:
    keep = kept(run)
    lasts = int(duration(keep.time or KEPT_FOR).total_seconds())
    spec = _job_spec(agent, run) | {"ttlSecondsAfterFinished": lasts}
    manifest = child(
        agent,
        "batch/v1",
        "CronJob",
        spec={
            "schedule": run.schedule,
            "timeZone": run.time_zone or TIME_ZONE,
            "concurrencyPolicy": concurrency(run),
            "startingDeadlineSeconds": STARTING_SECONDS,
            "suspend": agent.spec.suspended or agent.runs.held,
            "successfulJobsHistoryLimit": keep.succeeded,
            "failedJobsHistoryLimit": keep.failed,
            "jobTemplate": {"metadata": {"labels": agent.labels}, "spec": spec},
        },
    )
    return behind_fence(manifest, agent)
