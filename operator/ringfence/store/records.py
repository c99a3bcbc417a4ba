"""What is kept of agents, Services, pods and policies: what a pass needs, and no more."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from ringfence.api.names import (
    AGENT_LABEL,
    API_VERSION,
    CHILD_PREFIX,
    GATEWAY_PREFIX,
    GATEWAY_SUFFIX,
    REQUESTED_BY_ANNOTATION,
    RUN_ANNOTATION,
    VERIFY_ANNOTATION,
)
from ringfence.kube import Object, path_of
from ringfence.policy.elsewhere import target_namespaces
from ringfence.policy.limits import Claim
from ringfence.resources import Ref, ServicePort, openings
from ringfence.resources.dns import service_addresses
from ringfence.resources.field_manager import FieldManager, last_of_spec
from ringfence.resources.reads import BINDINGS, readers
from ringfence.resources.runs import request_digest
from ringfence.resources.stop import known_periods
from ringfence.resources.stored import resource_version
from ringfence.resources.verification import verification_name

from .claims import claim_of
from .pod_parts import containers_before, controller_of, falls_short, judged, pod_addresses

Body = Mapping[str, Any]


class Key(NamedTuple):
    """Which AgentDeployment."""

    namespace: str
    name: str


class PodKey(NamedTuple):
    """Which pod."""

    namespace: str
    name: str


def _exact(text: bytes) -> bytes:
    """A copy of just its size: orjson keeps the whole of its buffer with each text, 8 KiB for 2 KiB of JSON."""
    return bytes(memoryview(text))


def agent_path(key: Key, subresource: str = "") -> str:
    """URL path of an AgentDeployment."""
    return path_of(API_VERSION, "agentdeployments", key.namespace, key.name) + subresource


def child_path(ref: Ref) -> str:
    """URL path of a child."""
    return path_of(ref.group_version, ref.plural, ref.namespace, ref.name)


def pod_path(pod: "StoredPod") -> str:
    """URL path of a pod."""
    return path_of("v1", "pods", *pod.key)


def packed(value: Any) -> bytes:
    """JSON, always the same for the same value: a tenth of the memory of the objects."""
    return _exact(orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS))


@dataclass(frozen=True, slots=True)
class StoredAgent:
    """One AgentDeployment. `manager`: who wrote the spec last."""

    key: Key
    uid: str
    version: int
    generation: int
    deleting: bool
    orphans: bool
    """Whether it is deleted without its children (`kubectl delete --cascade=orphan`)."""
    spec_json: bytes
    status_json: bytes
    manager: FieldManager
    services: frozenset[tuple[str, str]]
    """Namespaces and names of the Services that its egress names."""
    targets: frozenset[str]
    """Other namespaces that its permissions name."""
    by_address: bool
    """Whether its egress names networks: then the cluster's own networks matter to it."""
    by_name: bool
    """Whether its egress names hosts: then its gateway asks the cluster's DNS, and must not reach its networks."""
    calls_api: bool
    """Whether it, or a job of its, talks to the API server: then that one's addresses matter to it."""
    claim: Claim
    """What it asks for, among the agents of its namespace."""
    grace_periods: frozenset[int]
    """Seconds that templates of ours give its pods to end, or gave those that are there still."""
    run_request: str = ""
    """Digest of the text that asks for a run; empty: nobody asks for one."""
    verify_request: str = ""
    """The text that asks that its fence is tried, as the name of what answers it; empty: nobody asks."""
    requested_by: str | None = None
    """Who asked for what it gets, as its annotation says; see policy/recorded.py."""

    @property
    def spec(self) -> Any:
        """As it is stored."""
        return orjson.loads(self.spec_json)

    @property
    def status(self) -> Object:
        """As it is stored; empty where there is none."""
        found: Object = orjson.loads(self.status_json)
        return found


