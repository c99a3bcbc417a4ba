"""The commands of the documentation, as a reader would type them, and what they print."""

from pathlib import Path

import pytest

from harness.environment import Environment
from pages.page import ROOT, Page
from pages.register import CLUSTER, FROM_NOTHING
from pages.terminal import Differs, Terminal, checkout, follow
from pages.terminal import environment as shell_environment
from suites.docs.stages import AT, BEFORE, IMAGE, POLICIES


@pytest.mark.parametrize("path", CLUSTER)
def test_a_page_on_a_cluster_with_ringfence(path: str, environment: Environment, tmp_path: Path) -> None:
    def image(text: str) -> str:
        """With an image that the cluster has, and leave to use it."""
        return text.replace(IMAGE, environment.testbox).replace("[registry.example/acme]", "[localhost]")

    def enter(section: str) -> None:
        if happens := AT.get((path, section)):
            _set(terminal, image(happens))

    path_of_programs = f"{ROOT / '.venv/bin'}:{environment.kubectl.env['PATH']}"
    env = shell_environment(**{**environment.kubectl.env, "PATH": path_of_programs})
    with Terminal(checkout(tmp_path), env) as terminal:
        _set(terminal, POLICIES)
        _set(terminal, image(BEFORE[path]))
        follow(Page(path), terminal, prepare=image, enter=enter)


def test_the_tutorial_from_nothing(fresh: str, tmp_path: Path) -> None:
    with Terminal(checkout(tmp_path), shell_environment(RINGFENCE_CLUSTER=fresh)) as terminal:
        follow(Page(FROM_NOTHING), terminal)


def test_what_is_set_is_about_pages_that_are_there() -> None:
    assert BEFORE.keys() == set(CLUSTER)
    assert AT.keys() <= {(path, command.section) for path in CLUSTER for command in Page(path).commands}


def _set(terminal: Terminal, text: str) -> None:
    printed, code = terminal.run(f"(set -e\n{text.strip()}\n)")
    if code:
        raise Differs(f"before the page:\n{text}\n{printed}\nended with {code}")
