"""A table: what the watches and the lists show, in whatever order they show it."""

from typing import Any

import pytest

from ringfence.resources import Ref
from ringfence.resources.stored import StoredChild, stored
from ringfence.store.tables import RECENT, Table
from unit.store.make import child

REF = Ref("Role", "ns", "ringfence-a")
Children = Table[Ref, StoredChild]


class Changes(list[tuple[int | None, int | None]]):
    """Versions before and after each change that was told."""

    def __call__(self, old: StoredChild | None, new: StoredChild | None) -> None:
        self.append((old.version if old else None, new.version if new else None))


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def table(changes: Changes) -> Children:
    return Table(stored, lambda record: record.ref, changes)


def version(table: Children) -> int | None:
    found = table.get(REF)
    return found.version if found else None


def test_older_news_is_ignored(table: Children, changes: Changes) -> None:
    table.observe("ADDED", child(5))
    table.observe("MODIFIED", child(4))
    assert version(table) == 5
    table.observe(None, child(5))
    table.observe("MODIFIED", child(10))
    assert version(table) == 10, "as numbers, not as text"
    assert changes == [(None, 5), (5, 10)]


def test_what_was_taken_is_said(table: Children) -> None:
    assert table.take(stored(child(5)))
    assert not table.take(stored(child(5)))
    assert not table.take(stored(child(4)))
    assert table.take(stored(child(0))), "whose version is not known counts as news"


def test_the_end_of_an_earlier_object_is_not_the_end_of_this_one(table: Children, changes: Changes) -> None:
    table.observe("ADDED", child(5, "new"))
    table.observe("DELETED", child(4, "old"))
    assert version(table) == 5
    table.observe("DELETED", child(6, "new"))
    table.observe("DELETED", child(6, "new"))
    assert version(table) is None
    assert changes == [(None, 5), (5, None)]


def test_a_new_object_of_the_same_name_replaces_the_old_one(table: Children) -> None:
    table.observe("ADDED", child(5, "old"))
    table.observe("ADDED", child(6, "new"))
    assert table.items[REF].uid == "new"
    assert len(table) == 1


def test_an_object_that_loses_its_label_is_told_as_deleted_and_read_again(table: Children) -> None:
    """The watch selects by label. What is read and put right afterwards is newer than that end."""
    table.observe("ADDED", child(5))
    table.observe("DELETED", child(6))
    assert version(table) is None
    table.observe("MODIFIED", child(7))
    assert version(table) == 7
    table.observe("DELETED", child(6))
    assert version(table) == 7, "the news came late"


def test_a_list_that_was_read_before_a_deletion_does_not_bring_it_back(table: Children) -> None:
    table.observe("ADDED", child(5))
    table.begin()
    table.begin()
    table.observe("DELETED", child(9))
    table.take(stored(child(5)))
    assert version(table) is None
    table.end()
    table.take(stored(child(9)))
    assert version(table) is None, "the other list is still read"
    table.take(stored(child(10, "new")))
    assert version(table) == 10, "made anew after that"
    table.end()
    assert table._deleted == {}, "nothing is remembered for longer than a list takes"


def test_an_answer_that_comes_later_than_the_end_of_its_object_does_not_bring_it_back(
    table: Children, changes: Changes
) -> None:
    table.observe("ADDED", child(5))
    table.observe("DELETED", child(6))
    assert not table.take(stored(child(5))), "the answer to the write that made it"
    assert changes == [(None, 5), (5, None)]
    assert table.take(stored(child(6))), "it is there still, and had lost its label"
    table.observe("DELETED", child(7))
    assert table.take(stored(child(8, "new"))), "made anew"
    table.observe("DELETED", child(9))
    assert table.take(stored(child(0))), "whose version is not known counts as news"


def test_deletions_are_remembered_within_a_bound(table: Children) -> None:
    for number in range(RECENT + 10):
        table.observe("DELETED", child(9, name=f"r-{number}"))
    table.observe("DELETED", child(9, name="r-10"))
    table.observe("DELETED", child(9, name="last"))
    assert len(table._gone) == RECENT
    assert next(iter(table._gone)).name == "r-12", "r-10 is of the latest"
    assert table._deleted == {}, "lists apart"


def test_a_list_that_was_read_before_a_creation_does_not_take_it_away(table: Children) -> None:
    table.observe("ADDED", child(9))
    table.retain([], 8, among=list(table.items))
    assert version(table) == 9
    table.retain([], 9, among=list(table.items))
    assert version(table) is None


def test_a_list_says_what_is_gone(table: Children, changes: Changes) -> None:
    for kind in ("Role", "RoleBinding", "ServiceAccount"):
        table.observe("ADDED", child(3, kind=kind))
    changes.clear()
    roles = [ref for ref in table.items if ref.kind != "ServiceAccount"]
    table.retain([REF._replace(kind="RoleBinding")], 5, among=roles)
    assert [ref.kind for ref in table.items] == ["RoleBinding", "ServiceAccount"]
    assert changes == [(3, None)]


class TestWhatIsKnownIsNotReadAgain:
    @pytest.fixture
    def read(self) -> list[int]:
        return []

    @pytest.fixture
    def located(self, read: list[int], changes: Changes) -> Children:
        def reading(body: Any) -> StoredChild:
            read.append(int(body["metadata"]["resourceVersion"]))
            return stored(body)

        return Table(reading, lambda record: record.ref, changes, locate=Ref.of)

    def test_an_answer_whose_echo_was_faster(self, located: Children, read: list[int]) -> None:
        located.observe("ADDED", child(5))
        assert located.record(child(5)) is located.get(REF)
        assert read == [5]

    def test_an_answer_that_is_newer_or_older_or_of_no_version(self, located: Children, read: list[int]) -> None:
        located.observe("ADDED", child(5))
        for number in (4, 6, 0):
            assert located.record(child(number)) == stored(child(number))
        assert read == [5, 4, 6, 0]
        assert version(located) == 5, "it is not taken"

    def test_an_answer_about_what_is_not_known(self, located: Children) -> None:
        assert located.record(child(5)) == stored(child(5))
        assert version(located) is None

    def test_what_was_deleted(self, located: Children, read: list[int], changes: Changes) -> None:
        located.observe("ADDED", child(5))
        located.observe("DELETED", child(6))
        assert read == [5]
        assert changes == [(None, 5), (5, None)]
