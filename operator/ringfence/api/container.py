"""What a container of an agent's pod is given, whichever it is."""

from pydantic import Field

from .base import Model
from .fields import EnvName, EnvValue, Quantity


class EnvVar(Model):
    """One environment variable. Not for secrets: the value is readable by whoever reads the object."""

    name: EnvName = Field(description="Name of the variable: letters, digits and _.")
    value: EnvValue = Field(default="", description="Its value: plain text.")


class ResourceAmounts(Model):
    """Amounts of the three resources that an agent may ask for."""

    cpu: Quantity | None = Field(default=None, description="CPUs, such as 500m or 2.")
    memory: Quantity | None = Field(
        default=None, description="Memory in bytes, such as 512Mi; over its limit the agent is killed."
    )
    ephemeral_storage: Quantity | None = Field(
        default=None,
        alias="ephemeral-storage",
        description="Disk for /tmp and logs in bytes, such as 1Gi; over its limit the pod is evicted.",
    )


class Resources(Model):
    """What the agent gets of the node. Always limited, whatever is left out."""

    requests: ResourceAmounts = Field(
        default_factory=ResourceAmounts,
        description="What the node sets aside for the agent. Left out: the limit that is given, "
        "else cpu 50m, memory 64Mi, ephemeral-storage 64Mi.",
    )
    limits: ResourceAmounts = Field(
        default_factory=ResourceAmounts,
        description="The most that the agent may use. Left out: the request that is given, "
        "else cpu 1, memory 512Mi, ephemeral-storage 1Gi.",
    )
