"""May the one who asks do this himself? Whoever may not do a thing must not have it done by an agent.

Asked only about what a request newly gives to a program: permissions that the stored object does not have, Secrets that
it does not deliver in the same way, ConfigMaps that it does not name; and all of them where another program would get
them. Whoever changes another field of an agent is asked nothing. But all is asked about where the controller found that
nobody was asked (its condition says HandOverUndecided), and where somebody else than before is recorded as the one who
asks: he stands for all of it from then on.

Where the namespace names a delegate, the delegate is asked about, whoever makes the request.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import structlog

from ringfence.api import parse
from ringfence.api.names import REQUESTED_BY_ANNOTATION
from ringfence.api.permissions import Permissions
from ringfence.kube import ApiError, Kube, Unreachable
from ringfence.kube.access import MOST_NAMES, AccessReviews, TooManyError
from ringfence.policy.atoms import PermissionSet
from ringfence.policy.delegate import delegate as read_delegate
from ringfence.policy.delegate import malformed, requester
from ringfence.policy.elsewhere import by_place, with_own
from ringfence.policy.files import named_config_maps, not_readable, reading
from ringfence.policy.handover import newly_delivered, runs_the_same, undecided_generation
from ringfence.policy.held import GET_SECRETS, not_held, too_many, unreadable
from ringfence.policy.model import RuleName, Violation
from ringfence.store.shapes import at

from .answer import Verdict, deny, forbid
from .request import Request

log = structlog.get_logger(__name__)

SECONDS: Final = 3.0
"""Of the 5 s that the API server waits for us; a read past the cache may have taken 1.5 of them (fresh.py)."""
_NONE: Final = Permissions()


def newly_named(request: Request, *, by_delegate: bool = False) -> dict[str, str]:
    """Existing Secrets that are to be asked about: name -> path of the field. `by_delegate`: it is asked about him."""
    return newly_delivered(_spec(request.object), _before(request, by_delegate=by_delegate))


def newly_permitted(request: Request, *, by_delegate: bool = False) -> dict[str, PermissionSet]:
    """Permissions that the stored object does not have, or that another program had until now, by place."""
    spec, before, own = _spec(request.object), _before(request, by_delegate=by_delegate), request.namespace
    asked = _permitted(spec, own)
    if not (asked and runs_the_same(spec, before)):
        return asked
    had = _permitted(before, own)
    new = {place: one.without(had.get(place, PermissionSet())) for place, one in asked.items()}
    return {place: one for place, one in new.items() if one}


def _before(request: Request, *, by_delegate: bool) -> Any:
    """The stored spec, as far as the one who is asked about now was asked about it: the delegate, whoever asks."""
    old = request.old_object if isinstance(request.old_object, Mapping) else {}
    undecided = not request.spec_unchanged and undecided_generation(old.get("status")) is not None
    by_another = not by_delegate and _recorded(request.object) not in {None, _recorded(old)}
    return None if undecided or by_another else _spec(old)


def _recorded(body: Any) -> str | None:
    """Who asks, as the API server wrote it into the annotation of an agent; None where it did not."""
    found = at(body, "metadata", "annotations", REQUESTED_BY_ANNOTATION)
    return found if isinstance(found, str) else None


def _spec(body: Any) -> Any:
    return body.get("spec") if isinstance(body, Mapping) else None


def _permitted(spec: Any, own: str) -> dict[str, PermissionSet]:
    """Its permissions by place, and those to read the ConfigMaps that it is given."""
    return with_own(by_place(_permissions(spec), own), own, reading(named_config_maps(spec)))


def _permissions(spec: Any) -> Permissions:
    """Those of a spec; none where they cannot be read: such a spec was refused before."""
    asked = spec.get("permissions") if isinstance(spec, Mapping) else None
    any_asked = isinstance(asked, Mapping) and (asked.get("rules") or asked.get("clusterReads"))
    return (parse(Permissions, asked).value if any_asked else None) or _NONE


class Requester:
    """Asks the API server."""

    def __init__(self, kube: Kube) -> None:
        self._reviews = AccessReviews(kube)

    async def check(self, request: Request, delegate: str | None = None) -> Verdict | None:
        """A refusal, or None where there is nothing against it. Without an answer the request is refused.

        `delegate`: what the namespace's annotation says.
        """
        named = delegate is not None
        secrets, permitted = newly_named(request, by_delegate=named), newly_permitted(request, by_delegate=named)
        if not secrets and not permitted:
            return None
        subject = requester(request.user_info) if delegate is None else read_delegate(delegate)
        if subject is None:
            return forbid([Violation("metadata.namespace", RuleName.PERMISSION_NOT_HELD, malformed(delegate or ""))])
        try:
            async with asyncio.timeout(SECONDS):
                where, names = request.namespace, frozenset(secrets)
                hidden = await self._reviews.lacking_names(subject, where, GET_SECRETS, names)
                lacking = {
                    place: missing
                    for place, asked in permitted.items()
                    if (missing := await self._reviews.lacking(subject, place, asked))
                }
        except TooManyError as failure:
            return forbid([too_many(failure, MOST_NAMES)])
        except (ApiError, Unreachable, TimeoutError) as failure:
            log.warning("no answer about who holds what", uid=request.uid, error=str(failure) or "too slow")
            return deny(
                "Ringfence could not ask the API server who may do himself what this agent is to get: try again",
                code=503,
                reason="ServiceUnavailable",
            )
        spec = _spec(request.object)
        broken = [
            *unreadable(secrets, hidden, subject),
            *not_held(_permissions(spec), where, lacking, subject),
            *not_readable(named_config_maps(spec), lacking.get(where, PermissionSet()), subject),
        ]
        return forbid(broken) if broken else None
