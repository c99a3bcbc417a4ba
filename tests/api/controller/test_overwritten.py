"""A generated key that somebody overwrites: noticed by its metadata alone."""

import base64

from api.controller.place import Place
from api.controller.process import Controller
from cluster.shell import wait_for
from ringfence.resources.secret_names import rotation_name

SECRETS = [
    {
        "name": "signing",
        "source": {"generate": {"length": 32}},
        "rotation": {"every": "24h"},
        "delivery": {"file": {"path": "/var/run/ringfence/keys/signing"}},
    }
]


def test_a_key_that_somebody_overwrites_is_told(place: Place, controller: Controller) -> None:
    place.agent("a", secrets=SECRETS)
    place.wait_condition("SecretsFresh", "True", "Fresh")
    name, value = rotation_name("a", "signing"), "his-own-value"
    place.merge("Secret", name, {"data": {"value": base64.b64encode(value.encode()).decode()}})
    place.change("a", args=["look again"])  # Secrets are looked at once a minute, or when there is another reason
    said = place.wait_condition("SecretsFresh", "False", "SecretOverwritten")
    assert "signing (by " in said["message"]
    wait_for("the Event", lambda: "SecretOverwritten" in [reason for reason, _ in place.events()])
    labels = {"source": "drift", "rule": "SecretOverwritten", "namespace": place.name}
    assert controller.counted(1, "ringfence_violations_total", **labels) == 1
    assert value not in controller.output
    assert value not in str(place.events())
