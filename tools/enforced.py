"""What enforces each field, and which tests prove it: the source of docs/enforcement.md.

A row comes with its field, in one change, in the file of its part. A test id is FILE::FUNCTION.
"""

from tools.enforced_always import ALWAYS
from tools.enforced_pod import POD
from tools.enforced_policy import POLICY
from tools.enforced_reach import REACH
from tools.enforced_rows import Row

__all__ = ["ALWAYS", "FIELDS"]

FIELDS: dict[str, Row] = POD | REACH | POLICY
"""Every field of every spec. `decide` is ringfence.policy.decide: the same in the webhook and in the controller."""
