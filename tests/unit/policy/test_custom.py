"""Custom resources: what policies name, word by word, never what grants power."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.api import AgentPolicySpec
from ringfence.policy import forbidden
from ringfence.policy.advice import advice
from ringfence.policy.atoms import Atom
from ringfence.policy.custom import GROUPS, WORDS, refusal
from ringfence.policy.levels import BUILT_IN, LEVELS, VERB_ORDER
from ringfence.policy.model import RuleName, Violation
from unit.policy.make import judge, names, policy, rule

GROUP = "example.com"
AT = "spec.permissions.rules[0]"


def entry(
    resources: str = "widgets", verbs: str = "get list", level: str = "ReadOnly", group: str = GROUP
) -> dict[str, Any]:
    return {"group": group, "resources": resources.split(), "verbs": verbs.split(), "level": level}


def allowing(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"permissions": {"maxLevel": "Critical", "customResources": list(entries)} | more}


def ask(*policies: dict[str, Any], rules: Any = None, level: str = "ReadOnly") -> list[Violation]:
    rules = rules or [rule(["get", "list"], "widgets", GROUP)]
    return judge({"permissions": {"level": level, "rules": rules}}, *policies)


def test_what_a_policy_names_is_allowed() -> None:
    assert ask(allowing(entry())) == []


def test_beside_what_allow_says() -> None:
    assert ask(allowing(entry(), allow=[])) == []
    assert ask(allowing(entry(), allow=[rule("get", "pods")])) == []


@pytest.mark.parametrize(
    ("asked", "expected", "path"),
    [
        (rule("watch", "widgets", GROUP), RuleName.RIGHTS_ABOVE_LEVEL, "resources[0]"),
        (rule("get", "gadgets", GROUP), RuleName.RIGHTS_UNKNOWN, "resources[0]"),
        (rule("get", "widgets/status", GROUP), RuleName.RIGHTS_UNKNOWN, "resources[0]"),
        (rule("get", "widgets", "other.example.com"), RuleName.RIGHTS_UNKNOWN, "apiGroups[0]"),
        (rule("get", "widgets", ""), RuleName.RIGHTS_UNKNOWN, "resources[0]"),
        (rule("get", "Widgets", GROUP), RuleName.RIGHTS_UNKNOWN, "resources[0]"),
        (rule("get", "*", GROUP), RuleName.RIGHTS_WILDCARD, "resources[0]"),
        (rule("*", "widgets", GROUP), RuleName.RIGHTS_WILDCARD, "verbs[0]"),
        (rule("list", "widgets", GROUP, resourceNames=["a"]), RuleName.RIGHTS_NAMES_IGNORED, "verbs[0]"),
    ],
)
def test_and_nothing_else(asked: Any, expected: RuleName, path: str) -> None:
    assert (expected, f"{AT}.{path}") in {(one.rule, one.path) for one in ask(allowing(entry()), rules=[asked])}


def test_no_policy_names_any_by_itself() -> None:
    assert RuleName.RIGHTS_UNKNOWN in names(ask())
    assert RuleName.RIGHTS_UNKNOWN in names(ask({"permissions": {"maxLevel": "Critical"}}))


def test_it_needs_the_level_that_the_policy_says() -> None:
    writes = [rule(["get", "delete"], "widgets", GROUP)]
    two = allowing(entry(), entry(verbs="delete", level="Admin"))
    (found,) = ask(two, rules=writes, level="LimitedWrite")
    assert (found.rule, found.path) == (RuleName.RIGHTS_ABOVE_LEVEL, f"{AT}.resources[0]")
    assert "write level: Admin" in found.message
    for level in ("Admin", "Critical"):
        assert ask(two, rules=writes, level=level) == []


def test_all_policies_must_name_it_and_the_highest_level_counts() -> None:
    assert RuleName.RIGHTS_UNKNOWN in names(ask(allowing(entry()), allowing()))
    assert RuleName.RIGHTS_UNKNOWN in names(ask(allowing(), allowing(entry())))
    assert RuleName.RIGHTS_ABOVE_LEVEL in names(ask(allowing(entry()), allowing(entry(verbs="get"))))
    pair = allowing(entry()), allowing(entry(level="Admin"))
    for policies in (pair, pair[::-1]):
        assert names(ask(*policies)) == {RuleName.RIGHTS_ABOVE_LEVEL}
        assert ask(*policies, level="Admin") == []


def test_of_two_entries_of_one_policy_the_higher_level_counts() -> None:
    for entries in ([entry(), entry(level="Admin")], [entry(level="Admin"), entry()]):
        assert names(ask(allowing(*entries))) == {RuleName.RIGHTS_ABOVE_LEVEL}


REFUSED = [
    ("", "pods"),
    ("apps", "deployments"),
    ("batch", "cronjobs"),
    ("rbac.authorization.k8s.io", "roles"),
    ("networking.k8s.io", "networkpolicies"),
    ("metrics.k8s.io", "widgets"),
    ("autoscaling.k8s.io", "verticalpodautoscalers"),
    ("gateway.networking.k8s.io", "httproutes"),
    ("ringfence.dev", "agentdeployments"),
    ("kyverno.io", "clusterpolicies"),
    ("wgpolicyk8s.kyverno.io", "reports"),
    ("argoproj.io", "applications"),
    ("kustomize.toolkit.fluxcd.io", "kustomizations"),
    ("external-secrets.io", "stores"),
    ("generators.external-secrets.io", "generators"),
    ("cert-manager.io", "issuers"),
    ("cilium.io", "things"),
    ("user.openshift.io", "things"),
    ("cluster.x-k8s.io", "machines"),
    (GROUP, "roles"),
    (GROUP, "projectrolebindings"),
    (GROUP, "accesspolicies"),
    (GROUP, "accesspolicy"),
    (GROUP, "apitokens"),
    (GROUP, "secrets"),
    (GROUP, "sealedsecrets"),
    (GROUP, "webhooks"),
    (GROUP, "serviceaccounts"),
    (GROUP, "credentials"),
    (GROUP, "users"),
    (GROUP, "httproutes"),
    (GROUP, "widgets/exec"),
    (GROUP, "widgets/proxy"),
    (GROUP, "widgets/"),
    (GROUP, "widgets/status/x"),
    (GROUP, "*"),
    (GROUP, "widgets/*"),
    (GROUP, "*/status"),
    (GROUP, "Widgets"),
    (GROUP, "wid-gets"),
]


@pytest.mark.parametrize(("group", "resource"), REFUSED)
def test_what_grants_power_counts_for_nothing_and_is_told(group: str, resource: str) -> None:
    assert refusal(group, resource, ["get"])
    if group:
        assert policy(allowing(entry(resource, group=group))).custom_resources == {}
        spec = AgentPolicySpec.model_validate({"permissions": {"customResources": [entry(resource, group=group)]}})
        (warning,) = advice(spec)
        assert warning.startswith("spec.permissions.customResources[0]: ")
        assert "counts for nothing, since " in warning


@pytest.mark.parametrize("verb", ["*", "bind", "escalate", "impersonate", "use", "GET", "x"])
def test_so_do_verbs_that_are_not_plain(verb: str) -> None:
    assert policy(allowing(entry(verbs=f"get {verb}"))).custom_resources == {}


@pytest.mark.parametrize("name", ["services", "jobs", "pods", "deployments", "services/status"])
def test_what_is_called_like_something_that_runs_or_serves_is_read_at_most(name: str) -> None:
    assert refusal(GROUP, name, ["get", "list"]) is None
    assert refusal(GROUP, name, ["get", "update"])


def test_plain_ones_are_given() -> None:
    for resource in ("widgets", "widgets/status", "widgets/scale", "s3buckets", "backups"):
        assert refusal(GROUP, resource, VERB_ORDER) is None
    for group in ("example.com", "db.example.com", "notargoproj.io", "k8s.io.example.com"):
        assert refusal(group, "widgets", VERB_ORDER) is None


def test_the_kept_lists_are_plain_words() -> None:
    assert all("." in group and group == group.lower() for group in GROUPS)
    assert all(word.isalpha() and word.islower() for word in WORDS)
    assert not set(GROUPS) & set(forbidden.GROUPS)


ENTRIES = st.builds(
    lambda group, resource, verbs, level: entry(resource, " ".join(verbs), level, group),
    st.sampled_from([GROUP, "other.example.com", "apps.k8s.io", "argoproj.io"]),
    st.sampled_from(["widgets", "gadgets", "widgets/status", "roles", "*"]),
    st.lists(st.sampled_from([*VERB_ORDER, "*", "bind"]), min_size=1, max_size=3, unique=True),
    st.sampled_from(LEVELS),
)
POLICY = st.lists(ENTRIES, max_size=3)


@given(
    st.lists(POLICY, min_size=1, max_size=3),
    st.sampled_from([GROUP, "other.example.com", "apps.k8s.io", "argoproj.io", "", "apps"]),
    st.sampled_from(["widgets", "gadgets", "widgets/status", "roles", "*", "pods", "deployments"]),
    st.sampled_from([*VERB_ORDER, "*", "bind"]),
    st.sampled_from(LEVELS),
)
@settings(max_examples=400)
def test_an_atom_is_allowed_where_each_policy_names_it_at_that_level_or_it_is_built_in(
    policies: Any, group: str, resource: str, verb: str, level: Any
) -> None:
    """Against the plain reading: for each policy, an entry with all three words, and none of a higher level."""

    def names_it(entries: list[dict[str, Any]]) -> bool:
        about = [
            one
            for one in entries
            if one["group"] == group and resource in one["resources"] and not refusal(group, resource, one["verbs"])
        ]
        found = [LEVELS.index(one["level"]) for one in about if verb in one["verbs"]]
        return bool(found) and max(found) <= LEVELS.index(level)

    built_in = verb in BUILT_IN.held(level, group, resource)
    wanted = built_in or all(map(names_it, policies))
    found = ask(*(allowing(*entries) for entries in policies), rules=[rule(verb, resource, group)], level=level)
    assert (found == []) == wanted, (Atom(group, resource, verb), found)
