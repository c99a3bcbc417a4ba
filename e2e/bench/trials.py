"""The measurements. Each returns numbers for the report, and nothing else."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cluster import Cluster
from cluster.shell import step, wait_for
from harness import agents, metrics
from harness.api import Api
from harness.install import NAMESPACE as SYSTEM
from harness.kubectl import Kubectl, Object
from harness.record import Entry, is_write, moment, stored_before

from . import editor
from .numbers import ratio, summary

__all__ = ["NAMESPACE", "Bench", "clean", "prepare"]

NAMESPACE = "bench"
OURS = f"system:serviceaccount:{SYSTEM}:"
SETTLE_SECONDS = 5
"""After the last pass over all agents: what comes late would come by then."""
SMALL = {"requests": {"cpu": "5m", "memory": "16Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}}
"""So that fifty of them fit on two cores."""
HOST = "api.bench.example"
NAMED: Object = {"egress": [{"host": HOST}]}
"""The network of an agent that has a gateway."""
POLICIES = f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies"


@dataclass
class Bench:
    """On one cluster with Ringfence installed."""

    cluster: Cluster
    kubectl: Kubectl
    api: Api

    def prepare(self) -> None:
        """A namespace that is open to agents, which may name one host.

        They run on while `repairs` edits a child of one again and again.
        """
        namespace, policy = editor.namespace(NAMESPACE, "Keep")
        policy["spec"]["egress"] = {"hosts": [{"name": HOST}]}
        self.kubectl.apply(namespace, policy)

    def starts(self, count: int) -> dict[str, Any]:
        """`kubectl apply` to a running pod: agents, and bare Deployments of the same image in turn, as the floor.

        Between them, the same bare Deployments with nothing but the gate of an agent's pod, under a policy that denies.
        """
        fenced, bare, gated = [], [], []
        gate = self._gate()
        with step(f"{count} agents, from kubectl apply to Running"):
            for number in range(count):
                fenced.append(self._timed(self._agent(f"start-{number}"), f"ringfence.dev/agent%3Dstart-{number}"))
                bare.append(self._timed(self._bare(f"bare-{number}"), f"app%3Dbare-{number}"))
                with_gate = self._bare(f"gated-{number}", initContainers=[gate])
                gated.append(self._timed(with_gate, f"app%3Dgated-{number}"))
                names = f"deploy/bare-{number}", f"deploy/gated-{number}"
                self.kubectl("delete", *names, "-n", NAMESPACE, "--wait=false")
                self.api.delete(agents.agent_path(NAMESPACE, f"start-{number}"))
        record = [
            entry
            for entry in self.cluster.audit()
            if is_write(entry) and (entry.get("objectRef") or {}).get("namespace") == NAMESPACE
        ]
        ordered = sum(stored_before(record, NAMESPACE, f"start-{number}") for number in range(count))
        told, floor, behind = summary(fenced), summary(bare), summary(gated)
        return {
            "seconds": told,
            "floor_bare_deployment_seconds": floor,
            "bare_deployment_with_the_gate_seconds": behind,
            "the_gate_adds_seconds": {name: round(behind[name] - floor[name], 3) for name in ("p50", "p99")},
            "times_floor": ratio(told["p50"], floor["p50"]),
            "deny_policy_before_pod": f"{ordered} of {count}",
        }

    def gateway_starts(self, count: int) -> dict[str, Any]:
        """`kubectl apply` to Ready: agents with one host, so with a gateway; agents without in turn, as the floor."""
        named, plain = [], []
        with step(f"{count} agents with a gateway, from kubectl apply to Ready"):
            for number in range(count):
                named.append(self._until_ready(self._agent(f"named-{number}", network=NAMED)))
                plain.append(self._until_ready(self._agent(f"plain-{number}")))
                for name in (f"named-{number}", f"plain-{number}"):
                    self.api.delete(agents.agent_path(NAMESPACE, name))
        told, floor = summary(named), summary(plain)
        return {
            "seconds": told,
            "floor_without_hosts_seconds": floor,
            "times_floor": ratio(told["p50"], floor["p50"]),
        }

    def repairs(self, count: int) -> dict[str, Any]:
        """A child deleted or edited, to its being stored again: by the API server's own record."""
        self.api.create(agents.agent_path(NAMESPACE), self._agent("drift"))
        agents.wait(self.api, NAMESPACE, "drift")
        deny, allow = f"{POLICIES}/ringfence-drift-deny", f"{POLICIES}/ringfence-drift-allow"
        spec = self.api.get(allow)["spec"]
        since = self._now()
        with step(f"{count} repairs"):
            for number in range(count):
                if number % 2:
                    self.api.patch(allow, {"spec": {"egress": [{}]}})
                    wait_for("the edit to be undone", lambda: self.api.get(allow)["spec"] == spec, every=0.02)
                else:
                    self._delete_and_wait(deny)
        pairs = list(self._pairs(since))
        floor = summary([_duration(answer) for _, answer in pairs])
        told = summary([(moment(answer) - moment(cause)).total_seconds() for cause, answer in pairs])
        return {"seconds": told, "floor_one_write_seconds": floor, "times_floor": ratio(told["p50"], floor["p50"])}

    def rest(self, count: int, seconds: int, gateways: int) -> dict[str, Any]:
        """Agents that run and are left alone, so many of them with a gateway: who writes what?"""
        names = [f"rest-{number}" for number in range(count)]
        with step(f"{count} agents until they are ready"):
            for number, name in enumerate(names):
                network = {"network": NAMED} if number < gateways else {}
                self.api.create(agents.agent_path(NAMESPACE), self._agent(name, resources=SMALL, **network))
            for name in names:
                agents.wait(self.api, NAMESPACE, name, timeout=600)
        time.sleep(SETTLE_SECONDS)
        since = self._now()
        with step(f"{seconds} s of rest"):
            time.sleep(seconds)
        return {"agents": count, "gateways": min(gateways, count), "seconds": seconds, **self._written(since)}

    def restart(self, count: int) -> dict[str, Any]:
        """The controller starts anew over many agents, all as they should be: every write is needless."""
        have = len(self.api.get(agents.agent_path(NAMESPACE))["items"])
        names = [f"still-{number}" for number in range(max(0, count - have))]
        with step(f"{len(names)} more agents, suspended"):
            for name in names:
                self.api.create(agents.agent_path(NAMESPACE), self._agent(name, suspended=True))
            for name in names:
                agents.wait(self.api, NAMESPACE, name, "NetworkPolicyApplied", timeout=600)
                agents.wait(self.api, NAMESPACE, name, "WorkloadAvailable", status="False", says="no pods", timeout=600)
        time.sleep(SETTLE_SECONDS)
        since = self._now()
        started = time.monotonic()
        with step("the controller starts anew"):
            selector = "app.kubernetes.io/component=controller"
            self.kubectl("delete", "pods", "-n", SYSTEM, "-l", selector, timeout=180)
            wait_for("a new leader", lambda: metrics.total(self.api, "ringfence_leader") == 1, timeout=180, every=0.5)
            wait_for("a look at every agent", lambda: self._looks() >= count, timeout=180, every=0.5)
        took = time.monotonic() - started
        time.sleep(SETTLE_SECONDS)
        return {"agents": max(have, count), "seconds_until_all_were_looked_at": round(took, 1), **self._written(since)}

    def memory(self) -> dict[str, float]:
        """The largest resident set of each component's replicas, in MiB."""
        return {
            component: round(metrics.largest(self.api, "process_resident_memory_bytes", component) / 2**20, 1)
            for component in ("controller", "admission")
        }

    def _delete_and_wait(self, path: str) -> None:
        uid = self.api.get(path)["metadata"]["uid"]

        def back() -> bool:
            found = self.api.find(path)
            return found is not None and found["metadata"]["uid"] != uid

        self.api.delete(path)
        wait_for("the policy to be back", back, every=0.02)

    def _agent(self, name: str, **spec: Any) -> Object:
        return {
            "apiVersion": "ringfence.dev/v1alpha1",
            "kind": "AgentDeployment",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"image": self.cluster.testbox.pinned, "args": ["agent"], **spec},
        }

    def _gate(self) -> Object:
        """The gate of an agent's pods, as it is stored; and a policy behind which it ends."""
        spec = {"podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}, "policyTypes": ["Egress"]}
        metadata = {"name": "bare", "namespace": NAMESPACE}
        kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
        self.kubectl.apply({**kind, "metadata": metadata, "spec": spec})
        self.api.create(agents.agent_path(NAMESPACE), self._agent("gate"))
        agents.wait(self.api, NAMESPACE, "gate")
        found = self.kubectl.get("deploy/ringfence-gate", "-n", NAMESPACE)["spec"]["template"]["spec"]
        self.api.delete(agents.agent_path(NAMESPACE, "gate"))
        gate: Object = found["initContainers"][0]
        return gate

    def _bare(self, name: str, **pod: Any) -> Object:
        locked = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        container = {"name": "bare", "image": self.cluster.testbox.pinned, "args": ["agent"], "securityContext": locked}
        security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        labels = {"app": name}
        template = {
            "metadata": {"labels": labels},
            "spec": {"securityContext": security, "containers": [container], **pod},
        }
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        }

    def _timed(self, manifest: Object, selector: str) -> float:
        path = f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector={selector}"

        def running() -> bool:
            return any(pod["status"].get("phase") == "Running" for pod in self.api.get(path)["items"])

        started = time.monotonic()
        self.kubectl.apply(manifest)
        wait_for(f"{manifest['metadata']['name']} to run", running, timeout=120, every=0.02)
        return time.monotonic() - started

    def _until_ready(self, agent: Object) -> float:
        name = agent["metadata"]["name"]

        def ready() -> bool:
            told = agents.condition(agents.get(self.api, NAMESPACE, name))
            return bool(told["status"] == "True")

        started = time.monotonic()
        self.kubectl.apply(agent)
        wait_for(f"{name} to be ready", ready, timeout=120, every=0.02)
        return time.monotonic() - started

    def _now(self) -> datetime:
        """The time of the record's last entry: the API server's clock, not ours."""
        return max(moment(entry) for entry in itertools.islice(reversed(list(self.cluster.audit())), 20))

    def _pairs(self, since: datetime) -> Iterator[tuple[Entry, Entry]]:
        """Each change by somebody to a policy of the agent `drift`, with the last write that undid it."""
        causes: dict[str, Entry] = {}
        answers: dict[str, Entry] = {}
        for entry in self.cluster.audit():
            name, user = (entry.get("objectRef") or {}).get("name", ""), entry["user"]["username"]
            if not name.startswith("ringfence-drift-") or moment(entry) <= since or not is_write(entry):
                continue
            if user.startswith(OURS):
                answers[name] = entry
            elif not user.startswith("system:"):  # the garbage collector and others have their part in a deletion
                if name in causes and name in answers:
                    yield causes[name], answers.pop(name)
                causes[name] = entry
        yield from ((causes[name], answers[name]) for name in causes if name in answers)

    def _written(self, since: datetime) -> dict[str, Any]:
        """Ringfence's own writes since then. The lease, which says who leads, is renewed as long as it lives."""
        found: dict[str, int] = {}
        for entry in self.cluster.audit():
            target = entry.get("objectRef") or {}
            if moment(entry) <= since or not is_write(entry) or target.get("resource") == "leases":
                continue
            if entry["user"]["username"].startswith(OURS):
                what = "/".join(filter(None, (target.get("resource"), target.get("subresource"))))
                found[f"{entry['verb']} {what}"] = found.get(f"{entry['verb']} {what}", 0) + 1
        return {"writes": sum(found.values()), "writes_by_kind": found}

    def _looks(self) -> float:
        return metrics.total(self.api, "ringfence_reconcile_total", result="ok")


def prepare(kubectl: Kubectl) -> None:
    """The namespace, before Ringfence is installed with it in `agentNamespaces`: gateways have files in Secrets."""
    kubectl.apply(editor.namespace(NAMESPACE, "Keep")[0])


def clean(kubectl: Kubectl) -> None:
    """Remove the namespace of an earlier run and all in it."""
    if kubectl.find("namespace", NAMESPACE):
        with step("cleaning up"):
            kubectl("delete", "agd", "--all", "-n", NAMESPACE, "--timeout=300s", timeout=310)
            kubectl("delete", "namespace", NAMESPACE, "--timeout=300s", timeout=310)


def _duration(entry: Entry) -> float:
    received = datetime.fromisoformat(entry["requestReceivedTimestamp"])
    return (moment(entry) - received).total_seconds()
