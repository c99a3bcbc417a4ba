"""What answers to each id of lists that others keep: a source of docs/security/coverage.md.

`T`: the threats of Kubernetes SIG Security's model for admission control. `G`: the good practices for admission
webhooks in Kubernetes' documentation. `CIS`: chapters 5.1 and 5.2 of the CIS Kubernetes Benchmark 1.12.
"""

from typing import Final

from tools.cover import (
    CEILING,
    NO_ESCALATION,
    NODES,
    NOT_FOUND,
    STANDARD,
    STATIC,
    UNKNOWN_FIELD,
    WORST,
    Cover,
    admission,
    drift,
    floor,
    guards,
    of,
    rights,
)

ONE_ANNOTATION: Final = "one annotation of an AgentDeployment is written, and nothing else"

LISTS: Final[dict[str, Cover]] = {
    # Kubernetes SIG Security, threat model for admission control
    "T1": Cover(
        "a flood of requests",
        (
            *of("tests/unit/admission/test_bounds.py", "test_a_small_one_does_not_overtake_one_that_waits"),
            *of("tests/unit/admission/test_feed.py", "test_a_flood_of_refusals_asks_only_a_few_times_at_a_time"),
            *admission("test_while_nobody_reviews_only_our_kinds_stand_still"),
        ),
    ),
    "T2": Cover(
        "input so complex that the answer is late",
        (
            *of("tests/api/test_size.py", "test_10_000_rules", "test_a_deep_object"),
            *of("tests/unit/policy/test_decide.py", "test_huge_input_is_little_work"),
        ),
    ),
    "T3": Cover(
        "a webhook that is registered wrongly",
        (*STATIC, *of("tests/chart/test_registration.py", "test_a_controller_says_whether_it_is_as_installed")),
    ),
    "T4": Cover(
        "an attacker who edits the webhook's registration",
        (*WORST, *of("tests/chart/test_registration.py", "test_each_field_that_is_edited_is_seen_and_named")),
    ),
    "T5": Cover(
        "the webhook's own credential, stolen",
        (
            *rights("test_the_admission_server_only_reads", "test_no_right_lists_secrets_or_watches_them"),
            *admission("test_a_renewal_of_ca_and_certificate_loses_no_review"),
        ),
    ),
    "T6": Cover(
        "cluster-admin, stolen",
        floor("test_without_a_registration_nothing_is_admitted"),
        "a cluster administrator is trusted, and can take all objects of Ringfence away",
    ),
    "T7": Cover(
        "listening to the reviews",
        of("tests/unit/admission/test_tls.py", "test_handshakes_are_of_tls_13_and_each_proves_anew"),
        "between API server and webhook; tried on the server itself, with real TLS",
    ),
    "T8": Cover(
        "somebody in the middle between API server and webhook",
        (
            *of("tests/unit/admission/test_server.py", "test_only_clients_of_the_ca_get_in_also_after_a_swap"),
            *admission("test_a_renewal_of_ca_and_certificate_loses_no_review"),
        ),
    ),
    "T9": Cover(
        "a webhook that is not ours",
        (
            *of("tests/unit/certificates/test_issue.py", "test_openssl_trusts_it_by_name"),
            *of("tests/unit/certificates/test_keeper.py", "test_a_bundle_that_differs_is_put_right"),
            *of("tests/chart/test_server.py", "test_upgrade_and_rollback_keep_the_ca_bundle"),
        ),
    ),
    "T10": Cover("mutation, abused", guards("test_nobody_writes_it_by_hand"), ONE_ANNOTATION),
    "T11": Cover("namespaces that are exempt", floor("test_the_floor_looks_where_the_webhook_does_not")),
    "T12": Cover(
        "a place that the rules forgot, such as init containers",
        (*UNKNOWN_FIELD, *guards("test_nobody_gets_into_an_agent")),
    ),
    "T13": Cover(
        "strings that are matched wrongly",
        (
            *of(
                "tests/unit/policy/test_images.py",
                "test_registries_match_by_segments",
                "test_any_text_is_parsed_or_refused",
            ),
            *of("tests/api/test_networks.py", "test_wrong"),
        ),
    ),
    "T14": Cover(
        "features of the API, old or new, for which there is no rule",
        (
            *of("tests/unit/policy/test_permissions.py", "test_refused_with_the_rule_that_helps"),
            *UNKNOWN_FIELD,
        ),
    ),
    "T15": Cover("a privileged pod on the webhook's node", reason=NODES),
    "T16": Cover("the webhook's configuration, by the host's file system", reason=NODES),
    "T17": Cover("SSH to a node", reason=NODES),
    "T18": Cover(
        "a policy that sends data out",
        of(
            "e2e/suites/chart/test_self.py",
            "test_reaches_no_port_but_the_api_servers",
            "test_with_its_address_known_it_reaches_the_api_server_and_nothing_else",
        ),
    ),
    # Kubernetes, "Admission webhook good practices"
    "G1": Cover("CEL in the API server where it suffices", (*WORST, *guards("test_nobody_changes_a_child"))),
    "G2": Cover(
        "schema, CEL and defaults of the CRD before webhooks",
        (
            *of("tests/api/test_samples.py", "test_each_rule_of_the_crds_is_broken_by_a_sample"),
            *of("tests/api/test_defaults.py", "test_the_stored_object_is_pythons_dump"),
        ),
    ),
    "G3": Cover(
        "one webhook, few calls in a review",
        (
            *STATIC,
            *of(
                "tests/api/test_requester.py",
                "test_who_may_do_everything_is_asked_one_question_and_without_permissions_none",
            ),
        ),
    ),
    "G4": Cover(
        "no loops",
        of("tests/api/controller/test_rest.py", "test_agents_at_rest_cause_no_write"),
    ),
    "G5": Cover(
        "a small timeout",
        (*STATIC, *of("tests/unit/policy/test_decide.py", "test_huge_input_is_little_work")),
    ),
    "G6": Cover(
        "several replicas, load shared",
        admission("test_a_rolling_restart_refuses_nothing_good_and_admits_nothing_bad"),
    ),
    "G7": Cover(
        "nothing by which Kubernetes heals itself waits for the webhook",
        (
            *admission("test_while_nobody_reviews_only_our_kinds_stand_still"),
            *guards("test_elsewhere_nothing_is_guarded", "test_the_controller_and_the_clusters_own_parts_do"),
        ),
    ),
    "G8": Cover("kube-system is left alone", (*STATIC, *guards("test_elsewhere_nothing_is_guarded"))),
    "G9": Cover("leases of nodes are left alone", admission("test_while_nobody_reviews_only_our_kinds_stand_still")),
    "G10": Cover(
        "TokenReview and SubjectAccessReview are not reviewed", STATIC, "the rules name Ringfence's two kinds alone"
    ),
    "G11": Cover("a namespaceSelector", STATIC),
    "G12": Cover(
        "matchConditions, so that others do not pay",
        guards("test_elsewhere_nothing_is_guarded"),
        "of the guards; the webhook is asked about Ringfence's two kinds alone",
    ),
    "G13": Cover("matchPolicy Equivalent", STATIC),
    "G14": Cover("patches of no more than is needed", guards("test_appliers_see_no_difference"), ONE_ANNOTATION),
    "G15": Cover("no array written over", reason=ONE_ANNOTATION),
    "G16": Cover("no side effects, none in a dry run", (*STATIC, *admission("test_metrics_tell_what_was_refused"))),
    "G17": Cover(
        "its own namespace is left out, so that it can start",
        (*STATIC, *of("e2e/suites/chart/test_release.py", "test_a_new_install_takes_up_the_agents")),
    ),
    "G18": Cover(
        "no dependence in a circle",
        of("e2e/suites/chart/test_release.py", "test_a_lost_registration_comes_back_with_an_upgrade"),
        "the webhook needs the API server alone; " + NOT_FOUND,
    ),
    "G19": Cover(
        "mutation fails open and the end is validated",
        guards("test_a_record_of_another_is_refused_while_nothing_writes_it"),
    ),
    "G20": Cover(
        "fields that others add",
        (
            *drift("test_what_others_add_beside_stays"),
            *of("tests/unit/resources/test_compare.py", "test_only_what_looks_like_a_default_completes_a_workload"),
        ),
    ),
    "G21": Cover(
        "not roused by what it writes itself",
        of("tests/api/controller/test_rest.py", "test_agents_at_rest_cause_no_write"),
    ),
    "G22": Cover("immutable objects and mirror pods are left alone", guards("test_elsewhere_nothing_is_guarded")),
    "G23": Cover(
        "no reliance on an order among webhooks",
        reason="the webhook validates, after all mutation; what writes the one annotation is asked again after others",
    ),
    "G24": Cover("the same again is the same", guards("test_appliers_see_no_difference"), ONE_ANNOTATION),
    "G25": Cover(
        "tried before production",
        of(
            "e2e/suites/chart/test_release.py", "test_an_upgrade_under_load_admits_nothing_bad_and_refuses_nothing_good"
        ),
    ),
    "G26": Cover("mutation does not violate validation", guards("test_the_whole_of_who_asked_is_written")),
    "G27": Cover(
        "tested with each minor version",
        of("tests/chart/test_tools.py", "test_conforms_to_what_the_api_server_knows"),
        "tested with the version of the built-in cluster alone",
    ),
    "G28": Cover("mutation is validated", guards("test_a_record_of_another_is_refused_while_nothing_writes_it")),
    "G29": Cover(
        "an order of install that locks nobody out",
        of("e2e/suites/chart/test_release.py", "test_without_crds_the_controller_waits_and_says_so"),
    ),
    "G30": Cover(
        "few may edit the registration and the webhook's namespace",
        (
            *rights("test_only_our_own_registration_can_be_changed"),
            *of("tests/chart/test_registration.py", "test_each_field_that_is_edited_is_seen_and_named"),
        ),
        "who else may is the cluster's own RBAC; an edit is told, and admits nothing while the floor stands",
    ),
    # CIS Kubernetes Benchmark 1.12, as in kube-bench's cfg/cis-1.12/policies.yaml
    "CIS 5.1.1": Cover("cluster-admin only where it is needed", (*NO_ESCALATION, *CEILING)),
    "CIS 5.1.2": Cover("little access to Secrets", rights("test_secrets_are_out_of_reach_but_for_our_own_certificate")),
    "CIS 5.1.3": Cover("no wildcards in Roles", (*rights("test_no_wildcard_and_no_right_to_get_more"), *WORST)),
    "CIS 5.1.4": Cover("few may create pods", (*NO_ESCALATION, *guards("test_nobody_makes_an_agents_pod"))),
    "CIS 5.1.5": Cover(
        "the default ServiceAccount is not used",
        (
            *of("tests/api/controller/test_create.py", "test_children_are_stored_in_order_and_as_built"),
            *rights("test_every_subject_is_a_service_account_of_ours"),
        ),
    ),
    "CIS 5.1.6": Cover(
        "tokens are mounted only where needed",
        (
            *of("e2e/suites/agents/test_rights.py", "test_an_agent_without_rights_has_no_token"),
            *rights("test_tokens_are_mounted_by_the_pod_that_says_so"),
        ),
    ),
    "CIS 5.1.7": Cover(
        "no system:masters",
        (
            *rights("test_every_subject_is_a_service_account_of_ours"),
            *guards("test_no_binding_adds_to_an_agents_permissions"),
        ),
    ),
    "CIS 5.1.8": Cover("little bind, impersonate and escalate", (*NO_ESCALATION, *WORST)),
    "CIS 5.1.9": Cover("few may create PersistentVolumes", NO_ESCALATION),
    "CIS 5.1.10": Cover("little access to nodes/proxy", (*NO_ESCALATION, *guards("test_nobody_gets_into_an_agent"))),
    "CIS 5.1.11": Cover("few may approve certificate requests", NO_ESCALATION),
    "CIS 5.1.12": Cover(
        "few may write webhook configurations", rights("test_only_our_own_registration_can_be_changed")
    ),
    "CIS 5.1.13": Cover(
        "few may create tokens", (*NO_ESCALATION, *guards("test_no_token_of_an_agent_but_by_its_kubelet"))
    ),
    "CIS 5.2.1": Cover(
        "something that controls policies is there",
        of(
            "tests/chart/test_server.py",
            "test_every_pod_passes_the_restricted_standard",
            "test_and_the_standard_is_enforced",
        ),
    ),
    "CIS 5.2.2": Cover("no privileged containers", (*STANDARD, *UNKNOWN_FIELD)),
    "CIS 5.2.3": Cover("no process table of the host", (*STANDARD, *UNKNOWN_FIELD)),
    "CIS 5.2.4": Cover("no IPC of the host", (*STANDARD, *UNKNOWN_FIELD)),
    "CIS 5.2.5": Cover("no network of the host", (*STANDARD, *UNKNOWN_FIELD)),
    "CIS 5.2.6": Cover("no escalation of privileges", STANDARD),
    "CIS 5.2.7": Cover("not as root", STANDARD),
    "CIS 5.2.8": Cover("not NET_RAW", STANDARD),
    "CIS 5.2.9": Cover("no capabilities", STANDARD),
    "CIS 5.2.10": Cover("no HostProcess on Windows", UNKNOWN_FIELD),
    "CIS 5.2.11": Cover("no hostPath", (*STANDARD, *UNKNOWN_FIELD)),
    "CIS 5.2.12": Cover("no ports of the host", (*STANDARD, *UNKNOWN_FIELD)),
}
