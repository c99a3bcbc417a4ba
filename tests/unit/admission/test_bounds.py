"""Bounds of a review, exactly: bytes, turns, time, and which refusals are worth a second look."""

import asyncio
from collections.abc import Iterator
from typing import Any, Self

import pytest

from ringfence.admission import app as app_module
from ringfence.admission.answer import Verdict, forbid
from ringfence.admission.app import Admission
from ringfence.admission.body import ByteBudget, TooLongError, read_body
from ringfence.admission.review import could_be_stale
from ringfence.policy.model import RuleName, Violation
from unit.admission.exchange import sample, send
from unit.admission.make import UID, agent, encoded, review, world

LONGEST = 8 * 2**20
DISCARDED = 32 * 2**20
MEBIBYTE = 2**20


def sent(*sizes: int) -> Any:
    """A body in chunks of these sizes; all that is read is taken off the list."""
    left: list[int] = list(sizes)

    async def receive() -> dict[str, Any]:
        if not left:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"x" * left.pop(0), "more_body": bool(left)}

    receive.left = left  # type: ignore[attr-defined]
    return receive


async def test_a_body_may_be_8_mebibytes_long_and_no_byte_longer() -> None:
    assert len(await read_body(sent(LONGEST - 5, 5))) == LONGEST
    assert len(await read_body(sent(LONGEST))) == LONGEST
    with pytest.raises(TooLongError, match=r"^the review is longer than 8 MiB$") as failure:
        await read_body(sent(LONGEST, 1))
    assert failure.value.start == b"x" * 4096


async def test_no_more_than_so_much_of_a_longer_one_is_read() -> None:
    receive = sent(LONGEST, *[MEBIBYTE] * 100)
    with pytest.raises(TooLongError):
        await read_body(receive)
    assert len(receive.left) == 100 - DISCARDED // MEBIBYTE - 1, "it ends with the first chunk beyond the bound"


async def test_what_is_too_long_is_said_to_be() -> None:
    start = b'{"request":{"uid":"' + UID.encode() + b'"'
    found = await send(Admission(world()), [start, *[b"x" * MEBIBYTE] * 9, b""])
    assert "the review is longer than 8 MiB" in found.response["status"]["message"]


class TestTurns:
    """Bytes are given out in the order of arrival."""

    @staticmethod
    async def settle() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def held(self, memory: ByteBudget, *sizes: int) -> tuple[list[int], list[asyncio.Event]]:
        """Who holds its bytes, in order; an event for each, by which it gives them back."""
        order: list[int] = []
        ends = [asyncio.Event() for _ in sizes]
        self.tasks = []

        async def use(number: int, size: int) -> None:
            async with memory.hold(size):
                order.append(number)
                await ends[number].wait()

        for number, size in enumerate(sizes):
            self.tasks.append(asyncio.create_task(use(number, size)))
            await self.settle()
        return order, ends

    async def test_a_small_one_does_not_overtake_one_that_waits(self) -> None:
        order, ends = await self.held(ByteBudget(10), 8, 5, 1)
        assert order == [0]
        ends[0].set()
        await self.settle()
        assert order == [0, 1, 2]
        for end in ends:
            end.set()
        await asyncio.gather(*self.tasks)

    async def test_without_anybody_waiting_it_waits_for_bytes(self) -> None:
        order, ends = await self.held(ByteBudget(10), 8, 3)
        assert order == [0]
        ends[0].set()
        await self.settle()
        assert order == [0, 1]
        ends[1].set()
        await asyncio.gather(*self.tasks)

    async def test_all_of_it_can_be_held_again_and_again(self) -> None:
        memory = ByteBudget(10)
        for _ in range(3):
            order, ends = await self.held(memory, 10, 4, 6, 10)
            assert order == [0]
            ends[0].set()
            await self.settle()
            assert order == [0, 1, 2]
            for end in ends[1:]:
                end.set()
            await self.settle()
            assert order == [0, 1, 2, 3]
            await asyncio.gather(*self.tasks)


async def test_the_time_to_read_is_no_time_to_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the body is there the deadline is lifted: a 408 would blame the sender."""
    told: list[Any] = []

    class Deadline:
        def __init__(self, seconds: float) -> None:
            told.append(seconds)

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None:
            told.append("left")

        def reschedule(self, when: float | None) -> None:
            told.append(when)

    def judged(*_: Any) -> Verdict:
        told.append("judged")
        return Verdict(allowed=True)

    monkeypatch.setattr(asyncio, "timeout", Deadline)
    monkeypatch.setattr(app_module, "judge", judged)
    found = await send(Admission(world()), encoded(review(agent())))
    assert found.response["allowed"] is True
    assert told == [4.0, None, "judged", "left"]


async def test_a_mistake_of_ours_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    before = sample("ringfence_admission_failures_total", reason="internal")
    monkeypatch.setattr(app_module, "judge", lambda *_: 1 / 0)
    found = await send(Admission(world()), encoded(review(agent())))
    assert found.response["allowed"] is False
    assert found.response["status"]["code"] == 500
    assert sample("ringfence_admission_failures_total", reason="internal") == before + 1


OF_THE_CLUSTER = {
    "NamespaceNotOpened",
    "LevelAbovePolicy",
    "EgressAbovePolicy",
    "EgressHostUnkeyed",
    "IngressAbovePolicy",
    "EgressServiceForbidden",
    "NamespaceConsentMissing",
    "ImageNoDigest",
    "ImageRegistry",
    "ImageNotSigned",
    "ImageNotAttested",
    "SandboxRequired",
    "EgressUnrestricted",
    "EgressClusterAddress",
    "RotationAbovePolicy",
}
"""What a namespace's labels, or policies, or the cluster's networks decide; and what `permissions.allow` decides."""


def of_permissions() -> Iterator[RuleName]:
    """The rule about `permissions.allow`, by the words that all policies' rules share."""
    yield from (rule for rule in RuleName if rule.value.endswith("AbovePolicy") and rule.value not in OF_THE_CLUSTER)


@pytest.mark.parametrize("rule", RuleName)
def test_which_refusals_an_old_cache_could_have_caused(rule: RuleName) -> None:
    verdict = forbid([Violation("spec", rule, "no")])
    assert could_be_stale(verdict) == (rule.value in OF_THE_CLUSTER or rule in of_permissions())
    both = forbid([Violation("spec", rule, "no"), Violation("spec", RuleName.INVALID_FIELD, "no")])
    assert not could_be_stale(both)
