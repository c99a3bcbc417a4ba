"""Where the platform assigns ids: policies of the API server's play OpenShift's restricted-v2."""

from collections.abc import Iterator
from typing import Any

import pytest

from api.controller.conftest import Shared
from api.controller.place import Place, json_bytes
from api.controller.process import Controller, Options, Record
from api.server import Server
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.kube import path_of
from ringfence.policy.pod_security import without_user

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
RANGE = 1000680000
ASSIGNS = (
    "Object{spec: Object.spec{"
    f"securityContext: Object.spec.securityContext{{fsGroup: {RANGE}, "
    "seLinuxOptions: Object.spec.securityContext.seLinuxOptions{level: 's0:c26,c15'}}, "
    "initContainers: object.spec.?initContainers.orValue([]).map(c, Object.spec.initContainers{name: c.name, "
    f"securityContext: Object.spec.initContainers.securityContext{{runAsUser: {RANGE}}}}}), "
    "containers: object.spec.containers.map(c, Object.spec.containers{name: c.name, "
    f"securityContext: Object.spec.containers.securityContext{{runAsUser: {RANGE}}}}})}}}}"
)
"""What it sets is set for the pod or for each container, as restricted-v2 does."""
HOLDS = (
    "!has(object.spec.securityContext.runAsUser) && object.spec.securityContext.?fsGroup.orValue(0) == 1000680000"
    " && object.spec.containers.all(c, c.securityContext.?runAsUser.orValue(0) == 1000680000)"
)
"""What it refuses: an id that is not of the namespace's range."""
ROTATED = {
    "name": "signing",
    "source": {"generate": {"length": 32}},
    "rotation": {"every": "720h", "overlap": "1h"},
    "delivery": {"file": {"path": "/var/run/ringfence/signing/key"}},
}


@pytest.fixture(scope="module")
def assigning(
    cluster: Cluster, shared: Shared, lease_namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Controller]:
    """A controller that is told so, in place of the shared one."""
    shared.pause()
    log = tmp_path_factory.mktemp("assigning") / "controller.log"
    found = Controller(cluster, log, Options(lease_namespace, more=("--user-ids", "assigned"))).wait_leading()
    yield found
    assert found.stop() == 0, found.output[-3000:]
    shared.resume()


@pytest.fixture
def openshift(client: Server, assigning: Controller) -> Iterator[Place]:
    """A namespace whose pods get their ids from its range, and in which no other id passes."""
    place = Place(client)
    place.label({"pod-security.kubernetes.io/enforce": "restricted"})
    name = f"scc-{place.name}"
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    space: dict[str, Any] = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.name}}}
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": ASSIGNS}}
    specs: dict[str, dict[str, Any]] = {
        "mutatingadmissionpolicies": {"reinvocationPolicy": "Never", "mutations": [mutation]},
        "validatingadmissionpolicies": {"validations": [{"expression": HOLDS, "message": "not of the range"}]},
    }
    made = []
    for plural, spec in specs.items():
        body: dict[str, Any] = {
            "metadata": {"name": name},
            "spec": {"matchConstraints": {"resourceRules": [pods]}} | spec,
        }
        binding: dict[str, Any] = {"metadata": {"name": name}, "spec": {"policyName": name, "matchResources": space}}
        actions: dict[str, Any] = {} if plural.startswith("m") else {"validationActions": ["Deny"]}
        for path, one in ((plural, body), (f"{plural[:-3]}ybindings", binding | {"spec": binding["spec"] | actions})):
            answer = client.request("POST", f"{ADMISSION}/{path}", json_bytes(one))
            assert answer.ok, answer
            made.append(f"{ADMISSION}/{path}/{name}")
    wait_for("it to be in force", lambda: _in_force(place))
    yield place
    place.remove()
    for path in reversed(made):
        client.request("DELETE", path)


def _in_force(place: Place) -> bool:
    """A fixed id is refused, and one that is not said is assigned."""

    def ask(user: int | None) -> bool:
        context = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        inner = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        spec = {
            "securityContext": context | ({"runAsUser": user} if user else {}),
            "containers": [{"name": "a", "image": "x", "securityContext": inner}],
        }
        path = path_of("v1", "pods", place.name) + "?dryRun=All"
        answer = place.server.request("POST", path, json_bytes({"metadata": {"name": "a"}, "spec": spec}))
        return answer.ok and answer.body["spec"]["containers"][0]["securityContext"].get("runAsUser") == RANGE

    return ask(None) and not ask(65532)


def test_an_agent_runs_with_the_ids_that_it_is_given(openshift: Place, cluster: Cluster, assigning: Controller) -> None:
    openshift.agent("a", replicas=2)
    openshift.wait_applied()
    (name, _) = openshift.run_pods(count=2)
    found = openshift.get("Pod", name)["spec"]
    assert not {"runAsUser", "runAsGroup"} & found["securityContext"].keys()
    assert (found["securityContext"]["fsGroup"], found["securityContext"]["runAsNonRoot"]) == (RANGE, True)
    assert [one["securityContext"]["runAsUser"] for one in found["containers"]] == [RANGE]
    openshift.wait_condition("FenceWidened", "False", "AsDeclared")
    openshift.wait_condition("Ready", "True")
    # Neither a fault, nor anything to be put right: what was filled in stays, and nothing is written any more.
    record = Record(cluster)
    wait_for("the controller to rest", lambda: record.rests(openshift.name))
    assert assigning.drift(openshift.name) == 0
    assert {pod["metadata"]["name"] for pod in openshift.pods()} >= {name}


def test_a_rotation_job_is_taken_there(openshift: Place) -> None:
    openshift.agent("a", replicas=0, secrets=[ROTATED])
    openshift.wait_applied()
    (cron,) = openshift.items("CronJob")
    template = cron["spec"]["jobTemplate"]["spec"]["template"]
    assert without_user(template["spec"]) != []
    spec = {key: value for key, value in template["spec"].items() if not key.startswith("serviceAccount")}
    path = path_of("v1", "pods", openshift.name) + "?dryRun=All"
    answer = openshift.server.request("POST", path, json_bytes({"metadata": {"name": "job"}, "spec": spec}))
    assert answer.ok, answer
    assert without_user(answer.body["spec"]) == []


def test_where_nobody_assigns_it_is_told(fresh: Place, assigning: Controller) -> None:
    """The image would choose the user: never root, but no id that a policy lets it have."""
    fresh.agent("a", replicas=1)
    said = fresh.wait_condition("FenceWidened", "True", "PodNotRestricted")["message"]
    assert "(spec.securityContext.runAsUser)" in said
    fresh.wait_condition("Ready", "False", "FenceWidened")
