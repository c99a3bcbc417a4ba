"""`ringfence admission`: the review server."""

from pathlib import Path
from typing import Any

import click

from ringfence.admission.main import Settings, serve
from ringfence.kube import ConfigException
from ringfence.telemetry import logs

from . import options


@click.command("admission")
@click.option(
    "--certificate-directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/etc/ringfence/tls"),
    show_default=True,
    help="Where tls.crt and tls.key are. They are read again whenever they change.",
)
@click.option(
    "--client-ca",
    type=click.Path(path_type=Path, dir_okay=False),
    help="PEM file: ask clients for a certificate of this CA. The API server must be configured to show one.",
)
@click.option(
    "--client-name",
    "client_names",
    multiple=True,
    help="Common name that a client must have; with --client-ca. Repeatable.",
)
@click.option("--host", default="0.0.0.0", show_default=True, help="Address for reviews; `::` for both families.")  # noqa: S104
@click.option(
    "--https-port", type=click.IntRange(0, 65535), default=8443, show_default=True, help="Port for reviews (HTTPS)."
)
@click.option("--http-host", default="", help="Address for the next; default: all of both families.")
@click.option(
    "--drain-seconds",
    type=click.FloatRange(0, 300),
    default=8.0,
    show_default=True,
    help="After SIGTERM: serve on for so long, while the Service takes the pod out.",
)
@options.of_every_process
def command(log_format: logs.Format, log_level: str, **given: Any) -> None:
    """Review AgentDeployments and AgentPolicies for the API server.

    \b
    Examples:
      ringfence admission --kubeconfig ~/.kube/config --certificate-directory tls
      ringfence admission --client-ca /etc/ringfence/client-ca/ca.crt --client-name kube-apiserver
    """
    if given["client_names"] and not given["client_ca"]:
        raise click.UsageError("--client-name needs --client-ca")
    logs.configure(log_format, log_level)
    given["client_names"] = frozenset(given["client_names"])
    try:
        serve(Settings(**given))
    except ConfigException as failure:
        raise click.ClickException(f"no cluster: {failure}. Name one by --kubeconfig or $KUBECONFIG.") from failure
    except OSError as failure:
        raise click.ClickException(f"cannot listen: {failure.strerror or failure}") from failure
