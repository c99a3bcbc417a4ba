"""Agents whose work ends, on a real kubelet: once, by a schedule, when somebody asks for it."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from cluster.shell import wait_for
from harness import agents
from harness.api import Api
from harness.environment import Environment
from harness.kubectl import Kubectl, Object
from harness.manifests import NAMESPACE
from harness.probing import ELSEWHERE, LLM

Make = Callable[..., Object]
ALLOWED, DENIED = f"https://{LLM}/", f"https://{ELSEWHERE}/"
EGRESS = {"egress": [{"cidr": f"{LLM}/32", "ports": [443]}]}
LOOK = ["probe", "-every", "20ms", "-timeout", "400ms", "-for", "3s", ALLOWED, DENIED]
"""From the first instant of the pod on: what goes to both places, and ends with 0 whatever came of it."""
FOREVER = ["agent", "-interval", "1h"]
FEW = 5
"""Runs that a schedule of each minute may have begun while a test waits for the first one."""


def runs(api: Api, name: str) -> list[Object]:
    """As the status has them, the newest first."""
    found: list[Object] = (agents.get(api, NAMESPACE, name).get("status") or {}).get("runs") or []
    return found


def ended(api: Api, name: str, outcome: str, cause: str = "") -> Object:
    """Wait for a run that ended so."""

    def look() -> Object | None:
        found = [one for one in runs(api, name) if one["outcome"] == outcome and cause in {"", one["cause"]}]
        assert found, agents.get(api, NAMESPACE, name).get("status")
        return found[0]

    return wait_for(f"a run of {name} that is {outcome}", look, timeout=150) or {}


def verdicts(kubectl: Kubectl, run: Object) -> dict[str, set[str]]:
    """What became of all attempts of a run, by target."""
    found: dict[str, set[str]] = {}
    for line in kubectl("logs", "-n", NAMESPACE, f"job/{run['name']}").splitlines():
        told = json.loads(line)
        found.setdefault(told["target"], set()).add(told["verdict"])
    return found


def test_a_job_runs_once_in_its_fence(make: Make, api: Api, kubectl: Kubectl) -> None:
    """From the first packet on: nothing gets through that is not allowed."""
    name = make(args=LOOK, network=EGRESS, run={"mode": "Job"})["metadata"]["name"]
    run = ended(api, name, "Succeeded", "Spec")
    found = verdicts(kubectl, run)
    assert found[DENIED] == {"blocked"}
    assert "reachable" in found[ALLOWED]
    agents.wait(api, NAMESPACE, name, reason="RunSucceeded")
    assert len(runs(api, name)) == 1
    assert api.find(f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies/ringfence-{name}-deny")


def test_a_schedule_comes(make: Make, api: Api, kubectl: Kubectl) -> None:
    name = make(args=LOOK, network=EGRESS, run={"mode": "Schedule", "schedule": "* * * * *"})["metadata"]["name"]
    agents.wait(api, NAMESPACE, name, reason="Scheduled")
    run = ended(api, name, "Succeeded", "Schedule")
    found = verdicts(kubectl, run)
    assert found[DENIED] == {"blocked"}
    assert "reachable" in found[ALLOWED]


def test_a_thousand_missed_times_are_no_thousand_runs(make: Make, api: Api) -> None:
    """As after a night without a control plane: the next one comes, and the scheduler does not give up."""
    name = make(args=["env"], run={"mode": "Schedule", "schedule": "* * * * *", "timeZone": "Etc/UTC"})["metadata"][
        "name"
    ]
    agents.wait(api, NAMESPACE, name, reason="Scheduled")
    cron_job = f"/apis/batch/v1/namespaces/{NAMESPACE}/cronjobs/ringfence-{name}"
    long_ago = datetime.now(UTC) - timedelta(minutes=1000)
    api.patch(f"{cron_job}/status", {"status": {"lastScheduleTime": f"{long_ago:%Y-%m-%dT%H:%M:%SZ}"}})
    ended(api, name, "Succeeded", "Schedule")
    assert len(runs(api, name)) < FEW
    events = api.get(f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events")["items"]
    told = [one["reason"] for one in events if one["regarding"].get("name") == f"ringfence-{name}"]
    assert "TooManyMissedTimes" not in told


def test_a_run_is_asked_for(make: Make, api: Api, environment: Environment) -> None:
    """By the command, with no right on Jobs; a second one beside it is refused."""
    schedule = {"mode": "Schedule", "schedule": "0 0 1 1 *"}
    name = make(args=LOOK, run=schedule)["metadata"]["name"]
    agents.wait(api, NAMESPACE, name, reason="Scheduled")
    assert ask(environment, name, "--wait").returncode == 0
    assert [(one["cause"], one["outcome"]) for one in runs(api, name)] == [("Request", "Succeeded")]
    api.patch(agents.agent_path(NAMESPACE, name), {"spec": {"args": FOREVER}})
    assert ask(environment, name).returncode == 0

    def phases() -> set[str]:  # the pod of the run before is kept, and may come first
        return {pod["status"].get("phase", "") for pod in agents.pods(api, NAMESPACE, name)}

    wait_for("it is at work", lambda: "Running" in phases())
    refused = ask(environment, name, "--wait")
    assert refused.returncode == 1
    assert "another run is at work" in refused.stderr
    api.patch(agents.agent_path(NAMESPACE, name), {"spec": {"suspended": True}})
    run = ended(api, name, "Ended", "Request")
    assert run["reason"] == "Suspended"
    wait_for("its pods to be gone", lambda: not _alive(api, name), timeout=150)
    assert "is suspended" in ask(environment, name).stderr


def test_the_deadline_ends_a_run(make: Make, api: Api) -> None:
    name = make(args=FOREVER, run={"mode": "Job", "deadline": "10s"})["metadata"]["name"]
    run = ended(api, name, "Failed")
    assert run["reason"] == "DeadlineExceeded"
    agents.wait(api, NAMESPACE, name, status="False", reason="RunFailed")
    wait_for("its pods to be gone", lambda: not _alive(api, name), timeout=150)


def test_retries_are_counted(make: Make, api: Api) -> None:
    name = make(args=["nothing"], run={"mode": "Job", "retries": 1})["metadata"]["name"]
    run = ended(api, name, "Failed")
    assert (run["reason"], run["failures"]) == ("BackoffLimitExceeded", 2)
    once = make(args=["nothing"], run={"mode": "Job"})["metadata"]["name"]
    assert ended(api, once, "Failed")["failures"] == 1


def test_a_service_becomes_a_job_when_its_pods_are_gone(make: Make, api: Api, kubectl: Kubectl) -> None:
    """Never two workloads at a time; and the deny policy is the same object all the while."""
    name = make(args=FOREVER)["metadata"]["name"]
    agents.wait(api, NAMESPACE, name)
    deny = f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies/ringfence-{name}-deny"
    uid = api.get(deny)["metadata"]["uid"]
    before = agents.pods(api, NAMESPACE, name)[0]["metadata"]["uid"]
    api.patch(agents.agent_path(NAMESPACE, name), {"spec": {"args": LOOK, "network": EGRESS, "run": {"mode": "Job"}}})

    def of_job() -> Object | None:
        found = agents.pods(api, NAMESPACE, name)
        kinds = {pod["metadata"]["ownerReferences"][0]["kind"] for pod in found}
        assert len(kinds) < 2, kinds
        assert not (kinds == {"Job"} and before in {pod["metadata"]["uid"] for pod in found})
        return found[0] if kinds == {"Job"} else None

    wait_for("the Job's pod", of_job, timeout=150)
    assert verdicts(kubectl, ended(api, name, "Succeeded"))[DENIED] == {"blocked"}
    assert api.get(deny)["metadata"]["uid"] == uid
    assert api.find(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/ringfence-{name}") is None


def _alive(api: Api, name: str) -> list[Any]:
    return [pod for pod in agents.pods(api, NAMESPACE, name) if pod["status"].get("phase") in {"Pending", "Running"}]


def ask(environment: Environment, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """`ringfence run`."""
    command = [sys.executable, "-m", "ringfence", "run", name, "-n", NAMESPACE, *words]
    env = dict(environment.kubectl.env)
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=300)
