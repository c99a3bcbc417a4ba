"""What an agent may reach and who may reach it."""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from .base import ListType, Model, Rule
from .fields import Cidr, DnsLabel, Labels, Port, PortName
from .hostnames import HostPattern

MAX_EGRESS: Final = 128
"""Rules of one agent. As CEL's cost is counted, this many, with 64 paths each, is about all that there can be."""
MAX_RULES: Final = 4
"""Of one host."""
MAX_OTHERS: Final = 64
"""Of these by address and by Service together."""
MAX_HOST_PORTS: Final = 8
HTTPS: Final = 443
HTTP: Final = 80
"""Without TLS, where the gateway ends it: RFC 9110 section 4.2.1."""

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
"""Not CONNECT and TRACE: the one is a tunnel, the other gives back what it was sent, keys as well."""
_WORD: Final = r"(\.?[!$&-)+,0-:=@-Z_a-z~-]+)+"
"""Of RFC 3986 pchar: no percent, as there are two spellings then; no semicolon, at which some servers cut; no star,
which has a meaning here; and dots never alone nor two at a time. Short, as CEL's cost counts each character for each
path; for engines that do not go back."""
RequestPath = Annotated[str, Field(min_length=1, max_length=256, pattern=rf"^(/{_WORD})*(/\*?)?$")]
"""The path of requests: exactly that one, or, with /* at the end, each that begins with what is before the star."""


class RequestRule(Model):
    """Requests that the gateway lets through to a host: of one of the methods, to one of the paths."""

    cel_rules: ClassVar = (
        Rule(
            cel="has(self.methods) || has(self.paths)",
            message="name methods or paths; for all requests to the host leave rules out",
            check=lambda rule: rule.methods is not None or rule.paths is not None,
        ),
    )

    methods: Annotated[list[Method], Field(min_length=1, max_length=7), ListType("set")] | None = Field(
        default=None, description="Methods that pass. Absent: all of these."
    )
    paths: Annotated[list[RequestPath], Field(min_length=1, max_length=16), ListType("set")] | None = Field(
        default=None,
        description="Paths that pass, compared after the gateway has made them plain, without the query: exactly "
        "/v1/messages; or with /v1/files/* each path that begins with /v1/files/, which /v1/files is not. Absent: all.",
    )


MAX_BODY_BYTES: Final = 1 << 25
"""The largest body that the gateway holds back until it is whole: an eighth of its memory's limit."""
MAX_REQUESTS: Final = 100_000
"""Requests in a minute: what one gateway lets through at most, roughly."""
Preset = Literal[
    "anthropic",
    "azure-openai",
    "bedrock",
    "bedrock-mantle",
    "cohere",
    "deepseek",
    "fireworks",
    "google",
    "groq",
    "mistral",
    "openai",
    "openrouter",
    "perplexity",
    "together",
    "vertex",
    "xai",
]
"""Providers of ringfence/policy/providers.json."""


class HostLimits(Model):
    """How much goes out to one host: of the agent as a whole."""

    cel_rules: ClassVar = (
        Rule(
            cel="has(self.requestsPerMinute) || has(self.maxBodyBytes)",
            message="name requestsPerMinute or maxBodyBytes, or leave limits out",
            check=lambda limits: limits.requests_per_minute is not None or limits.max_body_bytes is not None,
        ),
    )

    requests_per_minute: Annotated[int, Field(ge=1, le=MAX_REQUESTS)] | None = Field(
        default=None,
        description="Most requests in a minute; one more is answered 429. Each port, each place of a key and "
        "WebSockets count by themselves. Absent: no bound.",
    )
    max_body_bytes: Annotated[int, Field(ge=1, le=MAX_BODY_BYTES)] | None = Field(
        default=None,
        description="Longest body of a request, in bytes; a longer one is answered 413, also one that does not say its "
        "length. The gateway holds each until it is whole, and there are no WebSockets to the host. Absent: no bound.",
    )


class ServiceTarget(Model):
    """One port of one Service, by the Service's own selector."""

    name: DnsLabel = Field(description="Name of the Service. It must have a selector.")
    namespace: DnsLabel | None = Field(
        default=None,
        description="Namespace of the Service; absent: the agent's own. Another one must be allowed by an AgentPolicy.",
    )
    port: Port = Field(description="Port of the Service (spec.ports[].port), not of the pods behind it.")


