"""Rows of docs/enforcement.md: what an agent reaches, may do and holds."""

from tools.enforced_hosts import rows as rows_of_hosts
from tools.enforced_rows import Row
from tools.enforced_tests import (
    AGENTS,
    ANNOTATED,
    BOUNDS,
    BY_POLICY,
    CALLER,
    CONTROLLER,
    EGRESS,
    ELSEWHERE,
    ELSEWHERE_GUARDS,
    ELSEWHERE_LIVE,
    HELD_BY_DELEGATE,
    HELD_BY_REQUESTER,
    HOLDS,
    IDENTIFIED,
    IDENTITY,
    INSIDE,
    JOB,
    KEY_CHILDREN,
    KEYS,
    OTHER_RIGHTS,
    OWN_RIGHTS,
    PACKETS,
    PEER,
    PROJECTED,
    REQUESTER,
    RIGHTS,
    ROTATION,
    RULE,
    SAMPLES,
    WORDS,
)

REACH: dict[str, Row] = {
    **dict(rows_of_hosts()),
    "AgentDeployment.spec.identity.annotations[].key": Row(
        f"{ANNOTATED}; one of a list, each with its source: schema",
        f"{IDENTITY}::test_what_is_annotated_is_of_the_list",
        f"{CONTROLLER}/test_identity.py::test_every_edit_of_it_is_put_right",
        SAMPLES,
    ),
    "AgentDeployment.spec.identity.annotations[].value": Row(
        f"{ANNOTATED}; {BY_POLICY}",
        f"{IDENTITY}::test_each_is_what_every_policy_names",
        f"{CONTROLLER}/test_identity.py::test_every_edit_of_it_is_put_right",
    ),
    "AgentDeployment.spec.identity.tokens[].audience": Row(
        f"{PROJECTED}; never for the API server: schema, and what its own token tells Ringfence; {BY_POLICY}",
        f"{IDENTITY}::test_no_token_is_for_the_api_server",
        f"{IDENTITY}::test_each_is_what_every_policy_names",
        IDENTIFIED,
    ),
    "AgentDeployment.spec.identity.tokens[].path": Row(
        "a read-only mount of its directory; `decide` refuses one that hides the system's, the pod's or another",
        f"{IDENTITY}::test_a_token_hides_nothing",
        IDENTIFIED,
    ),
    "AgentDeployment.spec.identity.tokens[].expiration": Row(f"{PROJECTED}; from 10m to 24h: CEL", IDENTIFIED, SAMPLES),
    "AgentDeployment.spec.permissions.level": Row(
        "`decide`: the rules must fit under it, and it under each AgentPolicy's maxLevel; it grants nothing itself",
        f"{RIGHTS}::test_everything_of_the_ceiling_is_allowed_at_its_level_and_above",
        f"{RIGHTS}::test_level_above_policy",
    ),
    "AgentDeployment.spec.permissions.rules[].apiGroups": Row(RULE, OWN_RIGHTS, OTHER_RIGHTS, HELD_BY_REQUESTER),
    "AgentDeployment.spec.permissions.rules[].resources": Row(
        RULE, OTHER_RIGHTS, f"{RIGHTS}::test_refused_with_the_rule_that_helps", HELD_BY_REQUESTER, HELD_BY_DELEGATE
    ),
    "AgentDeployment.spec.permissions.rules[].resourceNames": Row(
        RULE,
        f"{INSIDE}::test_resource_names",
        f"{RIGHTS}::test_b12_b13_names_undone_by_another_rule",
        HELD_BY_REQUESTER,
    ),
    "AgentDeployment.spec.permissions.rules[].verbs": Row(
        RULE, OTHER_RIGHTS, f"{RIGHTS}::test_refused_with_the_rule_that_helps", HELD_BY_REQUESTER, WORDS
    ),
    "AgentDeployment.spec.permissions.rules[].namespaces": Row(
        "Role and RoleBinding in a namespace that consents to it by its annotation, behind `decide`, every AgentPolicy "
        "and the ceiling's RoleBinding there; taken away when the consent is, or with the agent; the requester, or the "
        "delegate, must hold it there. Whether it consents, CEL cannot tell: without the webhook the controller asks",
        f"{ELSEWHERE}::test_a_namespace_must_consent_to_as_much_as_is_asked_for",
        f"{ELSEWHERE_LIVE}::test_what_a_namespace_consents_to_is_given_there",
        f"{ELSEWHERE_LIVE}::test_a_consent_that_is_withdrawn_takes_it_away",
        f"{CONTROLLER}/test_elsewhere_unseen.py::test_it_goes_with_an_agent_that_went_unseen",
        f"{HOLDS}::test_what_is_asked_for_in_another_namespace_must_be_held_there",
        f"{ELSEWHERE_GUARDS}::test_what_an_agent_has_elsewhere_is_nobodys_to_write",
    ),
    "AgentDeployment.spec.permissions.clusterReads": Row(
        "one ClusterRole of the chart for each, whose binding lists the agent; `decide`: its level, and every "
        "AgentPolicy; the requester, or the delegate, must hold it in the whole cluster",
        f"{ELSEWHERE}::test_cluster_reads_need_their_level_and_every_policy",
        f"{ELSEWHERE_LIVE}::test_cluster_reads_are_given_and_taken_away",
        f"{ELSEWHERE_GUARDS}::test_the_controller_lists_agents_and_nobody_else",
    ),
    "AgentDeployment.spec.network.egress[].service.name": Row(
        f"{PEER}: the pods behind the Service's own selector; its names are in the pods' hosts file, and DNS is open "
        "for a headless one alone",
        PACKETS,
        f"{AGENTS}/test_names.py::test_a_service_is_reached_by_name_without_dns",
        f"{AGENTS}/test_network.py::test_a_service_that_comes_later_is_opened_then",
    ),
    "AgentDeployment.spec.network.egress[].service.namespace": Row(
        f"{PEER}; `decide` asks every AgentPolicy's serviceNamespaces",
        PACKETS,
        f"{EGRESS}::test_services_elsewhere_need_every_policy",
        f"{EGRESS}::test_no_policy_opens_the_clusters_own_namespaces",
    ),
    "AgentDeployment.spec.network.egress[].service.port": Row(
        f"{PEER}: the target port alone",
        f"{AGENTS}/test_network.py::test_a_service_that_comes_later_is_opened_then",
    ),
    "AgentDeployment.spec.network.egress[].cidr": Row(
        f"{PEER}; `decide`: sums of addresses, metadata, the cluster's own networks; nodes, pods and Services that "
        "come later inside of it are left out of the policy",
        PACKETS,
        f"{AGENTS}/test_network.py::test_the_way_closes_when_the_rule_goes",
        f"{AGENTS}/test_network.py::test_a_node_that_joins_inside_of_an_open_network_is_out_of_reach",
        f"{EGRESS}::test_unrestricted_in_every_spelling",
        f"{EGRESS}::test_b75_metadata_and_the_machine_itself",
        f"{EGRESS}::test_b76_the_cluster_is_never_reached_by_address",
        f"{CONTROLLER}/test_nodes.py::test_a_node_that_joins_inside_of_an_accepted_network_is_left_out",
    ),
    "AgentDeployment.spec.network.egress[].ports": Row(
        f"{PEER}: these ports alone, over TCP alone; of a host: egress gateway (Envoy)",
        PACKETS,
        f"{AGENTS}/test_network.py::test_udp_does_not_pass_where_tcp_is_allowed",
    ),
    "AgentDeployment.spec.network.ingress[].from.namespace": Row(
        f"{PEER}: namespace and labels must both match; `decide` asks every AgentPolicy's ingress.namespaces",
        "tests/unit/policy/test_ingress.py::test_who_may_be_let_in",
        f"{AGENTS}/test_network.py::test_a_peer_of_the_right_labels_in_another_namespace_is_not_the_named_one",
    ),
    "AgentDeployment.spec.network.ingress[].from.podLabels": Row(
        f"{PEER}: namespace and labels must both match", CALLER
    ),
    "AgentDeployment.spec.network.ingress[].port": Row(f"{PEER}: this port alone; one of spec.ports: CEL", CALLER),
    "AgentDeployment.spec.secrets[].name": Row(
        "names of the Secret and of what rotates it; no second entry of one name",
        f"{KEY_CHILDREN}::test_no_two_keys_share_a_name_and_none_is_too_long",
        SAMPLES,
    ),
    "AgentDeployment.spec.secrets[].maxAge": Row(
        "condition SecretsFresh and a violation for an older value, which the agent keeps; `decide`: within every "
        "policy's maxAge, `Never` by its leave; an existing Secret alone: CEL",
        f"{KEYS}::test_an_agent_names_an_age_within_every_policy",
        "tests/unit/controller/test_ages.py::test_what_is_said_about_keys",
        SAMPLES,
    ),
    "AgentDeployment.spec.secrets[].source.existing.secretName": Row(
        "`decide`: none of Ringfence's own; admission asks whether the requester, or the namespace's delegate, "
        "may get it, and again when what gets it changes; where admission could be passed, nobody gets it",
        f"{KEYS}::test_names_of_ours_are_reserved",
        f"{REQUESTER}::test_who_may_not_get_a_secret_may_not_name_it",
        f"{HOLDS}::test_a_tenant_takes_no_secret_by_changing_what_runs",
        f"{HOLDS}::test_a_tenant_has_no_secret_sent_elsewhere",
        f"{ROTATION}/test_existing.py::test_only_who_may_read_a_secret_may_hand_it_to_an_agent",
        "tests/api/controller/test_handover.py::test_a_secret_that_nobody_was_asked_about_is_not_handed_over",
    ),
    "AgentDeployment.spec.secrets[].source.existing.key": Row(
        "the pod's volume or variable: this key alone",
        f"{KEY_CHILDREN}::test_pods_get_the_named_keys_and_no_others",
        f"{ROTATION}/test_existing.py::test_it_is_delivered_and_follows_its_owner",
    ),
    "AgentDeployment.spec.secrets[].source.generate.length": Row(
        "the controller's first value and the job's later ones", f"{JOB}::test_a_value_has_the_length_asked_for", BOUNDS
    ),
    "AgentDeployment.spec.secrets[].rotation.every": Row(
        "a CronJob whose ticks rotate in time; `decide`: at most every policy's maxAge",
        "tests/unit/rotation/test_plan.py::test_undisturbed_no_value_outlives_its_period",
        f"{KEYS}::test_no_key_lives_longer_than_every_policy_allows",
        f"{ROTATION}/test_job.py::test_a_missed_time_is_caught_up_without_the_operator",
        SAMPLES,
    ),
    "AgentDeployment.spec.secrets[].rotation.overlap": Row(
        "the value before stays in the Secret, and beside the file, so long",
        "tests/unit/rotation/test_plan.py::test_interrupted_anywhere_there_is_always_a_valid_value",
        f"{JOB}::test_killed_after_any_write_the_next_try_goes_on",
        f"{ROTATION}/test_traffic.py::test_rotations_in_a_row_under_traffic_fail_no_request",
        SAMPLES,
    ),
    "AgentDeployment.spec.secrets[].delivery.file.path": Row(
        "a projected volume for each directory, read-only, never a subPath; `decide`: no two at one place, and no "
        "directory that hides the system's or the pod's own",
        f"{KEYS}::test_each_file_has_a_place_of_its_own",
        f"{KEYS}::test_a_directory_hides_nothing_of_the_system_or_the_pod",
        f"{INSIDE}::test_a_secret_lies_where_the_agent_wants_it",
        f"{KEYS}::test_a_file_of_a_secret_lies_apart_from_what_else_is_mounted",
        f"{ROTATION}/test_file.py::test_the_pod_sees_the_new_file_without_a_restart",
        f"{KEY_CHILDREN}::test_pods_get_the_named_keys_and_no_others",
        SAMPLES,
    ),
    "AgentDeployment.spec.secrets[].delivery.env.name": Row(
        "a secretKeyRef, and a restart once the value is stored; `decide`: no name that changes how programs load",
        f"{KEYS}::test_no_key_is_a_variable_that_loads_code",
        f"{KEYS}::test_no_variable_is_set_twice",
        f"{JOB}::test_pods_are_restarted_after_the_value_is_stored",
        f"{ROTATION}/test_env.py::test_a_restart_brings_the_new_value_and_no_call_fails",
    ),
}
