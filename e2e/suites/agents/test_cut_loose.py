"""Pods and objects that were cut loose from their agent reach nothing: by packets."""

from collections.abc import Callable

from cluster.shell import wait_for
from harness import agents
from harness.api import Api
from harness.kubectl import Kubectl, Object
from harness.manifests import NAMESPACE
from harness.probing import LLM, probe

Make = Callable[..., Object]
TARGET = f"https://{LLM}/"
REPLICA_SETS = f"/apis/apps/v1/namespaces/{NAMESPACE}/replicasets"
EGRESS = {"egress": [{"cidr": f"{LLM.partition(':')[0]}/32", "ports": [443]}]}


def test_a_pod_whose_replicaset_was_cut_loose_reaches_nothing_once_its_agent_is_gone(
    make: Make, api: Api, kubectl: Kubectl
) -> None:
    name = make(network=EGRESS)["metadata"]["name"]
    agents.wait(api, NAMESPACE, name)
    pod = agents.pods(api, NAMESPACE, name)[0]["metadata"]["name"]
    assert probe(kubectl, NAMESPACE, pod, [TARGET])[TARGET] == "reachable", "or its end would prove nothing"
    (replica_set,) = kubectl.items("replicasets", "-n", NAMESPACE, "-l", f"ringfence.dev/agent={name}")
    at = f"{REPLICA_SETS}/{replica_set['metadata']['name']}"
    labels = dict.fromkeys(replica_set["metadata"]["labels"])
    api.patch(at, {"metadata": {"labels": labels, "ownerReferences": None}})
    wait_for("a second pod", lambda: len(agents.pods(api, NAMESPACE, name)) == 2)
    api.delete(agents.agent_path(NAMESPACE, name))
    gone = f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies/ringfence-{name}-deny"
    wait_for("the agent's own policies are gone", lambda: api.find(gone) is None, timeout=180)
    assert [one["metadata"]["name"] for one in agents.pods(api, NAMESPACE, name)] == [pod]
    for _ in range(3):
        assert probe(kubectl, NAMESPACE, pod, [TARGET])[TARGET] == "blocked"
    api.delete(at)
