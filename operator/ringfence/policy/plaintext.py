"""Secrets in plain text: values of variables, arguments and files, which whoever reads the object reads.

A value is refused for what it looks like (credentials.py), or because the name beside it says what it is. No message
holds a value or a part of one.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from ringfence.api import AgentDeploymentSpec
from ringfence.api.container import EnvVar
from ringfence.api.containers import Sidecar, SideContainer, SideVar, beside
from ringfence.api.probes import Probe

from .credentials import is_reference, kind, looks_like
from .model import RuleName, Violation

SHORTEST: Final = 8
"""What a name says counts for values of this length or more: shorter ones are words and numbers."""

_SECRET: Final = re.compile(
    "password|passwd|passphrase|pwd|passcode|secret|token|credentials?|api(?:key|token)|auth(?:key|token)|access(?:key|token)"
    "|bearertoken|clientsecret|secretkey|privatekey"
)
_OF_KEYS: Final = re.compile("api|private|access|secret|signing|encryption|auth|master|ssh|account|storage|webhook")
"""With `key` after it: API_KEY, PRIVATE_KEY. Other keys (CACHE_KEY, PRIMARY_KEY) are mostly names."""
_PUBLIC: Final = frozenset(("public", "publishable"))
_ABOUT: Final = re.compile(
    "algorithm|alg|arn|audience|backend|bucket|budgets?|class|config|count|counter|dir|directory|enabled|encoder|encoding"
    "|endpoint|env|expiry|expiration|field|file|filename|folder|format|header|host|ids?|issuer|keys?|kind|label|length"
    "|limits?|location|manager|max|method|min|mode|model|names?|namespace|paths?|policy|port|prefix|price|provider|rate"
    "|ref|reference|region|scheme|scopes?|server|service|size|source|store|strategy|suffix|ttl|type|uri|url|usage|var"
    "|variable|version|window"
)
"""As the last word they say something about a secret, and are none: TOKEN_FILE, SECRET_NAME, ACCESS_KEY_ID."""

_HUMPS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_FLAG: Final = re.compile(r"-{0,2}([A-Za-z][A-Za-z0-9_.-]{0,127})=(.*)", re.DOTALL)
_BARE_FLAG: Final = re.compile(r"--?([A-Za-z][A-Za-z0-9_.-]{0,127})")

_SUFFIXES: Final = "txt|json|ya?ml|toml|ini|conf|env|pem|key|crt|cert|p12|pfx|jks|jwt|token|secret"
_NO_SECRET: Final = re.compile(
    r"(?:\.{0,2}|~)/[\w./-]*"  # a path
    rf"|[\w./-]+\.(?:{_SUFFIXES})"  # the name of a file
    r"|[A-Za-z][A-Za-z0-9+.-]*://[^\s@]*"  # a URL; one with a password in it is found by its shape
    r"|(?:file|env|vault|bao|op|arn|ssm|secretsmanager|secretref|keyvault|k8s):\S*"  # where it is kept
    r"|[+-]?[0-9][0-9_,.]*(?:[eE][+-]?[0-9]+)?\s?(?:%|[kKMGTPE]i?[bB]?)?"  # a number
    r"|(?:[0-9.]+(?:ns|us|ms|[smhd]))+"  # a duration
    r"|(.)\1*"  # xxxxxxxx
)
_PLACEHOLDER: Final = re.compile(
    r"(?:changeit|changeme|placeholder|redacted|disabled|required|optional|undefined|insecure|example|unused|default"
    r"|(?:change|replace|fill|set|not|no|your|dummy|fake|example|insert|todo|tbd)[ _-][a-z _-]*)",
    re.IGNORECASE,
)


class _Texts(NamedTuple):
    """What is written out in a container. `at`: its path."""

    at: str
    env: Sequence[EnvVar | SideVar]
    commands: Sequence[tuple[str, Sequence[str]]]
    files: Sequence[str]


def check_plaintext(spec: AgentDeploymentSpec) -> Iterator[Violation]:
    """Every value that is a secret, or is called one: at most one violation for each."""
    found = [_texts("spec", spec, spec.probes)]
    if spec.stop:
        found.append(_Texts("spec.stop", [], [("spec.stop.command", spec.stop.command)], []))
    found += [_texts(at, one, one.probes if isinstance(one, Sidecar) else []) for at, one in beside(spec)]
    words = [word for texts in found for _, command in texts.commands for word in command]
    values = [variable.value for texts in found for variable in texts.env]
    suspicious = looks_like([*values, *words, *(content for texts in found for content in texts.files)])
    for texts in found:
        yield from _check_variables(texts, suspicious)
        for at, command in texts.commands:
            if command:
                yield from _check_words(at, command, suspicious)
        for index, content in enumerate(texts.files if suspicious else ()):
            if one := kind(content):
                message = (
                    f"holds what looks like {one}, and whoever reads the object reads it: put it into a Secret, and "
                    "name that in spec.secrets: source: {existing: ...}, delivery: {file: ...} or {env: ...}"
                )
                yield Violation(f"{texts.at}.files[{index}].content", RuleName.SECRET_IN_PLAIN_TEXT, message)
    yield from _check_annotations(spec.pod_annotations)


def _check_annotations(annotations: Mapping[str, str]) -> Iterator[Violation]:
    for key, value in annotations.items():
        if (found := kind(value)) or _is_named_secret(key.rpartition("/")[2], value):
            what = f"holds what looks like {found}" if found else "the annotation's key says that this is a secret"
            message = f"{what}, and whoever reads the object reads it: put it into a Secret, and drop it here"
            yield Violation("spec.podAnnotations", RuleName.SECRET_IN_PLAIN_TEXT, message)


def _texts(at: str, container: AgentDeploymentSpec | SideContainer, probes: Sequence[Probe]) -> _Texts:
    commands = [
        (f"{at}.command", container.command),
        (f"{at}.args", container.args),
        *((f"{at}.probes[{index}].command", probe.command or []) for index, probe in enumerate(probes)),
    ]
    return _Texts(at, container.env, commands, [file.content or "" for file in container.files])


def _check_variables(texts: _Texts, suspicious: bool) -> Iterator[Violation]:
    for index, variable in enumerate(texts.env):
        found = kind(variable.value) if suspicious else None
        if found or _is_named_secret(variable.name, variable.value):
            what = f"looks like {found}" if found else "the variable's name says that this is a secret"
            how = f"delivery: {{env: {{name: {variable.name[:80]}}}}}"
            message = (
                f"{what}, and whoever reads the object reads it: put it into a Secret, drop it here, "
                f"and name the Secret in spec.secrets: source: {{existing: ...}}, {how} or a file"
            )
            yield Violation(f"{texts.at}.env[{index}].value", RuleName.SECRET_IN_PLAIN_TEXT, message)


def _check_words(at: str, words: Sequence[str], suspicious: bool) -> Iterator[Violation]:
    flag = ""
    for index, word in enumerate(words):
        found = kind(word) if suspicious else None
        name, value = _named(flag, word)
        if found or (name and _is_named_secret(name, value)):
            what = f"looks like {found}" if found else "the name before it says that this is a secret"
            message = (
                f"{what}, and whoever reads the object reads it: put it into a Secret, name that in spec.secrets "
                "(source: {existing: ...}, delivery: {env: {name: API_KEY}}), and write $(API_KEY) here"
            )
            yield Violation(f"{at}[{index}]", RuleName.SECRET_IN_PLAIN_TEXT, message)
        bare = _BARE_FLAG.fullmatch(word)
        flag = bare.group(1) if bare else ""


def _named(flag: str, word: str) -> tuple[str, str]:
    """The name that goes with an argument, and its value: `--token=VALUE`, `TOKEN=VALUE`, or VALUE after `--token`."""
    if flag and not word.startswith("-"):
        return flag, word
    both = _FLAG.fullmatch(word)
    return (both.group(1), both.group(2)) if both else ("", "")


def _is_named_secret(name: str, value: str) -> bool:
    return len(value) >= SHORTEST and _says_secret(name) and not _is_harmless(value)


@lru_cache(maxsize=4096)
def _says_secret(name: str) -> bool:
    """By whole words, between underscores or capitals. Kept, as names are few."""
    words = [word.lower() for word in _HUMPS.findall(name)]
    while words and words[-1].isdigit():
        words.pop()
    if not words or not _PUBLIC.isdisjoint(words):
        return False
    last = words[-1]
    pairs = [two for one, two in pairwise(words) if two == "key" and _OF_KEYS.fullmatch(one)]
    if (pairs and last == "key") or (last == "pass" and len(words) > 1):
        return True
    return bool(pairs or any(map(_SECRET.fullmatch, words))) and _ABOUT.fullmatch(last) is None


def _is_harmless(value: str) -> bool:
    value = value.strip()
    return bool(_NO_SECRET.fullmatch(value) or _PLACEHOLDER.fullmatch(value) or is_reference(value))
