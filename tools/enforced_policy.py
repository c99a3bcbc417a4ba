"""Rows of docs/enforcement.md: AgentPolicies."""

from tools.enforced_rows import Row
from tools.enforced_tests import (
    ADMISSION,
    AGENTS,
    ALLOW,
    BY_POLICY,
    CONNECTIONS,
    CONTROLLER,
    CUSTOM,
    CUSTOM_SAID,
    DECIDE,
    EACH,
    EGRESS,
    ELSEWHERE,
    ELSEWHERE_LIVE,
    ID,
    IDENTITY,
    IDS,
    IMAGES,
    KEYS,
    LIMITS,
    LIMITS_DOOR,
    LIMITS_LIVE,
    MARKS,
    PODS,
    RIGHTS,
    SAMPLES,
    SCHEDULED,
    SCHEDULING,
    SELECTOR,
    SIGNED,
    SIGNED_SAID,
    STOP,
    SUM,
    VOLUMES,
)

POLICY: dict[str, Row] = {
    "AgentPolicy.spec.namespaceSelector.matchLabels": Row(SELECTOR, f"{DECIDE}::test_selectors"),
    "AgentPolicy.spec.namespaceSelector.matchExpressions[].key": Row(SELECTOR, f"{DECIDE}::test_selectors"),
    "AgentPolicy.spec.namespaceSelector.matchExpressions[].operator": Row(SELECTOR, f"{DECIDE}::test_selectors"),
    "AgentPolicy.spec.namespaceSelector.matchExpressions[].values": Row(SELECTOR, f"{DECIDE}::test_selectors"),
    "AgentPolicy.spec.permissions.maxLevel": Row(
        "`decide`: an agent's level is at most the lowest of all binding policies",
        f"{RIGHTS}::test_level_above_policy",
        f"{ADMISSION}::test_a_policy_that_became_stricter_locks_nobody_out",
    ),
    "AgentPolicy.spec.permissions.allow[].apiGroups": Row(ALLOW, f"{RIGHTS}::test_above_policy"),
    "AgentPolicy.spec.permissions.allow[].resources": Row(ALLOW, f"{RIGHTS}::test_above_policy"),
    "AgentPolicy.spec.permissions.allow[].resourceNames": Row(ALLOW, f"{RIGHTS}::test_above_policy"),
    "AgentPolicy.spec.permissions.allow[].verbs": Row(ALLOW, f"{RIGHTS}::test_every_policy_must_allow"),
    "AgentPolicy.spec.permissions.namespaces": Row(
        "`decide`: every binding policy must name each other namespace of an agent's rules",
        f"{ELSEWHERE}::test_every_policy_must_name_the_namespace",
        f"{ELSEWHERE_LIVE}::test_without_a_consent_nothing_is_given",
    ),
    "AgentPolicy.spec.permissions.clusterReads": Row(
        "`decide`: every binding policy must name each of an agent's",
        f"{ELSEWHERE}::test_cluster_reads_need_their_level_and_every_policy",
    ),
    "AgentPolicy.spec.permissions.customResources[].group": Row(
        f"{CUSTOM_SAID}; groups of Kubernetes, and those that are known to give power, count for nothing",
        f"{CUSTOM}::test_what_a_policy_names_is_allowed",
        f"{CUSTOM}::test_what_grants_power_counts_for_nothing_and_is_told",
    ),
    "AgentPolicy.spec.permissions.customResources[].resources": Row(
        f"{CUSTOM_SAID}; names of roles, bindings, tokens, secrets, policies, webhooks and the like count for nothing",
        f"{CUSTOM}::test_and_nothing_else",
        f"{CUSTOM}::test_what_grants_power_counts_for_nothing_and_is_told",
        f"{CONTROLLER}/test_ceiling.py::test_a_custom_resource_waits_for_the_ceiling_and_says_what_to_write",
    ),
    "AgentPolicy.spec.permissions.customResources[].verbs": Row(
        f"{CUSTOM_SAID}; plain verbs alone",
        f"{CUSTOM}::test_and_nothing_else",
        f"{CUSTOM}::test_so_do_verbs_that_are_not_plain",
    ),
    "AgentPolicy.spec.permissions.customResources[].level": Row(
        f"{CUSTOM_SAID}, from this level on",
        f"{CUSTOM}::test_it_needs_the_level_that_the_policy_says",
        f"{CUSTOM}::test_all_policies_must_name_it_and_the_highest_level_counts",
    ),
    "AgentPolicy.spec.egress.cidrs": Row(
        "`decide`: each address of an agent's cidr lies inside, in every binding policy; what is not the public "
        "internet inside of an entry of its own",
        f"{EGRESS}::test_egress_above_policy_names_what_is_outside",
        f"{EGRESS}::test_b71_two_policies_do_not_add_up",
        f"{EGRESS}::test_what_is_not_public_is_not_opened_from_outside_of_its_range",
    ),
    "AgentPolicy.spec.egress.serviceNamespaces": Row(
        "`decide`; the cluster's own namespaces stay closed", f"{EGRESS}::test_services_elsewhere_need_every_policy"
    ),
    "AgentPolicy.spec.egress.dns": Row(
        "NetworkPolicy `-allow`: never opens DNS where one binding policy says Never; pods that ask nobody",
        "tests/unit/controller/test_plan.py::test_a_policy_refuses_dns",
        "e2e/suites/agents/test_names.py::test_a_policy_refuses_dns_to_an_agent_of_a_headless_service",
    ),
    "AgentPolicy.spec.egress.maxPublicAddresses": Row(
        "`decide`: addresses of all egress rules of an agent added up; the lowest of all binding policies",
        f"{EGRESS}::test_exactly_the_bound_is_allowed",
        f"{EGRESS}::test_splitting_a_network_does_not_change_the_verdict",
    ),
    "AgentPolicy.spec.ingress.namespaces": Row(
        "`decide`: the namespace of each caller that an agent names, in every binding policy",
        "tests/unit/policy/test_ingress.py::test_who_may_be_let_in",
    ),
    "AgentPolicy.spec.images.registries": Row("`decide`", f"{IMAGES}::test_registries_match_by_segments"),
    "AgentPolicy.spec.images.requireDigest": Row("`decide`", f"{IMAGES}::test_b68_no_digest"),
    "AgentPolicy.spec.images.signedBy[].name": Row(
        "`decide` names the key in refusals", f"{SIGNED}::test_the_refusal_says_why_and_what_to_do"
    ),
    "AgentPolicy.spec.images.signedBy[].publicKey": Row(
        f"{SIGNED_SAID}: one of the keys signed the image's digest, in every binding policy",
        f"{SIGNED}::test_what_cosign_signs_is_verified",
        f"{SIGNED}::test_what_was_changed_after_signing_is_no_signature",
        f"{SIGNED}::test_every_policy_must_be_content",
        f"{ADMISSION}::test_an_image_that_nobody_signed_is_refused",
    ),
    "AgentPolicy.spec.images.attestations": Row(
        f"{SIGNED_SAID}: one of the keys attested each type; what it says is not looked at",
        f"{SIGNED}::test_what_cosign_attests_is_verified",
    ),
    "AgentPolicy.spec.sandbox.runtimeClassNames": Row("`decide`", f"{PODS}::test_sandbox"),
    **{
        f"AgentPolicy.spec.identity.{field}": Row(BY_POLICY, f"{IDENTITY}::test_each_is_what_every_policy_names")
        for field in ("annotations[].key", "annotations[].values", "audiences")
    },
    "AgentPolicy.spec.connections.groups": Row(
        "guard `connections`: by the groups that all policies of the namespace name, which the controller writes on "
        "its RoleBinding `ringfence-agents.ceiling` there",
        f"{CONTROLLER}/test_connections.py::test_who_gets_into_an_agent_is_what_all_policies_say",
        f"{CONNECTIONS}::test_by_group",
    ),
    "AgentPolicy.spec.onOrphans": Row(
        "the pass over a namespace: an orphaned Deployment gets no pods, an orphaned allow policy or RoleBinding goes",
        "tests/api/controller/test_orphans.py::test_what_is_orphaned_is_stopped",
        "tests/api/controller/test_orphans.py::test_a_policy_can_have_orphans_kept",
    ),
    "AgentPolicy.spec.limits.agents": Row(
        SUM,
        f"{LIMITS}::test_each_limit_alone",
        LIMITS_DOOR,
        f"{LIMITS_LIVE}::test_two_at_once_and_room_for_one",
    ),
    "AgentPolicy.spec.limits.replicas": Row(
        SUM,
        f"{LIMITS}::test_each_limit_alone",
        LIMITS_DOOR,
        f"{LIMITS_LIVE}::test_two_at_once_and_room_for_one",
    ),
    "AgentPolicy.spec.limits.cpu": Row(
        SUM,
        f"{LIMITS}::test_each_limit_alone",
        LIMITS_DOOR,
        f"{LIMITS_LIVE}::test_two_at_once_and_room_for_one",
    ),
    "AgentPolicy.spec.limits.memory": Row(
        SUM,
        f"{LIMITS}::test_each_limit_alone",
        LIMITS_DOOR,
        f"{LIMITS_LIVE}::test_two_at_once_and_room_for_one",
    ),
    "AgentPolicy.spec.limits.storage": Row(
        SUM,
        f"{LIMITS}::test_each_limit_alone",
        LIMITS_DOOR,
        f"{LIMITS_LIVE}::test_two_at_once_and_room_for_one",
    ),
    "AgentPolicy.spec.limits.perAgent.replicas": Row(EACH, f"{LIMITS}::test_each_limit_of_one_agent"),
    "AgentPolicy.spec.limits.perAgent.cpu": Row(EACH, f"{LIMITS}::test_each_limit_of_one_agent"),
    "AgentPolicy.spec.limits.perAgent.memory": Row(EACH, f"{LIMITS}::test_each_limit_of_one_agent"),
    "AgentPolicy.spec.limits.perAgent.storage": Row(EACH, f"{LIMITS}::test_each_limit_of_one_agent"),
    **{
        f"AgentPolicy.spec.pods.claims[].{field}": Row(BY_POLICY, f"{VOLUMES}::test_every_policy_must_name_it")
        for field in ("name", "access")
    },
    "AgentPolicy.spec.pods.maxGracePeriod": Row(
        "`decide`, at admission and at write: all policies must allow it; at most 10m: CEL",
        f"{STOP}::test_every_policy_must_allow_a_longer_period",
        SAMPLES,
    ),
    "AgentPolicy.spec.pods.labels[].key": Row(
        f"{BY_POLICY}; the guard `labels` takes it for a label of agents",
        f"{MARKS}::test_every_policy_must_name_it",
        "tests/chart/guards/test_guards_labels.py::test_no_service_takes_agents_in_by_such_a_label",
    ),
    "AgentPolicy.spec.pods.labels[].value": Row(BY_POLICY, f"{MARKS}::test_every_policy_must_name_it"),
    "AgentPolicy.spec.pods.annotations": Row(BY_POLICY, f"{MARKS}::test_every_policy_must_name_it"),
    "AgentPolicy.spec.pods.users[].first": Row(f"{ID}: all policies must allow it", *IDS),
    "AgentPolicy.spec.pods.users[].last": Row(f"{ID}: all policies must allow it", *IDS),
    **{
        f"AgentPolicy.spec.pods.{field}": Row(BY_POLICY, SCHEDULED[0])
        for field in (
            *("nodeLabels[].key", "nodeLabels[].value", "priorityClassNames", "topologyKeys"),
            *("tolerations[].key", "tolerations[].value", "tolerations[].effect"),
        )
    },
    **{
        f"AgentPolicy.spec.pods.devices[].{field}": Row(
            BY_POLICY, f"{SCHEDULING}::test_devices_are_counted_over_all_pods"
        )
        for field in ("name", "most")
    },
    "AgentPolicy.spec.secrets.maxAge": Row(
        "`decide`: `rotation.every` of all agents; condition SecretsFresh and a violation for a key of any source",
        f"{KEYS}::test_no_key_lives_longer_than_every_policy_allows",
        "tests/unit/controller/test_ages.py::test_what_is_said_about_keys",
    ),
    "AgentPolicy.spec.secrets.allowNever": Row(
        "`decide`: `maxAge: Never` of an agent, where every policy that binds it allows that",
        f"{KEYS}::test_an_agent_names_an_age_within_every_policy",
        f"{KEYS}::test_no_agent_says_never_by_the_built_in_policy",
    ),
    "AgentPolicy.spec.onRepeatedEdits": Row(
        "the controller: no pods while a child is edited again and again; the strictest policy decides",
        f"{CONTROLLER}/test_contested_fence.py::test_who_edits_again_and_again_stops_the_agent",
        f"{CONTROLLER}/test_contested_fence.py::test_a_policy_may_keep_it_running",
        f"{AGENTS}/test_edited.py::test_an_editor_in_a_loop_has_the_agent_stopped_and_nothing_passes_from_then_on",
        "tests/unit/controller/test_fence.py::test_the_strictest_policy_decides_what_becomes_of_a_contested_agent",
    ),
    "AgentPolicy.spec.existing": Row(
        "the controller: with Suspend no pods, no allow policy and no RoleBinding while an agent that was accepted "
        "does not fit; the strictest policy decides",
        f"{CONTROLLER}/test_policies.py::test_existing_suspend_stops_it_and_tells_until_it_fits_again",
        f"{CONTROLLER}/test_policies.py::test_existing_report_lets_it_run_on",
        f"{CONTROLLER}/test_policies.py::test_the_strictest_of_those_that_bind_decides",
        "tests/unit/controller/test_plan_stops.py::test_a_policy_may_suspend_what_does_not_fit_any_more",
    ),
}
