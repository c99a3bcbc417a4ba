"""The controller's look at the registration of admission, on a real API server that has the chart installed."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.controller.process import Controller, Options
from api.server import Server
from chart.rendering import NAMESPACE
from chart.test_floor import BINDING, REGISTRATION, registration, say
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.controller.registration import Registration, RegistrationWatch
from ringfence.kube import Kube
from ringfence.telemetry.events import RegistrationChanged, RegistrationObserved

POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/ringfence-floor"
IN_FORCE = "ringfence_admission_webhook_in_force"
LINE = "admission is not registered as installed"

__all__ = ["registration"]


@pytest.fixture(scope="module")
def file(installed: Cluster, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the chart renders for the controller."""
    found: Path = tmp_path_factory.mktemp("registration") / "registration.json"
    content = say(server, "GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps/ringfence-registration")
    found.write_text(content["data"]["registration.json"])
    return found


@pytest.fixture(scope="module")
def kubeconfig(installed: Cluster, file: Path) -> Path:
    return as_the_chart_has_it(installed, file.parent)


@pytest.fixture
def controller(installed: Cluster, file: Path, kubeconfig: Path) -> Iterator[Controller]:
    """A controller with that file, and with the rights that the chart gives it."""
    options = Options(NAMESPACE, kubeconfig=kubeconfig, more=("--registration", str(file)))
    found = Controller(installed, file.parent / "controller.log", options).wait_leading()
    yield found
    assert found.stop() == 0


def as_the_chart_has_it(cluster: Cluster, folder: Path) -> Path:
    """A kubeconfig with a token of the controller's own ServiceAccount."""
    token = cluster.kubectl("create", "token", "ringfence-controller", "-n", NAMESPACE).strip()
    config = json.loads(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    found = folder / "kubeconfig"
    found.write_text(json.dumps(config))
    return found


def _wait(controller: Controller, *, in_force: bool) -> None:
    wait_for("it is seen", lambda: f"{IN_FORCE} {float(in_force)}" in controller.get("/metrics")[1])


def _told(controller: Controller) -> list[str]:
    return [line for one in controller.lines if one["event"] == LINE for line in one["differences"]]


Edit = Callable[[dict[str, Any]], Any]
BLUNT: dict[str, tuple[str, Edit]] = {
    "webhooks[0].failurePolicy": (REGISTRATION, lambda o: o["webhooks"][0].update(failurePolicy="Ignore")),
    "webhooks[0].objectSelector": (
        REGISTRATION,
        lambda o: o["webhooks"][0].update(objectSelector={"matchLabels": {"never": "there"}}),
    ),
    "webhooks[0].namespaceSelector.matchExpressions[0].values": (
        REGISTRATION,
        lambda o: o["webhooks"][0]["namespaceSelector"]["matchExpressions"][0]["values"].append("team"),
    ),
    "webhooks[0].matchConditions": (
        REGISTRATION,
        lambda o: o["webhooks"][0].update(matchConditions=[{"name": "never", "expression": "false"}]),
    ),
    "webhooks[0].rules": (REGISTRATION, lambda o: o["webhooks"][0]["rules"].pop(0)),
    "webhooks[0].clientConfig.service.name": (
        REGISTRATION,
        lambda o: o["webhooks"][0]["clientConfig"]["service"].update(name="another"),
    ),
    "webhooks[0].matchPolicy": (REGISTRATION, lambda o: o["webhooks"][0].update(matchPolicy="Exact")),
    "webhooks[0].timeoutSeconds": (REGISTRATION, lambda o: o["webhooks"][0].update(timeoutSeconds=1)),
    "webhooks": (REGISTRATION, lambda o: o.update(webhooks=[])),
    "spec.validations": (POLICIES, lambda o: o["spec"]["validations"].pop()),
    "spec.failurePolicy": (POLICIES, lambda o: o["spec"].update(failurePolicy="Ignore")),
    "spec.matchConditions": (
        POLICIES,
        lambda o: o["spec"].setdefault("matchConditions", []).append({"name": "never", "expression": "false"}),
    ),
    "spec.validationActions[0]": (BINDING, lambda o: o["spec"].update(validationActions=["Audit"])),
    "spec.matchResources": (
        BINDING,
        lambda o: o["spec"].update(matchResources={"namespaceSelector": {"matchLabels": {"never": "there"}}}),
    ),
}


def _differences(kubeconfig: Path, file: Path) -> list[str]:
    """What one look at the registration finds."""

    async def look() -> list[str]:
        told: list[Any] = []
        async with await Kube.connect(str(kubeconfig)) as kube:
            await RegistrationWatch(Registration(kube, file), told.append).look()
        found = [line for one in told if isinstance(one, RegistrationChanged) for line in one.differences]
        assert RegistrationObserved(in_force=not found) in told
        return found

    return asyncio.run(look())


def _change(server: Server, path: str, edit: Edit) -> None:
    """Edit an object, whose status the cluster's own controllers may write at the same moment."""

    def put() -> bool:
        body = say(server, "GET", path)
        edit(body)
        answer = server.request("PUT", path, json.dumps(body).encode())
        assert answer.ok or answer.code == 409, answer.message
        return answer.ok

    wait_for("the edit", put)


@pytest.mark.parametrize("field", BLUNT)
def test_each_field_that_is_edited_is_seen_and_named(server: Server, kubeconfig: Path, file: Path, field: str) -> None:
    assert _differences(kubeconfig, file) == [], "what the API server fills in is no difference"
    path, edit = BLUNT[field]
    before = say(server, "GET", path)
    content: dict[str, Any] = {name: before[name] for name in ("webhooks", "spec") if name in before}
    try:
        _change(server, path, edit)
        assert [line for line in _differences(kubeconfig, file) if f": {field}: " in line]
    finally:
        _change(server, path, lambda body: body.update(content))


def test_a_controller_says_whether_it_is_as_installed(
    controller: Controller, server: Server, installed: Cluster, registration: dict[str, Any]
) -> None:
    ca = some_ca(installed)
    _change(server, REGISTRATION, lambda body: body["webhooks"][0]["clientConfig"].update(caBundle=ca))
    _wait(controller, in_force=True)
    _change(server, *BLUNT["webhooks[0].objectSelector"])
    _wait(controller, in_force=False)
    assert [line for line in _told(controller) if "webhooks[0].objectSelector: was added" in line]
    say(server, "DELETE", REGISTRATION)
    wait_for("the deletion", lambda: "ValidatingWebhookConfiguration ringfence: is not there" in _told(controller))
    assert f"{IN_FORCE} 0.0" in controller.get("/metrics")[1]


def some_ca(cluster: Cluster) -> str:
    config = json.loads(cluster.kubeconfig.read_text())
    found: str = config["clusters"][0]["cluster"]["certificate-authority-data"]
    return found
