"""The instance's network: a namespace for the node, one that plays the internet, and no way out.

machine                 node (control plane, pods)             "internet"
192.168.77.1  -- veth --  192.168.77.2
                          10.96.0.0/16 services
                          10.244.0.0/24 pods (one veth each)
                          203.0.113.1  ------------ veth ---- 203.0.113.10, .20, .53, 169.254.169.254
                                                              45.90.0.10, .20
"""

from __future__ import annotations

from pathlib import Path

from .instance import Instance
from .shell import nsenter, run

__all__ = ["INTERNET", "METADATA", "PUBLIC", "create", "remove"]

INTERNET = ("203.0.113.10", "203.0.113.20", "203.0.113.53")
"""Hosts of the pretend internet: the LLM, a host that nobody should reach, a public resolver."""

PUBLIC = ("45.90.0.10", "45.90.0.20")
"""More of its hosts, at addresses that nobody takes for private: egress gateways reach no others. They are routed
inside of these two namespaces alone."""

METADATA = "169.254.169.254"
"""The address on which clouds hand out credentials."""

GATEWAY = "203.0.113.1"
UPLINK = "uplink"
PODS = "10.244.0.0/16"


def create(instance: Instance) -> None:
    """Make both namespaces and their links."""
    node, net = instance.netns, instance.internet_netns
    machine_end = f"rf{instance.index}"
    for namespace in (node, net):
        run(["ip", "netns", "add", namespace])
    run(["ip", "link", "add", machine_end, "type", "veth", "peer", "name", UPLINK, "netns", node])
    run(["ip", "addr", "add", f"{instance.host_address}/24", "dev", machine_end])
    run(["ip", "link", "set", machine_end, "up"])
    _shut_in(instance)
    _batch(
        node,
        "link set lo up",
        f"addr add {instance.node_address}/24 dev {UPLINK}",
        f"link set {UPLINK} up",
        # Without a route the node itself has no way to a service address: "network is unreachable".
        f"route add 10.96.0.0/16 dev {UPLINK} src {instance.node_address}",
        f"link add internet type veth peer name uplink netns {net}",
        f"addr add {GATEWAY}/24 dev internet",
        "link set internet up",
        f"route add {METADATA} dev internet",
        *(f"route add {address} dev internet" for address in PUBLIC),
    )
    _batch(
        net,
        "link set lo up",
        *(f"addr add {address}/24 dev uplink" for address in INTERNET),
        *(f"addr add {address}/32 dev uplink" for address in (METADATA, *PUBLIC)),
        "link set uplink up",
        f"route add default via {GATEWAY}",
    )


def remove(instance: Instance) -> None:
    """Remove the namespaces; links end with them."""
    for namespace in (instance.netns, instance.internet_netns):
        if Path("/run/netns", namespace).exists():
            run(["ip", "netns", "delete", namespace])


def _batch(namespace: str, *commands: str) -> None:
    run(["ip", "-n", namespace, "-batch", "-"], stdin="\n".join(commands) + "\n")


def _shut_in(instance: Instance) -> None:
    """Route between pods and the pretend internet, but never let a pod's packet out to the machine.

    The machine would route the answer to whatever it takes for 10.244.0.0/16. IPv6 is off: policies
    would have to be enforced for it too. A pod cannot send with an address that is not its own.
    """
    settings = {
        "ipv4/ip_forward": 1,
        "ipv4/conf/all/rp_filter": 1,
        "ipv4/conf/default/rp_filter": 1,
        "ipv6/conf/all/disable_ipv6": 1,
        "ipv6/conf/default/disable_ipv6": 1,
    }
    there = [f"test ! -e /proc/sys/net/{key} || echo {value} > /proc/sys/net/{key}" for key, value in settings.items()]
    run(nsenter(instance.netns, "sh", "-e", "-c", "\n".join(there)))
    rules = f"""
        table inet ringfence-uplink {{
          chain forward {{
            type filter hook forward priority -200; policy accept;
            ip saddr {PODS} oifname "{UPLINK}" drop
            iifname "{UPLINK}" drop
          }}
        }}
    """
    run(nsenter(instance.netns, "nft", "-f", "-"), stdin=rules)
