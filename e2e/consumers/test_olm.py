"""The bundle of the Operator Lifecycle Manager, by what its makers check bundles with."""

import subprocess

from cluster import programs
from consumers.conftest import Made


def test_the_bundle_is_one(made: Made) -> None:
    words = [str(programs.operator_verify()), "manifests", str(made.folder / "olm/manifests"), "--object_validate"]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout + done.stderr == ""
