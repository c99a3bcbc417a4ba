"""What the tests of `ringfence init` share: sources, and the manifest that comes out."""

from typing import Any

import yaml
from click.testing import CliRunner, Result

from ringfence.api import AgentDeploymentSpec, parse
from ringfence.cli.init import command

IMAGE = "registry.example/bot@sha256:" + "0" * 64
BESIDE: dict[str, Any] = {"name": "helper", "image": IMAGE}
"""A container beside the first one."""


def init(*arguments: str, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(command, list(arguments), input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def manifest(result: Result) -> dict[str, Any]:
    """What was printed; the API reads it."""
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = yaml.safe_load(result.stdout)
    assert (found["apiVersion"], found["kind"]) == ("ringfence.dev/v1alpha1", "AgentDeployment")
    assert parse(AgentDeploymentSpec, found["spec"]).errors == ()
    return found


def from_pod(container: dict[str, Any], **pod: Any) -> Result:
    others = pod.pop("others", [])
    template = {"spec": {"containers": [{"name": "c", "image": IMAGE} | container, *others], **pod}}
    workload = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "bot"},
        "spec": {"template": template},
    }
    return init("--from", "-", stdin=yaml.safe_dump(workload))


def from_service(service: dict[str, Any], **others: Any) -> Result:
    content = {"services": {"bot": {"image": IMAGE} | service, **others}}
    return init("--from", "-", "--pick", "bot", stdin=yaml.safe_dump(content))
