"""One pass over one agent: gather, decide, apply, report. Level-triggered: it asks what is, not what happened."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import structlog

from ringfence.api import AgentDeploymentSpec, parse
from ringfence.api.names import AGENT_LABEL
from ringfence.api.secrets import duration
from ringfence.api.status import ConditionType, Reason
from ringfence.controller.cache import Cache, Key, Ref, agent_path, children_of
from ringfence.kube import ApiError, Kube, NotFound, Object, Unreachable, path_of
from ringfence.policy.decide import binding, decide
from ringfence.policy.model import AgentObject, Violation
from ringfence.resources import Agent, Identity, JobImage, build
from ringfence.resources.model import child_name
from ringfence.resources.network import effective_egress, missing_services, service_key
from ringfence.resources.permissions import effective_permissions
from ringfence.resources.rotation import rotating
from ringfence.resources.secrets import key_name, restart_annotation, when
from ringfence.resources.workload import rolled_out
from ringfence.store.context import NAMESPACE, PolicyContext
from ringfence.telemetry.metrics import VIOLATIONS

from . import ages, conditions, diagnosis
from .apply import ORDER, Applier, Outcome
from .conditions import Finding
from .event_recorder import Events
from .field_manager import UNKNOWN
from .recorder import Fleet
from .secrets import Keys, NotGranted
from .writer import AgentGone, Requeue, Writer

log = structlog.get_logger()

LOOK_AGAIN = 5.0
"""Seconds until the next look at an agent whose pods are not available: what they wait for sends us no event."""
KEYS_AGAIN = 60.0
"""The same for an agent with keys: their Secrets are not watched, since a watch would carry their values."""
TOLD = {Reason.CHILD_NOT_OURS, Reason.WRITE_FAILED, Reason.SERVICE_NOT_FOUND, Reason.SECRET_NOT_FOUND}
TOLD |= {Reason.NOT_GRANTED, Reason.SECRET_TOO_OLD, Reason.ROTATION_OVERDUE}
"""Reasons that make an Event, whatever their condition."""


@dataclass
class Reconciler:
    """Works on one key at a time; holds no state of its own about agents."""

    kube: Kube
    cache: Cache
    world: PolicyContext
    writer: Writer
    events: Events
    fleet: Fleet
    keys: Keys
    job_image: JobImage | None = None

    def __post_init__(self) -> None:
        self.applier = Applier(self.cache, self.writer, self.keys)

    async def reconcile(self, key: Key) -> float | None:
        """One pass. Returns the seconds until the next look, or None: an event will tell.

        Raises ApiError, Unreachable, NotLeading: the caller tries again later.
        """
        found = self.cache.agents.get(key)
        if found is None:
            self._forget(key)
            return None
        if found["metadata"].get("deletionTimestamp"):
            self.fleet.forget(key)
            await self._wind_down(key, found)
            return None
        try:
            return await self._look(key, found)
        except AgentGone:
            # Its end was told late or, between the first read and the watch, to nobody.
            self.cache.observe_agent("DELETED", found)
            self._forget(key)
            return None

    def _forget(self, key: Key) -> None:
        self.fleet.forget(key)
        self.writer.forget(children_of(key) | self.cache.forget_keys(key))

    async def _look(self, key: Key, found: Object) -> float | None:
        await self._know_namespace(key.namespace)
        violations = self._decide(key, found)
        status = found.get("status") or {}
        known = status.get("acceptedGeneration") == found["metadata"]["generation"]
        agent = self._gather(key, found)
        if agent is not None and (known or not violations):
            outcome = await self.applier.apply(agent, known=known)
        else:
            outcome = await self._hold(key, found)
        kept = bool(violations) and status.get("acceptedGeneration") is not None
        seen = await self._keys_of(agent, outcome)
        findings = await self._findings(self._identity(key, found), agent, violations, outcome, seen, kept=kept)
        await self._report(key, found, agent, findings, outcome, seen=seen, accepted=not violations)
        if outcome.retry:
            raise Requeue(outcome.stopped[2] if outcome.stopped else "not done yet", outcome.retry_after)
        blocked = outcome.stopped is not None and outcome.stopped[0] is not ConditionType.ACCEPTED
        waiting = any(f.type is ConditionType.WORKLOAD_AVAILABLE and f.status != "True" for f in findings)
        stopped = agent is not None and _stopped(agent)
        if blocked or (waiting and not violations and not stopped):
            return LOOK_AGAIN
        return KEYS_AGAIN if agent is not None and agent.spec.secrets else None

    async def _know_namespace(self, name: str) -> None:
        """An agent may be seen before its namespace, which would look closed until then."""
        if self.world.knows(name):
            return
        body = await self.kube.get(path_of("v1", "namespaces", name=name))
        if not self.world.knows(name):
            self.world.observe(NAMESPACE, "ADDED", body)

    async def _wind_down(self, key: Key, found: Object) -> None:
        """An agent that is being deleted, and waits for somebody's finalizer, runs no pods meanwhile.

        Its children are not put back any more; they go with it.
        """
        if "orphan" not in found["metadata"].get("finalizers", []):  # kubectl delete --cascade=orphan: they stay
            await self.applier.stop(self._identity(key, found), "it is being deleted")

    async def _hold(self, key: Key, found: Object) -> Outcome:
        """For an agent that is not accepted: nothing but the policy that drops everything."""
        before = (found.get("status") or {}).get("acceptedGeneration") is not None
        outcome = await self.applier.fence(self._identity(key, found), known=before)
        if outcome.stopped is None:
            outcome.stopped = (ConditionType.ACCEPTED, Reason.REFUSED, "not accepted")
        return outcome

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
                generation=metadata["generation"],
                rule=str(violation.rule),
                path=violation.path,
                **self.cache.authors.get(key, UNKNOWN).told(),
            )
        return violations

    def _identity(self, key: Key, found: Object) -> Identity:
        return Identity(name=key.name, namespace=key.namespace, uid=found["metadata"]["uid"])

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
            job_image=self.job_image,
            restarts=self._restarts(key, spec),
        )

    def _restarts(self, key: Key, spec: AgentDeploymentSpec) -> dict[str, str]:
        """Marks of rotation jobs on the stored workload. Whoever sets one restarts the agent, and nothing more."""
        live = self.cache.children.get(Ref("Deployment", key.namespace, child_name(key.name))) or {"spec": {}}
        template = live["spec"].get("template") or {}
        marks = (template.get("metadata") or {}).get("annotations") or {}
        names = [restart_annotation(secret.name) for secret in spec.secrets if secret.rotation and secret.delivery.env]
        return {name: marks[name] for name in names if when(marks.get(name))}

    async def _findings(
        self,
        identity: Identity,
        agent: Agent | None,
        violations: Sequence[Violation],
        outcome: Outcome,
        seen: Sequence[ages.Key] | None,
        *,
        kept: bool,
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
            self._keys_finding(identity, outcome, seen),
            await self._workload(identity, agent, outcome),
        ]
        return [conditions.ready(parts), *parts]

    def _applied(self, step: ConditionType, outcome: Outcome, sentence: str) -> Finding:
        """True unless applying stopped at this step or before it."""
        if outcome.stopped is None or ORDER.index(outcome.stopped[0]) > ORDER.index(step):
            return Finding(step, "True", Reason.APPLIED, sentence)
        if outcome.stopped[0] is step:
            return Finding(step, "False", outcome.stopped[1], outcome.stopped[2])
        return Finding(step, "False", Reason.NOT_APPLIED, f"waits for {outcome.stopped[0]}")

    async def _keys_of(self, agent: Agent | None, outcome: Outcome) -> Sequence[ages.Key] | None:
        """Every key as its Secret's metadata show it; None when nothing may be seen, or nothing was looked at."""
        if agent is not None:
            self.fleet.jobs(Key(agent.namespace, agent.name), self._cron_jobs(agent))
        if agent is None or (outcome.stopped and outcome.stopped[0] is not ConditionType.WORKLOAD_AVAILABLE):
            return None
        try:
            seen = await self.keys.look(agent)
        except NotGranted as failure:
            outcome.unseen = str(failure)
            return None
        live = self.applier.workload(agent)
        if live is not None and rolled_out(live):
            await self.keys.drop_previous(agent, seen)
        self.fleet.keys(Key(agent.namespace, agent.name), seen, self._max_age(agent))
        return seen

    def _cron_jobs(self, agent: Agent) -> dict[str, Object]:
        """Those of the agent's keys, as last seen, by the names of the keys."""
        refs = {one.name: Ref("CronJob", agent.namespace, key_name(agent.name, one.name)) for one in rotating(agent)}
        return {name: self.cache.children[ref] for name, ref in refs.items() if ref in self.cache.children}

    def _keys_finding(self, agent: Identity, outcome: Outcome, seen: Sequence[ages.Key] | None) -> Finding:
        if outcome.unseen:
            return Finding(ConditionType.SECRETS_FRESH, "False", Reason.NOT_GRANTED, outcome.unseen)
        if seen is None:
            return self._applied(ConditionType.SECRETS_FRESH, outcome, "no secrets")
        live = self.applier.workload(agent)
        now = datetime.now(UTC)
        return ages.finding(
            seen, max_age=self._max_age(agent), now=now, rolled_out=live is not None and rolled_out(live)
        )

    def _max_age(self, agent: Identity) -> timedelta:
        policies = binding(self.world.policies(), self.world.facts(agent.namespace))
        return min(duration(policy.spec.secrets.max_age) for policy in policies)

    async def _workload(self, identity: Identity, agent: Agent | None, outcome: Outcome) -> Finding:
        suspended = agent is not None and _stopped(agent)
        step = ConditionType.WORKLOAD_AVAILABLE
        if outcome.stopped and outcome.stopped[0] is step:
            return Finding(step, "False", outcome.stopped[1], outcome.stopped[2])
        live = self.applier.workload(identity)
        finding = conditions.workload(live, suspended=suspended, story=None)
        if live is None or finding.reason is not Reason.PROGRESSING:
            return finding
        return conditions.workload(live, suspended=suspended, story=await self._story(identity))

    async def _story(self, key: Identity) -> tuple[Reason, str] | None:
        selector = f"{AGENT_LABEL}={key.name}"
        try:
            pods = await self.kube.list(path_of("v1", "pods", key.namespace), label_selector=selector)
            said = await self.kube.list(path_of("v1", "events", key.namespace), field_selector="type=Warning")
        except (ApiError, Unreachable):
            return None
        return diagnosis.tell(pods, said, workload=child_name(key.name))

    async def _report(
        self,
        key: Key,
        found: Object,
        agent: Agent | None,
        findings: Sequence[Finding],
        outcome: Outcome,
        *,
        seen: Sequence[ages.Key] | None,
        accepted: bool,
    ) -> None:
        """Events for what changed, then the status, written only when it differs."""
        old = found.get("status") or {}
        generation = found["metadata"]["generation"]
        live = self.applier.workload(self._identity(key, found)) or {}
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        new: Object = {
            "observedGeneration": generation,
            "conditions": conditions.merge(old.get("conditions") or [], findings, generation=generation, now=now),
            "replicas": (live.get("status") or {}).get("replicas", 0),
            "readyReplicas": (live.get("status") or {}).get("readyReplicas", 0),
        }
        if seen is not None:
            new |= ages.status(seen)
        if accepted and agent and outcome.stopped is None:
            new["acceptedGeneration"] = generation
            new["effectivePermissions"] = effective_permissions(agent)
            new["effectiveEgress"] = effective_egress(agent)
            new["managedResources"] = [{"kind": m["kind"], "name": m["metadata"]["name"]} for m in build(agent)]
        self.fleet.set(key, {finding.type: finding.status for finding in findings})
        self.fleet.show(key, new, live)
        await self._tell(found, old.get("conditions") or [], findings, outcome)
        if all(old.get(name) == value for name, value in new.items()):
            return
        whole = {name: value for name, value in (old | new).items() if value is not None}
        self.cache.observe_agent("MODIFIED", await self._write_status(key, found, whole))
        for line in conditions.changes(old.get("conditions") or [], findings):
            log.info("condition", agent=key.name, namespace=key.namespace, generation=generation, **line)

    async def _write_status(self, key: Key, found: Object, status: Object) -> Object:
        """The status of this very agent: a later one of the same name must not be taken for one that was accepted."""
        self.writer.guard()
        uid = found["metadata"]["uid"]
        operations = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "add", "path": "/status", "value": status},
        ]
        try:
            return await self.kube.json_patch(agent_path(key, "/status"), operations)
        except NotFound as failure:
            raise AgentGone(uid) from failure
        except ApiError as failure:
            if failure.status == HTTPStatus.UNPROCESSABLE_ENTITY:
                await self.writer.still_there(self._identity(key, found))
            raise

    async def _tell(self, found: Object, old: Sequence[Object], findings: Sequence[Finding], outcome: Outcome) -> None:
        for repair in outcome.repairs:
            verb = "was deleted and is back" if repair.rule.endswith("Deleted") else "was edited and is put right"
            await self.events.say(
                found, "Warning", Reason.DRIFT_REPAIRED, f"{repair.ref.kind} {repair.ref.name} {verb}"
            )
        for finding in conditions.changed(old, findings):
            if finding.type in {ConditionType.READY, ConditionType.ACCEPTED} or finding.reason in TOLD:
                if finding.type is ConditionType.READY and finding.status != "True":
                    continue  # the condition that it stands for speaks for itself
                await self.events.say(
                    found, "Normal" if finding.status == "True" else "Warning", finding.reason, finding.message
                )


def _stopped(agent: Agent) -> bool:
    """Whether the spec asks for no pods."""
    return agent.spec.suspended or agent.spec.replicas == 0
