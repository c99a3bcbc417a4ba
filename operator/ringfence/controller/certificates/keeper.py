"""Keeps the admission server's certificate fresh, and the API server's trust in it.

The order is what makes a renewal lossless: first every client trusts the new CA beside the old one (the caBundle of
the ValidatingWebhookConfiguration), then servers get a certificate of the new CA (the Secret that they mount). The
old CA stays trusted until it ends, because a kubelet may take minutes to hand the new files on.
"""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from ringfence.api.names import MANAGED_BY, MANAGED_BY_LABEL
from ringfence.kube import Conflict, Kube, NotFound, Object, path_of
from ringfence.pki.certificates import Reason
from ringfence.telemetry.metrics import ADMISSION_CERTIFICATE_EXPIRY

from .issue import AUTHORITIES, CERTIFICATE, KEY, Examined, Names, bundle, examine, issue, valid_authorities

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 30.0
"""Between two looks: so long a caBundle that somebody wiped stays wiped."""
AGAIN_SECONDS: Final = 1.0
"""From a renewal to the look that confirms it. Not 0: a mistake must not become a storm of writes."""
SETTLE_SECONDS: Final = 5.0
"""From a published CA to its first use: every API server sees a changed webhook configuration within a second or so."""

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Which objects. `namespace`: of the Secret and the Service."""

    namespace: str
    secret: str = "ringfence-admission-tls"  # noqa: S105 - the name of an object
    webhook: str = "ringfence"
    names: Names


async def keep(
    kube: Kube,
    settings: Settings,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Sleep = asyncio.sleep,
) -> float:
    """One pass; gives the seconds until the next. To be called by the leader only.

    Raises ApiError and Unreachable: then call again, with growing pauses. Nothing is half done in a harmful way.
    """
    secret = await _read_secret(kube, settings)
    webhook = await _read_webhook(kube, settings)
    found = examine(_data(secret), settings.names, now())
    if secret is not None and not _ours(secret):
        log.error(
            "the Secret is not ours: left as it is, and nothing is renewed; delete it or label it",
            secret=settings.secret,
            label=f"{MANAGED_BY_LABEL}={MANAGED_BY}",
        )
        return LOOK_SECONDS
    if found.reason is not None:
        await _renew(_Pass(kube, settings, secret, webhook, found, now()), sleep)
        return AGAIN_SECONDS  # what is stored is what counts
    if found.not_after is not None:
        ADMISSION_CERTIFICATE_EXPIRY.set(found.not_after.timestamp())
    if webhook is not None:
        await _trust(kube, webhook, bundle(found.authorities))
    return LOOK_SECONDS


@dataclass(frozen=True)
class _Pass:
    """What one pass has read."""

    kube: Kube
    settings: Settings
    secret: Object | None
    webhook: Object | None
    found: Examined
    now: datetime


async def _renew(this: _Pass, sleep: Sleep) -> None:
    made = issue(this.settings.names, this.now)
    # What the API server trusts today may be served still, even where the Secret that held it was deleted.
    trusted = [one for entry in _entries(this.webhook) for one in valid_authorities(_bundle_of(entry), this.now)]
    # Oldest first: CAs that were published but never used (a Secret that could not be written) are left out first.
    authorities = bundle([made.authority], this.found.authorities, reversed(trusted))
    log.info("renewing the admission certificate", reason=this.found.reason, secret=this.settings.secret)
    if this.webhook is not None:
        await _trust(this.kube, this.webhook, authorities)
        if this.found.reason is Reason.DUE:
            await sleep(SETTLE_SECONDS)
    data = {CERTIFICATE: made.certificate, KEY: made.key, AUTHORITIES: authorities}
    try:
        await _write_secret(this.kube, this.settings, this.secret, data)
    except Conflict:
        # Somebody else wrote meanwhile: what was made here is thrown away, and the next pass looks again.
        log.info("the Secret changed meanwhile: looking again", secret=this.settings.secret)
    else:
        log.info("admission certificate renewed", secret=this.settings.secret)


async def _read_secret(kube: Kube, settings: Settings) -> Object | None:
    try:
        return await kube.get(path_of("v1", "secrets", settings.namespace, settings.secret))
    except NotFound:
        return None


async def _read_webhook(kube: Kube, settings: Settings) -> Object | None:
    """The configuration, if there is one with a webhook in it."""
    try:
        webhook = await kube.get(_webhook_path(settings.webhook))
    except NotFound:
        webhook = None
    if not _entries(webhook):
        log.error("no webhook is registered: there is nothing to publish the CAs in", webhook=settings.webhook)
        return None
    return webhook


async def _trust(kube: Kube, webhook: Object, authorities: bytes) -> None:
    """Publish `authorities` where they are not published yet: only the caBundle of each webhook, nothing else."""
    wanted = base64.b64encode(authorities).decode()
    operations: list[Object] = []
    for index, entry in enumerate(_entries(webhook)):
        if (entry.get("clientConfig") or {}).get("caBundle") != wanted:
            at = f"/webhooks/{index}"
            # The test fails where the list changed since it was read: then this pass ends, and the next reads anew.
            operations.append({"op": "test", "path": f"{at}/name", "value": entry["name"]})
            operations.append({"op": "add", "path": f"{at}/clientConfig/caBundle", "value": wanted})
    if operations:
        name = webhook["metadata"]["name"]
        await kube.json_patch(_webhook_path(name), operations)
        log.info("published the CAs of the admission server", webhook=name, webhooks=len(operations) // 2)


async def _write_secret(kube: Kube, settings: Settings, old: Object | None, data: Mapping[str, bytes]) -> None:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    if old is None:
        body: Object = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": settings.secret, "labels": {MANAGED_BY_LABEL: MANAGED_BY}},
            "data": encoded,
        }
        await kube.create(path_of("v1", "secrets", settings.namespace), body)
        return
    # With the resourceVersion that was read: a write in between makes this one fail.
    await kube.replace(path_of("v1", "secrets", settings.namespace, settings.secret), {**old, "data": encoded})


def _ours(secret: Object) -> bool:
    """Whether we may write it: it carries our label, or holds nothing yet."""
    labels = secret["metadata"].get("labels") or {}
    return labels.get(MANAGED_BY_LABEL) == MANAGED_BY or not secret.get("data")


def _data(secret: Object | None) -> dict[str, bytes]:
    return {key: _decoded(value) for key, value in ((secret or {}).get("data") or {}).items()}


def _decoded(value: Any) -> bytes:
    try:
        return base64.b64decode(value or "", validate=True)
    except (binascii.Error, ValueError, TypeError):
        return b""


def _entries(webhook: Object | None) -> list[Object]:
    return (webhook or {}).get("webhooks") or []


def _bundle_of(entry: Object) -> bytes:
    return _decoded((entry.get("clientConfig") or {}).get("caBundle"))


def _webhook_path(name: str) -> str:
    return path_of("admissionregistration.k8s.io/v1", "validatingwebhookconfigurations", name=name)
