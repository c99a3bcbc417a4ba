"""Whether a namespace is open to agents."""

import pytest

from ringfence.policy.model import Facts
from ringfence.policy.opened import Opening, opening

OPEN = {"ringfence.dev/agents": "enabled"}


@pytest.mark.parametrize(
    ("namespace", "labels", "found"),
    [
        ("team", OPEN, Opening.OPEN),
        ("default", OPEN, Opening.OPEN),
        ("team", OPEN | {"ringfence.dev/agents": "Enabled"}, Opening.UNLABELLED),
        ("team", {}, Opening.UNLABELLED),
        ("team", None, Opening.UNKNOWN),
        *((name, labels, Opening.CLUSTER) for name in ("kube-system", "kube-public", "kube-node-lease")
          for labels in (OPEN, {}, None)),
        *(("ringfence-system", labels, Opening.OWN) for labels in (OPEN, {}, None)),
    ],
)  # fmt: skip
def test_by_name_and_label(namespace: str, labels: dict[str, str] | None, found: Opening) -> None:
    where = opening(namespace, Facts(namespace_labels=labels, own_namespace="ringfence-system"))
    assert where is found
    assert where.is_for_good is (found in {Opening.CLUSTER, Opening.OWN})


def test_where_ringfence_runs_may_not_be_known() -> None:
    assert opening("ringfence-system", Facts(namespace_labels=OPEN)) is Opening.OPEN
