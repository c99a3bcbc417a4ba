"""What can stand in the way of a pass, each of a kind that says what to do: see ringfence.kube.errors."""

from collections.abc import Sequence

from ringfence.api.names import CEILING_BINDING, CEILING_CLUSTER_ROLE, CEILING_LABEL
from ringfence.controller.runtime.lease import NotLeading
from ringfence.kube import ErrorKind, RingfenceError
from ringfence.policy.atoms import Atom
from ringfence.policy.levels import ordered
from ringfence.policy.text import listed
from ringfence.resources import Ref
from ringfence.resources.model import removal

from .fit import Fit

__all__ = [
    "AgentGone",
    "GatewayUnusable",
    "MutatedOnWrite",
    "NotGranted",
    "NotHeld",
    "NotInCeiling",
    "NotLeading",
    "OwnershipConflict",
    "ReadsMissing",
    "Requeue",
    "Settling",
    "in_the_way",
]

GRANT = "kubectl create rolebinding ringfence-secrets --clusterrole=ringfence-secrets"
"""How a namespace is opened to secrets: the API server lets nobody give a right that he does not hold."""


class OwnershipConflict(RingfenceError):
    """An object of a child's name exists and does not belong to the agent. It is left as it is."""

    kind = ErrorKind.NOT_OURS

    def __init__(self, ref: Ref) -> None:
        super().__init__(
            f"{ref.kind} {ref.name} exists already and does not belong to this AgentDeployment; it was left untouched. "
            "Delete or rename it, and Ringfence goes on by itself. If it was left by an AgentDeployment of this name "
            f"that was deleted without its children, remove all of them: {removal(ref.namespace, 'NAME')}"
        )
        self.ref = ref


class Requeue(RingfenceError):
    """The write has to wait for something that will happen by itself (an object that is being deleted)."""

    def __init__(self, why: str, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class AgentGone(RingfenceError):
    """The agent itself is gone: its children went with it, and are not to come back."""

    kind = ErrorKind.GONE


class MutatedOnWrite(RingfenceError):
    """What is stored is not what was written: something on the way (a mutating webhook) puts its own in."""

    kind = ErrorKind.REFUSED

    def __init__(self, ref: Ref) -> None:
        super().__init__(
            f"{ref.kind} {ref.name} is not stored as it was written: something in the cluster, such as a mutating "
            "webhook, changes it on the way. Exempt Ringfence's objects from it."
        )
        self.ref = ref


class GatewayUnusable(RingfenceError):
    """What an agent's egress gateway would be given, Envoy or a Secret would not take. Nothing was written."""

    kind = ErrorKind.REFUSED

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}. Its egress gateway goes on with what it has")


class NotGranted(RingfenceError):
    """The controller holds no permission on Secrets in the namespace."""

    kind = ErrorKind.REFUSED

    def __init__(self, namespace: str, account: str) -> None:
        super().__init__(
            f"namespace {namespace} is not open to secrets: have a platform engineer list it in the chart's value "
            f"agentNamespaces, or run: {GRANT} --serviceaccount={account} -n {namespace}"
        )


class NotHeld(RingfenceError):
    """The controller holds nothing in the namespace that it could give to agents."""

    kind = ErrorKind.REFUSED

    def __init__(self, namespace: str) -> None:
        super().__init__(
            f"RoleBinding {CEILING_BINDING} is not there, by which Ringfence holds in namespace {namespace} what it "
            f"may give to agents (ClusterRole {CEILING_CLUSTER_ROLE}): Ringfence makes it where the namespace is open "
            "to agents. What is in the way, the Events of the namespace and the controller's log tell."
        )


class ReadsMissing(RingfenceError):
    """A ClusterRoleBinding of the chart, by which agents are given cluster-wide reads, is not there as installed."""

    kind = ErrorKind.REFUSED

    def __init__(self, name: str) -> None:
        super().__init__(
            f"ClusterRoleBinding {name} is not there as the chart installs it, and Ringfence makes none itself: "
            "install it again (helm upgrade)"
        )


class NotInCeiling(RingfenceError):
    """Policies let an agent use custom resources that the cluster's ceiling does not hold."""

    kind = ErrorKind.REFUSED

    def __init__(self, lacking: Sequence[Atom]) -> None:
        commands = [_addition(*one) for one in _by_resource(lacking)]
        super().__init__(
            f"policies allow {listed(map(str, lacking))}, but ClusterRole {CEILING_CLUSTER_ROLE} does not hold all of "
            f"it, and Ringfence gives only what it holds. A cluster administrator adds it: {'; '.join(commands)}"
        )


def _addition(group: str, resource: str, verbs: Sequence[str]) -> str:
    """The commands that have the ceiling hold this."""
    plural, slash, sub = resource.partition("/")
    name = f"ringfence-{plural}{'-' if slash else ''}{sub}.{group}"
    return (
        f"kubectl create clusterrole {name} --verb={','.join(verbs)} --resource={plural}.{group}{slash}{sub} && "
        f"kubectl label clusterrole {name} {CEILING_LABEL}=true"
    )


def _by_resource(atoms: Sequence[Atom]) -> list[tuple[str, str, list[str]]]:
    found: dict[tuple[str, str], list[str]] = {}
    for group, resource, verb in sorted(atoms):
        found.setdefault((group, resource), []).append(verb)
    return [(*pair, ordered(verbs)) for pair, verbs in found.items()]


class Settling(RingfenceError):
    """The same, but it was bound a moment ago: the API server that was asked does not know it yet."""


def in_the_way(ref: Ref, fit: Fit) -> OwnershipConflict | Requeue:
    """Why a child cannot be written now."""
    match fit:
        case Fit.FOREIGN:
            return OwnershipConflict(ref)
        case Fit.EARLIER:
            earlier = "belongs to an earlier AgentDeployment of this name and is still there"
            return Requeue(f"{ref.kind} {ref.name} {earlier}")
        case Fit.DELETING | Fit.HELD:
            return Requeue(f"{ref.kind} {ref.name} is being deleted")
    return Requeue(f"{ref.kind} {ref.name} is to be looked at again")
