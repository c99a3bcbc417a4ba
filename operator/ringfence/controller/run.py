"""The controller's process: wait for the lease, read everything, then watch and work until told to stop."""

import asyncio
import contextlib
import signal
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from ringfence.kube import ApiError, Kube, NotServed, Unreachable
from ringfence.kube.access import AccessReviews
from ringfence.kube.own_token import api_audiences
from ringfence.policy.model import Network
from ringfence.resources import JobImage
from ringfence.resources.dns import Asked
from ringfence.resources.model import Gate, GatewayReports, UpstreamProxy
from ringfence.resources.users import USUAL_IDS, UserIds
from ringfence.store.context import PolicyContext
from ringfence.store.prover import Prover, by_certificate
from ringfence.store.records import StoredAgent
from ringfence.store.store import Store
from ringfence.telemetry.events import ClusterRead, Emit, to_all
from ringfence.telemetry.health import Health
from ringfence.telemetry.looplag import probe
from ringfence.telemetry.metrics import kube_request
from ringfence.telemetry.sinks.kubernetes import KubernetesEventSink
from ringfence.telemetry.sinks.lines import to_log
from ringfence.telemetry.sinks.metrics import MetricsSink

from . import gateway_reports, kopf_adapter
from .agent.execute import Executor
from .agent.gateways import Gateways
from .agent.handover import HandOvers
from .agent.holders import KEPT, Holders
from .agent.observe import Observer
from .agent.pods import Pods
from .agent.reads import ClusterReads
from .agent.reconciler import AgentReconciler
from .agent.recorder import Recorder
from .agent.secrets import Secrets
from .agent.sent_secrets import SentSecrets
from .agent.writer import Writer
from .canary import Canary
from .certificates.keeper import Settings as CertificateSettings
from .certificates.keeper import keep
from .egress.asking import Asking
from .inputs import ApiServerRecorder
from .namespace.connecting import Connecting
from .namespace.reconciler import NamespaceReconciler
from .namespace.standing import Standing, ceiling, policy
from .policy.reconciler import PolicyReconciler
from .reading import FirstRead, NotInstalled, Reading
from .registration import Registration, RegistrationWatch
from .runtime.lease import Lease
from .runtime.loop import REPAIR_WORKERS, ReconcileLoop

log = structlog.get_logger()

POLICY_WORKERS = 1
"""There are few policies, and their passes only count."""
NAMESPACE_WORKERS = 2
"""A pass over a namespace writes when it is opened, and when somebody interferes."""
POD_WORKERS = 8
"""Only pods of edited Deployments have passes: they are short, and none may wait."""
BEAT_SECONDS = 2.0
"""Between two signs of life of the event loop."""
LONGEST_PAUSE = 30.0
"""Between tries to look after the certificate, in seconds."""
RETRY_SECONDS = 2.0
"""Pause before a failed first read is tried again."""
FLUSH_SECONDS = 1.0
"""For Kubernetes Events that wait at the end of the process."""
RESYNC_SECONDS = 600.0
"""Between two comparisons of all versions, by default: the longest time for which a missed event goes unnoticed."""


@dataclass(frozen=True)
class Settings:
    """What the command line sets."""

    namespace: str
    identity: str
    lease: str
    kubeconfig: str | None = None
    cluster_networks: tuple[Network, ...] = ()
    api_server_networks: tuple[Network, ...] = ()
    certificates: CertificateSettings | None = None
    registration: Path | None = None
    job_image: JobImage | None = None
    gateway_image: JobImage | None = None
    upstream_proxy: UpstreamProxy | None = None
    canary_service: str = ""
    canary: tuple[str, int] | None = None
    egress_port: int = 0
    egress_service: str = ""
    scrapers: Mapping[str, str] = field(default_factory=dict)
    user_ids: UserIds = USUAL_IDS
    account: str = "ringfence-controller"
    resync: float = RESYNC_SECONDS
    dns: Asked = Asked()  # noqa: RUF009 - frozen


async def run(settings: Settings, health: Health) -> int:
    """Run until SIGTERM or until the lease is lost. Returns the exit code."""
    stop = asyncio.Event()
    beats = asyncio.create_task(_beat(health), name="beat")
    lag = asyncio.create_task(probe(), name="event loop lag")
    _catch_signals(stop)
    metrics = MetricsSink()
    async with await Kube.connect(settings.kubeconfig, observe=kube_request) as kube:
        lease = Lease(kube, namespace=settings.namespace, name=settings.lease, identity=settings.identity, emit=metrics)
        health.require("controller", lambda: None)  # a replica that stands by waits for nothing: it is ready
        health.require("leader", lease.nobody_leads)
        if not await lease.acquire(stop):
            return 0
        told = KubernetesEventSink(kube, instance=settings.identity, leading=lambda: lease.leading)
        try:
            return await _lead(_Parts(kube, lease, settings, health, to_all(metrics, to_log, told)), told, stop)
        finally:
            beats.cancel()
            lag.cancel()
            await lease.release()


