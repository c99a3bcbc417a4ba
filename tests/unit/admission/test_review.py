"""What is allowed, what is refused, and in which words."""

from typing import Any

import pytest

from ringfence.admission.answer import Verdict
from ringfence.admission.request import read
from ringfence.admission.review import could_be_stale, judge
from ringfence.store.context import PolicyContext
from unit.admission.make import IMAGE, agent, encoded, policy, review, world

NO_DIGEST = {"image": "registry.example/acme/researcher:1"}
WIDE_OPEN = {"image": IMAGE, "network": {"egress": [{"cidr": "0.0.0.0/0", "ports": [443]}]}}
DELETING: dict[str, Any] = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/hold"]}


def decided(given: dict[str, Any], view: PolicyContext | None = None) -> Verdict:
    return judge(read(encoded(given)), view or world())


def rules(verdict: Verdict) -> set[str]:
    return {violation.rule.value for violation in verdict.violations}


def test_a_modest_agent_is_allowed() -> None:
    assert decided(review(agent())) == Verdict(allowed=True)


@pytest.mark.parametrize(
    ("obj", "rule"),
    [
        (agent(NO_DIGEST), "ImageNoDigest"),
        (agent(WIDE_OPEN), "EgressUnrestricted"),
        (agent({"image": IMAGE, "surprise": 1}), "InvalidField"),
        (agent({}), "InvalidField"),
        (agent([]), "InvalidField"),
        (agent(7), "InvalidField"),
        ({**agent(), "spec": None}, "InvalidField"),
        ({"metadata": {"name": "x", "namespace": "team"}}, "InvalidField"),
    ],
)
def test_a_bad_agent_is_refused(obj: Any, rule: str) -> None:
    verdict = decided(review(obj))
    assert not verdict.allowed
    assert rule in rules(verdict)
    assert rule in verdict.message
    assert verdict.code == 403


def test_an_agent_in_a_namespace_that_is_not_open_is_refused() -> None:
    verdict = decided(review(agent(namespace="closed"), namespace="closed"))
    assert rules(verdict) == {"NamespaceNotOpened"}


def test_a_namespace_that_was_never_seen_is_closed() -> None:
    assert rules(decided(review(agent(namespace="new"), namespace="new"))) == {"NamespaceNotOpened"}


@pytest.mark.parametrize("namespace", ["other", "", None, 7])
def test_the_object_must_be_of_the_namespace_of_the_request(namespace: Any) -> None:
    obj = agent()
    obj["metadata"]["namespace"] = namespace
    assert not decided(review(obj)).allowed


@pytest.mark.parametrize("fields", [{"namespace": ""}, {"namespace": None}, {"namespace": 3}])
def test_a_review_without_a_namespace_is_refused(fields: dict[str, Any]) -> None:
    assert not decided(review(agent(), **fields)).allowed


@pytest.mark.parametrize("obj", [None, [], "x", 7, True])
def test_a_review_without_an_object_is_refused(obj: Any) -> None:
    assert not decided(review(obj)).allowed


@pytest.mark.parametrize("metadata", [None, [], "x", {"labels": []}, {"labels": {"a": 1}, "generation": "x"}])
def test_odd_metadata_raises_nothing(metadata: Any) -> None:
    decided(review({**agent(), "metadata": metadata}))


class TestUpdate:
    def test_a_worse_spec_is_refused(self) -> None:
        assert not decided(review(agent(WIDE_OPEN), agent())).allowed

    def test_a_better_spec_is_allowed(self) -> None:
        assert decided(review(agent(), agent(WIDE_OPEN))).allowed

    @pytest.mark.parametrize("change", [{"labels": {"a": "b"}}, {"finalizers": []}, DELETING])
    def test_metadata_of_an_agent_that_is_no_longer_allowed_can_change(self, change: dict[str, Any]) -> None:
        verdict = decided(review(agent(NO_DIGEST, **change), agent(NO_DIGEST, finalizers=["example.com/hold"])))
        assert verdict.allowed
        assert len(verdict.warnings) == 1
        assert "ImageNoDigest" in verdict.warnings[0]

    def test_the_metadata_of_a_good_agent_changes_without_a_warning(self) -> None:
        assert decided(review(agent(labels={"a": "b"}), agent())).warnings == ()

    def test_an_agent_that_is_being_deleted_is_still_decided(self) -> None:
        # CVE-2023-34091: with a finalizer it may live on for ever.
        assert not decided(review(agent(WIDE_OPEN, **DELETING), agent(**DELETING))).allowed

    def test_equal_in_python_is_not_unchanged(self) -> None:
        old = {"image": "x:1", "replicas": 1}
        new = {"image": "x:1", "replicas": True}
        assert not decided(review(agent(new), agent(old))).allowed

    @pytest.mark.parametrize("old", [{}, [], "x", {"spec": None}, {"metadata": {}}])
    def test_without_an_old_spec_all_is_new(self, old: Any) -> None:
        given = review(agent(NO_DIGEST), old)
        assert not decided(given | {"request": given["request"] | {"operation": "UPDATE"}}).allowed

    def test_absent_specs_are_not_an_unchanged_spec(self) -> None:
        nothing = {"metadata": {"name": "x", "namespace": "team"}}
        assert not decided(review(nothing, nothing)).allowed

    def test_create_with_an_old_object_is_a_create(self) -> None:
        assert not decided(review(agent(NO_DIGEST), agent(NO_DIGEST), operation="CREATE")).allowed

    def test_huge_integers_do_not_pass_as_unchanged(self) -> None:
        spec = {"image": "x:1", "replicas": 2**70}
        assert not decided(review(agent(spec), agent(spec))).allowed


