"""What the watches have shown: agents, their children, Services. A plain cache without I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ringfence.api.names import AGENT_LABEL, API_VERSION, MANAGED_BY, MANAGED_BY_LABEL
from ringfence.kube import Object, path_of
from ringfence.resources import Endpoint, ServicePort
from ringfence.resources.model import ALLOW, DENY, agent_name, child_name
from ringfence.resources.secrets import key_name

from .agent.field_manager import Author, of_spec

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
    "CronJob": ("batch/v1", "cronjobs"),
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
    authors: dict[Key, Author] = field(default_factory=dict)
    """Who wrote the specs of the agents: all that is kept of managedFields, which are longer than the rest."""
    _of_keys: dict[tuple[str, str], Key] = field(default_factory=dict)
    """Namespace and name of what rotates a key -> its agent."""
    _slices: dict[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    _gone: dict[tuple[int, Any], int] = field(default_factory=dict)
    """Store and key of what was deleted -> when (resourceVersion): a list read before that must not bring it back."""
    _gone_before: dict[tuple[int, Any], int] = field(default_factory=dict)
    """The same, from before the last list."""

    def observe_agent(self, event_type: str | None, body: Object) -> Key:
        """Take one event of an AgentDeployment; the key to look at."""
        key = Key(body["metadata"]["namespace"], body["metadata"]["name"])
        if self._observe(self.agents, key, event_type, body):
            self.authors[key] = of_spec(body["metadata"])
        elif key not in self.agents:
            self.authors.pop(key, None)
        for name in _key_names(key, body):
            self._of_keys[key.namespace, name] = key
        return key

    def observe_child(self, event_type: str | None, body: Object, kind: str) -> Key | None:
        """Take one event of a child; the agent to look at, or None where it has not the name of a child."""
        body = body if body.get("kind") else {"kind": kind} | body  # items of a list come without their kind
        ref = Ref.of(body)
        if (key := self.agent_of(ref, body)) is not None:
            self._observe(self.children, ref, event_type, body)
        return key

    def agent_of(self, ref: Ref, body: Mapping[str, Any]) -> Key | None:
        """The agent that a child belongs to: by its name, which no edit can take away.

        What rotates keys has names too short for the agent's: those are known from the agents' specs, and else, where a
        secret is no longer in its spec, from the owner.
        """
        if "." not in ref.name:
            name = agent_name(ref.kind, ref.name)
            return Key(ref.namespace, name) if name else None
        if key := self._of_keys.get((ref.namespace, ref.name)):
            return key
        owners = body["metadata"].get("ownerReferences") or []
        return next((Key(ref.namespace, one["name"]) for one in owners if one.get("kind") == "AgentDeployment"), None)

    def forget_keys(self, key: Key) -> set[Ref]:
        """Of an agent that is gone: drop the names of what rotated its keys, and give them."""
        names = [place for place, owner in self._of_keys.items() if owner == key]
        for place in names:
            del self._of_keys[place]
        return {Ref(kind, namespace, name) for namespace, name in names for kind in CHILD_KINDS}

    def observe_service(self, event_type: str | None, body: Object) -> list[Key]:
        """Take one event of a Service; the agents that name it."""
        name = (body["metadata"]["namespace"], body["metadata"]["name"])
        spec = body.get("spec") or {}
        kept = {
            "metadata": {key: body["metadata"].get(key) for key in ("uid", "resourceVersion")},
            "spec": {key: spec.get(key) for key in ("selector", "ports", "type")},
        }
        before = self.services.get(name, {}).get("spec")
        self._observe(self.services, name, event_type, kept)
        if self.services.get(name, {}).get("spec") == before:
            return []
        return [key for key, agent in self.agents.items() if name in _named_services(key, agent)]

    def observe_api_server(self, event_type: str | None, body: Mapping[str, Any]) -> bool:
        """Take one event of an EndpointSlice of `default/kubernetes`; whether the addresses changed."""
        before = self.api_server
        self._slices[body["metadata"]["name"]] = () if event_type == "DELETED" else api_server_endpoints(body)
        return self.api_server != before

    @property
    def api_server(self) -> tuple[Endpoint, ...]:
        """All addresses of the API server."""
        return tuple(sorted({endpoint for found in self._slices.values() for endpoint in found}))

    def replace_children(self, kind: str, items: Sequence[Object], version: int) -> None:
        """Take `items`, listed at `version`, as all children of a kind: what is not among them is gone."""
        fresh = {Ref(kind, item["metadata"]["namespace"], item["metadata"]["name"]) for item in items}
        _drop(self.children, [ref for ref in self.children if ref.kind == kind and ref not in fresh], version)
        for item in items:
            self.observe_child("MODIFIED", item, kind)

    def replace_agents(self, items: Sequence[Object], version: int) -> list[Key]:
        """Take `items` as all AgentDeployments; those that are gone."""
        fresh = {Key(item["metadata"]["namespace"], item["metadata"]["name"]) for item in items}
        lost = _drop(self.agents, [key for key in self.agents if key not in fresh], version)
        for key in lost:
            self.authors.pop(key, None)
        for item in items:
            self.observe_agent("MODIFIED", item)
        return lost

    def replace_services(self, items: Sequence[Object], version: int) -> None:
        """Take `items` as all Services."""
        fresh = {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in items}
        _drop(self.services, [name for name in self.services if name not in fresh], version)
        for item in items:
            self.observe_service("MODIFIED", item)

    def replace_api_server(self, slices: Sequence[Object]) -> None:
        """Take `slices` as all EndpointSlices of `default/kubernetes`."""
        self._slices = {body["metadata"]["name"]: api_server_endpoints(body) for body in slices}

    def age(self) -> None:
        """To be called before each round of lists: deletions from before the last round need not be known any more."""
        self._gone_before, self._gone = self._gone, {}

    def _observe(self, store: dict[Any, Object], key: Any, event_type: str | None, body: Object) -> bool:
        """Store the news unless newer news is there; whether that was done. resourceVersions compare as numbers."""
        known, version, place = store.get(key), _version(body), (id(store), key)
        if known is not None and _version(known) > version:
            return False  # a stale copy, or the end of an earlier object of that name
        if event_type == "DELETED":
            store.pop(key, None)
            self._gone[place] = version
        elif version > max(self._gone.get(place, -1), self._gone_before.get(place, -1)):
            metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
            store[key] = body | {"metadata": metadata}
            return True
        return False

    def service_port(self, namespace: str, name: str, port: int) -> ServicePort | None:
        """Where one port of a Service leads; None when there is no such Service, selector or TCP port."""
        spec = self.services.get((namespace, name), {}).get("spec") or {}
        if not spec.get("selector") or spec.get("type") == "ExternalName":
            return None
        for entry in spec.get("ports") or []:
            if entry.get("port") == port and entry.get("protocol", "TCP") == "TCP":
                return ServicePort(dict(spec["selector"]), entry.get("targetPort") or port)
        return None


def children_of(key: Key) -> set[Ref]:
    """All children that an agent can have, but for what rotates its keys: see `forget_keys`."""
    plain = {
        Ref(kind, key.namespace, child_name(key.name))
        for kind in CHILD_KINDS
        if kind not in {"NetworkPolicy", "CronJob"}
    }
    return plain | {Ref("NetworkPolicy", key.namespace, child_name(key.name, suffix)) for suffix in (DENY, ALLOW)}


def api_server_endpoints(body: Mapping[str, Any]) -> tuple[Endpoint, ...]:
    """Addresses and ports of one EndpointSlice of `default/kubernetes`."""
    ports = [port["port"] for port in body.get("ports") or [] if port.get("port")]
    addresses = [address for endpoint in body.get("endpoints") or [] for address in endpoint.get("addresses", [])]
    return tuple(Endpoint(address, port) for address in sorted(addresses) for port in ports)


def _key_names(key: Key, agent: Object) -> list[str]:
    secrets = (agent.get("spec") or {}).get("secrets") or []
    names = [secret.get("name") for secret in secrets if isinstance(secret, Mapping)]
    return [key_name(key.name, name) for name in names if isinstance(name, str)]


def _named_services(key: Key, agent: Object) -> set[tuple[str, str]]:
    rules = ((agent.get("spec") or {}).get("network") or {}).get("egress") or []
    targets = [rule["service"] for rule in rules if isinstance(rule, Mapping) and rule.get("service")]
    return {(target.get("namespace") or key.namespace, target.get("name")) for target in targets}


def _drop(store: dict[Any, Object], keys: Sequence[Any], version: int) -> list[Any]:
    """Forget those of `keys` that were there at `version`; what is newer was merely not there yet."""
    dropped = [key for key in keys if _version(store[key]) <= version]
    for key in dropped:
        del store[key]
    return dropped


def _version(body: Object) -> int:
    text = str(body["metadata"].get("resourceVersion", ""))
    return int(text) if text.isdigit() else 0
