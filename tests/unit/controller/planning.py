"""What several tests of the plan begin with."""

from ringfence.controller.agent.fence import FenceHistory
from ringfence.policy.model import Facts
from unit.controller.make import (
    POLICY_ALLOW,
    RULES,
    all_children,
)

CLOSED = Facts(namespace_labels={})
EXISTING = {
    "name": "key",
    "source": {"existing": {"secretName": "theirs", "key": "k"}},
    "delivery": {"env": {"name": "K"}},
}
SECRET_OF_OTHERS = {"secrets": [EXISTING]}
AS_ACCEPTED = all_children(RULES)
"""The deny policy first."""


# --- what is applied

FRESH = [
    "absent NetworkPolicy/-deny",
    "absent NetworkPolicy/-allow",
    "absent ServiceAccount/",
    "absent Deployment/ behind",
]
CONTESTED = FenceHistory(contested=POLICY_ALLOW)
