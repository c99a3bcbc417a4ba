"""The order of work: the urgent first, namespaces in turns, nobody starves, each key once."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ringfence.controller.runtime.fair_queue import SHARE, FairQueue
from ringfence.store.urgency import Urgency

Item = tuple[str, int]
SHARES = st.sampled_from("abc")
ITEMS = st.tuples(SHARES, st.integers(0, 20))
URGENCIES = st.sampled_from(Urgency)


class Beside(RuleBasedStateMachine):
    """A line, and what of it a plain dictionary knows."""

    def __init__(self) -> None:
        super().__init__()
        self.line: FairQueue[Item] = FairQueue()
        self.waiting: dict[Item, Urgency] = {}

    @rule(item=ITEMS, urgency=URGENCIES)
    def put(self, item: Item, urgency: Urgency) -> None:
        assert self.line.put(item, item[0], urgency) == (item not in self.waiting)
        self.waiting[item] = min(urgency, self.waiting.get(item, urgency))

    @rule(least=URGENCIES)
    def take(self, least: Urgency) -> None:
        found = self.line.take(least)
        fitting = [one for one in self.waiting.values() if one <= least]
        if found is None:
            assert not fitting
            return
        item, urgency = found
        assert self.waiting.pop(item) is urgency, "as urgent as the most urgent that asked"
        assert urgency <= least

    @invariant()
    def same(self) -> None:
        assert len(self.line) == len(self.waiting)
        assert all(item in self.line for item in self.waiting)


TestBeside = Beside.TestCase


@given(st.lists(st.tuples(ITEMS, URGENCIES), max_size=60))
def test_all_of_them_come_out_once_and_in_order_within_a_share(put: list[tuple[Item, Urgency]]) -> None:
    line: FairQueue[Item] = FairQueue()
    for item, urgency in put:
        line.put(item, item[0], urgency)
    taken = [found for _ in range(len(line)) if (found := line.take())]
    assert line.take() is None
    assert sorted(item for item, _ in taken) == sorted({item for item, _ in put})
    for share in "abc":
        for urgency in Urgency:
            out = [item for item, level in taken if (item[0], level) == (share, urgency)]
            # When each came to this urgency: that is its place.
            came: dict[Item, int] = {}
            so_far: dict[Item, Urgency] = {}
            for number, (item, asked) in enumerate(put):
                if asked < so_far.get(item, Urgency.LATER + 1):
                    so_far[item] = asked
                    came[item] = number
            assert out == sorted(out, key=lambda item: came[item])


@given(st.dictionaries(SHARES, st.integers(1, 50), min_size=1), URGENCIES)
def test_shares_take_turns(counts: dict[str, int], urgency: Urgency) -> None:
    """Whatever one share has waiting, the n-th key of another is taken within n turns of all shares."""
    line: FairQueue[Item] = FairQueue()
    for share, count in counts.items():
        for number in range(count):
            line.put((share, number), share, urgency)
    order = [found[0] for _ in range(sum(counts.values())) if (found := line.take())]
    for share, count in counts.items():
        for number in range(count):
            assert order.index((share, number)) < (number + 1) * len(counts)


@given(st.integers(0, 30), st.integers(0, 5))
def test_a_repair_comes_before_any_number_of_others(waiting: int, taken: int) -> None:
    line: FairQueue[Item] = FairQueue()
    for number in range(waiting):
        line.put(("a", number), "a", Urgency.CHANGE if number % 2 else Urgency.LATER)
    for _ in range(taken):
        line.take()
    line.put(("b", 0), "b", Urgency.REPAIR)
    assert line.take() == (("b", 0), Urgency.REPAIR)


@given(st.lists(st.sampled_from([Urgency.REPAIR, Urgency.CHANGE]), min_size=1, max_size=3))
def test_nobody_starves(busy: list[Urgency]) -> None:
    """There are always more urgent ones; the least urgent is taken all the same, within SHARE ** 2 turns."""
    line: FairQueue[Item] = FairQueue()
    line.put(("patient", 0), "patient", Urgency.LATER)
    for turn in range(SHARE**2):
        for number, urgency in enumerate(busy):
            line.put(("busy", turn * 10 + number), "busy", urgency)
        found = line.take()
        assert found is not None
        if found[0] == ("patient", 0):
            return
    raise AssertionError("it starved")


def test_how_turns_are_shared() -> None:
    line: FairQueue[Item] = FairQueue()
    for number in range(100):
        line.put(("a", number), "a", Urgency.REPAIR)
        line.put(("b", number), "b", Urgency.LATER)
    order = "".join(found[0][0] for _ in range(2 * SHARE) if (found := line.take()))
    assert order == ("a" * (SHARE - 1) + "b") * 2
