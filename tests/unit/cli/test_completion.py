"""Words are completed by shells and by kubectl; a prompt never waits for a cluster, nor shows its errors."""

import asyncio
import shutil
import subprocess
import sys

import click
import pytest
from click.shell_completion import ShellComplete, get_completion_class
from click.testing import CliRunner

from ringfence.cli import cluster, main
from ringfence.cli.completion import NAME, VARIABLE, kubectl_complete
from ringfence.cli.main import COMMANDS, SUMMARIES, cli
from unit.cli.fake import NAMESPACE, Cluster

HIDDEN = {"gate", "listen", "rotate-job", "try"}
"""What pods of Ringfence's own run."""
OTHERS = {"controller", "admission"}
"""Processes of the chart: nobody types them."""


SHELLS = ["bash", "zsh", "fish"]


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_its_script(shell: str) -> None:
    shown = CliRunner().invoke(cli, ["completion", shell])
    assert shown.exit_code == 0
    assert VARIABLE in shown.stdout
    assert f"{shell}_complete" in shown.stdout
    assert CliRunner().invoke(cli, ["completion", "tcsh"]).exit_code == 2


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_what_the_shell_can_read(shell: str) -> None:
    script = CliRunner().invoke(cli, ["completion", shell]).stdout
    if (
        shutil.which(shell) is None
    ):  # `make setup` installs no shells; what click writes is then held to click's own text
        kind = get_completion_class(shell)
        assert kind is not None
        assert script == kind(cli, {}, NAME, VARIABLE).source() + "\n"
        assert "%(" not in script
        return
    subprocess.run([shell, "-n"], input=script, text=True, check=True, timeout=300)
    broken = subprocess.run(
        [shell, "-n"], input=script + "\nif (", text=True, check=False, timeout=300, capture_output=True
    )
    assert broken.returncode != 0, "this shell would read anything"


def words(*given: str) -> list[str]:
    return [item.value for item in ShellComplete(cli, {}, NAME, VARIABLE).get_completions(list(given[:-1]), given[-1])]


def test_commands_and_options_are_completed() -> None:
    assert words("stat") == ["status"]
    assert set(words("")) == set(COMMANDS) - HIDDEN
    assert "--all-namespaces" in words("status", "--all")
    assert "--version" in words("--v")


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    context = click.Context(cli)
    found = {name: command for name in COMMANDS if (command := cli.get_command(context, name)) and not command.hidden}
    assert {name: command.get_short_help_str(200) for name, command in found.items()} == SUMMARIES
    shown = " ".join(CliRunner().invoke(cli, ["--help"]).stdout.split())
    assert all(f"{name} {summary}" in shown for name, summary in SUMMARIES.items())


@pytest.mark.parametrize("name", ["status", "explain", "rotate", "suspend", "resume", "can"])
def test_names_of_agents_come_from_the_cluster(kube: Cluster, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    kube.put_agent("researcher")
    kube.put_agent("librarian")
    kube.put_agent("other", namespace="sales")

    async def connect(where: cluster.Where) -> cluster.Session:
        return cluster.Session(kube, where.namespace or NAMESPACE)

    monkeypatch.setattr(cluster, "connect", connect)
    assert words(name, "") == ["librarian", "researcher"]
    assert words(name, "re") == ["researcher"]
    assert words(name, "-n", "sales", "") == ["other"]


def test_a_cluster_that_is_slow_or_not_there_completes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(where: cluster.Where) -> cluster.Session:
        await asyncio.sleep(60)
        raise AssertionError

    async def broken(where: cluster.Where) -> cluster.Session:
        raise OSError(where)

    monkeypatch.setattr(cluster, "COMPLETION_SECONDS", 0.05)
    for connect in (slow, broken):
        monkeypatch.setattr(cluster, "connect", connect)
        assert words("explain", "") == []


def test_kubectl_is_answered_in_its_own_way(capsys: pytest.CaptureFixture[str]) -> None:
    kubectl_complete(["stat"])
    shown = capsys.readouterr().out.splitlines()
    assert [line.partition("\t")[0] for line in shown] == ["status", ":4"]
    kubectl_complete(["lint", "--policy", ""])
    assert capsys.readouterr().out.splitlines() == [":0"]  # names of files, too
    kubectl_complete([])
    assert "explain" in capsys.readouterr().out


def test_as_a_plugin_it_is_called_as_kubectl_calls_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/kubectl-ringfence", "status", "--help"])
    with pytest.raises(SystemExit):
        main.main()
    assert "Usage: kubectl ringfence status" in capsys.readouterr().out


def commands(group: click.Group, *path: str) -> list[tuple[str, ...]]:
    """Every command, those of groups as well."""
    found: list[tuple[str, ...]] = []
    context = click.Context(group)
    for name in group.list_commands(context):
        if (*path, name) in {(one,) for one in HIDDEN | OTHERS}:
            continue
        command = group.get_command(context, name)
        found += commands(command, *path, name) if isinstance(command, click.Group) else [(*path, name)]
    return found


@pytest.mark.parametrize("path", commands(cli))
def test_every_command_shows_an_example(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(cli, [*path, "--help"], prog_name="ringfence").stdout
    examples = shown.partition("Example")[2].splitlines()
    assert any(f"ringfence {' '.join(path)}" in line for line in examples[1:]), "each on a line of its own"
    assert "\\b" not in shown
