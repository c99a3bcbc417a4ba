"""What a subject may do himself, asked of the API server by SubjectAccessReview: few questions, remembered for seconds.

One question about everything comes first, as most who write agents are administrators; then one for each atom on all
objects; then what is left, name by name. A spec may hold 73 atoms, 32 of them with up to 2048 names: more than
`MOST_NAMES` left is not asked.
"""

import asyncio
from collections.abc import Collection, Sequence
from hashlib import sha256
from time import monotonic
from typing import Final, NamedTuple

import orjson

from ringfence.policy.atoms import WILDCARD, Atom, Names, PermissionSet
from ringfence.policy.delegate import Subject

from .client import Kube, Object
from .paths import path_of

AT_A_TIME: Final = 16
"""Questions in flight, of all reviews together: it bounds our own load."""
OF_ONE: Final = 8
"""Of these for one review, so that one with many questions leaves room for others."""
MOST_NAMES: Final = 256
"""Questions about one object each, for one review: what a busy API server answers in a second or so."""
KEPT_SECONDS: Final = 3.0
"""As long a permission that was taken away may still count."""
MOST_KEPT: Final = 4096

_API: Final = "authorization.k8s.io/v1"
_KEY = tuple[bytes, str, "Question"]


class Question(NamedTuple):
    """One atom, on one object or (no name) on all."""

    atom: Atom
    name: str = ""


EVERYTHING: Final = Question(Atom(WILDCARD, WILDCARD, WILDCARD))


class TooManyError(Exception):
    """More names than are asked about one by one: so many."""


class Answers:
    """A small memory of yeses; each is forgotten after some seconds, the oldest when there are too many.

    A no is forgotten at once, since whoever is then given the permission tries again; but for the one about everything,
    which decides nothing.
    """

    def __init__(self, kept: float = KEPT_SECONDS) -> None:
        self._kept = kept
        self._until: dict[_KEY, tuple[float, bool]] = {}

    def __len__(self) -> int:
        return len(self._until)

    def get(self, key: _KEY) -> bool | None:
        """The answer of before; None where there is none."""
        until, answer = self._until.get(key, (0.0, False))
        return answer if until > monotonic() else None

    def put(self, key: _KEY, answer: bool) -> None:
        """Remember it, if it is of the kind."""
        if not answer and key[2] != EVERYTHING:
            return
        now = monotonic()
        self._until.pop(key, None)
        # The oldest stand first, as all are kept for the same time.
        while self._until and (len(self._until) >= MOST_KEPT or next(iter(self._until.values()))[0] <= now):
            del self._until[next(iter(self._until))]
        self._until[key] = (now + self._kept, answer)

    def forget(self, namespace: str) -> None:
        """Somebody's permissions there may be others now."""
        for key in [key for key in self._until if key[1] == namespace]:
            del self._until[key]


class _Running:
    """A question that is under way, and how many reviews wait for its answer."""

    def __init__(self, task: asyncio.Task[bool]) -> None:
        self.task, self.waiting = task, 0


