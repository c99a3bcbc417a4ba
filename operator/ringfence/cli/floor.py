"""`ringfence floor`: the chart's floor and guards as files for the API server."""

import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from ringfence import __version__
from ringfence.cli.manifests import Unreadable, read
from ringfence.policy.floor import Manifest, read_values, static_manifests

from .render import dump

FILE: Final = "ringfence.yaml"
NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
HEAD: Final = """\
---
# The floor and the guards of Ringfence {version} in namespace {namespace}, for the API server's staticManifestsDir.
# Made by `ringfence floor --manifests`: make it again after an upgrade, or when the chart's values change.
"""


@click.command("floor")
@click.option(
    "--manifests", is_flag=True, help="Print ValidatingAdmissionPolicies and their bindings, as files hold them."
)
@click.option(
    "-n",
    "--namespace",
    default="ringfence-system",
    show_default=True,
    help="Namespace in which the chart `ringfence` is installed.",
)
@click.option("--release", default="ringfence", show_default=True, help="Name of its release, as `helm list` shows it.")
@click.option(
    "-f",
    "--values",
    "value_files",
    multiple=True,
    metavar="FILE|-",
    type=click.Path(allow_dash=True),
    help="Values that the chart is installed with, as for helm. Repeatable: the last wins. Default: the chart's own.",
)
@click.option(
    "--output",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help=f"Write DIR/{FILE} in one step instead of printing: the API server never reads half of it.",
)
def command(manifests: bool, namespace: str, release: str, value_files: Sequence[str], output: str | None) -> None:
    """Print the floor and the guards as files for the API server: nobody deletes those through the API.

    For an API server with the feature gate ManifestBasedAdmissionControlConfig (alpha in Kubernetes 1.36), whose
    AdmissionConfiguration names the directory (staticManifestsDir). See docs/how-to/undeletable-floor.md.

    What files cannot do: look at other objects. So this floor always decides, also while the webhook is there; and a
    namespace that was opened to agents is closed by users in `guards.exempt` alone, whether it has agents or not.

    \b
    Exit code: 0 done, 2 wrong usage, or values that cannot be read.

    \b
    Examples:
      ringfence floor --manifests
      ringfence floor --manifests -f values.yaml --output /etc/kubernetes/admission
      helm get values ringfence -n ringfence-system -o yaml | ringfence floor --manifests -f -
    """
    if not manifests:
        raise click.UsageError("Say what of the floor: --manifests prints it as files for the API server.")
    for option, name in {"--namespace": namespace, "--release": release}.items():
        if not NAME.fullmatch(name):
            raise click.BadParameter(f"{name!r} is no such name: a-z, 0-9 and '-', at most 63", param_hint=option)
    try:
        found = _floor(namespace, release, value_files)
        text = HEAD.format(version=__version__, namespace=namespace) + "---\n".join(dump(one) for one in found)
        if output is None:
            click.echo(text, nl=False)
        else:
            click.echo(f"wrote {_write(Path(output), text)}: {len(found) // 2} policies with their bindings", err=True)
    except Unreadable as failure:
        click.echo(f"ringfence floor: {failure}", err=True)
        sys.exit(2)


def _floor(namespace: str, release: str, value_files: Sequence[str]) -> list[Manifest]:
    """Raises Unreadable."""
    merged: Mapping[str, Any] = {}
    for file in value_files:
        merged = _merged(merged, _values(file))
        _, wrong = read_values(namespace, release, merged)
        if wrong:
            raise Unreadable(file, "; ".join(wrong))
    found = static_manifests(read_values(namespace, release, merged)[0])
    if not found:
        raise Unreadable(
            ", ".join(value_files), "floor.enabled and guards.enabled are both false: there is nothing to write"
        )
    return found


def _values(file: str) -> Mapping[str, Any]:
    documents = list(read(file))
    if len(documents) > 1:
        raise Unreadable(file, "more than one YAML document; values of a chart are one")
    content = documents[0].content if documents else None
    if content is None:  # what `helm get values` prints of a release without any
        return {}
    if not isinstance(content, Mapping):
        raise Unreadable(file, "no values of a chart: a mapping is wanted, such as guards: {exempt: [...]}")
    return content


def _merged(before: Mapping[str, Any], after: Mapping[str, Any]) -> Mapping[str, Any]:
    """As helm merges files of values: mappings key by key, anything else as a whole."""
    found = dict(before)
    for key, value in after.items():
        old = found.get(key)
        found[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return found


def _write(folder: Path, text: str) -> Path:
    """Replace the file as a whole. What it is made from has no suffix that the API server reads. Raises Unreadable."""
    target = folder / FILE
    made: Path | None = None
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=folder, prefix=f".{FILE}.", delete=False) as new:
            made = Path(new.name)
            new.write(text)
        made.chmod(0o644)  # the API server need not run as who writes it, and there is no secret in it
        made.replace(target)
    except OSError as failure:
        if made is not None:
            made.unlink(missing_ok=True)
        raise Unreadable(
            str(folder), f"{failure.strerror}: --output wants a directory that you may write to"
        ) from failure
    return target
