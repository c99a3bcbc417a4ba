"""Egress by host name: what policies allow, and what no policy can."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ringfence.api.agentpolicy import AgentPolicySpec
from ringfence.policy.advice import advice
from ringfence.policy.builtin import RESTRICTED
from ringfence.policy.hostnames import Host, covered
from ringfence.policy.model import RuleName, Violation
from unit.policy.make import judge, names, places

INVALID = RuleName.EGRESS_HOST_INVALID
ABOVE = RuleName.EGRESS_HOST_ABOVE_POLICY
TUNNEL = RuleName.EGRESS_TUNNEL_ABOVE_POLICY
UNKEYED = RuleName.EGRESS_HOST_UNKEYED
FIELD = RuleName.INVALID_FIELD

API = "api.example.com"


def hosts(*rules: str | Mapping[str, Any], policies: Sequence[Mapping[str, Any]] | None = None) -> list[Violation]:
    """What is decided about an agent with these hosts; under policies that allow example.com where none are given."""
    asked = [{"host": one} if isinstance(one, str) else one for one in rules]
    bound = [allowing(API, "*.example.com")] if policies is None else policies
    return judge({"network": {"egress": asked}}, *bound)


def allowing(*allowed: str, **more: Any) -> dict[str, Any]:
    return {"egress": {"hosts": [{"name": one} for one in allowed], **more}}


def test_the_built_in_policy_allows_no_host() -> None:
    assert not RESTRICTED.allowed_hosts
    (violation,) = hosts(API, policies=[])
    assert (violation.rule, violation.path) == (ABOVE, "spec.network.egress[0].host")
    assert 'policy "restricted (built-in)" does not allow "api.example.com"' in violation.message
    assert "spec.egress.hosts" in violation.message


ALLOWED = [
    ("the name itself", API, [API], True),
    ("a star for its first label", API, ["*.example.com"], True),
    ("a star higher up", "a.b.example.com", ["*.example.com"], False),
    ("another name", API, ["www.example.com"], False),
    ("a name that ends alike", "badexample.com", ["*.example.com"], False),
    ("a name that begins alike", "api.example.com.evil.example", [API, "*.example.com"], False),
    ("the domain of a star", "example.com", ["*.example.com"], False),
    ("a wildcard that stands there", "*.example.com", ["*.example.com"], True),
    ("a wildcard of which one name stands there", "*.example.com", [API], False),
    ("a wildcard below one that stands there", "*.b.example.com", ["*.example.com"], False),
    ("no entry", API, [], False),
]


@pytest.mark.parametrize(
    ("asked", "allowed", "expected"), [row[1:] for row in ALLOWED], ids=[row[0] for row in ALLOWED]
)
def test_hosts_above_policy(asked: str, allowed: list[str], *, expected: bool) -> None:
    found = hosts(asked, policies=[allowing(*allowed)])
    assert places(found) == (set() if expected else {(ABOVE.value, "spec.network.egress[0].host")})


def test_all_policies_must_allow_a_host() -> None:
    found = hosts(API, policies=[allowing(API), allowing("www.example.com"), allowing()])
    assert names(found) == {ABOVE}
    assert ['"p1"' in found[0].message, '"p2"' in found[1].message, len(found)] == [True, True, 2]


@pytest.mark.parametrize("pattern", [API, "*.example.com", "*.b.example.com", "a.b.example.com"])
@pytest.mark.parametrize("name", [API, "*.example.com", "*.b.example.com", "a.b.example.com", "example.com"])
def test_looking_up_is_the_same_as_covering(pattern: str, name: str) -> None:
    assert covered(Host(name), frozenset([Host(pattern)])) is Host(pattern).covers(Host(name))


def test_of_a_wildcard_the_names_that_are_allowed_are_told() -> None:
    (violation,) = hosts("*.example.com", policies=[allowing(API, "www.example.com")])
    assert "name api.example.com or www.example.com, or have a wildcard added" in violation.message


NEVER = ["*.co.uk", "*.kawasaki.jp", "*.x.kawasaki.jp", "*.akershus.no", "*.xn--55qx5d.cn"]


@pytest.mark.parametrize("name", NEVER)
def test_no_policy_opens_a_wildcard_where_anybody_registers_names(name: str) -> None:
    bound = {"egress": {"hosts": [{"name": name, "reason": "we need all of them"}]}}
    (violation,) = hosts(name, policies=[bound])
    assert (violation.rule, violation.path) == (INVALID, "spec.network.egress[0].host")
    assert "publicsuffix.org" in violation.message
    assert names(hosts(name.replace("*", "x.y"), policies=[bound])) == {ABOVE}
    (warning,) = advice(AgentPolicySpec.model_validate(bound))
    assert warning.startswith("spec.egress.hosts[0].name: ")


SHARED = [
    "*.blob.core.windows.net",
    "*.core.windows.net",
    "*.windows.net",
    "*.githubusercontent.com",
    "*.googleapis.com",
    "*.s3.amazonaws.com",
    "*.s3.eu-central-1.amazonaws.com",
    "*.s3.dualstack.eu-central-1.amazonaws.com",
    "*.amazonaws.com",
    "*.r2.dev",
    "*.workers.dev",
    "*.vercel.app",
    "*.ngrok.io",
    "*.github.io",
    "*.openai.azure.com",
    "*.nip.io",
]


@pytest.mark.parametrize("name", SHARED)
def test_where_anybody_gets_a_name_a_wildcard_needs_a_reason(name: str) -> None:
    (violation,) = hosts(name, policies=[allowing(name)])
    assert violation.rule is ABOVE
    assert "its entry counts for nothing" in violation.message
    assert "write a reason beside it" in violation.message
    assert advice(AgentPolicySpec.model_validate(allowing(name)))
    given = {"egress": {"hosts": [{"name": name, "reason": "its names are made at run time"}], "unkeyed": [name]}}
    assert hosts(name, policies=[given]) == []
    assert [one for one in advice(AgentPolicySpec.model_validate(given)) if "hosts[0]" in one] == []


@pytest.mark.parametrize("name", ["*.acme.blob.core.windows.net", "*.me.github.io", "*.example.com", "me.github.io"])
def test_below_what_somebody_has_for_himself_none_is_needed(name: str) -> None:
    assert hosts(name, policies=[allowing(name)]) == []


def test_tunnels_need_the_leave_of_every_policy() -> None:
    asked = {"host": API, "mode": "Tunnel"}
    assert hosts(asked, policies=[allowing(API, tunnel=["*.example.com"])]) == []
    found = hosts(asked, policies=[allowing(API, tunnel=[API]), allowing(API)])
    assert places(found) == {(TUNNEL.value, "spec.network.egress[0].mode")}
    assert '"p1"' in found[0].message
    assert hosts({"host": API, "mode": "Terminate"}) == []


def test_a_tunnel_is_no_way_to_a_host_that_is_not_allowed() -> None:
    assert names(hosts({"host": API, "mode": "Tunnel"}, policies=[allowing(tunnel=[API])])) == {ABOVE}


PROVIDERS = [
    "api.anthropic.com",
    "api.openai.com",
    "*.openai.com",
    "eu.api.openai.com",
    "generativelanguage.googleapis.com",
    "acme.openai.azure.com",
    "bedrock-runtime.eu-central-1.amazonaws.com",
    "us-central1-aiplatform.googleapis.com",
]


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_host_of_an_llm_provider_needs_leave_to_be_used_with_any_key(name: str) -> None:
    found = hosts(name, policies=[allowing(name)])
    assert places(found) == {(UNKEYED.value, "spec.network.egress[0].host")}
    assert hosts(name, policies=[allowing(name, unkeyed=[name])]) == []
    both = [allowing(name, unkeyed=[name]), allowing(name)]
    assert names(hosts(name, policies=both)) == {UNKEYED}


def test_a_name_that_no_pattern_tells_is_refused_by_the_decision() -> None:
    found = hosts("xn--pple-43d.com", "xn--a.example", policies=[allowing("xn--pple-43d.com", "xn--a.example")])
    assert places(found) == {(INVALID.value, f"spec.network.egress[{index}].host") for index in (0, 1)}
    assert "look alike" in found[0].message


def test_one_host_and_port_has_one_rule() -> None:
    found = hosts(API, {"host": "www.example.com"}, {"host": API, "ports": [8443, 443]})
    assert places(found) == {(INVALID.value, "spec.network.egress[2].host")}
    assert "egress[0] names port 443 of this host already" in found[0].message
    assert hosts(API, {"host": API, "ports": [80, 8443]}) == []
    assert hosts(API, "*.example.com") == []


def test_the_same_port_twice_in_one_rule_is_once() -> None:
    assert hosts({"host": API, "ports": [443, 443]}) == []


@pytest.mark.parametrize("port", [53, 853])
def test_a_resolver_of_its_own_is_none_by_name_either(port: int) -> None:
    found = hosts({"host": API, "ports": [443, port]})
    assert places(found) == {("EgressDnsBypass", "spec.network.egress[0].ports[1]")}


@pytest.mark.parametrize(
    ("egress", "words"),
    [
        (
            {"hosts": [{"name": "xn--a.example"}]},
            'hosts[0].name: "xn--a.example" counts for nothing, since it has a label',
        ),
        ({"tunnel": [API]}, f'tunnel[0]: "{API}" allows nothing: name it in spec.egress.hosts'),
        ({"hosts": [{"name": API}], "tunnel": ["*.co.uk"]}, 'tunnel[0]: "*.co.uk" counts for nothing'),
        ({"hosts": [{"name": API}], "unkeyed": [API]}, f'unkeyed[0]: "{API}" allows nothing: it is no host of an LLM'),
        ({"unkeyed": ["api.openai.com"]}, 'unkeyed[0]: "api.openai.com" allows nothing: name it'),
    ],
)
def test_what_a_policy_says_in_vain_is_told(egress: dict[str, Any], words: str) -> None:
    (warning,) = advice(AgentPolicySpec.model_validate({"egress": egress}))
    assert warning.startswith(f"spec.egress.{words}")


def test_what_counts_is_not_warned_of() -> None:
    egress = allowing("*.example.com", "api.openai.com", tunnel=[API], unkeyed=["*.openai.com"])
    assert advice(AgentPolicySpec.model_validate(egress)) == []


def test_other_destinations_are_left_to_their_own_rules() -> None:
    service = {"service": {"name": "search", "port": 80}}
    assert hosts(service, API) == []


MALFORMED: list[tuple[dict[str, Any], str, str]] = [
    ({"host": "API.example.com"}, ".host", "Write api.example.com"),
    ({"host": "https://api.example.com/v1"}, ".host", "its path into rules"),
    ({"host": "203.0.113.7"}, ".host", "write cidr"),
    ({"host": 1}, ".host", "must be text"),
    ({"host": API, "cidr": "10.0.0.0/8", "ports": [443]}, "", "exactly one destination"),
    ({"host": API, "service": {"name": "a", "port": 1}}, "", "exactly one destination"),
    ({"host": API, "ports": []}, "", "1 to 8 ports"),
    ({"host": API, "ports": list(range(1, 10))}, "", "1 to 8 ports"),
    ({"host": API, "ports": [0]}, ".ports[0]", "at least 1"),
    ({"host": API, "mode": "Passthrough"}, ".mode", "'Terminate' or 'Tunnel'"),
    ({"host": API, "mode": "Tunnel", "rules": [{"methods": ["GET"]}]}, "", "a tunnel has no rules"),
    ({"host": API, "mode": "Tunnel", "ports": [443, 80]}, "", "port 80"),
    ({"host": "*.example.com", "mode": "Tunnel"}, "", "a tunnel leads to one host"),
    ({"cidr": "203.0.113.0/28", "ports": [443], "mode": "Terminate"}, "", "limits go with a host"),
    ({"service": {"name": "a", "port": 1}, "rules": [{"methods": ["GET"]}]}, "", "limits go with a host"),
    ({"host": API, "rules": []}, ".rules", "at least 1"),
    ({"host": API, "rules": [{}]}, ".rules[0]", "name methods or paths"),
    ({"host": API, "rules": [{"methods": []}]}, ".rules[0].methods", "at least 1"),
    ({"host": API, "rules": [{"methods": ["CONNECT"]}]}, ".rules[0].methods[0]", "'GET'"),
    ({"host": API, "rules": [{"methods": ["get"]}]}, ".rules[0].methods[0]", "'GET'"),
    ({"host": API, "rules": [{"methods": ["GET", "GET"]}]}, ".rules[0].methods", "the same value"),
    ({"host": API, "rules": [{"path": "/v1"}]}, ".rules[0].path", "write paths"),
    ({"host": API, "url": "x"}, ".url", "write host"),
]


@pytest.mark.parametrize(("rule", "place", "words"), MALFORMED, ids=[words for _, _, words in MALFORMED])
def test_malformed_hosts_are_told_with_the_fix(rule: dict[str, Any], place: str, words: str) -> None:
    found = [one for one in hosts(rule) if one.rule is FIELD]
    assert [one.path for one in found] == [f"spec.network.egress[0]{place}"]
    assert words in found[0].message


def test_what_is_beside_a_malformed_word_is_still_judged() -> None:
    found = hosts({"host": "www.example.org", "ports": [53], "mode": "Passthrough"})
    assert names(found) == {FIELD, ABOVE, RuleName.EGRESS_DNS_BYPASS}


PATHS = {
    "/": True,
    "/*": True,
    "/v1/messages": True,
    "/v1/messages/": True,
    "/v1/files/*": True,
    "/.well-known/x": True,
    "/v1beta/models/gemini-2.5-pro:generateContent": True,
    "/users('a')/x": True,
    "": False,
    "v1": False,
    "*": False,
    "/v1*": False,
    "/*/x": False,
    "/v1/**": False,
    "/a/../b": False,
    "/a/..": False,
    "/./a": False,
    "/a/.": False,
    "/a..b": False,
    "//a": False,
    "/a//b": False,
    "/a%2fb": False,
    "/a%2e%2e": False,
    "/a?x=1": False,
    "/a#x": False,
    "/a;x=1": False,
    "/a\\b": False,
    "/a b": False,
    "/a\0b": False,
    "/a\n": False,
    "/\u00e4": False,
    "/" + "a" * 256: False,
}


@pytest.mark.parametrize(("path", "expected"), PATHS.items(), ids=[ascii(path)[:40] for path in PATHS])
def test_a_path_is_plain_and_has_one_spelling(path: str, *, expected: bool) -> None:
    assert (hosts({"host": API, "rules": [{"paths": [path]}]}) == []) is expected


def test_at_most_128_rules_of_which_64_are_not_by_host() -> None:
    many = [f"h{number}.example.com" for number in range(129)]
    assert hosts(*many[:128]) == []
    assert names(hosts(*many)) == {FIELD}
    others = [{"service": {"name": f"s{number}", "port": 80}} for number in range(65)]
    assert hosts(*others[:64], *many[:64]) == []
    assert names(hosts(*others[:64], *many[:65])) == {FIELD}
    assert names(hosts(*others)) == {FIELD}
