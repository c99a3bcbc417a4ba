"""`ringfence init`: a first AgentDeployment, from answers or from what runs already."""

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from ringfence.api.names import MAX_AGENT_NAME

from . import cluster, formatting
from .drafting import answers, compose, workload
from .drafting.draft import Draft, finish, slug
from .manifests import STDIN, Document, Unreadable, read
from .objects import objects
from .render import dump

WRITTEN, CANNOT, UNREADABLE = 0, 1, 2
"""Exit codes."""

_RESOURCES: Final[Mapping[str, tuple[str, str]]] = {
    **dict.fromkeys(("deploy", "deployment", "deployments"), ("apps/v1", "Deployment")),
    **dict.fromkeys(("sts", "statefulset", "statefulsets"), ("apps/v1", "StatefulSet")),
    **dict.fromkeys(("ds", "daemonset", "daemonsets"), ("apps/v1", "DaemonSet")),
    **dict.fromkeys(("po", "pod", "pods"), ("v1", "Pod")),
    **dict.fromkeys(("job", "jobs"), ("batch/v1", "Job")),
    **dict.fromkeys(("cj", "cronjob", "cronjobs"), ("batch/v1", "CronJob")),
}
"""What `kubectl` calls them -> apiVersion and kind."""
_REFERENCE: Final = re.compile(r"([a-z]+)/([a-z0-9]([-a-z0-9.]*[a-z0-9])?)")


@click.command("init")
@click.argument("name", required=False)
@click.option(
    "--from",
    "origin",
    metavar="FILE|-|deploy/NAME",
    help="Take it from a manifest, a compose file, or a workload of the cluster (deploy, sts, ds, pod, job, cronjob).",
)
@click.option("--pick", metavar="NAME", help="Which workload or service of the file, where it has several.")
@click.option("--image", help="Image of the agent, with its digest: registry.example/agent@sha256:...")
@click.option("--port", "ports", type=click.IntRange(1, 65535), multiple=True, help="A port it listens on. Repeatable.")
@click.option(
    "--reach",
    multiple=True,
    metavar="SERVICE[.NAMESPACE]:PORT|CIDR:PORT",
    help="What it may reach. Repeatable. Default: nothing.",
)
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="VARIABLE=SECRET/KEY",
    help="A variable with the value of a Secret that is there. Repeatable.",
)
@click.option("--read", multiple=True, metavar="RESOURCE", help="What it may read on the Kubernetes API. Repeatable.")
@cluster.options
def command(name: str | None, origin: str | None, pick: str | None, **given: Any) -> None:
    """Print a first AgentDeployment: from answers, or from what runs already.

    On a terminal it asks for what no option says. With --from it takes over what an agent can have; comments at the top
    say what was left out, what only you can tell, and what the built-in policy refuses. No value of a secret is taken
    over. Nothing is written to the cluster.

    \b
    Exit code: 0 a manifest was printed, 1 there is nothing to take it from, 2 the source cannot be read.

    \b
    Examples:
      ringfence init > agent.yaml
      ringfence init researcher --image registry.example/agent@sha256:... --reach search.tools:8443
      ringfence init --from compose.yaml --pick bot > bot.yaml
      ringfence init --from deploy/bot -n chat > bot.yaml
    """
    where = cluster.Where(given.pop("namespace"), given.pop("kubeconfig"), given.pop("context"))
    if name is not None and (len(name) > MAX_AGENT_NAME or slug(name) != name):
        raise click.BadParameter(f"write a name such as {slug(name)}: a-z, 0-9 and -", param_hint="NAME")
    if origin is None:
        if pick:
            raise click.UsageError("--pick needs --from")
        draft = answers.draft_of(name, where.namespace, ask=asked_of_a_person(), **given)
    elif any(given.values()):
        raise click.UsageError("--image, --port, --reach, --secret and --read go without --from")
    elif (found := _REFERENCE.fullmatch(origin)) and found[1] in _RESOURCES:
        _from_cluster(_RESOURCES[found[1]], found[2], name or "", where)
        return
    else:
        try:
            draft = _from_file(origin, pick, name or "")
        except Unreadable as failure:
            click.echo(f"ringfence init: {formatting.clean(failure)}", err=True)
            sys.exit(UNREADABLE)
        draft.namespace = where.namespace or draft.namespace
    _print(finish(draft))


def asked_of_a_person() -> bool:
    """Whether somebody can answer."""
    return sys.stdin.isatty()


def _from_cluster(kind: tuple[str, str], object_name: str, name: str, where: cluster.Where) -> None:
    async def act(session: cluster.Session) -> int:
        from ringfence.kube import NotFound, path_of  # noqa: PLC0415 - heavy

        version, word = kind
        place = path_of(version, f"{word.lower()}s", session.namespace, object_name)
        try:
            found = await session.kube.get(place)
        except NotFound:
            cluster.refuse(f"no {word} {session.namespace}/{object_name}", "`kubectl get all -A` shows what there is")
            return CANNOT
        found = {"kind": word, **found}
        draft = workload.draft_of(found, f"{word} {session.namespace}/{object_name}", name)
        _print(finish(draft))
        return WRITTEN

    cluster.run(where, act)


def _from_file(file: str, pick: str | None, name: str) -> Draft:
    """Raises Unreadable; ends the process where there is nothing to pick, or more than one."""
    documents = list(read(file))
    called = "standard input" if file == STDIN else file
    choices = {**_services(documents, called, name), **_workloads(documents, called, name)}
    wanted = [one for one in choices if pick in (None, one, one.partition("/")[2])]
    if not choices:
        _end(f"{called} has neither a workload of Kubernetes ({', '.join(workload.TEMPLATES)}) nor services of compose")
    if len(wanted) != 1:
        what = "has several" if wanted else f"has no {pick}"
        _end(f"{called} {what}: name one by --pick {' or --pick '.join(wanted or choices)}")
    return choices[wanted[0]]


def _services(documents: Sequence[Document], called: str, name: str) -> dict[str, Draft]:
    return {
        f"service/{service}": compose.draft_of(services, service, f"service {service} of {called}", name)
        for document in documents
        for services in [compose.services_of(document.content)]
        for service in services
    }


def _workloads(documents: Sequence[Document], called: str, name: str) -> dict[str, Draft]:
    found = [one for document in documents for one in objects(document) if one.kind in workload.TEMPLATES]
    return {
        f"{one.kind.lower()}/{one.name}": workload.draft_of(one.content, f"{one.kind} {one.name} of {called}", name)
        for one in found
    }


def _end(sentence: str) -> None:
    click.echo(f"ringfence init: {formatting.clean(sentence)}", err=True)
    sys.exit(CANNOT)


def _print(draft: Draft) -> None:
    """The manifest, with the notes as comments, so that they stay with the file."""
    lines = [f"From {draft.source}."] if draft.source else []
    for what in ("fill in", "left out", "mend"):
        lines += [f"{what}: {note.where}: {note.sentence}" for note in draft.notes if note.what == what]
    for line in dict.fromkeys(lines):
        click.echo(f"# {formatting.clean(line)}")
    click.echo(dump(draft.manifest), nl=False)
    counts = [(what, sum(note.what == what for note in draft.notes)) for what in ("fill in", "left out", "mend")]
    told = ", ".join(
        f"{count} to {what}" if what != "left out" else f"{count} left out" for what, count in counts if count
    )
    click.echo(f"{told + ': see the comments; ' if told else ''}`ringfence lint` decides on it", err=True)
