"""Who widens which agent's fence: indexes of what others wrote. Empty where nobody did."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from ringfence.api.names import AGENT_LABEL, MANAGED_BY, MANAGED_BY_LABEL, STANDING_POLICY
from ringfence.policy.selectors import selects
from ringfence.policy.text import listed
from ringfence.policy.widening import Opening, Way, Widening, openings_for
from ringfence.resources import Ref
from ringfence.resources.gateway_names import gateway_label, gateway_name
from ringfence.resources.model import child_name
from ringfence.resources.openings import OWN_SUFFIXES
from ringfence.resources.stored import StoredChild

from .records import Key, StoredClusterObject, StoredPod, read_cluster_object, read_pod
from .sources import CLUSTER_WIDE
from .tables import Table

Labels = Mapping[str, str]
Own = Callable[[StoredChild], bool]
NAMED_FIELDS = 3
"""Fields of a pod that are named in a sentence."""
Place = tuple[str, str, str]
"""Kind, namespace (empty: none) and name."""


class Widenings:
    """What others wrote, by whom it reaches.

    `wake`: told of an agent to look at. `agents`: of a namespace, or of all (None). `pods`: with an agent's label.
    """

    def __init__(
        self,
        wake: Callable[[Key], None],
        agents: Callable[[str | None], Collection[Key]],
        pods: Callable[[Key], Iterable[StoredPod]],
    ) -> None:
        self._wake, self._agents, self._pods = wake, agents, pods
        self.bound: Callable[[], None] = lambda: None
        """Told that a binding of the whole cluster changed."""
        self.listed: Callable[[StoredClusterObject | None, StoredClusterObject | None], None] = lambda *_: None
        """Told of each change of a binding of the whole cluster."""
        self.look: Callable[[str], None] = lambda _: None
        """Told of a namespace in which a pod may have lost its agent's label."""
        self.cluster_wide: dict[str, Table[str, StoredClusterObject]] = {
            source.kind: Table(read_cluster_object, lambda one: one.name, self._cluster_changed)
            for source in CLUSTER_WIDE
        }
        self.unlabelled: Table[tuple[str, str], StoredPod] = Table(
            read_pod, lambda pod: pod.key, lambda old, new: self.pod_changed("unlabelled", old, new)
        )
        self._policies: dict[str, dict[Ref, tuple[Opening, StoredChild]]] = {}
        self._cluster: dict[Place, Opening] = {}
        self._bindings: dict[str, dict[Place, StoredChild | None]] = {}
        """By NAMESPACE/ACCOUNT, and NAMESPACE/ for all of them."""
        self._strays: dict[Key, set[tuple[str, str]]] = {}
        """By the agent as which a pod runs: from which table it is known, and its name."""

    def of(self, key: Key, namespace: Labels, is_own: Own) -> tuple[Widening, ...]:
        """All that widens an agent's fence. `namespace`: its labels. `is_own`: whether a child belongs to the agent."""
        found = [Widening(Way.PODS, f"Pod {name}") for name in {name for _, name in self._strays.get(key, ())}]
        found += [
            Widening(Way.SHAPES, f"Pod {pod.key.name} ({listed(pod.unrestricted, NAMED_FIELDS)})")
            for pod in self._pods(key)
            if pod.unrestricted and pod.account == key and not pod.ends
        ]
        own = {gateway_name(key.name), *(child_name(key.name) + suffix for suffix in OWN_SUFFIXES)}
        written = self._policies.get(key.namespace, {}).values()
        openings = [one for one, child in written if not (child.ref.name in own and is_own(child))]
        openings += self._cluster.values()
        if openings:
            found += openings_for(openings, list(self._labels(key)), namespace)
        for account in _accounts(key):
            bindings = self._bindings.get(account, {})
            found += [
                Widening(Way.BINDINGS, _told(place, key.namespace))
                for place, child in bindings.items()
                if child is None or not is_own(child)
            ]
        return tuple(sorted(found))

    def child_changed(self, old: StoredChild | None, new: StoredChild | None) -> None:
        """Take a change of a NetworkPolicy or a RoleBinding: everybody's are among the children."""
        record = new or old
        if record is None or not (_shown(old) or _shown(new)):
            return
        ref = record.ref
        if ref.kind == "NetworkPolicy":
            self._policy_changed(ref, old, new)
        elif ref.kind == "RoleBinding":
            self._bound((ref.kind, ref.namespace, ref.name), _shown(old), _shown(new), new)

    def pod_changed(self, table: str, old: StoredPod | None, new: StoredPod | None) -> None:
        """Take a change of a pod. `table`: which one it is known from: with an agent's label, or without."""
        if table == "labelled" and old is not None and new is None and old.account is not None and not old.ends:
            self.look(old.key[0])  # it was deleted at once, or it lost the label: the watch tells both alike
        for pod in (old, new):
            if pod is None or pod.account is None:
                continue
            strays, entry = self._strays.get(pod.account, set()), (table, pod.key[1])
            if (entry in strays) == (pod is new and pod.is_stray):
                continue
            if entry in strays:
                strays.discard(entry)
            else:
                self._strays.setdefault(pod.account, strays).add(entry)
            if not strays:
                self._strays.pop(pod.account, None)
            self._wake_one(pod.account)

    def _policy_changed(self, ref: Ref, old: StoredChild | None, new: StoredChild | None) -> None:
        place = self._policies.setdefault(ref.namespace, {})
        before = place.pop(ref, None)
        after = None if new is None or _is_standing(new) else _opening(_told(ref, ref.namespace), _shown(new))
        if after is not None and new is not None:
            place[ref] = (after, new)
        if not place:
            del self._policies[ref.namespace]
        touched = [one for one in (before and before[0], after) if one]
        if (before and before[0]) == after and old is not None:
            return
        for key in self._agents(ref.namespace):
            if any(selects(one.pods, labels) for one in touched for labels in self._labels(key)):
                self._wake(key)

    def _cluster_changed(self, old: StoredClusterObject | None, new: StoredClusterObject | None) -> None:
        record = new or old
        if record is not None and record.kind == "ClusterRoleBinding":
            self.bound()  # whomever it names
            self.listed(old, new)
        if record is None or (old is not None and new is not None and old.shown == new.shown):
            return
        place = (record.kind, "", record.name)
        if record.kind == "ClusterRoleBinding":
            self._bound(place, (old and old.shown) or {}, (new and new.shown) or {}, None)
            return
        before = self._cluster.pop(place, None)
        after = _opening(_told(place, ""), (new and new.shown) or {})
        if after:
            self._cluster[place] = after
        if before or after:
            for key in self._agents(None):
                self._wake(key)

    def _bound(self, place: Place, old: Mapping[str, Any], new: Mapping[str, Any], child: StoredChild | None) -> None:
        before, after = set(old.get("accounts") or ()), set(new.get("accounts") or ())
        for account in before - after:
            self._bindings[account].pop(place, None)
            if not self._bindings[account]:
                del self._bindings[account]
        for account in after:
            self._bindings.setdefault(account, {})[place] = child
        for account in before ^ after:
            namespace, _, name = account.partition("/")
            for key in self._agents(namespace):
                if not name or name == child_name(key.name):
                    self._wake(key)

    def _labels(self, key: Key) -> Iterator[Labels]:
        """Those that the agent's pods get, and its gateway's, and those that they have."""
        for name in (key.name, gateway_label(key.name)):
            yield {MANAGED_BY_LABEL: MANAGED_BY, AGENT_LABEL: name}
        for pod in self._pods(key):
            yield dict(pod.labels)

    def _wake_one(self, key: Key) -> None:
        if key in self._agents(key.namespace):
            self._wake(key)


def _accounts(key: Key) -> tuple[str, str]:
    return f"{key.namespace}/{child_name(key.name)}", f"{key.namespace}/"


def _shown(child: StoredChild | None) -> Mapping[str, Any]:
    return (child.shown or {}) if child is not None and child.ref.kind in {"NetworkPolicy", "RoleBinding"} else {}


def _is_standing(child: StoredChild) -> bool:
    """Whether it is the namespace's own policy: somebody's edit of it is put right, and told as that."""
    return child.ref.name == STANDING_POLICY and (MANAGED_BY_LABEL, MANAGED_BY) in child.labels


def _opening(told: str, shown: Mapping[str, Any]) -> Opening | None:
    return Opening(told, shown["podSelector"], shown.get("namespaces")) if "podSelector" in shown else None


def _told(place: Place | Ref, namespace: str) -> str:
    """KIND NAME; with the namespace where that is not the agent's own."""
    kind, where, name = place
    return f"{kind} {name}" if where in {"", namespace} else f"{kind} {where}/{name}"
