"""Files as people write them, through `kubectl` and through Python's YAML reader."""

import json

import pytest

from api.parity import Parity, errors
from api.samples import IMAGE, agent, read
from cluster import Cluster, CommandFailed
from ringfence.api import AgentDeploymentSpec, parse
from ringfence.cli.manifests import Unreadable

HEAD = f"apiVersion: ringfence.dev/v1alpha1\nkind: AgentDeployment\nmetadata: {{name: a}}\nspec:\n  image: {IMAGE}\n"

SPELLINGS = """
true True TRUE truE false yes Yes YES yEs no on ON oN off y Y n N t f "true" 'yes' "y"
~ null Null NULL nULL none "" '' 0 1 -0 +0 -1 +1 3 03 08 09 010 0o10 0x1 0X1 0b1 0B1 -0x1 1_0 1__0 _1 1_ 0_1 1e0 1E1
1.0 1.0e0 1.0e+0 1e+0 1. .5 -.5 ._5 1.5 1:30 01:30 1:30.5 190:20:30 .inf +.inf -.inf .nan .NaN 99 100 101
9223372036854775807 9223372036854775808 18446744073709551615 18446744073709551616 1e21 1e400 0x 0b 0o 0b2 0o8 + . .. --
2025-01-01 12:00 2025-01-01T00:00:00Z 0777 0888 00 000 -010 1,000 1.2.3 1e 1e1e1 0xg +0x1 -0b1 +.5 5. 5.e0 3.0
'3' << 1_000.5 0x_1
"""
TAGGED = [
    "!!str true",
    "!!str 3",
    "!!bool yes",
    '!!bool "yes"',
    "!!bool 1",
    "!!int 3",
    '!!int "3"',
    "!!int 1.5",
    "!!int x",
]
TAGGED += ["!!float 3", "!!float x", "!!null x", "!!null ~", "!!int 3.0"]
"""One scalar each: whatever it means as a boolean, an integer and a text, it must mean the same to both readers."""


@pytest.mark.parametrize("scalar", [*SPELLINGS.split(), *TAGGED])
def test_a_scalar_means_the_same_to_both_readers(parity: Parity, scalar: str) -> None:
    for line in (f"suspended: {scalar}", f"replicas: {scalar}", f"env: [{{name: A, value: {scalar}}}]"):
        agree(parity, f"{HEAD}  {line}\n")


@pytest.mark.parametrize(
    "key", ["a", "y", "on", "NO", "true", "'on'", "08", "8", "0x10", "1.5", "1.0", "1e3", "~", "", '""', "<<"]
)
def test_a_key_means_the_same_to_both_readers(parity: Parity, key: str) -> None:
    peer = f"{{podLabels: {{{key}: 'x'}}}}"
    agree(parity, f"{HEAD}  ports: [{{name: p, port: 1}}]\n  network: {{ingress: [{{port: p, from: {peer}}}]}}\n")


MERGES = {
    "later": "{l: '3', <<: {l: '2', k: '1'}}",
    "earlier": "{<<: {l: '2', k: '1'}, l: '3'}",
    "list": "{<<: [{l: a, k: a}, {l: b, m: b}], k: c}",
    "inside": "{<<: {<<: {a: b}, c: d}}",
    "twice": "{<<: {a: b}, a: c, <<: {a: d}}",
    "text": "{<<: 3}",
    "lists": "{<<: [[{l: a}]]}",
    "null": "{<<: ~}",
    "quoted": "{'<<': x}",
    "anchor twice": "&x {a: &y b, c: &y d, e: *y}",
}


@pytest.mark.parametrize("why", MERGES)
def test_kubectl_merges_as_lint_does(cluster: Cluster, why: str) -> None:
    """The API server's own reader is stricter than kubectl, and what people use is kubectl."""
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {MERGES[why]}\n"
    try:
        here = read(text)["data"]
    except Unreadable:
        here = None
    try:
        shown = cluster.kubectl("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-", stdin=text)
    except CommandFailed:
        assert here is None
        return
    assert json.loads(shown)["data"] == here


def agree(parity: Parity, text: str) -> None:
    """Demand one verdict, and one meaning when it is a good one."""
    try:
        manifest = read(text)
    except Unreadable:
        assert parity.server.create(text.encode(), kind="AgentDeployment", media="yaml").code == 400
        return
    answer = parity.answer(manifest, text.encode(), "yaml")
    if answer.ok:
        value = parse(AgentDeploymentSpec, manifest["spec"]).value
        assert value is not None
        assert value.manifest() == answer.body["spec"]


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
    with pytest.raises(Unreadable):
        read(text)


@pytest.mark.parametrize("field", ["image: b", "replicas: 1\n  replicas: 2", "suspended: true\n  suspended: false"])
def test_a_field_twice_is_refused_by_the_api_server(parity: Parity, field: str) -> None:
    # kubectl itself takes the last one before it sends anything: only the raw file shows the mistake.
    sent = f"{HEAD}  {field}\n"
    answer = parity.server.create(sent.encode(), kind="AgentDeployment", media="yaml")
    assert answer.code == 400
    assert "already set" in answer.message
    with pytest.raises(Unreadable, match="twice"):
        read(sent)


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
        cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin="\n".join(lines) + "\n" + bomb)
    assert "excessive aliasing" in caught.value.output or "too large" in caught.value.output
