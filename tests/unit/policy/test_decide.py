"""The decision as a whole: everything at once, in order, and never an exception."""

import cProfile
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.api.agentpolicy import LabelSelector
from ringfence.policy.builtin import RESTRICTED
from ringfence.policy.decide import binding, decide
from ringfence.policy.model import AgentObject, Facts, RuleName, Violation
from ringfence.policy.rules import RULES
from ringfence.policy.selectors import matches
from ringfence.policy.text import listed, path, quote
from unit.policy.make import DIGEST, IMAGE, NAMESPACE, OPEN, facts, judge, names, places, policy, rule
from unit.policy.signing import Signer, asking


def test_the_smallest_agent_is_accepted() -> None:
    assert judge({}) == []


@pytest.mark.parametrize("labels", [{}, {"ringfence.dev/agents": "disabled"}, {"ringfence.dev/agents": "Enabled"}])
def test_a_namespace_must_be_opened(labels: dict[str, str]) -> None:
    (violation,) = judge({}, known=facts(labels=labels))
    assert (violation.rule, violation.path) == (RuleName.NAMESPACE_NOT_OPENED, "metadata.namespace")
    assert "ringfence.dev/agents: enabled" in violation.message


@pytest.mark.parametrize(
    ("namespace", "whose"),
    [
        ("kube-system", "the cluster's"),
        ("kube-public", "the cluster's"),
        ("kube-node-lease", "the cluster's"),
        ("ringfence-system", "Ringfence's"),
    ],
)
def test_no_label_opens_a_namespace_where_no_webhook_and_no_guard_looks(namespace: str, whose: str) -> None:
    known = replace(facts(labels=OPEN), own_namespace="ringfence-system")
    (violation,) = decide(AgentObject("agent", namespace, {"image": IMAGE}), [], known)
    assert (violation.rule, violation.path) == (RuleName.NAMESPACE_NOT_OPENED, "metadata.namespace")
    assert f'"{namespace}" holds {whose} own pods' in violation.message


def test_offline_the_namespace_is_not_judged_and_all_policies_bind() -> None:
    never = policy({"namespaceSelector": {"matchLabels": {"a": "b"}}, "images": {"registries": []}})
    agent = AgentObject("agent", NAMESPACE, {"image": IMAGE})
    assert names(decide(agent, [never], facts(labels=None))) == {RuleName.IMAGE_REGISTRY}
    assert decide(agent, [never], facts()) == []


def test_the_built_in_policy_binds_where_none_does() -> None:
    selected = policy({"namespaceSelector": {"matchLabels": {"tier": "x"}}})
    assert binding([], facts()) == [RESTRICTED]
    assert binding([selected], facts()) == [RESTRICTED]
    assert binding([selected], facts(labels={**OPEN, "tier": "x"})) == [selected]


WRONG_NAMES = ["", "a.b", "a" * 64, "A", "a b", "a\n", "-a", "a-", "\u0430", "a\x00"]


@pytest.mark.parametrize("name", WRONG_NAMES)
def test_b46_b50_names(name: str) -> None:
    assert places(judge({}, name=name)) == {("InvalidField", "metadata.name")}


@pytest.mark.parametrize("name", ["a", "a" * 63, "0", "a-0"])
def test_names_that_are_fine(name: str) -> None:
    assert judge({}, name=name) == []


def test_all_violations_at_once_sorted_by_path() -> None:
    spec = {
        "image": "registry.example/x:latest",
        "permissions": {"level": "Admin", "rules": [rule("*", "secrets")]},
        "network": {"egress": [{"cidr": "0.0.0.0/0", "ports": [443]}]},
    }
    found = judge(spec, {}, known=facts("10.0.0.0/8", labels={}))
    assert [(violation.path, violation.rule.value) for violation in found] == [
        ("metadata.namespace", "NamespaceNotOpened"),
        ("spec.image", "ImageNoDigest"),
        ("spec.network.egress[0].cidr", "EgressAbovePolicy"),
        ("spec.network.egress[0].cidr", "EgressClusterAddress"),
        ("spec.network.egress[0].cidr", "EgressMetadata"),
        ("spec.network.egress[0].cidr", "EgressUnrestricted"),
        ("spec.permissions.level", "LevelAbovePolicy"),
        ("spec.permissions.rules[0].resources[0]", "RightsSecrets"),
        ("spec.permissions.rules[0].verbs[0]", "RightsWildcard"),
    ]


