"""May the one who asks do this himself? Whoever may not do a thing must not have it done by an agent.

Asked only about what a request newly gives: permissions that the stored object does not have, Secrets that it does not
deliver to the same program in the same way. Whoever changes another field of an agent is asked nothing. But where the
controller found that nobody was asked (its condition says HandOverUndecided), all is asked about.

Where the namespace names a delegate, the delegate is asked about, whoever makes the request.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import structlog

from ringfence.api import parse
from ringfence.api.permissions import Permissions, PolicyRule
from ringfence.kube import ApiError, Kube, Unreachable
from ringfence.policy.atoms import Atom, Names, PermissionSet, expand, spelled_out
from ringfence.policy.delegate import Subject, malformed, requester
from ringfence.policy.delegate import delegate as read_delegate
from ringfence.policy.handover import newly_delivered, undecided_generation
from ringfence.policy.levels import CATALOGUE
from ringfence.policy.model import RuleName, Violation
from ringfence.policy.text import listed, quote

from .access import MOST_NAMES, AccessReviews, TooManyError
from .answer import Verdict, deny, forbid
from .request import Request

log = structlog.get_logger(__name__)

SECONDS: Final = 2.0
"""Of the 5 s that the API server waits for us."""
GET_SECRETS: Final = Atom("", "secrets", "get")
_RULES: Final = "spec.permissions.rules"
_NONE: Final = Permissions()


def newly_named(request: Request) -> dict[str, str]:
    """Existing Secrets that are to be asked about: name -> path of the field."""
    return newly_delivered(_spec(request.object), _before(request))


def newly_permitted(request: Request) -> PermissionSet:
    """Permissions that the stored object does not have."""
    wanted = _permitted(_spec(request.object))
    return wanted.without(_permitted(_before(request))) if wanted else wanted


def _before(request: Request) -> Any:
    """The stored spec, as far as somebody was asked about it: not while one that is changed is undecided."""
    old = request.old_object if isinstance(request.old_object, Mapping) else {}
    asked_before = request.spec_unchanged or undecided_generation(old.get("status")) is None
    return _spec(old) if asked_before else None


def _spec(body: Any) -> Any:
    return body.get("spec") if isinstance(body, Mapping) else None


def _permitted(spec: Any) -> PermissionSet:
    return _expanded(_permissions(spec).rules)


def _expanded(rules: Sequence[PolicyRule]) -> PermissionSet:
    """Custom resources by their words: which there are, policies say, and these were asked before."""
    return expand(rules, {**spelled_out(rules), **CATALOGUE})


def _permissions(spec: Any) -> Permissions:
    """Those of a spec; none where they cannot be read: such a spec was refused before."""
    asked = spec.get("permissions") if isinstance(spec, Mapping) else None
    rules = asked.get("rules") if isinstance(asked, Mapping) else None
    return (parse(Permissions, asked).value if rules else None) or _NONE


class Requester:
    """Asks the API server."""

    def __init__(self, kube: Kube) -> None:
        self._reviews = AccessReviews(kube)

    async def check(self, request: Request, delegate: str | None = None) -> Verdict | None:
        """A refusal, or None where there is nothing against it. Without an answer the request is refused.

        `delegate`: what the namespace's annotation says.
        """
        secrets, permitted = newly_named(request), newly_permitted(request)
        if not secrets and not permitted:
            return None
        subject = requester(request.user_info) if delegate is None else read_delegate(delegate)
        if subject is None:
            return forbid([Violation("metadata.namespace", RuleName.PERMISSION_NOT_HELD, malformed(delegate or ""))])
        try:
            async with asyncio.timeout(SECONDS):
                where, named = request.namespace, frozenset(secrets)
                hidden = await self._reviews.lacking_names(subject, where, GET_SECRETS, named)
                lacking = await self._reviews.lacking(subject, where, permitted)
        except TooManyError as failure:
            return forbid([Violation(_RULES, RuleName.PERMISSION_NOT_HELD, _too_many(failure))])
        except (ApiError, Unreachable, TimeoutError) as failure:
            log.warning("no answer about who holds what", uid=request.uid, error=str(failure) or "too slow")
            return deny(
                "Ringfence could not ask the API server who may do himself what this agent is to get: try again",
                code=503,
                reason="ServiceUnavailable",
            )
        broken = [*_unreadable(secrets, hidden, subject), *_not_held(request, lacking, subject)]
        return forbid(broken) if broken else None


def _unreadable(secrets: Mapping[str, str], hidden: PermissionSet, subject: Subject) -> Iterator[Violation]:
    for name in sorted(hidden.atoms.get(GET_SECRETS) or (), key=list(secrets).index):
        if subject.delegate is None:
            message = (
                f"you may not get Secret {quote(name)} in this namespace, so you may not give it to an agent or change "
                "what an agent with it runs: ask somebody who may, or for that permission"
            )
        else:
            message = (
                f"{subject.delegate}, the delegate of this namespace, may not get Secret {quote(name)}, so no agent is "
                "given it: have the delegate given that permission"
            )
        yield Violation(secrets[name], RuleName.SECRET_UNREADABLE, message)


def _not_held(request: Request, lacking: PermissionSet, subject: Subject) -> Iterator[Violation]:
    """One for each rule that asks for something that is lacking."""
    for index, rule in enumerate(_permissions(_spec(request.object)).rules if lacking else ()):
        asked = _expanded([rule])
        missing = {
            atom: names if (these := lacking.atoms[atom]) is None or names is None else names & these
            for atom, names in asked.atoms.items()
            if atom in lacking.atoms
        }
        if found := [_words(atom, names) for atom, names in sorted(missing.items()) if names is None or names]:
            yield Violation(f"{_RULES}[{index}]", RuleName.PERMISSION_NOT_HELD, _sentence(listed(found), subject))


def _words(atom: Atom, names: Names) -> str:
    return f"{atom} {listed(map(quote, sorted(names)), 2)}" if names else str(atom)


def _sentence(what: str, subject: Subject) -> str:
    if subject.delegate is None:
        return (
            f"you may not do this yourself in this namespace, so you may not give it to an agent: {what}; leave it "
            "out, or ask somebody who may, or for that permission"
        )
    return (
        f"{subject.delegate}, the delegate of this namespace, may not do this here, so no agent is given it: {what}; "
        "leave it out, or have the delegate given that permission"
    )


def _too_many(count: object) -> str:
    return (
        f"{count} permissions on single objects would have to be asked about, and {MOST_NAMES} are the most: name "
        "fewer objects in resourceNames, or ask for permission on all objects of the resource yourself"
    )
