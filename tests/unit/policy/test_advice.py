"""What authors of policies are told, at admission and by `ringfence policy check`."""

from typing import Any

import pytest

from ringfence.api import AgentPolicySpec
from ringfence.policy.advice import advice


def told(*allow: dict[str, Any]) -> list[str]:
    return advice(AgentPolicySpec.model_validate({"permissions": {"allow": list(allow)}}))


@pytest.mark.parametrize(
    ("rule", "warning"),
    [
        ({"apiGroups": ["*"]}, 'spec.permissions.allow[0].apiGroups: "*" allows nothing: name each'),
        (
            {"resources": ["secrets"]},
            'spec.permissions.allow[0].resources: "secrets": no agent is ever given permissions on this',
        ),
        (
            {"apiGroups": ["x.example", ""]},
            'spec.permissions.allow[0].apiGroups: "x.example": no agent is ever given permissions in this group',
        ),
        (
            {"verbs": ["get", "escalate"]},
            'spec.permissions.allow[0].verbs: "escalate": no agent is ever given this verb on these resources',
        ),
    ],
)
def test_what_allows_nothing_is_told_with_its_field(rule: dict[str, Any], warning: str) -> None:
    assert warning in told({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], **rule})


def test_what_can_be_given_needs_no_word() -> None:
    assert told({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}) == []
