"""Behind a corporate proxy. The last file of this suite: the chart is installed anew for it."""

import base64
from typing import Any

import pytest

from cluster.shell import wait_for
from harness import agents
from harness.api import Api
from harness.environment import Environment
from harness.install import envoy_image, install, own_image
from harness.kubectl import Kubectl
from suites.egress.conftest import ADDRESS, MODEL, NAMESPACE, VALUES, Ask, Make
from suites.egress.test_secrets import SECRETS

CORPORATE = "corporate"
"""Name of the proxy's namespace, of its pod, and of the Secret with the credentials for it."""
CREDENTIALS = "ringfence:pass word/of+the=proxy"
URL = f"https://{MODEL}/v1/models"


@pytest.fixture(scope="module")
def proxy(environment: Environment, kubectl: Kubectl) -> str:
    """One that all gateways have to go through; its pod's name, in CORPORATE."""
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": CORPORATE}})
    container = {
        "name": "proxy",
        "image": environment.testbox,
        "args": ["proxy", "-credentials", "env:CREDENTIALS"],
        "env": [{"name": "CREDENTIALS", "value": CREDENTIALS}],
    }
    metadata = {"name": CORPORATE, "namespace": CORPORATE}
    kubectl.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}})
    kubectl("wait", f"pod/{CORPORATE}", "-n", CORPORATE, "--for=condition=Ready", "--timeout=150s")
    address = kubectl.get("pod", CORPORATE, "-n", CORPORATE)["status"]["podIP"]
    values = (f"addresses={{{address}}}", "port=3128", f"credentialsSecret={CORPORATE}")
    upstream = [f"gateway.upstreamProxy.{value}" for value in values]
    install(environment, own_image(environment), *VALUES, *upstream, gateways=envoy_image(environment))
    return CORPORATE


def test_hosts_are_reached_through_the_corporate_proxy_alone(
    make: Make, api: Api, kubectl: Kubectl, ask: Ask, proxy: str
) -> None:
    name = make("behind", {"host": MODEL}, ready=False)

    def told() -> str:
        found = (api.get(agents.agent_path(NAMESPACE, name)).get("status") or {}).get("conditions") or []
        return " ".join(one["message"] for one in found if one["type"] == "GatewayReady")

    wait_for("what it waits for", lambda: f"Secret {CORPORATE} with the key credentials" in told(), timeout=150)
    data = {"credentials": base64.b64encode(CREDENTIALS.encode()).decode()}
    metadata = {"name": CORPORATE, "namespace": NAMESPACE}
    api.create(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
    agents.wait(api, NAMESPACE, name, timeout=300)
    wait_for("the first answer", lambda: ask(name, URL).get("status") == 200, timeout=60)
    asked = kubectl("logs", proxy, "-n", CORPORATE).splitlines()
    assert set(asked) == {f"CONNECT {ADDRESS}:443 200"}, "an address that was checked, never a name"

    kubectl("delete", "pod", proxy, "-n", CORPORATE, "--grace-period=0", "--force")
    found = wait_for("the end of what was open", lambda: _refused(ask(name, URL)), timeout=150)
    assert found["status"] == 503, "nothing is dialled past it"


def _refused(found: dict[str, Any]) -> dict[str, Any] | None:
    return found if found.get("status") != 200 else None
