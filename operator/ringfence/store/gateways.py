"""Whose egress gateway has an address: by the pods that the API server tells of."""

from collections.abc import Callable, Collection

from ringfence.api.names import GATEWAY_SUFFIX
from ringfence.resources.gateway_names import gateway_label

from .indexes import index_few
from .records import Key, StoredPod


class GatewayPods:
    """The addresses of gateways' pods, but for pods that are about to end. `agents_in`: the agents of a namespace."""

    def __init__(self, agents_in: Callable[[str], Collection[Key]]) -> None:
        self._agents_in = agents_in
        self._labels_at: dict[str, tuple[Key, ...]] = {}

    def pod_changed(self, old: StoredPod | None, new: StoredPod | None) -> None:
        """Take a pod, whichever it is."""
        if old is not None and new is not None and old.agent == new.agent and _places(old) == _places(new):
            return
        if old is not None:
            index_few(self._labels_at, old.agent, _places(old), ())
        if new is not None:
            index_few(self._labels_at, new.agent, (), _places(new))

    def agent_at(self, address: str) -> Key | None:
        """The agent whose gateway that is; None for an address of any other."""
        for place, label in self._labels_at.get(address, ()):
            agents = self._agents_in(place)
            likely = Key(place, label.removesuffix(GATEWAY_SUFFIX))
            for key in (likely, *agents):  # a long name is cut in its label
                if key in agents and gateway_label(key.name) == label:
                    return key
        return None


def _places(pod: StoredPod | None) -> tuple[str, ...]:
    return () if pod is None or pod.ends else pod.addresses