class AccessReviews:
    """Asks the API server. `kept`: seconds for which a yes counts."""

    def __init__(self, kube: Kube, kept: float = KEPT_SECONDS) -> None:
        self._kube = kube
        self._free = asyncio.Semaphore(AT_A_TIME)
        self._running: dict[_KEY, _Running] = {}
        self.answers = Answers(kept)

    async def lacking(self, subject: Subject, namespace: str, wanted: PermissionSet) -> PermissionSet:
        """What of `wanted` the subject may not do in the namespace. Raises TooManyError, ApiError, Unreachable."""
        if not wanted:
            return wanted
        asking = _Asking(self, subject, namespace)
        single = len(wanted.atoms) == 1 and all(len(names or "*") == 1 for names in wanted.atoms.values())
        if not single and await asking.held([EVERYTHING]):
            return PermissionSet()
        on_all = [atom for atom, names in wanted.atoms.items() if names is None or len(names) > 1]
        held = {question.atom for question in await asking.held([Question(atom) for atom in on_all])}
        left = {atom: names for atom, names in wanted.atoms.items() if atom not in held}
        named = [Question(atom, name) for atom, names in left.items() for name in sorted(names or ())]
        if len(named) > MOST_NAMES:
            raise TooManyError(len(named))
        return _without(left, await asking.held(named))

    async def lacking_names(self, subject: Subject, namespace: str, atom: Atom, names: frozenset[str]) -> PermissionSet:
        """The same of one atom on few objects: each is asked about by its name, as an authorizer may deny that one."""
        questions = [Question(atom, name) for name in sorted(names)]
        return _without({atom: names} if names else {}, await _Asking(self, subject, namespace).held(questions))

    async def ask(self, identity: Object, key: _KEY) -> bool:
        """One answer of now; it is remembered by `key`, in which a digest stands for `identity`.

        Reviews that ask the same at the same time share a question: many at once by one requester are as few as one.
        But a no that another review asked for may be older than a permission given since, so it is asked for again.
        """
        shared = key in self._running
        answer = await self._join(identity, key)
        return answer if answer or not shared or key[2] == EVERYTHING else await self._join(identity, key)

    async def _join(self, identity: Object, key: _KEY) -> bool:
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = _Running(asyncio.create_task(self._ask(identity, key)))
        running.waiting += 1
        try:
            return await asyncio.shield(running.task)
        finally:
            running.waiting -= 1
            if running.task.done() or not running.waiting:  # nobody wants to know any more
                running.task.cancel()
                if self._running.get(key) is running:
                    del self._running[key]

    async def _ask(self, identity: Object, key: _KEY) -> bool:
        _, namespace, question = key
        async with self._free:
            answer = await self._kube.create(
                path_of(_API, "subjectaccessreviews"), _review(identity, namespace, question)
            )
        allowed = (answer.get("status") or {}).get("allowed") is True
        self.answers.put(key, allowed)
        return allowed


class _Asking:
    """The questions of one review."""

    def __init__(self, reviews: AccessReviews, subject: Subject, namespace: str) -> None:
        self._reviews, self._namespace, self._identity = reviews, namespace, dict(subject.identity)
        # Groups and extra may be long: thousands of answers must not each hold them.
        self._subject = sha256(orjson.dumps(self._identity, option=orjson.OPT_SORT_KEYS)).digest()

    async def held(self, questions: Sequence[Question]) -> set[Question]:
        """Those that are answered with yes."""
        keys = [(self._subject, self._namespace, question) for question in questions]
        known = {key: self._reviews.answers.get(key) for key in keys}
        found = {key[2] for key, answer in known.items() if answer}
        unknown = [key for key, answer in known.items() if answer is None]
        if not unknown:
            return found
        left = iter(unknown)

        async def work() -> None:
            for key in left:
                if await self._reviews.ask(self._identity, key):
                    found.add(key[2])

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(OF_ONE, len(unknown))):
                    group.create_task(work())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return found


def _without(wanted: dict[Atom, Names], held: Collection[Question]) -> PermissionSet:
    """What of `wanted` remains: of an atom on named objects, the names that nobody answered with yes."""
    lacking: dict[Atom, Names] = {}
    for atom, names in wanted.items():
        missing = None if names is None else frozenset(name for name in names if Question(atom, name) not in held)
        if missing is None or missing:
            lacking[atom] = missing
    return PermissionSet(lacking)


def _review(identity: Object, namespace: str, question: Question) -> Object:
    atom, name = question
    resource, _, subresource = atom.resource.partition("/")
    asked = {
        "namespace": namespace,
        "verb": atom.verb,
        "group": atom.group,
        "resource": resource,
        "subresource": subresource,
        "name": name,
    }
    spec = identity | {"resourceAttributes": {key: value for key, value in asked.items() if value}}
    return {"apiVersion": _API, "kind": "SubjectAccessReview", "spec": spec}
