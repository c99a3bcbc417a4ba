"""What the demo shows, section by section. Each is a claim about this cluster, tried here and now."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from cluster.errors import ClusterError, CommandFailed
from cluster.shell import seconds_until, step, wait_for
from harness import agents, manifests, metrics
from harness.api import Api
from harness.environment import Environment
from harness.install import NAMESPACE as RINGFENCE
from harness.kubectl import Object
from harness.manifests import NAMESPACE, TOOLS
from harness.probing import BESIDE, ELSEWHERE, LLM, PROVIDER, Target, pod_of, pods_of, probe, request, targets
from harness.prometheus import Sample, follow, programs

from .report import Report

__all__ = ["Narrative", "point", "sentences"]

OTHERS = tuple(agent for agent in manifests.EXAMPLE_AGENTS if agent != "researcher")
RESEARCHER, RESEARCHER_NAME = "21-researcher.yaml", "researcher"
INSIDE = f"deploy/ringfence-{RESEARCHER_NAME}"
NIGHTLY = "nightly"
ASKS = "ringfence.dev/run-requested"
"""The annotation that asks for a run, by a text of its own."""
NIGHTLY_TARGETS = {f"https://{LLM}/": "reachable", f"https://{ELSEWHERE}/": "blocked"}
"""What it tries, as its example says."""
ANYBODY = ("--as=anybody", "--as-group=system:masters")
"""With every right, and without an exemption in the chart's values."""
GUARD = "ringfence-guard-"
ORDINARY = ((TOOLS, "search"), (TOOLS, "ledger"), (TOOLS, "console"), (NAMESPACE, "unfenced"))
POLICIES = f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies"
REPAIR_SECONDS = 5.0
"""The longest that a repair may take here; the bar for the 99th of 100 is 2 s, and the bench measures that."""
QUERY = "sum by (source, rule) (ringfence_violations_total) > 0"
ASKED = "Prometheus, asked: "
DNS = "dns://kubernetes.default.svc.cluster.local"
MESSAGES, FILES = f"https://{PROVIDER}/v1/messages", f"https://{PROVIDER}/v1/files"
QUESTION = {"method": "POST", "data": '{"model": "pretend-1"}'}
VARIABLE = "ANTHROPIC_API_KEY"
VALUE, ATTACKERS = "sk-ant-put-the-key-here", "sk-ant-of-an-attacker"
"""The key in the examples' Secret, and another one."""
SHOW = "x-pretend-show: 1"
"""Has the pretend provider say in its answer what it was sent."""


