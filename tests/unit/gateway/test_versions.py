"""Which version of which file Envoy is to have taken."""

import json
import re

import pytest

from ringfence.gateway import envoy, log, reports, versions
from ringfence.gateway.model import Gateway, Host, Mode, Rule

LINE = re.compile(r'(\S+)\.version_text: "([0-9a-f]{16})"')
HOSTS = (Host("a.test"), Host("pipe.test", (8443,), Mode.TUNNEL), Host("plain.test", (80,)))


def told(*hosts: Host, proxy_port: int = 0) -> dict[str, str]:
    lines = envoy.files(Gateway(hosts, (), proxy_port=proxy_port))[versions.FILE].splitlines()
    return {found[1]: found[2] for line in lines if (found := LINE.fullmatch(line))}


@pytest.mark.parametrize(
    ("hosts", "proxy", "more"),
    [
        ((Host("a.test"),), 0, {"http.port-443.rds.port-443", "extension_config_discovery.network_filter.port-443"}),
        ((Host("pipe.test", mode=Mode.TUNNEL),), 3128, {"http.tunnel.rds.tunnel", "http.proxy.rds.proxy"}),
        (
            (Host("plain.test", (80,)),),
            0,
            {"http.port-80.rds.port-80", "extension_config_discovery.network_filter.port-80"},
        ),
    ],
)
def test_each_file_that_envoy_reads_has_a_line(hosts: tuple[Host, ...], proxy: int, more: set[str]) -> None:
    always = {
        "cluster_manager.cds",
        "listener_manager.lds",
        "extension_config_discovery.upstream_http_filter.address-check",
    }
    assert set(told(*hosts, proxy_port=proxy)) == always | more


def test_a_version_is_in_its_file_and_changes_with_it() -> None:
    gateway = Gateway(HOSTS, ())
    files = envoy.files(gateway)
    inside = {name: json.loads(files[name])["version_info"] for name in versions.figures(gateway)}
    assert sorted(inside.values()) == sorted(told(*HOSTS).values())
    after = told(Host("a.test", rules=(Rule(("GET",)),)), *HOSTS[1:])
    before = told(*HOSTS)
    assert [name for name in before if before[name] != after[name]] == ["http.port-443.rds.port-443"]


def test_the_script_reads_the_file_and_answers_that_path_alone() -> None:
    script = versions.script(Gateway(HOSTS, ()), "/ready")
    assert '"/etc/ringfence/gateway/config/..data/versions.txt"' in script
    assert not re.search("FILE|CLUSTER|READY", script)


def test_it_is_told_where_anybody_is_told() -> None:
    assert log.of_versions() == []
    (logger,) = log.of_versions(reported=True)
    assert reports.NOT_IN_FORCE in json.dumps(logger)
    assert "lua_response" in json.dumps(logger["filter"])
