"""Keys: whose, how old, and where they are put."""

from typing import Any

import pytest

from ringfence.policy import variables
from ringfence.policy.handover import runs_the_same
from ringfence.policy.model import RuleName
from ringfence.policy.pods import RESERVED_PATHS, SYSTEM_PATHS
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


@pytest.mark.parametrize(
    ("age", "policies", "broken"),
    [
        ("24h", [{}], []),
        ("720h", [{}], []),
        ("721h", [{}], ["p0"]),
        ("48h", [{"maxAge": "720h"}, {"maxAge": "24h"}], ["p1"]),
        ("Never", [{}], ["p0"]),
        ("Never", [{"allowNever": True}], []),
        ("Never", [{"allowNever": True, "maxAge": "1h"}], []),
        ("Never", [{"allowNever": True}, {}], ["p1"]),
        ("48h", [{"allowNever": True, "maxAge": "24h"}], ["p0"]),
    ],
)
def test_an_agent_names_an_age_within_every_policy(age: str, policies: list[dict[str, Any]], broken: list[str]) -> None:
    found = judge({"secrets": [existing("ca") | {"maxAge": age}]}, *({"secrets": policy} for policy in policies))
    assert {violation.rule for violation in found} <= {RuleName.ROTATION_ABOVE_POLICY}
    assert {violation.path for violation in found} <= {"spec.secrets[0].maxAge"}
    assert [name for name in ("p0", "p1") if any(name in violation.message for violation in found)] == broken


def test_no_agent_says_never_by_the_built_in_policy() -> None:
    (violation,) = judge({"secrets": [existing("ca") | {"maxAge": "Never"}]})
    assert (violation.rule, "allowNever" in violation.message) == (RuleName.ROTATION_ABOVE_POLICY, True)


def test_an_existing_key_has_no_period_to_bound() -> None:
    assert judge({"secrets": [existing("anthropic")]}, {"secrets": {"maxAge": "1h"}}) == []


LOADING = {
    "glibc, musl": "LD_PRELOAD LD_AUDIT ld_library_path GCONV_PATH LOCPATH NLSPATH MALLOC_CHECK_ GLIBC_TUNABLES TZDIR",
    "resolver": "RES_OPTIONS HOSTALIASES LOCALDOMAIN RESOLV_HOST_CONF",
    "macOS": "DYLD_INSERT_LIBRARIES",
    "shells": "PATH Path IFS ENV BASH_ENV BASH_FUNC_x PROMPT_COMMAND PS4 SHELLOPTS ZDOTDIR SHELL",
    "Python": "PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONINSPECT PYTHONUSERBASE PYTHONHTTPSVERIFY REQUESTS_CA_BUNDLE",
    "Node": "NODE_OPTIONS NODE_PATH NODE_EXTRA_CA_CERTS NODE_TLS_REJECT_UNAUTHORIZED NPM_CONFIG_REGISTRY",
    "JVM": "JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS _JAVA_OPTIONS CLASSPATH JAVA_HOME JAVA_OPTS MAVEN_OPTS CATALINA_OPTS",
    "Lua": "LUA_INIT LUA_INIT_5_4 LUA_PATH LUA_PATH_5_4 LUA_CPATH",
    "Erlang": "ERL_AFLAGS ERL_FLAGS ERL_ZFLAGS ERL_LIBS ELIXIR_ERL_OPTIONS",
    ".NET": "DOTNET_STARTUP_HOOKS DOTNET_ADDITIONAL_DEPS CORECLR_PROFILER CORECLR_PROFILER_PATH_64 "
    "CORECLR_ENABLE_PROFILING COMPlus_StartupHooks COR_PROFILER COR_ENABLE_PROFILING",
    "OpenSSL": "OPENSSL_CONF OPENSSL_ENGINES OPENSSL_MODULES SSL_CERT_FILE SSL_CERT_DIR SSLKEYLOGFILE",
    "Ruby": "RUBYOPT RUBYLIB GEM_HOME GEM_PATH BUNDLE_GEMFILE",
    "Perl": "PERL5LIB PERL5OPT PERL5DB PERL_MM_OPT",
    "PHP": "PHPRC PHP_INI_SCAN_DIR",
    "R": "R_PROFILE R_PROFILE_USER R_ENVIRON_USER R_LIBS R_HOME",
    "Julia, Tcl": "JULIA_LOAD_PATH JULIA_DEPOT_PATH TCLLIBPATH TCL_LIBRARY",
    "Go": "GODEBUG GOCOVERDIR GOFLAGS GOPROXY GOPATH GOSUMDB",
    "Git, SSH": "GIT_SSH_COMMAND GIT_EXEC_PATH GIT_CONFIG_GLOBAL GIT_CONFIG_COUNT GIT_TEMPLATE_DIR SSH_ASKPASS",
    "clients": "CURL_HOME CURL_CA_BUNDLE AWS_CA_BUNDLE AWS_CONFIG_FILE VAULT_CACERT VAULT_SKIP_VERIFY PGSSLROOTCERT",
    "proxies": "HTTP_PROXY https_proxy All_Proxy NO_PROXY FTP_PROXY",
    "GTK, GIO": "GIO_EXTRA_MODULES GTK_MODULES GTK_PATH GST_PLUGIN_PATH QT_PLUGIN_PATH",
    "what others start": "EDITOR VISUAL PAGER BROWSER LESSOPEN RUSTC_WRAPPER CC",
    "configuration": "HOME XDG_CONFIG_HOME KUBECONFIG DOCKER_CONFIG PIP_INDEX_URL TMPDIR",
    "Kubernetes": "KUBERNETES_SERVICE_HOST HOSTNAME",
}


