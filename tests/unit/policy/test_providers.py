"""The data files about hosts: each entry is what it says, and says where that is written."""

import re

import pytest

from ringfence.api.fields import matches
from ringfence.api.hostnames import Host
from ringfence.api.network import Method
from ringfence.policy.providers import Provider, provider_of, providers
from ringfence.policy.suffixes import public_suffix, shared_suffix, tenants

ALL = list(providers().values())
NAMES = ["anthropic", "openai", "google", "azure-openai", "mistral", "cohere", "groq", "deepseek", "openrouter"]
NAMES += ["together", "fireworks", "xai", "perplexity", "bedrock", "bedrock-mantle", "vertex"]
METHODS = set(Method.__args__)  # type: ignore[attr-defined]


def test_these_providers_are_known() -> None:
    assert list(providers()) == NAMES


@pytest.mark.parametrize("one", ALL, ids=NAMES)
def test_each_entry_is_whole(one: Provider) -> None:
    assert one.hosts
    assert one.sources
    assert one.rules
    assert one.keys
    for host in one.hosts:
        assert provider_of(Host(host.replace("*", "eu1"))) is one
    for key in one.keys:
        assert (key.header is None) is not (key.query is None)
        assert key.header is None or matches("[a-z][a-z-]*", key.header)
        assert key.scheme in {None, "Bearer"}
        assert key.scheme is None or key.header == "authorization"
    for rule in one.rules:
        assert set(rule.methods) <= METHODS
        assert len(set(rule.paths)) == len(rule.paths)
        for path in rule.paths:
            assert matches(r"(/(\{[a-z]+\})?[A-Za-z0-9_.:-]*)+", path)
            assert not path.endswith("/")


KEPT = re.compile(
    "file|batch(?!Embed)|fine|admin|organi[sz]ation|assistant|thread|vector|upload|cached|tuned|dataset", re.IGNORECASE
)


@pytest.mark.parametrize("one", ALL, ids=NAMES)
def test_nothing_but_inference_is_in_a_preset(one: Provider) -> None:
    assert [path for rule in one.rules for path in rule.paths if KEPT.search(path)] == []
    for method, path in (
        ("POST", "/v1/files"),
        ("POST", "/v1/messages/batches"),
        ("POST", "/v1/batches"),
        ("GET", "/v1/responses/resp_1"),
        ("DELETE", "/v1/models/x"),
        ("POST", "/v1beta/models/x:batchGenerateContent"),
        ("POST", "/v1beta/models/x/y:generateContent"),
        ("POST", "/upload/v1beta/files"),
        ("GET", "/v1/organizations/me"),
        ("POST", "/openai/deployments/a/b/chat/completions"),
    ):
        assert not one.allows(method, path), (method, path)


REQUESTS = [
    ("anthropic", "POST", "/v1/messages"),
    ("openai", "POST", "/v1/responses"),
    ("openai", "GET", "/v1/models/gpt-5"),
    ("google", "POST", "/v1beta/models/gemini-2.5-pro:streamGenerateContent"),
    ("azure-openai", "POST", "/openai/deployments/chat-1/chat/completions"),
    ("bedrock", "POST", "/model/anthropic.claude-sonnet-4-5-20250929-v1:0/invoke"),
    ("bedrock", "POST", "/openai/v1/responses"),
    ("vertex", "POST", "/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro:generateContent"),
]


@pytest.mark.parametrize(("name", "method", "path"), REQUESTS)
def test_requests_of_inference_pass(name: str, method: str, path: str) -> None:
    assert providers()[name].allows(method, path)


def test_anthropics_key_has_two_places() -> None:
    places = {(key.header, key.scheme) for key in providers()["anthropic"].keys}
    assert places == {("x-api-key", None), ("authorization", "Bearer")}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("api.anthropic.com", "anthropic"),
        ("*.anthropic.com", "anthropic"),
        ("console.anthropic.com", None),
        ("api.anthropic.com.evil.example", None),
        ("*.api.openai.com", "openai"),
        ("*.googleapis.com", "google"),
        ("eu-aiplatform.googleapis.com", "vertex"),
        ("storage.googleapis.com", None),
        ("bedrock-runtime.eu-west-1.amazonaws.com", "bedrock"),
        ("bedrock.eu-west-1.amazonaws.com", None),
        ("*.eu-west-1.amazonaws.com", "bedrock"),
    ],
)
def test_whose_host_it_is(name: str, expected: str | None) -> None:
    found = provider_of(Host(name))
    assert (found and found.name) == expected


def test_each_kept_suffix_says_what_and_where_from() -> None:
    suffixes = [one.suffix for one in tenants()]
    assert len(set(suffixes)) == len(suffixes)
    for one in tenants():
        assert one.what
        assert one.source
        wildcard = Host("*." + one.suffix.replace("*", "eu1"))
        assert shared_suffix(wildcard) is not None
        assert not public_suffix(wildcard)


@pytest.mark.parametrize("name", ["api.example.com", "co.uk", "github.io", "acme.github.io"])
def test_an_exact_name_is_no_wildcard(name: str) -> None:
    assert not public_suffix(Host(name))
    assert shared_suffix(Host(name)) is None


def test_the_private_part_of_the_public_suffix_list_counts_as_well() -> None:
    found = shared_suffix(Host("*.pages.gay"))
    assert found is None or "publicsuffix" in found.source
    assert shared_suffix(Host("*.readthedocs.io")).source == "publicsuffix.org, private domains"  # type: ignore[union-attr]
