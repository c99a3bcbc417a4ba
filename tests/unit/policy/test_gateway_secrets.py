"""Secrets that the agent never sees: which host gets one, and where in its requests."""

from collections.abc import Mapping
from typing import Any, get_args

import pytest

from ringfence.api.network import Preset
from ringfence.policy.model import RuleName, Violation
from ringfence.policy.providers import providers
from unit.policy.make import judge, names, places

API, LLM = "api.example.com", "api.anthropic.com"
RULES = [{"methods": ["POST"], "paths": ["/v1/x"]}]
HOST = {"host": API, "rules": RULES}
POLICY = {"egress": {"hosts": [{"name": API}, {"name": LLM}, {"name": "*.example.com"}], "tunnel": [API]}}
DELIVERY = RuleName.SECRET_DELIVERY
AT = "spec.secrets[0].delivery.gateway"


def secret(name: str = "key", host: str = API, env: str = "API_KEY", **more: Any) -> dict[str, Any]:
    place = {field: value for field, value in (more or {"header": "x-api-key"}).items() if value is not None}
    return {
        "name": name,
        "source": {"existing": {"secretName": "llm", "key": "token"}},
        "delivery": {"gateway": {"host": host, "env": env, **place}},
    }


def given(*secrets: Mapping[str, Any], hosts: Any = (HOST,), policy: Any = POLICY, **spec: Any) -> list[Violation]:
    return judge({"network": {"egress": list(hosts)}, "secrets": list(secrets), **spec}, policy)


PLACES = [
    {"header": "x-api-key"},
    {"header": "authorization", "scheme": "Bearer"},
    {"basic": {"user": "git"}},
    {"query": "key"},
    {"query": "api_key.v-2"},
]


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_declared_host_with_rules_gets_it(place: dict[str, Any]) -> None:
    assert given(secret(**place)) == []
    generated = secret(**place) | {"source": {"generate": {}}, "rotation": {"every": "720h"}}
    assert given(generated) == []


def test_a_preset_says_where_it_goes() -> None:
    asked = {"host": LLM, "preset": "anthropic"}
    assert given(secret(host=LLM, header=None), hosts=[asked]) == []
    assert names(given(hosts=[asked])) == {RuleName.EGRESS_HOST_UNKEYED}, "without the secret its host needs leave"


REFUSED = [
    ("a host that is not declared", secret(host="other.example.com"), [HOST], "is no host of network.egress"),
    ("a name below a wildcard", secret(), [{"host": "*.example.com", "rules": RULES}], "by its exact name"),
    ("a tunnel", secret(), [{"host": API, "mode": "Tunnel"}], "mode: Tunnel"),
    ("plain HTTP", secret(), [HOST | {"ports": [443, 80]}], "port 80"),
    ("all requests", secret(), [{"host": API}], "each request would have the value"),
    ("one of two rules without", secret(), [HOST, {"host": API, "ports": [8443]}], "each request would have the value"),
]


