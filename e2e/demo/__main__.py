"""`make demo`: Ringfence on a real cluster, and an account of what its fences do there."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from cluster.errors import ClusterError
from cluster.instance import DEFAULT_NAME
from cluster.shell import say, step

from . import manifests
from .account import Account
from .api import connect
from .install import NAMESPACE, Image, install, own_image, uninstall
from .manifests import NAMESPACE as AGENTS
from .manifests import TOOLS
from .place import Place, choose
from .probing import pods_of
from .story import Story

__all__ = ["main", "show"]

BUILT_IN = "built-in"


def show(place: Place, account: Account, *, image: str = "", agent_image: str = "") -> None:
    """Install, apply, try, and tell. `image`, `agent_image`: REPOSITORY@DIGEST that the cluster can pull."""
    with account.section(f"Ringfence on {'the built-in cluster' if place.cluster else 'cluster'} {place.name}"):
        own = Image.parse(image) if image else own_image(place)
        if not agent_image:
            with step("loading the test image"):
                place.load_testbox()
        install(place, own)
        ready = pods_of(place.kubectl, NAMESPACE, "ringfence.dev/serves=metrics")
        version = json.loads(place.kubectl("get", "--raw", "/version"))["gitVersion"]
        account.check(bool(ready), f"Kubernetes {version}, {len(ready)} pods of Ringfence ready", pods=len(ready))
    if not account.ok:
        return
    with connect(place.kubectl) as api:
        story = Story(place, api, account, agent_image or place.testbox)
        sections = (
            ("Agents run, each inside its fence", story.agent_runs),
            ("From inside the researcher's pod (allowed: the first two)", story.reach),
            ("The agent without a network, and the one with a single caller", story.nothing_at_all),
            ("Requests that go too far never get in", story.refused),
            ("A fence cut by hand", story.put_back),
            ("What the security engineer sees on /metrics", story.violations),
        )
        for title, tell in sections:
            with account.section(title):
                tell()


def remove(place: Place) -> None:
    """Take away what `show` brought."""
    if place.cluster:
        place.cluster.down()
        return
    with step("removing the examples"):
        if place.kubectl.find("crd", "agentdeployments.ringfence.dev"):
            place.kubectl.gone("agd", "--all", "-n", AGENTS)
        place.kubectl("delete", "namespace", AGENTS, TOOLS, "--ignore-not-found", "--timeout=120s", timeout=130)
    uninstall(place)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point: 0 when everything was as claimed, 1 when not, 2 for bad usage."""
    args = _parser().parse_args(argv)
    if args.examples:
        print(manifests.accepted(args.agent_image or manifests.PLACEHOLDER))
        return 0
    account = Account(as_json=args.json)
    try:
        built_in = args.context == BUILT_IN
        place = choose("" if built_in else args.context, name=args.name, force_built_in=built_in)
        if args.remove:
            remove(place)
            return 0
        show(place, account, image=args.image, agent_image=args.agent_image)
    except ClusterError as error:
        say(f"demo: {error}", color="31")
        return 1
    except KeyboardInterrupt:
        return 130
    _end(place, account)
    account.close(cluster=place.name)
    return 0 if account.ok else 1


def _end(place: Place, account: Account) -> None:
    verdict = "Everything was as claimed" if account.ok else "NOT everything was as claimed: see the crosses above"
    account.plain(f"\n{verdict} ({account.seconds:.0f} s).\n")
    account.plain("Next, try:")
    if place.cluster:
        account.plain(
            f"  export KUBECONFIG={place.cluster.kubeconfig} PATH={place.kubectl.env['PATH'].split(':')[0]}:$PATH"
        )
    for command in (
        f"kubectl get agd -n {AGENTS} -o wide",
        f"kubectl describe agd researcher -n {AGENTS}",
        f"kubectl exec -n {AGENTS} deploy/ringfence-researcher -- /testbox probe https://203.0.113.20/",
        f"kubectl edit agd researcher -n {AGENTS}      # and ask for more",
        "kubectl explain agd.spec.network",
        f"make demo-down{'' if place.cluster else f' CONTEXT={place.name}'}      # remove it all",
    ):
        account.plain(f"  {command}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument(
        "--context",
        default=os.environ.get("DEMO_CONTEXT", ""),
        help=f"a context of the kubeconfig, or {BUILT_IN} (DEMO_CONTEXT). Default: the kubeconfig's current one where"
        " that is a kind or k3d cluster, the built-in cluster where there is no kubeconfig",
    )
    parser.add_argument("--name", default=DEFAULT_NAME, help="which built-in cluster (now %(default)s)")
    parser.add_argument("--json", action="store_true", help="the account as JSON on standard output")
    parser.add_argument(
        "--image", default="", help="REPOSITORY@DIGEST of Ringfence's image, where none is to be loaded"
    )
    parser.add_argument("--agent-image", default="", help="REPOSITORY@DIGEST of the test image, likewise")
    parser.add_argument("--remove", action="store_true", help="take everything away that the demo made")
    parser.add_argument("--examples", action="store_true", help="only print the examples, with --agent-image in them")
    return parser


if __name__ == "__main__":
    sys.exit(main())
