"""An agent with configuration: what is stored, what an edit of it is, and what a change of the spec is."""

from typing import Any

from api.controller.place import CHILDREN, FULL, Place, json_bytes
from api.controller.process import Controller
from cluster.shell import wait_for
from ringfence.api.names import FILE_ANNOTATION

FILE = {"path": "/etc/agent/config.yaml", "content": "verbose: true\n"}
OF_CONFIG_MAP = {"path": "/etc/agent/prompt.md", "configMap": {"name": "prompts", "key": "system.md"}}
CONFIGURED: dict[str, Any] = {
    "files": [FILE, OF_CONFIG_MAP],
    "envFrom": [{"configMap": "settings", "keys": ["REGION"]}],
}
MOST = {"path": "/etc/agent/most", "content": "m" * (131072 - 14)}
KIND, NAME = CHILDREN["workload"]


def test_another_content_is_rolled_out_and_an_edit_of_it_put_right(place: Place, controller: Controller) -> None:
    place.agent("a", FULL, **CONFIGURED)
    place.wait_applied()
    place.wait_right()
    place.change("a", files=[FILE | {"content": "verbose: false\n"}, OF_CONFIG_MAP])
    place.wait_applied()
    place.wait_right()
    assert controller.drift(place.name) == 0, "that was no edit of somebody's"

    def edited() -> bool:
        live = place.get(KIND, NAME.format("a"))
        live["spec"]["template"]["metadata"]["annotations"]["ringfence.dev/file-0"] = "verbose: true\n"
        return place.server.request("PUT", place.path(KIND, NAME.format("a")), json_bytes(live)).ok

    wait_for("an edit", edited)
    controller.counted_drift(1, place.name)
    place.wait_right()


def test_as_much_as_fits_is_stored(place: Place) -> None:
    place.agent("a", FULL, files=[FILE, MOST])
    place.wait_applied()
    place.wait_right()
    wait_for("a pod", place.pods)
    found = place.pods()[0]["metadata"]["annotations"]
    assert sum(len(text) for key, text in found.items() if key.startswith(FILE_ANNOTATION)) == 131072
