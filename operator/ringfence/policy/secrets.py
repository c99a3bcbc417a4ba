"""Secrets that an agent asks for: not somebody else's, not older than policies allow, each in a place of its own."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ringfence.api.names import CHILD_PREFIX
from ringfence.api.secrets import NEVER, AgentSecret, duration

from . import variables
from .model import NamedPolicy, RuleName, Violation
from .text import quote

_AT: Final = "spec.secrets"


def check_secrets(
    secrets: Sequence[AgentSecret], plain: Mapping[str, Mapping[str, str]], policies: Sequence[NamedPolicy]
) -> Iterator[Violation]:
    """Every violation of the rules about secrets.

    `plain`: by the containers' names the variables that are set by value, and the paths of their lists.
    """
    for index, secret in enumerate(secrets):
        at = f"{_AT}[{index}]"
        yield from _check_source(at, secret)
        yield from _check_age(at, secret, policies)
        if variable := secret.delivery.variable:
            taken = {name: path for one in secret.receivers for name, path in plain.get(one, {}).items()}
            yield from _check_variable(f"{at}.delivery.{secret.delivery.variable_field}", variable, taken)
    yield from _check_variables_differ(secrets)


def _check_source(at: str, secret: AgentSecret) -> Iterator[Violation]:
    existing = secret.source.existing
    if existing and existing.secret_name.startswith(CHILD_PREFIX):
        message = (
            f"{quote(existing.secret_name)} is Ringfence's: names that begin with {CHILD_PREFIX} are agents' secrets; "
            "name one of yours, or write source: {generate: {}}"
        )
        yield Violation(f"{at}.source.existing.secretName", RuleName.SECRET_RESERVED, message)


def _check_age(at: str, secret: AgentSecret, policies: Sequence[NamedPolicy]) -> Iterator[Violation]:
    for policy in policies:
        if secret.max_age is not None:
            yield from _check_own_age(f"{at}.maxAge", secret.max_age, policy)
        if secret.rotation and duration(secret.rotation.every) > duration(policy.spec.secrets.max_age):
            message = (
                f"policy {quote(policy.name)} lets no secret live longer than {policy.spec.secrets.max_age}: "
                f"write every: {policy.spec.secrets.max_age} or less"
            )
            yield Violation(f"{at}.rotation.every", RuleName.ROTATION_ABOVE_POLICY, message)


def _check_own_age(path: str, age: str, policy: NamedPolicy) -> Iterator[Violation]:
    """The age that an agent itself names for an existing Secret."""
    allowed = policy.spec.secrets.max_age
    if age == NEVER:
        if not policy.spec.secrets.allow_never:
            message = (
                f"policy {quote(policy.name)} lets no agent say {NEVER}: write {allowed} or less, leave maxAge out, or "
                "have secrets.allowNever: true put into the policy"
            )
            yield Violation(path, RuleName.ROTATION_ABOVE_POLICY, message)
    elif duration(age) > duration(allowed):
        message = (
            f"policy {quote(policy.name)} lets no secret live longer than {allowed}: write maxAge: {allowed} or less"
        )
        yield Violation(path, RuleName.ROTATION_ABOVE_POLICY, message)


def _check_variable(path: str, name: str, plain: Mapping[str, str]) -> Iterator[Violation]:
    if told := variables.why(name):
        message = (
            f"{quote(name)} {told}, and whoever writes the Secret would decide it: choose a name such as API_KEY, "
            "or deliver the secret as a file; what is no secret goes to spec.env"
        )
        yield Violation(path, RuleName.SECRET_DELIVERY, message)
    if name in plain:
        message = f"{plain[name]} sets {quote(name)} as well: drop one of the two"
        yield Violation(path, RuleName.SECRET_DELIVERY, message)


def _check_variables_differ(secrets: Sequence[AgentSecret]) -> Iterator[Violation]:
    seen: dict[tuple[str, str], int] = {}
    for index, secret in enumerate(secrets):
        name = secret.delivery.variable
        if name is None:
            continue
        first = min([seen.setdefault((one, name), index) for one in secret.receivers])
        if first != index:
            message = f"{_AT}[{first}] is delivered as this variable already: choose another name"
            at = f"{_AT}[{index}].delivery.{secret.delivery.variable_field}"
            yield Violation(at, RuleName.SECRET_DELIVERY, message)
