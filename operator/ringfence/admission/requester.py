"""May the one who asks do this himself? Whoever may not read a Secret must not read it through an agent.

Asked by SubjectAccessReview, which writes nothing. Only about what a request newly names: whoever changes another field
of an agent need not be allowed to read its secrets. But where the controller found that nobody was asked (its condition
says HandOverUndecided), all are asked about.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from ringfence.kube import ApiError, Kube, Object, Unreachable, path_of
from ringfence.policy.handover import existing_secrets, undecided_generation
from ringfence.policy.model import RuleName, Violation
from ringfence.policy.text import quote

from .answer import Verdict, deny, forbid
from .request import Request

log = structlog.get_logger(__name__)

SECONDS: Final = 2.0
"""Of the 5 s that the API server waits for us."""
MOST: Final = 16
"""As many secrets as an agent can have: more are not asked about, and refused by the bounds of the API."""


def newly_named(request: Request) -> dict[str, str]:
    """Existing Secrets that nobody was asked about yet: name -> path of the field.

    Those that the stored object does not name; and all of a spec that is changed while its hand-over is undecided.
    """
    old = request.old_object if isinstance(request.old_object, Mapping) else {}
    asked_before = request.spec_unchanged or undecided_generation(old.get("status")) is None
    before = {name for _, name in existing_secrets(old.get("spec"))} if asked_before else set[str]()
    new = request.object.get("spec") if isinstance(request.object, Mapping) else None
    return {name: path for path, name in existing_secrets(new) if name not in before}


class Requester:
    """Asks the API server."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    async def check(self, request: Request) -> Verdict | None:
        """A refusal, or None where there is nothing against it. Without an answer the request is refused."""
        named = list(newly_named(request).items())[:MOST]
        if not named:
            return None
        try:
            async with asyncio.timeout(SECONDS):
                answers = await asyncio.gather(*(self._may_get(request, name) for name, _ in named))
        except (ApiError, Unreachable, TimeoutError) as failure:
            log.warning(
                "no answer about the requester's permissions", uid=request.uid, error=str(failure) or "too slow"
            )
            return deny(
                "Ringfence could not ask whether you may read the Secrets that this agent names: try again",
                code=503,
                reason="ServiceUnavailable",
            )
        broken = [
            Violation(path, RuleName.SECRET_UNREADABLE, _sentence(name))
            for (name, path), allowed in zip(named, answers, strict=True)
            if not allowed
        ]
        return forbid(broken) if broken else None

    async def _may_get(self, request: Request, secret: str) -> bool:
        asker = request.user_info
        spec: Object = {
            key: asker[name]
            for key, name in {"user": "username", "uid": "uid", "groups": "groups", "extra": "extra"}.items()
            if asker.get(name)
        }
        spec["resourceAttributes"] = {
            "namespace": request.namespace,
            "verb": "get",
            "version": "v1",
            "resource": "secrets",
            "name": secret,
        }
        body: Object = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        answer = await self._kube.create(path_of("authorization.k8s.io/v1", "subjectaccessreviews"), body)
        return (answer.get("status") or {}).get("allowed") is True


def _sentence(name: str) -> str:
    return (
        f"you may not get Secret {quote(name)} in this namespace, so you may not give it to an agent: "
        "ask somebody who may, or for that permission"
    )
