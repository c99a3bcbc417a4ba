"""`ringfence controller`."""

import asyncio
import socket
import sys
from pathlib import Path
from typing import Any

import click
from kubernetes.aio.config import ConfigException

from ringfence.api.fields import DNS_LABEL, DNS_SUBDOMAIN, matches
from ringfence.controller.certificates.issue import Names
from ringfence.controller.certificates.keeper import Settings as CertificateSettings
from ringfence.controller.run import RESYNC_SECONDS, Settings, run
from ringfence.packets.attempt import Target
from ringfence.resources import JobImage
from ringfence.resources.dns import DOMAIN, Asked
from ringfence.resources.model import UpstreamProxy
from ringfence.resources.users import UserIds
from ringfence.telemetry import logs
from ringfence.telemetry.health import Health, HealthServer
from ringfence.telemetry.metrics import AGENT_COLLECTOR, registry_of

from . import options


def _service(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[str, str] | None:
    """NAMESPACE/NAME. Raises click.BadParameter."""
    if not text:
        return None
    namespace, _, name = text.partition("/")
    if not (matches(DNS_LABEL, namespace) and matches(DNS_LABEL, name)):
        raise click.BadParameter(f"{text!r} is not NAMESPACE/NAME, such as kube-system/kube-dns")
    return namespace, name


def _labels(_context: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    """Of each KEY=VALUE. Raises click.BadParameter."""
    pairs = [text.partition("=") for text in texts]
    for key, equals, value in pairs:
        if not (key and equals):
            raise click.BadParameter(f"{key + equals + value!r} is not KEY=VALUE, such as monitoring=enabled")
    return {key: value for key, _, value in pairs}


def _secret(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    """A Secret's name. Raises click.BadParameter."""
    if text and not matches(DNS_SUBDOMAIN, text):
        raise click.BadParameter(f"{text!r} is no name of a Secret, such as corporate-proxy")
    return text


def _canary(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[str, int] | None:
    """ADDRESS:PORT. Raises click.BadParameter."""
    if not text:
        return None
    try:
        found = Target.parse(f"TCP:{text}")
    except ValueError:
        raise click.BadParameter(f"{text!r} is not ADDRESS:PORT, such as 10.96.0.9:7007 or [fd00::9]:7007") from None
    return found.address, found.port


@click.command("controller")
@click.option("--namespace", default="ringfence-system", show_default=True, help="Namespace that Ringfence runs in.")
@click.option(
    "--identity", default=socket.gethostname, show_default="host name", help="Name of this replica in the Lease."
)
@click.option(
    "--lease", default="ringfence-controller", show_default=True, help="Name of the Lease that decides who leads."
)
@click.option(
    "--certificates",
    type=click.Choice(["self", "external", "none"]),
    default="self",
    show_default=True,
    help="Of the admission server. self: made and renewed here; external: somebody else does (cert-manager).",
)
@click.option(
    "--webhook-configuration",
    default="ringfence",
    show_default=True,
    help="ValidatingWebhookConfiguration whose caBundle is kept.",
)
@click.option(
    "--registration",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with what the chart installs for admission: compared with what is stored. Without it, nobody looks, and "
    "existing Secrets are handed over unchecked.",
)
@click.option(
    "--admission-service", default="ringfence-admission", show_default=True, help="Service of the admission server."
)
@click.option(
    "--admission-secret",
    default="ringfence-admission-tls",
    show_default=True,
    help="Secret with the admission server's certificate.",
)
@click.option(
    "--per-agent-metrics", is_flag=True, help="Also serve series with the names of agents, some five for each."
)
@click.option(
    "--job-image", help="Image that gates and rotation jobs run: Ringfence's own. Without it, no agent gets a pod."
)
@click.option(
    "--job-image-pull-policy",
    type=click.Choice(["IfNotPresent", "Always", "Never"]),
    default="IfNotPresent",
    show_default=True,
    help="Pull policy of gates and rotation jobs.",
)
@click.option(
    "--canary-service",
    default="ringfence-canary",
    show_default=True,
    help="Service of the canary, which the first container of each agent's pod tries to reach, and waits until that is "
    "denied. Without it, no agent gets a pod.",
)
@click.option(
    "--canary",
    callback=_canary,
    metavar="ADDRESS:PORT",
    help="Where the canary listens, in place of asking for its Service.",
)
@click.option("--gateway-image", help="Envoy's image, for egress gateways. Without it, agents with hosts wait.")
@click.option(
    "--gateway-image-pull-policy",
    type=click.Choice(["IfNotPresent", "Always", "Never"]),
    default="IfNotPresent",
    show_default=True,
    help="Pull policy of the gateways.",
)
@click.option(
    "--upstream-proxy",
    "upstream_proxies",
    type=options.address,
    metavar="ADDRESS",
    multiple=True,
    help="Address of a corporate proxy, through which egress gateways reach hosts. Repeatable: any of them will do.",
)
@click.option(
    "--upstream-proxy-port",
    type=click.IntRange(1, 65535),
    default=3128,
    show_default=True,
    help="Port of that proxy.",
)
@click.option(
    "--upstream-proxy-secret",
    callback=_secret,
    metavar="NAME",
    help="Secret, in each namespace with agents, whose key `credentials` is USER:PASSWORD for that proxy. Without it, "
    "the proxy asks for none.",
)
@click.option(
    "--egress-port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="Port at which egress gateways tell of what they refused; 0: they tell nobody.",
)
@click.option(
    "--egress-service", default="ringfence-egress", show_default=True, help="Service by which gateways find that port."
)
@click.option(
    "--scraper",
    "scrapers",
    metavar="KEY=VALUE",
    callback=_labels,
    multiple=True,
    help="Label of the namespaces that may read the figures of egress gateways. Repeatable: they have all of them.",
)
@options.user_ids
@click.option(
    "--resync",
    type=click.FloatRange(min=1),
    default=RESYNC_SECONDS,
    show_default=True,
    help="Seconds between two comparisons of all versions with what is stored, for what a watch may have missed.",
)
@click.option(
    "--dns-service",
    metavar="NAMESPACE/NAME",
    callback=_service,
    help="Service of the cluster's DNS. Without it, it is looked for under its usual names.",
)
@click.option(
    "--dns-address",
    "dns_addresses",
    type=options.network,
    metavar="CIDR",
    multiple=True,
    help="One more address, such as 169.254.20.10/32, at which DNS answers: of a cache on the nodes. Repeatable.",
)
@click.option(
    "--cluster-domain",
    type=options.domain,
    default=DOMAIN,
    show_default=True,
    metavar="DOMAIN",
    help="Below which the cluster's names are: of Service NAME in NAMESPACE it is NAME.NAMESPACE.svc.DOMAIN.",
)
@click.option(
    "--service-account",
    default="ringfence-controller",
    show_default=True,
    help="ServiceAccount that this process runs as: bound, in each opened namespace, to what may be given to agents.",
)
@options.of_every_process
def command(http_port: int, log_format: logs.Format, log_level: str, **given: Any) -> None:
    """Run the controller: keep every agent's fence as its AgentDeployment says.

    Several replicas may run; one leads by a Lease, the others wait.

    \b
    Examples:
      ringfence controller --kubeconfig ~/.kube/config --certificates none --log-level debug
      ringfence controller --job-image registry.example/platform/ringfence:0.1.0 --cluster-network 10.0.0.0/8
    """
    logs.configure(log_format, log_level)
    settings = Settings(
        namespace=given["namespace"],
        identity=given["identity"],
        lease=given["lease"],
        kubeconfig=given["kubeconfig"],
        cluster_networks=given["cluster_networks"],
        api_server_networks=given["api_server_networks"],
        job_image=_image(given, "job_image"),
        canary_service=given["canary_service"],
        canary=given["canary"],
        gateway_image=_image(given, "gateway_image"),
        upstream_proxy=_upstream_proxy(given),
        egress_port=given["egress_port"],
        egress_service=given["egress_service"],
        scrapers=given["scrapers"],
        user_ids=UserIds(given["user_ids"]),
        account=given["service_account"],
        resync=given["resync"],
        registration=given["registration"],
        dns=Asked(given["dns_service"], tuple(map(str, given["dns_addresses"])), domain=given["cluster_domain"]),
        certificates=_certificates(given) if given["certificates"] == "self" else None,
    )
    AGENT_COLLECTOR.per_agent = given["per_agent_metrics"]
    health = Health("controller")
    try:
        with HealthServer(health, registry_of("controller"), port=http_port) as server:
            click.echo(f"health and metrics on port {server.port}", err=True)
            sys.exit(asyncio.run(run(settings, health)))
    except ConfigException as failure:
        raise click.ClickException(f"no cluster: {failure}. Name one by --kubeconfig or $KUBECONFIG.") from failure


def _image(given: dict[str, Any], name: str) -> JobImage | None:
    return JobImage(given[name], given[f"{name}_pull_policy"]) if given[name] else None


def _upstream_proxy(given: dict[str, Any]) -> UpstreamProxy | None:
    addresses, secret = given["upstream_proxies"], given["upstream_proxy_secret"]
    if not addresses:
        if secret:
            raise click.UsageError("--upstream-proxy-secret needs --upstream-proxy: the address of the proxy")
        return None
    return UpstreamProxy(tuple(sorted(set(addresses))), given["upstream_proxy_port"], secret or "")


def _certificates(given: dict[str, Any]) -> CertificateSettings:
    return CertificateSettings(
        namespace=given["namespace"],
        secret=given["admission_secret"],
        webhook=given["webhook_configuration"],
        names=Names.of_service(given["admission_service"], given["namespace"]),
    )
