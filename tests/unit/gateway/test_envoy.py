"""What the files say, as far as it does not take an Envoy to tell; and that they are the same each time."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.gateway import envoy, model, problems, queries
from ringfence.gateway.authorities import Authorities
from ringfence.gateway.model import Gateway, Host, HostSecret, Mode, Place, Rule
from ringfence.policy.addresses import Addresses
from ringfence.policy.metadata import METADATA

KEY = HostSecret("llm/token", "placeholder-of-the-agent", (Place("x-api-key"), Place("authorization", "Bearer")))
DENIED = model.denied(Addresses.of("198.18.0.0/24", "8.8.0.0/16"))
HOSTS = (
    Host("api.llm.test", rules=(Rule(("POST",), ("/v1/messages",)), Rule(("GET", "HEAD"), ("/v1/models/*",)))),
    Host("b.test", (443, 8443), websocket=False),
    Host("keyed.test", secret=KEY),
    Host("*.wild.test"),
    Host("pipe.test", mode=Mode.TUNNEL),
    Host("plain.test", (80,)),
)
GATEWAY = Gateway(HOSTS, DENIED, ("10.96.0.10",), proxy_port=3128)


def content(name: str, gateway: Gateway = GATEWAY) -> Any:
    return json.loads(envoy.files(gateway)[name])


def routes(gateway: Gateway, port: int = 443) -> list[dict[str, Any]]:
    (configuration,) = content(f"rds-{port}.json", gateway)["resources"]
    return [route for host in configuration["virtual_hosts"] for route in host["routes"]]


def test_the_files_of_a_gateway() -> None:
    assert list(envoy.files(GATEWAY)) == [
        "bootstrap.json",
        "cds.json",
        "ecds-addresses.json",
        "ecds-port-443.json",
        "ecds-port-80.json",
        "ecds-port-8443.json",
        "lds.json",
        "rds-443.json",
        "rds-80.json",
        "rds-8443.json",
        "rds-proxy.json",
        "rds-tunnel.json",
        "sds-_any.wild.test.json",
        "sds-api.llm.test.json",
        "sds-b.test.json",
        "sds-key-keyed.test-443-http1-key-0.json",
        "sds-key-keyed.test-443-http1-key-1.json",
        "sds-key-keyed.test-443-key-0.json",
        "sds-key-keyed.test-443-key-1.json",
        "sds-keyed.test.json",
        "sds-plain.test.json",
        "versions.txt",
    ]
    assert problems.of_gateway(GATEWAY) == []
    assert problems.problems(envoy.files(GATEWAY)) == []


def test_the_order_of_hosts_does_not_matter() -> None:
    assert envoy.files(Gateway(HOSTS[::-1], DENIED, ("10.96.0.10",), proxy_port=3128)) == envoy.files(GATEWAY)


def test_what_envoy_starts_with_holds_nothing_of_hosts() -> None:
    assert content("bootstrap.json") == content("bootstrap.json", Gateway((), DENIED, ("10.96.0.10",), proxy_port=3128))


def test_another_route_changes_the_routes_alone() -> None:
    changed = Gateway((Host("api.llm.test", rules=()), *HOSTS[1:]), DENIED, ("10.96.0.10",), proxy_port=3128)
    before, after = envoy.files(GATEWAY), envoy.files(changed)
    assert [name for name in before if before[name] != after[name]] == ["rds-443.json", "versions.txt"]


def test_each_name_has_one_filter_chain_and_each_port_one_listener() -> None:
    listeners = {one["name"]: one for one in content("lds.json")["resources"]}
    assert sorted(listeners) == ["port-443", "port-80", "port-8443", "proxy", "tunnel"]
    names = [chain["filter_chain_match"]["server_names"] for chain in listeners["port-443"]["filter_chains"]]
    assert names == [["*.wild.test"], ["api.llm.test"], ["b.test"], ["keyed.test"], ["pipe.test"]]


def test_no_rules_let_nothing_through_and_an_empty_rule_everything() -> None:
    assert not [route for route in routes(Gateway((Host("a.test", rules=()),), ())) if "route" in route]
    allowed = [route for route in routes(Gateway((Host("a.test", websocket=False),), ())) if "route" in route]
    method = {"name": ":method", "string_match": {"safe_regex": {"regex": "TRACE|TRACK"}}, "invert_match": True}
    assert [route["match"] for route in allowed] == [{"prefix": "/", "headers": [method]}]


def test_every_cluster_of_a_host_checks_addresses_first() -> None:
    for cluster in content("cds.json")["resources"]:
        if cluster.get("type") == "STATIC":
            assert cluster["name"] in {"tunnel", "inside-443", "inside-8443"}
            continue
        (options,) = cluster["typed_extension_protocol_options"].values()
        assert options["http_filters"][0]["name"] == "address-check"
        assert options["http_filters"][-1]["name"] == "envoy.filters.http.upstream_codec"


def test_silent_dns_is_waited_for_by_no_cluster_of_a_name() -> None:
    named = [
        one
        for one in content("cds.json")["resources"]
        if one.get("cluster_type", {}).get("name") == "envoy.cluster.dns"
    ]
    assert named
    assert all(cluster["wait_for_warm_on_init"] is False for cluster in named)


def test_no_endpoint_holds_several_addresses() -> None:
    for cluster in content("cds.json")["resources"]:
        config = cluster.get("cluster_type", {}).get("typed_config", {})
        assert config.get("all_addresses_in_single_endpoint", False) is False
        assert "dns_cache_config" not in config


def test_a_wildcards_port_is_left_out_only_where_it_goes_without_saying() -> None:
    hosts = (Host("*.a.test", (443, 8443)),)
    domains = [
        content(f"rds-{port}.json", Gateway(hosts, ()))["resources"][0]["virtual_hosts"][0]["domains"]
        for port in (443, 8443)
    ]
    assert domains == [["*.a.test", "*.a.test:443"], ["*.a.test:8443"]]


def test_hosts_that_are_the_same_to_it_share_a_cluster() -> None:
    """But for those with a key, with a bound of requests, with TLS 1.2, and tunnels."""
    own = (Host("often.test", requests_per_minute=5), Host("old.test", tls_1_2=True, websocket=False))
    gateway = Gateway((*HOSTS, *own), DENIED)
    names = [cluster["name"] for cluster in content("cds.json", gateway)["resources"]]
    assert names == [
        "keyed.test:443/key-0",
        "keyed.test:443/http1/key-0",
        "keyed.test:443/key-1",
        "keyed.test:443/http1/key-1",
        "often.test:443",
        "often.test:443/http1",
        "old.test:443",
        "pipe.test:443",
        "hosts",
        "hosts-plain",
        "tunnel",
    ]


def test_each_host_of_a_shared_cluster_is_bound_to_its_own_name() -> None:
    (configuration,) = content("rds-443.json")["resources"]
    hosts = {host["name"].removesuffix(":443"): host for host in configuration["virtual_hosts"]}
    for name in ("api.llm.test", "b.test"):
        resolved, state = (dict(one) for one in hosts[name]["typed_per_filter_config"].values())
        assert resolved["host_rewrite_literal"] == f"{name}.:443"
        assert [one["object_key"] for one in state["on_request_headers"]] == [
            "envoy.upstream.dynamic_host",
            "envoy.upstream.dynamic_port",
        ]
        assert f'"inline_string": "{name}."' in json.dumps(state)
        assert {one["route"]["host_rewrite_literal"] for one in hosts[name]["routes"] if "route" in one} == {name}
    for name in ("keyed.test", "*.wild.test", "undeclared"):
        assert "dynamic_host" not in json.dumps(hosts[name])


def test_another_host_changes_no_cluster_and_shared_ones_stay_when_nobody_shares_them() -> None:
    more = Gateway((*HOSTS, Host("c.test")), DENIED, ("10.96.0.10",), proxy_port=3128)
    none = Gateway((Host("old.test", tls_1_2=True),), DENIED)
    before, after, alone = (
        {one["name"]: one for one in content("cds.json", each)["resources"]} for each in (GATEWAY, more, none)
    )
    assert before == after
    assert all(alone[name] == before[name] for name in ("hosts", "hosts-plain"))


def test_the_placeholder_stands_in_routes_alone_and_the_key_nowhere() -> None:
    holding = [name for name, text in envoy.files(GATEWAY).items() if KEY.placeholder in text]
    assert holding == ["rds-443.json"]
    assert KEY.placeholder not in repr(GATEWAY)


def test_denied_addresses() -> None:
    held = Addresses.of(*DENIED)
    assert held >= METADATA
    for inside in ("10.1.2.3", "127.0.0.1", "169.254.169.254", "198.18.0.1", "8.8.8.8", "::1", "fd00::1"):
        assert Addresses.of(inside) <= held, inside
    assert Addresses.of("64:ff9b::8.8.8.8", "64:ff9b::10.0.0.1", "::ffff:10.0.0.1", "2002:0a00:0001::") <= held
    for outside in ("1.1.1.1", "2606:4700::1111", "64:ff9b::1.1.1.1"):
        assert not Addresses.of(outside) & held, outside


def test_what_is_opened_is_not_denied_but_what_hands_out_keys_is() -> None:
    held = Addresses.of(*model.denied(Addresses(), [Addresses.of("10.1.0.0/16"), Addresses.of("169.254.0.0/16")]))
    assert not Addresses.of("10.1.2.3") & held
    assert Addresses.of("10.2.0.1", "169.254.169.254", "169.254.1.1") <= held


@pytest.mark.parametrize(
    "path",
    [
        "/a?key=x",
        "/a?KEY",
        "/a?b=1&Api_Key=x",
        "/a?k%65y=x",
        "/a?b;key=x",
        "/?access-token=x",
        "/a?a&token=",
        "/a?key[]=x",
        "/a?key[0]=x",
        "/a?api.key=x",
    ],
)
def test_a_query_that_could_hold_a_key(path: str) -> None:
    assert queries.looks_like_a_credential(path)


@pytest.mark.parametrize("path", ["/a", "/key=x", "/a?b=key", "/a?monkey=1", "/a?b=%20c", "/a?tokens=1", "/?"])
def test_a_query_that_does_not(path: str) -> None:
    assert not queries.looks_like_a_credential(path)


@pytest.mark.parametrize(
    ("host", "says"),
    [
        (Host("A.test"), "not a DNS name"),
        (Host("a.test."), "not a DNS name"),
        (Host("a..test"), "not a DNS name"),
        (Host("a.*.test"), "not a DNS name"),
        (Host("a.test\x00"), "not a DNS name"),
        (Host("a.test", ()), "no port"),
        (Host("a.test", (0,)), "not a port"),
        (Host("a.test", (15021,)), "the gateway's own"),
        (Host("a.test", (80,), Mode.TUNNEL), "no TLS"),
        (Host("a.test", mode=Mode.TUNNEL, secret=KEY), "needs Terminate"),
        (Host("*.a.test", secret=KEY), "one name"),
        (Host("a.test", rules=(Rule(("get",)),)), "not a method"),
        (Host("a.test", rules=(Rule((), ("v1",)),)), "not a path"),
        (Host("a.test", rules=(Rule((), ("/v1/../x",)),)), "not a path"),
        (Host("a.test", rules=(Rule((), ("/v1//x",)),)), "not a path"),
        (Host("a.test", rules=(Rule((), ("/v1?x",)),)), "not a path"),
        (Host("a.test", rules=(Rule((), ("/v*/x",)),)), "not a path"),
        (Host("a.test", rules=(Rule((), ("/v1//*",)),)), "not a path"),
        (Host("a.test", secret=HostSecret("../x", "p", (Place("x-api-key"),))), "FOLDER/NAME"),
        (Host("a.test", secret=HostSecret("a/b", "p", ())), "no place"),
        (Host("a.test", secret=HostSecret("a/b", "p", (Place("X-Key"),))), "not a header"),
        (Host("a.test", secret=HostSecret("a/b", "p", (Place("k"), Place("k", "Bearer")))), "two places"),
        (Host("a.test", max_body_bytes=1), "WebSocket"),
    ],
)
def test_a_host_that_envoy_would_not_take(host: Host, says: str) -> None:
    (found,) = problems.of_gateway(Gateway((host,), ()))
    assert says in found


def test_a_host_that_is_declared_twice() -> None:
    assert problems.of_gateway(Gateway((Host("a.test"), Host("a.test")), ())) == ["a.test:443 is declared 2 times"]


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("rds-443.json", '{"resources"', '{"resources', "not JSON"),
        (
            "rds-443.json",
            '"name":"api.llm.test:443","retry_policy"',
            '"name":"b.test:443","retry_policy"',
            "virtual hosts are named",
        ),
        ("rds-443.json", '"domains":["b.test"', '"domains":["API.llm.test"', "virtual hosts are for"),
        ("rds-443.json", '"status":403', '"status":99', "status 99"),
        ("rds-443.json", '"path":"/v1/messages"', '"path":"/v1/messages","prefix":"/"', "by 2 of the ways"),
        ("rds-443.json", "where every", "w" * 4100, "longer than 4096"),
        ("lds.json", '"server_names":["b.test"]', '"server_names":["api.llm.test"]', "filter chains match"),
    ],
)
def test_a_file_that_envoy_would_not_take(name: str, old: str, new: str, says: str) -> None:
    files = envoy.files(GATEWAY)
    assert old in files[name]
    found = problems.problems(files | {name: files[name].replace(old, new)})
    assert any(one.startswith(f"{name}: ") and says in one for one in found), found


def test_a_file_that_is_missing_or_holds_two_route_configurations() -> None:
    files = envoy.files(GATEWAY)
    two = json.loads(files["rds-80.json"])
    two["resources"] *= 2
    assert "rds-80.json: missing" in problems.problems({name: files[name] for name in files if name != "rds-80.json"})
    assert any("2 route configurations" in one for one in problems.problems(files | {"rds-80.json": json.dumps(two)}))


def test_128_hosts_fit_into_one_secret() -> None:
    names = [f"host-{number}.example.test" for number in range(128)]
    many = envoy.files(Gateway(tuple(map(Host, names)), DENIED, proxy_port=3128))
    assert problems.problems(many) == []
    leaves = Authorities().renewed(names, "a", datetime.now(UTC)).leaves()
    files = leaves | {name: text.encode() for name, text in many.items()}
    assert problems.too_large(files) is None
    assert "name fewer hosts" in str(problems.too_large(files | {"x": b"x" * 300_000}))


labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
paths = st.from_regex(r"(/[a-zA-Z0-9._~%-]{1,10}){0,4}(/\*)?", fullmatch=True)


@given(
    st.lists(st.lists(labels, min_size=1, max_size=4).map(".".join), min_size=1, max_size=5, unique=True),
    st.lists(paths, max_size=5),
    st.lists(st.sampled_from(["GET", "POST", "M-SEARCH"]), max_size=3, unique=True),
)
def test_a_gateway_without_problems_has_files_without_problems(
    names: list[str], found: list[str], methods: list[str]
) -> None:
    rule = Rule(tuple(methods), tuple(found))
    gateway = Gateway(tuple(Host(name, rules=(rule,), secret=KEY) for name in names), DENIED)
    if not problems.of_gateway(gateway):
        assert problems.problems(envoy.files(gateway)) == []


def test_bodies_of_refusals_are_json() -> None:
    for route in routes(GATEWAY):
        if "direct_response" in route:
            assert re.match(r'{"error": {"type": "egress_refused"', route["direct_response"]["body"]["inline_string"])
