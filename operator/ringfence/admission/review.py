"""The decision about one review. Pure: what is known of the cluster comes in as a View."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from ringfence.api import AgentDeployment, AgentPolicy, AgentPolicySpec, parse
from ringfence.api.names import GROUP, VERSION
from ringfence.policy.decide import decide
from ringfence.policy.model import AgentObject, RuleName, Violation
from ringfence.store.context import View

from .answer import Verdict, allow, deny, forbid
from .policies import advice
from .request import Operation, Request

AGENTS: Final = f"{GROUP}/{VERSION}/{AgentDeployment.plural}"
POLICIES: Final = f"{GROUP}/{VERSION}/{AgentPolicy.plural}"

OF_THE_WORLD: Final = frozenset(
    {
        RuleName.NAMESPACE_NOT_OPENED,
        RuleName.LEVEL_ABOVE_POLICY,
        RuleName.RIGHTS_ABOVE_POLICY,
        RuleName.EGRESS_ABOVE_POLICY,
        RuleName.EGRESS_SERVICE_FORBIDDEN,
        RuleName.IMAGE_NO_DIGEST,
        RuleName.IMAGE_REGISTRY,
        RuleName.SANDBOX_REQUIRED,
        RuleName.EGRESS_UNRESTRICTED,
        RuleName.EGRESS_CLUSTER_ADDRESS,
        RuleName.ROTATION_ABOVE_POLICY,
    }
)
"""Rules that look at the namespace and the policies: by a cache that lags they may seem broken."""


def judge(request: Request, view: View) -> Verdict:
    """Allow or refuse. Raises nothing for any request; a mistake of ours in `decide` passes through."""
    if (verdict := _by_kind(request)) is not None:
        return verdict
    if not isinstance(request.object, Mapping):
        return deny("the review holds no object", code=400, reason="BadRequest")
    return _judge_policy(request) if request.resource == POLICIES else _judge_agent(request, view)


def _by_kind(request: Request) -> Verdict | None:
    """What can be said without looking at the object. None: it must be looked at."""
    verdict = None
    if request.resource not in {AGENTS, POLICIES}:
        verdict = deny(
            f"Ringfence reviews {AGENTS} and {POLICIES}, not {request.resource}: "
            "the rules of the ValidatingWebhookConfiguration are wrong"
        )
    elif request.operation is Operation.DELETE:
        verdict = allow()
    elif request.operation not in {Operation.CREATE, Operation.UPDATE}:
        verdict = deny(f"the operation {request.operation} is not known for {request.resource}")
    elif request.subresource == "status":
        # The API server takes nothing but the status from such a write, and the status grants nothing.
        verdict = allow()
    elif request.subresource:
        verdict = deny(f"{request.resource} has no subresource {request.subresource}")
    return verdict


def of_agents(request: Request) -> bool:
    """Whether it writes the spec of an AgentDeployment."""
    return request.resource == AGENTS and not request.subresource and request.operation is not Operation.DELETE


def changes_nothing(request: Request) -> bool:
    """Whether a write leaves all that people write as it is: of status, or of the same manifest once more."""
    if request.operation is not Operation.UPDATE:
        return False
    return request.subresource == "status" or (
        _spec_unchanged(request) and _said(request.object) == _said(request.old_object)
    )


def could_be_stale(verdict: Verdict) -> bool:
    """Whether a look at the newest namespace and policies could turn this refusal into a yes."""
    return bool(verdict.violations) and all(violation.rule in OF_THE_WORLD for violation in verdict.violations)


def _judge_agent(request: Request, view: View) -> Verdict:
    metadata = request.object.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    if not request.namespace or metadata.get("namespace", request.namespace) != request.namespace:
        return deny("metadata.namespace is not the namespace of the request", code=400, reason="BadRequest")
    labels = metadata.get("labels")
    agent = AgentObject(
        name=request.name,
        namespace=request.namespace,
        spec=request.object.get("spec"),
        generation=_whole(metadata.get("generation")),
        labels=_texts(labels) if isinstance(labels, Mapping) else {},
    )
    violations = decide(agent, view.policies(), view.facts(request.namespace))
    if violations and _spec_unchanged(request):
        # Else a policy that became stricter would lock the object: no label, no finalizer could come off.
        # The controller decides about the stored spec by itself, so nothing slips through here.
        return allow(_locked_out(violations))
    return forbid(violations) if violations else allow()


def _locked_out(violations: list[Violation]) -> str:
    first, more = violations[0], len(violations) - 1
    rest = f" and {more} more" if more else ""
    return f"the spec as it stands is no longer allowed: {first.path}: {first.rule}{rest}"


def _judge_policy(request: Request) -> Verdict:
    if _spec_unchanged(request):
        return allow()
    parsed = parse(AgentPolicySpec, request.object.get("spec"))
    if parsed.value is None:
        return forbid([Violation(error.path, RuleName.INVALID_FIELD, error.message) for error in parsed.errors])
    return allow(*advice(parsed.value))


def _spec_unchanged(request: Request) -> bool:
    """Whether an UPDATE leaves the spec as it is stored. Byte for byte: in Python, 1 equals True."""
    if request.operation is not Operation.UPDATE or not isinstance(request.old_object, Mapping):
        return False
    old, new = (_canonical(one.get("spec")) for one in (request.old_object, request.object))
    return old is not None and old == new


def _canonical(value: Any) -> bytes | None:
    """One text for one value; None for none, and for what no API server has stored (integers beyond 64 bits)."""
    try:
        return None if value is None else orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return None


def _said(body: Any) -> list[Any]:
    """The metadata that people write."""
    metadata = body.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    return [metadata.get(name) or None for name in ("labels", "annotations", "finalizers", "ownerReferences")]


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _texts(mapping: Mapping[Any, Any]) -> dict[str, str]:
    return {key: value for key, value in mapping.items() if isinstance(key, str) and isinstance(value, str)}
