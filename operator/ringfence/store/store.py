"""All that the controller knows of the cluster: tables with indexes, and who is to be looked at when they change."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ringfence.api.names import GATEWAY_SUFFIX
from ringfence.policy.decide import binding
from ringfence.policy.limits import limited
from ringfence.policy.model import Facts, NamedPolicy
from ringfence.policy.widening import Widening
from ringfence.resources import Ref
from ringfence.resources.dns import Asked
from ringfence.resources.stored import StoredChild, stored

from .cluster_dns import ClusterDns
from .context import PolicyContext
from .gateways import GatewayPods
from .indexes import index, index_few
from .left_behind import is_left_behind
from .orphans import OrphanIndex
from .readers import Readers
from .records import (
    Key,
    PodKey,
    StoredAgent,
    StoredPod,
    StoredPolicy,
    StoredService,
    read_agent,
    read_pod,
    read_policy,
    read_service,
)
from .rights import RightsVersions
from .rotations import Rotations
from .sources import AGENT_POLICY, ENDPOINT_SLICE, NAMESPACE
from .tables import Table
from .urgency import Urgency, pod_tells, same_wish, telling, urgency_of
from .usage import LimitUsage
from .widening import Widenings

_Fit = tuple[frozenset[str], frozenset[str]]
"""The policies that bind an agent, and those of them that it does not fit."""


@dataclass(frozen=True, slots=True)
class OwnershipRecord:
    """What is remembered of a child that was written or found right: whose, which object, from which manifest.

    `completed`: digests of a manifest and of what the API server makes of it, where the two differ rightly.
    `right`: digest of its content when it was last found as it should be.
    """

    agent_uid: str
    uid: str
    written_from: str | None
    completed: tuple[str, str] | None = None
    right: str | None = None


def is_ours(child: StoredChild, agent_uid: str, known: OwnershipRecord | None) -> bool:
    """Whether a stored child is the agent's: as it says itself, or as remembered where an edit stripped that."""
    remembered = known is not None and (known.agent_uid, known.uid) == (agent_uid, child.uid)
    return child.agent_uid == agent_uid or remembered


@lru_cache(maxsize=1024)
def _same_fit(fit: "_Fit") -> "_Fit":
    """One object for all agents that fit the same policies: those of a namespace mostly."""
    return fit


