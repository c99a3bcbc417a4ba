"""Measure on a built-in cluster of its own, and print the figures as JSON."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.shell import say, step
from harness.api import connect
from harness.environment import Environment, built_in
from harness.install import envoy_image, install, own_image
from harness.rotating import KEYS

from . import editor, gate, rotation
from .admission import admission
from .gateway.run import gateway
from .guards import guards
from .local import local
from .numbers import machine
from .scale.run import TRIALS, scale
from .trials import NAMESPACE, Bench, clean, prepare
from .users import USERS, users

ROOT = Path(__file__).resolve().parents[2]
ALONE = "gateway"
"""The trial that needs no cluster, and is made before there is one, which would take its part of the machine."""


def measure(place: Environment, args: argparse.Namespace) -> dict[str, Any]:
    """All measurements that need a cluster, one after the other."""
    if place.cluster is None:
        raise ClusterError("the bench reads the API server's record, which only the built-in cluster keeps")
    report: dict[str, Any] = {}
    if not args.trial:
        report["local"] = local(args.commands)
    clean(place.kubectl)  # before the install: what an earlier run left takes the room of Ringfence's own pods
    rotation.clean(place)
    editor.clean(place.kubectl)
    rotation.prepare(place)
    prepare(place.kubectl)
    install(place, own_image(place), f"agentNamespaces={{{KEYS},{NAMESPACE}}}", gateways=envoy_image(place))
    if not (args.no_demo or args.trial):
        report["demo_warm_seconds"] = _demo(place)
    with connect(place.kubectl) as api:
        bench = Bench(place.cluster, place.kubectl, api)
        bench.prepare()
        trials: dict[str, Callable[[], dict[str, Any]]] = {
            "start": lambda: bench.starts(args.starts),
            "repair": lambda: bench.repairs(args.repairs),
            "editor": lambda: editor.editor(place, api, seconds=args.editor_seconds, singles=args.editor_singles),
            "rotation": lambda: rotation.rotations(place, api, args.rotations),
            "admission": lambda: admission(place.name, cycles=args.reviews),
            "users": lambda: users(place.name, args.users),
            "guards": lambda: guards(place.name, cycles=args.guard_cycles),
            "gateway_start": lambda: bench.gateway_starts(args.gateway_starts),
            "rest": lambda: bench.rest(args.rest_agents, args.rest_seconds, args.rest_gateways),
            "restart": lambda: bench.restart(args.restart_agents),
            "memory_mib": bench.memory,
        }
        if unknown := set(args.trial) - {*trials, ALONE}:
            raise ClusterError(f"no trial {', '.join(sorted(unknown))}; there are {', '.join([ALONE, *trials])}")
        for name in [name for name in args.trial or trials if name != ALONE]:
            report[name] = _attempt(trials[name])
        if args.keep:
            clean(place.kubectl)
            rotation.clean(place)
            editor.clean(place.kubectl)
    return report


def _gateway(args: argparse.Namespace) -> dict[str, Any]:
    amounts = {"mib": args.gateway_mib, "streams": args.gateway_streams}
    return _attempt(lambda: gateway(args.gateway_requests, args.gateway_seconds, **amounts))


def _attempt(trial: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What it tells, or its error: what was measured before is not lost by that."""
    try:
        return trial()
    except ClusterError as error:
        return {"error": str(error)}


def _on_a_node(args: argparse.Namespace) -> dict[str, Any]:
    place = built_in(args.name)
    try:
        return measure(place, args)
    finally:
        if not args.keep and place.cluster:
            place.cluster.down()


