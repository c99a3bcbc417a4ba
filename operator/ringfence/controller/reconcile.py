"""One pass over one agent: gather, decide, apply, report. Level-triggered: it asks what is, not what happened."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from ringfence.api import AgentDeploymentSpec, parse
from ringfence.api.status import ConditionType, Reason
from ringfence.kube import ApiError, Conflict, Kube, NotFound, Object, Unreachable, path_of
from ringfence.metrics import VIOLATIONS
from ringfence.policy.decide import decide
from ringfence.policy.model import AgentObject, Violation
from ringfence.resources import Agent, Identity, Manifest, build, build_deny
from ringfence.resources.compare import controller_uid
from ringfence.resources.model import child_name
from ringfence.resources.network import effective_egress, missing_services, service_key
from ringfence.resources.rights import effective_permissions
from ringfence.world import World

from . import conditions, story
from .cache import Cache, Key, Ref, agent_path
from .conditions import Finding
from .events import Events
from .fleet import Fleet
from .writer import AgentGone, NotOurs, NotYet, Repair, Writer

log = structlog.get_logger()

LOOK_AGAIN = 5.0
"""Seconds until the next look at an agent whose pods are not available: what they wait for sends us no event."""

STEP_OF = {
    "NetworkPolicy": ConditionType.NETWORK_POLICY_APPLIED,
    "ServiceAccount": ConditionType.RIGHTS_APPLIED,
    "Role": ConditionType.RIGHTS_APPLIED,
    "RoleBinding": ConditionType.RIGHTS_APPLIED,
    "PersistentVolumeClaim": ConditionType.WORKLOAD_AVAILABLE,
    "Deployment": ConditionType.WORKLOAD_AVAILABLE,
}
PRUNED_KINDS = {"Role", "RoleBinding"}
"""What goes when the spec does not ask for it any more. A volume stays: no data is lost by an edit."""


@dataclass
class Outcome:
    """What applying came to: the repairs, and where it stopped (the step, the reason, a sentence)."""

    repairs: list[Repair] = field(default_factory=list)
    stopped: tuple[ConditionType, Reason, str] | None = None
    retry: bool = False
    retry_after: float | None = None


@dataclass
class Reconciler:
    """Works on one key at a time; holds no state of its own about agents."""

    kube: Kube
    cache: Cache
    world: World
    writer: Writer
    events: Events
    fleet: Fleet

    async def reconcile(self, key: Key) -> float | None:
        """One pass. Returns the seconds until the next look, or None: an event will tell.

        Raises ApiError, Unreachable, NotLeading: the caller tries again later.
        """
        found = self.cache.agents.get(key)
        if found is None or found["metadata"].get("deletionTimestamp"):
            return self._forget(key)
        try:
            return await self._look(key, found)
        except AgentGone:
            # Its end was told late or, between the first read and the watch, to nobody.
            self.cache.observe_agent("DELETED", found)
            return self._forget(key)

    def _forget(self, key: Key) -> None:
        self.fleet.forget(key)
        self.writer.forget(key.namespace, child_name(key.name))

    async def _look(self, key: Key, found: Object) -> float | None:
        violations = self._decide(key, found)
        status = found.get("status") or {}
        generation = found["metadata"]["generation"]
        kept = bool(violations) and status.get("acceptedGeneration") == generation
        agent = self._gather(key, found)
        if agent is not None and (kept or not violations):
            outcome = await self._apply(agent, build(agent), known=status.get("acceptedGeneration") == generation)
        else:
            outcome = await self._hold(self._identity(key, found))
        findings = await self._findings(key, agent, violations, outcome, kept=kept)
        await self._report(key, found, agent, findings, outcome, accepted=not violations)
        if outcome.retry:
            raise NotYet(outcome.stopped[2] if outcome.stopped else "not done yet")
        waiting = any(f.type is ConditionType.WORKLOAD_AVAILABLE and f.status != "True" for f in findings)
        return LOOK_AGAIN if waiting and not violations and not (agent and agent.spec.suspended) else None

    def _decide(self, key: Key, found: Object) -> list[Violation]:
        metadata = found["metadata"]
        candidate = AgentObject(
            name=key.name,
            namespace=key.namespace,
            spec=found.get("spec"),
            generation=metadata["generation"],
            labels=metadata.get("labels") or {},
        )
        violations = decide(candidate, self.world.policies(), self.world.facts(key.namespace))
        for violation in self.fleet.news(key, metadata["generation"], violations):
            VIOLATIONS.labels("policy", str(violation.rule), key.namespace).inc()
            log.warning(
                "not accepted",
                agent=key.name,
                namespace=key.namespace,
                rule=str(violation.rule),
                path=violation.path,
            )
        return violations

    def _identity(self, key: Key, found: Object) -> Identity:
        return Identity(
            name=key.name,
            namespace=key.namespace,
            uid=found["metadata"]["uid"],
            workload_uid=self._workload_uid(key, found),
        )

    def _workload_uid(self, key: Key, found: Object) -> str | None:
        workload = self.cache.children.get(Ref("Deployment", key.namespace, child_name(key.name)))
        if workload is None or controller_uid(workload) != found["metadata"]["uid"]:
            return None
        return str(workload["metadata"]["uid"])

    def _gather(self, key: Key, found: Object) -> Agent | None:
        """The agent with what was read of its surroundings; None when its spec cannot be read."""
        spec = parse(AgentDeploymentSpec, found.get("spec")).value
        if spec is None:
            return None
        keys = [name for rule in spec.network.egress if (name := service_key(key.namespace, rule))]
        ports = {name: self.cache.service_port(*name) for name in keys}
        return Agent(
            **vars(self._identity(key, found)),
            spec=spec,
            services={name: port for name, port in ports.items() if port},
            api_server=self.cache.api_server,
        )

    async def _apply(self, agent: Agent, children: Sequence[Manifest], *, known: bool) -> Outcome:
        """Write the children in order; stop at the first that cannot be written."""
        outcome = Outcome()
        wanted = {Ref.of(manifest) for manifest in children}
        for manifest in children:
            if manifest["kind"] == "Deployment":
                await self._prune(agent, wanted)
            if not await self._step(agent, manifest, outcome, known=known):
                break
        if outcome.stopped is None and agent.workload_uid is None:
            uid = self._workload_uid(Key(agent.namespace, agent.name), {"metadata": {"uid": agent.uid}})
            agent = Agent(**(vars(agent) | {"workload_uid": uid}))
            await self._step(agent, build_deny(agent), outcome, known=known)
        return outcome

    async def _step(self, agent: Identity, manifest: Manifest, outcome: Outcome, *, known: bool) -> bool:
        step = STEP_OF[manifest["kind"]]
        try:
            if repair := await self.writer.ensure(manifest, agent, known=known):
                outcome.repairs.append(repair)
        except NotOurs as failure:
            outcome.stopped = (step, Reason.CHILD_NOT_OURS, str(failure))
            if failure.ref.name == child_name(agent.name, "deny"):
                await self._stop(agent)
        except NotYet as failure:
            outcome.stopped, outcome.retry = (step, Reason.PROGRESSING, str(failure)), True
        except Conflict:
            raise  # somebody wrote at the same time: look again, say nothing
        except ApiError as failure:
            # A refusal is said in the status; it is tried again all the same, for quotas and the like do change.
            outcome.stopped = (step, Reason.WRITE_FAILED, f"{manifest['kind']}: {failure.message}"[:1000])
            outcome.retry, outcome.retry_after = True, failure.retry_after
        return outcome.stopped is None

    async def _hold(self, agent: Identity) -> Outcome:
        """For an agent that is not accepted: nothing but the policy that drops everything."""
        outcome = Outcome()
        await self._step(agent, build_deny(agent), outcome, known=False)
        if outcome.stopped is None:
            outcome.stopped = (ConditionType.ACCEPTED, Reason.REFUSED, "not accepted")
        return outcome

    async def _stop(self, agent: Identity) -> None:
        """The fence cannot be held (its place is taken by somebody's object): no pods without it."""
        ref = Ref("Deployment", agent.namespace, child_name(agent.name))
        live = self.cache.children.get(ref)
        if live and controller_uid(live) == agent.uid and live["spec"].get("replicas"):
            await self.kube.merge(ref.path, {"metadata": {"uid": live["metadata"]["uid"]}, "spec": {"replicas": 0}})
            log.error("stopped: the deny policy cannot be held", agent=agent.name, namespace=agent.namespace)

    async def _prune(self, agent: Agent, wanted: set[Ref]) -> None:
        for ref, live in list(self.cache.children.items()):
            if ref.kind in PRUNED_KINDS and controller_uid(live) == agent.uid and ref not in wanted:
                await self.writer.remove(ref, agent)

    async def _findings(
        self, key: Key, agent: Agent | None, violations: Sequence[Violation], outcome: Outcome, *, kept: bool
    ) -> list[Finding]:
        """All conditions, the sum first."""
        network = self._applied(
            ConditionType.NETWORK_POLICY_APPLIED, outcome, "the deny and the allow policy are stored"
        )
        if agent and network.status == "True" and (missing := missing_services(agent)):
            sentence = f"no Service with a selector and that port: {', '.join(missing)}; nothing is opened for it"
            network = Finding(network.type, "False", Reason.SERVICE_NOT_FOUND, sentence)
        rights = self._applied(ConditionType.RIGHTS_APPLIED, outcome, "the Role holds exactly the rules of the spec")
        if agent and rights.status == "True" and not agent.spec.permissions.rules:
            rights = Finding(rights.type, "True", Reason.NO_RIGHTS, "no rights on the Kubernetes API, and no token")
        parts = [
            conditions.accepted(violations, kept=kept),
            network,
            rights,
            await self._workload(key, agent, outcome),
        ]
        return [conditions.ready(parts), *parts]

    def _applied(self, step: ConditionType, outcome: Outcome, sentence: str) -> Finding:
        """True unless applying stopped at this step or before it."""
        order = [ConditionType.ACCEPTED, *dict.fromkeys(STEP_OF.values())]
        if outcome.stopped is None or order.index(outcome.stopped[0]) > order.index(step):
            return Finding(step, "True", Reason.APPLIED, sentence)
        if outcome.stopped[0] is step:
            return Finding(step, "False", outcome.stopped[1], outcome.stopped[2])
        return Finding(step, "False", Reason.NOT_APPLIED, f"waits for {outcome.stopped[0]}")

    async def _workload(self, key: Key, agent: Agent | None, outcome: Outcome) -> Finding:
        suspended = bool(agent and agent.spec.suspended)
        step = ConditionType.WORKLOAD_AVAILABLE
        if outcome.stopped and outcome.stopped[0] is step:
            return Finding(step, "False", outcome.stopped[1], outcome.stopped[2])
        live = self.cache.children.get(Ref("Deployment", key.namespace, child_name(key.name)))
        finding = conditions.workload(live, suspended=suspended, story=None)
        if finding.status == "True" or live is None or suspended:
            return finding
        return conditions.workload(live, suspended=suspended, story=await self._story(key))

    async def _story(self, key: Key) -> tuple[Reason, str] | None:
        selector = f"ringfence.dev/agent={key.name}"
        try:
            pods = await self.kube.list(path_of("v1", "pods", key.namespace), label_selector=selector)
            said = await self.kube.list(path_of("v1", "events", key.namespace), field_selector="type=Warning")
        except (ApiError, Unreachable):
            return None
        prefix = child_name(key.name)
        about = [event for event in said if event["involvedObject"].get("name", "").startswith(prefix)]
        return story.tell(pods, about)

    async def _report(
        self,
        key: Key,
        found: Object,
        agent: Agent | None,
        findings: Sequence[Finding],
        outcome: Outcome,
        *,
        accepted: bool,
    ) -> None:
        """Events for what changed, then the status, written only when it differs."""
        old = found.get("status") or {}
        generation = found["metadata"]["generation"]
        live = self.cache.children.get(Ref("Deployment", key.namespace, child_name(key.name))) or {}
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        new: Object = {
            "observedGeneration": generation,
            "conditions": conditions.merge(old.get("conditions") or [], findings, generation=generation, now=now),
            "replicas": (live.get("status") or {}).get("replicas", 0),
            "readyReplicas": (live.get("status") or {}).get("readyReplicas", 0),
        }
        if accepted and agent and outcome.stopped is None:
            new["acceptedGeneration"] = generation
            new["effectivePermissions"] = effective_permissions(agent)
            new["effectiveEgress"] = effective_egress(agent)
            new["managedResources"] = [{"kind": m["kind"], "name": m["metadata"]["name"]} for m in build(agent)]
        self.fleet.set(key, {finding.type: finding.status for finding in findings})
        await self._tell(found, old.get("conditions") or [], findings, outcome)
        if all(old.get(name) == value for name, value in new.items()):
            return
        try:
            stored = await self.kube.merge(agent_path(key, "/status"), {"status": new})
        except NotFound as failure:
            raise AgentGone(found["metadata"]["uid"]) from failure
        self.cache.observe_agent("MODIFIED", stored)

    async def _tell(self, found: Object, old: Sequence[Object], findings: Sequence[Finding], outcome: Outcome) -> None:
        for repair in outcome.repairs:
            verb = "was deleted and is back" if repair.rule.endswith("Deleted") else "was edited and is put right"
            await self.events.say(
                found, "Warning", Reason.DRIFT_REPAIRED, f"{repair.ref.kind} {repair.ref.name} {verb}"
            )
        before = {condition["type"]: (condition["status"], condition["reason"]) for condition in old}
        for finding in findings:
            if before.get(finding.type) == (finding.status, finding.reason):
                continue
            log.info(
                "condition",
                agent=found["metadata"]["name"],
                namespace=found["metadata"]["namespace"],
                type=str(finding.type),
                status=finding.status,
                reason=str(finding.reason),
            )
            if finding.type in {ConditionType.READY, ConditionType.ACCEPTED} or finding.reason is Reason.CHILD_NOT_OURS:
                if finding.type is ConditionType.READY and finding.status != "True":
                    continue  # the condition that it stands for speaks for itself
                await self.events.say(
                    found, "Normal" if finding.status == "True" else "Warning", finding.reason, finding.message
                )
