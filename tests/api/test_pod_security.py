"""Our check of pods beside the API server's own, Pod Security admission at `restricted`, `latest`: one verdict."""

import copy
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from api import upstream_pods
from api.samples import documents, read
from api.server import Answer, Server
from cluster import programs
from cluster.shell import wait_for
from ringfence.api import AgentDeploymentSpec
from ringfence.policy.model import RuleName
from ringfence.policy.pod_security import unrestricted
from ringfence.resources import Agent, build
from ringfence.resources.model import Gate
from ringfence.resources.rotation import rotation_children
from unit.policy.make import judge, names
from unit.resources import agents
from unit.resources.test_rotation import ENV, FILE, IMAGE
from unit.resources.test_rotation import agent as rotating

KNOWN: dict[str, Any] = {"job_image": IMAGE, "gate": Gate(IMAGE, "10.96.0.9", 7007, api_server=True)}
"""What an agent's pods have of Ringfence itself."""

EXAMPLES = Path(__file__).parents[2] / "examples"
SPACE = "pod-security"
FILES = {"1.36.3": 4241, "1.33.13": 3821, "1.31.14": 3693}
"""Upstream's fixtures in the version that the tests' API server is built from: count anew with another version."""
VERDICTS = {"accepted": 19, "refused": 336, "invalid": 4, "accepted, and never ours": 2}
"""Of the different pods among them, in the newest version. `invalid`: not taken as a pod at all, for a value that only
other pods may have."""
REFUSED = 'violates PodSecurity "restricted:latest"'


@pytest.fixture(scope="module")
def space(server: Server) -> Iterator[None]:
    """A namespace under `restricted`, with the ServiceAccount that pods run as where they name none."""
    labels = {f"pod-security.kubernetes.io/{key}": value for key, value in ENFORCED.items()}
    make(server, "/api/v1/namespaces", {"metadata": {"name": SPACE, "labels": labels}})
    make(server, f"/api/v1/namespaces/{SPACE}/serviceaccounts", {"metadata": {"name": "default"}})
    make(server, "/apis/node.k8s.io/v1/runtimeclasses", {"metadata": {"name": "gvisor"}, "handler": "runsc"})
    make(server, "/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": "agents"}, "value": 1})
    wait_for("pods to be accepted", lambda: ask(server, built()[0][1]).ok)
    yield
    server.request("DELETE", f"/api/v1/namespaces/{SPACE}")
    server.request("DELETE", "/apis/node.k8s.io/v1/runtimeclasses/gvisor")
    server.request("DELETE", "/apis/scheduling.k8s.io/v1/priorityclasses/agents")


ENFORCED = {"enforce": "restricted", "enforce-version": "latest"}


def make(server: Server, path: str, manifest: dict[str, Any]) -> None:
    answer = server.request("POST", path, json.dumps(manifest).encode())
    assert answer.ok or answer.code == 409, answer.message


def ask(server: Server, pod: dict[str, Any]) -> Answer:
    """What the API server says to a pod; none is made."""
    body = {"apiVersion": "v1", "kind": "Pod"} | pod
    body["metadata"] = pod.get("metadata", {}) | {"name": "a"}
    return server.request("POST", f"/api/v1/namespaces/{SPACE}/pods?dryRun=All", json.dumps(body).encode())


def beyond(pod: dict[str, Any]) -> list[str]:
    return unrestricted(pod["spec"], pod["metadata"].get("annotations"))


def is_never_ours(pod: dict[str, Any]) -> bool:
    """What the API server holds to less: Windows pods, and those with a user namespace of their own."""
    return pod["spec"].get("os") == {"name": "windows"} or pod["spec"].get("hostUsers") is False


def verdict(server: Server, file: str, pod: dict[str, Any]) -> str:
    """The API server's, with ours beside it where the two differ."""
    answer, ours = ask(server, pod), beyond(pod)
    if answer.ok:
        if is_never_ours(pod):
            return "accepted, and never ours"
        return f"{file}: accepted, we say {ours}" if ours or beyond(answer.body) else "accepted"
    found = (
        "refused" if REFUSED in answer.message else "invalid" if " is invalid: " in answer.message else answer.message
    )
    return found if ours else f"{file}: {found}, we say nothing"


def test_upstreams_pods_are_judged_as_the_api_server_judges_them(server: Server, space: None) -> None:
    found = upstream_pods.fixtures()
    version = programs.version()
    assert found["files"] == FILES[version]
    told = Counter(verdict(server, one["file"], one["pod"]) for one in found["pods"])
    assert told.keys() <= VERDICTS.keys(), "where the two differ, the file is named"
    assert told == VERDICTS or version != programs.KUBERNETES


def templates(manifests: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for manifest in manifests:
        spec = manifest["spec"] if manifest["kind"] in {"Deployment", "CronJob"} else {}
        template = spec.get("template") or spec.get("jobTemplate", {}).get("spec", {}).get("template")
        if template:
            yield template


def built() -> list[tuple[str, dict[str, Any]]]:
    """Every pod that our agents become: of those of the unit tests, of the samples, of the examples, of a key's job."""
    specs: dict[str, Any] = {name: read(text)["spec"] for name, text in documents("valid") if "kind: AgentD" in text}
    for path in sorted([*EXAMPLES.glob("*.yaml"), *EXAMPLES.glob("agents/*.yaml")]):
        found = [one for one in yaml.safe_load_all(path.read_text()) if one["kind"] == "AgentDeployment"]
        specs |= {f"{path.name} {one['metadata']['name']}": one["spec"] for one in found}
    made = {name: agents.read(name) for name in agents.NAMES}
    for name, spec in specs.items():
        if RuleName.INVALID_FIELD in names(judge(spec)):
            continue  # the API server takes it as it is written, and admission refuses it
        made[name] = Agent(name="a", namespace=SPACE, uid="u", spec=AgentDeploymentSpec.model_validate(spec))
    pods = [(name, pod) for name, agent in made.items() for pod in templates(build(replace(agent, **KNOWN)))]
    pods += [("rotation", pod) for pod in templates(list(rotation_children(rotating(FILE, ENV))))]
    for _, pod in (pods := copy.deepcopy(pods)):
        pod["spec"]["serviceAccountName"] = pod["spec"]["serviceAccount"] = "default"
    return pods


def test_every_pod_of_an_agent_passes(server: Server, space: None) -> None:
    pods = built()
    assert len(pods) > 20
    for name, pod in pods:
        answer = ask(server, pod)
        assert answer.ok, (name, answer.message)
        assert beyond(pod) == beyond(answer.body) == [], name


MORE: list[tuple[str, Any]] = [
    ("hostPID", True),
    ("securityContext", {"runAsNonRoot": False}),
    ("initContainers", [{"name": "x", "image": "x"}]),
    ("volumes", [{"name": "x", "hostPath": {"path": "/"}}]),
]


@pytest.mark.parametrize(("field", "value"), MORE, ids=[field for field, _ in MORE])
def test_and_both_can_say_no(server: Server, space: None, field: str, value: Any) -> None:
    pod = built()[0][1]
    pod["spec"][field] = value
    if field == "volumes":
        for container in [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]:
            container["volumeMounts"] = []
    assert REFUSED in ask(server, pod).message
    assert beyond(pod) != []
