"""When somebody's permissions may have changed, as far as watches tell: Roles, RoleBindings, ClusterRoleBindings.

Only where somebody's permissions are asked about again then: the delegate's of a namespace, or those of whoever asked
for an agent, as far as that is recorded; elsewhere nothing is kept.
ClusterRoles, groups and authorizers beside RBAC are not watched.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ringfence.resources.stored import StoredChild

from .context import PolicyContext
from .records import Key


class RightsVersions:
    """A number for each namespace that grows with each such change.

    `wake`: told of an agent to look at. `agents`: of a namespace, or of all (None). `recorded`: whether it is recorded
    who asked for an agent.
    """

    def __init__(
        self,
        context: PolicyContext,
        wake: Callable[[Key], None],
        agents: Callable[[str | None], Collection[Key]],
        recorded: Callable[[Key], bool],
    ) -> None:
        self._context, self._wake, self._agents, self._recorded = context, wake, agents, recorded
        self._versions: dict[str, int] = {}
        self._of_cluster = 0

    def of(self, namespace: str) -> tuple[int, int]:
        """Of a namespace where somebody is asked about; it changes when permissions there may have."""
        return self._versions.get(namespace, 0), self._of_cluster

    def passed_over(self, body: Mapping[str, Any]) -> None:
        """An event of an object that is no agent's: of those kinds that are not kept, Roles give permissions."""
        if body["kind"] == "Role":
            self.changed(body["metadata"].get("namespace"))

    def binding_changed(self, old: StoredChild | None, new: StoredChild | None) -> None:
        """A RoleBinding that is no agent's."""
        record = new or old
        if record is not None and (old is None or new is None or old.digest != new.digest):
            self.changed(record.ref.namespace)

    def changed(self, namespace: str | None = None) -> None:
        """In a namespace, or (None) anywhere."""
        found = [key for key in self._agents(namespace) if self._asked_about(key)]
        if namespace is None:
            self._of_cluster += 1
        elif found or self._context.delegate(namespace) is not None:
            self._versions[namespace] = self._versions.get(namespace, 0) + 1
        for key in found:
            self._wake(key)

    def _asked_about(self, key: Key) -> bool:
        return self._context.delegate(key.namespace) is not None or self._recorded(key)
