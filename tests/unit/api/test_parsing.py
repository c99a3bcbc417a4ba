"""Every mistake is named at once, with the path of its field."""

from ringfence.api import AgentDeploymentSpec, parse


def test_a_minimal_spec_has_no_network_and_no_rights() -> None:
    spec = parse(AgentDeploymentSpec, {"image": "a@sha256:b"}).value
    assert spec is not None
    assert spec.network.egress == []
    assert spec.network.ingress == []
    assert spec.permissions.rules == []


def test_all_mistakes_come_with_their_paths() -> None:
    broken = {
        "imag": "a",
        "replicas": "3",
        "network": {"egress": [{"cidr": "1.2.3.4/0"}, {}], "ingress": [{"from": {"podLabels": {}}, "port": "x"}]},
    }
    paths = {error.path for error in parse(AgentDeploymentSpec, broken).errors}
    assert paths == {
        "spec.imag",
        "spec.image",
        "spec.replicas",
        "spec.network.egress[0].cidr",
        "spec.network.egress[1]",
        "spec.network.ingress[0].from.podLabels",
    }


def test_a_value_never_shows_in_a_message() -> None:
    errors = parse(AgentDeploymentSpec, {"image": "a", "env": [{"name": "sk-very secret", "value": 1}]}).errors
    assert errors
    assert "sk-very" not in repr(errors)


def test_what_is_not_an_object_is_said_so() -> None:
    junks: tuple[object, ...] = (None, [], "x", 3)
    for junk in junks:
        (error,) = parse(AgentDeploymentSpec, junk).errors
        assert error.path == "spec"
