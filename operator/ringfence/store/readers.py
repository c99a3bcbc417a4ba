"""Which agents the chart's bindings of cluster-wide reads list: one ClusterRoleBinding for each kind that is read."""

from collections.abc import Callable

from ringfence.resources.reads import BINDINGS

from .records import Key, StoredClusterObject


class Readers:
    """An index by agent, of agents that are gone too. `wake`: told of each agent that is listed, or not any more."""

    def __init__(self, wake: Callable[[Key], None]) -> None:
        self._wake = wake
        self._listed: dict[str, frozenset[Key]] = {}

    def of(self, key: Key) -> frozenset[str]:
        """What an agent is listed for: values of `permissions.clusterReads`."""
        return frozenset(name for name, keys in self._listed.items() if key in keys)

    def changed(self, old: StoredClusterObject | None, new: StoredClusterObject | None) -> None:
        """Take a change of a ClusterRoleBinding."""
        record = new or old
        if record is None or record.name not in BINDINGS:
            return
        before = self._listed.get(BINDINGS[record.name], frozenset())
        after = frozenset(Key(*one) for one in new.readers) if new else frozenset()
        self._listed[BINDINGS[record.name]] = after
        for key in before ^ after:
            self._wake(key)
