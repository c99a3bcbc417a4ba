"""The Go programs: formatted, vetted, and their own tests pass."""

import os
import subprocess
from pathlib import Path

import pytest

from cluster import programs

MODULES = ("netpol", "testbox")


def go(module: str, *args: str) -> str:
    done = subprocess.run(
        [programs.go(), *args],
        cwd=programs.HERE / module,
        env=programs.go_env(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("module", MODULES)
def test_go_tests_pass(module: str) -> None:
    go(module, "vet", "./...")
    go(module, "test", "./...")


def test_gofmt_has_nothing_to_say() -> None:
    gofmt = Path(os.path.realpath(programs.go())).with_name("gofmt")
    folders = [str(programs.HERE / module) for module in (*MODULES, "kube")]
    assert subprocess.run([gofmt, "-l", *folders], capture_output=True, text=True, check=True).stdout == ""
