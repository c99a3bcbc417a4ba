"""The life of a release: install, test, upgrade, rollback, uninstall, install again. One story, in this order."""

import pytest

from cluster import CommandFailed
from cluster.shell import wait_for
from suites.chart.release import CRDS, NAMESPACE, OPENED, REGISTRATION, Object, Release, Requests, agent

CHILDREN = "networkpolicies,serviceaccounts,deployments"


def uids(release: Release, kinds: str, namespace: str, selector: str) -> dict[str, str]:
    items = release.cluster.get(kinds, "-n", namespace, "-l", selector)["items"]
    return {f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["uid"] for item in items}


def test_without_crds_the_controller_waits_and_says_so(release: Release) -> None:
    release.put("install", wait=False)
    wait_for("the controller's word", lambda: "the CRDs are not installed" in release.log("controller"), timeout=120)
    leader = [pod for pod in release.pods("controller") if not _ready(pod)]
    assert leader, "a leader that cannot work must not be ready"


def test_and_starts_working_once_they_are_there(release: Release) -> None:
    release.helm("install", "ringfence-crds", str(CRDS), "--wait")
    for name in ("controller", "admission"):
        release.cluster.kubectl(
            *("rollout", "status", f"deployment/ringfence-{name}", "-n", NAMESPACE, "--timeout=180s"), timeout=190
        )
    assert release.ca_bundle()
    for component in ("controller", "admission"):
        pods = release.pods(component)
        assert len(pods) == 2
        assert sum(pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods) == 0


def _ready(pod: Object) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def test_helm_test_passes_and_leaves_no_rights_behind(release: Release) -> None:
    told = release.helm("test", "ringfence", "--logs")
    assert "1 passed, 0 failed" in told
    assert told.count("ready: ringfence-") >= 4
    assert release.cluster.get("roles,rolebindings,pods", "-n", "default")["items"] == []


def test_an_agent_runs(release: Release) -> None:
    release.cluster.apply(agent(release.cluster, "steady"))
    wait_for("the agent", lambda: uids(release, "pods", OPENED, "ringfence.dev/agent=steady"), timeout=120)
    wait = ("wait", "agd/steady", "-n", OPENED, "--for=condition=Ready", "--timeout=120s")
    release.cluster.kubectl(*wait, timeout=130)


def test_an_upgrade_under_load_admits_nothing_bad_and_refuses_nothing_good(release: Release) -> None:
    before, children = release.ca_bundle(), uids(release, CHILDREN, OPENED, "ringfence.dev/agent=steady")
    with Requests(release) as requests:
        changes = ("log.level=debug", "admission.replicas=3", "networkPolicy.apiServer.discover=true")
        release.put("upgrade", *(word for change in changes for word in ("--set", change)))
    assert requests.verdicts["good: admitted"] > 20
    assert requests.verdicts["bad: admitted"] == 0, requests.surprises
    assert requests.surprises == []
    assert release.ca_bundle() == before
    assert len(release.pods("admission")) == 3
    assert "--log-level=debug" in release.pods("controller")[0]["spec"]["containers"][0]["args"]
    # The new pods came up with the API server's own address as the only way out.
    (way,) = release.cluster.get("networkpolicy", "ringfence-to-api-server", "-n", NAMESPACE)["spec"]["egress"]
    assert way["to"] == [{"ipBlock": {"cidr": f"{release.cluster.address}/32"}}]
    assert uids(release, CHILDREN, OPENED, "ringfence.dev/agent=steady") == children


def test_rollback(release: Release) -> None:
    before = release.ca_bundle()
    with Requests(release) as requests:
        release.helm("rollback", "ringfence", "1", "--wait", "--timeout=180s")
    assert requests.surprises == []
    assert release.ca_bundle() == before
    assert len(release.pods("admission")) == 2
    release.helm("test", "ringfence")


def test_a_lost_registration_comes_back_with_an_upgrade(release: Release) -> None:
    """The controller does not remake it (it may not): the floor refuses everything until helm does."""
    release.cluster.kubectl("delete", REGISTRATION)
    with pytest.raises(CommandFailed, match="ringfence-needs-its-webhook-configuration"):
        release.cluster.apply(agent(release.cluster, "late"))
    release.put("upgrade")
    wait_for("the CA", release.ca_bundle)
    release.helm("test", "ringfence")


def test_uninstall_leaves_nothing_but_agents(release: Release) -> None:
    children = uids(release, CHILDREN, OPENED, "ringfence.dev/agent=steady")
    release.helm("uninstall", "ringfence", "--wait")
    release.cluster.kubectl("wait", "pods", "--all", "-n", NAMESPACE, "--for=delete", "--timeout=90s")
    assert release.everything() <= {"Secret/sh.helm.release.v1.ringfence-crds.v1"}
    # The fences of the agents stand as they stood; so do the CRDs.
    assert uids(release, CHILDREN, OPENED, "ringfence.dev/agent=steady") == children
    assert children


def test_a_new_install_takes_up_the_agents(release: Release) -> None:
    children = uids(release, CHILDREN, OPENED, "ringfence.dev/agent=steady")
    release.put("install")
    release.helm("test", "ringfence")
    release.cluster.kubectl("delete", "networkpolicy", "-n", OPENED, "-l", "ringfence.dev/agent=steady")
    wait_for(
        "the policies to be put back",
        lambda: uids(release, CHILDREN, OPENED, "ringfence.dev/agent=steady").keys() == children.keys(),
        timeout=30,
    )