def read_agent(body: Body) -> StoredAgent:
    """What is kept of an AgentDeployment."""
    metadata, spec = body["metadata"], body.get("spec")
    key = Key(sys.intern(metadata["namespace"]), sys.intern(metadata["name"]))
    rules = _egress(spec)
    return StoredAgent(
        key=key,
        uid=sys.intern(str(metadata["uid"])),
        version=resource_version(body),
        generation=metadata.get("generation", 0),
        deleting=bool(metadata.get("deletionTimestamp")),
        orphans="orphan" in (metadata.get("finalizers") or []),
        spec_json=packed(spec),
        status_json=packed(body.get("status") or {}),
        manager=last_of_spec(metadata),
        services=frozenset(_services(key.namespace, rules)),
        targets=frozenset(_targets(spec)) - {key.namespace},
        by_address=any(rule.get("cidr") for rule in rules),
        by_name=any(rule.get("host") for rule in rules),
        calls_api=bool(
            _at(spec, "permissions", "rules") or _at(spec, "permissions", "clusterReads") or _at(spec, "secrets")
        ),
        claim=claim_of(body),
        run_request=request_digest((metadata.get("annotations") or {}).get(RUN_ANNOTATION)),
        verify_request=_verify_request(metadata),
        grace_periods=_shared_set(known_periods(spec, body.get("status") or {})),
        requested_by=_requested_by(metadata),
    )


@lru_cache(maxsize=256)
def _shared_set(found: frozenset[int]) -> frozenset[int]:
    """One object for all agents that say the same: most of them."""
    return found


def _verify_request(metadata: Body) -> str:
    found = (metadata.get("annotations") or {}).get(VERIFY_ANNOTATION)
    return verification_name(metadata["name"], found) if isinstance(found, str) and found else ""


def _requested_by(metadata: Body) -> str | None:
    """One text for all agents of a person."""
    found = (metadata.get("annotations") or {}).get(REQUESTED_BY_ANNOTATION)
    return sys.intern(found) if isinstance(found, str) else None


@dataclass(frozen=True, slots=True)
class StoredService:
    """One Service: its addresses, and where its ports lead."""

    key: tuple[str, str]
    version: int
    spec_json: bytes

    @property
    def spec(self) -> Object:
        """What is kept of its spec."""
        found: Object = orjson.loads(self.spec_json)
        return found

    @property
    def addresses(self) -> tuple[str, ...]:
        """Those that the cluster gave it; a headless one has none."""
        return service_addresses(self.spec)

    def port(self, number: int) -> ServicePort | None:
        """Where one port leads; None where it leads to no pods of the cluster (no selector, no such port)."""
        spec = self.spec
        selector = spec.get("selector")
        if not selector or spec.get("type") == "ExternalName":
            return None
        for port in spec.get("ports") or []:
            if port.get("port") == number and port.get("protocol", "TCP") == "TCP":
                return ServicePort(selector, port.get("targetPort") or number)
        return None


def read_service(body: Body) -> StoredService:
    """What is kept of a Service."""
    metadata, spec = body["metadata"], body.get("spec") or {}
    kept = {name: spec.get(name) for name in ("selector", "ports", "type", "clusterIPs")}
    return StoredService((metadata["namespace"], metadata["name"]), resource_version(body), packed(kept))


@dataclass(frozen=True, slots=True)
class StoredPod:
    """One pod of an agent: what says why it does not run. `told`: as the diagnosis reads it. `ends`: being deleted."""

    key: PodKey
    agent: Key
    version: int
    told: bytes
    ends: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    account: Key | None = None
    """Whose ServiceAccount it runs as, by that one's name: nobody can change it."""
    uid: str = ""
    replica_set: tuple[str, str] | None = None
    """Name and uid of the ReplicaSet that controls it; None where none does."""
    job: tuple[str, str] | None = None
    """The same of a Job."""
    grace: int | None = None
    """Seconds that its spec gives it to end."""
    ends_within: int | None = None
    """Seconds that it was given to end when it was deleted; None: nobody deleted it."""
    unrestricted: tuple[str, ...] = ()
    """Fields by which it falls short of the Pod Security Standard `restricted`, which every pod of ours passes.

    So does a pod without a user id: ours has one of its own, or the platform assigns it.
    """
    addresses: tuple[str, ...] = ()
    """Of an egress gateway's alone."""

    @property
    def is_stray(self) -> bool:
        """Whether it runs as an agent whose label it does not carry."""
        return self.account is not None and self.account != self.agent and not self.ends

    @property
    def is_over(self) -> bool:
        """Whether its containers have ended for good."""
        return self.manifest()["status"].get("phase") in {"Succeeded", "Failed"}

    def manifest(self) -> Object:
        """The part of the pod that was kept, in the pod's own shape."""
        found: Object = orjson.loads(self.told)
        return found


