"""An agent that was deleted while no controller ran: what it has elsewhere goes at the next start."""

from collections.abc import Callable

from api.controller.conftest import HOME
from api.controller.process import Controller, Options
from api.controller.targets import Targets, listed
from api.server import Server
from chart.rendering import render
from cluster import Cluster
from cluster.shell import wait_for


def test_it_goes_with_an_agent_that_went_unseen(
    cluster: Cluster, client: Server, nobody_else: None, lease_namespace: str, replica: Callable[[Options], Controller]
) -> None:
    """Another agent of its name gets its own, and what is a third one's stays."""
    reads = [one for one in render("--namespace", HOME) if "agent-reads" in one["metadata"]["name"]]
    cluster.apply(*reads)
    targets = Targets(client, cluster)
    try:
        first = replica(Options(lease_namespace, identity="first")).wait_leading()
        targets.policy(namespaces=[targets.shop.name], clusterReads=["nodes"])
        targets.consent(targets.shop, f"{targets.home.name}=ReadOnly")
        targets.agent(targets.shop, level="Admin", clusterReads=["nodes"])
        targets.agent(targets.shop, name="b")
        targets.wait_given(targets.shop)
        wait_for("b's", lambda: targets.given(targets.shop, "b"))
        wait_for("it is listed", lambda: [one for one in listed(client) if one["namespace"] == targets.home.name])
        assert first.stop() == 0
        targets.home.delete("AgentDeployment", "a")
        wait_for("it is gone", lambda: targets.home.find("AgentDeployment", "a") is None)
        assert targets.given(targets.shop)
        targets.agent(targets.shop)  # another one of its name
        replica(Options(lease_namespace, identity="second")).wait_leading()
        uid = targets.home.get("AgentDeployment", "a")["metadata"]["uid"]

        def anew() -> bool:
            found = targets.given(targets.shop)
            return found is not None and all(
                one["metadata"]["labels"]["ringfence.dev/agent-uid"] == uid for one in found
            )

        wait_for("its own", anew)
        wait_for("not listed", lambda: not [one for one in listed(client) if one["namespace"] == targets.home.name])
        assert targets.given(targets.shop, "b")
    finally:
        targets.remove()
