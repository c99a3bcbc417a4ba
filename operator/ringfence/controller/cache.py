"""What the watches have shown: agents, their children, Services. A plain cache without I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ringfence.api.names import AGENT_LABEL, API_VERSION, MANAGED_BY, MANAGED_BY_LABEL
from ringfence.kube import Object, path_of
from ringfence.resources import Endpoint, ServicePort

CHILDREN_SELECTOR = f"{MANAGED_BY_LABEL}={MANAGED_BY},{AGENT_LABEL}"


class Key(NamedTuple):
    """Which AgentDeployment."""

    namespace: str
    name: str


class Ref(NamedTuple):
    """Which child."""

    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> "Ref":
        """The reference of a manifest."""
        return cls(manifest["kind"], manifest["metadata"]["namespace"], manifest["metadata"]["name"])

    @property
    def path(self) -> str:
        """URL path of the object."""
        group_version, plural = CHILD_KINDS[self.kind]
        return path_of(group_version, plural, self.namespace, self.name)


CHILD_KINDS: Mapping[str, tuple[str, str]] = {
    "NetworkPolicy": ("networking.k8s.io/v1", "networkpolicies"),
    "ServiceAccount": ("v1", "serviceaccounts"),
    "Role": ("rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("rbac.authorization.k8s.io/v1", "rolebindings"),
    "PersistentVolumeClaim": ("v1", "persistentvolumeclaims"),
    "Deployment": ("apps/v1", "deployments"),
}
"""Kind of a child -> its group/version and plural."""

AGENTS_PATH = path_of(API_VERSION, "agentdeployments")
SERVICES_PATH = path_of("v1", "services")


def agent_path(key: Key, subresource: str = "") -> str:
    """URL path of an AgentDeployment."""
    return path_of(API_VERSION, "agentdeployments", key.namespace, key.name) + subresource


@dataclass
class Cache:
    """Latest known state, by key. Older news of the same object is ignored."""

    agents: dict[Key, Object] = field(default_factory=dict)
    children: dict[Ref, Object] = field(default_factory=dict)
    services: dict[tuple[str, str], Object] = field(default_factory=dict)
    api_server: tuple[Endpoint, ...] = ()

    def observe_agent(self, event_type: str | None, body: Object) -> Key:
        """Take one event of an AgentDeployment; the key to look at."""
        key = Key(body["metadata"]["namespace"], body["metadata"]["name"])
        _observe(self.agents, key, event_type, body)
        return key

    def observe_child(self, event_type: str | None, body: Object, kind: str) -> Key | None:
        """Take one event of a child; the agent to look at, or None where the object carries no mark of ours."""
        body = body if body.get("kind") else {"kind": kind} | body  # items of a list come without their kind
        _observe(self.children, Ref.of(body), event_type, body)
        return owner_key(body)

    def observe_service(self, event_type: str | None, body: Object) -> list[Key]:
        """Take one event of a Service; the agents that name it."""
        name = (body["metadata"]["namespace"], body["metadata"]["name"])
        spec = body.get("spec") or {}
        kept = {
            "metadata": {key: body["metadata"].get(key) for key in ("uid", "resourceVersion")},
            "spec": {key: spec.get(key) for key in ("selector", "ports", "type")},
        }
        _observe(self.services, name, event_type, kept)
        return [key for key, agent in self.agents.items() if name in _named_services(key, agent)]

    def replace_children(self, kind: str, items: Iterable[Object]) -> None:
        """Take `items` as all children of a kind: what is not among them is gone."""
        fresh = {Ref(kind, item["metadata"]["namespace"], item["metadata"]["name"]): item for item in items}
        for gone in [ref for ref in self.children if ref.kind == kind and ref not in fresh]:
            del self.children[gone]
        for item in fresh.values():
            self.observe_child("MODIFIED", item, kind)

    def replace_agents(self, items: Iterable[Object]) -> None:
        """Take `items` as all AgentDeployments."""
        fresh = {Key(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in items}
        for gone in self.agents.keys() - fresh.keys():
            del self.agents[gone]
        for item in fresh.values():
            self.observe_agent("MODIFIED", item)

    def replace_services(self, items: Iterable[Object]) -> None:
        """Take `items` as all Services."""
        self.services.clear()
        for item in items:
            self.observe_service("MODIFIED", item)

    def service_port(self, namespace: str, name: str, port: int) -> ServicePort | None:
        """Where one port of a Service leads; None when there is no such Service, selector or TCP port."""
        spec = self.services.get((namespace, name), {}).get("spec") or {}
        if not spec.get("selector") or spec.get("type") == "ExternalName":
            return None
        for entry in spec.get("ports") or []:
            if entry.get("port") == port and entry.get("protocol", "TCP") == "TCP":
                return ServicePort(dict(spec["selector"]), entry.get("targetPort") or port)
        return None


def owner_key(body: Mapping[str, Any]) -> Key | None:
    """The agent that a child belongs to: by its controller, else by its label (which an edit may have taken away)."""
    metadata = body["metadata"]
    for owner in metadata.get("ownerReferences") or []:
        if owner.get("kind") == "AgentDeployment" and owner.get("apiVersion") == API_VERSION:
            return Key(metadata["namespace"], owner["name"])
    name = (metadata.get("labels") or {}).get(AGENT_LABEL)
    return Key(metadata["namespace"], name) if name else None


def api_server_endpoints(body: Mapping[str, Any]) -> tuple[Endpoint, ...]:
    """Addresses and ports of one EndpointSlice of `default/kubernetes`."""
    ports = [port["port"] for port in body.get("ports") or [] if port.get("port")]
    addresses = [address for endpoint in body.get("endpoints") or [] for address in endpoint.get("addresses", [])]
    return tuple(Endpoint(address, port) for address in sorted(addresses) for port in ports)


def _named_services(key: Key, agent: Object) -> set[tuple[str, str]]:
    rules = ((agent.get("spec") or {}).get("network") or {}).get("egress") or []
    targets = [rule["service"] for rule in rules if isinstance(rule, Mapping) and rule.get("service")]
    return {(target.get("namespace") or key.namespace, target.get("name")) for target in targets}


def _observe(store: dict[Any, Object], key: Any, event_type: str | None, body: Object) -> None:
    """Store the news unless newer news of the same object is there. resourceVersions of one kind compare as numbers."""
    known = store.get(key)
    same = known is not None and known["metadata"].get("uid") == body["metadata"].get("uid")
    if event_type == "DELETED":
        if same or known is None:
            store.pop(key, None)
    elif not (same and known and _version(known) > _version(body)):
        body = {name: value for name, value in body.items() if name != "metadata"} | {
            "metadata": {name: value for name, value in body["metadata"].items() if name != "managedFields"}
        }
        store[key] = body


def _version(body: Object) -> int:
    text = str(body["metadata"].get("resourceVersion", ""))
    return int(text) if text.isdigit() else 0
