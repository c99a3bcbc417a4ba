"""Containers beside the agent's own: as stored by a real API server, whose defaults are no edits of anybody."""

from typing import Any

import pytest

from api.controller.place import CHILDREN, FULL, IMAGE, Place, json_bytes
from api.controller.process import Controller
from cluster.shell import wait_for
from ringfence.api.containers import GATE

BESIDE: dict[str, Any] = {
    "initContainers": [{"name": "fetch", "image": IMAGE, "files": [{"path": "/etc/fetch", "content": "a"}]}],
    "sidecars": [
        {
            "name": "proxy",
            "image": IMAGE,
            "shares": ["/work"],
            "env": [{"name": "A"}],
            "probes": [{"type": "Readiness", "tcp": {"port": "panel"}}],
        }
    ],
    "scratch": [{"path": "/work", "size": "1Mi"}],
}
KIND, NAME = CHILDREN["workload"]


@pytest.mark.parametrize(
    "edit",
    [
        lambda pod: pod["initContainers"][1].update(image="registry.example/spy"),
        lambda pod: pod["initContainers"][2].update(command=["/spy"]),
        lambda pod: [pod["initContainers"][2].pop(field) for field in ("restartPolicy", "readinessProbe")],
        lambda pod: pod["initContainers"].append({"name": "spy", "image": "registry.example/spy"}),
        lambda pod: pod["initContainers"][2]["volumeMounts"].append({"name": "tmp", "mountPath": "/agent"}),
        lambda pod: pod["initContainers"].reverse(),
        lambda pod: pod["initContainers"].pop(0),
        lambda pod: pod["initContainers"][0].update(args=["gate", "--denied=TCP:192.0.2.1:1"]),
        lambda pod: pod["initContainers"][0].update(image="registry.example/spy"),
    ],
    ids=[
        "image",
        "command",
        "no sidecar",
        "one more",
        "another mount",
        "order",
        "no gate",
        "a gate that sees nothing",
        "another gate",
    ],
)
def test_an_edit_of_each_is_put_right(place: Place, controller: Controller, edit: Any) -> None:
    place.agent("a", FULL, **BESIDE)
    place.wait_applied()
    place.wait_right()
    assert controller.drift(place.name) == 0, "what the API server completes is nobody's edit"

    def edited() -> bool:
        live = place.get(KIND, NAME.format("a"))
        edit(live["spec"]["template"]["spec"])
        return place.server.request("PUT", place.path(KIND, NAME.format("a")), json_bytes(live)).ok

    wait_for("an edit", edited)
    controller.counted_drift(1, place.name)
    place.wait_right()


def test_they_come_and_go_with_the_spec(place: Place, controller: Controller) -> None:
    place.agent("a", FULL)
    place.wait_applied()
    place.change("a", **BESIDE)
    place.wait_applied()
    place.wait_right()
    place.change("a", initContainers=[], sidecars=[])
    place.wait_applied()
    place.wait_right()
    left = place.get(KIND, NAME.format("a"))["spec"]["template"]["spec"]["initContainers"]
    assert [one["name"] for one in left] == [GATE]
    assert controller.drift(place.name) == 0