def read_pod(body: Body) -> StoredPod:
    """What is kept of a pod."""
    metadata, status, spec = body["metadata"], body.get("status") or {}, body.get("spec") or {}
    labels = metadata.get("labels") or {}
    account = str(spec.get("serviceAccountName") or "")
    conditions = [
        {"type": one["type"], "status": one["status"], "message": one.get("message", "")}
        for one in status.get("conditions") or []
        if one.get("type") == "PodScheduled" and one.get("status") == "False"
    ]
    containers = [
        {"ready": one.get("ready"), "state": one.get("state") or {}} for one in status.get("containerStatuses") or []
    ]
    told = {"phase": status.get("phase"), "conditions": conditions, "containerStatuses": containers}
    if before := containers_before(spec, status):
        told["initContainerStatuses"] = before
    return StoredPod(
        key=PodKey(metadata["namespace"], metadata["name"]),
        agent=Key(sys.intern(metadata["namespace"]), sys.intern(labels.get(AGENT_LABEL, ""))),
        version=resource_version(body),
        told=packed({"metadata": {"name": metadata["name"]}, "status": told}),
        ends=bool(metadata.get("deletionTimestamp")) or status.get("phase") in {"Succeeded", "Failed"},
        labels=tuple(sorted((sys.intern(key), sys.intern(value)) for key, value in labels.items())),
        account=_agent_of_account(metadata["namespace"], account),
        uid=str(metadata.get("uid", "")),
        replica_set=controller_of(metadata, "ReplicaSet"),
        job=controller_of(metadata, "Job"),
        grace=spec.get("terminationGracePeriodSeconds"),
        ends_within=metadata.get("deletionGracePeriodSeconds") if metadata.get("deletionTimestamp") else None,
        addresses=pod_addresses(status) if labels.get(AGENT_LABEL, "").endswith(GATEWAY_SUFFIX) else (),
        unrestricted=falls_short(_exact(orjson.dumps([{**spec, "nodeName": None}, judged(metadata)]))),
    )


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """One AgentPolicy, as its own reconciler needs it."""

    name: str
    uid: str
    version: int
    generation: int
    status_json: bytes

    @property
    def status(self) -> Object:
        """As it is stored; empty where there is none."""
        found: Object = orjson.loads(self.status_json)
        return found


def read_policy(body: Body) -> StoredPolicy:
    """What is kept of an AgentPolicy beside its spec."""
    metadata = body["metadata"]
    return StoredPolicy(
        name=metadata["name"],
        uid=str(metadata["uid"]),
        version=resource_version(body),
        generation=metadata.get("generation", 0),
        status_json=packed(body.get("status") or {}),
    )


@dataclass(frozen=True, slots=True)
class StoredClusterObject:
    """One object of the whole cluster that may widen fences: `shown` as resources/openings.py reduces it."""

    kind: str
    name: str
    version: int
    shown: Mapping[str, Any] | None
    readers: tuple[tuple[str, str], ...] = ()
    """Of the chart's bindings of cluster-wide reads: namespace and name of the agents that it lists."""


def read_cluster_object(body: Body) -> StoredClusterObject:
    """What is kept of it."""
    kind, metadata = str(body["kind"]), body["metadata"]
    if (
        kind == "ClusterRoleBinding" and metadata["name"] in BINDINGS
    ):  # it widens nothing: passes keep it as it should be
        listed = tuple((sys.intern(one), sys.intern(name)) for one, name in readers(body.get("subjects")))
        return StoredClusterObject(kind, metadata["name"], resource_version(body), None, listed)
    if kind == "ClusterRoleBinding":
        found = openings.accounts(body.get("subjects"), None)
        shown: Mapping[str, Any] | None = {"accounts": found} if found else None
    else:
        shown = openings.cluster_policy(body)
    return StoredClusterObject(kind, metadata["name"], resource_version(body), shown)


def _agent_of_account(namespace: str, account: str) -> Key | None:
    if not account.startswith(CHILD_PREFIX) or account.startswith(GATEWAY_PREFIX):
        return None
    return Key(sys.intern(namespace), sys.intern(account.removeprefix(CHILD_PREFIX)))


def _at(body: Any, *path: str) -> Any:
    for step in path:
        body = body.get(step) if isinstance(body, Mapping) else None
    return body


def _targets(spec: Any) -> list[str]:
    return target_namespaces(spec) if _at(spec, "permissions", "rules") else []


def _egress(spec: Any) -> Sequence[Mapping[str, Any]]:
    rules = _at(spec, "network", "egress")
    return [rule for rule in rules if isinstance(rule, Mapping)] if isinstance(rules, list) else []


def _services(namespace: str, rules: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    targets = [rule["service"] for rule in rules if isinstance(rule.get("service"), Mapping)]
    return [(str(target.get("namespace") or namespace), str(target.get("name"))) for target in targets]
