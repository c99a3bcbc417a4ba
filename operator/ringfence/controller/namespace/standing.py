"""Keeps what a namespace has for all of its agents: a policy and a binding, each stored exactly as built, or gone."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from http import HTTPStatus
from time import monotonic

from ringfence.api.names import FIELD_MANAGER, MANAGED_BY, MANAGED_BY_LABEL
from ringfence.controller.runtime.lease import NotLeading
from ringfence.kube import ApiError, Conflict, ErrorKind, Kube, NotFound, Object, RingfenceError
from ringfence.policy.consent import NOBODY
from ringfence.policy.opened import Opening, opening
from ringfence.resources import Ref, build_ceiling, build_standing
from ringfence.resources.compare import fits, whole
from ringfence.resources.field_manager import UNKNOWN, FieldManager
from ringfence.resources.stored import Desired, StoredChild, edited, immutable_differs, stored
from ringfence.store.records import child_path
from ringfence.store.store import Store
from ringfence.telemetry.events import DELETED, EDITED, ChildWritten, Emit, StandingRepaired

ENDING_SECONDS = 5.0
"""For so long nothing is written to a namespace that was found to be on its way out: each agent's pass would."""
SETTLING_SECONDS = 5.0
"""For so long after it was made, a binding may not be known yet to the API server that is asked; mostly for less."""


class Wish(StrEnum):
    """What is to become of an object of a namespace."""

    STANDS = "stands"
    KEPT = "kept"
    """What is there is kept right, and what is not there is not made."""
    GONE = "gone"


@dataclass(frozen=True)
class Wanted:
    """One object that each namespace with agents has. `without`: what is so where it cannot be stored, for a person.

    `inhabited`: what is wished where the namespace is not open, and agents or pods of agents are in it. `consenting`:
    or where it consents to permissions of other namespaces' agents in it.
    """

    build: Callable[[str], Desired]
    without: str
    inhabited: Wish
    consenting: Wish = Wish.GONE

    def wish(self, opening: Opening, *, inhabited: bool, consents: bool = False) -> Wish:
        """What is to become of it. Pure."""
        if opening is Opening.OPEN:
            return Wish.STANDS
        if consents and not opening.is_for_good and self.consenting is Wish.STANDS:
            return self.consenting
        return self.inhabited if inhabited and not opening.is_for_good else Wish.GONE

    def ref(self, namespace: str) -> Ref:
        """Which object."""
        return self.build(namespace).ref


def policy() -> Wanted:
    """The policy that drops everything of every pod with an agent's label."""

    @lru_cache(maxsize=1024)
    def build(namespace: str) -> Desired:
        return Desired(build_standing(namespace))

    return Wanted(build, "pods that outlive their agent are not fenced here", inhabited=Wish.STANDS)


def ceiling(account: tuple[str, str], groups: Callable[[str], tuple[str, ...]]) -> Wanted:
    """The binding that has the controller, `account` (namespace, name), hold what it may give agents.

    `groups`: who may exec into agents of a namespace.
    Where agents outlive the opening of their namespace it is kept, so that their Roles can be put right, but not made.
    """

    @lru_cache(maxsize=1024)
    def build(namespace: str, named: tuple[str, ...]) -> Desired:
        return Desired(build_ceiling(namespace, account, named))

    def of(namespace: str) -> Desired:
        return build(namespace, groups(namespace))

    return Wanted(of, "agents with permissions do not start here", inhabited=Wish.KEPT, consenting=Wish.STANDS)


class InTheWay(RingfenceError):
    """An object of that name is there and is not ours. It is left as it is."""

    kind = ErrorKind.NOT_OURS

    def __init__(self, ref: Ref, without: str) -> None:
        super().__init__(
            f"{ref.kind} {ref.name} exists already in namespace {ref.namespace} and is not Ringfence's; it was left "
            f"untouched, and {without}. Delete or rename it, and Ringfence goes on by itself."
        )


class NotStored(RingfenceError):
    """What is stored is not what was written: something changes it on the way."""

    kind = ErrorKind.REFUSED

    def __init__(self, ref: Ref) -> None:
        super().__init__(
            f"{ref.kind} {ref.name} in namespace {ref.namespace} is not stored as it was written: something in the "
            "cluster, such as a mutating webhook, changes it on the way. Exempt Ringfence's objects from it."
        )


