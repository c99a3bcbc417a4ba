"""From what a person answers to a draft."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import click

from ringfence.policy.levels import CATALOGUE

from .draft import DEFAULT_NAME, Draft, slug

_SERVICE: Final = re.compile(r"(?P<name>[a-z][-a-z0-9]*)(?:\.(?P<namespace>[a-z0-9][-a-z0-9]*))?:(?P<port>[0-9]+)")
_NETWORK: Final = re.compile(r"\[?(?P<address>[0-9a-fA-F.:]+)\]?(?:/(?P<prefix>[0-9]+))?:(?P<port>[0-9]+)")
_SECRET: Final = re.compile(
    r"(?P<variable>[A-Za-z_][A-Za-z0-9_]*)=(?P<name>[a-z0-9][-a-z0-9.]*)/(?P<key>[A-Za-z0-9._-]+)"
)
_READ: Final = ("get", "list", "watch")

Reader = Callable[[Draft, str], None]


def draft_of(
    name: str | None,
    namespace: str | None,
    *,
    ask: bool,
    image: str | None,
    ports: Sequence[int],
    reach: Sequence[str],
    secrets: Sequence[str],
    read: Sequence[str],
) -> Draft:
    """`ask`: whether somebody is there to be asked for what is not given. Raises click.UsageError where nobody is."""
    if not ask and not image:
        raise click.UsageError("nobody is there to answer: name at least --image, or take it --from something")
    asking = ask and not image
    name = name or (_asked("Name of the agent", default=DEFAULT_NAME, check=slug) if asking else DEFAULT_NAME)
    draft = Draft(name, "", namespace)
    draft.spec["image"] = image or _asked("Image, with its digest (registry.example/agent@sha256:...)")
    _read_all(draft, [str(port) for port in ports], _port, "Port it listens on", asking)
    _read_all(draft, reach, _destination, "What it may reach (SERVICE.NAMESPACE:PORT or 203.0.113.0/28:443)", asking)
    _read_all(draft, secrets, _secret, "Variable from a Secret (VARIABLE=SECRET/KEY)", asking)
    _read_all(draft, read, _resource, "What it may read on the Kubernetes API (configmaps, pods, ...)", asking)
    return draft


def _asked(question: str, *, default: str | None = None, check: Callable[[str], str] = str.strip) -> str:
    answer: str = click.prompt(question, default=default, err=True)
    return check(answer)


def _read_all(draft: Draft, given: Sequence[str], reader: Reader, question: str, asking: bool) -> None:
    for text in given:
        reader(draft, text)
    while asking and not given:
        answer = click.prompt(f"{question}; empty: no more", default="", show_default=False, err=True).strip()
        if not answer:
            return
        try:
            reader(draft, answer)
        except click.UsageError as failure:
            click.echo(failure.message, err=True)


def _port(draft: Draft, text: str) -> None:
    if not text.isdigit() or not 0 < int(text) < 65536:  # noqa: PLR2004 - TCP's
        raise click.UsageError(f"{text} is no port: write a number such as 8080")
    draft.add("ports", {"name": f"port-{text}", "port": int(text)})


def _destination(draft: Draft, text: str) -> None:
    rule: Mapping[str, Any]
    if found := _SERVICE.fullmatch(text):
        place = {"namespace": found["namespace"]} if found["namespace"] else {}
        rule = {"service": {"name": found["name"], **place, "port": int(found["port"])}}
    elif found := _NETWORK.fullmatch(text):
        prefix = found["prefix"] or ("128" if ":" in found["address"] else "32")
        rule = {"cidr": f"{found['address']}/{prefix}", "ports": [int(found["port"])]}
    else:
        raise click.UsageError(
            f"{text} is no destination: write search.tools:8443 for Service search of namespace tools, or "
            "203.0.113.0/28:443 for addresses"
        )
    draft.spec.setdefault("network", {}).setdefault("egress", []).append(rule)


def _secret(draft: Draft, text: str) -> None:
    found = _SECRET.fullmatch(text)
    if found is None:  # the text is not repeated: it may be the secret itself
        raise click.UsageError(
            "a secret is written as VARIABLE=SECRET/KEY, such as API_KEY=provider/key: never its value"
        )
    draft.secret(found["variable"], found["name"], found["key"])


def _resource(draft: Draft, text: str) -> None:
    resource = text.strip().lower()
    group = next((group for group, resources in CATALOGUE.items() if resource in resources), None)
    if group is None:
        raise click.UsageError(
            f"{text} is nothing that an agent can read: see docs/reference/rules.md, or write rules by hand"
        )
    verbs = [verb for verb in _READ if verb in CATALOGUE[group][resource]]
    permissions = draft.spec.setdefault("permissions", {"level": "ReadOnly", "rules": []})
    permissions["rules"].append({"apiGroups": [group], "resources": [resource], "verbs": verbs})
