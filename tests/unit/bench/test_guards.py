"""What is told of the guards' cost."""

from bench.guards import added


def test_what_one_server_is_slower_by_is_no_cost_of_the_guards() -> None:
    first = [(0.0031 + number * 1e-6, 0.0020 + number * 1e-6) for number in range(101)]
    second = [(0.0020 + number * 1e-6, 0.0030 + number * 1e-6) for number in range(101)]
    found = added([first, second])
    assert found["added_p50_ms"] == 0.05
    assert found["sure_within_ms"] == 0.0


def test_what_differs_from_pair_to_pair_makes_it_unsure() -> None:
    calm = [(0.001 + number * 1e-6, 0.001) for number in range(101)]
    wild = [(0.001 + number * 1e-5, 0.001) for number in range(101)]
    assert added([calm, calm])["added_p50_ms"] == 0.05
    assert 0 < added([calm, calm])["sure_within_ms"] < added([wild, wild])["sure_within_ms"]
