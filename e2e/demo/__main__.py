"""`make demo`: Ringfence on a real cluster, and a report of what its fences do there."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from cluster.errors import ClusterError
from cluster.instance import DEFAULT_NAME
from cluster.shell import say, step
from harness import manifests
from harness.api import connect
from harness.environment import Environment, choose
from harness.install import NAMESPACE, Image, envoy_image, install, own_image, uninstall
from harness.manifests import NAMESPACE as AGENTS
from harness.manifests import TOOLS
from harness.probing import pods_of

from .narrative import Narrative
from .report import Report

__all__ = ["main", "show"]

BUILT_IN = "built-in"


def show(
    environment: Environment, report: Report, *, image: str = "", agent_image: str = "", gateway_image: str = ""
) -> None:
    """Install, apply, try, and tell. `image` and the others: REPOSITORY@DIGEST that the cluster can pull."""
    with report.section(
        f"Ringfence on {'the built-in cluster' if environment.cluster else 'cluster'} {environment.name}"
    ):
        own = Image.parse(image) if image else own_image(environment)
        if not agent_image:
            with step("loading the test image"):
                environment.load_testbox()
        gateways = Image.parse(gateway_image) if gateway_image else envoy_image(environment)
        install(environment, own, gateways=gateways)
        ready = pods_of(environment.kubectl, NAMESPACE, "ringfence.dev/serves=metrics")
        version = json.loads(environment.kubectl("get", "--raw", "/version"))["gitVersion"]
        report.check(bool(ready), f"Kubernetes {version}, {len(ready)} pods of Ringfence ready", pods=len(ready))
    if not report.ok:
        return
    with connect(environment.kubectl) as api:
        narrative = Narrative(environment, api, report, agent_image or environment.testbox)
        sections = (
            ("Agents run, each inside its fence", narrative.agent_runs),
            ("From inside the researcher's pod (allowed: the first two)", narrative.reach),
            ("By its name, through a gateway of its own, and without the key", narrative.by_name),
            ("The agent without a network, and the one with a single caller", narrative.nothing_at_all),
            ("An agent that works at night, asked to work now", narrative.scheduled),
            ("Requests that go too far never get in", narrative.refused),
            ("Nor does anybody widen a fence from beside it", narrative.guarded),
            ("A fence cut by hand", narrative.put_back),
            ("What the security engineer sees on /metrics", narrative.violations),
        )
        for title, tell in sections:
            with report.section(title):
                tell()


def remove(environment: Environment) -> None:
    """Take away what `show` brought."""
    if environment.cluster:
        environment.cluster.down()
        return
    with step("removing the examples"):
        if environment.kubectl.find("crd", "agentdeployments.ringfence.dev"):
            environment.kubectl.gone("agd", "--all", "-n", AGENTS)
        environment.kubectl("delete", "namespace", AGENTS, TOOLS, "--ignore-not-found", "--timeout=120s", timeout=130)
    uninstall(environment)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point: 0 when everything was as claimed, 1 when not, 2 for bad usage."""
    args = _parser().parse_args(argv)
    if args.examples:
        print(manifests.accepted(args.agent_image or manifests.PLACEHOLDER, quiet=True))
        return 0
    report = Report(as_json=args.json)
    try:
        built_in = args.context == BUILT_IN
        environment = choose("" if built_in else args.context, name=args.name, force_built_in=built_in)
        if args.remove:
            remove(environment)
            return 0
        images = {"image": args.image, "agent_image": args.agent_image, "gateway_image": args.gateway_image}
        show(environment, report, **images)
    except ClusterError as error:
        say(f"demo: {error}", color="31")
        return 1
    except KeyboardInterrupt:
        return 130
    _end(environment, report)
    report.close(cluster=environment.name)
    return 0 if report.ok else 1


def _end(environment: Environment, report: Report) -> None:
    verdict = "Everything was as claimed" if report.ok else "NOT everything was as claimed: see the crosses above"
    report.plain(f"\n{verdict} ({report.seconds:.0f} s).\n")
    report.plain("Next, try:")
    if environment.cluster:
        programs = environment.kubectl.env["PATH"].split(":")[0]
        report.plain(f"  export KUBECONFIG={environment.cluster.kubeconfig} PATH={programs}:$PATH")
    for command in (
        f"kubectl get agd -n {AGENTS} -o wide",
        f"kubectl describe agd researcher -n {AGENTS}",
        f"kubectl exec -n {AGENTS} deploy/ringfence-researcher -- /testbox probe https://203.0.113.20/",
        f"kubectl edit agd researcher -n {AGENTS}      # and ask for more",
        "kubectl explain agd.spec.network",
        f"make demo-down{'' if environment.cluster else f' CONTEXT={environment.name}'}      # remove it all",
    ):
        report.plain(f"  {command}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument(
        "--context",
        default=os.environ.get("DEMO_CONTEXT", ""),
        help=f"a context of the kubeconfig, or {BUILT_IN} (DEMO_CONTEXT). Default: the kubeconfig's current one where"
        " that is a kind or k3d cluster, the built-in cluster where there is no kubeconfig",
    )
    parser.add_argument("--name", default=DEFAULT_NAME, help="which built-in cluster (now %(default)s)")
    parser.add_argument("--json", action="store_true", help="the report as JSON on standard output")
    parser.add_argument(
        "--image", default="", help="REPOSITORY@DIGEST of Ringfence's image, where none is to be loaded"
    )
    parser.add_argument("--agent-image", default="", help="REPOSITORY@DIGEST of the test image, likewise")
    parser.add_argument("--gateway-image", default="", help="REPOSITORY@DIGEST of Envoy's image, likewise")
    parser.add_argument("--remove", action="store_true", help="take everything away that the demo made")
    parser.add_argument("--examples", action="store_true", help="only print the examples, with --agent-image in them")
    return parser


if __name__ == "__main__":
    sys.exit(main())
