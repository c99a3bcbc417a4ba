"""Names and texts that look like others: invisible, right-to-left, look-alike and control characters."""

from collections.abc import Callable
from typing import Any

import pytest

from api.parity import Parity
from api.samples import agent, policy

TRICKS = {
    "zero-width space": "na\u200bme",
    "zero-width joiner": "na\u200dme",
    "word joiner": "na\u2060me",
    "soft hyphen": "na\u00adme",
    "byte order mark": "\ufeffname",
    "right-to-left override": "na\u202eme",
    "isolate": "\u2066name\u2069",
    "Cyrillic a": "n\u0430me",
    "Greek omicron": "n\u03bfme",
    "full width": "\uff4eame",
    "combining accent": "na\u0301me",
    "dotless i": "n\u0131me",
    "Kelvin sign": "n\u212ame",
    "ligature": "na\ufb01me",
    "mathematical": "\U0001d427ame",
    "NUL": "na\x00me",
    "newline": "name\n",
    "newline inside": "na\nme",
    "carriage return": "name\r",
    "escape": "na\x1b[2Kme",
    "delete": "na\x7fme",
    "C1 control": "na\x85me",
    "line separator": "na\u2028me",
    "tag": "na\U000e0041me",
    "no-break space": "na\u00a0me",
    "blank": "na me",
    "tab": "na\tme",
    "empty": "",
    "dots": "..",
    "emoji": "na\U0001f512",
}

Make = Callable[[str], dict[str, Any]]


def _rule(**fields: list[str]) -> dict[str, Any]:
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], **fields}
    return agent(permissions={"rules": [rule]})


def _ingress(**peer: Any) -> dict[str, Any]:
    rule = {"from": {"podLabels": {"app": "x"}, **peer}, "port": "p"}
    return agent(ports=[{"name": "p", "port": 1}], network={"ingress": [rule]})


STRICT: dict[str, Make] = {
    "metadata.name": agent,
    "policy name": policy,
    "env name": lambda text: agent(env=[{"name": text}]),
    "port name": lambda text: agent(ports=[{"name": text, "port": 1}]),
    "mountPath": lambda text: agent(storage={"mountPath": f"/{text}", "size": 1}),
    "size": lambda text: agent(storage={"mountPath": "/a", "size": f"1{text}"} if text else {"size": ""}),
    "storageClassName": lambda text: agent(storage={"mountPath": "/a", "size": 1, "storageClassName": text}),
    "imagePullSecrets": lambda text: agent(imagePullSecrets=[text]),
    "runtimeClassName": lambda text: agent(sandbox={"runtimeClassName": text}),
    "level": lambda text: agent(permissions={"level": text}),
    "resource name": lambda text: _rule(resourceNames=[text]),
    "service": lambda text: agent(network={"egress": [{"service": {"name": text, "port": 1}}]}),
    "service namespace": lambda text: agent(
        network={"egress": [{"service": {"name": "a", "namespace": text, "port": 1}}]}
    ),
    "host": lambda text: agent(network={"egress": [{"host": f"{text}.example"}]}),
    "last label of a host": lambda text: agent(network={"egress": [{"host": f"api.{text}"}]}),
    "path of a request": lambda text: agent(
        network={"egress": [{"host": "a.example", "rules": [{"paths": [f"/a/{text}" if text else ""]}]}]}
    ),
    "allowed host": lambda text: policy(egress={"hosts": [{"name": f"{text}.example"}]}),
    "tunnel": lambda text: policy(egress={"tunnel": [f"{text}.example"]}),
    "peer namespace": lambda text: _ingress(namespace=text),
    "label key": lambda text: _ingress(podLabels={text: "x"}),
    "label prefix": lambda text: _ingress(podLabels={f"{text}/app": "x"}),
    "selector key": lambda text: policy(namespaceSelector={"matchExpressions": [{"key": text, "operator": "Exists"}]}),
    "service namespaces": lambda text: policy(egress={"serviceNamespaces": [text]}),
    "runtime class names": lambda text: policy(sandbox={"runtimeClassNames": [text]}),
}
"""Fields that take none of it."""

PRINTABLE: dict[str, Make] = {
    "image": lambda text: agent(image=f"registry.example/{text}"),
    "verb": lambda text: _rule(verbs=[text]),
    "resource": lambda text: _rule(resources=[text]),
    "apiGroup": lambda text: _rule(apiGroups=[text]),
    "label value": lambda text: _ingress(podLabels={"app": text}),
    "registry": lambda text: policy(images={"registries": [text]}),
    "health path": lambda text: agent(ports=[{"name": "p", "port": 1}], health={"port": "p", "path": f"/{text}"}),
}
"""Fields that take dots or nothing at all, but no character that is not plain ASCII."""

TAKEN = {
    ("image", "dots"),
    ("image", "empty"),
    ("verb", "dots"),
    ("resource", "dots"),
    ("apiGroup", "dots"),
    ("apiGroup", "empty"),
    ("label value", "empty"),
    ("health path", "dots"),
    ("health path", "empty"),
}


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("field", STRICT)
def test_no_field_that_names_something_takes_tricks(parity: Parity, field: str, trick: str) -> None:
    assert not parity.verdict(STRICT[field](TRICKS[trick]))


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("field", PRINTABLE)
def test_words_are_plain_ascii(parity: Parity, field: str, trick: str) -> None:
    assert parity.verdict(PRINTABLE[field](TRICKS[trick])) == ((field, trick) in TAKEN)


@pytest.mark.parametrize("trick", TRICKS)
def test_free_text_is_free_but_for_nul(parity: Parity, trick: str) -> None:
    text = TRICKS[trick]
    free = [agent(args=[text]), agent(command=[text]), agent(env=[{"name": "A", "value": text}])]
    assert [parity.verdict(manifest) for manifest in free] == [trick != "NUL"] * 3


NAMES = {
    "a": True,
    "0": True,
    "a" * 63: True,
    "a" * 64: False,
    "a" * 253: False,
    "a" * 254: False,
    "a-b": True,
    "a--b": True,
    "-a": False,
    "a-": False,
    "A": False,
    "a_b": False,
    "a.b": False,
    ".": False,
    "a/b": False,
    "a%2fb": False,
    "xn--nme-8ka": True,
    "n" + "\u0430" * 62: False,
    "true": True,
    "1e3": True,
}


@pytest.mark.parametrize(("name", "right"), NAMES.items())
def test_agent_names(parity: Parity, name: str, right: bool) -> None:
    assert parity.verdict(agent(name)) == right


@pytest.mark.parametrize(
    ("name", "right"),
    {"a" * 253: True, "a" * 254: False, "a.b": True, "a..b": False, ".a": False, "a.": False, "A": False}.items(),
)
def test_policy_names(parity: Parity, name: str, right: bool) -> None:
    assert parity.verdict(policy(name)) == right


def test_a_long_name_is_told_what_is_wrong(parity: Parity) -> None:
    parity.refused(agent("a" * 64), "metadata.name must be at most 63 characters")


@pytest.mark.parametrize("size", [63, 64, 253])
def test_names_inside_the_spec(parity: Parity, size: int) -> None:
    name = "a" * size
    assert parity.verdict(agent(network={"egress": [{"service": {"name": name, "port": 1}}]})) == (size == 63)
    assert parity.verdict(agent(imagePullSecrets=[name]))
    assert not parity.verdict(agent(imagePullSecrets=[name + "." * (254 - size) + "a"]))
