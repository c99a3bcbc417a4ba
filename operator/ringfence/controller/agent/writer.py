"""Writes children: creates and server-side applies, judged by what the API server answers that it stored.

Never an object that is not ours, never without the lease.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from ringfence.api.names import FIELD_MANAGER
from ringfence.kube import ApiError, Conflict, Kube, NotFound, Object, path_of
from ringfence.resources import CHILD_KINDS, Identity, Ref
from ringfence.resources.compare import acceptable, completed_only, whole
from ringfence.resources.field_manager import UNKNOWN, FieldManager
from ringfence.resources.stored import (
    Desired,
    StoredChild,
    edited,
    immutable_differs,
    lacks_block,
    metadata_fits,
    without_pods,
)
from ringfence.resources.workload import owned_by_fence
from ringfence.store.records import Key, agent_path, child_path
from ringfence.store.store import OwnershipRecord, Store, is_ours
from ringfence.telemetry.events import (
    DELETED,
    EDITED,
    HELD,
    AgentName,
    ChildRepaired,
    ChildWritten,
    Emit,
    FinalizersRemoved,
)

from .actions import EnsureChild
from .blocking import even_unknown, is_good
from .errors import AgentGone, MutatedOnWrite, NotLeading, Requeue, in_the_way
from .fence import Fences
from .fit import Fit, is_right, judge

CERTAIN = {Fit.RIGHT, Fit.ABSENT, Fit.WRONG}
"""What can be acted on by what the watches showed: the answer to the write says whether it was so. The others stand in
the way, and are read once more before that is said."""


@dataclass
class Writer:
    """The only place that writes children."""

    kube: Kube
    store: Store
    leading: Callable[[], bool]
    emit: Emit
    fences: Fences = field(default_factory=Fences)

    async def ensure(self, action: EnsureChild, agent: Identity) -> bool:
        """Have a child stored exactly as desired. Whether anything was written.

        Raises OwnershipConflict, Requeue, NotLeading, AgentGone, MutatedOnWrite, ApiError, Unreachable.
        """
        desired, ref = self._desired(action), action.desired.ref
        fit = self._judge(desired, agent)  # again: what was planned with may have changed since
        lost = fit is Fit.ABSENT and (action.known or self._wrote_for(ref, agent))
        if lost or fit not in CERTAIN:  # a child that lost its label is not shown by the watches
            await self._read(ref)
            fit = self._judge(desired, agent)
        match fit:
            case Fit.RIGHT:
                self.remember([self.store.children.items[ref]], agent)
                return False
            case Fit.ABSENT:
                await self._make(desired, agent, lost=lost)
            case Fit.WRONG if lacks_block(desired, self.store.children.items[ref]):
                await self._add_block(desired, agent)
            case Fit.WRONG:
                await self._correct(desired, agent)
            case Fit.HELD | Fit.DELETING:
                await self._make_anew(desired, agent)
                self._note_right(desired, agent)
            case Fit.IMMUTABLE:
                live = self.store.children.items[ref]
                await self.remove(live, agent)
                self.repaired(ref, agent, EDITED, live.editor)
                raise Requeue(f"{ref.kind} {ref.name} cannot be put right and is made anew")
            case _:
                raise in_the_way(ref, fit)
        return True

    async def remove(self, child: StoredChild, agent: Identity) -> None:
        """Delete a child of ours, and let it go where somebody keeps it."""
        self.guard()
        if child.held_by:
            await self._let_go(child, agent)
        else:
            foreground = child.ref.kind == "Job"  # after its pods, so that what comes next is not beside them
            await self.kube.delete(child_path(child.ref), uid=child.uid, foreground=foreground)
            self.emit(ChildWritten(child.ref.kind, "delete"))
        if child.held_by or not child.others_finalizers:  # else it is still there, and known as ours
            self.store.forget_child(child.ref)

    async def scale_to_zero(self, ref: Ref, agent: Identity) -> bool:
        """Take the pods of a workload of ours away. Whether there was something to do.

        One that is being deleted is not scaled by its controller any more: it is let go, and its pods go with it.
        """
        live = self.store.children.get(ref)
        if live is None or not is_ours(live, agent.uid, self.store.ownership.get(ref)):
            return False
        if live.held_by:
            await self._let_go(live, agent)
            return True
        spec = (live.shown or {}).get("spec") or {}
        if spec.get("suspend") or not spec.get("replicas", 1):
            return False
        self.guard()
        answer = await self.kube.merge(child_path(ref), without_pods(live), manager=FIELD_MANAGER)
        self._took(self.store.children.record(answer), agent)
        self.emit(ChildWritten(ref.kind, "update"))
        return True

    def remember(self, children: Sequence[StoredChild], agent: Identity) -> None:
        """Note that these are the agent's, and as they should be."""
        for child in children:
            self._remember(child, agent, right=child.digest)

    def _remember(self, child: StoredChild, agent: Identity, *, right: str | None = None) -> None:
        """Note whose it is. `right`: its digest, where it is known to be right; else that of before stays."""
        known = self.store.ownership.get(child.ref)
        before = known.right if known and known.agent_uid == agent.uid else None
        completed = known.completed if known else None
        record = OwnershipRecord(agent.uid, child.uid, child.mark, completed, right or before)
        if known != record:
            self.store.remember(child.ref, record)

    def _note_right(self, desired: Desired, agent: Identity) -> None:
        live = self.store.children.get(desired.ref)
        if live is not None and self._is_good(desired, live):
            self.remember([live], agent)

    def _is_good(self, desired: Desired, live: StoredChild) -> bool:
        return is_good(desired, live, self.store.ownership.get(desired.ref))

    async def still_there(self, agent: Identity) -> None:
        """Raise AgentGone unless this very agent is there and is to stay.

        The garbage collector deletes as well, and news of the agent's end may come after that, or never did.
        """
        try:
            found = await self.kube.get(agent_path(Key(agent.namespace, agent.name)))
        except NotFound as failure:
            raise AgentGone(agent.uid) from failure
        if found["metadata"]["uid"] != agent.uid or found["metadata"].get("deletionTimestamp"):
            raise AgentGone(agent.uid)

    def lets_more(self, ref: Ref, desired: Desired, agent: Identity) -> bool:
        """Whether an object is there that is not what is wanted: what it lets the agent do is anybody's guess."""
        live, known = self.store.children.get(ref), self.store.ownership.get(ref)
        return live is not None and not (is_ours(live, agent.uid, known) and is_good(desired, live, known))

    def lacks_block(self, action: EnsureChild) -> bool:
        """Whether a child is there without `blockOwnerDeletion`, which is to be added later."""
        desired = self._desired(action)
        live = self.store.children.get(desired.ref)
        return live is not None and lacks_block(desired, live)

    def guard(self) -> None:
        """Raise NotLeading where another replica may lead. Before each write, whatever is written."""
        if not self.leading():
            raise NotLeading("the lease is not held any more")

    async def _make(self, desired: Desired, agent: Identity, *, lost: bool) -> None:
        ref = desired.ref
        if lost:
            await self.still_there(agent)
        self.guard()
        try:
            with self.store.expecting(ref, desired.digest):
                answer = await self._create(desired)
                live = self.store.children.record(answer)
                right = self._is_good(desired, live)
                self._took(live, agent, right=right)
        except Conflict:
            await self._found_there(desired, agent)
            return
        self.emit(ChildWritten(ref.kind, "create"))
        if not right:
            await self._put_right(desired, answer, agent)
        if lost:
            self.repaired(ref, agent, DELETED)

    async def _create(self, desired: Desired) -> Object:
        """What is stored then. Raises Conflict where it is there already, whosever it is."""
        ref = desired.ref

        async def make(manifest: Object) -> Object:
            if CHILD_KINDS[ref.kind].merged:
                return await self.kube.apply_new(child_path(ref), manifest, manager=FIELD_MANAGER)
            collection = path_of(ref.group_version, ref.plural, ref.namespace)
            return await self.kube.create(collection, manifest, manager=FIELD_MANAGER)

        return await even_unknown(desired.manifest, make)

    async def _found_there(self, desired: Desired, agent: Identity) -> None:
        """What was to be made is there: a stranger's, or ours, whose making was not answered or is not shown yet."""
        ref = desired.ref
        await self._read(ref)
        match self._judge(desired, agent):
            case Fit.RIGHT:
                self.remember([self.store.children.items[ref]], agent)
            case Fit.WRONG:
                await self._correct(desired, agent)
            case fit:
                raise in_the_way(ref, fit)

    async def _correct(self, desired: Desired, agent: Identity) -> None:
        """Apply; and where others' additions remain, which apply leaves alone, replace the object."""
        ref, before = desired.ref, self.store.children.items[desired.ref]
        known = self.store.ownership.get(ref)
        remembered = known.written_from if known and known.uid == before.uid else None
        foreign = edited(desired, before, remembered)
        with self.store.expecting(ref, desired.digest):
            answer = await self._apply(desired, before)
            after = self.store.children.record(answer) if answer is not None else None
            right = after is not None and self._is_good(desired, after)
            if after is not None and right:
                self._took(after, agent, right=True)
        if after is None or not right:
            after = await self._put_right(desired, answer, agent)
        # Not by version: the status of a Deployment moves it at any time.
        if after.digest != before.digest or not metadata_fits(desired, before):
            self.emit(ChildWritten(ref.kind, "update"))
            if foreign:
                self.repaired(ref, agent, EDITED, before.editor)

    async def _add_block(self, desired: Desired, agent: Identity) -> None:
        """Add what `even_unknown` left out. It is no part of the fence: as long as it is refused, it stays out."""
        before = self.store.children.items[desired.ref]
        answer = await self._apply(desired, before)
        if answer is not None:
            after = self.store.children.record(answer)
            self._took(after, agent, right=self._is_good(desired, after))
            if after.owners != before.owners:
                self.emit(ChildWritten(desired.ref.kind, "update"))

    async def _make_anew(self, desired: Desired, agent: Identity) -> None:
        """What is being deleted: right as long as it is there, then let go by whoever keeps it, then made anew.

        Right first: until the moment in which it is gone, what it says is in force.
        """
        ref = desired.ref
        live = self.store.children.items[ref]
        wrong = not is_right(desired, live, self.store.ownership.get(ref))
        if wrong:
            try:
                await self._correct_while_deleted(desired, live, agent)
            except (MutatedOnWrite, ApiError) as failure:
                if not live.held_by or (isinstance(failure, ApiError) and not failure.final):
                    raise  # what was refused for good is better gone than wrong
            live = self.store.children.get(ref) or live
        if live.held_by:
            await self._let_go(live, agent)
            if not wrong:  # that was told as an edit already
                self.fences.edited(Key(agent.namespace, agent.name), ref)
            if self.store.children.get(ref) is None:
                await self.still_there(agent)
                await self._make(desired, agent, lost=False)

    async def _correct_while_deleted(self, desired: Desired, live: StoredChild, agent: Identity) -> None:
        if immutable_differs(desired, live):
            if live.held_by:
                return
            raise in_the_way(desired.ref, Fit.DELETING)
        await self._correct(desired, agent)

    async def _let_go(self, live: StoredChild, agent: Identity) -> None:
        """Take somebody's finalizers off a child that is being deleted: off this very state of this very object."""
        ref, kept = live.ref, [one for one in live.finalizers if one not in live.held_by]
        self.guard()
        operations: list[Object] = [
            {"op": "test", "path": "/metadata/uid", "value": live.uid},
            {"op": "test", "path": "/metadata/resourceVersion", "value": str(live.version)},
            {"op": "replace", "path": "/metadata/finalizers", "value": kept},
        ]
        try:
            answer = await self.kube.json_patch(child_path(ref), operations)
        except NotFound:
            await self._read(ref)
            return
        except ApiError as failure:
            if failure.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                raise
            await self._read(ref)  # somebody wrote to it meanwhile: it is to be right first
            raise Requeue(f"{ref.kind} {ref.name} changed while its finalizers were taken off") from failure
        record = self.store.children.record(answer)
        if kept:
            self.store.children.take(record)
        else:
            self.store.children.remove(ref, record.version)
        self.emit(ChildWritten(ref.kind, "update"))
        self.emit(
            FinalizersRemoved(
                agent=AgentName(agent.namespace, agent.name),
                uid=agent.uid,
                kind=ref.kind,
                name=ref.name,
                rule=HELD,
                finalizers=live.held_by,
            )
        )

    async def _apply(self, desired: Desired, live: StoredChild) -> Object | None:
        """What is stored then; None where our fields and somebody's additions make no valid object together."""
        self.guard()
        manifest = acceptable(desired.manifest, live)
        body = manifest | {"metadata": manifest["metadata"] | {"uid": live.uid}}

        async def apply(body: Object) -> Object:
            return await self.kube.apply(child_path(desired.ref), body, manager=FIELD_MANAGER)

        try:
            return await even_unknown(body, apply)
        except (Conflict, NotFound):  # it was deleted meanwhile, where no watch could show it
            await self._read(desired.ref)
            raise
        except ApiError as failure:
            if failure.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                raise
            return None

    async def _put_right(self, desired: Desired, live: Object | None, agent: Identity) -> StoredChild:
        """Replace the whole object. What is stored then: what still differs completes it, or is put in on the way."""
        ref = desired.ref
        live = live or await self.kube.get(child_path(ref))
        self.guard()

        async def put(body: Object) -> Object:
            return await self.kube.replace(child_path(ref), body, manager=FIELD_MANAGER)

        answer = await even_unknown(whole(desired.manifest, live), put)
        record = self.store.children.record(answer)
        if not (metadata_fits(desired, record) or lacks_block(desired, record)) or not completed_only(
            desired.manifest, answer
        ):
            raise MutatedOnWrite(ref)
        self._took(record, agent, right=True)
        if record.digest != desired.digest:
            known = self.store.ownership[ref]
            self.store.remember(ref, replace(known, completed=(desired.digest, record.digest)))
        return record

    async def _read(self, ref: Ref) -> None:
        """Put what is stored at this moment into the store."""
        try:
            self.store.children.observe("MODIFIED", {"kind": ref.kind, **await self.kube.get(child_path(ref))})
        except NotFound:
            if (live := self.store.children.get(ref)) is not None:
                self.store.children.remove(ref, live.version)

    def _took(self, record: StoredChild, agent: Identity, *, right: bool = False) -> None:
        """What was stored by an answer to a write: into the store, and remembered as the agent's.

        `right`: whether it is as it should be. It is judged by itself: the watch may have shown already what somebody
        made of it since.
        """
        self.store.children.take(record)
        self._remember(record, agent, right=record.digest if right else None)

    def _judge(self, desired: Desired, agent: Identity) -> Fit:
        ref = desired.ref
        return judge(desired, self.store.children.get(ref), agent, self.store.ownership.get(ref))

    def _desired(self, action: EnsureChild) -> Desired:
        """What is to be written; a fence that was made in this very pass is added to its owners."""
        fence = self.store.children.get(action.behind_fence) if action.behind_fence else None
        if fence is None or fence.deleting:
            return action.desired
        return Desired(owned_by_fence(action.desired.manifest, fence.ref.name, fence.uid))

    def _wrote_for(self, ref: Ref, agent: Identity) -> bool:
        known = self.store.ownership.get(ref)
        return known is not None and known.agent_uid == agent.uid

    def repaired(self, ref: Ref, agent: Identity, rule: str, editor: FieldManager = UNKNOWN) -> None:
        """Tell one child that was put back. Who deleted something, the API server does not record in the object."""
        count = self.fences.edited(Key(agent.namespace, agent.name), ref)
        self.emit(
            ChildRepaired(
                agent=AgentName(agent.namespace, agent.name),
                uid=agent.uid,
                kind=ref.kind,
                name=ref.name,
                rule=rule,
                count=count,
                manager=editor.manager,
                changed_at=editor.time,
            )
        )