@dataclass(frozen=True)
class _Parts:
    """What the leader works with."""

    kube: Kube
    lease: Lease
    settings: Settings
    health: Health
    emit: Emit

    def leading(self) -> bool:
        """Whether anything may be written."""
        return self.lease.leading

    def registration(self) -> Registration | None:
        """Of admission. None where nobody said what is installed."""
        file = self.settings.registration
        return Registration(self.kube, file) if file is not None else None

    def reading(self) -> Reading:
        """A store, and what keeps it."""
        settings = self.settings
        context = PolicyContext(
            settings.cluster_networks,
            api_server_networks=settings.api_server_networks,
            own_namespace=settings.namespace,
            api_audiences=api_audiences(),
        )
        return Reading(self.kube, Store(context, settings.dns), self.emit, settings.resync)

    def prover(self, store: Store) -> Prover:
        """What proves the addresses of the API server."""
        return Prover(
            context=store.context,
            prove=by_certificate(self.kube),
            changed=store.context_changed,
            tell=ApiServerRecorder(self.emit).looked,
        )

    def standing(self, store: Store) -> tuple[Standing, Standing]:
        """What each namespace with agents has: its policy, and its binding of the ceiling."""
        account = self.settings.namespace, self.settings.account
        wanted = policy(), ceiling(account, Connecting(store.context).groups)
        fence, held = (Standing(one, self.kube, store, self.leading, self.emit) for one in wanted)
        return fence, held

    def watch(self, store: Store) -> RegistrationWatch | None:
        """What looks at the registration of admission again and again."""
        registration = self.registration()
        if registration is None:
            return None
        return RegistrationWatch(registration, self.emit, lambda: store.wake_all(where=_is_recorded))

    def asking(self) -> Asking:
        """By what address gateways find this controller."""
        settings = self.settings
        return Asking(self.kube, settings.namespace, settings.egress_service, settings.egress_port)

    def canary(self) -> Canary:
        """By what the gates of agents' pods see that a fence stands."""
        settings = self.settings
        return Canary(self.kube, settings.namespace, settings.canary_service, settings.job_image, settings.canary)

    async def gateway_reports(self, stop: asyncio.Event) -> GatewayReports:
        """Who learns what gateways refuse, and who reads their figures."""
        nobody = GatewayReports(scrapers=self.settings.scrapers)
        return await self.asking().found(nobody, stop) if self.settings.egress_port else nobody

    def agents(
        self, store: Store, fence: Standing, held: Standing, recorder: RegistrationWatch | None
    ) -> AgentReconciler:
        """What looks after agents."""
        settings = self.settings
        writer = Writer(self.kube, store, self.leading, self.emit)
        secrets = Secrets(self.kube, self.leading, f"{settings.namespace}:{settings.account}", self.emit)
        gateways = Gateways(secrets)
        sent_secrets = SentSecrets(secrets)
        reads = ClusterReads(self.kube, store, self.leading, self.emit)
        return AgentReconciler(
            store=store,
            observer=Observer(
                self.kube,
                store,
                secrets,
                HandOvers(self.emit, self.registration()),
                settings.job_image,
                Holders(AccessReviews(self.kube, KEPT), store, recorder),
                gateways,
                sent_secrets,
                settings.gateway_image,
                settings.user_ids,
                upstream_proxy=settings.upstream_proxy,
            ),
            executor=Executor(writer, secrets, Pods(writer), self.emit, held, reads, gateways),
            writer=writer,
            recorder=Recorder(self.emit),
            emit=self.emit,
            keep_namespace=(fence.keep, held.keep),
            keep_target=held.keep,
        )


def _take_gate(store: Store, observer: Observer, gate: Gate) -> None:
    """From now on pods have this one: those that are there are made anew."""
    observer.gate = gate
    store.wake_all()


def _is_recorded(agent: StoredAgent) -> bool:
    return agent.requested_by is not None


async def _beat(health: Health) -> None:
    while True:
        health.beat()
        await asyncio.sleep(BEAT_SECONDS)


