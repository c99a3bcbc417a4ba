"""Where the cluster's DNS answers, kept as its Services change."""

from collections.abc import Callable
from dataclasses import replace

from ringfence.resources.dns import Asked, Dns, ServiceName, find

from .records import StoredService


class ClusterDns:
    """`moved`: told when it answers elsewhere."""

    def __init__(self, asked: Asked, moved: Callable[[], None]) -> None:
        self._asked, self._moved = asked, moved
        self._services: dict[ServiceName, StoredService] = {}
        self.found: Dns = find(asked, {})

    def is_openshift(self, known: bool) -> None:
        """Note whether the cluster is one: its DNS is elsewhere."""
        self._asked = replace(self._asked, openshift=known)
        self._look()

    def service_changed(self, name: ServiceName, now: StoredService | None) -> None:
        """Take one change of a Service; None: it is gone."""
        if name not in replace(self._asked, openshift=True).watched:
            return
        self._services.pop(name, None)
        if now is not None:
            self._services[name] = now
        self._look()

    def addresses(self) -> tuple[str, ...]:
        """Where it answers: of the Services that lead to it, and of servers on the nodes."""
        named = [self._services[name].addresses for name in self._asked.services if name in self._services]
        nodes = (address.partition("/")[0] for address in self.found.addresses)
        return tuple(dict.fromkeys([*(address for one in named for address in one), *nodes]))

    def _look(self) -> None:
        found = find(self._asked, {name: service.spec for name, service in self._services.items()})
        if found != self.found:
            self.found = found
            self._moved()
