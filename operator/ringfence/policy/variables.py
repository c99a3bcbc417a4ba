"""Variables by which shells, loaders, interpreters and clients are told what to run, or whom to trust and ask.

A secret is none of these: whoever writes the Secret would run code in the agent, or read along. So such names are
refused for a secret's delivery. In `spec.env` they are not: there the agent's author writes the value, who chooses the
command and its arguments, too.

Names are compared in upper case: some programs read either case (proxies), and none means a key by the other.
"""

from collections.abc import Mapping
from typing import Final

_LOADER: Final = "tells the loader or the C library what to load"
_SHELL: Final = "tells shells what to run"
_CODE: Final = "tells an interpreter or a virtual machine what code to load"
_BUILD: Final = "tells a compiler, a linker or a package manager what to take in"
_RUNS: Final = "names a program that others start"
_TRUST: Final = "says whom programs trust"
_WAY: Final = "says which way programs connect or where names lead"
_CONFIG: Final = "says where programs find their configuration, and with it code"
_OURS: Final = "is Kubernetes' or Ringfence's own"

PREFIXES: Final[Mapping[str, str]] = {
    "LD_": _LOADER,  # ld.so(8): LD_PRELOAD, LD_AUDIT, LD_LIBRARY_PATH; musl reads the same
    "DYLD_": _LOADER,
    "GLIBC_": _LOADER,  # GLIBC_TUNABLES
    "MALLOC_": _LOADER,
    "BASH_": _SHELL,  # bash(1): BASH_ENV, BASH_FUNC_...%%, BASH_LOADABLES_PATH
    "PROMPT_": _SHELL,
    "PYTHON": _CODE,  # python(1): PYTHONPATH, PYTHONHOME, PYTHONSTARTUP, PYTHONINSPECT, PYTHONUSERBASE, ...
    "PERL5": _CODE,  # perlrun(1): PERL5LIB, PERL5OPT, PERL5DB, PERL5SHELL
    "PERL_": _CODE,
    "LUA_": _CODE,  # lua(1): LUA_INIT, LUA_INIT_5_4, LUA_PATH, LUA_CPATH
    "ERL_": _CODE,  # erl(1): ERL_FLAGS, ERL_AFLAGS, ERL_ZFLAGS, ERL_LIBS
    "ELIXIR_": _CODE,
    "COMPLUS_": _CODE,  # .NET's runtime knobs, under both names
    "CORECLR_": _CODE,
    "COR_PROFILER": _CODE,
    "COR_ENABLE_": _CODE,
    "DOTNET_": _CODE,
    "MONO_": _CODE,
    "JULIA_": _CODE,  # JULIA_LOAD_PATH, JULIA_DEPOT_PATH
    "R_PROFILE": _CODE,  # R's Startup
    "R_ENVIRON": _CODE,
    "R_LIBS": _CODE,
    "TCL_": _CODE,
    "PHP_INI": _CODE,  # PHP_INI_SCAN_DIR; auto_prepend_file is a setting there
    "DENO_CERT": _TRUST,
    "GIT_": _RUNS,  # GIT_SSH_COMMAND, GIT_EXEC_PATH, GIT_ASKPASS, GIT_PROXY_COMMAND, GIT_TEMPLATE_DIR
    "SSH_ASKPASS": _RUNS,
    "OPENSSL_": _TRUST,  # OPENSSL_CONF, OPENSSL_ENGINES, OPENSSL_MODULES: they load libraries, too
    "SSL_CERT_": _TRUST,
    "GNUTLS_": _TRUST,
    "KRB5": _TRUST,
    "GIO_": _LOADER,  # GIO_EXTRA_MODULES, GIO_MODULE_DIR
    "GTK_": _LOADER,
    "QT_PLUGIN": _LOADER,
    "GST_PLUGIN": _LOADER,
    "PIP_": _BUILD,
    "NPM_CONFIG_": _BUILD,
    "YARN_RC": _BUILD,
    "CARGO_BUILD_": _BUILD,
    "CARGO_TARGET_": _BUILD,
    "RUSTC": _BUILD,  # RUSTC_WRAPPER, RUSTC
    "CMAKE_": _BUILD,
    "XDG_": _CONFIG,
    "KUBERNETES_": _OURS,
    "RINGFENCE_": _OURS,
}
"""Families: whatever begins so."""