@pytest.mark.parametrize(("asked", "hosts", "told"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_no_other_host_gets_it(asked: Any, hosts: Any, told: str) -> None:
    found = [one for one in given(asked, hosts=hosts) if one.rule is DELIVERY]
    assert [one.path for one in found] == [f"{AT}.host"]
    assert told in found[0].message


def test_where_no_preset_is_the_place_is_said() -> None:
    (found,) = given(secret(header=None))
    assert (found.path, found.rule) == (AT, DELIVERY)
    assert all(part in found.message for part in ("header: x-api-key", "query: key"))


def test_a_host_has_one_key() -> None:
    found = given(secret(), secret("second", env="OTHER_KEY"))
    assert places(found) == {(DELIVERY.value, "spec.secrets[1].delivery.gateway.host")}
    assert "spec.secrets[0] is sent to this host already" in found[0].message


@pytest.mark.parametrize("name", ["LD_PRELOAD", "NODE_OPTIONS", "HTTPS_PROXY", "SSL_CERT_FILE", "PATH"])
def test_its_variable_tells_no_program_what_to_run(name: str) -> None:
    assert places(given(secret(env=name))) == {(DELIVERY.value, f"{AT}.env")}


def test_its_variable_hides_no_other_one() -> None:
    assert places(given(secret(), env=[{"name": "API_KEY", "value": "x"}])) == {(DELIVERY.value, f"{AT}.env")}
    plain = {"name": "b", "source": secret()["source"], "delivery": {"env": {"name": "API_KEY"}}}
    assert places(given(secret(), plain)) == {(DELIVERY.value, "spec.secrets[1].delivery.env.name")}
    envs = [{"configMap": "c", "keys": ["API_KEY"]}]
    assert names(given(secret(), envFrom=envs)) == {RuleName.INVALID_FIELD}


MALFORMED = [
    {"header": "x-api-key", "basic": {"user": "git"}},
    {"scheme": "Bearer"},
    {"header": "X-Api-Key"},
    {"header": "host"},
    {"header": "transfer-encoding"},
    {"header": "x-envoy-retry-on"},
    {"header": "authorization", "scheme": "Basic"},
    {"header": "authorization", "scheme": "Bearer "},
    {"basic": {"user": "a:b"}},
    {"basic": {}},
    {"header": "x-api-key", "value": "sk-1"},
    {"query": ""},
    {"query": "k%65y"},
    {"query": "a=b"},
    {"query": "a&b"},
    {"query": "key[]"},
    {"query": "-key"},
    {"query": "k" * 65},
    {"query": "schlüssel"},
    {"query": "key", "header": "x-api-key"},
    {"query": "key", "basic": {"user": "git"}},
    {"query": "key", "scheme": "Bearer"},
]


@pytest.mark.parametrize("place", MALFORMED, ids=str)
def test_a_malformed_place_is_refused(place: dict[str, Any]) -> None:
    assert RuleName.INVALID_FIELD in names(given(secret(**place)))


def test_a_wildcard_is_no_host_for_a_key() -> None:
    assert RuleName.INVALID_FIELD in names(given(secret(host="*.example.com")))


def test_a_preset_is_for_its_own_provider() -> None:
    (found,) = given(hosts=[{"host": API, "preset": "anthropic"}])
    assert (found.path, found.rule) == ("spec.network.egress[0].preset", RuleName.EGRESS_HOST_INVALID)
    (found,) = given(secret(host=LLM), hosts=[{"host": LLM, "preset": "openai"}])
    assert "write preset: anthropic" in found.message


@pytest.mark.parametrize(
    "rule",
    [
        {"host": API, "preset": "anthropic", "rules": RULES},
        {"host": API, "preset": "anthropic", "mode": "Tunnel"},
        {"host": API, "preset": "nobody"},
        {"cidr": "203.0.113.0/28", "ports": [443], "preset": "anthropic"},
        {"cidr": "203.0.113.0/28", "ports": [443], "limits": {"requestsPerMinute": 1}},
        {"host": API, "mode": "Tunnel", "limits": {"requestsPerMinute": 1}},
        {"host": API, "limits": {}},
        {"host": API, "limits": {"requestsPerMinute": 0}},
        {"host": API, "limits": {"maxBodyBytes": 1 << 26}},
    ],
    ids=str,
)
def test_a_malformed_rule_of_a_host_is_refused(rule: dict[str, Any]) -> None:
    assert RuleName.INVALID_FIELD in names(given(hosts=[rule]))


def test_the_api_has_a_preset_for_each_provider() -> None:
    assert set(get_args(Preset)) == set(providers())
    assert all(any(key.header for key in one.keys) for one in providers().values()), "each has a place for a key"


LIMITS = [
    ({}, {"requestsPerMinute": 10}, "requestsPerMinute"),
    ({"requestsPerMinute": 11}, {"requestsPerMinute": 10}, "requestsPerMinute"),
    ({"requestsPerMinute": 10}, {"requestsPerMinute": 10}, ""),
    ({"maxBodyBytes": 1}, {"requestsPerMinute": 10}, "requestsPerMinute"),
    ({"requestsPerMinute": 1, "maxBodyBytes": 9}, {"requestsPerMinute": 10, "maxBodyBytes": 8}, "maxBodyBytes"),
    ({"requestsPerMinute": 99}, {}, ""),
]


@pytest.mark.parametrize(("asked", "allowed", "broken"), LIMITS)
def test_a_policy_bounds_what_goes_out(asked: dict[str, int], allowed: dict[str, int], broken: str) -> None:
    hosts = [HOST | ({"limits": asked} if asked else {})]
    policy = {"egress": POLICY["egress"] | ({"limits": allowed} if allowed else {})}
    found = places(given(hosts=hosts, policy=policy))
    where = f"spec.network.egress[0].limits.{broken}"
    assert found == ({(RuleName.EGRESS_LIMIT_ABOVE_POLICY.value, where)} if broken else set())
    tunnel = [{"host": API, "mode": "Tunnel"}]
    assert given(hosts=tunnel, policy=policy) == [], "a tunnel has no requests to count"
