"""Start, stop, end, and what goes wrong on the way."""

import os
from collections.abc import Callable

from cluster.errors import ClusterError
from cluster.shell import wait_for
from harness import agents, manifests
from harness.api import Api
from harness.environment import Environment
from harness.kubectl import Kubectl, Object
from harness.manifests import NAMESPACE
from harness.probing import LLM, probe
from harness.record import first_write, stored_before

Make = Callable[..., Object]
STARTS = int(os.environ.get("RINGFENCE_E2E_STARTS", "10"))
"""Agents whose start is judged here; the bench judges 100."""
NETWORK_POLICIES = f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies"


def test_the_deny_policy_is_stored_before_the_pod_is_created(environment: Environment, make: Make, api: Api) -> None:
    assert environment.cluster
    names = [make()["metadata"]["name"] for _ in range(STARTS)]
    for name in names:
        agents.wait(api, NAMESPACE, name)
    record = list(environment.cluster.audit())
    for name in names:
        order = [
            first_write(record, "networkpolicies", NAMESPACE, f"ringfence-{name}-deny"),
            first_write(record, "networkpolicies", NAMESPACE, f"ringfence-{name}-allow"),
            first_write(record, "serviceaccounts", NAMESPACE, f"ringfence-{name}"),
            first_write(record, "deployments", NAMESPACE, f"ringfence-{name}"),
        ]
        known = [moment for moment in order if moment is not None]
        assert len(known) == len(order), name
        assert known == sorted(known), name
        assert stored_before(record, NAMESPACE, name)


def test_suspended_stops_the_pods_and_keeps_the_fence(make: Make, api: Api) -> None:
    name = make()["metadata"]["name"]
    agents.wait(api, NAMESPACE, name)
    api.patch(agents.agent_path(NAMESPACE, name), {"spec": {"suspended": True}})
    agents.wait(api, NAMESPACE, name, "WorkloadAvailable", status="False", reason="Suspended", says="no pods")
    wait_for("its pods to be gone", lambda: not agents.pods(api, NAMESPACE, name))
    for suffix in ("deny", "allow"):
        assert api.find(f"{NETWORK_POLICIES}/ringfence-{name}-{suffix}")
    api.patch(agents.agent_path(NAMESPACE, name), {"spec": {"suspended": False}})
    agents.wait(api, NAMESPACE, name)


def test_a_pod_that_will_not_stop_stays_fenced_until_it_is_gone(make: Make, api: Api, kubectl: Kubectl) -> None:
    """The agent is deleted at once; its pod runs on for its grace period; no packet of it may pass in between."""
    # A read from a terminal that nobody writes to: the program never gets to its answer to SIGTERM.
    name = make(args=["cat", "/dev/ptmx"])["metadata"]["name"]
    agents.wait(api, NAMESPACE, name)
    pod = agents.pods(api, NAMESPACE, name)[0]["metadata"]["name"]
    target = f"https://{LLM}/"
    api.delete(agents.agent_path(NAMESPACE, name))
    wait_for("the pod to be told", lambda: agents.pods(api, NAMESPACE, name)[0]["metadata"].get("deletionTimestamp"))
    assert api.find(agents.agent_path(NAMESPACE, name)) is None
    tries = 0
    while agents.pods(api, NAMESPACE, name):
        fence = api.find(f"{NETWORK_POLICIES}/ringfence-{name}-deny")
        assert fence or not agents.pods(api, NAMESPACE, name), "the fence went before the pod"
        try:
            verdict = probe(kubectl, NAMESPACE, pod, [target], seconds=1)[target]
        except ClusterError:
            continue  # it ended meanwhile
        assert verdict == "blocked"
        tries += 1
    assert tries >= 3
    wait_for("the fence to go, too", lambda: api.find(f"{NETWORK_POLICIES}/ringfence-{name}-deny") is None)


def test_deletion_leaves_nothing(make: Make, api: Api, kubectl: Kubectl) -> None:
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
    name = make(permissions={"rules": rules})["metadata"]["name"]
    agents.wait(api, NAMESPACE, name)
    api.delete(agents.agent_path(NAMESPACE, name))
    kinds = "networkpolicies,serviceaccounts,roles,rolebindings,deployments,replicasets,pods,persistentvolumeclaims"
    wait_for(
        "everything of it to be gone",
        lambda: not kubectl.items(kinds, "-n", NAMESPACE, "-l", f"ringfence.dev/agent={name}"),
        timeout=180,
    )


def test_an_image_that_cannot_be_pulled_is_told(make: Make, api: Api) -> None:
    name = make(image=manifests.PLACEHOLDER)["metadata"]["name"]
    agents.wait(
        api, NAMESPACE, name, "WorkloadAvailable", status="False", reason="Unavailable", says="registry.example"
    )
    told = agents.condition(agents.get(api, NAMESPACE, name))
    assert told["status"] == "False"
    assert "pull" in told["message"].lower()


def test_a_missing_pull_secret_is_told(make: Make, api: Api) -> None:
    name = make(image=manifests.PLACEHOLDER, imagePullSecrets=["nowhere"])["metadata"]["name"]
    agents.wait(api, NAMESPACE, name, "WorkloadAvailable", status="False", reason="SecretNotFound", says="nowhere")


def test_a_program_that_ends_is_told(make: Make, api: Api) -> None:
    name = make(args=["no-such-command"])["metadata"]["name"]
    agents.wait(api, NAMESPACE, name, "WorkloadAvailable", status="False", reason="Unavailable", timeout=60)
    wait_for(
        "the exit code or the back-off to be told",
        lambda: any(
            word in agents.condition(agents.get(api, NAMESPACE, name))["message"] for word in ("exit code", "CrashLoop")
        ),
    )
