"""Custom resources that a policy lets agents use: named one by one, and never what grants power.

Ringfence cannot know what a custom resource does. A kept list of groups and a list of words in names keep out what is
known to give permissions, keys or reach; the rest is the policy's word. Who writes AgentPolicies decides.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ringfence.api.agentpolicy import CustomResource
from ringfence.api.permissions import Level

from . import forbidden
from .levels import BUILT_IN, LEVELS, VERBS, World

Given = Mapping[tuple[str, str], Mapping[str, Level]]
"""(group, resource) -> verb -> the first level that holds it."""

_IDENTITY: Final = "it gives permissions, keys or identities"
_DEPLOYS: Final = "its objects run workloads or install others, outside of any fence"
_NETWORK: Final = "it opens networks or redirects traffic"
_ADMISSION: Final = "it decides what the cluster lets in"

_OF_IDENTITY: Final = """openshift.io cattle.io oidc.dev projectcapsule.dev rbacmanager.reactiveops.io
    external-secrets.io hashicorp.com bitnami.com isindir.github.com spiffe.io aquasecurity.github.io"""
_OF_DEPLOYING: Final = """argoproj.io toolkit.fluxcd.io crossplane.io upbound.io tekton.dev knative.dev
    operators.coreos.com kubevirt.io x-k8s.io ray.io kubeflow.org volcano.sh keda.sh actions.github.com
    actions.summerwind.dev flink.apache.org karpenter.sh terraform.io pulumi.com kro.run"""
_OF_NETWORKS: Final = """istio.io linkerd.io traefik.io konghq.com projectcontour.io k8s.cni.cncf.io submariner.io
    antrea.io"""
_OF_ADMISSION: Final = "kyverno.io gatekeeper.sh kubewarden.io"

GROUPS: Final[Mapping[str, str]] = {
    **dict.fromkeys(_OF_IDENTITY.split(), _IDENTITY),
    **dict.fromkeys(_OF_DEPLOYING.split(), _DEPLOYS),
    **dict.fromkeys(_OF_NETWORKS.split(), _NETWORK),
    **dict.fromkeys(_OF_ADMISSION.split(), _ADMISSION),
}
"""Groups, each with all that end in `.GROUP`, of which no policy gives anything; `forbidden.GROUPS` are others."""

WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("role", "binding", "permission", "privilege", "grant", "impersonat", "authoriz"), _IDENTITY),
    **dict.fromkeys(("secret", "token", "credential", "password", "certificate", "account", "identit"), _IDENTITY),
    **dict.fromkeys(("policy", "policies", "webhook", "admission", "constraint"), _ADMISSION),
    **dict.fromkeys(("gateway", "route", "ingress", "egress"), _NETWORK),
}
"""Parts of a resource's name by which it is taken for one that grants power, whatever its group."""

_SUBRESOURCES: Final = frozenset({"status", "scale"})


def refusal(group: str, resource: str, verbs: Iterable[str] = ()) -> str | None:
    """Why no policy gives `verbs` on a resource; None where one may."""
    return _of_group(group) or _of_resource(resource) or _of_verbs(resource, verbs)


def _of_group(group: str) -> str | None:
    if "." not in group or group.endswith(".k8s.io"):
        return "the group is Kubernetes' own: what agents may be given of it is in docs/reference/rules.md"
    parts = group.split(".")
    ends = [".".join(parts[count:]) for count in range(len(parts))]
    return next((why for end in ends if (why := GROUPS.get(end) or forbidden.of_group(end))), None)


def _of_resource(resource: str) -> str | None:
    name, slash, sub = resource.partition("/")
    if not (name.isalnum() and name.islower()) or (slash and sub not in _SUBRESOURCES):
        return "it is not the plural name of a resource, perhaps with /status or /scale behind it"
    return forbidden.of_resource(name) or next((why for word, why in WORDS.items() if word in name), None)


def _of_verbs(resource: str, verbs: Iterable[str]) -> str | None:
    for verb in verbs:
        if verb not in VERBS:
            return f"{verb} is not one of the verbs that agents may be given"
        if why := forbidden.of_write(resource, verb):
            return why
    return None


def given(entries: Iterable[CustomResource]) -> Given:
    """What a policy's entries give. What is refused counts for nothing; of two levels the higher one counts."""
    found: dict[tuple[str, str], dict[str, Level]] = {}
    for entry in entries:
        for resource in entry.resources:
            if refusal(entry.group, resource, entry.verbs):
                continue
            verbs = found.setdefault((entry.group, resource), {})
            for verb in entry.verbs:
                verbs[verb] = max(verbs.get(verb, LEVELS[0]), entry.level, key=LEVELS.index)
    return found


def world(policies: Sequence[Given]) -> World:
    """What agents may be given where all of these bind: a custom resource where each gives it, at the highest level."""
    first, *others = policies or [{}]
    shared: dict[tuple[str, str], dict[str, Level]] = {pair: dict(verbs) for pair, verbs in first.items()}
    for other in others:
        shared = {
            pair: {
                verb: max(level, other[pair][verb], key=LEVELS.index)
                for verb, level in verbs.items()
                if verb in other[pair]
            }
            for pair, verbs in shared.items()
            if pair in other
        }
    shared = {pair: verbs for pair, verbs in shared.items() if verbs}
    return BUILT_IN.and_also(shared) if shared else BUILT_IN
