"""Runs the tests that ask an API server against the version of Kubernetes that RINGFENCE_KUBERNETES names.

Each group is a run of its own, as in CI. What a version cannot do is left out here and said in
docs/reference/clusters.md: policies from files are alpha in 1.36, MutatingAdmissionPolicies are v1 in it.
"""

import os
import subprocess
import sys
from typing import Final

from cluster import programs
from cluster.errors import ClusterError
from cluster.shell import say

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "CRDs, admission, command line": ("tests/api", "--ignore", "tests/api/controller", "--dist", "loadfile"),
    "controller": ("tests/api/controller", "--dist", "loadfile"),
    "floor, guards, rights": (
        "tests/chart",
        "--dist",
        "loadgroup",
    ),
}
OF_136: Final = (
    "--ignore=tests/chart/guards/test_static_floor.py",
    "--ignore=tests/chart/guards/test_guards_requester.py",
    "--ignore=tests/chart/guards/test_guards_requester_again.py",
    "--ignore=tests/api/controller/test_assigned_ids.py",
    "--deselect=tests/api/controller/test_widened.py::test_a_pod_that_is_changed_on_its_way_in",
    "--deselect=tests/api/test_requester.py::test_who_takes_an_agent_over_must_hold_all_of_it",
)
"""What asks for the kinds of an API server of 1.36."""


def main(words: list[str]) -> int:
    """Run each group; the exit code: 0 when all of them passed. `words`: more arguments for pytest."""
    try:
        version = programs.version()
        programs.kubernetes()
    except ClusterError as failure:
        say(str(failure), color="31")
        return 2
    short = version.rpartition(".")[0].replace(".", "")
    names = {name: f"v{short}-{name[:2]}" for name in ("api", "chart", "crds", "lacks", "outage")}
    env = {**os.environ, **{f"RINGFENCE_{name.upper()}_CLUSTER": cluster for name, cluster in names.items()}}
    failed = []
    for group, arguments in GROUPS.items():
        say(f"Kubernetes {version}: {group}")
        argv = [sys.executable, "-m", "pytest", "-n", "2", *arguments, *OF_136, *words]
        done = subprocess.run(argv, env=env, check=False)
        if done.returncode:
            failed.append(group)
    say(f"Kubernetes {version}: {'failed: ' + ', '.join(failed) if failed else 'all passed'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
