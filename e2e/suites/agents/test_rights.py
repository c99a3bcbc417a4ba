"""The fence in rights: what an agent's own token can do on the real API server."""

import base64
import json
import subprocess
from collections.abc import Callable

import pytest

from harness.environment import Environment
from harness.kubectl import Kubectl
from harness.manifests import NAMESPACE, TOOLS
from harness.probing import probe

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"

pytestmark = pytest.mark.usefixtures("examples")

Inside = Callable[..., str]


@pytest.fixture
def librarian(environment: Environment, inside: Inside) -> Callable[..., tuple[int, str]]:
    """Runs kubectl with the librarian's own token, read from its own pod."""
    token = inside("librarian", "cat", TOKEN)
    cluster = environment.cluster
    assert cluster

    def run(*words: str) -> tuple[int, str]:
        options = [f"--server={cluster.server}", f"--certificate-authority={cluster.ca_file}", f"--token={token}"]
        argv = [str(environment.kubectl.kubectl), "--kubeconfig=/dev/null", *options, *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def test_an_agent_with_rights_reads_what_its_rules_name(librarian: Callable[..., tuple[int, str]]) -> None:
    code, told = librarian("get", "configmap", "catalogue", "-n", NAMESPACE, "-o", "json")
    assert (code, json.loads(told)["data"]) == (0, {"shelf": "A-113"})
    assert librarian("get", "configmaps", "-n", NAMESPACE)[0] == 0


@pytest.mark.parametrize(
    "words",
    [
        ("get", "secrets", "-n", NAMESPACE),
        ("get", "configmaps", "-n", TOOLS),
        ("get", "configmaps", "-n", "kube-system"),
        ("get", "configmaps", "-A"),
        ("get", "pods", "-n", NAMESPACE),
        ("get", "agd", "-n", NAMESPACE),
        ("delete", "configmap", "catalogue", "-n", NAMESPACE),
        ("create", "configmap", "new", "-n", NAMESPACE),
        ("create", "token", "ringfence-librarian", "-n", NAMESPACE),
        ("run", "escape", "--image=x", "-n", NAMESPACE),
        ("get", "nodes"),
        ("create", "clusterrolebinding", "me", "--clusterrole=cluster-admin", "--user=me"),
    ],
    ids=" ".join,
)
def test_an_agent_with_rights_can_do_nothing_else(
    librarian: Callable[..., tuple[int, str]], words: tuple[str, ...]
) -> None:
    code, told = librarian(*words)
    assert code
    assert "forbidden" in told.lower()


def test_its_token_is_short_lived_and_bound_to_its_pod(inside: Inside) -> None:
    part = inside("librarian", "cat", TOKEN).split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert claims["exp"] - claims["iat"] <= 3600
    assert claims["sub"] == f"system:serviceaccount:{NAMESPACE}:ringfence-librarian"
    assert claims["kubernetes.io"]["pod"]["name"].startswith("ringfence-librarian-")


def test_it_reaches_the_api_server_and_nothing_beside_it(kubectl: Kubectl) -> None:
    service, node = "https://10.96.0.1/version", "https://203.0.113.10/"
    found = probe(kubectl, NAMESPACE, "deploy/ringfence-librarian", [service, node])
    assert found == {service: "reachable", node: "blocked"}


@pytest.mark.parametrize("agent", ["minimal", "researcher", "panel"])
def test_an_agent_without_rights_has_no_token(inside: Inside, agent: str) -> None:
    with pytest.raises(Exception, match="no such file or directory"):
        inside(agent, "ls", "/var/run/secrets/kubernetes.io")


def test_an_agents_service_account_has_no_rights_by_itself(kubectl: Kubectl) -> None:
    user = f"--as=system:serviceaccount:{NAMESPACE}:ringfence-minimal"
    told = kubectl("auth", "can-i", "--list", "-n", NAMESPACE, user)
    granted = [line.split()[0] for line in told.splitlines()[1:] if line and not line.startswith(" ")]
    assert {name.partition(".")[0] for name in granted} <= {
        "selfsubjectreviews",
        "selfsubjectaccessreviews",
        "selfsubjectrulesreviews",
    }
