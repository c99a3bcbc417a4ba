"""Permissions outside of an agent's own namespace: by consent, by policy, by level."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ringfence.api.permissions import Permissions
from ringfence.policy.consent import Consent, Entry, read_consent
from ringfence.policy.elsewhere import by_place, granted, target_namespaces
from ringfence.policy.model import Facts, RuleName, Violation
from unit.policy.make import NAMESPACE, facts, judge, names, places, policy, rule

ALLOWED: dict[str, Any] = {"permissions": {"maxLevel": "Critical", "namespaces": ["shop", "web", "kube-system", "own"]}}
READ = rule("get", "pods", namespaces=["shop"])
WRITE = rule("create", "configmaps", namespaces=["shop"])
AT = "spec.permissions.rules[0].namespaces[0]"


def known(consents: Mapping[str, str] | None) -> Facts:
    """Facts with these annotations."""
    read = None if consents is None else {name: read_consent(one) for name, one in consents.items()}
    return replace(facts(), consents=read, own_namespace="own")


def asked(*rules: Mapping[str, Any], consents: Mapping[str, str] | None, **policy_of: Any) -> list[Violation]:
    spec = {"permissions": {"level": "Critical", "rules": list(rules)}}
    return judge(spec, policy_of or ALLOWED, known=known(consents), name="sre")


@pytest.mark.parametrize(
    ("annotation", "entries"),
    [
        ("", []),
        ("  ", []),
        ("ops=ReadOnly", [("ops", None, "ReadOnly")]),
        ("ops/sre=Admin", [("ops", "sre", "Admin")]),
        ("ops=ReadOnly\n", [("ops", None, "ReadOnly")]),
        (" ops/sre=Admin , ops=ReadOnly ", [("ops", "sre", "Admin"), ("ops", None, "ReadOnly")]),
    ],
)
def test_a_consent_is_read(annotation: str, entries: list[Any]) -> None:
    assert read_consent(annotation) == Consent(tuple(Entry(*one) for one in entries))


@pytest.mark.parametrize(
    "annotation",
    [
        "ops",
        "ops=",
        "=ReadOnly",
        "ops=readonly",
        "ops=Everything",
        "*=ReadOnly",
        "ops/*=ReadOnly",
        "ops/=ReadOnly",
        "ops=ReadOnly,",
        "ops=ReadOnly;web=ReadOnly",
        "Ops=ReadOnly",
        "ops/sre/x=ReadOnly",
        "ops=ReadOnly," * 2000 + "ops=ReadOnly",
        "o" * 64 + "=ReadOnly",
    ],
)
def test_one_word_that_cannot_be_read_and_nobody_is_let_in(annotation: str) -> None:
    found = read_consent(annotation)
    assert (found.entries, found.malformed) == ((), annotation)
    message = asked(READ, consents={"shop": annotation})[0].message
    assert "cannot be read, so that it lets nobody in: write NAMESPACE=LEVEL or NAMESPACE/AGENT=LEVEL" in message


@pytest.mark.parametrize(
    ("annotation", "rules", "refused"),
    [
        (f"{NAMESPACE}=ReadOnly", [READ], False),
        (f"{NAMESPACE}/sre=ReadOnly", [READ], False),
        (f"{NAMESPACE}/other=ReadOnly", [READ], True),
        (f"{NAMESPACE}/other=Admin,{NAMESPACE}/sre=ReadOnly", [WRITE], True),
        ("other/sre=Critical", [READ], True),
        (f"{NAMESPACE}=ReadOnly", [WRITE], True),
        (f"{NAMESPACE}=LimitedWrite", [WRITE], False),
        (f"{NAMESPACE}=ReadOnly,{NAMESPACE}/sre=LimitedWrite", [WRITE], False),
        (f"{NAMESPACE}=Critical", [READ, WRITE], False),
        ("", [READ], True),
    ],
)
def test_a_namespace_must_consent_to_as_much_as_is_asked_for(annotation: str, rules: Any, refused: bool) -> None:
    found = asked(*rules, consents={"shop": annotation})
    assert places(found) == ({("NamespaceConsentMissing", AT)} if refused else set())


def test_the_message_is_the_command() -> None:
    (found,) = asked(WRITE, consents={"shop": f"{NAMESPACE}=ReadOnly"})
    assert 'namespace "shop" consents to ReadOnly for this agent, and this takes LimitedWrite' in found.message
    assert f"kubectl annotate namespace shop ringfence.dev/consent={NAMESPACE}/sre=LimitedWrite" in found.message
    (found,) = asked(READ, consents={})
    assert 'namespace "shop" does not consent to permissions of this agent in it' in found.message


def test_consents_that_are_not_known_are_not_asked_about() -> None:
    assert asked(READ, consents=None) == []


def test_every_policy_must_name_the_namespace() -> None:
    spec = {"permissions": {"rules": [READ]}}
    consents = known({"shop": f"{NAMESPACE}=ReadOnly"})
    assert judge(spec, ALLOWED, ALLOWED, known=consents) == []
    assert places(judge(spec, ALLOWED, {}, known=consents)) == {("RightsAbovePolicy", AT)}
    (found,) = judge(spec, known=consents)  # the built-in policy lets nobody out
    assert "have it added to its spec.permissions.namespaces" in found.message


@pytest.mark.parametrize("target", ["kube-system", "own"])
def test_some_namespaces_are_closed_whatever_they_say(target: str) -> None:
    found = asked(rule("get", "pods", namespaces=[target]), consents={target: f"{NAMESPACE}=Critical"})
    assert places(found) == {("NamespaceNotOpened", AT)}


def test_its_own_namespace_asks_nobody() -> None:
    assert judge({"permissions": {"rules": [rule("get", "pods", namespaces=[NAMESPACE])]}}, known=known({})) == []


def test_what_nobody_knows_takes_the_highest_level() -> None:
    widgets = rule("get", "widgets", "example.com", namespaces=["shop"])
    named = [policy(ALLOWED)]
    permissions = Permissions.model_validate({"rules": [widgets]})
    for level, given in (("Admin", []), ("Critical", ["shop"])):
        consents = {"shop": read_consent(f"{NAMESPACE}={level}")}
        assert list(granted(permissions, "sre", NAMESPACE, named, consents)) == given


def test_of_a_lowered_consent_what_it_still_covers_is_given() -> None:
    permissions = Permissions.model_validate({"level": "Admin", "rules": [READ, WRITE, rule("get", "services")]})
    found = granted(permissions, "sre", NAMESPACE, [policy(ALLOWED)], {"shop": read_consent(f"{NAMESPACE}=ReadOnly")})
    assert {place: (level, [one.verbs for one in rules]) for place, (level, rules) in found.items()} == {
        "shop": ("ReadOnly", [["get"]])
    }


def test_names_in_one_namespace_are_not_undone_by_a_rule_of_another() -> None:
    named = rule("get", "configmaps", resourceNames=["a"])
    elsewhere = rule("get", "configmaps", namespaces=["shop"])
    consents = {"shop": f"{NAMESPACE}=ReadOnly"}
    assert asked(named, elsewhere, consents=consents) == []
    both = rule("get", "configmaps", namespaces=[NAMESPACE, "shop"])
    assert names(asked(named, both, consents=consents)) == {RuleName.RIGHTS_NAMES_IGNORED}


@pytest.mark.parametrize(
    ("level", "policies", "broken"),
    [
        ("Admin", [{"maxLevel": "Admin", "clusterReads": ["nodes"]}], set()),
        ("LimitedWrite", [{"maxLevel": "Admin", "clusterReads": ["nodes"]}], {"RightsAboveLevel"}),
        ("Admin", [{"maxLevel": "Admin"}], {"RightsAbovePolicy"}),
        ("Admin", [{"maxLevel": "Admin", "clusterReads": ["nodes"]}, {"maxLevel": "Admin"}], {"RightsAbovePolicy"}),
        ("Admin", [{"maxLevel": "Admin", "clusterReads": ["namespaces"]}], {"RightsAbovePolicy"}),
    ],
)
def test_cluster_reads_need_their_level_and_every_policy(level: str, policies: Any, broken: set[str]) -> None:
    spec = {"permissions": {"level": level, "clusterReads": ["nodes"]}}
    found = judge(spec, *({"permissions": one} for one in policies), known=known({}))
    assert places(found) == {(one, "spec.permissions.clusterReads[0]") for one in broken}


@pytest.mark.parametrize("word", ["secrets", "clusterroles", "*", "nodes/proxy"])
def test_nothing_else_is_read_in_the_whole_cluster(word: str) -> None:
    spec = {"permissions": {"level": "Critical", "clusterReads": [word]}}
    assert RuleName.INVALID_FIELD in names(judge(spec, ALLOWED, known=known({})))


def test_what_is_asked_for_by_place() -> None:
    permissions = Permissions.model_validate(
        {
            "rules": [READ, rule("list", "pods"), rule("get", "services", namespaces=["shop", "own"])],
            "clusterReads": ["nodes"],
        }
    )
    found = {place: sorted(map(str, one.atoms)) for place, one in by_place(permissions, "own").items()}
    assert found == {
        "own": ["get services", "list pods"],
        "shop": ["get pods", "get services"],
        "": ["get nodes", "list nodes", "watch nodes"],
    }


@pytest.mark.parametrize(
    "spec", [None, 1, {"permissions": []}, {"permissions": {"rules": [{"namespaces": {"a": 1}}, 7]}}]
)
def test_targets_of_anything(spec: Any) -> None:
    assert target_namespaces(spec) == []


def test_too_many_namespaces_are_told() -> None:
    many = [rule("get", "pods", namespaces=[f"n{one}" for one in range(16)]) for _ in range(3)]
    (found,) = [one for one in asked(*many, consents=None, permissions={}) if one.rule is RuleName.INVALID_FIELD]
    assert "at most 32 namespaces" in found.message
