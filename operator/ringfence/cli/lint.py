"""`ringfence lint`: decide before a manifest ever meets a cluster."""

import json
import sys
from collections.abc import Iterator, Sequence

import click

from . import formatting, options
from .judge import Files, Result, judge, read_policies
from .manifests import Document, Unreadable, find, read
from .objects import objects

ACCEPTED, REFUSED, UNREADABLE = 0, 1, 2
"""Exit codes."""


@click.command("lint")
@click.argument("files", nargs=-1, required=True, metavar="FILE|DIR|-...")
@options.policies
@options.exclude
@click.option(
    "-n",
    "--namespace",
    help="Namespace of AgentDeployments that name none. Default: `default`; with --cluster, that of the context.",
)
@click.option("--cluster", "live", is_flag=True, help="Decide by what a cluster has, besides the files. Reads only.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "sarif"]),
    default="text",
    show_default=True,
    help="text for people, json for programs, sarif for code review tools.",
)
@options.connection
def command(
    files: Sequence[str],
    policy_files: Sequence[str],
    exclude: Sequence[str],
    namespace: str | None,
    live: bool,
    output: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Decide on AgentDeployments as admission would, without a cluster.

    FILE may hold several documents and lists; below DIR all .yaml, .yml and .json files are read; - is standard input.
    Other kinds are passed over, but for Namespaces: by their labels policies bind, and they must be open to agents.
    Where a Namespace is not among the files, a policy binds it unless its name speaks against that. What only a
    cluster knows is left out: where nodes, pods and Services are.

    With --cluster the policies and namespaces of the cluster count as well (those of the files take their places), and
    so do its networks and the agents that are there. You need to list agentpolicies, namespaces and agentdeployments;
    for files of one namespace, get it and list its agentdeployments. What admission asks about you is left out: which
    permissions you hold, and which Secrets you may read.

    \b
    Exit code: 0 all accepted, 1 some refused, 2 something could not be read.

    \b
    Examples:
      ringfence lint agent.yaml
      ringfence lint --policy platform/ --exclude charts manifests/
      ringfence lint --cluster -n research agent.yaml
      kustomize build . | ringfence lint -o sarif - > ringfence.sarif
    """
    if not live and (kubeconfig or context):
        raise click.UsageError("--kubeconfig and --context need --cluster")
    try:
        world = read_policies(policy_files, exclude)
    except Unreadable as failure:
        click.echo(f"ringfence lint: {formatting.clean(failure)}", err=True)
        sys.exit(UNREADABLE)
    unreadable: list[Unreadable] = []
    documents = list(_documents(files, exclude, unreadable))
    for found in (one for document in documents for one in objects(document)):
        world.take(found)
    if live:
        from . import cluster  # noqa: PLC0415 - heavy
        from .lint_cluster import observe  # noqa: PLC0415 - heavy

        async def act(session: cluster.Session) -> int:
            place = namespace or session.namespace
            known = await observe(session, world, documents, place)
            if known is None:
                return UNREADABLE
            return _conclude(
                [one for each in documents for one in judge(each, known, namespace=place)], output, unreadable
            )

        cluster.run(cluster.Where(None, kubeconfig, context), act)
    found_here = [one for each in documents for one in judge(each, world, namespace=namespace or "default")]
    _tell_unsure(world)
    sys.exit(_conclude(found_here, output, unreadable))


def _conclude(results: Sequence[Result], output: str, unreadable: Sequence[Unreadable]) -> int:
    """Print it all; the exit code."""
    _print(results, output, said_enough=bool(unreadable))
    for trouble in unreadable:
        click.echo(f"ringfence lint: {formatting.clean(trouble)}", err=True)
    if unreadable:
        return UNREADABLE
    return ACCEPTED if all(result.accepted for result in results) else REFUSED


def _documents(arguments: Sequence[str], exclude: Sequence[str], unreadable: list[Unreadable]) -> Iterator[Document]:
    """All documents that can be read; the others are noted."""
    for file in _files(arguments, exclude, unreadable):
        try:
            yield from read(file)
        except Unreadable as failure:
            unreadable.append(failure)


def _files(arguments: Sequence[str], exclude: Sequence[str], unreadable: list[Unreadable]) -> Iterator[str]:
    seen: set[str] = set()
    for argument in arguments:
        try:
            for file in find(argument, exclude):
                if file not in seen:
                    seen.add(file)
                    yield file
        except Unreadable as failure:
            unreadable.append(failure)


def _tell_unsure(world: Files) -> None:
    """A verdict may be too strict where several policies may bind: who reads it must know why."""
    for namespace, names in sorted(one for one in world.unsure.items() if len(one[1]) > 1):
        said, place = ", ".join(formatting.clean(name) for name in sorted(names)), formatting.clean(namespace)
        click.echo(
            f"ringfence lint: the labels of namespace {place} are not known, so these are taken to bind it: {said}; "
            "lint its Namespace along, and its labels decide",
            err=True,
        )


def _print(results: Sequence[Result], output: str, *, said_enough: bool) -> None:
    """The results. `said_enough`: that there are none needs no sentence, as others say why."""
    if output == "json":
        click.echo(json.dumps({"results": [result.as_json() for result in results]}, indent=2))
    elif output == "sarif":
        from .sarif import sarif  # noqa: PLC0415 - only here is it needed, and start-up time counts

        click.echo(json.dumps(sarif(results), indent=2))
    else:
        for result in results:
            _print_text(result)
        refused = sum(not result.accepted for result in results)
        summary = f"{len(results)} AgentDeployments, {refused} refused" if results else "no AgentDeployment found"
        if results or not said_enough:
            click.echo(summary, err=True)


def _print_text(result: Result) -> None:
    file = formatting.clean(result.document.file)
    where = f"{file}: {formatting.clean(result.namespace)}/{formatting.clean(result.name) or '(no name)'}"
    if result.accepted:
        click.echo(f"{where}: {click.style('accepted', fg='green')}")
        return
    click.echo(f"{where}: {click.style('refused', fg='red', bold=True)}")
    for violation in result.violations:
        rule = click.style(str(violation.rule), bold=True)
        click.echo(f"  {file}:{result.line(violation)}: {violation.path}: {rule}: {violation.message}")
