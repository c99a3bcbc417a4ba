"""Who an agent is to a cloud: annotations of its ServiceAccount, and tokens that a cloud exchanges for credentials.

Both only as far as every AgentPolicy names them. The node's own identity is no part of this: the addresses where clouds
hand it out are never opened (policy/metadata.py).
"""

import re
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from .base import ListType, Model, ValueRule
from .secrets import Duration, between

AnnotationKey = Literal[
    "eks.amazonaws.com/role-arn",
    "iam.gke.io/gcp-service-account",
    "azure.workload.identity/client-id",
    "azure.workload.identity/tenant-id",
]


@dataclass(frozen=True)
class Known:
    """What one annotation of a ServiceAccount does. `label`: of the pods, without which it does nothing."""

    cloud: str
    does: str
    source: str
    label: tuple[str, str] | None = None


_AZURE: Final = "Azure/azure-workload-identity, docs: Service Account Labels and Annotations"
_USE: Final = ("azure.workload.identity/use", "true")
ANNOTATIONS: Final[dict[str, Known]] = {
    "eks.amazonaws.com/role-arn": Known(
        "AWS EKS",
        "its webhook gives the pods a token for sts.amazonaws.com and the variables of AWS's SDKs",
        "EKS User Guide, IAM roles for service accounts; aws/amazon-eks-pod-identity-webhook, README",
    ),
    "iam.gke.io/gcp-service-account": Known(
        "Google GKE",
        "its metadata server, which stays closed to agents, would give out tokens of that account: to an agent it says "
        "which account tools are to name",
        "GKE, Workload Identity Federation: link Kubernetes ServiceAccounts to IAM",
    ),
    "azure.workload.identity/client-id": Known(
        "Azure AKS", "its webhook gives the pods a token and the variables of Azure's SDKs", _AZURE, _USE
    ),
    "azure.workload.identity/tenant-id": Known("Azure AKS", "the tenant, where it is not the cluster's", _AZURE, _USE),
}
"""The annotations that an agent may ask for. Not among them is what chooses the audience of a token, or its life
(eks.amazonaws.com/audience, azure.workload.identity/service-account-token-expiration): a token says these itself."""

IDENTITY_DOMAINS: Final = tuple(sorted({key.partition("/")[0] + "/" for key in ANNOTATIONS}))
"""With one of these an annotation of a ServiceAccount speaks to a cloud: none is there but what the spec says."""

_API_SERVER: Final = (
    r"(?i)^(https?://)?(kubernetes(\.default(\.svc(\.[-a-z0-9.]+)?)?)?|[-a-z0-9.]+\.azmk8s\.io"
    r"|oidc\.eks\.[-a-z0-9.]+|[-a-z0-9.]+\.oic\.[-a-z0-9]+\.azure\.com|container\.googleapis\.com)(:[0-9]+)?(/.*)?$"
)
"""The usual spellings of an API server's own audiences, and of issuers, which are audiences where nobody says
otherwise (kube-apiserver, --api-audiences)."""
_SHORT: Final = ("api", "k3s", "rke2", "kubernetes/serviceaccount")


def of_the_api_server(audience: str) -> bool:
    """Whether a token for `audience` is, by any usual spelling, a credential for the API server."""
    return audience.lower() in _SHORT or re.fullmatch(_API_SERVER, audience) is not None


Audience = Annotated[
    str,
    Field(min_length=1, max_length=512, pattern=r"^[!-~]+$"),
    ValueRule(
        cel=f"!(self.lowerAscii() in {[*_SHORT]}) && !self.matches(r'{_API_SERVER}')",
        message="a token for the API server is no matter of identity: what an agent may do there is in permissions; "
        "name the audience of a cloud, such as sts.amazonaws.com",
        check=lambda audience: not of_the_api_server(audience),
    ),
]
"""Whom a token is for: any word of ASCII. The API server takes a token for none but its own audiences."""
AnnotationValue = Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[!-~]+$")]
_NAME: Final = "/[A-Za-z0-9_][A-Za-z0-9._-]*"
TokenPath = Annotated[str, Field(min_length=4, max_length=512, pattern=f"^{_NAME}({_NAME})+$")]
"""As AbsolutePath, and in a directory: that is what is mounted."""
Life = Annotated[Duration, between("10m", "24h")]
"""Kubernetes takes none that is shorter."""


class Annotation(Model):
    """One annotation of the agent's ServiceAccount, by which a cloud knows it."""

    key: AnnotationKey = Field(description="What the cloud looks for.")
    value: AnnotationValue = Field(
        description="The role or the account, such as arn:aws:iam::111122223333:role/researcher. No secret."
    )


class IdentityToken(Model):
    """One token of the agent's ServiceAccount. The kubelet makes it for this pod, renews it, and it ends with it."""

    audience: Audience = Field(
        description="Whom it is for, such as sts.amazonaws.com. Nobody else takes it; never the API server."
    )
    path: TokenPath = Field(description="Full path of the file. Its directory holds tokens and nothing else.")
    expiration: Life = Field(default="1h", description="Its life, from 10m to 24h. It is renewed after 80 % of that.")


class Identity(Model):
    """Who the agent is to a cloud. Absent: nobody."""

    annotations: Annotated[list[Annotation], Field(max_length=4), ListType("map", ("key",))] = Field(
        default_factory=list, description="Annotations of its ServiceAccount. Policies: identity.annotations."
    )
    tokens: Annotated[list[IdentityToken], Field(max_length=4), ListType("map", ("path",))] = Field(
        default_factory=list, description="Tokens that a cloud exchanges for credentials. Policies: identity.audiences."
    )


class AllowedAnnotation(Model):
    """One annotation, and what it may say."""

    key: AnnotationKey = Field(description="The annotation.")
    values: Annotated[list[AnnotationValue], Field(min_length=1, max_length=64), ListType("set")] = Field(
        description="The values that agents may give it, word by word. No wildcard."
    )


class PolicyIdentity(Model):
    """Who agents may be to a cloud. Any agent of a namespace that a policy binds may ask for all of it."""

    annotations: Annotated[list[AllowedAnnotation], Field(max_length=4), ListType("map", ("key",))] = Field(
        default_factory=list, description="Annotations that agents may ask for. Empty: none."
    )
    audiences: Annotated[list[Audience], Field(max_length=16), ListType("set")] = Field(
        default_factory=list, description="Audiences of tokens that agents may ask for. Empty: none."
    )
