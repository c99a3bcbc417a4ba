"""Options that several subcommands have: declared once, with one meaning."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import click

from ringfence.api.fields import DNS_SUBDOMAIN, matches

if TYPE_CHECKING:
    from ringfence.policy.model import Network

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def network(text: str) -> "Network":
    """Parse a network such as 10.96.0.0/12."""
    try:
        return ip_network(text)
    except ValueError as failure:
        raise click.BadParameter(str(failure)) from None


def address(text: str) -> str:
    """Take an address such as 10.1.2.3 or fd00::3, in its shortest spelling."""
    try:
        found = ip_address(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no address, such as 10.1.2.3: a name is not taken here") from None
    of_here = found.is_loopback or found.is_multicast or found.is_unspecified or found.is_link_local
    if of_here or getattr(found, "ipv4_mapped", None) or "%" in text:
        raise click.BadParameter(f"{text!r} is no address at which another machine answers, such as 10.1.2.3")
    return str(found)


def domain(text: str) -> str:
    """Take a DNS domain such as cluster.local."""
    if not matches(DNS_SUBDOMAIN, text):
        raise click.BadParameter(f"{text!r} is no domain, such as cluster.local")
    return text


http_port: Decorator = click.option(
    "--http-port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port for /healthz, /readyz and /metrics (HTTP); 0 takes a free one.",
)
cluster_networks: Decorator = click.option(
    "--cluster-network",
    "cluster_networks",
    type=network,
    metavar="CIDR",
    multiple=True,
    help="One more network of the cluster that no agent may reach by address. Repeatable.",
)
api_server_networks: Decorator = click.option(
    "--api-server-network",
    "api_server_networks",
    type=network,
    metavar="CIDR",
    multiple=True,
    help="Believe an address of the API server in this network although its certificate does not name it. Repeatable.",
)
user_ids: Decorator = click.option(
    "--user-ids",
    type=click.Choice(["fixed", "assigned"]),
    default="fixed",
    show_default=True,
    help="Who says which ids pods run as. fixed: Ringfence, 65532; assigned: the platform's admission, as OpenShift's "
    "does.",
)
kubeconfig: Decorator = click.option(
    "--kubeconfig",
    type=click.Path(dir_okay=False),
    help="Default: the pod's service account, else $KUBECONFIG.",
)
output: Decorator = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="text for people, json for programs.",
)
policies: Decorator = click.option(
    "--policy",
    "policy_files",
    multiple=True,
    type=click.Path(),
    metavar="FILE|DIR|-",
    help="AgentPolicies to decide by, and Namespaces by whose labels these select. Repeatable. Default: the built-in "
    "policy `restricted`.",
)
exclude: Decorator = click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Leave out what is called so below a DIR, or has this path from there: charts, '*/old/*.yaml'. Repeatable.",
)
log_format: Decorator = click.option(
    "--log-format",
    type=click.Choice(["auto", "json", "text"]),
    default="auto",
    show_default=True,
    help="auto: text on a terminal, else JSON.",
)
log_level: Decorator = click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="Least severity that is logged.",
)


def connection(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which cluster."""
    for option in (
        click.option("--context", help="Context of the kubeconfig. Default: its current one."),
        click.option(
            "--kubeconfig",
            type=click.Path(dir_okay=False),
            help="Default: $KUBECONFIG, else ~/.kube/config; in a pod, its ServiceAccount.",
        ),
    ):
        command = option(command)
    return command


def of_every_process(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that each long-running subcommand has."""
    for option in (log_level, log_format, kubeconfig, api_server_networks, cluster_networks, http_port):
        command = option(command)
    return command
