"""The controller's process: wait for the lease, read everything, then watch and work until told to stop."""

import asyncio
import contextlib
import signal
from dataclasses import dataclass
from time import monotonic
from typing import Any

import kopf
import structlog

from ringfence.kube import ApiError, Kube, Unreachable
from ringfence.policy.model import Network
from ringfence.resources import JobImage
from ringfence.store.context import PolicyContext
from ringfence.telemetry.health import Health
from ringfence.telemetry.looplag import probe
from ringfence.telemetry.metrics import RECONCILE_SECONDS, RECONCILES, kube_request

from . import handlers
from .agent.event_recorder import Events
from .agent.reconcile import Reconciler
from .agent.recorder import Fleet
from .agent.secrets import Keys
from .agent.writer import NotLeading, Requeue, Writer
from .cache import Key
from .certificates.keeper import Settings as CertificateSettings
from .certificates.keeper import keep
from .context import ControllerContext
from .resync import RESYNC_SECONDS, NotInstalled, resync
from .runtime.lease import Lease
from .runtime.queue import LAST_RETRY

log = structlog.get_logger()

WORKERS = 8
"""Agents worked on at once; each waits for the API server most of the time."""
BEAT_SECONDS = 2.0
"""Between two signs of life of the event loop."""
LONGEST_PAUSE = 30.0
"""Between tries to look after the certificate, in seconds."""
SETTLE_SECONDS = 5.0
"""Until a second look at everything: by then the watches follow."""
UNREACHABLE_PAUSE = 5.0
"""Longest pause of an agent while no answer comes: all of them are to be looked at soon after the first one does."""
RETRY_SECONDS = 2.0
"""Pause before a failed first read is tried again."""


@dataclass(frozen=True)
class Settings:
    """What the command line sets."""

    namespace: str
    identity: str
    lease: str
    kubeconfig: str | None = None
    cluster_networks: tuple[Network, ...] = ()
    certificates: CertificateSettings | None = None
    job_image: JobImage | None = None
    account: str = "ringfence-controller"


@dataclass
class Waiting:
    """What the leader waits for before it works; None once it does. A replica that stands by waits for nothing."""

    reason: str | None


async def run(settings: Settings, health: Health) -> int:
    """Run until SIGTERM or until the lease is lost. Returns the exit code."""
    stop = asyncio.Event()
    beats = asyncio.create_task(_beat(health), name="beat")
    lag = asyncio.create_task(probe(), name="event loop lag")
    _catch_signals(stop)
    async with await Kube.connect(settings.kubeconfig, observe=kube_request) as kube:
        lease = Lease(kube, namespace=settings.namespace, name=settings.lease, identity=settings.identity)
        health.require("controller", lambda: None)  # a replica that stands by waits for nothing: it is ready
        if not await lease.acquire(stop):
            return 0
        try:
            return await _lead(kube, lease, settings, health, stop)
        finally:
            beats.cancel()
            lag.cancel()
            await lease.release()


async def _beat(health: Health) -> None:
    while True:
        health.beat()
        await asyncio.sleep(BEAT_SECONDS)


