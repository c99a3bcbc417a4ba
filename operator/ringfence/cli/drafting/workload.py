"""From a workload of Kubernetes (Deployment, Pod, CronJob, ...) to a draft."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from .beside import Field, join
from .draft import Draft, listed, mapping, quoted, slug
from .pod_volumes import mounts_of, take_volumes

Path = tuple[str, ...]

TEMPLATES: Final[Mapping[str, Path]] = MappingProxyType(
    {
        "Deployment": ("spec", "template", "spec"),
        "StatefulSet": ("spec", "template", "spec"),
        "DaemonSet": ("spec", "template", "spec"),
        "ReplicaSet": ("spec", "template", "spec"),
        "Job": ("spec", "template", "spec"),
        "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
        "Pod": ("spec",),
    }
)
"""Kind -> where its pods' spec stands."""

_ALIKE: Final[Mapping[str, tuple[Any, ...]]] = MappingProxyType(
    {
        "name": (),
        "imagePullPolicy": (),
        "terminationMessagePath": (),
        "terminationMessagePolicy": (),
        "restartPolicy": ("Always", "Never", "OnFailure"),
        "dnsPolicy": ("ClusterFirst",),
        "schedulerName": ("default-scheduler",),
        "enableServiceLinks": (),
        "automountServiceAccountToken": (),
        "securityContext": ({},),
        "resizePolicy": (),
        "stdin": (False,),
        "tty": (False,),
        "hostNetwork": (False,),
        "hostPID": (False,),
        "hostIPC": (False,),
    }
)
"""What needs no note: an agent has it alike, or it changes nothing. No values: whatever they are."""

THIRTY: Final = 30
"""Seconds that pods get to end where nothing is said, in Kubernetes and here."""
_PROBES: Final = {"startupProbe": "Startup", "readinessProbe": "Readiness", "livenessProbe": "Liveness"}
_AMOUNTS: Final = frozenset({"cpu", "memory", "ephemeral-storage"})


def draft_of(workload: Mapping[str, Any], source: str, name: str = "") -> Draft:
    """`workload`: an object of one of the kinds of TEMPLATES. `name`: of the agent; empty: the workload's."""
    metadata = mapping(workload.get("metadata"))
    kind = str(workload.get("kind"))
    draft = Draft(name or slug(str(metadata.get("name") or "")), source, metadata.get("namespace"))
    at, pod = _pod(workload, TEMPLATES[kind])
    replicas = mapping(workload.get("spec")).get("replicas")
    if kind in ("Deployment", "StatefulSet", "ReplicaSet") and isinstance(replicas, int) and replicas != 1:
        draft.spec["replicas"] = replicas
    if kind in ("Job", "CronJob"):
        draft.spec["run"] = _run(kind, mapping(workload.get("spec")))
    elif kind == "DaemonSet":
        draft.leave_out("spec", "an agent does not run once on each node: write replicas")
    _take_pod(draft, pod, at)
    draft.ask_for(
        "spec.network",
        "a workload does not say what it reaches, so nothing is open: name its destinations in network.egress, and its "
        "callers in network.ingress",
    )
    return draft


