"""The decision about one review. Pure: what is known of the cluster comes in as a View."""

from collections.abc import Mapping
from typing import Final

from ringfence.policy.elsewhere import target_namespaces
from ringfence.policy.limits import LIMIT_RULES
from ringfence.policy.model import RuleName
from ringfence.store.context import View

from .answer import Verdict, allow, deny
from .request import Operation, Request
from .validators import VALIDATORS, Validator

OF_THE_CONTEXT: Final = frozenset(
    {
        RuleName.NAMESPACE_NOT_OPENED,
        RuleName.LEVEL_ABOVE_POLICY,
        RuleName.RIGHTS_ABOVE_POLICY,
        RuleName.CONSENT_MISSING,
        RuleName.EGRESS_ABOVE_POLICY,
        RuleName.INGRESS_ABOVE_POLICY,
        RuleName.EGRESS_SERVICE_FORBIDDEN,
        RuleName.EGRESS_HOST_ABOVE_POLICY,
        RuleName.EGRESS_TUNNEL_ABOVE_POLICY,
        RuleName.EGRESS_HOST_UNKEYED,
        RuleName.EGRESS_LIMIT_ABOVE_POLICY,
        RuleName.INGRESS_ABOVE_POLICY,
        RuleName.IMAGE_NO_DIGEST,
        RuleName.IMAGE_REGISTRY,
        RuleName.IMAGE_NOT_SIGNED,
        RuleName.IMAGE_NOT_ATTESTED,
        RuleName.SANDBOX_REQUIRED,
        RuleName.USER_ABOVE_POLICY,
        RuleName.GRACE_ABOVE_POLICY,
        RuleName.MARK_ABOVE_POLICY,
        RuleName.SCHEDULING_ABOVE_POLICY,
        RuleName.VOLUME_ABOVE_POLICY,
        RuleName.IDENTITY_ABOVE_POLICY,
        *LIMIT_RULES,
        RuleName.EGRESS_UNRESTRICTED,
        RuleName.EGRESS_CLUSTER_ADDRESS,
        RuleName.ROTATION_ABOVE_POLICY,
    }
)
"""Rules that look at the namespace and the policies: by a cache that lags they may seem broken."""


def judge(request: Request, view: View) -> Verdict:
    """Allow or refuse. Raises nothing for any request; a mistake of ours in a validator passes through."""
    validator = VALIDATORS.get(request.resource)
    if validator is None:
        return deny(
            f"Ringfence reviews {' and '.join(VALIDATORS)}, not {request.resource}: "
            "the rules of the ValidatingWebhookConfiguration are wrong"
        )
    if (verdict := _by_operation(request)) is not None:
        return verdict
    if not isinstance(request.object, Mapping):
        return deny("the review holds no object", code=400, reason="BadRequest")
    return validator.judge(request, view)


def _by_operation(request: Request) -> Verdict | None:
    """What can be said without looking at the object. None: it must be looked at."""
    verdict = None
    if request.operation is Operation.DELETE:
        verdict = allow()
    elif request.operation not in {Operation.CREATE, Operation.UPDATE}:
        verdict = deny(f"the operation {request.operation} is not known for {request.resource}")
    elif request.subresource == "status":
        # The API server takes nothing but the status from such a write, and the status grants nothing.
        verdict = allow()
    elif request.subresource:
        verdict = deny(f"{request.resource} has no subresource {request.subresource}")
    return verdict


def asks_about_requester(request: Request) -> bool:
    """Whether it writes a spec that may give what the requester himself, or a delegate, must hold."""
    validator: Validator | None = VALIDATORS.get(request.resource)
    writes_spec = not request.subresource and request.operation is not Operation.DELETE
    return validator is not None and validator.asks_about_requester and writes_spec


def could_be_stale(verdict: Verdict) -> bool:
    """Whether a look at the newest namespace and policies could turn this refusal into a yes."""
    return bool(verdict.violations) and all(violation.rule in OF_THE_CONTEXT for violation in verdict.violations)


def targets_of(request: Request) -> list[str]:
    """Other namespaces in which an agent asks for permissions, as far as they can be read."""
    spec = request.object.get("spec") if isinstance(request.object, Mapping) else None
    return [name for name in target_namespaces(spec) if name != request.namespace]
