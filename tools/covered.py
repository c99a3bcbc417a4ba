"""What answers to each way around the fence (`B`): a source of docs/security/coverage.md, with the tests and the pack.

Tests that name an id are found by themselves (tools/catalogue.py); here stand those that try it without naming it.
"""

from typing import Final

from tools.cover import STANDARD, STATIC, UNKNOWN_FIELD, WORST, Cover, admission, drift, floor, guards, of, pod

COVERED: Final[dict[str, Cover]] = {
    "B14": Cover(tests=guards("test_nobody_gets_into_an_agent")),
    "B22": Cover(tests=guards("test_no_token_of_an_agent_but_by_its_kubelet")),
    "B30": Cover(
        "writing the status or the scale, past the rules for the spec",
        guards("test_its_status_is_the_controllers", "test_the_number_of_pods_is_the_agents"),
    ),
    "B31": Cover(tests=guards("test_nobody_gets_into_an_agent")),
    "B32": Cover(
        "an update of labels, owners or finalizers alone",
        (
            *guards("test_nobody_changes_a_child", "test_an_agents_pod_keeps_its_labels_and_its_owner"),
            *drift("test_stripped_metadata_is_back"),
        ),
    ),
    "B33": Cover(
        "a change together with a forged record of what was handled last",
        (
            *of(
                "tests/unit/resources/test_compare.py",
                "test_an_edit_that_forges_the_mark_is_told_from_what_we_remember",
            ),
            *drift("test_every_edit_is_put_right"),
        ),
    ),
    "B35": Cover(
        "the same object by another version of its API",
        STATIC,
        "there is one version; the registration asks for equivalent ones, and a test holds it to that",
    ),
    "B36": Cover(
        "other ways to write: server-side apply, each kind of patch, `generateName`, PUT that creates",
        admission(
            "test_other_ways_in_meet_the_same_rules",
            "test_generate_name",
            "test_a_patch_is_decided_as_what_it_makes",
        ),
    ),
    "B37": Cover(
        tests=(
            *guards("test_a_namespace_with_agents_stays_open"),
            *floor("test_the_floor_looks_where_the_webhook_does_not"),
        )
    ),
    "B38": Cover("a label taken away, so that an objectSelector does not match", WORST),
    "B39": Cover(
        tests=(
            *floor("test_without_a_registration_nothing_is_admitted"),
            *of("tests/chart/test_registration.py", "test_each_field_that_is_edited_is_seen_and_named"),
        )
    ),
    "B40": Cover(
        "an object that was there before the webhook was",
        of("tests/api/controller/test_acceptance.py", "test_what_is_forbidden_gets_a_fence_and_nothing_else"),
    ),
    "B41": Cover(
        "a Role made wider after the agent was accepted",
        (*guards("test_nobody_changes_a_child"), *drift("test_every_edit_is_put_right")),
    ),
    "B42": Cover(
        "a mutating webhook that changes what Ringfence writes, or its pods",
        of("tests/unit/resources/test_compare.py", "test_only_what_looks_like_a_default_completes_a_workload"),
        "who registers mutating webhooks is trusted; what one changes in a child counts as an edit, what it changes in "
        "a pod is not compared",
    ),
    "B43": Cover(
        "children that are written from an object that is not allowed any more",
        of(
            "tests/api/controller/test_acceptance.py",
            "test_what_is_forbidden_gets_a_fence_and_nothing_else",
            "test_a_policy_tightened_while_in_use",
        ),
    ),
    "B44": Cover(
        "forged owners, so that the garbage collector takes the policies",
        (*guards("test_nobody_changes_a_child"), *drift("test_forged_owners_do_not_take_a_child_away")),
    ),
    "B45": Cover(
        "an object of our name that is there first, to be adopted",
        (
            *guards("test_nobody_makes_what_looks_like_a_child"),
            *of("tests/api/controller/test_strangers.py", "test_it_is_left_untouched"),
        ),
    ),
    "B46": Cover(tests=of("tests/api/test_text.py", "test_agent_names", "test_a_long_name_is_told_what_is_wrong")),
    "B47": Cover(
        reason="it goes past the API server; whether that shows a certificate is set where it runs; tests use real TLS"
    ),
    "B48": Cover(
        "impersonation, so that another than the real requester is judged",
        (
            *of("tests/unit/admission/test_requester.py", "test_who_may_not_get_a_secret_may_not_name_it"),
            *of("tests/unit/admission/test_held.py", "test_one_question_about_one_permission"),
            *of("tests/api/test_requester.py", "test_a_tenant_gives_what_the_tenant_holds"),
        ),
        "who may impersonate is that person to the API server, with groups, uid and extra, and so to admission",
    ),
    "B49": Cover(
        "dry runs, to find out what is refused without being seen",
        (
            *admission("test_metrics_tell_what_was_refused"),
            *of("tests/unit/telemetry/logs/test_admission.py", "test_a_dry_run_says_so"),
        ),
    ),
    "B50": Cover(
        tests=(
            *of("tests/api/test_text.py", "test_no_field_that_names_something_takes_tricks"),
            *of("tests/api/test_yaml.py", "test_a_scalar_means_the_same_to_both_readers"),
            *of("tests/api/test_numbers.py", "test_integers"),
        )
    ),
    "B60": Cover("a pod that the Pod Security Standard `restricted` refuses", (*STANDARD, *UNKNOWN_FIELD)),
    "B61": Cover("the host's network, process table or IPC", (*STANDARD, *UNKNOWN_FIELD)),
    "B62": Cover(
        "a token that is mounted, is for another audience, or of another ServiceAccount; credentials for images",
        (
            *of(
                "e2e/suites/agents/test_rights.py",
                "test_an_agent_without_rights_has_no_token",
                "test_its_token_is_short_lived_and_bound_to_its_pod",
            ),
            *guards("test_nobody_makes_an_agents_pod"),
            *UNKNOWN_FIELD,
        ),
        "nobody is asked about the names in `imagePullSecrets`: the kubelet uses them, the agent does not see them",
    ),
    "B63": Cover(
        "another agent's Secrets, as variables or files",
        (
            *of("tests/api/test_requester.py", "test_a_tenant_takes_no_secret_by_changing_what_runs"),
            *of("tests/unit/policy/test_secrets.py", "test_names_of_ours_are_reserved"),
        ),
    ),
    "B64": Cover(
        "another container: sidecar, init container",
        (
            *UNKNOWN_FIELD,
            *of("tests/unit/policy/test_containers.py", "test_its_image_is_held_to_the_same_rules"),
            *guards("test_nobody_makes_an_agents_pod"),
        ),
    ),
    "B65": Cover("a node, tolerations, a priority, a scheduler of its own", UNKNOWN_FIELD),
    "B66": Cover(
        "a weaker runtime class than the policy asks for",
        (
            *of("tests/unit/policy/test_pods.py", "test_sandbox"),
            *of("e2e/suites/agents/test_fields.py", "test_sandbox"),
        ),
    ),
    "B67": Cover("one process table for all containers of the pod", UNKNOWN_FIELD),
    "B69": Cover(
        "hosts and DNS settings of its own",
        (*UNKNOWN_FIELD, *pod("test_it_learns_nothing_of_the_namespaces_services")),
    ),
    "B70": Cover(tests=WORST),
    "B71": Cover(tests=WORST),
    "B75": Cover(tests=WORST),
    "B76": Cover(
        tests=of(
            "tests/api/controller/test_nodes.py", "test_a_node_that_joins_inside_of_an_accepted_network_is_left_out"
        )
    ),
    "B80": Cover(
        tests=of(
            "e2e/suites/agents/test_names.py", "test_a_headless_service_opens_the_clusters_dns_and_no_other_resolver"
        )
    ),
    "B82": Cover(
        "a policy that leaves one direction out",
        (
            *of("tests/unit/resources/test_build.py", "test_children_are_as_written_down"),
            *of(
                "tests/api/controller/test_standing.py",
                "test_it_selects_every_pod_with_an_agents_label_and_allows_nothing",
            ),
        ),
    ),
    "B83": Cover(
        "a policy that selects none of the pods",
        (
            *guards("test_an_agents_pod_keeps_its_labels_and_its_owner"),
            *of("tests/unit/resources/test_build.py", "test_policies_select_exactly_the_pods"),
            *of("tests/api/controller/test_widened.py", "test_a_relabelled_pod"),
        ),
    ),
    "B84": Cover(
        tests=(
            *guards("test_no_policy_of_others_lets_an_agent_through"),
            *of("tests/api/controller/test_widened.py", "test_a_strangers_policy"),
        )
    ),
    "B85": Cover(tests=guards("test_no_policy_of_a_network_plugin_lets_an_agent_through")),
    "B86": Cover(
        "a way out through something that the agent may reach",
        of("tests/unit/policy/test_egress.py", "test_services_elsewhere_need_every_policy"),
        "an allowed destination is trusted, as docs/limits.md says; what is refused is to allow it",
    ),
}
