"""AgentPolicies: refused when they cannot be read, and with a warning when words in them allow nothing."""

from typing import Final

from ringfence.admission.answer import Verdict, allow, forbid
from ringfence.admission.request import Request
from ringfence.api import AgentPolicy, AgentPolicySpec, parse
from ringfence.policy.advice import advice
from ringfence.policy.model import RuleName, Violation
from ringfence.store.context import View

from .validator import Validator


def judge(request: Request, view: View) -> Verdict:  # noqa: ARG001 - a policy is right or wrong by itself
    """Allow or refuse a policy."""
    if request.spec_unchanged:
        return allow()
    parsed = parse(AgentPolicySpec, request.object.get("spec"))
    if parsed.value is None:
        return forbid([Violation(error.path, RuleName.INVALID_FIELD, error.message) for error in parsed.errors])
    return allow(*advice(parsed.value))


VALIDATOR: Final = Validator(kind=AgentPolicy.kind, plural=AgentPolicy.plural, judge=judge)
