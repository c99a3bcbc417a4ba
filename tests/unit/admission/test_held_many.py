"""Many questions about what is held: at once, the same ones, and again."""

import asyncio
from typing import Any

import pytest

from ringfence.admission import requester
from ringfence.admission.request import read
from ringfence.admission.requester import Requester
from ringfence.kube import access
from ringfence.policy.atoms import NAMELESS_VERBS
from ringfence.policy.levels import CATALOGUE, CEILING
from unit.admission.asking import ASKER, READS, READS_ATOMS, Reviewer, asked, asking, check, refused
from unit.admission.make import encoded, review

RESOURCES = ("configmaps", "endpoints", "events", "persistentvolumeclaims", "pods")


def many(most: int) -> dict[str, Any]:
    """So many permissions, each on one object."""
    names = [f"object-{number}" for number in range(most // len(RESOURCES))]
    rule = {"apiGroups": [""], "resources": [*RESOURCES], "verbs": ["get"]}
    return asking(*(rule | {"resourceNames": names[at : at + 64]} for at in range(0, len(names), 64)))


class TestMany:
    async def test_ten_thousand_are_one_question_or_a_few_or_none(self) -> None:
        request = asked(many(10_000))
        kube = Reviewer("*")
        assert await check(kube, request) is None
        assert len(kube.reviews) == 1
        kube = Reviewer(*(f"get {resource}" for resource in RESOURCES))
        assert await check(kube, request) is None
        assert len(kube.reviews) == 6
        kube = Reviewer("get configmaps object-1")
        verdict = await refused(kube, request)
        assert "10000 permissions on single objects" in verdict.message
        assert "256 are the most" in verdict.message
        assert len(kube.reviews) == 6

    async def test_as_many_as_are_asked_about_at_all(self) -> None:
        kube = Reviewer(*(f"get {resource} object-{number}" for number in range(51) for resource in RESOURCES))
        assert await check(kube, asked(many(255))) is None
        assert len(kube.reviews) == 6 + 255

    @pytest.mark.parametrize(("reviews", "most"), [(1, access.OF_ONE), (3, access.AT_A_TIME)])
    async def test_not_all_at_once(self, reviews: int, most: int) -> None:
        kube = Reviewer()

        def hold(request: Any) -> None:
            """From the first question about a name on, nobody gets an answer."""
            if request.body["spec"]["resourceAttributes"].get("name"):
                kube.gate.clear()

        kube.before.append(hold)
        asks = Requester(kube)
        running = asyncio.gather(*(asks.check(asked(many(250), username=f"{n}")) for n in range(reviews)))
        for _ in range(1000):
            await asyncio.sleep(0)
        assert len(kube.requests) - len(kube.reviews) == most
        kube.before.clear()
        kube.gate.set()
        assert all(await running)

    def test_the_most_that_a_spec_can_ask_for_is_known(self) -> None:
        """The figures of the module's first lines."""
        nameable = [atom for atom in CEILING if atom.verb not in NAMELESS_VERBS]
        assert (len(CEILING), len(nameable), 32 * 64) == (73, 32, 2048)
        assert access.__doc__ is not None
        assert "73 atoms, 32 of them with up to 2048 names" in access.__doc__
        assert sum(len(verbs) for known in CATALOGUE.values() for verbs in known.values()) == len(CEILING)


async def _settle() -> None:
    for _ in range(1000):
        await asyncio.sleep(0)


class TestTogether:
    """Reviews that ask the same at the same time."""

    async def test_they_are_as_few_questions_as_one_review(self) -> None:
        kube = Reviewer(*READS_ATOMS)
        asks = Requester(kube)
        kube.gate.clear()
        running = asyncio.gather(*(asks.check(asked(asking(READS))) for _ in range(50)))
        await _settle()
        kube.gate.set()
        assert await running == [None] * 50
        assert len(kube.reviews) == 1 + len(READS_ATOMS)

    async def test_one_that_gives_up_takes_nobodys_answer_away(self) -> None:
        kube = Reviewer("*")
        asks = Requester(kube)
        kube.gate.clear()
        first, second = (asyncio.create_task(asks.check(asked(asking(READS)))) for _ in range(2))
        await _settle()
        first.cancel()
        await _settle()
        kube.gate.set()
        assert await second is None
        assert first.cancelled()

    async def test_nobody_goes_on_asking_for_those_that_gave_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(requester, "SECONDS", 0.01)
        kube = Reviewer("*")
        asks = Requester(kube)
        kube.gate.clear()
        verdicts = await asyncio.gather(*(asks.check(asked(asking(READS))) for _ in range(3)))
        assert [verdict.code for verdict in verdicts if verdict] == [503] * 3
        kube.gate.set()
        await _settle()
        assert kube.reviews == []
        assert await asks.check(asked(asking(READS))) is None

    async def test_a_no_that_another_asked_for_is_asked_again(self) -> None:
        """It may be older than the permission that the second review's requester was given in between."""
        kube = Reviewer()
        asks = Requester(kube)
        pods = asking({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]})
        answered = asyncio.Event()

        def permit(_: Any) -> None:
            kube.may.add("get pods")
            answered.set()

        kube.after.append(permit)
        first = asyncio.create_task(asks.check(asked(pods)))
        second = asyncio.create_task(asks.check(asked(pods)))
        await answered.wait()
        assert (await first) is not None
        assert await second is None


class TestMemory:
    async def test_what_was_answered_is_not_asked_again_for_some_seconds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [100.0]
        monkeypatch.setattr(access, "monotonic", lambda: now[0])
        kube = Reviewer(*READS_ATOMS)
        asks = Requester(kube)
        for _ in range(3):
            assert await asks.check(asked(asking(READS))) is None
        assert len(kube.reviews) == 1 + len(READS_ATOMS)
        kube.may.clear()
        now[0] += access.KEPT_SECONDS + 0.1
        assert await asks.check(asked(asking(READS))) is not None

    @pytest.mark.parametrize(
        "other", [{"username": "x"}, {"uid": "8"}, {"groups": ["x"]}, {"extra": {"scopes": ["y"]}}]
    )
    async def test_of_another_requester_nothing_is_known(self, other: dict[str, Any]) -> None:
        kube = Reviewer("*", of="developers")
        asks = Requester(kube)
        assert await asks.check(asked(asking(READS))) is None
        await asks.check(asked(asking(READS), **other))
        assert len(kube.reviews) > 1

    async def test_nor_in_another_namespace(self) -> None:
        kube = Reviewer("*")
        asks = Requester(kube)
        await asks.check(asked(asking(READS)))
        with pytest.raises(AssertionError):  # the fake knows the namespace "team" alone
            await asks.check(read(encoded(review(asking(READS), userInfo=ASKER, namespace="other"))))

    async def test_a_no_is_asked_again_at_once(self) -> None:
        kube = Reviewer()
        asks = Requester(kube)
        assert await asks.check(asked(asking(READS))) is not None
        kube.may |= READS_ATOMS
        assert await asks.check(asked(asking(READS))) is None
        assert kube.questions.count("* *") == 1, "but for the one that decides nothing"

    def test_what_is_old_is_thrown_away_with_the_next_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [100.0]
        monkeypatch.setattr(access, "monotonic", lambda: now[0])
        answers = access.Answers()
        for number in range(3):
            answers.put((b"", "team", access.Question(access.EVERYTHING.atom, str(number))), True)
        now[0] += access.KEPT_SECONDS
        answers.put((b"", "team", access.EVERYTHING), False)
        assert len(answers) == 1
        assert answers.get((b"", "team", access.EVERYTHING)) is False

    def test_it_is_bounded(self) -> None:
        answers = access.Answers()
        for number in range(access.MOST_KEPT + 10):
            answers.put((b"", "team", access.Question(access.EVERYTHING.atom, str(number))), True)
        assert len(answers) == access.MOST_KEPT
        assert answers.get((b"", "team", access.Question(access.EVERYTHING.atom, str(access.MOST_KEPT + 9)))) is True
        assert answers.get((b"", "team", access.Question(access.EVERYTHING.atom, "0"))) is None