@dataclass
class Standing:
    """Keeps one object of each namespace. The only place that writes it. For one event loop."""

    wanted: Wanted
    kube: Kube
    store: Store
    leading: Callable[[], bool]
    emit: Emit
    clock: Callable[[], float] = monotonic
    _ending: dict[str, tuple[float, ApiError]] = field(default_factory=dict)
    """Namespaces that are being deleted: when that was last found, and what the API server said."""
    _known: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """By namespace: uid of the object that was written or found right, and the mark that it had."""
    _made: dict[str, float] = field(default_factory=dict)
    """By namespace: when it was made, for a moment."""
    _locks: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    def right(self, namespace: str) -> bool:
        """Whether it is stored as it should be, and is to stay."""
        live = self._live(namespace)
        return live is not None and not live.deleting and fits(self.wanted.build(namespace), live)

    def settles(self, namespace: str) -> bool:
        """Whether it was made a moment ago."""
        return self.clock() - self._made.get(namespace, float("-inf")) < SETTLING_SECONDS

    async def keep(self, namespace: str) -> None:
        """Have it as it is wished for: stored, or gone. Raises as `_hold` does."""
        store = self.store
        where = opening(namespace, store.context.facts(namespace))
        inhabited = where is Opening.UNLABELLED and store.is_inhabited(namespace)
        consents = bool(store.context.consents.get(namespace, NOBODY).entries)
        wish = self.wanted.wish(where, inhabited=inhabited, consents=consents)
        if wish is Wish.STANDS or (wish is Wish.KEPT and self._live(namespace) is not None):
            await self._hold(namespace)
        elif wish is Wish.GONE and store.context.knows(namespace):
            await self._release(namespace)

    async def _hold(self, namespace: str) -> None:
        """Have it stored. Raises InTheWay, NotStored, NotLeading, ApiError, Unreachable."""
        if self.right(namespace):
            self._note(namespace)
            return
        found, ending = self._ending.get(namespace, (float("-inf"), None))
        if ending is not None and self.clock() - found < ENDING_SECONDS:
            raise ending.with_traceback(None)  # once more, and without asking once more
        async with self._locks[namespace]:
            if not self.right(namespace):
                await self._put_right(namespace)
            self._note(namespace)

    async def _release(self, namespace: str) -> None:
        """Have it gone, where it is ours."""
        self._known.pop(namespace, None)
        self._locks.pop(namespace, None)
        self._made.pop(namespace, None)
        live = self._live(namespace)
        if live is not None and not live.deleting and self._is_ours(live):
            await self._remove(live)

    def _live(self, namespace: str) -> StoredChild | None:
        return self.store.children.get(self.wanted.ref(namespace))

    async def _remove(self, live: StoredChild) -> None:
        self._guard()
        await self.kube.delete(child_path(live.ref), uid=live.uid)
        self.emit(ChildWritten(live.ref.kind, "delete"))

    async def _put_right(self, namespace: str) -> None:
        live = self._live(namespace)
        if live is None or live.deleting or not self._is_ours(live):
            live = await self._read(namespace)  # it is in the way: by what is stored now, not by what a watch showed
        if live is not None and not self._is_ours(live):
            self._known.pop(namespace, None)
            raise InTheWay(live.ref, self.wanted.without)
        if live is not None and not live.deleting and immutable_differs(self.wanted.build(namespace), live):
            await self._remove(live)  # what it binds cannot be changed: somebody made another one in place of ours
            live = await self._read(namespace)
        if live is not None and live.deleting:
            live = await self._let_go(live)
        if live is None:
            await self._make(namespace)
        elif not self.right(namespace):
            await self._correct(namespace, live)

    async def _let_go(self, live: StoredChild) -> StoredChild | None:
        """Take off the finalizers that hold a deleted object: it can be edited still, and would not come back."""
        self._guard()
        body = {"metadata": {"uid": live.uid, "finalizers": None}}
        with contextlib.suppress(NotFound, Conflict):  # gone meanwhile, or another one by now
            self._took(await self.kube.merge(child_path(live.ref), body, manager=FIELD_MANAGER))
        return await self._read(live.ref.namespace)

    async def _make(self, namespace: str) -> None:
        desired = self.wanted.build(namespace)
        ref = desired.ref
        lost = namespace in self._known  # now: an agent's pass may note what a watch shows sooner than the answer comes
        self._guard()
        try:
            answer = await self.kube.apply_new(child_path(ref), desired.manifest, manager=FIELD_MANAGER)
        except ApiError as failure:
            if failure.terminating or isinstance(failure, NotFound):
                self._known.pop(namespace, None)  # the namespace takes it away, nobody else
            if failure.terminating:
                self._note_ending(namespace, failure)
            raise
        live = self._took(answer)
        self.emit(ChildWritten(ref.kind, "create"))
        if not fits(desired, live):
            raise NotStored(ref)
        now = self.clock()
        self._made = {one: at for one, at in self._made.items() if now - at < SETTLING_SECONDS} | {namespace: now}
        if lost:
            self._repaired(namespace, DELETED)

    def _note_ending(self, namespace: str, failure: ApiError) -> None:
        now = self.clock()
        fresh = {one: (at, why) for one, (at, why) in self._ending.items() if now - at < ENDING_SECONDS}
        self._ending = fresh | {namespace: (now, failure)}

    async def _correct(self, namespace: str, live: StoredChild) -> None:
        """Apply; and where others' additions remain, which apply leaves alone, replace the object."""
        desired, path = self.wanted.build(namespace), child_path(live.ref)
        uid, mark = self._known.get(namespace, ("", None))
        foreign = edited(desired, live, mark if uid == live.uid else None)
        answer = await self._apply(desired, live)
        if answer is None or not fits(desired, stored(answer, live.ref.kind)):
            self._guard()
            present = answer or await self.kube.get(path)
            answer = await self.kube.replace(path, whole(desired.manifest, present), manager=FIELD_MANAGER)
        after = self._took(answer)
        self.emit(ChildWritten(live.ref.kind, "update"))
        if not fits(desired, after):
            raise NotStored(live.ref)
        if foreign:
            self._repaired(namespace, EDITED, live.editor)

    async def _apply(self, desired: Desired, live: StoredChild) -> Object | None:
        """What is stored then; None where our fields and somebody's additions make no valid object together."""
        self._guard()
        manifest = desired.manifest
        body = manifest | {"metadata": manifest["metadata"] | {"uid": live.uid}}
        try:
            return await self.kube.apply(child_path(live.ref), body, manager=FIELD_MANAGER)
        except ApiError as failure:
            if failure.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                raise
            return None

    async def _read(self, namespace: str) -> StoredChild | None:
        """What is stored at this moment, put into the store."""
        ref = self.wanted.ref(namespace)
        try:
            self._took(await self.kube.get(child_path(ref)))
        except NotFound:
            if (live := self.store.children.get(ref)) is not None:
                self.store.children.remove(ref, live.version)
        return self.store.children.get(ref)

    def _took(self, answer: Object) -> StoredChild:
        record = stored(answer, self.wanted.ref(answer["metadata"]["namespace"]).kind)
        self.store.children.take(record)
        return record

    def _is_ours(self, live: StoredChild) -> bool:
        """By our label or our mark, or as remembered where somebody took off both."""
        marked = (MANAGED_BY_LABEL, MANAGED_BY) in live.labels or live.mark is not None
        return marked or self._known.get(live.ref.namespace, ("", None))[0] == live.uid

    def _note(self, namespace: str) -> None:
        live = self._live(namespace)
        if live is not None:
            self._known[namespace] = (live.uid, live.mark)

    def _guard(self) -> None:
        if not self.leading():
            raise NotLeading("the lease is not held any more")

    def _repaired(self, namespace: str, rule: str, editor: FieldManager = UNKNOWN) -> None:
        ref = self.wanted.ref(namespace)
        self.emit(StandingRepaired(namespace, ref.kind, ref.name, rule, editor.manager, editor.time))
