"""The command line: python -m cluster COMMAND."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from . import conformance, controlplane, instance, lifecycle, node, programs
from .api import Cluster
from .errors import ClusterError
from .images import testbox
from .processes import running
from .shell import say

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 1 for a failure that is explained, 2 for bad usage."""
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args) or 0)
    except ClusterError as error:
        say(f"cluster: {error}", color="31")
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cluster", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: object, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.add_argument(
            "--name", default=instance.DEFAULT_NAME, help="which cluster (RINGFENCE_CLUSTER; now %(default)s)"
        )
        added.set_defaults(run=run)
        return added

    up = command("up", _up, "bring the cluster up; does nothing when it already is")
    up.add_argument("--mode", choices=["api", "node"], default="node", help="api: no pods, 3 s, no root")
    up.add_argument(
        "--network-policy",
        choices=["enforce", "ignore", "late"],
        default="enforce",
        help="ignore: a network that does not enforce NetworkPolicy; late: one that does only 3 s after a pod's start "
        "(can be changed while it runs)",
    )
    up.add_argument(
        "--static-admission",
        action="store_true",
        help="have the API server read ValidatingAdmissionPolicies from the instance's folder `admission`, too",
    )
    command("down", _down, "remove the cluster without a trace")
    command("status", _status, "say what runs; exit code 0 when all is well")
    config = command("kubeconfig", _kubeconfig, "print the path of a kubeconfig")
    config.add_argument("--user", help="of this user, by client certificate (default: an administrator)")
    config.add_argument("--group", action="append", default=[], help="of these groups; repeatable")
    command("env", _env, 'print shell lines: eval "$(python -m cluster env)"')
    load = command("load", _load, "load image archives (OCI or Docker) into the node")
    load.add_argument("archive", nargs="+", type=Path)
    load.add_argument("--tag", help="name of the image, when its archive does not tell")
    execute = command("exec", _exec, "run a command with KUBECONFIG, kubectl and helm set up")
    execute.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND ...")
    logs = command("logs", _logs, "print the end of a component's log")
    logs.add_argument("component")
    judge = command("conformance", _conformance, "have Cyclonus judge the NetworkPolicy enforcement")
    judge.add_argument("--full", action="store_true", help="all 230 cases (over an hour), not a subset")
    judge.add_argument("--include", help="only cases with one of these tags of Cyclonus, comma-separated")
    judge.add_argument("--exclude", default="", help="no case with one of these tags")
    command("testbox", _testbox, "print the name of the test image, by digest, as pods name it")
    command("build", _build, "build and fetch all programs ahead of time")
    return parser


def _up(args: argparse.Namespace) -> None:
    cluster = Cluster.up(
        args.name, mode=args.mode, network_policy=args.network_policy, static_admission=args.static_admission
    )
    print(f"export KUBECONFIG={cluster.kubeconfig}")


def _down(args: argparse.Namespace) -> None:
    lifecycle.down(args.name)


def _status(args: argparse.Namespace) -> int:
    found = instance.find(args.name)
    if found is None:
        print(f"{args.name}: not there")
        return 1
    alive = running(found)
    print(f"{found.name}: mode {found.mode}, NetworkPolicy {found.network_policy}d, {found.server}")
    print(f"  kubeconfig {found.kubeconfig}\n  logs       {found.logs}")
    if found.static_admission:
        print(f"  admission  {found.admission_manifests}")
    for name in lifecycle.components(found):
        print(f"  {name:24} {f'process {alive[name]}' if name in alive else 'NOT RUNNING'}")
    return 0 if lifecycle.healthy(found) else 1


def _kubeconfig(args: argparse.Namespace) -> None:
    found = _existing(args.name)
    if args.user:
        print(controlplane.user_kubeconfig(found, args.user, args.group))
    else:
        print(found.kubeconfig)


def _env(args: argparse.Namespace) -> None:
    env = controlplane.environment(_existing(args.name))
    for name in ("KUBECONFIG", "KUBECACHEDIR"):
        print(f"export {name}={env[name]}")
    print(f'export PATH="{programs.tools()}:$PATH"')


def _load(args: argparse.Namespace) -> None:
    cluster = Cluster(_existing(args.name))
    for archive in args.archive:
        for image in cluster.load_image(archive, name=args.tag):
            print(f"{image.tag}\n{image.pinned}")


def _exec(args: argparse.Namespace) -> int:
    words = args.words[1:] if args.words[:1] == ["--"] else args.words
    if not words:
        raise ClusterError("exec: no command given")
    return subprocess.run(words, env=Cluster(_existing(args.name)).env, check=False).returncode


def _logs(args: argparse.Namespace) -> None:
    file = _existing(args.name).logs / f"{args.component}.log"
    if not file.exists():
        raise ClusterError(f"no log {file}")
    with file.open(errors="replace") as lines:
        sys.stdout.writelines(lines.readlines()[-200:])


def _conformance(args: argparse.Namespace) -> int:
    cluster = Cluster.up(args.name, mode="node", network_policy="enforce")
    verdict = conformance.judge(cluster, full=args.full, include=args.include, exclude=args.exclude)
    conformance.report(verdict)
    return 1 if verdict.failed else 0


def _testbox(args: argparse.Namespace) -> None:
    print(testbox()[1].pinned)


def _build(args: argparse.Namespace) -> None:
    programs.tools()
    programs.kubernetes()
    if os.geteuid() == 0:
        node.build()


def _existing(name: str) -> instance.Instance:
    found = instance.find(name)
    if found is None:
        raise ClusterError(f"there is no cluster {name}; `python -m cluster up --name {name}` makes it")
    return found