@dataclass
class Narrative:
    """The sections, on one cluster. `image`: the test image, as pods here name it."""

    environment: Environment
    api: Api
    report: Report
    image: str

    def agent_runs(self) -> None:
        """Apply the examples; the researcher is made anew, so that its start can be timed."""
        kubectl = self.environment.kubectl
        with step("removing the researcher of an earlier run"):
            if kubectl.find("crd", "agentdeployments.ringfence.dev") and kubectl.find("namespace", NAMESPACE):
                kubectl.gone("agd", "researcher", "-n", NAMESPACE)
                wait_for("its pod to go", lambda: not agents.pods(self.api, NAMESPACE, "researcher"))
        kubectl.apply(manifests.accepted(self.image, without=RESEARCHER))
        kubectl.apply(manifests.unfenced(self.image))
        with step("waiting for the pods of the other examples"):
            for namespace, name in ORDINARY:
                kubectl("rollout", "status", f"deploy/{name}", "-n", namespace, "--timeout=120s", timeout=130)
            found = {agent: agents.wait(self.api, NAMESPACE, agent) for agent in OTHERS}
        started = time.monotonic()
        pretended = self.environment.cluster is not None
        kubectl.apply(manifests.accepted(self.image, only=RESEARCHER, quiet=not pretended))
        with step("waiting for the researcher's pod"):
            running = lambda: agents.phase(self.api, NAMESPACE, "researcher") == "Running"  # noqa: E731
            wait_for("the researcher's pod to run", running, timeout=120)
            seconds = time.monotonic() - started
            found["researcher"] = agents.wait(self.api, NAMESPACE, "researcher")
        for agent, state in found.items():
            self._show_agent(agent, state)
        self.report.note(
            f"researcher: from kubectl apply to a running pod in {seconds:.1f} s", seconds=round(seconds, 2)
        )

    def reach(self) -> None:
        """From inside the researcher: the two ways that it has, and everything else. Beside it, an unfenced pod."""
        kubectl = self.environment.kubectl
        tried = targets(kubectl)
        addresses = [target.address for target in tried]
        inside = probe(kubectl, NAMESPACE, "deploy/ringfence-researcher", addresses)
        outside = probe(kubectl, NAMESPACE, self._unfenced(), addresses)
        self._heads()
        for target in tried:
            self._attempt(target, "researcher", inside[target.address], outside[target.address])

    def by_name(self) -> None:
        """What the researcher's gateway lets through to its one host, and what the key is worth that the pod holds."""
        kubectl = self.environment.kubectl
        inside = partial(request, kubectl, NAMESPACE, INSIDE)
        variables = kubectl("exec", "-n", NAMESPACE, INSIDE, "--", "/testbox", "env").splitlines()
        held = dict(line.partition("=")[::2] for line in variables)[VARIABLE]
        key = f"x-api-key: {held}"
        if self.environment.cluster:
            self._provider(inside, held)
        else:
            self.report.note("the pretend provider is not in this cluster: what it answers is left out")
        self._answer("POST /v1/files, which is not named", inside(FILES, key, **QUESTION), 403)
        self._answer(f"{BESIDE}, asked of its gateway", inside(MESSAGES, key, host=BESIDE, **QUESTION), 403)
        self._answer(
            "POST /v1/messages by an attacker's key", inside(MESSAGES, f"x-api-key: {ATTACKERS}", **QUESTION), 401
        )
        server = kubectl.get("service", "kube-dns", "-n", "kube-system")["spec"]["clusterIP"]
        address = f"{DNS}@{server}"
        tried = [probe(kubectl, NAMESPACE, pod, [address])[address] for pod in (INSIDE, self._unfenced())]
        self._heads()
        self._attempt(Target("the cluster's DNS", address), RESEARCHER_NAME, *tried)

    def _provider(self, inside: Callable[..., Object], held: str) -> None:
        """What the built-in cluster's provider answers, which shows what it was sent."""
        key = f"x-api-key: {held}"
        with step("waiting for the provider's first answer"):
            wait_for("an answer", lambda: inside(MESSAGES, key, **QUESTION).get("status") == HTTPStatus.OK, timeout=60)
        found = inside(MESSAGES, key, f"x-goog-api-key: {ATTACKERS}", SHOW, **QUESTION)
        self._answer("POST /v1/messages, by a client as it is", found, 200)
        sent = str(found.get("body"))
        self.report.check(VALUE in sent and held not in sent, f"{VARIABLE} in the pod: {held[:30]}…; sent: the key")
        self.report.check(ATTACKERS not in sent, "an attacker's key in a header beside it: not sent")
        outside = request(
            self.environment.kubectl, NAMESPACE, self._unfenced(), MESSAGES, key, sni=PROVIDER, **QUESTION
        )
        self._answer("what the pod holds, used from elsewhere", outside, 401)

    def _answer(self, what: str, found: Object, wanted: int) -> None:
        """One request, the status that came, and what was said with a refusal."""
        status = found.get("status", found.get("error"))
        told = re.search(r'"message": ?"([^"]*)"', str(found.get("body"))) if status != HTTPStatus.OK else None
        self.report.check(status == wanted, f"{what:42}{status}", told[1] if told else "", status=status)

    def _heads(self) -> None:
        self.report.plain(f"    {'':38}{'agent':12}without a fence")

    def nothing_at_all(self) -> None:
        """The agent without a network, and the one with a caller."""
        kubectl = self.environment.kubectl
        inside = probe(kubectl, NAMESPACE, "deploy/ringfence-minimal", [DNS])[DNS]
        outside = probe(kubectl, NAMESPACE, self._unfenced(), [DNS])[DNS]
        self._attempt(Target("agent minimal asks the cluster's DNS", DNS), "minimal", inside, outside)
        panel = pod_of(kubectl, NAMESPACE, "ringfence.dev/agent=panel")["status"]["podIP"]
        address = f"http://{panel}:8080/healthz"
        console = probe(kubectl, TOOLS, "deploy/console", [address])[address]
        stranger = probe(kubectl, NAMESPACE, self._unfenced(), [address])[address]
        named = {"console": console, "stranger": stranger}
        self.report.check(console == "reachable", f"{'console, its named caller, calls panel':40}{console}", **named)
        self.report.check(stranger == "blocked", f"{'any other pod of the namespace does':40}{stranger}", **named)

    def scheduled(self) -> None:
        """The nightly agent begins a run in the fence that its schedule would find; a run ends by itself."""
        kubectl, path = self.environment.kubectl, agents.agent_path(NAMESPACE, NIGHTLY)
        found = agents.wait(self.api, NAMESPACE, NIGHTLY)
        run = found["spec"]["run"]
        self.report.note(f"{NIGHTLY}: {run['schedule']} {run['timeZone']}, ended after {run['deadline']}")
        before = {one["name"] for one in found["status"].get("runs") or []}
        self.api.patch(path, {"metadata": {"annotations": {ASKS: secrets.token_hex(8)}}})

        def ended() -> Object | None:
            runs: list[Object] = self.api.get(path)["status"].get("runs") or []
            return next((one for one in runs if one["name"] not in before and one["outcome"] != "Running"), None)

        with step("waiting for the end of its run"):
            told = wait_for("the run to end", ended, timeout=120) or {}
        self.report.check(told["outcome"] == "Succeeded", f"run {told['name']}: {told['outcome']}", run=told["name"])
        lines = kubectl("logs", "-n", NAMESPACE, f"job/{told['name']}").splitlines()
        seen = {line["target"]: line["verdict"] for line in map(json.loads, lines)}
        for address, wanted in NIGHTLY_TARGETS.items():
            verdict = seen.get(address, "not tried")
            self.report.check(verdict == wanted, f"{address:38}  {verdict}", target=address, inside=verdict)

    def refused(self) -> None:
        """Requests that go too far, with what the API server says."""
        for example in manifests.refused(self.image):
            try:
                told = self.environment.kubectl.refusal(example.text)
            except ClusterError as taken:
                self.report.failed(f"examples/refused/{example.name}", str(taken))
                self.environment.kubectl("delete", "-f", "-", "--wait=false", stdin=example.text, ok=True)
            else:
                self.report.check(example.rule in told, f"examples/refused/{example.name}", point(told, example.rule))

    def guarded(self) -> None:
        """What widens a fence from beside it, tried by somebody with every right and no exemption: refused."""
        kubectl = self.environment.kubectl
        researcher = f"ringfence-{RESEARCHER_NAME}"
        pod = pod_of(kubectl, NAMESPACE, f"ringfence.dev/agent={RESEARCHER_NAME}")["metadata"]["name"]
        tried = {
            "deletes its policy": ("delete", "networkpolicy", f"{researcher}-deny"),
            "takes the label off its pod": ("label", "pod", pod, "ringfence.dev/agent-"),
            "binds it to cluster-admin": (
                "create",
                "rolebinding",
                "more",
                "--clusterrole=cluster-admin",
                f"--serviceaccount={NAMESPACE}:{researcher}",
            ),
            "takes a token of it": ("create", "token", researcher),
            "runs a shell in it": ("exec", pod, "--", "/testbox"),
            "deletes it without its children": ("delete", "agd", RESEARCHER_NAME, "--cascade=orphan"),
        }
        for what, words in tried.items():
            try:
                kubectl(words[0], *ANYBODY, "-n", NAMESPACE, *words[1:], timeout=30)
            except CommandFailed as refused:
                told = refused.output.strip()
                self.report.check(GUARD in told, f"somebody {what}", told.rpartition("denied request: ")[2])
            else:
                self.report.failed(f"somebody {what}", "nothing refused it")

    def put_back(self) -> None:
        """A policy deleted, and one edited, by somebody whom the guards let do it: the one who tries this out."""
        deny, allow = (f"{POLICIES}/ringfence-researcher-{suffix}" for suffix in ("deny", "allow"))
        uid = self.api.get(deny)["metadata"]["uid"]
        self.api.delete(deny)
        took = seconds_until("the deny policy to be back", lambda: self._other_uid(deny, uid), timeout=30, every=0.01)
        self._repair("deleted: NetworkPolicy ringfence-researcher-deny", took)
        spec = self.api.get(allow)["spec"]
        self.api.patch(allow, {"spec": {"egress": [{}]}})
        took = seconds_until(
            "the allow policy to be put right", lambda: self.api.get(allow)["spec"] == spec, timeout=30, every=0.01
        )
        self._repair("opened to everything: NetworkPolicy ringfence-researcher-allow", took)
        address = targets(self.environment.kubectl)[-1].address
        verdict = probe(self.environment.kubectl, NAMESPACE, "deploy/ringfence-researcher", [address])[address]
        self.report.check(verdict == "blocked", f"afterwards the agent's way to the kubelet is {verdict}")

    def violations(self) -> None:
        """What the two sections before left in the metrics: a query, asked of a Prometheus that scraped each pod."""
        by_source: dict[str, float] = {}
        for sample in self._violations():
            source = sample.labels["source"]
            by_source[source] = by_source.get(source, 0) + sample.value
            self.report.note(f"{source:12}{sample.labels['rule']:28}{sample.value:g}", **sample.labels)
        for source, what in (("admission", "the refused requests"), ("drift", "the repairs")):
            count = by_source.get(source, 0)
            self.report.check(count > 0, f"source {source}: {count:g}, from {what}", source=source, count=count)

    def _violations(self) -> list[Sample]:
        """By source and rule. Where no Prometheus is to be had, added up from what each pod says."""
        try:
            programs()
        except ClusterError as problem:
            self.report.note("no Prometheus here: added up from /metrics of each pod", str(problem))
            series = metrics.series(self.api, "ringfence_violations_total")
            return [Sample(metrics.labels_of(labels), value) for labels, value in sorted(series.items())]
        with follow(self.environment.kubectl.argv, self.environment.kubectl.env, RINGFENCE) as prometheus:
            prometheus.fresh(least=2)
            found = prometheus.query(QUERY)
        self.report.note(f"{ASKED}{QUERY}")
        return sorted(found, key=lambda sample: sorted(sample.labels.items(), reverse=True))

    def _show_agent(self, name: str, found: Object) -> None:
        status = found["status"]
        wanted = {"FenceWidened": "False", "Reconciling": "False", "Stalled": "False"}
        true = [one["type"] for one in status["conditions"] if one["status"] == wanted.get(one["type"], "True")]
        whole = len(true) == len(status["conditions"])
        egress = ", ".join(status.get("effectiveEgress") or ["none"])
        rights = "; ".join(status.get("effectivePermissions") or ["none"])
        self.report.check(whole, f"{name:12}egress: {egress}   rights: {rights}", conditions=true)

    def _attempt(self, target: Target, agent: str, inside: str, outside: str) -> None:
        """One line of the table. Blocked says something only where a pod without a fence gets through."""
        text = f"{target.what:38}  {inside:12}{outside}"
        facts = {"agent": agent, "target": target.address, "inside": inside, "outside": outside}
        if outside != "reachable" and target.pretend and self.environment.cluster is None:
            self.report.note(f"{target.what:38}  not there in this cluster, which says nothing", **facts)
            return
        wanted = "reachable" if target.allowed else "blocked"
        detail = ""
        if outside != "reachable":
            detail = "a pod without a fence does not get there either: this attempt proves nothing"
        elif inside != wanted:
            detail = f"should be {wanted}"
            if wanted == "blocked" and inside != "error":
                detail += ". Does this cluster's network enforce NetworkPolicies?"
        self.report.check(inside == wanted and outside == "reachable", text, detail, **facts)

    def _repair(self, what: str, seconds: float) -> None:
        self.report.check(
            seconds < REPAIR_SECONDS, f"{what}; put back after {seconds * 1000:.0f} ms", seconds=round(seconds, 3)
        )

    def _other_uid(self, path: str, uid: str) -> bool:
        found = self.api.find(path)
        return found is not None and found["metadata"]["uid"] != uid

    def _unfenced(self) -> str:
        """The first of the two; the other one is `another pod` for both sides."""
        return str(pods_of(self.environment.kubectl, NAMESPACE, "app=unfenced")[0]["metadata"]["name"])


def point(told: str, rule: str) -> str:
    """The sentence of one rule out of a refusal, and how many others there are."""
    lines = [line.strip() for line in sentences(told).splitlines() if not re.fullmatch(r"violates [0-9]+ rules:", line)]
    chosen = next((line for line in lines if rule in line), f"not refused by {rule}: {' '.join(lines)}")
    return chosen if len(lines) == 1 else f"{chosen}\n({len(lines) - 1} more)"


def sentences(told: str) -> str:
    """What was said, without kubectl's and the API server's way to say that something was said."""
    text = re.sub(r"^Error from server[^:]*: ", "", told)
    text = re.sub(r'error when \w+ "STDIN": ', "", text)
    text = re.sub(r'.*admission webhook "[^"]*" denied the request: ', "", text, flags=re.DOTALL)
    text = re.sub(r".*ValidatingAdmissionPolicy \'[^\']*\' with binding \'[^\']*\' denied request: ", "", text)
    return text.strip()
