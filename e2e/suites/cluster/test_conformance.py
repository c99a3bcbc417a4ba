"""An independent judge of the NetworkPolicy enforcement."""

from cluster import Cluster, conformance


def test_cyclonus_finds_nothing_wrong_in_its_subset(node: Cluster) -> None:
    verdict = conformance.judge(node, full=False)
    assert verdict.failed == (), f"see {verdict.log}"
    assert verdict.passed >= 10
