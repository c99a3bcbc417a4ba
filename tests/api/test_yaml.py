"""Files as people write them, through `kubectl` and through Python's YAML reader."""

import json

import pytest
import yaml

from api.parity import Parity, errors
from api.samples import IMAGE, agent, read
from cluster import Cluster, CommandFailed

HEAD = f"apiVersion: ringfence.dev/v1alpha1\nkind: AgentDeployment\nmetadata: {{name: a}}\nspec:\n  image: {IMAGE}\n"

SPELLINGS = {
    # text -> whether `suspended` takes it. Both readers know YAML 1.1: yes and on are true.
    "true": True,
    "True": True,
    "TRUE": True,
    "yes": True,
    "Yes": True,
    "on": True,
    "off": True,
    "no": True,
    "NO": True,
    "~": True,
    "null": True,
    '"true"': False,
    '"yes"': False,
    "'on'": False,
    "t": False,
    "truE": False,
    "1": False,
    "0": False,
    "!!str true": False,
    "[true]": False,
}
NUMBERS = {
    "1": True,
    "1.0": True,
    "1.0e+0": True,
    "0x1": True,
    "0b1": True,
    "01": True,
    "+1": True,
    "1_0": True,
    '"1"': False,
    "one": False,
    ".inf": False,
    ".nan": False,
    "1.5": False,
    "-1": False,
}


@pytest.mark.parametrize(("text", "right"), SPELLINGS.items())
def test_booleans(parity: Parity, text: str, right: bool) -> None:
    sent = f"{HEAD}  suspended: {text}\n"
    assert parity.verdict(read(sent), sent.encode(), "yaml") == right


@pytest.mark.parametrize(("text", "right"), NUMBERS.items())
def test_numbers(parity: Parity, text: str, right: bool) -> None:
    sent = f"{HEAD}  replicas: {text}\n"
    assert parity.verdict(read(sent), sent.encode(), "yaml") == right


@pytest.mark.parametrize("value", ["yes", "on", "no", "1", "1.5", "null", "{}", "[a]", "0x10", "!!int 3"])
def test_a_value_of_the_environment_that_is_no_text_is_refused(parity: Parity, value: str) -> None:
    sent = f"{HEAD}  env: [{{name: A, value: {value}}}]\n"
    assert parity.verdict(read(sent), sent.encode(), "yaml") == (value == "null")


BROKEN = {
    "unclosed list": "spec: [",
    "unclosed quote": 'spec: {image: "a',
    "tab indent": "spec:\n\timage: a",
    "bad indent": "spec:\n  image: a\n command: []",
    "two values": "spec: {image: a} b",
    "alias of nothing": "spec: *nobody",
    "NUL": "spec: {image: a\x00}",
    "binary": "\x01\x02\x03",
}


@pytest.mark.parametrize("why", BROKEN)
def test_malformed_yaml_ends_with_a_sentence(cluster: Cluster, why: str) -> None:
    text = f"apiVersion: ringfence.dev/v1alpha1\nkind: AgentDeployment\nmetadata: {{name: a}}\n{BROKEN[why]}\n"
    with pytest.raises(CommandFailed) as caught:
        cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=text)
    assert "error" in caught.value.output.lower()
    assert "panic" not in caught.value.output
    with pytest.raises(yaml.YAMLError):
        read(text)


@pytest.mark.parametrize(
    ("line", "right"),
    {"replicas: 1e0": True, "replicas: 1:30": False, "suspended: y": True, "suspended: N": True}.items(),
)
def test_where_pyyaml_reads_otherwise(parity: Parity, line: str, right: bool) -> None:
    # PyYAML knows base 60, but neither y nor 1e0. A tool that reads people's files must read as kubectl does.
    sent = f"{HEAD}  {line}\n"
    answer = parity.server.create(sent.encode(), kind="AgentDeployment", media="yaml")
    assert answer.ok == right
    assert bool(errors(read(sent))) == right


@pytest.mark.parametrize("field", ["image: b", "replicas: 1\n  replicas: 2", "suspended: true\n  suspended: false"])
def test_a_field_twice_is_refused_by_the_api_server(parity: Parity, field: str) -> None:
    # kubectl itself takes the last one before it sends anything: only the raw file shows the mistake.
    sent = f"{HEAD}  {field}\n"
    answer = parity.server.create(sent.encode(), kind="AgentDeployment", media="yaml")
    assert answer.code == 400
    assert "already set" in answer.message


def test_a_field_twice_in_json_is_refused(parity: Parity) -> None:
    sent = json.dumps(agent(replicas=1)).replace('"replicas": 1', '"replicas": 1, "replicas": 2')
    answer = parity.server.create(sent.encode(), kind="AgentDeployment")
    assert answer.code == 400
    assert "duplicate field" in answer.message


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("hostNetwork: true", "spec.hostNetwork"),
        ("network: {egres: []}", "spec.network.egres"),
        ("env: [{name: A, valueFrom: {}}]", "spec.env[0].valueFrom"),
        (
            "permissions: {rules: [{apiGroups: [''], resources: [a], verbs: [b], nonResourceURLs: ['*']}]}",
            "nonResourceURLs",
        ),
        ("Network: {}", "spec.Network"),
    ],
)
def test_kubectl_apply_names_the_unknown_field(cluster: Cluster, field: str, path: str) -> None:
    text = f"{HEAD}  {field}\n"
    with pytest.raises(CommandFailed) as caught:
        cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=text)
    assert "unknown field" in caught.value.output
    assert path in caught.value.output
    assert any(path in error and "unknown field" in error for error in errors(read(text)))


def test_an_alias_bomb_is_refused(cluster: Cluster) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    bomb = HEAD + "  args: *a8\n"
    with pytest.raises(CommandFailed) as caught:
        cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin="\n".join(lines) + "\n" + bomb, timeout=30)
    assert "excessive aliasing" in caught.value.output or "too large" in caught.value.output