class TestScope:
    def test_delete_is_allowed(self) -> None:
        assert decided(review(None, agent(WIDE_OPEN), operation="DELETE")).allowed

    def test_status_is_allowed(self) -> None:
        assert decided(review(agent(WIDE_OPEN), agent(WIDE_OPEN), subResource="status")).allowed

    @pytest.mark.parametrize("subresource", ["scale", "exec", "STATUS", "status/x"])
    def test_other_subresources_are_refused(self, subresource: str) -> None:
        assert not decided(review(agent(), agent(), subResource=subresource)).allowed

    @pytest.mark.parametrize("operation", ["CONNECT", "create", "", None, 7, "UNKNOWN", ["CREATE"]])
    def test_other_operations_are_refused(self, operation: Any) -> None:
        assert not decided(review(agent(), operation=operation)).allowed

    @pytest.mark.parametrize(
        "resource",
        [
            {"group": "", "version": "v1", "resource": "pods"},
            {"group": "ringfence.dev", "version": "v9", "resource": "agentdeployments"},
            {"group": "ringfence.dev", "version": "v1alpha1", "resource": "agentdeployments/x"},
            {},
            None,
            "agentdeployments",
        ],
    )
    def test_other_kinds_are_refused_and_the_configuration_is_blamed(self, resource: Any) -> None:
        verdict = decided(review(agent(), resource=resource))
        assert not verdict.allowed
        assert "ValidatingWebhookConfiguration" in verdict.message

    def test_what_the_request_says_reaches_the_message_without_control_characters(self) -> None:
        verdict = decided(review(agent(), resource={"group": "a\u001b[31m\n", "version": "v", "resource": "r\u202e"}))
        assert not {"\u001b", "\n", "\u202e"} & set(verdict.message)


class TestPolicy:
    def test_a_good_one_is_allowed(self) -> None:
        assert decided(review(policy({}), plural="agentpolicies")) == Verdict(allowed=True)

    @pytest.mark.parametrize("spec", [None, 7, [], {"surprise": 1}, {"egress": {"cidrs": ["0.0.0.0/99"]}}])
    def test_a_bad_one_is_refused(self, spec: Any) -> None:
        verdict = decided(review(policy(spec), plural="agentpolicies"))
        assert rules(verdict) == {"InvalidField"}

    def test_one_that_a_newer_version_finds_bad_keeps_its_labels_movable(self) -> None:
        bad = policy({"surprise": 1})
        labelled = {**bad, "metadata": {"name": "strict", "labels": {"a": "b"}}}
        assert decided(review(labelled, bad, plural="agentpolicies")).allowed

    @pytest.mark.parametrize(
        ("rule", "says"),
        [
            ({"apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"]}, 'apiGroups: "*" allows nothing'),
            ({"apiGroups": [""], "resources": ["*"], "verbs": ["get"]}, 'resources: "*" allows nothing'),
            ({"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}, 'verbs: "*" allows nothing'),
            ({"apiGroups": ["x.example"], "resources": ["pods"], "verbs": ["get"]}, '"x.example"'),
            ({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}, '"secrets"'),
            ({"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "fly"]}, '"fly"'),
            ({"apiGroups": ["apps"], "resources": ["pods"], "verbs": ["get"]}, '"pods"'),
        ],
    )
    def test_words_that_allow_nothing_are_warned_of(self, rule: dict[str, Any], says: str) -> None:
        verdict = decided(review(policy({"permissions": {"allow": [rule]}}), plural="agentpolicies"))
        assert verdict.allowed
        assert any(says in warning for warning in verdict.warnings), verdict.warnings

    def test_ordinary_rules_bring_no_warning(self) -> None:
        rule = {"apiGroups": ["", "apps"], "resources": ["pods", "deployments"], "verbs": ["get", "list"]}
        spec = {"permissions": {"allow": [rule]}}
        assert decided(review(policy(spec), plural="agentpolicies")).warnings == ()

    def test_warnings_are_few(self) -> None:
        rule = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
        spec = {"permissions": {"allow": [rule] * 64}}
        warnings = decided(review(policy(spec), plural="agentpolicies")).warnings
        assert len(warnings) == 10
        assert warnings[-1] == "and 183 more warnings"


class TestStale:
    def test_only_what_the_world_explains_is_looked_at_again(self) -> None:
        assert could_be_stale(decided(review(agent(namespace="new"), namespace="new")))
        assert could_be_stale(decided(review(agent(NO_DIGEST))))
        assert not could_be_stale(decided(review(agent())))
        assert not could_be_stale(decided(review(agent({"surprise": 1}))))

    def test_a_refusal_that_stands_anyway_is_not(self) -> None:
        spec = {"image": "x:1", "network": {"egress": [{"cidr": "169.254.169.254/32", "ports": [80]}]}}
        assert not could_be_stale(decided(review(agent(spec))))
