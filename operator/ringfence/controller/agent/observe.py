"""All reading of a pass: from the store, and from the API server what the store does not keep."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from ringfence.api import AgentDeploymentSpec, parse
from ringfence.api.secrets import AgentSecret
from ringfence.api.status import ConditionType, Reason
from ringfence.kube import Kube, Object, path_of
from ringfence.policy.held import ALL
from ringfence.proof.attempts import NOTHING_AROUND
from ringfence.resources import Identity, JobImage, Ref, ServicePort
from ringfence.resources.gateway import has_hosts
from ringfence.resources.model import REPORTS_TO_NOBODY, Gate, GatewayReports, UpstreamProxy, child_name
from ringfence.resources.network import service_key
from ringfence.resources.runs import ends, makes_pods
from ringfence.resources.secret_names import rotation_name
from ringfence.resources.stored import StoredChild
from ringfence.resources.users import USUAL_IDS, UserIds
from ringfence.resources.verification import is_verification
from ringfence.store.records import Key, StoredPod
from ringfence.store.sources import NAMESPACE
from ringfence.store.store import Store
from ringfence.store.surroundings import surroundings

from . import ages, conditions, diagnosis, runs
from .conditions import condition_before
from .errors import NotGranted
from .execute import Outcome
from .gateways import Gateways
from .handover import HandOvers
from .holders import Holders
from .observed import GatewaySecrets, Observed
from .plan import Mode, Plan
from .report import After
from .secrets import Secrets
from .sent_secrets import SentSecrets
from .verification import asked, trial_of, waits
from .warnings import Warnings
from .workloads import workload_of

Metadata = Mapping[str, Any]
EVENTS_READ = 4
"""How often the Events about the pods of an agent are read while nothing about the pods changes: at the age of 0, 5,
10 and 20 seconds, or later where that costs much (warnings.py). What the kubelet says once, it goes on saying."""


@dataclass
class Observer:
    """Reads for passes. `clock`: the present moment, in UTC."""

    kube: Kube
    store: Store
    secrets: Secrets
    hand_overs: HandOvers
    job_image: JobImage | None = None
    holders: Holders | None = None
    gateways: Gateways | None = None
    sent_secrets: SentSecrets | None = None
    gateway_image: JobImage | None = None
    user_ids: UserIds = USUAL_IDS
    gateway_reports: GatewayReports = REPORTS_TO_NOBODY
    upstream_proxy: UpstreamProxy | None = None
    gate: Gate | None = None
    gateway_refuses: Callable[[Key], bool] = lambda _: False
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ticks: Callable[[], float] = monotonic
    _diagnoses: dict[Key, "_Diagnosis"] = field(default_factory=dict)
    _troubles: dict[Key, str] = field(default_factory=dict)
    _warnings: Warnings = field(init=False)

    def __post_init__(self) -> None:
        self._warnings = Warnings(self.kube, clock=self.ticks)

    async def observe(self, key: Key) -> Observed:
        """Everything that a plan is made from. Raises ApiError, Unreachable."""
        agent = self.store.agents.get(key)
        if agent is None or agent.deleting:
            status = agent.status if agent else {}
            return Observed(
                key=key,
                agent=agent,
                now=self.clock(),
                status=status,
                children=self.store.children.items,
                pods=_pods(self.store, key)[0],
                left=self.store.elsewhere_of(key),
                reads=self.store.readers.of(key),
                owned=self.store.children_of(agent.uid) if agent else (),
                runs=_jobs(self.store, key, agent.uid) if agent else (),
            )
        await self._know_namespace(key.namespace)
        hand_over = await self.hand_overs.of(key, agent)
        raw, status = agent.spec, agent.status
        parsed = parse(AgentDeploymentSpec, raw)
        spec = parsed.value
        held = await self.holders.of(key, agent, spec) if self.holders else ALL
        identity = Identity(name=key.name, namespace=key.namespace, uid=agent.uid)
        seen, not_granted = await self._seen_secrets(identity, spec, status)
        policies = self.store.context.policies_for(key.namespace)
        services = self._services(key, spec)
        owned = self.store.children_of(agent.uid)
        pods, trial_pods = _pods(self.store, key)
        return Observed(
            key=key,
            agent=agent,
            now=self.clock(),
            spec=spec,
            raw=raw,
            parsed=parsed,
            status=status,
            policies=policies,
            facts=self.store.facts(key, policies),
            children=self.store.children.items,
            owned=owned,
            ownership=self.store.ownership,
            services=services,
            service_addresses={name[:2]: self.store.services.items[name[:2]].addresses for name in services},
            dns=self.store.dns.found,
            api_server=self.store.context.api_server,
            job_image=self.job_image,
            gateway_image=self.gateway_image,
            gateway_reports=self.gateway_reports,
            upstream_proxy=self.upstream_proxy,
            gateway=await self._gateway(identity, spec, status),
            gateway_refuses=self.gateway_refuses(key),
            secret_states=await self.sent_secrets.of(key, identity, spec, seen) if self.sent_secrets else {},
            rotates=self._rotates(key, spec),
            gate=self._gate(),
            user_ids=self.user_ids,
            secrets=seen,
            not_granted=not_granted,
            widened=self.store.widenings(key),
            hand_over=hand_over,
            held=held,
            pods=pods,
            left=[child for child in self.store.elsewhere_of(key) if child.agent_uid != agent.uid],
            reads=self.store.readers.of(key),
            runs=_jobs(self.store, key, agent.uid),
            around=surroundings(self.store, key) if agent.verify_request else NOTHING_AROUND,
            trial=trial_of(owned, agent.verify_request, key.namespace) if agent.verify_request else None,
            trial_pods=trial_pods,
        )

    async def after(self, seen: Observed, planned: Plan, outcome: Outcome) -> After:
        """What there is once the plan was done. Raises ApiError, Unreachable."""
        workload = workload_of(seen)
        secrets, not_granted = await self._secrets_after(seen, planned, outcome)
        jobs = _jobs(self.store, seen.key, seen.identity.uid)
        why = None
        if workload is not None and _begins(seen, workload, jobs):
            why = await self._why(seen.key, workload)
        else:
            self._diagnoses.pop(seen.key, None)
        return After(
            workload=workload,
            runs=jobs,
            secrets=secrets,
            not_granted=not_granted,
            diagnosis=why,
            trouble=await self._trial_trouble(seen),
            asks_again=seen.key in self._diagnoses and self._diagnoses[seen.key].looks < EVENTS_READ,
        )

    async def _trial_trouble(self, seen: Observed) -> str:
        """Why a trial does not begin: what its pod says, or what keeps its Job from making one (a quota, a webhook).

        Kept until it is over: the pod that could say it is gone by then.
        """
        if seen.trial is None or asked(seen) is None:
            self._troubles.pop(seen.key, None)
            return ""
        found = waits(seen.trial_pods)
        if not seen.trial_pods:
            events = await self._warnings.about(seen.key.namespace, seen.trial.ref.name, kind="Job") or ()
            refused = [str(one.get("message", "")) for one in events if one.get("reason") == "FailedCreate"]
            found = " ".join(refused[-1].split())[:600] if refused else ""
        if found:
            self._troubles[seen.key] = found
        return self._troubles.get(seen.key, "")

    def _gate(self) -> Gate | None:
        """With what is known of the API server by now."""
        if self.gate is None:
            return None
        return replace(self.gate, api_server=not self.store.context.api_server_is_on_nodes)

    def forget(self, key: Key) -> None:
        """The agent is gone."""
        self._diagnoses.pop(key, None)
        self._troubles.pop(key, None)
        self.hand_overs.forget(key)
        if self.holders:
            self.holders.forget(key)
        if self.sent_secrets:
            self.sent_secrets.forget(key)

    async def _know_namespace(self, name: str) -> None:
        """An agent may be seen before its namespace, which would look closed until then."""
        if self.store.context.knows(name):
            return
        body = await self.kube.get(path_of("v1", "namespaces", name=name))
        if not self.store.context.knows(name):
            self.store.context.observe(NAMESPACE, "ADDED", body)

    def _services(self, key: Key, spec: AgentDeploymentSpec | None) -> dict[tuple[str, str, int], ServicePort]:
        found = {}
        for rule in spec.network.egress if spec else ():
            if (name := service_key(key.namespace, rule)) and (service := self.store.services.get(name[:2])):
                found[name] = service.port(name[2])
        return {name: port for name, port in found.items() if port}

    async def _seen_secrets(
        self, agent: Identity, spec: AgentDeploymentSpec | None, status: Mapping[str, Any]
    ) -> tuple[dict[str, Metadata | None] | None, str]:
        """Of an agent that never was accepted nothing is read: what it lacks, the creation tells."""
        if spec is None or not spec.secrets or status.get("acceptedGeneration") is None:
            return None, ""
        try:
            return {one.name: await self._metadata(agent, one) for one in spec.secrets}, ""
        except NotGranted as failure:
            return None, str(failure)

    async def _gateway(
        self, agent: Identity, spec: AgentDeploymentSpec | None, status: Mapping[str, Any]
    ) -> GatewaySecrets | None:
        """Of an agent that never was accepted nothing is read, as with secrets."""
        if spec is None or not has_hosts(spec) or status.get("acceptedGeneration") is None or self.gateways is None:
            return None
        return await self.gateways.seen(agent)

    def _rotates(self, key: Key, spec: AgentDeploymentSpec | None) -> bool:
        """Whether the job of a secret that its gateway sends runs at this moment."""
        sent = [one for one in spec.secrets if one.rotation and one.delivery.gateway] if spec else []
        jobs = [Key(key.namespace, rotation_name(key.name, one.name)) for one in sent]
        return any(self.store.rotations.run(job, self.clock()) for job in jobs)

    async def _metadata(self, agent: Identity, secret: AgentSecret) -> Metadata | None:
        """Of a secret's Secret. Where nothing may be seen, an existing one is delivered all the same."""
        try:
            return await self.secrets.metadata(agent, secret)
        except NotGranted:
            if secret.source.existing is None:
                raise
            return ages.HIDDEN

    async def _secrets_after(
        self, seen: Observed, planned: Plan, outcome: Outcome
    ) -> tuple[list[ages.ObservedSecret] | None, str]:
        """Every secret as its Secret's metadata show it; None when a phase before blocks, or nothing may be seen."""
        agent, blocked = planned.agent, outcome.blocked
        if agent is None or planned.mode is not Mode.APPLY:
            return None, ""
        if blocked and not condition_before(ConditionType.SECRETS_FRESH, blocked.condition):
            return None, ""
        if seen.not_granted:
            return None, seen.not_granted
        known: dict[str, Metadata | None] = {**(seen.secrets or {}), **outcome.made}
        try:
            for one in agent.spec.secrets:
                if one.name not in known:
                    known[one.name] = await self._metadata(agent, one)
        except NotGranted as failure:
            return None, str(failure)
        return [ages.observed(agent.name, one, known[one.name]) for one in agent.spec.secrets], ""

    async def _why(self, key: Key, workload: Mapping[str, Any]) -> tuple[Reason, str] | None:
        """Why its pods are not there: by what they say of themselves, and where that is nothing, by their Events."""
        # Of a run that is tried again, the pods that failed say nothing of the one that begins.
        pods = [pod.manifest() for pod in _pods(self.store, key)[0] if pod.job is None or not pod.is_over]
        if not pods or not diagnosis.asks_for_events(pods):
            self._diagnoses.pop(key, None)
            return diagnosis.tell(pods, ()) if pods else diagnosis.of_workload(workload)
        known = self._diagnoses.setdefault(key, _Diagnosis())
        if known.pods != pods:
            known.pods, known.looks = pods, 0
        if known.looks < EVENTS_READ:
            # Of the first pod: the others say the same.
            found = await self._warnings.about(key.namespace, pods[0]["metadata"]["name"])
            known.looks += found is not None
            known.found = diagnosis.tell(pods, found) if found is not None else known.found or diagnosis.tell(pods, ())
        return known.found


