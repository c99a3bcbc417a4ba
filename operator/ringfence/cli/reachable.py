"""What a stored NetworkPolicy lets through, and what a target of `ringfence can AGENT reach` means. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, Final, Literal

from ringfence.policy.selectors import selects
from ringfence.resources.dns import NAMESPACE_NAME_LABEL

Kind = Literal["address", "host", "service", "agent", "name"]
Rules = Sequence[Mapping[str, Any]]

_TARGET: Final = re.compile(
    r"(?:(?P<kind>service|svc|agent|agd)/)?(?P<name>\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):(?P<port>[\w-]+)"
)
_CLUSTER_SUFFIXES: Final = (".svc.cluster.local", ".svc")
_KINDS: Final[Mapping[str, Kind]] = {"service": "service", "svc": "service", "agent": "agent", "agd": "agent"}


@dataclass(frozen=True)
class Target:
    """Where to. `name`: an address, a host, or the name of a Service or agent; `kind` "name": either of these two.

    `namespace`: None where the target does not say. `port`: a number, or (of an agent) a name.
    """

    kind: Kind
    name: str
    namespace: str | None
    port: str

    @property
    def number(self) -> int | None:
        """The port as a number; None where it is a name."""
        return int(self.port) if self.port.isdecimal() else None


def read_target(text: str) -> Target:
    """ADDRESS:PORT, HOST:PORT, [service/|agent/]NAME[.NAMESPACE]:PORT. Raises ValueError with what to write."""
    found = _TARGET.fullmatch(text)
    if found is None:
        raise ValueError("write ADDRESS:PORT, HOST:PORT, service/NAME[.NAMESPACE]:PORT or agent/NAME[.NAMESPACE]:PORT")
    name, port = found["name"].strip("[]"), found["port"]
    if port.isdecimal() and not 1 <= int(port) <= 65535:  # noqa: PLR2004 - the ports that there are
        raise ValueError("a port is a number from 1 to 65535")
    if _is_address(name):
        return Target("address", name, None, port)
    inside = next((name.removesuffix(end) for end in _CLUSTER_SUFFIXES if name.endswith(end)), None)
    short, _, namespace = (inside or name).partition(".")
    if found["kind"]:
        return Target(_KINDS[found["kind"]], short, namespace or None, port)
    if inside is not None:
        return Target("service", short, namespace or None, port)
    return Target("host", name, None, port) if namespace else Target("name", name, None, port)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def to_address(rules: Rules, address: str, port: int) -> bool:
    """Whether egress rules let TCP through to an address."""
    return any(
        _has_port(rule, port) and any(_in_block(peer.get("ipBlock"), address) for peer in rule.get("to") or ())
        for rule in rules
    )


def to_pods(rules: Rules, namespace: str, labels: Mapping[str, str], port: int | str) -> bool:
    """Whether egress rules let TCP through to pods with these labels."""
    return any(_has_port(rule, port) and _among(rule.get("to"), namespace, labels) for rule in rules)


def from_pods(rules: Rules, namespace: str, labels: Mapping[str, str], port: int | str) -> bool:
    """Whether ingress rules let TCP in from pods with these labels."""
    return any(_has_port(rule, port) and _among(rule.get("from"), namespace, labels) for rule in rules)


def _in_block(block: Mapping[str, Any] | None, address: str) -> bool:
    if block is None:
        return False
    found = ip_address(address)
    return found in ip_network(block["cidr"]) and not any(found in ip_network(one) for one in block.get("except") or ())


def _among(peers: Rules | None, namespace: str, labels: Mapping[str, str]) -> bool:
    """A peer without a selector of namespaces means the policy's own: Ringfence writes none such, and it counts not."""
    return any(
        "namespaceSelector" in peer
        and selects(peer["namespaceSelector"], {NAMESPACE_NAME_LABEL: namespace})
        and selects(peer.get("podSelector") or {}, labels)
        for peer in peers or ()
    )


def _has_port(rule: Mapping[str, Any], port: int | str) -> bool:
    ports = rule.get("ports")
    return not ports or any(one.get("protocol", "TCP") == "TCP" and (one.get("port") in {None, port}) for one in ports)
