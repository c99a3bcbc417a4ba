"""Volumes that somebody else made and keeps: PersistentVolumeClaims of the agent's namespace."""

from typing import Literal

from pydantic import Field

from .base import Model
from .fields import AbsolutePath, DnsSubdomain

Access = Literal["ReadOnly", "ReadWrite"]


class ExistingVolume(Model):
    """One PersistentVolumeClaim that is there already. It stays when the agent goes."""

    claim: DnsSubdomain = Field(
        description="Name of a PersistentVolumeClaim in the agent's namespace, none of Ringfence's. Policies: "
        "pods.claims."
    )
    mount_path: AbsolutePath = Field(
        description="Where it is mounted. It hides what the image has there, and nothing of the system or of the pod."
    )
    access: Access = Field(default="ReadOnly", description="Whether the agent may write to it.")


class AllowedClaim(Model):
    """A PersistentVolumeClaim that agents may mount, in each namespace that the policy binds."""

    name: DnsSubdomain = Field(description="Name of the PersistentVolumeClaim.")
    access: Access = Field(default="ReadOnly", description="The most that an agent may do with it.")
