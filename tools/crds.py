"""The CRDs as files: crds/ for `kubectl apply`, and as templates of the chart charts/ringfence-crds."""

from typing import Any

import yaml

from ringfence.api import AgentDeployment, AgentPolicy
from ringfence.api.schema import custom_resource_definition

KINDS: tuple[Any, ...] = (AgentDeployment, AgentPolicy)
HEADER = "# Made by `make generate` from operator/ringfence/api. Do not edit.\n"
WIDTH = 110
KEEP = """\
  {{- if .Values.keep }}
  annotations:
    # Without it `helm uninstall` would delete every AgentDeployment of the cluster with the CRD.
    helm.sh/resource-policy: keep
  {{- end }}
"""


class _Dumper(yaml.SafeDumper):
    """YAML as people write it: lists are indented under their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def dump(manifest: dict[str, Any]) -> str:
    """A manifest as YAML, keys in the order given."""
    return HEADER + dump_plain(manifest)


def dump_plain(content: dict[str, Any]) -> str:
    """YAML without the header."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=WIDTH, allow_unicode=True)


def files() -> dict[str, str]:
    """Path -> content."""
    found = {}
    for kind in KINDS:
        text = dump(custom_resource_definition(kind))
        name = f"{kind.plural}.yaml"
        found[f"crds/{name}"] = text
        found[f"charts/ringfence-crds/templates/{name}"] = template(text)
    return found


def template(text: str) -> str:
    """The CRD as a Helm template with the annotation that keeps it."""
    if "{{" in text:
        raise ValueError("a description or pattern holds {{, which Helm would read as its own")
    head, spec, rest = text.partition("\nspec:\n")
    return f"{head}\n{KEEP.rstrip()}{spec}{rest}"
