"""What is there without its agent: children that name an agent but have it for no owner, and pods with its label."""

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from ringfence.api.names import API_VERSION, CEILING_BINDING, MANAGED_BY, MANAGED_BY_LABEL, STANDING_POLICY
from ringfence.resources import Ref
from ringfence.resources.model import child_name
from ringfence.resources.stored import StoredChild

from .records import Key

V = TypeVar("V", bound=Hashable)


def standing_ref(namespace: str) -> Ref:
    """The policy of a namespace for all of its agents' pods."""
    return Ref("NetworkPolicy", namespace, STANDING_POLICY)


def ceiling_ref(namespace: str) -> Ref:
    """The binding by which the controller holds, in a namespace, what it may give agents."""
    return Ref("RoleBinding", namespace, CEILING_BINDING)


def ownerless(child: StoredChild) -> bool:
    """Whether it carries our marks, but the agent that its label names is none of its owners.

    Not of a child in another namespace than its agent's: that one is looked after by the agent's own passes.
    """
    marked = (MANAGED_BY_LABEL, MANAGED_BY) in child.labels and child.agent_label is not None and not child.elsewhere
    names = {(one.api_version, one.kind, one.name) for one in child.owners}
    if child.ref.kind == "Job" and ("batch/v1", "CronJob", child_name(child.agent_label or "")) in names:
        return False  # it goes with its CronJob
    return marked and (API_VERSION, "AgentDeployment", child.agent_label) not in names


class OrphanIndex:
    """Indexes by namespace: almost always empty. `wake`: told which namespace to look at."""

    def __init__(self, wake: Callable[[str], None]) -> None:
        self._wake = wake
        self._children: dict[str, set[Ref]] = {}
        self._pods: dict[str, set[Key]] = {}
        self._left: dict[Ref, tuple[str, str]] = {}
        """Children that were there when their agent went: their uids, and its. Those that stay without it were ours."""

    def children(self, namespace: str) -> list[Ref]:
        """The children without an owner, also those of agents that are there."""
        return sorted(self._children.get(namespace, ()))

    def agents_of_pods(self, namespace: str) -> list[Key]:
        """The agents that are not there and whose label pods carry."""
        return sorted(self._pods.get(namespace, ()))

    def former_agent(self, child: StoredChild) -> str | None:
        """Uid of the agent whose child it was, where we saw that one go."""
        uid, agent_uid = self._left.get(child.ref, ("", None))
        return agent_uid if uid == child.uid else None

    def child_changed(self, old: StoredChild | None, new: StoredChild | None) -> None:
        """Take a change of a child."""
        record = new or old
        if record is None:
            return
        place, orphaned = record.ref.namespace, new is not None and ownerless(new)
        if new is None:
            self._left.pop(record.ref, None)
        _put(self._children, place, record.ref, there=orphaned)
        if orphaned or (old is not None and ownerless(old)) or record.ref in {standing_ref(place), ceiling_ref(place)}:
            self._wake(place)
        elif new is None and Key(place, record.agent_label or "") in self._pods.get(place, ()):
            self._wake(place)  # pods that should go with this workload, and perhaps do not

    def agent_gone(self, uid: str, children: Iterable[StoredChild]) -> None:
        """Take the end of an agent, with the children that are still there."""
        self._left.update({child.ref: (child.uid, uid) for child in children})

    def pods_changed(self, agent: Key, *, left: bool) -> None:
        """Take whether there are pods with that agent's label, and the agent is not there."""
        if left or agent in self._pods.get(agent.namespace, ()):
            _put(self._pods, agent.namespace, agent, there=left)
            self._wake(agent.namespace)


def _put(index: dict[str, set[V]], place: str, value: V, *, there: bool) -> None:
    """Have a value in the set of a place, or not."""
    if there:
        index.setdefault(place, set()).add(value)
    elif place in index:
        index[place].discard(value)
        if not index[place]:
            del index[place]
