"""What an agent may reach and who may reach it."""

from typing import Annotated, ClassVar

from pydantic import Field

from .base import ListType, Model, Rule
from .fields import Cidr, DnsLabel, Labels, Port, PortName


class ServiceTarget(Model):
    """One port of one Service, by the Service's own selector."""

    name: DnsLabel = Field(description="Name of the Service. It must have a selector.")
    namespace: DnsLabel | None = Field(
        default=None,
        description="Namespace of the Service; absent: the agent's own. Another one must be allowed by an AgentPolicy.",
    )
    port: Port = Field(description="Port of the Service (spec.ports[].port), not of the pods behind it.")


class EgressRule(Model):
    """One allowed destination: a Service in the cluster, or a network of addresses with ports. TCP only."""

    cel_rules: ClassVar = (
        Rule(
            cel="has(self.service) != has(self.cidr)",
            message="name exactly one destination: service or cidr",
            check=lambda rule: (rule.service is None) != (rule.cidr is None),
        ),
        Rule(
            cel="has(self.cidr) == (has(self.ports) && size(self.ports) > 0)",
            message="a cidr needs ports, such as ports: [443]; a service takes its port in service.port",
            check=lambda rule: (rule.cidr is not None) == bool(rule.ports),
        ),
    )

    service: ServiceTarget | None = Field(
        default=None,
        description="A Service in the cluster. As long as it is there, the agent gets DNS to find it, at the cluster's "
        "DNS pods only.",
    )
    cidr: Cidr | None = Field(
        default=None,
        description="A network such as 203.0.113.0/28, inside what an AgentPolicy allows. "
        "Metadata addresses, nodes, pods, Services and the API server are never reachable this way.",
    )
    ports: Annotated[list[Port], Field(max_length=16), ListType("atomic")] | None = Field(
        default=None, description="TCP ports of the cidr."
    )


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

    egress: Annotated[list[EgressRule], Field(max_length=64), ListType("atomic")] = Field(
        default_factory=list, description="What the agent may reach. Empty: nothing, not even DNS."
    )
    ingress: Annotated[list[IngressRule], Field(max_length=64), ListType("atomic")] = Field(
        default_factory=list, description="Who may reach the agent. Empty: nobody but the kubelet's probes."
    )
