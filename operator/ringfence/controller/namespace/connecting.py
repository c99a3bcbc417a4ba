"""Who may get into agents of a namespace through the API server, as its policies say now."""

from dataclasses import dataclass, field

from ringfence.policy.connections import connecting
from ringfence.policy.decide import binding
from ringfence.store.context import PolicyContext


@dataclass
class Connecting:
    """The groups, by namespace. Each pass over an agent asks, so they are kept until anything changes."""

    context: PolicyContext
    _version: int = -1
    _known: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def groups(self, namespace: str) -> tuple[str, ...]:
        """Those that all policies which bind the namespace name."""
        if self._version != self.context.version:
            self._version, self._known = self.context.version, {}
        if namespace not in self._known:
            bound = binding(self.context.policies(), self.context.facts(namespace))
            self._known[namespace] = connecting(bound)
        return self._known[namespace]