def test_indices_are_sorted_as_numbers() -> None:
    found = judge({"permissions": {"rules": [rule("get", "secrets")] * 12}})
    assert [violation.path for violation in found] == [
        f"spec.permissions.rules[{index}].resources[0]" for index in range(12)
    ]


def test_a_malformed_spec_is_judged_as_far_as_it_can_be_read() -> None:
    spec = {
        "image": "registry.example/x",
        "imagePullPolicy": "Always",
        "permissions": {"rules": [rule("*", "pods")]},
        "network": {"egress": [{"cidr": "169.254.169.254/32", "ports": [80]}]},
        "resources": {"limits": {"memory": 0}},
        "storage": {"mountPath": "/tmp", "size": 1},
        "sandbox": 3,
    }
    assert {violation.rule.value for violation in judge(spec)} == {
        "InvalidField",
        "ImageNoDigest",
        "RightsWildcard",
        "EgressMetadata",
        "EgressAbovePolicy",
    }
    assert {"spec.imagePullPolicy", "spec.sandbox", "spec.resources.limits.memory", "spec.storage.mountPath"} < {
        violation.path for violation in judge(spec)
    }


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "a verb": (rule(["ge t", "bind"], "secrets"), "spec.permissions.rules[0].verbs[0]"),
    "a verb that is a number": (
        rule(["bind"], "secrets") | {"verbs": [7, "bind"]},
        "spec.permissions.rules[0].verbs[0]",
    ),
    "a resource": (rule("bind", ["", "secrets"]), "spec.permissions.rules[0].resources[0]"),
    "a group": (rule("bind", "secrets", ["", "\u0430pps"]), "spec.permissions.rules[0].apiGroups[1]"),
    "a name": (rule("bind", "secrets", resourceNames=["A B"]), "spec.permissions.rules[0].resourceNames[0]"),
    "another field": (rule("bind", "secrets", nonResourceURLs=["*"]), "spec.permissions.rules[0].nonResourceURLs"),
    "a long word": (rule(["x" * 400, "bind"], "secrets"), "spec.permissions.rules[0].verbs[0]"),
    "no groups": ({"verbs": ["bind"], "resources": ["secrets"]}, "spec.permissions.rules[0].apiGroups"),
    "too many verbs": (rule(["bind", *["get"] * 16], "secrets"), "spec.permissions.rules[0].verbs"),
}


@pytest.mark.parametrize(("broken", "at"), BROKEN.values(), ids=BROKEN.keys())
def test_one_malformed_word_of_a_rule_hides_nothing(broken: dict[str, Any], at: str) -> None:
    """Not the rest of the rule, nor other rules, nor the level."""
    rules = [broken, rule("escalate", "configmaps"), rule("create", "configmaps")]
    found = judge({"permissions": {"level": "ReadOnly", "rules": rules}, "network": {"ingress": 3}})
    words = {place: rule for rule, place in places(found) if "permissions" in place}
    verb = broken["verbs"].index("bind")
    resource = broken["resources"].index("secrets")
    assert words == {
        at: "InvalidField",
        f"spec.permissions.rules[0].verbs[{verb}]": "RightsEscalation",
        f"spec.permissions.rules[0].resources[{resource}]": "RightsSecrets",
        "spec.permissions.rules[1].verbs[0]": "RightsEscalation",
        "spec.permissions.rules[2].resources[0]": "RightsAboveLevel",
    }


def test_a_malformed_level_hides_no_rule_and_is_told_once() -> None:
    found = judge({"permissions": {"level": "Root", "rules": [rule("create", "configmaps"), rule("get", "secrets")]}})
    assert places(found) == {
        ("InvalidField", "spec.permissions.level"),
        ("RightsSecrets", "spec.permissions.rules[1].resources[0]"),
    }


