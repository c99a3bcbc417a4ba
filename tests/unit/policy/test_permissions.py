"""Permissions: B1 to B28, each refused with the rule that helps most."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.api import AgentPolicySpec, parse
from ringfence.api.permissions import Level
from ringfence.policy import levels
from ringfence.policy.atoms import Atom
from ringfence.policy.model import RuleName, Violation
from unit.policy.make import CRITICAL, judge, names, permitted, places, rule

AT = "spec.permissions.rules[0]"
WILDCARD = RuleName.RIGHTS_WILDCARD
ESCALATION = RuleName.RIGHTS_ESCALATION
SECRETS = RuleName.RIGHTS_SECRETS
UNKNOWN = RuleName.RIGHTS_UNKNOWN
ABOVE = RuleName.RIGHTS_ABOVE_LEVEL
NAMES = RuleName.RIGHTS_NAMES_IGNORED
INVALID = RuleName.INVALID_FIELD

RBAC = "rbac.authorization.k8s.io"
CERTS = "certificates.k8s.io"
ADMISSION = "admissionregistration.k8s.io"

CATALOGUE: list[tuple[str, dict[str, Any], RuleName, str]] = [
    ("B1 all verbs", rule("*", "pods"), WILDCARD, "verbs[0]"),
    ("B1 all resources", rule("get", "*"), WILDCARD, "resources[0]"),
    ("B1 all groups", rule("get", "pods", "*"), WILDCARD, "apiGroups[0]"),
    ("B1 a star among words", rule(["get", "*"], "pods"), WILDCARD, "verbs[1]"),
    ("B1 a star inside of a word", rule("get*", "pods"), WILDCARD, "verbs[0]"),
    ("B1 a star inside of a group", rule("get", "pods", "*.k8s.io"), WILDCARD, "apiGroups[0]"),
    ("B2 exec of everything", rule("create", "*/exec"), WILDCARD, "resources[0]"),
    ("B2 everything of pods", rule("get", "pods/*"), WILDCARD, "resources[0]"),
    ("B2 scale of everything", rule("update", "*/scale", "apps"), WILDCARD, "resources[0]"),
    ("B3 write bindings", rule("create", "rolebindings", RBAC), ESCALATION, "apiGroups[0]"),
    ("B3 bindings by resource", rule("create", "rolebindings", RBAC), ESCALATION, "resources[0]"),
    ("B3 read roles", rule("get", "clusterroles", RBAC), ESCALATION, "resources[0]"),
    ("B3 roles in a group that does not exist", rule("get", "roles"), ESCALATION, "resources[0]"),
    ("B11 list", rule("list", "configmaps", resourceNames=["a"]), NAMES, "verbs[0]"),
    ("B11 watch", rule(["get", "watch"], "configmaps", resourceNames=["a"]), NAMES, "verbs[1]"),
    ("B11 create", rule("create", "configmaps", resourceNames=["a"]), NAMES, "verbs[0]"),
    ("B11 deletecollection", rule("deletecollection", "configmaps", resourceNames=["a"]), NAMES, "verbs[0]"),
    ("B13 create a CSR", rule("create", "certificatesigningrequests", CERTS), ESCALATION, "resources[0]"),
    ("B13 approve", rule("approve", "signers", CERTS), ESCALATION, "verbs[0]"),
    ("B13 CSR approval", rule("update", "certificatesigningrequests/approval", CERTS), ESCALATION, "resources[0]"),
    ("B13 bind", rule("bind", "roles", RBAC), ESCALATION, "verbs[0]"),
    ("B13 escalate", rule("escalate", "roles", RBAC), ESCALATION, "verbs[0]"),
    ("B14 get exec", rule("get", "pods/exec"), ESCALATION, "resources[0]"),
    ("B14 attach", rule("get", "pods/attach"), ESCALATION, "resources[0]"),
    ("B14 port-forward", rule("get", "pods/portforward"), ESCALATION, "resources[0]"),
    ("B14 pod proxy", rule("get", "pods/proxy"), ESCALATION, "resources[0]"),
    ("B14 service proxy", rule("get", "services/proxy"), ESCALATION, "resources[0]"),
    ("B14 node proxy", rule("get", "nodes/proxy"), ESCALATION, "resources[0]"),
    ("B15 upper case", rule("GET", "pods"), UNKNOWN, "verbs[0]"),
    ("B15 capital", rule("get", "Pods"), UNKNOWN, "resources[0]"),
    ("B15 blank", rule(" get", "pods"), INVALID, "verbs[0]"),
    ("B15 blank at the end", rule("get ", "pods"), INVALID, "verbs[0]"),
    ("B15 newline", rule("get\n", "pods"), INVALID, "verbs[0]"),
    ("B15 zero width", rule("ge\u200bt", "pods"), INVALID, "verbs[0]"),
    ("B15 Cyrillic", rule("get", "p\u043eds"), INVALID, "resources[0]"),
    ("B15 NUL", rule("get\x00", "pods"), INVALID, "verbs[0]"),
    ("B15 full width star", rule("\uff0a", "pods"), INVALID, "verbs[0]"),
    ("B15 empty verb", rule("", "pods"), INVALID, "verbs[0]"),
    ("B16 use", rule("use", "podsecuritypolicies", "policy"), ESCALATION, "verbs[0]"),
    ("B16 sign", rule("sign", "signers", CERTS), ESCALATION, "verbs[0]"),
    ("B16 attest", rule("attest", "signers", CERTS), ESCALATION, "verbs[0]"),
    ("B16 impersonate", rule("impersonate", "serviceaccounts"), ESCALATION, "verbs[0]"),
    ("B16 constrained", rule("impersonate:user-info", "users"), ESCALATION, "verbs[0]"),
    ("B16 constrained action", rule("impersonate-on:user-info:get", "pods"), ESCALATION, "verbs[0]"),
    ("B16 a verb of tomorrow", rule("transmogrify", "pods"), UNKNOWN, "verbs[0]"),
    ("B17 extensions", rule("get", "deployments", "extensions"), UNKNOWN, "apiGroups[0]"),
    ("B17 core", rule("get", "pods", "core"), UNKNOWN, "apiGroups[0]"),
    ("B17 version", rule("get", "deployments", "apps/v1"), UNKNOWN, "apiGroups[0]"),
    ("B17 the wrong group", rule("get", "deployments"), UNKNOWN, "resources[0]"),
    ("B17 metrics", rule("get", "pods", "metrics.k8s.io"), UNKNOWN, "apiGroups[0]"),
    ("B18 extras", rule("impersonate", "userextras/scopes", "authentication.k8s.io"), ESCALATION, "resources[0]"),
    ("B18 uids", rule("impersonate", "uids", "authentication.k8s.io"), ESCALATION, "verbs[0]"),
    ("B19 agents", rule("create", "agentdeployments", "ringfence.dev"), ESCALATION, "apiGroups[0]"),
    ("B19 read agents", rule("get", "agentdeployments", "ringfence.dev"), ESCALATION, "resources[0]"),
    ("B20 ServiceAccounts", rule("update", "serviceaccounts"), ESCALATION, "resources[0]"),
    ("B21 MAP", rule("create", "mutatingadmissionpolicies", ADMISSION), ESCALATION, "resources[0]"),
    ("B21 VAP binding", rule("delete", "validatingadmissionpolicybindings", ADMISSION), ESCALATION, "resources[0]"),
    ("B21 webhooks", rule("get", "mutatingwebhookconfigurations", ADMISSION), ESCALATION, "apiGroups[0]"),
    ("B21 CRDs", rule("update", "customresourcedefinitions", "apiextensions.k8s.io"), ESCALATION, "resources[0]"),
    ("B21 APIServices", rule("update", "apiservices", "apiregistration.k8s.io"), ESCALATION, "resources[0]"),
    ("B22 create secrets", rule("create", "secrets"), SECRETS, "resources[0]"),
    ("B22 tokens", rule("create", "serviceaccounts/token"), ESCALATION, "resources[0]"),
    ("CIS 5.1.2 get", rule("get", "secrets"), SECRETS, "resources[0]"),
    ("CIS 5.1.2 list", rule("list", "secrets"), SECRETS, "resources[0]"),
    ("CIS 5.1.2 watch", rule("watch", ["pods", "secrets"]), SECRETS, "resources[1]"),
    ("CIS 5.1.2 by name", rule("get", "secrets", resourceNames=["mine"]), SECRETS, "resources[0]"),
    ("CIS 5.1.2 the wrong group", rule("get", "secrets", "core"), SECRETS, "resources[0]"),
    ("CIS 5.1.2 any group", rule("get", "secrets", "*"), SECRETS, "resources[0]"),
    ("CIS 5.1.2 subresource", rule("get", "secrets/status"), SECRETS, "resources[0]"),
    ("B23 namespaces", rule("patch", "namespaces"), ESCALATION, "resources[0]"),
    ("B24 endpointslices", rule("create", "endpointslices", "discovery.k8s.io"), ESCALATION, "resources[0]"),
    ("B24 endpoints", rule("patch", "endpoints"), ESCALATION, "resources[0]"),
    ("B24 services status", rule("patch", "services/status"), ESCALATION, "resources[0]"),
    ("B24 services", rule("create", "services"), ESCALATION, "resources[0]"),
    ("B24 ingresses", rule("update", "ingresses", "networking.k8s.io"), ESCALATION, "resources[0]"),
    ("B25 nodes", rule("get", "nodes"), ESCALATION, "resources[0]"),
    ("B25 nodes status", rule("patch", "nodes/status"), ESCALATION, "resources[0]"),
    ("B25 csinodes", rule("get", "csinodes", "storage.k8s.io"), ESCALATION, "resources[0]"),
    ("B26 DRA", rule("create", "resourceclaims", "resource.k8s.io"), ESCALATION, "resources[0]"),
    ("B27 resize", rule("patch", "pods/resize"), ESCALATION, "resources[0]"),
    ("B27 binding of pods", rule("create", "pods/binding"), ESCALATION, "resources[0]"),
    ("B27 bindings", rule("create", "bindings"), ESCALATION, "resources[0]"),
    ("B27 eviction", rule("create", "pods/eviction"), ESCALATION, "resources[0]"),
    ("B28 trust bundles", rule("get", "clustertrustbundles", CERTS), ESCALATION, "resources[0]"),
    ("B28 pod certificates", rule("create", "podcertificaterequests", CERTS), ESCALATION, "resources[0]"),
    ("B31 ephemeral containers", rule("patch", "pods/ephemeralcontainers"), ESCALATION, "resources[0]"),
    ("B84 NetworkPolicies", rule("delete", "networkpolicies", "networking.k8s.io"), ESCALATION, "resources[0]"),
    ("B85 CNPs", rule("get", "clusternetworkpolicies", "policy.networking.k8s.io"), ESCALATION, "apiGroups[0]"),
    ("B85 Cilium", rule("create", "ciliumnetworkpolicies", "cilium.io"), ESCALATION, "apiGroups[0]"),
    ("CIS 5.1.4 pods", rule("create", "pods"), ESCALATION, "resources[0]"),
    ("CIS 5.1.4 deployments", rule("patch", "deployments", "apps"), ESCALATION, "resources[0]"),
    ("CIS 5.1.4 jobs", rule("create", "jobs", "batch"), ESCALATION, "resources[0]"),
    ("CIS 5.1.4 by any group", rule("create", "deployments", "extensions"), ESCALATION, "resources[0]"),
    ("CIS 5.1.4 a controller of others", rule("create", "replicationcontrollers"), ESCALATION, "resources[0]"),
    ("CIS 5.1.9 PVs", rule("create", "persistentvolumes"), ESCALATION, "resources[0]"),
    ("no level deletes services", rule("delete", "services"), ESCALATION, "resources[0]"),
    ("no level deletes pods at once", rule("deletecollection", "pods"), ABOVE, "resources[0]"),
    ("no level deletes deployments", rule("delete", "deployments", "apps"), ABOVE, "resources[0]"),
    ("no level writes claims", rule("patch", "persistentvolumeclaims"), ABOVE, "resources[0]"),
    ("singular", rule("get", "pod"), UNKNOWN, "resources[0]"),
    ("a custom resource", rule("get", "widgets", "example.com"), UNKNOWN, "apiGroups[0]"),
    ("traversal", rule("get", "pods/../secrets"), UNKNOWN, "resources[0]"),
    ("a leading slash", rule("get", "/pods"), UNKNOWN, "resources[0]"),
    ("a trailing slash", rule("get", "pods/"), UNKNOWN, "resources[0]"),
    ("B10 nonResourceURLs", rule("get", "pods", nonResourceURLs=["*"]), INVALID, "nonResourceURLs"),
    ("B12 names with a star", rule("get", "configmaps", resourceNames=["*"]), INVALID, "resourceNames[0]"),
    ("B12 an empty name", rule("get", "configmaps", resourceNames=[""]), INVALID, "resourceNames[0]"),
]


@pytest.mark.parametrize(
    ("asked", "expected", "field"), [case[1:] for case in CATALOGUE], ids=[c[0] for c in CATALOGUE]
)
def test_refused_with_the_rule_that_helps(asked: dict[str, Any], expected: RuleName, field: str) -> None:
    assert (expected.value, f"{AT}.{field}") in places(permitted(asked))


@pytest.mark.parametrize("asked", [case[1] for case in CATALOGUE], ids=[case[0] for case in CATALOGUE])
def test_no_policy_allows_it(asked: dict[str, Any]) -> None:
    """Not even one whose allow says the same words; where they cannot be written into a policy, an empty one."""
    same = {key: asked[key] for key in ("apiGroups", "resources", "verbs")}
    writable = parse(AgentPolicySpec, {"permissions": {"allow": [same]}}).value is not None
    assert permitted(asked, allow=[same] if writable else [])


@pytest.mark.parametrize(
    "field",
    ["roleRef", "clusterRole", "subjects", "labels", "serviceAccountName", "aggregationRule", "groups", "users"],
)
def test_b3_to_b9_there_is_no_field_for_roles_and_subjects(field: str) -> None:
    found = judge({"permissions": {field: "cluster-admin", "rules": [rule("get", "pods")]}})
    assert places(found) == {("InvalidField", f"spec.permissions.{field}")}


def test_everything_of_the_ceiling_is_allowed_at_its_level_and_above() -> None:
    for atom in sorted(levels.CEILING):
        lowest = levels.LOWEST[atom.group, atom.resource][atom.verb]
        for level in levels.LEVELS:
            found = permitted(rule(atom.verb, atom.resource, atom.group), level=level)
            if levels.above(lowest, level):
                assert places(found) == {("RightsAboveLevel", f"{AT}.resources[0]")}, (atom, level)
                assert f"level: {lowest}" in found[0].message
            else:
                assert found == [], (atom, level)


def test_level_above_policy() -> None:
    found = judge({"permissions": {"level": "Critical"}}, {"permissions": {"maxLevel": "Admin"}}, CRITICAL, {})
    assert [violation.rule for violation in found] == [RuleName.LEVEL_ABOVE_POLICY] * 2
    assert {violation.path for violation in found} == {"spec.permissions.level"}
    assert ["Admin or lower" in found[0].message, "write ReadOnly" in found[1].message] == [True, True]


READ_CONFIG = rule(["get", "list"], "configmaps")


@pytest.mark.parametrize(
    ("asked", "allow", "fits"),
    [
        (rule("get", "configmaps"), [READ_CONFIG], True),
        (rule("get", "configmaps", resourceNames=["a"]), [READ_CONFIG], True),
        (rule("watch", "configmaps"), [READ_CONFIG], False),
        (rule("get", "pods"), [READ_CONFIG], False),
        (rule("get", "pods"), [], False),
        (rule("get", "configmaps"), [rule("get", "configmaps", resourceNames=["a"])], False),
        (rule("get", "configmaps", resourceNames=["a"]), [rule("get", "configmaps", resourceNames=["a"])], True),
        (rule("get", "configmaps", resourceNames=["a", "b"]), [rule("get", "configmaps", resourceNames=["a"])], False),
        (
            rule("get", "configmaps", resourceNames=["a", "b"]),
            [rule("get", "configmaps", resourceNames=[name]) for name in "ab"],
            True,
        ),
        (rule("get", "configmaps"), [rule("*", "*", "*")], False),
        (rule("get", "configmaps"), [rule("get", "*")], False),
        (rule(["get", "list"], "configmaps"), [rule("get", "configmaps"), rule("list", "configmaps")], True),
        (rule("get", "deployments", "apps"), [rule("get", "deployments")], False),
    ],
)
def test_above_policy(asked: dict[str, Any], allow: list[dict[str, Any]], *, fits: bool) -> None:
    expected = set() if fits else {("RightsAbovePolicy", AT)}
    assert places(permitted(asked, allow=allow)) == expected


def test_every_policy_must_allow() -> None:
    only = [{"permissions": {"allow": [rule(verb, "pods")]}} for verb in ("get", "list")]
    found = judge({"permissions": {"rules": [rule("get", "pods")]}}, *only)
    assert [(violation.rule, '"p1"' in violation.message) for violation in found] == [
        (RuleName.RIGHTS_ABOVE_POLICY, True)
    ]


def test_b12_b13_names_undone_by_another_rule() -> None:
    named, all_of_them = rule("get", "configmaps", resourceNames=["a"]), rule("get", "configmaps")
    assert permitted(named) == []
    assert permitted(named, rule("get", "configmaps", resourceNames=["b"])) == []
    assert places(permitted(named, all_of_them)) == {("RightsNamesIgnored", f"{AT}.resourceNames")}
    assert places(permitted(named, rule("get", "pods"))) == set()


def test_b13_rules_that_are_split_are_judged_as_one() -> None:
    """Harmless halves of a wildcard do not exist: each atom is judged, wherever it stands."""
    halves = [rule("get", "pods/exec"), rule("create", "pods/exec")]
    assert {path for _, path in places(permitted(*halves))} == {
        f"spec.permissions.rules[{index}].resources[0]" for index in range(2)
    }


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (rule("GET", "pods"), "write get"),
        (rule("read", "pods"), "write get, list, watch"),
        (rule("get", "pods", "core"), 'write ""'),
        (rule("get", "deployments", "apps/v1"), "write apps"),
        (rule("get", "deployments"), "apiGroups: [apps]"),
        (rule("get", "pod"), "write pods"),
        (rule("get", "deploy", "apps"), "write deployments"),
        (rule("get", "ingress", "networking.k8s.io"), "write ingresses"),
        (rule("*", "pods"), "verbs: [get, list]"),
        (rule("get", "secrets"), "leave it out"),
        (rule("create", "pods"), "outside of its fence"),
    ],
)
def test_the_message_says_what_to_write(asked: dict[str, Any], words: str) -> None:
    assert words in " ".join(violation.message for violation in permitted(asked))


def test_words_are_shown_tame() -> None:
    (violation,) = [v for v in permitted(rule("x" * 250 + '"', "pods")) if v.rule is UNKNOWN]
    assert len(violation.message) < 250


WORDS = {
    "groups": ["", "apps", "batch", "core", "*", RBAC, "coordination.k8s.io", "example.com"],
    "resources": [
        "pods",
        "configmaps",
        "secrets",
        "pods/exec",
        "pods/*",
        "deployments",
        "leases",
        "jobs",
        "roles",
        "x",
    ],
    "verbs": ["get", "list", "create", "update", "delete", "deletecollection", "bind", "GET", "*", "x"],
}
RULES = st.builds(
    lambda groups, resources, verbs, named: rule(
        verbs, resources, groups, **({"resourceNames": named} if named else {})
    ),
    *(st.lists(st.sampled_from(words), min_size=1, max_size=3, unique=True) for words in WORDS.values()),
    st.lists(st.sampled_from(["a", "b"]), max_size=2, unique=True),
)
ALLOW = st.none() | st.lists(RULES, max_size=2)
LEVEL = st.sampled_from(levels.LEVELS)


def ask(rules: Sequence[dict[str, Any]], level: str, allow: Any) -> list[Violation]:
    return permitted(*rules, level=level, allow=allow)


@given(st.lists(RULES, max_size=3), RULES, LEVEL, ALLOW)
@settings(max_examples=200)
def test_one_more_rule_never_removes_a_violation(rules: Any, more: Any, level: str, allow: Any) -> None:
    assert places(ask(rules, level, allow)) <= places(ask([*rules, more], level, allow))


@given(st.lists(RULES, max_size=4), LEVEL, ALLOW, st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_the_order_does_not_matter(rules: Any, level: str, allow: Any, random: Any) -> None:
    turned = [{field: random.sample(words, len(words)) for field, words in one.items()} for one in rules]
    random.shuffle(turned)
    assert names(ask(rules, level, allow)) == names(ask(turned, level, allow))


@given(st.lists(RULES, min_size=1, max_size=3), LEVEL, ALLOW)
@settings(max_examples=300)
def test_what_is_accepted_is_within_the_level(rules: Any, level: Level, allow: Any) -> None:
    """Against the plain reading of RBAC: the product of the words, nothing left out."""
    granted = {
        Atom(group, resource, verb)
        for one in rules
        for group in one["apiGroups"]
        for resource in one["resources"]
        for verb in one["verbs"]
    }
    found = ask(rules, level, allow)
    if not granted <= levels.ATOMS[level]:
        assert found
    elif allow is None and not any("resourceNames" in one for one in rules):
        assert found == []
