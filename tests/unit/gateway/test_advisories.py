"""The Envoy that is pinned has no known fault, and what has to be asked for is asked for."""

import json

import pytest

from cluster import programs
from ringfence.gateway import envoy
from ringfence.gateway.advisories import advisories, affecting
from ringfence.gateway.model import Gateway, Host


def test_the_pinned_envoy_is_in_no_advisory() -> None:
    assert affecting(programs.ENVOY) == ()


@pytest.mark.parametrize(
    ("version", "ids"),
    [
        ("1.38.3", ()),
        ("1.38.1", ("CVE-2026-47778",)),
        ("1.40.0", ()),
        ("1.38.0", ("CVE-2026-27135", "CVE-2026-47774", "CVE-2026-47778", "older than 1.38.1")),
        ("1.36.2", ("CVE-2025-64763", "CVE-2026-27135", "CVE-2026-47774", "CVE-2026-47778", "older than 1.38.1")),
        ("1.9.0", ("CVE-2025-64763", "CVE-2026-27135", "CVE-2026-47774", "CVE-2026-47778", "older than 1.38.1")),
    ],
)
def test_versions_are_compared_as_numbers(version: str, ids: tuple[str, ...]) -> None:
    assert affecting(version) == ids


def test_what_is_no_version() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        affecting("latest")


def test_what_has_to_be_asked_for_is_set_on_every_router_of_the_agents() -> None:
    files = envoy.files(Gateway((Host("a.test"),), (), proxy_port=3128))
    listeners = json.loads(files["lds.json"])["resources"]
    found = [one for listener in listeners for chain in listener["filter_chains"] for one in chain["filters"]]
    assert [one["name"] for one in found if "config_discovery" in one] == ["port-443"]
    found += json.loads(files["ecds-port-443.json"])["resources"]
    routers = [
        http_filter["typed_config"]
        for manager in found
        for http_filter in manager.get("typed_config", {}).get("http_filters", [])
        if http_filter["name"] == "envoy.filters.http.router"
    ]
    assert len(routers) == 2
    wanted = [one.option for one in advisories() if one.option]
    assert wanted
    assert all(router[option] is True for router in routers for option in wanted)
