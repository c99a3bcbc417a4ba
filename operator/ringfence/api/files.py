"""Configuration that an agent is given: files, and variables from ConfigMaps. Not for secrets."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from .base import ListType, Model, Rule
from .fields import AbsolutePath, DnsSubdomain, EnvName

MAX_CONTENT = 131072
"""Bytes of all files of an agent together. The content is in annotations of the pods, and Kubernetes allows an object
262144 bytes of these."""

FileContent = Annotated[str, Field(max_length=MAX_CONTENT, pattern=r"^[^\x00]*$")]
ConfigMapDataKey = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^\.?[A-Za-z0-9_-][A-Za-z0-9._-]*$")]


class ConfigMapKey(Model):
    """One key of a ConfigMap in the agent's namespace."""

    name: DnsSubdomain = Field(description="Name of the ConfigMap. Whoever names it must be allowed to get it.")
    key: ConfigMapDataKey = Field(description="Key in its data.")


class ConfigFile(Model):
    """One file that the agent can read and cannot write."""

    cel_rules: ClassVar = (
        Rule(
            cel="has(self.content) != has(self.configMap)",
            message="name exactly one of content and configMap",
            check=lambda file: (file.content is None) != (file.config_map is None),
        ),
    )

    path: AbsolutePath = Field(
        description="Full path of the file. It may hide one file of the image, but nothing of the system or of the pod."
    )
    content: FileContent | None = Field(
        default=None,
        description="The text of the file. Not for secrets: whoever reads the object reads it. All files together hold "
        f"{MAX_CONTENT} bytes at most.",
    )
    config_map: ConfigMapKey | None = Field(
        default=None,
        description="Takes the text from a ConfigMap, as it is when a pod starts: whoever writes that one decides it.",
    )


class EnvFrom(Model):
    """Variables from one ConfigMap, each named: what else somebody writes into it never becomes one."""

    config_map: DnsSubdomain = Field(
        description="Name of a ConfigMap in the agent's namespace. Whoever names it must be allowed to get it."
    )
    keys: Annotated[list[EnvName], Field(min_length=1, max_length=64), ListType("set")] = Field(
        description="Keys of its data. Each becomes the variable of the same name, as it is when a pod starts."
    )


def content_bytes(files: Sequence[Any]) -> int:
    """Bytes of all that is written out."""
    return sum(len((file.content or "").encode()) for file in files)


CONTENT_RULE = Rule(
    cel=f"self.files.map(f, has(f.content) ? size(bytes(f.content)) : 0).sum() <= {MAX_CONTENT}",
    message=f"the content of all files together must be at most {MAX_CONTENT} bytes: put what is larger into the "
    "image, or into a ConfigMap that the file names",
    check=lambda spec: content_bytes(spec.files) <= MAX_CONTENT,
)
