"""What a team copies into its own CI works: the hooks' commands, and the workflow's."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from ringfence import __version__

ROOT = Path(__file__).parents[3]
CI = ROOT / "examples" / "ci"
HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
CONFIG = yaml.safe_load((CI / "pre-commit-config.yaml").read_text())["repos"][0]
WORKFLOW = yaml.safe_load((CI / "github-action.yml").read_text())
STEPS: list[dict[str, Any]] = WORKFLOW["jobs"]["lint"]["steps"]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository as the examples take it to be: agents below deploy/, policies in platform/policies.yaml."""
    for folder, names in {"deploy": ["20-minimal.yaml", "21-researcher.yaml"], "platform": ["01-policy.yaml"]}.items():
        (tmp_path / folder).mkdir()
        for name in names:
            text = (ROOT / "examples" / name).read_text()
            (tmp_path / folder / ("policies.yaml" if folder == "platform" else name)).write_text(text)
    return tmp_path


def run(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command as a shell would run it, with this checkout's `ringfence`."""
    own = command.replace("ringfence ", f"{shlex.quote(sys.executable)} -m ringfence ", 1)
    return subprocess.run(own, shell=True, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def hooked(hook: dict[str, Any], used: dict[str, Any], repository: Path) -> str:
    """What pre-commit runs: entry, args, and the files that the hook is for."""
    everything = sorted(str(one.relative_to(repository)) for one in repository.rglob("*.yaml"))
    files = [name for name in everything if re.search(used["files"], name)]
    assert files
    return shlex.join([*shlex.split(hook["entry"]), *used.get("args", []), *files])


@pytest.mark.parametrize("used", CONFIG["hooks"], ids=lambda used: used["id"])
def test_each_hook_of_the_example_is_there_and_runs(used: dict[str, Any], repository: Path) -> None:
    (hook,) = [one for one in HOOKS if one["id"] == used["id"]]
    assert {"name", "description", "entry", "language"} <= hook.keys()
    shown = run(hooked(hook, used, repository), repository)
    assert shown.returncode == 0, shown.stderr


def test_the_hook_refuses_what_a_cluster_would(repository: Path) -> None:
    (used,) = [one for one in CONFIG["hooks"] if one["id"] == "ringfence-lint"]
    (repository / "deploy" / "x.yaml").write_text((ROOT / "examples" / "refused" / "wildcard.yaml").read_text())
    shown = run(hooked(HOOKS[0], used, repository), repository)
    assert shown.returncode == 1
    assert "RightsWildcard" in shown.stdout


def test_a_hook_without_files_is_run_on_none() -> None:
    (hook,) = [one for one in HOOKS if one["id"] == "ringfence-policy-check"]
    assert re.search(hook["files"], "any/file.yaml") is None


@pytest.mark.parametrize(("example", "expected"), [(None, 0), ("wildcard.yaml", 1), ("broken", 2)])
def test_the_workflow_writes_its_report_and_fails_when_it_should(
    repository: Path, example: str | None, expected: int
) -> None:
    if example:
        source = ROOT / "examples" / "refused" / example
        (repository / "deploy" / "x.yaml").write_text(source.read_text() if source.is_file() else "a: [")
    (command,) = [step["run"] for step in STEPS if step["name" if "name" in step else "uses"] == "Lint"]
    shown = run(command, repository)
    assert shown.returncode == expected, shown.stderr
    report = yaml.safe_load((repository / "ringfence.sarif").read_text())
    assert report["version"] == "2.1.0"
    assert len(report["runs"][0]["results"]) == (0 if expected != 1 else len(report["runs"][0]["results"]) or -1)


def test_versions_are_named_and_are_ours() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__
    assert CONFIG["rev"] == f"v{__version__}"
    assert f"pip install ringfence=={__version__}" in [step.get("run") for step in STEPS]
    for step in STEPS:
        assert "uses" not in step or re.search(r"@v\d+$", step["uses"])
    assert set(project["scripts"]) == {"ringfence", "kubectl-ringfence", "kubectl_complete-ringfence"}


def test_the_report_is_uploaded_even_when_agents_are_refused() -> None:
    upload = next(step for step in STEPS if "upload-sarif" in step.get("uses", ""))
    assert "failure()" in upload["if"]
    assert WORKFLOW["permissions"] == {}
    assert WORKFLOW["jobs"]["lint"]["permissions"] == {"contents": "read", "security-events": "write"}