def test_malformed_entries_hide_no_others_and_keep_their_places() -> None:
    sources = {"source": {"generate": {}}, "rotation": {"every": "9999h"}, "surprise": 1}
    spec = {
        "network": {
            "egress": [
                7,
                {"cidr": "1.2.3.4/0", "ports": [443]},
                {"cidr": "169.254.169.254/32", "ports": []},
                {"cidr": "169.254.169.254/32", "except": [], "ports": ["https", 53]},
                {"service": {"name": "a", "namespace": "kube-system", "port": 1}, "cidr": "127.0.0.1/32"},
            ]
        },
        "secrets": [3, {"name": "B A D", **sources, "delivery": {"env": {"name": "LD_PRELOAD"}, "file": None}}],
        "surprise": True,
    }
    found = {(rule, path.removeprefix("spec.")) for rule, path in places(judge(spec, {"sandbox": RUNTIMES}))}
    assert {place for place in found if place[0] != "InvalidField" and "AbovePolicy" not in place[0]} == {
        ("EgressMetadata", "network.egress[2].cidr"),
        ("EgressMetadata", "network.egress[3].cidr"),
        ("EgressMetadata", "network.egress[4].cidr"),
        ("EgressDnsBypass", "network.egress[3].ports[1]"),
        ("EgressServiceForbidden", "network.egress[4].service.namespace"),
        ("SecretDelivery", "secrets[1].delivery.env.name"),
        ("SandboxRequired", "sandbox.runtimeClassName"),
    }
    assert ("RotationAbovePolicy", "secrets[1].rotation.every") in found
    assert {("InvalidField", f"network.egress[{index}]") for index in (0, 2, 4)} < found


@given(st.data())
@settings(max_examples=150)
def test_what_is_malformed_beside_it_takes_no_violation_away(data: Any) -> None:
    """A spec with violations, and one entry of any JSON put at the end of any of its lists."""
    rules = [rule("bind", "secrets"), rule("create", "pods")]
    egress: list[Any] = [
        {"cidr": "127.0.0.0/8", "ports": [53]},
        {"service": {"name": "x", "namespace": "y", "port": 1}},
    ]
    spec: dict[str, Any] = {"permissions": {"rules": rules}, "network": {"egress": egress}}
    before = places(judge(spec))
    lists: list[Any] = [
        rules,
        egress,
        rules[0]["verbs"],
        rules[0]["apiGroups"],
        rules[1]["resources"],
        egress[0]["ports"],
    ]
    data.draw(st.sampled_from(lists)).append(data.draw(JSON))
    spec["surprise"] = {}
    assert before <= places(judge(spec))


def test_no_value_of_a_field_that_may_be_secret_is_repeated() -> None:
    secret = "sk-live-0123456789"  # not a key: any text
    spec = {
        "image": f"{secret}:x@y",
        "env": [{"name": secret + " ", "value": 3}, {"name": "A", "value": secret * 9999}],
        "args": [secret * 999],
        "command": [{"value": secret}],
        "replicas": secret,
        "health": {"path": secret, "port": secret.upper()},
        "storage": {"mountPath": secret, "size": secret},
    }
    found = judge(spec)
    assert len(found) >= 8
    assert secret not in repr(found)


RUNTIMES = {"runtimeClassNames": ["gvisor"]}
CONTROL = "".join(map(chr, range(32))) + "\x7f\x80\u202e\u2028\ud800"


