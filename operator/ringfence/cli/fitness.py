"""Is a cluster fit for agents? What `ringfence doctor` reads, and what else matters to a fence that is to hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ringfence.api.names import API_VERSION

from . import cluster, formatting
from .checks import Check, State, diagnose, unless_hidden
from .doctor import ADMISSION, gather, seen

OF_THE_CLUSTER: Final = ("kubernetes", "network", "dns", "api-server", "webhook", "certificates", "floor", "requester")
"""Checks of `ringfence doctor` that say how far the cluster bears a fence."""
ENCRYPTION: Final = "--encryption-provider-config"
"""What tells an API server to encrypt what it stores."""
NAMED: Final = 5
"""Names in one sentence."""


@dataclass(frozen=True)
class Around:
    """What the cluster showed. None: this user may not see it.

    `mutators`: names of mutating webhooks that are asked about pods. `servers`: pods of the API server, as far as they
    are pods. `agents`: all.
    """

    mutators: Sequence[str] | None = None
    servers: Sequence[Mapping[str, Any]] | None = None
    agents: Sequence[Mapping[str, Any]] | None = None
    hidden: Mapping[str, str] = field(default_factory=dict)


async def fitness(session: cluster.Session, lease: str) -> list[Check]:
    """All checks. Raises ApiError, Unreachable."""
    found = diagnose(await gather(session, lease), formatting.now())
    return [*(one for one in found if one.name in OF_THE_CLUSTER), *judge(await _around(session))]


async def _around(session: cluster.Session) -> Around:
    from ringfence.kube import path_of  # noqa: PLC0415 - heavy

    kube, hidden = session.kube, dict[str, str]()
    hooks = await seen(hidden, "mutation", lambda: kube.list(path_of(ADMISSION, "mutatingwebhookconfigurations")))
    pods = path_of("v1", "pods", "kube-system")
    servers = await seen(hidden, "encryption", lambda: kube.list(pods, label_selector="component=kube-apiserver"))
    agents = await seen(hidden, "packets", lambda: kube.list(path_of(API_VERSION, cluster.AGENTS)))
    return Around(None if hooks is None else mutators(hooks), servers, agents, hidden)


def mutators(configurations: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the webhooks in them that are asked about new pods."""
    return sorted(
        str(hook.get("name"))
        for one in configurations
        for hook in one.get("webhooks") or ()
        if any(_of_pods(rule) for rule in hook.get("rules") or ())
    )


def _of_pods(rule: Mapping[str, Any]) -> bool:
    groups, resources = rule.get("apiGroups") or (), rule.get("resources") or ()
    operations = rule.get("operations") or ()
    return (
        bool({"", "*"} & set(groups))
        and bool({"pods", "*", "*/*"} & set(resources))
        and bool({"CREATE", "*"} & set(operations))
    )


def judge(around: Around) -> list[Check]:
    """What else is to be said of the cluster. Pure."""
    found = [_mutation(around), _packets(around), _metadata(around), _encryption(around)]
    return unless_hidden(found, around.hidden)


def _mutation(around: Around) -> Check:
    """The API server asks those that change first, then those that judge: what they make of a pod, our guards see."""
    if not around.mutators:
        return Check("mutation", State.OK, "no webhook changes pods")
    more = f" and {len(around.mutators) - NAMED} more" if len(around.mutators) > NAMED else ""
    said = f"{', '.join(around.mutators[:NAMED])}{more} may change pods, before Ringfence's guards and checks see them"
    fix = "leave namespaces of agents out of them; FenceWidened tells what they put in (kubectl get agd -A)"
    return Check("mutation", State.WARNING, said, fix)


def _trials(around: Around) -> list[Mapping[str, Any]]:
    """The last trial of each agent that could be made."""
    found = [(one.get("status") or {}).get("verification") for one in around.agents or ()]
    return [one for one in found if one and one.get("outcome") in {"Held", "Failed"}]


def _packets(around: Around) -> Check:
    """Whether packets are dropped, as the trials of agents' fences found."""
    trials, fix = _trials(around), "ringfence verify NAME -n NAMESPACE"
    if not trials:
        return Check("packets", State.UNKNOWN, "no agent's fence was tried, so nobody has seen a packet dropped", fix)
    open_ones = [one for one in trials if any(bad.get("wanted") == "closed" for bad in one.get("failed") or ())]
    if open_ones:
        first = next(bad for bad in open_ones[0]["failed"] if bad.get("wanted") == "closed")
        said = f"{len(open_ones)} of {len(trials)} fences that were tried let something through, such as {first['id']}"
        return Check("packets", State.WRONG, said, "kubectl get agd -A; condition FenceVerified says what")
    return Check("packets", State.OK, f"{len(trials)} fences were tried, and let nothing through")


def _metadata(around: Around) -> Check:
    """Of the metadata service of a cloud nobody knows but by trying."""
    trials, fix = _trials(around), "ringfence verify NAME -n NAMESPACE"
    if any(str(bad.get("id")).startswith("metadata:") for one in trials for bad in one.get("failed") or ()):
        fix = "have the network plugin drop 169.254.169.254 for pods, or the cloud ask for IMDSv2 with a hop limit of 1"
        return Check("metadata", State.WRONG, "an agent's pod reached the metadata service", fix)
    if not trials:
        return Check("metadata", State.UNKNOWN, "nobody has tried to reach the metadata service from an agent", fix)
    return Check("metadata", State.OK, f"silent to {len(trials)} agents, or there is none")


def _encryption(around: Around) -> Check:
    """By the arguments of the API server, where it is a pod."""
    if not around.servers:
        said = "the API server is no pod here, so whether it encrypts Secrets that it stores cannot be seen"
        return Check("encryption", State.UNKNOWN, said, "ask whoever runs the control plane, or read its documentation")
    if all(_encrypts(one) for one in around.servers):
        return Check("encryption", State.OK, f"the API server is told by {ENCRYPTION} to encrypt what it stores")
    fix = "https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/"
    return Check("encryption", State.WARNING, "the API server stores Secrets in plain text", fix)


def _encrypts(pod: Mapping[str, Any]) -> bool:
    containers = (pod.get("spec") or {}).get("containers") or ()
    words = [word for one in containers for word in (*(one.get("command") or ()), *(one.get("args") or ()))]
    return any(word.startswith(ENCRYPTION) for word in words)
