"""`ringfence controller`."""

import asyncio
import ipaddress
import socket
import sys

import click
from kubernetes.aio.config import ConfigException

from ringfence import logs
from ringfence.controller.run import Settings, run
from ringfence.health import Health, HealthServer
from ringfence.metrics import REGISTRY


@click.command("controller")
@click.option("--namespace", default="ringfence-system", show_default=True, help="Namespace that Ringfence runs in.")
@click.option(
    "--identity",
    default=socket.gethostname,
    show_default="host name",
    help="Name of this replica in the Lease.",
)
@click.option(
    "--lease",
    default="ringfence-controller",
    show_default=True,
    help="Name of the Lease that decides who leads.",
)
@click.option(
    "--http-port",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port of /healthz, /readyz and /metrics.",
)
@click.option(
    "--cluster-network",
    "networks",
    multiple=True,
    metavar="CIDR",
    help="A network of the cluster that no agent may reach by address, beyond those found (repeatable).",
)
@click.option(
    "--webhook-configuration",
    default="ringfence",
    show_default=True,
    help="ValidatingWebhookConfiguration whose caBundle is kept.",
)
@click.option(
    "--admission-service",
    default="ringfence-admission",
    show_default=True,
    help="Service of the admission server.",
)
@click.option(
    "--admission-secret",
    default="ringfence-admission-tls",
    show_default=True,
    help="Secret with its certificate.",
)
@click.option(
    "--certificates",
    type=click.Choice(["self", "external"]),
    default="self",
    show_default=True,
    help="self: make and renew the certificate; external: somebody else does (cert-manager).",
)
@click.option(
    "--kubeconfig",
    type=click.Path(exists=True, dir_okay=False),
    default=None,
    help="Default: the pod's service account, else $KUBECONFIG.",
)
@click.option(
    "--log-format",
    type=click.Choice(["auto", "json", "text"]),
    default="auto",
    show_default=True,
    help="auto: text on a terminal, else JSON.",
)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
def command(
    namespace: str,
    identity: str,
    lease: str,
    http_port: int,
    networks: tuple[str, ...],
    webhook_configuration: str,
    admission_service: str,
    admission_secret: str,
    certificates: str,
    kubeconfig: str | None,
    log_format: logs.Format,
    log_level: str,
) -> None:
    """Run the controller: keep every agent's fence as its AgentDeployment says.

    Several replicas may run; one leads by a Lease, the others wait.
    """
    logs.configure(log_format, log_level)
    settings = Settings(
        namespace=namespace,
        identity=identity,
        lease=lease,
        kubeconfig=kubeconfig,
        cluster_networks=tuple(ipaddress.ip_network(text) for text in networks),
    )
    health = Health()
    try:
        with HealthServer(health, REGISTRY, port=http_port):
            sys.exit(asyncio.run(run(settings, health)))
    except ConfigException as failure:
        raise click.ClickException(f"no cluster: {failure}. Name one by --kubeconfig or $KUBECONFIG.") from failure
