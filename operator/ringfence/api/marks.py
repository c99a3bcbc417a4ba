"""Labels and annotations of an agent's pods: for those who look at pods, and never what leads these."""

import re
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field

from .base import Model, ValueRule
from .fields import Annotations, LabelKey, Labels, LabelValue

_DOMAINS: Final = (
    *("ringfence.dev", "kubernetes.io", "k8s.io", "openshift.io"),
    # Meshes, networks, runtimes, injectors: by a word on a pod they are switched on, or off.
    *("istio.io", "linkerd.io", "kuma.io", "consul.hashicorp.com", "openservicemesh.io", "cilium.io"),
    *("projectcalico.org", "cncf.io", "ovn.org", "antrea.io", "tailscale.com", "vault.hashicorp.com"),
    *("opentelemetry.io", "dapr.io", "cri-o.io", "karpenter.sh"),
    *("eks.amazonaws.com", "vpc.amazonaws.com", "azure.workload.identity", "gke.io", "cloud.google.com"),
)
_BEGINNINGS: Final = (
    *("io.kubernetes.", "io.katacontainers.", "dev.gvisor.", "io.cilium", "io.containerd.", "io.cri-o."),
)
_WORDS: Final = (
    *("pod-template-hash", "controller-revision-hash", "controller-uid", "job-name", "k8s-app"),
    *("pod-template-generation", "azure.workload.identity"),
)
PLAIN: Final = tuple(f"app.kubernetes.io/{name}" for name in ("name", "instance", "version", "component", "part-of"))
"""Of Kubernetes' own those that describe."""


def _any(words: tuple[str, ...]) -> str:
    return "|".join(word.replace(".", "[.]") for word in words)


LEADING: Final = rf"^(([a-z0-9.-]+[.])?({_any(_DOMAINS)})/.*|({_any(_BEGINNINGS)}).*|({_any(_WORDS)}))$"
"""Keys by which Kubernetes, Ringfence, a mesh, a network or a runtime is told what to do with a pod. In RE2."""
_CEL_PLAIN: Final = "[" + ", ".join(f"'{key}'" for key in PLAIN) + "]"
_SENTENCE: Final = (
    "by this key Ringfence, Kubernetes, a mesh, a network plugin or a runtime is told what to do with a pod: no agent "
    "has it. Use a key of your own, such as example.com/team"
)


def leads(key: str) -> bool:
    """Whether others are led by a key."""
    return key not in PLAIN and re.match(LEADING, key) is not None


def none_leads(marks: Mapping[str, str]) -> bool:
    """Whether nobody is led by any of them."""
    return not any(map(leads, marks))


_OWN_KEYS = ValueRule(
    cel=f"self.all(key, key in {_CEL_PLAIN} || !key.matches(r'{LEADING}'))", message=_SENTENCE, check=none_leads
)
_OWN_KEY = ValueRule(
    cel=f"self in {_CEL_PLAIN} || !self.matches(r'{LEADING}')", message=_SENTENCE, check=lambda key: not leads(key)
)
MarkKey = Annotated[LabelKey, _OWN_KEY]
PodLabels = Annotated[Labels, _OWN_KEYS]
PodAnnotations = Annotated[Annotations, _OWN_KEYS]


class PodMark(Model):
    """A label that agents' pods may carry."""

    key: MarkKey = Field(description="Key of the label.")
    value: LabelValue | None = Field(default=None, description="Its value. Absent: any value.")