class _Work:
    """The leader's tasks. They end together, before the lease is given back: then nobody of us writes any more."""

    def __init__(self, parts: _Parts, told: KubernetesEventSink, stop: asyncio.Event) -> None:
        self._parts, self._told, self._stop = parts, told, stop
        self.keeper = asyncio.create_task(parts.lease.keep(stop), name="lease")
        self.keeper.add_done_callback(lambda _: stop.set())
        self._tasks: list[asyncio.Task[Any]] = []

    def begin(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        """Start one more."""
        self._tasks.append(asyncio.create_task(work, name=name))

    async def end(self) -> None:
        """Stop them, say what waits to be said, and let another replica lead."""
        self._parts.health.stop()
        self._stop.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(self.keeper, *self._tasks, return_exceptions=True)
        await self._told.flush(FLUSH_SECONDS)
        await self._parts.lease.release()


async def _lead(parts: _Parts, told: KubernetesEventSink, stop: asyncio.Event) -> int:
    reading = parts.reading()
    fence, held = parts.standing(reading.store)
    registration = parts.watch(reading.store)
    reconciler = parts.agents(reading.store, fence, held, registration)
    agents = ReconcileLoop(reconciler, parts.emit, repair_workers=REPAIR_WORKERS)
    pods = ReconcileLoop(reconciler.executor.pods, parts.emit, workers=POD_WORKERS)
    namespaces = ReconcileLoop(
        NamespaceReconciler(parts.kube, reading.store, fence, held, parts.leading, parts.emit),
        parts.emit,
        workers=NAMESPACE_WORKERS,
    )
    policies = ReconcileLoop(
        PolicyReconciler(parts.kube, reading.store, parts.leading), parts.emit, workers=POLICY_WORKERS
    )
    reading.store.wake, reading.store.wake_policy = agents.queue.add, policies.queue.add
    reading.store.wake_namespace, reading.store.wake_pod = namespaces.queue.add, pods.queue.add
    parts.lease.on_return += [agents.queue.hasten, pods.queue.hasten, namespaces.queue.hasten, policies.queue.hasten]
    # kopf cancels, when it ends, every task that began after it: ours begin before.
    work = _Work(parts, told, stop)
    work.begin(_keep_certificates(parts.kube, parts.settings.certificates), "certificates")
    work.begin(told.run(), "Kubernetes Events")
    if registration is not None:
        work.begin(registration.run(), "registration")
    try:
        first = FirstRead()
        parts.health.require("controller", first.hindered)
        if not await _first_read(reading, stop, first):
            return 0 if parts.lease.leading else 1
        parts.emit(ClusterRead(first.seconds))
        prover = parts.prover(reading.store)
        await prover.look()  # before the first pass, which would close to agents what is not proven
        reconciler.observer.gateway_reports = await parts.gateway_reports(stop)
        reconciler.observer.gate = await parts.canary().found(stop)
        if registration is not None and not registration.looked:  # the first pass would not believe who asked
            await registration.look()
        work.begin(pods.run(), "pods")
        work.begin(agents.run(), "agents")
        work.begin(policies.run(), "policies")
        work.begin(namespaces.run(), "namespaces")
        work.begin(reading.follow(), "watches")
        if port := parts.settings.egress_port:
            for task, name in gateway_reports.tasks(
                reading.store, reconciler.observer, parts.emit, parts.asking(), port
            ):
                work.begin(task, name)
        moved = partial(_take_gate, reading.store, reconciler.observer)
        work.begin(parts.canary().follow(reconciler.observer.gate, moved), "where the canary is")
        work.begin(prover.follow(), "addresses of the API server")
        work.begin(reading.compare_for_ever(parts.lease.returned), "resync")
        return await _watch(parts, reading, work, stop)
    finally:
        await work.end()


async def _watch(parts: _Parts, reading: Reading, work: _Work, stop: asyncio.Event) -> int:
    """Have kopf watch until the end; the exit code."""
    started = asyncio.Event()
    work.begin(_catch_signals_again(started, stop), "signals")
    watching = asyncio.create_task(
        kopf_adapter.operate(parts.kube, reading.sinks, parts.emit, started=started, stop=stop), name="kopf"
    )
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    await work.end()  # kopf takes seconds to end: another replica need not wait for that
    try:
        await watching
    except Exception as failure:  # noqa: BLE001 - whatever it is, better to start anew than to be deaf
        # A watch was refused for good: the CRDs were deleted, or a right was taken away.
        log.error("a watch ended: stopping", error=f"{type(failure).__name__}: {failure}"[:500])  # noqa: TRY400
        return 1
    return 0 if not work.keeper.done() or work.keeper.result() else 1


async def _first_read(reading: Reading, stop: asyncio.Event, first: FirstRead) -> bool:
    """Fill the store; wait, and say what for, while that cannot be done. False when `stop` came first."""
    while not stop.is_set():
        try:
            await reading.ask()
            first.began()
            await reading.first()
        except NotInstalled:
            reason = "the CRDs are not installed: helm install ringfence-crds charts/ringfence-crds"
        except (ApiError, NotServed, Unreachable) as failure:
            reason = f"cannot read the cluster: {failure}"
        else:
            first.ended()
            return True
        first.failed(reason)
        log.warning("waiting", reason=reason)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), RETRY_SECONDS)
    return False


async def _keep_certificates(kube: Kube, settings: CertificateSettings | None) -> None:
    """Keep the admission server's certificate; it is the leader's, for two would each make one."""
    failures = 0
    while settings is not None:
        try:
            pause = await keep(kube, settings)
            failures = 0
        except (ApiError, Unreachable) as failure:
            failures += 1
            pause = min(2.0**failures, LONGEST_PAUSE)
            log.warning("could not look after the admission certificate", error=str(failure), again_in=pause)
        except Exception:
            pause = LONGEST_PAUSE
            log.exception("could not look after the admission certificate")
        await asyncio.sleep(pause)


def _catch_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def _catch_signals_again(started: asyncio.Event, stop: asyncio.Event) -> None:
    """Ours go back in place of kopf's, which would end it without a word to us, and choke on a second signal."""
    await started.wait()
    _catch_signals(stop)