def _demo(place: Environment) -> float:
    """Seconds of a demo for which everything is there already; the first run sees to that."""
    argv = [sys.executable, "-m", "demo", "--context", "built-in", "--name", place.name, "--json"]
    for what in ("the demo, once to have everything there", "the demo, timed"):
        with step(what):
            done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
    told = json.loads(done.stdout or "{}")
    if not told.get("ok"):
        raise ClusterError(
            f"the demo says that not everything is as claimed:\n{done.stdout[-3000:]}{done.stderr[-1000:]}"
        )
    return float(told["seconds"])


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--starts", type=int, default=100, help="agents that are started, one by one")
    parser.add_argument("--repairs", type=int, default=200, help="children that are deleted or edited")
    parser.add_argument(
        "--editor-seconds", type=int, default=20, help="for how long an allow policy is edited in a loop"
    )
    parser.add_argument("--editor-singles", type=int, default=30, help="edits of it that are made one by one")
    parser.add_argument("--rotations", type=int, default=10, help="keys rotated, of each way of delivery")
    parser.add_argument("--commands", type=int, default=20, help="runs of ringfence lint, and scrapes")
    parser.add_argument("--reviews", type=int, default=1000, help="dry runs with each way of admission")
    parser.add_argument("--users", type=int, default=USERS, help="users who ask for agents at the same time")
    parser.add_argument(
        "--guard-cycles", type=int, default=2000, help="requests of each kind with and without the guards"
    )
    parser.add_argument(
        "--gateway-requests", type=int, default=2000, help="requests timed of each way through the egress gateway"
    )
    parser.add_argument("--gateway-seconds", type=float, default=10, help="full load of each way through it")
    parser.add_argument("--gateway-mib", type=int, default=512, help="MiB moved down and up, three times by each way")
    parser.add_argument("--gateway-streams", type=int, default=1000, help="event streams open at once by each way")
    parser.add_argument("--gateway-starts", type=int, default=30, help="agents with a gateway, started one by one")
    parser.add_argument("--rest-agents", type=int, default=50, help="agents that are left alone")
    parser.add_argument("--rest-gateways", type=int, default=10, help="how many of them have a gateway")
    parser.add_argument("--rest-seconds", type=int, default=300, help="for how long")
    parser.add_argument("--restart-agents", type=int, default=200, help="agents over which the controller restarts")
    parser.add_argument(
        "--scale", type=int, default=1000, help="agents of the scale trial, on a cluster of its own; 0: leave it out"
    )
    parser.add_argument(
        "--only", type=_names, default=(), help=f"of the scale trial only these, and nothing else: {','.join(TRIALS)}"
    )
    parser.add_argument(
        "--trial",
        type=_names,
        default=(),
        help="only these trials, such as editor,repair; no scale trial. gateway alone needs no cluster",
    )
    parser.add_argument("--window", type=int, default=120, help="seconds for which the scale trial leaves agents alone")
    parser.add_argument("--no-demo", action="store_true", help="do not time the demo")
    parser.add_argument("--name", default="bench", help="which built-in cluster")
    parser.add_argument("--keep", action="store_true", help="leave the cluster standing")
    parser.add_argument(
        "--write-gate",
        nargs="*",
        type=Path,
        metavar="REPORT",
        help="measure nothing: write the gate file from these reports, or from those stored on this machine",
    )
    args = parser.parse_args(argv)
    if args.write_gate is not None:
        return _write_gate(args.write_gate)
    report: dict[str, Any] = {"machine": machine()}
    try:
        if not args.only and ALONE in (args.trial or (ALONE,)):
            report[ALONE] = _gateway(args)
        if not args.only and set(args.trial) != {ALONE}:
            report |= _on_a_node(args)
        if args.scale and not args.trial:
            cluster = f"{args.name}-scale"
            report["scale"] = scale(cluster, args.scale, only=args.only, window=args.window, keep=args.keep)
    except ClusterError as error:
        say(f"bench: {error}", color="31")
        return 1
    report["machine"]["load_at_the_end"] = machine()["load"]
    report["moved"] = gate.tell(report)
    say(f"  stored as {gate.keep(report)}", color="2")
    print(json.dumps(report, indent=1))
    return 1 if _failed(report) else 0


def _write_gate(files: Sequence[Path]) -> int:
    try:
        say(f"  wrote {gate.write(files)}")
    except (ClusterError, OSError) as error:
        say(f"bench: {error}", color="31")
        return 1
    return 0


def _failed(part: Any) -> bool:
    """Whether a trial of this report ended with an error."""
    return isinstance(part, dict) and ("error" in part or any(map(_failed, part.values())))


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


if __name__ == "__main__":
    sys.exit(main())
