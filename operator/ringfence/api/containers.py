"""Containers beside the agent's own: with the same hardening and in the same fence.

All containers of a pod share its network. A container gets of the agent's secrets those that name it, and of its
volumes those that it shares; the agent's token of the Kubernetes API is its own.
"""

from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from .base import ListType, Model, Rule, ValueRule
from .container import Resources
from .fields import DNS_LABEL, AbsolutePath, Argument, EnvName, Image
from .files import ConfigMapKey, EnvFrom, content_bytes
from .probes import Probe

AGENT: Final = "agent"
"""Name of the agent's own container."""
GATE: Final = "ringfence-gate"
"""Name of the first container of each of its pods, which is Ringfence's."""
MAX_CONTENT: Final = 16384
MAX_CONTENT_OF_ALL: Final = 65536
"""Bytes of all files of containers beside the agent's own together: they are in annotations of the pods, too."""

ContainerName = Annotated[
    str,
    Field(min_length=1, max_length=32, pattern=DNS_LABEL),
    ValueRule(
        cel=f"self != '{AGENT}' && self != '{GATE}'",
        message=f"{AGENT} is the agent's own container, {GATE} Ringfence's: choose another name",
        check=lambda name: name not in {AGENT, GATE},
    ),
]
SideText = Annotated[str, Field(max_length=4096, pattern=r"^[^\x00]*$")]


class SideVar(Model):
    """One environment variable. Not for secrets: the value is readable by whoever reads the object."""

    name: EnvName = Field(description="Name of the variable: letters, digits and _.")
    value: SideText = Field(default="", description="Its value: plain text.")


class SideFile(Model):
    """One file that the container can read and cannot write."""

    cel_rules: ClassVar = (
        Rule(
            cel="has(self.content) != has(self.configMap)",
            message="name exactly one of content and configMap",
            check=lambda file: (file.content is None) != (file.config_map is None),
        ),
    )

    path: AbsolutePath = Field(description="Full path of the file. The same holds of it as of spec.files.")
    content: Annotated[str, Field(max_length=MAX_CONTENT, pattern=r"^[^\x00]*$")] | None = Field(
        default=None, description="The text of the file. Not for secrets: whoever reads the object reads it."
    )
    config_map: ConfigMapKey | None = Field(
        default=None, description="Takes the text from a ConfigMap, as it is when a pod starts."
    )


class SideContainer(Model):
    """What containers before and beside the agent have in common."""

    name: ContainerName = Field(description="Its name; no two containers of an agent have the same.")
    image: Image = Field(
        description="Its image, by the same rules as the agent's. Its signatures stand in spec.imageSignatures."
    )
    command: Annotated[list[Argument], Field(max_length=16), ListType("atomic")] = Field(
        default_factory=list, description="Replaces the image's entrypoint. Run as it is, without a shell."
    )
    args: Annotated[list[Argument], Field(max_length=32), ListType("atomic")] = Field(
        default_factory=list, description="Arguments of the command. Not for secrets."
    )
    env: Annotated[list[SideVar], Field(max_length=32), ListType("map", ("name",))] = Field(
        default_factory=list, description="Environment variables, by value only. Not for secrets."
    )
    env_from: Annotated[list[EnvFrom], Field(max_length=4), ListType("map", ("config_map",))] = Field(
        default_factory=list, description="Environment variables from ConfigMaps, each named. Not for secrets."
    )
    files: Annotated[list[SideFile], Field(max_length=4), ListType("map", ("path",))] = Field(
        default_factory=list, description="Configuration files, read-only. Not for secrets."
    )
    shares: Annotated[list[AbsolutePath], Field(max_length=4), ListType("set")] = Field(
        default_factory=list,
        description="Paths of spec.scratch, spec.storage and spec.volumes that it has, too, at the same place and "
        "with the same access. Of its own it has /tmp; the rest is read-only.",
    )
    resources: Resources = Field(default_factory=Resources)


class InitContainer(SideContainer):
    """One container that runs before the agent and ends."""


class Sidecar(SideContainer):
    """One container that runs beside the agent, and is started again when it ends."""

    probes: Annotated[list[Probe], Field(max_length=3), ListType("map", ("type",))] = Field(
        default_factory=list, description="Probes for startup, readiness and liveness; ports are those of spec.ports."
    )


def beside(spec: Any) -> list[tuple[str, SideContainer]]:
    """Containers beside the agent's own with their paths (`spec.sidecars[0]`), in the order in which they start."""
    return [
        *((f"spec.initContainers[{index}]", one) for index, one in enumerate(spec.init_containers)),
        *((f"spec.sidecars[{index}]", one) for index, one in enumerate(spec.sidecars)),
    ]


def _ports_of_probes(spec: Any) -> set[str]:
    return {way.port for sidecar in spec.sidecars for probe in sidecar.probes for way in (probe.http, probe.tcp) if way}


def _sum(field: str) -> str:
    return f"self.{field}.map(c, c.files.map(f, has(f.content) ? size(bytes(f.content)) : 0).sum()).sum()"


CONTAINER_RULES: Final = (
    Rule(
        cel="self.initContainers.all(c, self.sidecars.all(s, s.name != c.name))",
        message="an entry of initContainers and one of sidecars have the same name: choose another one",
        check=lambda spec: {one.name for one in spec.init_containers}.isdisjoint({one.name for one in spec.sidecars}),
    ),
    Rule(
        cel="self.sidecars.all(s, s.probes.all(p, (!has(p.http) || self.ports.exists(q, q.name == p.http.port)) "
        "&& (!has(p.tcp) || self.ports.exists(q, q.name == p.tcp.port))))",
        message="each port of a sidecar's probes must be the name of one of spec.ports",
        check=lambda spec: _ports_of_probes(spec) <= {port.name for port in spec.ports},
    ),
    Rule(
        cel=f"{_sum('initContainers')} + {_sum('sidecars')} <= {MAX_CONTENT_OF_ALL}",
        message="the content of all files of initContainers and sidecars together must be at most "
        f"{MAX_CONTENT_OF_ALL} bytes: put what is larger into the image, or into a ConfigMap that the file names",
        check=lambda spec: sum(content_bytes(one.files) for _, one in beside(spec)) <= MAX_CONTENT_OF_ALL,
    ),
    Rule(
        cel="self.secrets.all(s, s.containers.all(n, n == 'agent' || self.initContainers.exists(c, c.name == n) "
        "|| self.sidecars.exists(c, c.name == n)))",
        message="each of secrets[].containers must be agent, or the name of one of initContainers or sidecars",
        check=lambda spec: (
            {name for secret in spec.secrets for name in secret.containers}
            <= {AGENT, *(one.name for _, one in beside(spec))}
        ),
    ),
)
