"""The commands of the documentation, as a reader would type them, and what they print."""

from pathlib import Path

import pytest

from demo.place import Place
from pages.page import ROOT, Page
from pages.register import CLUSTER, FROM_NOTHING
from pages.terminal import Differs, Terminal, checkout, environment, follow
from suites.docs.stages import AT, BEFORE, IMAGE, POLICIES


@pytest.mark.parametrize("path", CLUSTER)
def test_a_page_on_a_cluster_with_ringfence(path: str, place: Place, tmp_path: Path) -> None:
    def image(text: str) -> str:
        """With an image that the cluster has, and leave to use it."""
        return text.replace(IMAGE, place.testbox).replace("[registry.example/acme]", "[localhost]")

    def enter(section: str) -> None:
        if happens := AT.get((path, section)):
            _set(terminal, image(happens))

    env = environment(**{**place.kubectl.env, "PATH": f"{ROOT / '.venv/bin'}:{place.kubectl.env['PATH']}"})
    with Terminal(checkout(tmp_path), env) as terminal:
        _set(terminal, POLICIES)
        _set(terminal, image(BEFORE[path]))
        follow(Page(path), terminal, prepare=image, enter=enter)


def test_the_tutorial_from_nothing(fresh: str, tmp_path: Path) -> None:
    with Terminal(checkout(tmp_path), environment(RINGFENCE_CLUSTER=fresh)) as terminal:
        follow(Page(FROM_NOTHING), terminal)


def test_what_is_set_is_about_pages_that_are_there() -> None:
    assert BEFORE.keys() == set(CLUSTER)
    assert AT.keys() <= {(path, command.section) for path in CLUSTER for command in Page(path).commands}


def _set(terminal: Terminal, text: str) -> None:
    printed, code = terminal.run(f"(set -e\n{text.strip()}\n)")
    if code:
        raise Differs(f"before the page:\n{text}\n{printed}\nended with {code}")
