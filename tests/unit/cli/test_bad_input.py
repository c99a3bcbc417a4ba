"""Whatever is thrown at `ringfence lint`: a sentence, the right exit code, and no traceback."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from ringfence.cli import manifests
from ringfence.cli.lint import command
from ringfence.cli.manifests import Unreadable, find

GOOD: dict[str, Any] = {
    "apiVersion": "ringfence.dev/v1alpha1",
    "kind": "AgentDeployment",
    "metadata": {"name": "good", "namespace": "team"},
    "spec": {"image": "registry.example/a@sha256:" + "0" * 64},
}


def lint(*arguments: str | Path, stdin: str | bytes | None = None) -> Result:
    result = CliRunner().invoke(command, [str(one) for one in arguments], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def ringfence(*arguments: str | bytes, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own."""
    program = [sys.executable, "-m", "ringfence", *arguments]
    return subprocess.run(program, text=True, capture_output=True, timeout=300, check=False, **options)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    file = tmp_path / "good.yaml"
    file.write_text(yaml.safe_dump(GOOD))
    return file


CHAIN = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 150))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"\x7fELF\x02\0\0",
        b"\xff\xfea\0",
        b"a: \xe9\n",
        b"a: [",
        b"\ta: 1",
        b"a: 1\na: 2\n",
        b"a: &a\n  b: *a\n",
        b"a: *b\n",
        b"{" * 5000,
        CHAIN.encode(),
        b"%YAML 9.9\n---\na: 1\n",
        b"a: !!int x\n",
    ],
)
def test_what_cannot_be_read_is_2_and_the_others_are_still_judged(tmp_path: Path, good: Path, content: bytes) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_bytes(content)
    result = lint("-o", "json", broken, good)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"ringfence lint: {broken}: ")
    assert len(result.stderr.splitlines()) == 1
    assert [one["name"] for one in json.loads(result.stdout)["results"]] == ["good"]


@pytest.mark.parametrize("broken", ["a: 1\na: 2\n", "a: !!int x\n", "a: *b\n", "a: [\n", "[" * 200])
def test_documents_before_one_that_cannot_be_read_are_judged(tmp_path: Path, broken: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(yaml.safe_dump(GOOD) + "---\n" + broken)
    result = lint("-o", "json", file)
    assert result.exit_code == 2
    assert [(one["name"], one["accepted"]) for one in json.loads(result.stdout)["results"]] == [("good", True)]


@pytest.mark.parametrize(
    "content", ["3", "text", "[1, 2]", "null", "---\n---\n", "# only a comment", "kind: [x]", "? a"]
)
def test_what_is_no_object_is_passed_over(tmp_path: Path, content: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(content)
    result = lint(file)
    assert result.exit_code == 0
    assert "no AgentDeployment found" in result.stderr


def test_a_directory_of_thousands_of_files(tmp_path: Path) -> None:
    text = yaml.safe_dump(GOOD)
    for number in range(2000):
        (tmp_path / f"{number % 20}").mkdir(exist_ok=True)
        (tmp_path / f"{number % 20}" / f"{number}.yaml").write_text(text if number % 4 == 0 else "kind: Other\n")
    (tmp_path / "notes.bin").write_bytes(b"\0")
    result = lint(tmp_path)
    assert result.exit_code == 0
    assert "500 AgentDeployments, 0 refused" in result.stderr


def test_circles_of_links_end(tmp_path: Path, good: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "dead.yaml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "self.yaml").symlink_to(tmp_path / "self.yaml")
    assert list(find(str(tmp_path))) == [str(good)]
    assert lint(tmp_path / "self.yaml").exit_code == 2


def test_a_directory_that_cannot_be_looked_into_is_not_passed_over(
    tmp_path: Path, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    real = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(Unreadable, match="closed: Permission denied"):
        list(find(str(tmp_path)))
    assert lint(tmp_path).exit_code == 2


@pytest.mark.parametrize("name", ["\0", "x" * 5000, ""])
def test_impossible_names(name: str) -> None:
    assert lint(name).exit_code == 2


def test_a_pipe_can_be_named(good: Path) -> None:
    shown = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -m ringfence lint <(cat "{good}")'],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (shown.returncode, shown.stderr) == (0, "1 AgentDeployments, 0 refused\n")


def test_standard_input_that_is_a_terminal_closed_or_empty_is_said() -> None:
    ours, theirs = pty.openpty()
    try:
        on_terminal = ringfence("lint", "-", stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert on_terminal.returncode == 2
    assert (
        on_terminal.stderr
        == "ringfence lint: -: standard input is a terminal: pipe manifests into it, or name a file\n"
    )
    empty = ringfence("lint", "-", stdin=subprocess.DEVNULL)
    assert (empty.returncode, empty.stderr) == (2, "ringfence lint: -: is empty: no manifest in it\n")


def test_a_name_that_no_terminal_can_show(tmp_path: Path) -> None:
    file = os.fsencode(tmp_path) + b"/\xff.yaml"
    Path(os.fsdecode(file)).write_text(yaml.safe_dump(GOOD))
    for output in ("text", "json", "sarif"):
        shown = ringfence(b"lint", b"-o", output.encode(), file, env={**os.environ, "LC_ALL": "C.UTF-8"})
        assert shown.returncode == 0, shown.stderr
        assert "Traceback" not in shown.stderr


def test_names_in_a_manifest_do_not_drive_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(json.dumps(GOOD | {"metadata": {"name": "a\n::error::b\x1b[31m"}, "x\ny\x1b": 1}))
    result = CliRunner().invoke(command, [str(file)], color=True)
    assert result.exit_code == 1
    assert "\n::error" not in result.stdout
    assert "b\x1b" not in result.stdout
    assert "y\x1b" not in result.stdout


def test_a_bomb_ends_at_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "MAX_NODES", 1000)
    file = tmp_path / "x.yaml"
    file.write_text(
        "a: &a [x, x, x, x]\nb: &b [*a, *a, *a, *a]\nc: &c [*b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c, *c]\n" * 1
    )
    assert lint(file).exit_code == 0
    file.write_text(file.read_text().replace("d: [", "d: [" + "*c," * 20))
    result = lint(file)
    assert result.exit_code == 2
    assert "a YAML bomb?" in result.stderr
