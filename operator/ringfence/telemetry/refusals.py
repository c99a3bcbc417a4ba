"""Events of the domain about what egress gateways refused."""

from dataclasses import dataclass

from .events import AgentEvent


@dataclass(frozen=True, kw_only=True)
class EgressRefused(AgentEvent):
    """Its egress gateway refused requests. `rule`: why, as `gateway.log.Reason`."""

    rule: str
    count: int


@dataclass(frozen=True, kw_only=True)
class EgressRefusedOften(AgentEvent):
    """Its egress gateway refused `count` requests or more within a minute. `field`: what would allow them, if any."""

    rule: str
    count: int
    field: str | None = None


@dataclass(frozen=True, kw_only=True)
class GatewayUpdateRefused(AgentEvent):
    """Its egress gateway says that Envoy refused a file of the configuration, and goes by the one before."""


@dataclass(frozen=True)
class EgressReported:
    """A gateway, or somebody, reported refusals. `result`: taken, unknown, unreadable, late."""

    result: str
