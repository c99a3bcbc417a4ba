"""Somebody keeps parts of a fence by a finalizer while they are being deleted, and edits them."""

from cluster.shell import seconds_until, wait_for
from harness.api import Api
from harness.kubectl import Kubectl, Object
from harness.manifests import NAMESPACE
from suites.attacks.agent import HOLD, NOBODY, OPEN, RULES, STANDING, Agent, held, path, violations
from suites.attacks.conftest import Make
from suites.attacks.packets import MOMENT, no_longer_than, trying
from suites.attacks.people import People

NO_AGENT: Object = {"spec": {"podSelector": {"matchExpressions": [{"key": "nothing", "operator": "Exists"}]}}}
SECRETS = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}]


def anew(agent: Agent, at: str) -> None:
    def there() -> bool:
        return agent.right() and agent.api.get(at)["metadata"]["uid"] != agent.uids[at]

    wait_for(f"{at} to be made anew", there)


def test_a_held_allow_policy(make: Make, people: People, kubectl: Kubectl, closed: list[str]) -> None:
    agent = make()
    counted = violations(agent.api, "ChildHeld")
    with trying(kubectl, agent, closed) as stream:
        held(people("netp"), agent.allow, OPEN)
        anew(agent, agent.allow)
    no_longer_than(MOMENT, stream)
    agent.wait_event("FinalizerRemoved", agent.allow.rpartition("/")[2], HOLD)
    assert violations(agent.api, "ChildHeld") > counted


def test_all_policies_held_at_once(make: Make, people: People, kubectl: Kubectl, closed: list[str]) -> None:
    """The agent's own two, and the one of the namespace, which selects nobody any more."""
    agent, netp = make(), people("netp")
    standing = path("networkpolicies", STANDING)
    before = agent.api.get(standing)
    with trying(kubectl, agent, closed) as stream:
        held(netp, standing, NO_AGENT)
        held(netp, agent.deny, NOBODY)
        held(netp, agent.allow, OPEN)
        anew(agent, agent.allow)
        anew(agent, agent.deny)
        wait_for("the namespace's own to be right", lambda: agent.api.get(standing)["spec"] == before["spec"])
    no_longer_than(MOMENT, stream)
    for at in (agent.allow, agent.deny):
        agent.wait_event("FinalizerRemoved", at.rpartition("/")[2], HOLD)


def _may_list_secrets(api: Api, agent: Agent) -> bool:
    user = f"system:serviceaccount:{NAMESPACE}:ringfence-{agent.name}"
    asked = {"namespace": NAMESPACE, "verb": "list", "resource": "secrets"}
    spec = {"user": user, "resourceAttributes": asked}
    answer = api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": spec})
    return bool(answer["status"]["allowed"])


def test_a_held_role(make: Make, people: People) -> None:
    agent = make(permissions={"level": "ReadOnly", "rules": RULES})
    role = path("roles", f"ringfence-{agent.name}")
    held(people("adm"), role, {"rules": SECRETS})
    taken = seconds_until("the right to be gone", lambda: not _may_list_secrets(agent.api, agent), every=0.01)
    assert taken < MOMENT, f"the agent could read Secrets for {taken:.2f} s"
    anew(agent, role)
    assert not _may_list_secrets(agent.api, agent)
    agent.wait_event("FinalizerRemoved", f"Role ringfence-{agent.name}", HOLD)


def test_a_held_rotation_job(api: Api, people: People) -> None:
    agent = Agent(api, "courier").remember()
    (job,) = [at for at in agent.specs if "/cronjobs/" in at]
    assert not agent.specs[job]["spec"].get("suspend")
    held(people("ed"), job, {"spec": {"suspend": True}})
    anew(agent, job)
    agent.wait_event("FinalizerRemoved", job.rpartition("/")[2], HOLD)
