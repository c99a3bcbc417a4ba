"""docs/reference/cli.md: every command, from the very objects that run."""

from collections.abc import Iterator
from inspect import cleandoc

import click

from ringfence.cli.main import cli

PATH = "docs/reference/cli.md"
HEAD = """\
<!-- Made by `make generate` from operator/ringfence/cli. Do not edit. -->
# Command line

One command, `ringfence`; the same as `kubectl ringfence`, when `kubectl-ringfence` is on the `PATH`.

* `lint`, `render`, `policy`, `schema`, `floor` and `crds` need no cluster. `doctor`, `status`, `explain`, `can`,
  `rotate`, `suspend`, `resume`, `lint --cluster` and `policy check --against-cluster` ask one, with the kubeconfig and
  the rights of whoever calls them. `controller` and `admission` are what the chart runs.
* Results go to standard output, everything else to standard error.
* Colour only on a terminal, and not with `NO_COLOR` set.
* Wrong usage ends with exit code 2.
"""


def files() -> dict[str, str]:
    """Path -> content."""
    return {PATH: "\n".join([HEAD, *_command(cli, "ringfence", None)])}


def _command(command: click.Command, path: str, parent: click.Context | None) -> Iterator[str]:
    context = command.context_class(command, info_name=path.rpartition(" ")[2], parent=parent)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    if parent is not None:
        yield f"{'#' * (path.count(' ') + 1)} {path}\n"
        yield from _text(command.help or "")
    yield f"```text\n{usage}\n```\n"
    if rows := [row for parameter in command.params for row in _option(parameter, context)]:
        yield "\n".join(["| Option | Default | Meaning |", "|---|---|---|", *rows, ""])
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from _command(found, f"{path} {name}", context)


def _text(text: str) -> Iterator[str]:
    """Paragraphs; what the terminal must not refold is a block."""
    for paragraph in cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b\n"):
            title, *lines = paragraph.removeprefix("\b\n").splitlines()
            yield f"{title}\n"
            if lines and lines[0].startswith("  "):
                block = "\n".join(line.removeprefix("  ") for line in lines)
                yield f"```sh\n{block}\n```\n"
            elif lines:
                yield "\n".join([*lines, ""])
        else:
            yield f"{paragraph}\n"


def _option(parameter: click.Parameter, context: click.Context) -> Iterator[str]:
    if not isinstance(parameter, click.Option) or parameter.hidden or parameter.help is None:
        return
    record = parameter.get_help_record(context)
    if record is None:
        return
    names = f"`{record[0]}`".replace("|", "\\|")
    shown = parameter.show_default if isinstance(parameter.show_default, str) else None
    default = shown or ("" if not parameter.show_default or callable(parameter.default) else f"`{parameter.default}`")
    yield f"| {names} | {default or '-'} | {parameter.help.replace('|', chr(92) + '|')} |"
