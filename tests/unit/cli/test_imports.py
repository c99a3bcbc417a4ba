"""`ringfence lint` starts fast because of what it does not import."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "20-minimal.yaml"
HEAVY = {
    "kopf",
    "kubernetes",
    "aiohttp",
    "prometheus_client",
    "structlog",
    "uvicorn",
    "cryptography",
    "orjson",
    "asyncio",
}
SHOW = """
import sys
from ringfence.cli.main import cli
try:
    cli(sys.argv[1:])
finally:
    print(*sorted(name for name in sys.modules if "." not in name), file=sys.stderr)
"""


def imported(*arguments: str) -> set[str]:
    """Top-level modules that the command has loaded when it ends."""
    shown = subprocess.run([sys.executable, "-c", SHOW, *arguments], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    return set(shown.stderr.splitlines()[-1].split())


def test_lint_and_its_like_load_nothing_that_talks_to_a_cluster() -> None:
    assert imported("lint", str(EXAMPLE)) & HEAVY == set()
    for arguments in (
        ["render", str(EXAMPLE)],
        ["policy", "show"],
        ["schema"],
        ["crds"],
        ["floor", "--manifests"],
        ["version"],
        ["completion", "zsh"],
    ):
        assert imported(*arguments) & HEAVY == set(), arguments


def test_help_loads_no_subcommand() -> None:
    for arguments in (["--help"], ["completion", "--help"], ["--version"]):
        assert imported(*arguments) & {*HEAVY, "pydantic", "yaml"} == set(), arguments


def test_words_are_completed_without_loading_what_they_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_WORDS", "ringfence ")
    monkeypatch.setenv("COMP_CWORD", "1")
    monkeypatch.setenv("_RINGFENCE_COMPLETE", "bash_complete")
    code = SHOW.replace("cli(sys.argv[1:])", 'cli(prog_name="ringfence", complete_var="_RINGFENCE_COMPLETE")')
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "plain,status" in shown.stdout
    assert set(shown.stderr.splitlines()[-1].split()) & {*HEAVY, "pydantic", "yaml"} == set()


def test_the_cluster_is_loaded_by_the_question_not_by_its_help() -> None:
    for name in ("status", "explain", "rotate", "suspend", "resume", "can", "doctor"):
        assert imported(name, "--help") & HEAVY <= {"asyncio"}, name


def test_nothing_loads_the_synchronous_half_of_the_official_client() -> None:
    code = "import ringfence.cli.admission, ringfence.cli.controller, sys; print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(shown.stdout.split())
    assert "kubernetes.aio.config" in loaded
    assert loaded & {"kubernetes.config", "requests", "requests_oauthlib", "urllib3", "websocket"} == set()


def test_plugins_of_pydantic_are_not_looked_for() -> None:
    code = "import ringfence.cli.main, os; print(os.environ['PYDANTIC_DISABLE_PLUGINS'])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "__all__\n"