@pytest.mark.parametrize(
    "spec",
    [
        {CONTROL: 1},
        {"network": {CONTROL: {}}},
        {"permissions": {"rules": [{CONTROL: []}]}},
        {"permissions": {"rules": [rule(CONTROL, CONTROL, CONTROL)]}},
        {"image": CONTROL},
        {"x" * 100_000: 1},
    ],
)
def test_b50_nothing_is_shown_raw_or_long(spec: dict[str, Any]) -> None:
    found = judge(spec)
    assert found
    for violation in found:
        assert violation.path.isprintable()
        assert violation.path.isascii()
        assert violation.message.isprintable()
        assert len(violation.path) < 300
        assert len(violation.message) < 500


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.sampled_from(["get", "*"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ["image", "permissions", "network", "egress", "ingress", "rules", "level", "resources", "requests", "limits"]
FIELDS += ["memory", "storage", "size", "mountPath", "sandbox", "env", "ports", "cidr", "service", "name", "namespace"]
FIELDS += ["port", "apiGroups", "verbs", "resourceNames", "replicas", "health", "from", "podLabels", "imagePullSecrets"]
FIELDS += ["files", "path", "content", "configMap", "key", "envFrom", "keys"]
SHAPED = st.recursive(
    JSON | st.sampled_from([IMAGE, "0.0.0.0/0", "::/0", "8.8.8.0/24", "Admin", "pods", "1Gi", 0, 53, 443]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=30,
)


@given(spec=JSON | SHAPED, name=st.text(st.characters()), labels=st.none() | st.just({}) | st.just(OPEN))
@settings(max_examples=400)
def test_it_never_raises_and_says_something_that_can_be_shown(spec: Any, name: str, labels: Any) -> None:
    found = decide(AgentObject(name, NAMESPACE, spec), [], Facts(labels))
    assert len(found) == len(set(found))
    for violation in found:
        assert isinstance(violation, Violation)
        assert violation.message
        assert violation.path.isprintable()
        assert violation.message.isprintable()


def deep(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = {"permissions": value}
    return value


WORST = rule(
    ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "bind", "*", "x"],
    ["configmaps", "pods", "services", "secrets", "deployments", "jobs", "leases"] + [f"r{n}" for n in range(25)],
    ["", "apps", "batch", "coordination.k8s.io"] + [f"g{n}" for n in range(12)],
    resourceNames=[f"n{n}" for n in range(64)],
)
HUGE: dict[str, Any] = {
    "10,000 rules": {"permissions": {"rules": [rule("get", "pods")] * 10_000}},
    "10,000 destinations": {"network": {"egress": [{"cidr": "8.8.8.8/32", "ports": [443]}] * 10_000}},
    "all that fits, as bad as can be": {
        "permissions": {"rules": [WORST] * 32},
        "network": {"egress": [{"cidr": "::/0", "ports": [53]}] * 64},
    },
    "50,000 unknown fields": {f"f{n}": n for n in range(50_000)},
    "a long name": {"x" * 1_000_000: 1},
    "a long value": {"args": ["x" * 1_000_000]},
    "deep": deep(20_000),
    "a big number": {"replicas": 10**4000},
}

MOST_CALLS = 1_000_000  # a third of it is seen at most; what grows with the square of ten thousand is far beyond it


@pytest.mark.parametrize("spec", HUGE.values(), ids=HUGE.keys())
def test_huge_input_is_little_work(spec: Any) -> None:
    """Calls, not seconds: they are the same on every machine. How long it takes, `make bench` says."""
    with cProfile.Profile() as profile:
        found = judge(spec, {}, {}, known=facts("10.0.0.0/8"))
    calls = sum(one.callcount for one in profile.getstats())
    assert calls < MOST_CALLS
    assert found


def test_every_rule_has_its_words_and_no_other_has() -> None:
    assert list(RULES) == list(RuleName)
    for text in RULES.values():
        assert text.why.endswith(".")
        assert text.fix.endswith(".")


def test_every_rule_can_be_broken() -> None:
    """A rule that nothing breaks would be a promise that nobody keeps."""
    spec = {
        "image": "registry.example/x",
        "replicas": -1,
        "permissions": {
            "level": "Admin",
            "rules": [
                rule(["*", "x", "list"], ["secrets", "roles", "configmaps"], resourceNames=["a"]),
                rule("deletecollection", "configmaps"),
                rule("get", "pods", namespaces=["elsewhere"]),
            ],
        },
        "network": {
            "egress": [{"cidr": "0.0.0.0/0", "ports": [53]}, {"service": {"name": "x", "namespace": "y", "port": 1}}]
        },
    }
    keys = [
        {
            "name": "a",
            "source": {"existing": {"secretName": "ringfence-other", "key": "value"}},
            "delivery": {"env": {"name": "LD_PRELOAD"}},
        },
        {
            "name": "b",
            "source": {"generate": {}},
            "rotation": {"every": "721h"},
            "delivery": {"env": {"name": "B"}},
        },
    ]
    spec["network"]["ingress"] = [{"from": {"namespace": "y", "podLabels": {"a": "b"}}, "port": "panel"}]  # type: ignore[index]
    closed = {"permissions": {"allow": []}, "images": {"registries": []}, "sandbox": {"runtimeClassNames": ["x"]}}
    known = replace(facts("10.0.0.0/8", labels={}), consents={})
    broken = names(judge(spec, closed, known=known)) | names(judge({"image": "A/b"}, closed))
    broken |= names(judge({"secrets": keys, "env": [{"name": "PASSWORD", "value": "hunter2hunter2"}]}, {}))
    signed = asking(Signer().pem, attestations=["https://slsa.dev/provenance/v1"])
    broken |= names(judge({}, signed))
    none = {"limits": {"agents": 0, "replicas": 0, "cpu": 0, "memory": 0, "storage": 0}}
    broken |= names(judge({"storage": {"mountPath": "/data", "size": "1Gi"}}, none))
    broken |= names(judge({"runAsUser": 1, "devices": [{"name": "x/gpu", "count": 1}]}))
    broken |= names(judge({"envFrom": [{"configMap": "c", "keys": ["LD_PRELOAD"]}]}))
    volumes = [{"claim": name, "mountPath": f"/{name}"} for name in ("corpus", "ringfence-other")]
    identity = {"tokens": [{"audience": "sts.example", "path": "/var/run/cloud/token"}]}
    broken |= names(judge({"volumes": volumes, "identity": identity}))
    broken |= names(judge({"stop": {"gracePeriod": "1m"}, "podLabels": {"a": "b"}}))
    hosts = [{"host": name, "mode": "Tunnel"} for name in ("xn--a.example", "other.example", "api.anthropic.com")]
    broken |= names(judge({"network": {"egress": hosts}}, {"egress": {"hosts": [{"name": "api.anthropic.com"}]}}))
    counted = {"egress": {"hosts": [{"name": "a.example.com"}], "limits": {"requestsPerMinute": 1}}}
    broken |= names(judge({"network": {"egress": [{"host": "a.example.com"}]}}, counted))
    # What the requester may do is asked of the API server: tests/unit/admission/test_requester.py.
    # What the controller saw of the registration: tests/unit/policy/test_handover.py.
    of_requesters = {RuleName.SECRET_UNREADABLE, RuleName.PERMISSION_NOT_HELD}
    assert broken == set(RuleName) - of_requesters - {RuleName.HAND_OVER_UNDECIDED}


SELECTORS: list[tuple[dict[str, Any], dict[str, str], bool]] = [
    ({}, {}, True),
    ({}, {"a": "b"}, True),
    ({"matchLabels": {"a": "b"}}, {"a": "b", "c": "d"}, True),
    ({"matchLabels": {"a": "b"}}, {"a": "c"}, False),
    ({"matchLabels": {"a": "b"}}, {}, False),
    ({"matchLabels": {"a": "", "b": ""}}, {"a": ""}, False),
    ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b", "c"]}]}, {"a": "c"}, True),
    ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}, {}, False),
    ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, {"a": "b"}, False),
    ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, {"a": "c"}, True),
    ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, {}, True),
    ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": ""}, True),
    ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {}, False),
    ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {}, True),
    ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": ""}, False),
    (
        {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "Exists"}]},
        {"a": "b"},
        False,
    ),
]


@pytest.mark.parametrize(("selector", "labels", "expected"), SELECTORS)
def test_selectors(selector: dict[str, Any], labels: dict[str, str], *, expected: bool) -> None:
    assert matches(LabelSelector.model_validate(selector), labels) is expected


def test_words_in_sentences() -> None:
    assert quote('a"b\n\u200b') == '"a\\"b\\n\\u200b"'
    assert quote("x" * 80) == '"' + "x" * 80 + '"'
    assert quote("x" * 81) == '"' + "x" * 80 + '..."'
    assert quote("\x00" * 10_000) == '"' + "\\x00" * 20 + '..."'
    assert listed("abc") == "a, b, c"
    assert listed("abc", 2) == "a, b and 1 more"
    assert path("spec.\x00") == "spec.\\x00"
    assert len(path("x" * 10_000)) < 300


def test_the_digest_is_what_a_digest_is() -> None:
    assert judge({"image": f"registry.example/x:latest@{DIGEST}"}) == []