class EgressRule(Model):
    """One allowed destination: a Service in the cluster, a network of addresses, or a host by its name. TCP only."""

    cel_rules: ClassVar = (
        Rule(
            cel="[has(self.service), has(self.cidr), has(self.host)].exists_one(named, named)",
            message="name exactly one destination: service, cidr or host",
            check=lambda rule: [rule.service is None, rule.cidr is None, rule.host is None].count(False) == 1,
        ),
        Rule(
            cel="has(self.host) || has(self.cidr) == (has(self.ports) && size(self.ports) > 0)",
            message="a cidr needs ports, such as ports: [443]; a service takes its port in service.port",
            check=lambda rule: rule.host is not None or (rule.cidr is not None) == bool(rule.ports),
        ),
        Rule(
            cel="!has(self.host) || !has(self.ports) || "
            f"(size(self.ports) > 0 && size(self.ports) <= {MAX_HOST_PORTS})",
            message=f"a host has 1 to {MAX_HOST_PORTS} ports; without ports it is reached on {HTTPS}",
            check=lambda rule: rule.host is None or rule.ports is None or 0 < len(rule.ports) <= MAX_HOST_PORTS,
        ),
        Rule(
            cel="has(self.host) || (!has(self.mode) && !has(self.rules) && !has(self.preset) && !has(self.limits))",
            message="mode, rules, preset and limits go with a host: a cidr or a service is reached without the gateway",
            check=lambda rule: rule.host is not None or not any((rule.mode, rule.rules, rule.preset, rule.limits)),
        ),
        Rule(
            cel="!has(self.preset) || !has(self.rules)",
            message="a preset is rules already: name one of the two",
            check=lambda rule: rule.preset is None or rule.rules is None,
        ),
        Rule(
            cel="!has(self.mode) || self.mode != 'Tunnel' || (!has(self.preset) && !has(self.limits))",
            message="of a tunnel the gateway sees no request: leave preset and limits out, or mode: Tunnel",
            check=lambda rule: rule.mode != "Tunnel" or (rule.preset is None and rule.limits is None),
        ),
        Rule(
            cel="!has(self.mode) || self.mode != 'Tunnel' || !has(self.rules)",
            message="a tunnel has no rules: the gateway sees no request inside of it. Leave rules out, or mode: Tunnel",
            check=lambda rule: rule.mode != "Tunnel" or rule.rules is None,
        ),
        Rule(
            cel="!has(self.mode) || self.mode != 'Tunnel' || !has(self.host) || !self.host.startsWith('*')",
            message="a tunnel leads to one host: name it without a star, or leave out mode: Tunnel",
            check=lambda rule: rule.mode != "Tunnel" or rule.host is None or not rule.host.startswith("*"),
        ),
        Rule(
            cel=f"!has(self.mode) || self.mode != 'Tunnel' || !has(self.ports) || !({HTTP} in self.ports)",
            message=f"a tunnel is bound to its host by TLS, which port {HTTP} has none of: leave the port out, or "
            "mode: Tunnel",
            check=lambda rule: rule.mode != "Tunnel" or HTTP not in (rule.ports or ()),
        ),
    )

    service: ServiceTarget | None = Field(
        default=None,
        description="A Service in the cluster, which the agent's pods find by its names without DNS. A headless one "
        "has names of pods alone: as long as such a one is there, the agent gets DNS, at the cluster's DNS pods only.",
    )
    cidr: Cidr | None = Field(
        default=None,
        description="A network such as 203.0.113.0/28, inside what an AgentPolicy allows. "
        "Metadata addresses, nodes, pods, Services and the API server are never reachable this way.",
    )
    host: HostPattern | None = Field(
        default=None,
        description="A host of the public internet by its name, such as api.example.com, which an AgentPolicy allows: "
        "reached through the agent's own egress gateway, and no other name behind the same address. With a star in "
        "place of the first label (*.example.com), where a policy allows that, every name with one label more, by the "
        "proxy's variables alone; a rule for the exact name goes before it.",
    )
    ports: Annotated[list[Port], Field(max_length=16), ListType("atomic")] | None = Field(
        default=None,
        description=f"TCP ports of the cidr or of the host. Of a host absent: {HTTPS}. On port {HTTP} of a host that "
        "is not tunnelled requests go out without TLS, and whoever is on the way reads and changes them.",
    )
    mode: Literal["Terminate", "Tunnel"] | None = Field(
        default=None,
        description="What the gateway does with TLS to the host. Terminate, also where this is absent: TLS ends at "
        "the gateway, which decides each request by host, method and path. Tunnel, where a policy allows it: "
        "the name alone is checked, and what is said inside, and to which account, nobody sees.",
    )
    rules: Annotated[list[RequestRule], Field(min_length=1, max_length=MAX_RULES), ListType("atomic")] | None = Field(
        default=None,
        description="Requests to the host that pass: those of any of these rules. Absent, without a preset: all "
        "methods and paths.",
    )
    preset: Preset | None = Field(
        default=None,
        description="In place of rules: the requests of inference of this LLM provider, whose host it must be; no "
        "files, no batches, no administration. A secret with delivery.gateway to the host needs neither header nor "
        "query then.",
    )
    limits: HostLimits | None = Field(
        default=None, description="How much goes out to the host. Policies bound it by egress.limits. Absent: no bound."
    )

    @property
    def host_ports(self) -> tuple[int, ...]:
        """The ports of a host, in the order of the spec; none where there is no host."""
        return tuple(self.ports or (HTTPS,)) if self.host is not None else ()

    @property
    def is_tunnel(self) -> bool:
        """Whether what is said inside TLS stays between the agent and the host."""
        return self.host is not None and self.mode == "Tunnel"


class Peer(Model):
    """Pods that may connect to the agent, by their namespace and labels."""

    namespace: DnsLabel | None = Field(default=None, description="Their namespace; absent: the agent's own.")
    pod_labels: Labels = Field(
        min_length=1,
        max_length=8,
        description="Labels that the pods must all carry. At least one: nobody is let in by accident.",
    )


class IngressRule(Model):
    """One allowed caller on one port of the agent."""

    from_: Peer = Field(alias="from", description="Who may connect.")
    port: PortName = Field(description="Name of one of spec.ports.")


class Network(Model):
    """All connections that exist. Whatever is not named here is dropped, in both directions."""

    cel_rules: ClassVar = (
        Rule(
            cel=f"!has(self.egress) || self.egress.filter(rule, !has(rule.host)).size() <= {MAX_OTHERS}",
            message=f"an agent has at most {MAX_OTHERS} rules of egress that are not by host",
            check=lambda network: sum(rule.host is None for rule in network.egress) <= MAX_OTHERS,
        ),
    )

    egress: Annotated[list[EgressRule], Field(max_length=MAX_EGRESS), ListType("atomic")] = Field(
        default_factory=list, description="What the agent may reach. Empty: nothing, not even DNS."
    )
    ingress: Annotated[list[IngressRule], Field(max_length=64), ListType("atomic")] = Field(
        default_factory=list, description="Who may reach the agent. Empty: nobody but the kubelet's probes."
    )