class Store:
    """The tables and their indexes. `wake`, `wake_policy`, `wake_namespace`: told what to look at."""

    def __init__(self, context: PolicyContext, dns: Asked | None = None) -> None:
        self.context = context
        self.dns = ClusterDns(dns or Asked(), lambda: self.wake_all(where=_asks_dns))
        self.wake: Callable[[Key, Urgency], None] = lambda *_: None
        self.wake_policy: Callable[[str], None] = lambda _: None
        self.wake_namespace: Callable[[str], None] = lambda _: None
        """Of namespaces, by their names."""
        self.wake_pod: Callable[[PodKey], None] = lambda _: None
        """Of pods that seem to be left behind."""
        self.orphans = OrphanIndex(lambda name: self.wake_namespace(name))  # noqa: PLW0108 - it is set later
        self.wider = Widenings(self._wake, self._agents_of, self.pods_of)
        self.rights = RightsVersions(context, self._wake, self._agents_of, self._is_recorded)
        self.wider.bound = self.rights.changed
        self.gateways = GatewayPods(lambda namespace: self._agents_in.get(namespace, ()))
        self.readers = Readers(lambda key: self.wake(key, Urgency.REPAIR))
        self.wider.listed = self.readers.changed
        self.rotations = Rotations(self._owner_of, lambda key: self.wake(key, Urgency.LATER))
        self.agents: Table[Key, StoredAgent] = Table(
            read_agent, lambda agent: agent.key, self._agent_changed, locate=_agent_key
        )
        self.services: Table[tuple[str, str], StoredService] = Table(
            read_service, lambda service: service.key, self._service_changed
        )
        self.pods: Table[tuple[str, str], StoredPod] = Table(read_pod, lambda pod: pod.key, self._pod_changed)
        self.policies: Table[str, StoredPolicy] = Table(read_policy, lambda policy: policy.name, self._policy_changed)
        self.children: Table[Ref, StoredChild] = Table(
            stored, lambda child: child.ref, self._child_changed, locate=Ref.of
        )
        self.ownership: dict[Ref, OwnershipRecord] = {}
        self.expected: dict[Ref, str] = {}
        """Children that are being written, with the digest of their content: their echo is no news."""
        self.expected_status: dict[Key, bytes] = {}
        """The same of the status of agents."""
        self._key_of: dict[str, Key] = {}
        self._children_of: dict[str, tuple[Ref, ...]] = {}
        """By the agent's uid: what it controls, and what is remembered as its own."""
        self._elsewhere: dict[Key, set[Ref]] = {}
        self._agents_of_target: dict[str, set[Key]] = {}
        self.usage = LimitUsage()
        self._agents_in: dict[str, set[Key]] = {}
        self._agents_of_service: dict[tuple[str, str], set[Key]] = {}
        self._pods_of: dict[Key, set[tuple[str, str]]] = {}
        self._fits: dict[Key, _Fit] = {}
        self._agents_of_policy: dict[str, set[Key]] = {}
        self._misfits_of_policy: dict[str, set[Key]] = {}

    # --- what passes ask

    def children_of(self, uid: str) -> list[StoredChild]:
        """The children of an agent: by their owner, or as remembered where somebody took the owner away."""
        refs = sorted(self._children_of.get(uid, ()))
        return [child for ref in refs if (child := self.children.get(ref)) is not None]

    def elsewhere_of(self, key: Key) -> list[StoredChild]:
        """The children in other namespaces of an agent of that name, of one that is gone too."""
        return [self.children.items[ref] for ref in sorted(self._elsewhere.get(key, ()))]

    def pods_of(self, key: Key) -> list[StoredPod]:
        """The pods with an agent's label, by name."""
        return [self.pods.items[name] for name in sorted(self._pods_of.get(key, ()))]

    def widenings(self, key: Key) -> tuple[Widening, ...]:
        """What others wrote that widens an agent's fence."""
        agent = self.agents.get(key)
        uid = agent.uid if agent else ""

        def is_own(child: StoredChild) -> bool:
            return is_ours(child, uid, self.ownership.get(child.ref))

        return self.wider.of(key, self.context.facts(key.namespace).namespace_labels or {}, is_own)

    def agents_in(self, namespace: str) -> frozenset[Key]:
        """The agents of a namespace."""
        return frozenset(self._agents_in.get(namespace, ()))

    def is_inhabited(self, namespace: str) -> bool:
        """Whether agents are in a namespace, or pods with the label of one."""
        return bool(self._agents_in.get(namespace) or self.orphans.agents_of_pods(namespace))

    def facts(self, key: Key, policies: Sequence[NamedPolicy]) -> Facts:
        """What `decide` is to know about an agent. `policies`: those that select its namespace are enough."""
        facts = self.context.facts(key.namespace)
        if not limited(policies):  # mostly, and `decide` asks which of them bind
            return facts
        bound = binding(policies, facts)
        if not limited(bound):
            return facts
        return self.usage.facts(facts, key, [self.agents.items[one] for one in self.agents_in(key.namespace)], bound)

    # --- what passes tell

    def note_decision(self, agent: StoredAgent, *, accepted: bool, no_room: bool) -> None:
        """Note what was decided about an agent as it is stored; wake those that may fit now and did not before."""
        if self.usage.note(agent, accepted=accepted, no_room=no_room):
            self._wake_refused(agent.key)

    def _wake_refused(self, but: Key) -> None:
        for key in self.usage.refused(but.namespace):
            if key != but:
                self.wake(key, Urgency.LATER)

    @contextlib.contextmanager
    def expecting(self, ref: Ref, digest: str) -> Iterator[None]:
        """While a child is written: its echo in a watch, and the answer itself, are no news."""
        self.expected[ref] = digest
        try:
            yield
        finally:
            self.expected.pop(ref, None)

    def remember(self, ref: Ref, record: OwnershipRecord) -> None:
        """Note whose a child is, and what it was written from."""
        before = self._agents_with(ref)
        self.ownership[ref] = record
        index_few(self._children_of, ref, before, self._agents_with(ref))

    def forget_child(self, ref: Ref) -> None:
        """Drop what is remembered of a child."""
        before = self._agents_with(ref)
        self.ownership.pop(ref, None)
        index_few(self._children_of, ref, before, self._agents_with(ref))

    def forget_agent(self, uid: str) -> None:
        """Drop what is remembered of the children of an agent that is gone."""
        for ref in self._children_of.get(uid, ()):
            if (record := self.ownership.get(ref)) is not None and record.agent_uid == uid:
                self.forget_child(ref)

    def _agents_with(self, ref: Ref) -> set[str]:
        """Uids of the agents whose child it is: by its owner, and as remembered."""
        child, record = self.children.get(ref), self.ownership.get(ref)
        found = {child.agent_uid if child else None, record.agent_uid if record else None}
        return {uid for uid in found if uid}

    def note_fit(self, agent: Key, bound: frozenset[str], misfits: frozenset[str]) -> None:
        """Note which policies bind an agent, and which of them do not allow it as it is stored; wake those."""
        before = self._fits.get(agent, (frozenset[str](), frozenset[str]()))
        if before == (bound, misfits):
            return
        index(self._agents_of_policy, agent, before[0], bound)
        index(self._misfits_of_policy, agent, before[1], misfits)
        if bound:
            self._fits[agent] = _same_fit((bound, misfits))
        else:
            self._fits.pop(agent, None)
        for name in (before[0] ^ bound) | (before[1] ^ misfits):
            if name in self.policies.items:  # the built-in one has no object
                self.wake_policy(name)

    def agents_of_policy(self, policy: str) -> tuple[int, int]:
        """How many agents a policy binds, and how many of these do not fit it."""
        return len(self._agents_of_policy.get(policy, ())), len(self._misfits_of_policy.get(policy, ()))

    # --- what changes wake

    def wake_all(self, *, where: Callable[[StoredAgent], bool] = lambda _: True) -> None:
        """Have all agents looked at that `where` names."""
        for key, agent in list(self.agents.items.items()):
            if where(agent):
                self.wake(key, Urgency.CHANGE)

    def wake_agents_in(self, namespace: str) -> None:
        """Have the agents of a namespace looked at."""
        for key in self.agents_in(namespace):
            self.wake(key, Urgency.CHANGE)

    def _agent_changed(self, old: StoredAgent | None, new: StoredAgent | None) -> None:
        record = new or old
        if record is None:
            return
        key = record.key
        index(self._agents_in, key, [key.namespace] if old else (), [key.namespace] if new else ())
        index(self._agents_of_service, key, old.services if old else (), new.services if new else ())
        index(self._agents_of_target, key, old.targets if old else (), new.targets if new else ())
        if old is not None and (new is None or new.uid != old.uid):
            self._key_of.pop(old.uid, None)
            self.orphans.agent_gone(old.uid, [one for one in self.children_of(old.uid) if not one.elsewhere])
            self.forget_agent(old.uid)
            self.usage.forget(key)
            self._wake_refused(key)
        if new is not None:
            self._key_of[new.uid] = key
        if old is None or new is None:
            self._note_pods_left(key)
            self.wake_namespace(key.namespace)
        if old is None and len(self._agents_in[key.namespace]) == 1:
            self.wider.look(key.namespace)  # what became of pods there before is not known
        if self._agent_matters(old, new):
            self.wake(key, Urgency.LATER if same_wish(old, new) else Urgency.CHANGE)

    def _wake(self, key: Key) -> None:
        self.wake(key, Urgency.CHANGE)

    def _agents_of(self, namespace: str | None) -> Collection[Key]:
        return list(self.agents.items) if namespace is None else self._agents_in.get(namespace, set())

    def _is_recorded(self, key: Key) -> bool:
        return (agent := self.agents.get(key)) is not None and agent.requested_by is not None

    def _agent_matters(self, old: StoredAgent | None, new: StoredAgent | None) -> bool:
        """Whether a change calls for a look: the echo of our own write of the status does not."""
        if old is None or new is None:
            return True
        if not same_wish(old, new):
            return True
        return new.status_json not in {old.status_json, self.expected_status.get(new.key)}

    def _child_changed(self, old: StoredChild | None, new: StoredChild | None) -> None:
        record = new or old
        if record is None:
            return
        before = old.agent_uid if old else None
        now = new.agent_uid if new else None
        known = [self.ownership[record.ref].agent_uid] if record.ref in self.ownership else []
        of_before, of_now = ([*known, uid] if uid else known for uid in (before, now))
        index_few(self._children_of, record.ref, of_before, of_now)
        index(self._elsewhere, record.ref, _home(old), _home(new))
        self.orphans.child_changed(old, new)
        self.wider.child_changed(old, new)
        if record.ref.kind == "RoleBinding" and not {before, now} & self._key_of.keys():
            self.rights.binding_changed(old, new)
        if not self._child_matters(old, new):
            return
        keys = {self._key_of.get(uid) for uid in (before, now) if uid} | {self._by_memory(record)}
        for key in {*keys, *_home(old), *_home(new)}:  # the last two of agents that are gone too
            if key is not None:
                self.wake(key, urgency_of(old, new))

    def _owner_of(self, ref: Ref) -> Key | None:
        child = self.children.get(ref)
        return self._key_of.get(child.agent_uid or "") if child else None

    def _by_memory(self, child: StoredChild) -> Key | None:
        """Whose a child is where its owner does not say so: as remembered, else by its label."""
        known = self.ownership.get(child.ref)
        if known is not None and known.agent_uid in self._key_of:
            return self._key_of[known.agent_uid]
        key = Key(child.ref.namespace, child.agent_label or "")
        return key if key in self.agents.items else None

    def _child_matters(self, old: StoredChild | None, new: StoredChild | None) -> bool:
        """Whether anything that a pass looks at is another; and is not what is being written at this moment."""
        if new is None or old is None or new.uid != old.uid:
            if new is None or new.deleting:
                return True
            return self.expected.get(new.ref) != new.digest
        if telling(old) == telling(new):
            return False
        if (old.shown, old.deleting, old.held_by) != (new.shown, new.deleting, new.held_by):
            return True
        return self.expected.get(new.ref) != new.digest

    def _service_changed(self, old: StoredService | None, new: StoredService | None) -> None:
        if old is not None and new is not None and old.spec_json == new.spec_json:
            return
        record = new or old
        for key in self._agents_of_service.get(record.key, set()) if record else ():
            self.wake(key, Urgency.CHANGE)
        if record is not None:
            self.dns.service_changed(record.key, new)

    def _pod_changed(self, old: StoredPod | None, new: StoredPod | None) -> None:
        record = new or old
        if record is None:
            return
        index(self._pods_of, record.key, [old.agent] if old else (), [new.agent] if new else ())
        self.gateways.pod_changed(old, new)
        self.wider.pod_changed("labelled", old, new)
        for key in {one.agent for one in (old, new) if one}:
            self._note_pods_left(key)
            if key not in self.agents.items or (old and new and pod_tells(old) == pod_tells(new)):
                continue
            self.wake(key, Urgency.LATER)
            if new is not None and is_left_behind(new, self.agents.items[key].grace_periods):
                self.wake_pod(new.key)

    def _note_pods_left(self, key: Key) -> None:
        left = key in self._pods_of and key not in self.agents.items
        self.orphans.pods_changed(
            key, left=left and not key.name.endswith(GATEWAY_SUFFIX)
        )  # those, their Deployment has

    def _policy_changed(self, old: StoredPolicy | None, new: StoredPolicy | None) -> None:
        record = new or old
        if record is not None and (old is None or new is None or old.generation != new.generation):
            self.wake_policy(record.name)

    def context_changed(self, kind: str, name: str | None = None) -> None:
        """Have those looked at that a change of `kind` can matter to; `name`: of the changed object, where known."""
        if kind in {NAMESPACE, AGENT_POLICY}:
            self._rules_changed(kind, name)
        else:  # addresses of the cluster itself
            slices = kind == ENDPOINT_SLICE
            self.wake_all(where=lambda agent: agent.by_address or agent.by_name or (agent.calls_api and slices))

    def _rules_changed(self, kind: str, name: str | None) -> None:
        if name is None:
            self.wake_all()  # an agent's namespace may not be known yet
        for namespace in self.context.touched_by(kind, name):
            self.wake_namespace(namespace)
            self.wake_agents_in(namespace)
        if kind == NAMESPACE:
            for key in list(self._agents_of_target.get(name or "", ())):  # it may consent now, or not any more
                self.wake(key, Urgency.REPAIR)
            for policy in self.policies.items:
                self.wake_policy(policy)


def _home(child: StoredChild | None) -> tuple[Key, ...]:
    """The agent of a child in another namespace than its own."""
    if child is None or not child.elsewhere or child.agent_label is None:
        return ()
    return (Key(child.agent_namespace, child.agent_label),)


def _agent_key(body: Mapping[str, Any]) -> Key:
    return Key(body["metadata"]["namespace"], body["metadata"]["name"])


def _asks_dns(agent: StoredAgent) -> bool:
    """Whether the cluster's DNS matters to it, or to its gateway."""
    return agent.by_name or bool(agent.services)