ENDINGS: Final[Mapping[str, str]] = {
    "PATH": _LOADER,  # PATH, CLASSPATH, GOPATH, NODE_PATH, GEM_PATH, LOCPATH
    "_HOME": _CONFIG,  # JAVA_HOME, CURL_HOME
    "_OPTIONS": _CODE,  # JAVA_TOOL_OPTIONS, JDK_JAVA_OPTIONS, _JAVA_OPTIONS, NODE_OPTIONS, RES_OPTIONS
    "_OPTS": _CODE,  # MAVEN_OPTS, CATALINA_OPTS
    "_FLAGS": _CODE,
    "_PLUGINS": _LOADER,
    "_MODULES": _LOADER,
    "_ENGINES": _LOADER,
    "_HOOKS": _CODE,
    "_STARTUP": _CODE,
    "_COMMAND": _RUNS,
    "_EDITOR": _RUNS,
    "_PAGER": _RUNS,
    "_SHELL": _RUNS,
    "_ASKPASS": _RUNS,
    "_WRAPPER": _RUNS,
    "_PROXY": _WAY,  # HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY and the like of single clients
    "_ALIASES": _WAY,
    "_CA_BUNDLE": _TRUST,  # REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, AWS_CA_BUNDLE
    "_CA_CERT": _TRUST,
    "_CA_CERTS": _TRUST,  # NODE_EXTRA_CA_CERTS
    "_CA_FILE": _TRUST,
    "_CA_PATH": _TRUST,
    "_CACERT": _TRUST,  # VAULT_CACERT
    "_CAINFO": _TRUST,
    "_CAPATH": _TRUST,
    "_CERT_FILE": _TRUST,
    "_CERT_DIR": _TRUST,
    "_REJECT_UNAUTHORIZED": _TRUST,  # NODE_TLS_REJECT_UNAUTHORIZED
    "_SKIP_VERIFY": _TRUST,
    "_SSL_VERIFY": _TRUST,
    "_INSECURE": _TRUST,
}
"""Families: whatever ends so. No key is called like these."""

NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("ENV", "IFS", "PS1", "PS4", "SHELLOPTS", "BASHOPTS", "ZDOTDIR"), _SHELL),
    **dict.fromkeys(("SHELL", "EDITOR", "VISUAL", "PAGER", "MANPAGER", "BROWSER", "LESSOPEN", "LESSCLOSE"), _RUNS),
    **dict.fromkeys(("RUBYOPT", "RUBYLIB", "RUBYSHELL", "BUNDLE_GEMFILE", "PHPRC"), _CODE),
    **dict.fromkeys(("NODE_REPL_EXTERNAL_MODULE", "NODE_V8_COVERAGE", "NODE_ICU_DATA"), _CODE),
    **dict.fromkeys(("GODEBUG", "GOFLAGS", "GOCOVERDIR", "GOENV", "GOROOT", "GOTOOLCHAIN"), _CODE),
    **dict.fromkeys(("TZDIR", "TERMINFO", "TERMINFO_DIRS", "TERMCAP", "GETCONF_DIR"), _LOADER),
    **dict.fromkeys(("LOCALDOMAIN", "HOSTALIASES", "RESOLV_HOST_CONF", "GOPROXY", "GONOPROXY", "DOCKER_HOST"), _WAY),
    **dict.fromkeys(("SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS", "PGOPTIONS", "PGSERVICEFILE"), _WAY),
    **dict.fromkeys(("GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOPRIVATE", "PGSSLROOTCERT", "CURL_SSL_BACKEND"), _TRUST),
    **dict.fromkeys(("CC", "CXX", "LDFLAGS", "CFLAGS", "CPPFLAGS", "CXXFLAGS", "RUSTFLAGS", "RUSTDOCFLAGS"), _BUILD),
    **dict.fromkeys(("MAKEFLAGS", "MAKEFILES", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL"), _BUILD),
    **dict.fromkeys(("HOME", "GNUPGHOME", "TMPDIR", "TMP", "TEMP", "TEMPDIR", "PGSYSCONFDIR"), _CONFIG),
    **dict.fromkeys(("KUBECONFIG", "DOCKER_CONFIG", "NETRC", "WGETRC", "INPUTRC", "UV_CONFIG_FILE"), _CONFIG),
    **dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "BOTO_CONFIG", "CLOUDSDK_CONFIG"), _CONFIG),
    "SSLKEYLOGFILE": "has the keys of connections written to a file",
    "HOSTNAME": _OURS,
}
"""What no family covers."""


def why(name: str) -> str | None:
    """What a variable does that no key may be; None for a name that may be a key's."""
    upper = name.upper()
    return NAMES.get(upper) or _by_prefix(upper) or _by_ending(upper)


def _by_prefix(upper: str) -> str | None:
    return next((told for prefix, told in PREFIXES.items() if upper.startswith(prefix)), None)


def _by_ending(upper: str) -> str | None:
    return next((told for ending, told in ENDINGS.items() if upper.endswith(ending)), None)
