"""AgentDeployments: decided by `decide`, as everywhere."""

from collections.abc import Mapping
from typing import Any, Final

from ringfence.admission.answer import Verdict, allow, deny, forbid
from ringfence.admission.request import Request
from ringfence.api import AgentDeployment
from ringfence.policy.decide import binding, decide
from ringfence.policy.limits import limited
from ringfence.policy.model import AgentObject, Violation
from ringfence.store.claims import at_admission
from ringfence.store.context import View

from .validator import Validator


def judge(request: Request, view: View) -> Verdict:
    """Allow or refuse an agent; a mistake of ours in `decide` passes through."""
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
    policies, facts = view.policies(), view.facts(request.namespace)
    if limited(policies) and (claims := view.claims(request.namespace)) is not None:
        facts = at_admission(facts, request.name, claims, binding(policies, facts))
    violations = decide(agent, policies, facts)
    if violations and request.spec_unchanged:
        # Else a policy that became stricter would lock the object: no label, no finalizer could come off.
        # The controller decides about the stored spec by itself, so nothing slips through here.
        return allow(_locked_out(violations))
    return forbid(violations) if violations else allow()


def _locked_out(violations: list[Violation]) -> str:
    first, more = violations[0], len(violations) - 1
    rest = f" and {more} more" if more else ""
    return f"the spec as it stands is no longer allowed: {first.path}: {first.rule}{rest}"


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _texts(mapping: Mapping[Any, Any]) -> dict[str, str]:
    return {key: value for key, value in mapping.items() if isinstance(key, str) and isinstance(value, str)}


VALIDATOR: Final = Validator(
    kind=AgentDeployment.kind, plural=AgentDeployment.plural, judge=judge, asks_about_requester=True
)