def _run(kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """When a Job or a CronJob works. How long it may, and how often it tries, is left to the defaults."""
    if kind == "Job":
        return {"mode": "Job"}
    asked = {"timeZone": spec.get("timeZone"), "concurrency": spec.get("concurrencyPolicy")}
    return {"mode": "Schedule", "schedule": spec.get("schedule")} | {name: one for name, one in asked.items() if one}


def _pod(workload: Mapping[str, Any], path: Path) -> tuple[str, Mapping[str, Any]]:
    found = workload
    for step in path:
        found = mapping(found.get(step))
    return ".".join(path), found


def _take_pod(draft: Draft, pod: Mapping[str, Any], at: str) -> None:
    containers = [mapping(one) for one in listed(pod.get("containers"))]
    own = containers[0] if containers else {}
    if containers:
        _take(draft, own, f"{at}.containers[0]", _CONTAINER)
    _take(draft, pod, at, _POD)
    take_volumes(draft, own, pod, f"{at}.containers[0]")
    volumes = {volume: path for path, volume in mounts_of(own).items()}
    for field, container, where in _beside(pod, containers[1:], at):
        side = Draft(str(container.get("name") or "container"), draft.source)
        _take(side, container, where, _CONTAINER)
        take_volumes(side, container, pod, where)
        join(draft, field, side, where, volumes, mounts_of(container))


def _beside(
    pod: Mapping[str, Any], others: list[Mapping[str, Any]], at: str
) -> Iterator[tuple[Field, Mapping[str, Any], str]]:
    """All containers but the first, in the order in which they start: what each becomes, and where it stands."""
    for index, container in enumerate(map(mapping, listed(pod.get("initContainers")))):
        goes_on = container.get("restartPolicy") == "Always"
        yield "sidecars" if goes_on else "initContainers", container, f"{at}.initContainers[{index}]"
    for index, container in enumerate(others, start=1):
        yield "sidecars", container, f"{at}.containers[{index}]"


Taker = Callable[[Draft, Any, str], None]


def _take(draft: Draft, source: Mapping[str, Any], at: str, takers: Mapping[str, Taker]) -> None:
    """Each field by its taker, in the order of these; what has none, and is not alike for every agent, is noted."""
    for key in sorted(source, key=lambda key: list(takers).index(key) if key in takers else len(takers)):
        value, where = source[key], f"{at}.{key}"
        if key in takers:
            takers[key](draft, value, where)
        elif value is not None and not (key in _ALIKE and (not _ALIKE[key] or value in _ALIKE[key])):
            draft.unknown(where, key)


def _as_it_is(name: str) -> Taker:
    def take(draft: Draft, value: Any, _: str) -> None:
        draft.spec[name] = value

    return take


def _nothing(draft: Draft, value: Any, where: str) -> None:
    """Somebody else's affair."""


def _env(draft: Draft, value: Any, where: str) -> None:
    for index, variable in enumerate(map(mapping, listed(value))):
        name, origin = str(variable.get("name")), mapping(variable.get("valueFrom"))
        if not origin:
            draft.add("env", {"name": name, "value": variable.get("value") or ""})
        elif secret := mapping(origin.get("secretKeyRef")):
            draft.secret(name, str(secret.get("name")), str(secret.get("key")))
        elif source := mapping(origin.get("configMapKeyRef")):
            _variable_of_map(draft, name, source, f"{where}[{index}]")
        else:
            draft.leave_out(f"{where}[{index}]", "an agent is not told of its pod or node: write a value, or drop it")


def _variable_of_map(draft: Draft, name: str, source: Mapping[str, Any], where: str) -> None:
    if source.get("key") != name:
        draft.leave_out(
            where,
            f"a variable from a ConfigMap is called as its key: name the key {quoted(name)} there, and write envFrom",
        )
        return
    for entry in draft.spec.get("envFrom", []):
        if entry["configMap"] == source.get("name"):
            entry["keys"].append(name)
            return
    draft.add("envFrom", {"configMap": source.get("name"), "keys": [name]})


def _env_from(draft: Draft, value: Any, where: str) -> None:
    for index, source in enumerate(map(mapping, listed(value))):
        if named := mapping(source.get("configMapRef")).get("name"):
            sentence = f"an agent gets variables that are named: envFrom: [{{configMap: {named}, keys: [LOG_LEVEL]}}]"
        else:
            sentence = "an agent gets no whole Secret: write an entry of secrets for each key that it needs"
        draft.ask_for(f"{where}[{index}]", sentence)


def _ports(draft: Draft, value: Any, where: str) -> None:
    for index, port in enumerate(map(mapping, listed(value))):
        if port.get("protocol") not in (None, "TCP"):
            draft.leave_out(f"{where}[{index}]", "ports of agents are TCP")
            continue
        number = port.get("containerPort")
        draft.add("ports", {"name": port.get("name") or f"port-{number}", "port": number})
        if port.get("hostPort"):
            draft.leave_out(f"{where}[{index}].hostPort", "a port of an agent is never one of its node")


def _resources(draft: Draft, value: Any, where: str) -> None:
    for what in ("requests", "limits"):
        for resource, amount in mapping(mapping(value).get(what)).items():
            if resource in _AMOUNTS:
                draft.spec.setdefault("resources", {}).setdefault(what, {})[resource] = amount
            elif "/" in resource and what == "limits":
                draft.add("devices", {"name": resource, "count": int(amount) if str(amount).isdigit() else amount})
            elif "/" not in resource:
                draft.leave_out(f"{where}.{what}", f"of {quoted(resource)} an agent has no amount")


def _probe(draft: Draft, value: Any, where: str) -> None:
    source = mapping(value)
    probe: dict[str, Any] = {"type": _PROBES[where.rpartition(".")[2]]}
    if _unknown_port(draft, source):
        draft.leave_out(where, "its port is none that has a name: add that to ports")
        return
    if http := mapping(source.get("httpGet")):
        probe["http"] = {"path": http.get("path") or "/", "port": _port_name(draft, http.get("port"))}
        if http.get("scheme") == "HTTPS":
            probe["http"]["scheme"] = "HTTPS"
    elif tcp := mapping(source.get("tcpSocket")):
        probe["tcp"] = {"port": _port_name(draft, tcp.get("port"))}
    elif command := mapping(source.get("exec")).get("command"):
        probe["command"] = command
    else:
        draft.leave_out(where, "a probe is http, tcp or command: for gRPC write a command of the image that asks")
        return
    for key, name in (("periodSeconds", "every"), ("timeoutSeconds", "timeout"), ("initialDelaySeconds", "delay")):
        if source.get(key):
            probe[name] = f"{source[key]}s"
    if source.get("failureThreshold"):
        probe["failures"] = source["failureThreshold"]
    draft.add("probes", probe)


def _unknown_port(draft: Draft, source: Mapping[str, Any]) -> bool:
    """Whether a probe goes to a port by a name that no port has."""
    named = [mapping(source.get(way)).get("port") for way in ("httpGet", "tcpSocket")]
    known = {port["name"] for port in draft.spec.get("ports", [])}
    return any(isinstance(port, str) and port not in known for port in named)


def _port_name(draft: Draft, port: Any) -> Any:
    """The name of a port that is known by its number: one of the ports, or one more."""
    if not isinstance(port, int):
        return port
    for known in draft.spec.get("ports", []):
        if known["port"] == port:
            return known["name"]
    draft.add("ports", {"name": f"port-{port}", "port": port})
    return f"port-{port}"


def _security(draft: Draft, value: Any, where: str) -> None:
    """Ids of users are taken; what hardens, every agent has; what loosens, none."""
    context = mapping(value)
    for key in ("runAsUser", "runAsGroup"):
        if context.get(key) == 0:
            draft.leave_out(f"{where}.{key}", "no agent runs as root")
        elif context.get(key) is not None:
            draft.spec[key] = context[key]
    if context.get("fsGroup") and "runAsGroup" not in context:
        draft.spec.setdefault("runAsGroup", context["fsGroup"])
    loose = {"privileged": True, "allowPrivilegeEscalation": True, "procMount": "Unmasked"}
    for key, bad in loose.items():
        if context.get(key) == bad:
            draft.unknown(f"{where}.{key}", "securityContext")
    if mapping(context.get("capabilities")).get("add"):
        draft.unknown(f"{where}.capabilities.add", "capabilities")
    if context.get("readOnlyRootFilesystem") is False:
        draft.ask_for(
            where, "an agent's image is read-only: name where it writes in scratch: [{path: /cache, size: 1Gi}]"
        )


def _scheduling(draft: Draft, value: Any, where: str) -> None:
    key = where.rpartition(".")[2]
    if key == "tolerations":
        kept = []
        for one in map(mapping, listed(value)):
            if str(one.get("key", "")).startswith("node.kubernetes.io/"):
                continue  # the API server itself adds these to pods
            kept.append({name: one[name] for name in ("key", "value", "effect") if one.get(name)})
        value = kept
    if value:
        draft.spec.setdefault("scheduling", {})[key] = value


def _grace(draft: Draft, value: Any, _: str) -> None:
    if value != THIRTY:
        draft.spec.setdefault("stop", {})["gracePeriod"] = f"{value}s"


def _lifecycle(draft: Draft, value: Any, where: str) -> None:
    hook = mapping(mapping(value).get("preStop"))
    if command := mapping(hook.get("exec")).get("command"):
        draft.spec.setdefault("stop", {})["command"] = command
    if mapping(value).get("postStart") or (hook and not mapping(hook.get("exec"))):
        draft.leave_out(
            where, "an agent has a command before its end, stop: {command: [/app/drain]}, and no other hook"
        )


def _pull_secrets(draft: Draft, value: Any, _: str) -> None:
    draft.spec["imagePullSecrets"] = [mapping(one).get("name") for one in listed(value)]


def _runtime_class(draft: Draft, value: Any, _: str) -> None:
    draft.spec["sandbox"] = {"runtimeClassName": value}


def _account(draft: Draft, value: Any, where: str) -> None:
    if value and value != "default" and not any(note.where.endswith("serviceAccountName") for note in draft.notes):
        draft.ask_for(
            where,
            f"the rights of ServiceAccount {quoted(value)} are not taken over: an agent has one of its own, with what "
            "permissions.rules say",
        )


_CONTAINER: Final[Mapping[str, Taker]] = MappingProxyType(
    {
        "image": _as_it_is("image"),
        "command": _as_it_is("command"),
        "args": _as_it_is("args"),
        "env": _env,
        "envFrom": _env_from,
        "ports": _ports,
        **dict.fromkeys(_PROBES, _probe),  # by then the ports have their names
        "resources": _resources,
        "securityContext": _security,
        "volumeMounts": _nothing,
        "lifecycle": _lifecycle,
    }
)
_POD: Final[Mapping[str, Taker]] = MappingProxyType(
    {
        "containers": _nothing,
        "volumes": _nothing,
        "initContainers": _nothing,
        "terminationGracePeriodSeconds": _grace,
        "securityContext": _security,
        "nodeSelector": _scheduling,
        "tolerations": _scheduling,
        "priorityClassName": _scheduling,
        "imagePullSecrets": _pull_secrets,
        "runtimeClassName": _runtime_class,
        "serviceAccountName": _account,
        "serviceAccount": _account,
        "priority": _nothing,  # the API server's own, by the class
        "preemptionPolicy": _nothing,
        "nodeName": _nothing,  # where a pod runs; a template has none
    }
)
