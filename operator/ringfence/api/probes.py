"""How the kubelet asks whether an agent has started, takes requests, and lives."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .base import ListType, Model, Rule, ValueRule
from .fields import Argument, HttpPath, PortName
from .secrets import Duration, between, duration

LONGEST = timedelta(hours=1)

ProbeType = Literal["Startup", "Readiness", "Liveness"]

Interval = Annotated[Duration, between("1s", "1h")]
"""As in Kubernetes, whole seconds."""
Delay = Annotated[
    Duration,
    ValueRule(
        cel="duration(self) <= duration('1h')",
        message="must be at most 1h: for an agent that starts slowly write a probe of type Startup",
        check=lambda text: duration(text) <= LONGEST,
    ),
]


class HttpProbe(Model):
    """GET of a path. It goes to the agent's own pod, and carries no headers."""

    path: HttpPath = Field(default="/", description="Path that answers 200 to 399 when the agent is well.")
    port: PortName = Field(description="Name of one of spec.ports.")
    scheme: Literal["HTTP", "HTTPS"] = Field(
        default="HTTP", description="HTTPS: the kubelet does not look at the certificate."
    )


class TcpProbe(Model):
    """A connection."""

    port: PortName = Field(description="Name of one of spec.ports.")


class Probe(Model):
    """One probe: exactly one of http, tcp and command. The kubelet's probes pass the fence."""

    cel_rules: ClassVar = (
        Rule(
            cel="[has(self.http), has(self.tcp), has(self.command)].filter(x, x).size() == 1",
            message="name exactly one of http, tcp and command",
            check=lambda probe: sum(way is not None for way in (probe.http, probe.tcp, probe.command)) == 1,
        ),
    )

    type: ProbeType = Field(
        description="Startup: until it succeeds the other two wait, for agents that start slowly; when it fails, the "
        "container is started again. Readiness: while it fails the pod gets no requests, and the agent is not Ready. "
        "Liveness: when it fails, the container is started again."
    )
    http: HttpProbe | None = None
    tcp: TcpProbe | None = None
    command: Annotated[list[Argument], Field(min_length=1, max_length=64), ListType("atomic")] | None = Field(
        default=None,
        description="Runs in the agent's container, in its fence and without a shell; 0 is well. Not for secrets.",
    )
    every: Interval = Field(default="10s", description="Time between two probes.")
    timeout: Interval = Field(default="1s", description="How long an answer may take.")
    delay: Delay = Field(default="0s", description="Time from the container's start to the first probe.")
    failures: int = Field(default=3, ge=1, le=1000, description="How many in a row count.")


PORT_RULE = Rule(
    cel="self.probes.all(p, (!has(p.http) || self.ports.exists(q, q.name == p.http.port)) "
    "&& (!has(p.tcp) || self.ports.exists(q, q.name == p.tcp.port)))",
    message="each port of probes must be the name of one of spec.ports",
    check=lambda spec: (
        {way.port for probe in spec.probes for way in (probe.http, probe.tcp) if way}
        <= {port.name for port in spec.ports}
    ),
)