def _jobs(store: Store, key: Key, uid: str) -> list[StoredChild]:
    """The Jobs of an agent: its own, and those of its CronJob."""
    own = store.children_of(uid)
    schedule = store.children.get(Ref("CronJob", key.namespace, child_name(key.name)))
    found = [*own, *(store.children_of(schedule.uid) if schedule is not None and schedule in own else ())]
    return [child for child in found if child.ref.kind == "Job" and makes_pods(child.ref.kind, child.ref.name)]


def _pods(store: Store, key: Key) -> tuple[list[StoredPod], list[StoredPod]]:
    """The pods of an agent, and those that try its fence."""
    found = store.pods_of(key)
    trial = [pod for pod in found if pod.job is not None and is_verification("Job", pod.job[0])]
    return [pod for pod in found if pod not in trial], trial


def _begins(seen: Observed, workload: Mapping[str, Any], jobs: Sequence[StoredChild]) -> bool:
    """Whether pods are to be there that are not there."""
    if seen.spec is not None and ends(seen.spec):
        found = [runs.read(job, seen.key.name) for job in jobs]
        return any(run.active and not run.ready for run in found)
    if "suspend" in workload["spec"]:
        return False
    return conditions.workload(workload, suspended=False, diagnosis=None).reason is Reason.PROGRESSING


@dataclass
class _Diagnosis:
    """What was found for the pods as they are, and how often it was looked for."""

    pods: list[Object] = field(default_factory=list)
    looks: int = 0
    found: tuple[Reason, str] | None = None