async def _lead(
    kube: Kube,
    lease: Lease,
    settings: Settings,
    health: Health,
    stop: asyncio.Event,
) -> int:
    state = ControllerContext(PolicyContext(settings.cluster_networks))
    writer = Writer(kube, state.cache, lambda: lease.leading)
    events = Events(kube, instance=settings.identity, leading=lambda: lease.leading)
    keys = Keys(kube, lambda: lease.leading, f"{settings.namespace}:{settings.account}")
    reconciler = Reconciler(kube, state.cache, state.world, writer, events, Fleet(), keys, job_image=settings.job_image)
    # kopf cancels, when it ends, every task that began after it: ours begin before.
    keeper = asyncio.create_task(lease.keep(stop), name="lease")
    keeper.add_done_callback(lambda _: stop.set())
    tasks: list[asyncio.Task[Any]] = [keeper, asyncio.create_task(_keep_certificates(kube, settings.certificates))]
    try:
        waiting = Waiting("reading the cluster")
        health.require("controller", lambda: waiting.reason)
        if not await _first_read(kube, state, stop, waiting):
            return 0 if lease.leading else 1
        tasks += [asyncio.create_task(_work(state, reconciler), name=f"worker-{n}") for n in range(WORKERS)]
        tasks.append(asyncio.create_task(_resync_for_ever(kube, state, lease.returned), name="resync"))
        started = asyncio.Event()
        tasks.append(asyncio.create_task(_catch_signals_again(started, stop), name="signals"))
        try:
            await kopf.operator(
                registry=handlers.registry(state, kube),
                settings=handlers.settings(),
                clusterwide=True,
                standalone=True,
                ready_flag=started,
                stop_flag=stop,
            )
        except Exception as failure:  # noqa: BLE001 - whatever it is, better to start anew than to be deaf
            # A watch was refused for good: the CRDs were deleted, or a right was taken away.
            log.error("a watch ended: stopping", error=f"{type(failure).__name__}: {failure}"[:500])  # noqa: TRY400
            return 1
        return 1 if keeper.done() and not keeper.result() else 0
    finally:
        health.stop()
        stop.set()
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _first_read(kube: Kube, state: ControllerContext, stop: asyncio.Event, waiting: Waiting) -> bool:
    """Fill the caches; wait, and say what for, while that cannot be done. False when `stop` came first."""
    while not stop.is_set():
        try:
            await resync(kube, state)
        except NotInstalled:
            reason = "the CRDs are not installed: helm install ringfence-crds charts/ringfence-crds"
        except (ApiError, Unreachable) as failure:
            reason = f"cannot read the cluster: {failure}"
        else:
            waiting.reason = None
            return True
        waiting.reason = reason
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


async def _resync_for_ever(kube: Kube, state: ControllerContext, returned: asyncio.Event) -> None:
    """Every minute; soon at first, and twice after the API server was away, while the watches find their feet."""
    pause = SETTLE_SECONDS
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await returned.wait()
        pause = SETTLE_SECONDS if returned.is_set() else RESYNC_SECONDS
        returned.clear()
        try:
            await resync(kube, state)
        except (ApiError, Unreachable, NotInstalled) as failure:
            log.warning("resync failed; the watches go on", error=str(failure) or type(failure).__name__)


async def _work(state: ControllerContext, reconciler: Reconciler) -> None:
    """One worker: a pass at a time, for ever. No failure of one agent reaches another."""
    while True:
        key = await state.queue.get()
        started = monotonic()
        result = "ok"
        try:
            again = await reconciler.reconcile(key)
        except asyncio.CancelledError:
            raise
        except (Requeue, NotLeading, ApiError, Unreachable) as failure:
            result = "retry"
            _retry(state, key, failure)
        except Exception:
            result = "error"
            log.exception("pass failed", agent=key.name, namespace=key.namespace)
            state.queue.failed(key)
        else:
            state.queue.done(key)
            if again is not None:
                state.queue.add_after(key, again)
        RECONCILES.labels(result).inc()
        RECONCILE_SECONDS.observe(monotonic() - started)


def _retry(state: ControllerContext, key: Key, failure: Exception) -> None:
    longest = UNREACHABLE_PAUSE if isinstance(failure, Unreachable) else LAST_RETRY
    pause = state.queue.failed(key, getattr(failure, "retry_after", None), longest=longest)
    tell = log.debug if isinstance(failure, ApiError) and failure.terminating else log.info
    tell("again later", agent=key.name, namespace=key.namespace, seconds=round(pause, 1), why=str(failure))


def _catch_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def _catch_signals_again(started: asyncio.Event, stop: asyncio.Event) -> None:
    """Ours go back in place of kopf's, which would end it without a word to us, and choke on a second signal."""
    await started.wait()
    _catch_signals(stop)