@pytest.mark.parametrize("name", [name for names in LOADING.values() for name in names.split()])
def test_no_key_is_a_variable_that_loads_code(name: str) -> None:
    found = places(judge({"secrets": [variable(name)]}))
    assert found == {(RuleName.SECRET_DELIVERY.value, "spec.secrets[0].delivery.env.name")}


GOOD = "API_KEY ANTHROPIC_API_KEY OPENAI_API_KEY AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN GITHUB_TOKEN"
GOOD += (
    " GH_TOKEN GITLAB_TOKEN NPM_TOKEN NODE_AUTH_TOKEN CARGO_REGISTRY_TOKEN HF_TOKEN SLACK_BOT_TOKEN VAULT_TOKEN DB_URL"
)
GOOD += " DATABASE_URL REDIS_URL SENTRY_DSN PGPASSWORD MYSQL_PWD LDAP_PASSWORD JAVA_KEYSTORE_PASSWORD MAKE_API_KEY"
GOOD += (
    " TLS_KEY CLIENT_CERT SSH_PRIVATE_KEY GOOGLE_API_KEY DENO_AUTH_TOKENS BUNDLE_GITHUB__COM RUBYGEMS_API_KEY K PATHS"
)
GOOD += " MY_LD_PRELOAD ENVIRONMENT PATHFINDER_KEY R_TOKEN PROXY_PASSWORD HOMEBREW_TOKEN SMTP_PASS USERNAME TWILIO_AUTH"


@pytest.mark.parametrize("name", GOOD.split())
def test_plain_names_are_accepted(name: str) -> None:
    assert judge({"secrets": [variable(name)]}) == []


def test_the_sentence_says_why_and_what_to_do_instead() -> None:
    (violation,) = judge({"secrets": [variable("JAVA_TOOL_OPTIONS")]})
    assert violation.message == (
        '"JAVA_TOOL_OPTIONS" tells an interpreter or a virtual machine what code to load, and whoever writes the '
        "Secret would decide it: choose a name such as API_KEY, or deliver the secret as a file; what is no secret "
        "goes to spec.env"
    )


def test_the_author_may_set_them_by_value() -> None:
    """Who writes spec.env chooses the command as well."""
    env = [{"name": name, "value": "x"} for names in list(LOADING.values())[:7] for name in names.split()]
    assert judge({"env": env}) == []


def test_no_family_is_written_twice() -> None:
    """An entry that another one covers says nothing."""
    prefixes = list(variables.PREFIXES)
    assert not [(a, b) for a in prefixes for b in prefixes if a != b and a.startswith(b)]
    families = [
        name for name in variables.NAMES if name.startswith(tuple(prefixes)) or name.endswith(tuple(variables.ENDINGS))
    ]
    assert families == []
    every = [*prefixes, *variables.ENDINGS, *variables.NAMES]
    assert every == [name.upper() for name in every]


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


PATH = "spec.secrets[0].delivery.file.path"


def at_path(path: str) -> list[dict[str, Any]]:
    return [generated(file={"path": path})]


@pytest.mark.parametrize("path", ["/etc/agent/token", "/home/agent/keys/a", "/opt/app/token", "/etc/ssl/private/key"])
def test_a_file_lies_where_the_agent_wants_it(path: str) -> None:
    assert judge({"secrets": at_path(path)}) == []


@pytest.mark.parametrize("place", [*RESERVED_PATHS, *SYSTEM_PATHS])
def test_a_directory_hides_nothing_of_the_system_or_the_pod(place: str) -> None:
    above = place.rpartition("/")[0]
    for path in (f"{place}/token", f"{place}/below/token", *([f"{above}/token"] if above else [])):
        wanted = set() if path.startswith(f"{DIRECTORY}/") else {(RuleName.SECRET_DELIVERY.value, PATH)}
        assert places(judge({"secrets": at_path(path)})) == wanted, path


@pytest.mark.parametrize(
    ("path", "fits"),
    [("/data/a", False), ("/data/a/b", False), ("/work/a", False), ("/etc/agent/a", False), ("/a/data/x", True)],
)
def test_a_file_of_a_secret_lies_apart_from_what_else_is_mounted(path: str, *, fits: bool) -> None:
    spec = {
        "secrets": at_path(path),
        "storage": {"mountPath": "/data", "size": "1Gi"},
        "scratch": [{"path": "/work", "size": "1Mi"}],
        "files": [{"path": "/etc/agent/config", "content": ""}],
    }
    assert places(judge(spec)) == (set() if fits else {(RuleName.SECRET_DELIVERY.value, PATH)})


def test_another_directory_of_secrets_may_hide_another_program() -> None:
    assert runs_the_same({"secrets": at_path("/app/a")}, {"secrets": at_path("/app/b")})
    assert runs_the_same({"secrets": at_path(f"{DIRECTORY}/a")}, {})
    assert not runs_the_same({"secrets": at_path("/app/a")}, {})
    assert runs_the_same({"secrets": [3, {"delivery": {"file": {"path": 4}}}]}, {"secrets": "x"})
