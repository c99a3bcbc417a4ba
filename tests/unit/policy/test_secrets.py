"""Keys: whose, how old, and where they are put."""

from typing import Any

import pytest

from ringfence.policy.model import RuleName
from unit.policy.make import judge, places

DIRECTORY = "/var/run/ringfence"


def generated(name: str = "key", *, every: str = "720h", **delivery: Any) -> dict[str, Any]:
    return {
        "name": name,
        "source": {"generate": {}},
        "rotation": {"every": every},
        "delivery": delivery or {"file": {"path": f"{DIRECTORY}/{name}"}},
    }


def existing(secret: str, name: str = "key") -> dict[str, Any]:
    source = {"existing": {"secretName": secret, "key": "api-key"}}
    return {"name": name, "source": source, "delivery": {"env": {"name": "API_KEY"}}}


def files(*paths: str) -> list[dict[str, Any]]:
    return [generated(f"k{index}", file={"path": f"{DIRECTORY}/{path}"}) for index, path in enumerate(paths)]


def variable(name: str) -> dict[str, Any]:
    return generated(env={"name": name})


def test_what_is_accepted() -> None:
    keys = [existing("anthropic", "a"), variable("SIGNING_KEY"), *files("a", "b/a", "b/c", "ab", "b.x/a")]
    assert judge({"secrets": keys, "env": [{"name": "OTHER", "value": "x"}]}) == []


@pytest.mark.parametrize("name", ["ringfence-a", "ringfence-other.0123456789", "ringfence-admission-tls"])
def test_names_of_ours_are_reserved(name: str) -> None:
    found = places(judge({"secrets": [existing(name)]}))
    assert found == {(RuleName.SECRET_RESERVED.value, "spec.secrets[0].source.existing.secretName")}


@pytest.mark.parametrize(
    ("every", "max_ages", "broken"),
    [
        ("720h", ["720h"], []),
        ("719h59m60s", ["720h"], []),
        ("720h1s", ["720h"], ["p0"]),
        ("720h", ["720h", "24h"], ["p1"]),
        ("25h", ["24h", "24h30m"], ["p0", "p1"]),
        ("2h", ["7200s"], []),
    ],
)
def test_no_key_lives_longer_than_every_policy_allows(every: str, max_ages: list[str], broken: list[str]) -> None:
    found = judge({"secrets": [generated(every=every)]}, *({"secrets": {"maxAge": age}} for age in max_ages))
    assert {violation.rule for violation in found} <= {RuleName.ROTATION_ABOVE_POLICY}
    assert {violation.path for violation in found} <= {"spec.secrets[0].rotation.every"}
    assert [name for name in ("p0", "p1") if any(name in violation.message for violation in found)] == broken


def test_the_built_in_policy_bounds_it_too() -> None:
    (violation,) = judge({"secrets": [generated(every="721h")]})
    assert violation.rule is RuleName.ROTATION_ABOVE_POLICY
    assert "720h" in violation.message


def test_an_existing_key_has_no_period_to_bound() -> None:
    assert judge({"secrets": [existing("anthropic")]}, {"secrets": {"maxAge": "1h"}}) == []


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "Path",
        "LD_PRELOAD",
        "LD_AUDIT",
        "ld_library_path",
        "DYLD_INSERT_LIBRARIES",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "NODE_OPTIONS",
        "BASH_ENV",
        "ENV",
        "IFS",
        "PERL5OPT",
        "RUBYOPT",
        "JAVA_TOOL_OPTIONS",
        "GIT_SSH_COMMAND",
        "SSL_CERT_FILE",
        "https_proxy",
        "KUBERNETES_SERVICE_HOST",
        "GCONV_PATH",
        "MALLOC_CHECK_",
    ],
)
def test_no_key_is_a_variable_that_loads_code(name: str) -> None:
    found = places(judge({"secrets": [variable(name)]}))
    assert found == {(RuleName.SECRET_DELIVERY.value, "spec.secrets[0].delivery.env.name")}


@pytest.mark.parametrize("name", ["API_KEY", "PATHS", "MY_LD_PRELOAD", "LDAP_PASSWORD", "GITHUB_TOKEN", "ENVIRONMENT"])
def test_plain_names_are_accepted(name: str) -> None:
    assert judge({"secrets": [variable(name)]}) == []


def test_no_variable_is_set_twice() -> None:
    keys = [existing("a", "a"), variable("API_KEY") | {"name": "b"}]
    found = judge({"secrets": keys, "env": [{"name": "API_KEY", "value": "x"}]})
    expected = {f"spec.secrets[{index}].delivery.env.name" for index in (0, 1)}
    assert places(found) == {(RuleName.SECRET_DELIVERY.value, path) for path in expected}
    assert len(found) == 3, "both clash with spec.env, and the second with the first"


@pytest.mark.parametrize(
    ("paths", "at"),
    [
        (["a", "a"], [1]),
        (["a", "a/b"], [1]),
        (["a/b", "a"], [0]),
        (["a", "a/b/c"], [1]),
        (["a", "a.previous/b"], [1]),
        (["a", "a/b", "a/c"], [1, 2]),
        (["a", "a-b", "a.previous/b"], [2]),
        (["b/a", "b/a", "b/a"], [1, 2]),
    ],
)
def test_each_file_has_a_place_of_its_own(paths: list[str], at: list[int]) -> None:
    found = places(judge({"secrets": files(*paths)}))
    assert found == {(RuleName.SECRET_DELIVERY.value, f"spec.secrets[{i}].delivery.file.path") for i in at}
