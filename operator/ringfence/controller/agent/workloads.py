"""What makes an agent's pods: a Deployment, or a CronJob and Jobs. Pure."""

from collections.abc import Mapping
from typing import Any

from ringfence.resources import Ref
from ringfence.resources.model import child_name
from ringfence.resources.runs import ends
from ringfence.resources.stored import STOPPED
from ringfence.resources.workload import rolled_out

from . import runs
from .actions import StopWorkload
from .fence import Stop
from .observed import Observed


def workload_of(seen: Observed) -> Mapping[str, Any] | None:
    """What is kept of the agent's Deployment, or of its CronJob, or of a Job; a stranger's of that name is none."""
    live = seen.children.get(deployment_ref(seen))
    if live is not None and seen.agent and live.controller_uid == seen.agent.uid:
        return live.shown
    found = next((one for one in runs.workloads(seen) if one.ref.kind != "Deployment"), None)
    if found is None and seen.spec is not None and ends(seen.spec) and seen.accepted_before:
        return {"spec": {}}  # its run has ended
    return found.shown if found is not None else None


def pods_wanted(workload: Mapping[str, Any] | None) -> int | None:
    """How many pods what is kept of a workload asks for; None where there is none. Of runs: 0 or 1."""
    if workload is None:
        return None
    spec = workload.get("spec") or {}
    if "suspend" in spec:
        return 0 if spec["suspend"] else 1
    number = spec.get("replicas")
    return number if isinstance(number, int) else None


def taken_up(seen: Observed, workload: Mapping[str, Any] | None) -> bool:
    """Whether nothing runs any more with what was before."""
    if seen.spec is not None and ends(seen.spec):
        return not any(run.is_there for run in runs.present(seen))
    return workload is not None and "suspend" not in workload["spec"] and rolled_out(workload)


def was_stopped(seen: Observed) -> bool:
    return any(live.mark == STOPPED for live in runs.workloads(seen))


def deployment_ref(seen: Observed) -> Ref:
    return Ref("Deployment", seen.key.namespace, child_name(seen.key.name))


def stop_action(seen: Observed, why: Stop) -> StopWorkload:
    """What takes an agent's pods away."""
    refs = [one.ref for one in runs.workloads(seen)] or [deployment_ref(seen)]
    scheduled = tuple(run.child for run in runs.present(seen) if run.active and run.cause == "Schedule")
    return StopWorkload(ref=refs[0], why=why, others=tuple(refs[1:]), runs=scheduled)
