"""Whether a controller leads: without one, a status says what somebody saw last, and nothing is put right."""

from asyncio import sleep
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

import click

from . import cluster, formatting

DEFAULT: Final = "ringfence-system/ringfence-controller"
DEADLINE: Final = timedelta(seconds=20)
"""A leader renews every 2 seconds; another one takes over after 15."""
SECOND_LOOK: Final = 6.0
"""Seconds. The clock here may differ from the leader's: one that lives renews the Lease within that."""

option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--lease",
    default=DEFAULT,
    show_default=True,
    metavar="NAMESPACE/NAME",
    help="Lease by which a controller leads.",
)


@dataclass(frozen=True)
class Leader:
    """What the Lease says. `leads`: None where that is not known, and then `why` says why."""

    leads: bool | None
    holder: str | None = None
    renewed: str | None = None
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        """The documented JSON form."""
        return {"leads": self.leads, "holder": self.holder, "renewed": self.renewed}

    def sentence(self, now: datetime) -> str:
        """For people."""
        if self.leads is None:
            return self.why
        if self.leads:
            return f"{formatting.clean(self.holder)} leads"
        since = formatting.moment(self.renewed)
        ago = f"for {formatting.age(since, now)}" if since and since <= now else "and since when is not known"
        held = f"held by {formatting.clean(self.holder)}" if self.holder else "held by nobody"
        return (
            f"NOBODY LEADS, {ago} (the Lease is {held}): fences stand, but nothing is put right, and what is shown "
            "is what was seen before that"
        )


def judge(first: Mapping[str, Any], second: Mapping[str, Any] | None, now: datetime) -> Leader:
    """From one look at a Lease, or two a while apart, at its spec."""
    latest = first if second is None else second
    holder, renewed = latest.get("holderIdentity"), latest.get("renewTime")
    moment = formatting.moment(renewed)
    fresh = moment is not None and now - DEADLINE < moment <= now + DEADLINE
    changed = second is not None and _sign(first) != _sign(second)
    return Leader(bool(holder) and (fresh or changed), holder or None, renewed)


def _sign(spec: Mapping[str, Any]) -> tuple[Any, Any]:
    return spec.get("holderIdentity"), spec.get("renewTime")


async def look(session: cluster.Session, lease: str) -> Leader:
    """Read the Lease, and once more where it does not look alive."""
    from ringfence.kube import ApiError, NotFound, path_of  # noqa: PLC0415 - heavy

    namespace, _, name = lease.partition("/")
    if not namespace or not name:
        raise click.UsageError(f"--lease {lease}: NAMESPACE/NAME is expected")
    path = path_of("coordination.k8s.io/v1", "leases", namespace, name)
    try:
        first = (await session.kube.get(path)).get("spec") or {}
        found = judge(first, None, formatting.now())
        if not found.leads:
            await sleep(SECOND_LOOK)
            found = judge(first, (await session.kube.get(path)).get("spec") or {}, formatting.now())
    except NotFound:
        return Leader(None, why=f"whether anybody leads is not known: there is no Lease {lease}; --lease names another")
    except ApiError as failure:
        if failure.status == HTTPStatus.FORBIDDEN:
            return Leader(None, why=f"hidden: you may not read the Lease {lease}")
        raise
    return found
