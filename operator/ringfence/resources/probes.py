"""Probes of the agent's container."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ringfence.api import AgentDeploymentSpec
from ringfence.api.agentdeployment import ContainerPort
from ringfence.api.probes import HttpProbe, Probe, ProbeType
from ringfence.api.secrets import duration

from .kinds import Manifest

_NAMES: Final[Mapping[ProbeType, str]] = {
    "Readiness": "readinessProbe",
    "Liveness": "livenessProbe",
    "Startup": "startupProbe",
}
_OF_HEALTH: Final[tuple[ProbeType, ...]] = ("Readiness", "Liveness")


def probes(spec: AgentDeploymentSpec) -> Manifest:
    """By their names in a container; empty where the spec names none."""
    each: dict[ProbeType, Probe] = {probe.type: probe for probe in spec.probes}
    if spec.health:
        http = HttpProbe(path=spec.health.path, port=spec.health.port)
        for kind in _OF_HEALTH:
            each.setdefault(kind, Probe(type=kind, http=http))
    return probes_of(list(each.values()), spec.ports)


def probes_of(probes: Sequence[Probe], ports: Sequence[ContainerPort]) -> Manifest:
    """The same of any container: ports are the pod's."""
    each = {probe.type: probe for probe in probes}
    numbers = {port.name: port.port for port in ports}
    return {name: _probe(each[kind], numbers) for kind, name in _NAMES.items() if kind in each}


def _probe(probe: Probe, numbers: dict[str, int]) -> Manifest:
    timings: Manifest = {
        "timeoutSeconds": _seconds(probe.timeout),
        "periodSeconds": _seconds(probe.every),
        "successThreshold": 1,
        "failureThreshold": probe.failures,
    }
    if delay := _seconds(probe.delay):
        timings["initialDelaySeconds"] = delay
    return _way(probe, numbers) | timings


def _way(probe: Probe, numbers: dict[str, int]) -> dict[str, Any]:
    """Ports as numbers: a name could be a sidecar's."""
    if probe.http:
        http = probe.http
        return {"httpGet": {"path": http.path, "port": numbers[http.port], "scheme": http.scheme}}
    if probe.tcp:
        return {"tcpSocket": {"port": numbers[probe.tcp.port]}}
    return {"exec": {"command": probe.command}}


def _seconds(text: str) -> int:
    return int(duration(text).total_seconds())
