"""Rows of docs/enforcement.md: what holds whatever an agent asks for."""

from tools.cover import guards
from tools.enforced_rows import Row
from tools.enforced_tests import (
    ADMISSION,
    AGENTS,
    ALONE,
    ATTACKS,
    BOUNDS,
    CONTROLLER,
    DECIDE,
    EDITED,
    ESCALATION,
    EXPOSURE,
    FLOOR,
    HOLDS,
    LEVELS,
    OWN,
    PACKETS,
    RECORD,
    REQUESTED_BY,
    STATIC,
    UPSTREAM,
)

ALWAYS: dict[str, Row] = {
    "No connection in either direction that the spec does not name, not even DNS": Row(
        "NetworkPolicy `-deny`, stored before the first pod is made and until the last one is gone",
        PACKETS,
        f"{AGENTS}/test_demo.py::test_on_a_network_that_enforces_nothing_the_same_attempts_get_through",
        f"{AGENTS}/test_lifecycle.py::test_the_deny_policy_is_stored_before_the_pod_is_created",
        f"{AGENTS}/test_lifecycle.py::test_a_pod_that_will_not_stop_stays_fenced_until_it_is_gone",
    ),
    "An agent's first instruction runs inside its fence, however late the network plugin is": Row(
        "the gate, the first container of each pod: it ends when a canary that must be denied is denied, twice in a "
        "row, and the agent's egress gateway answers; without a canary no pod is made",
        f"{AGENTS}/test_gate.py::test_without_the_gate_a_pods_first_second_is_open_and_with_it_never",
        f"{AGENTS}/test_gate.py::test_while_nothing_is_enforced_no_agent_starts_and_its_status_says_why",
        f"{AGENTS}/test_gate.py::test_an_agent_that_others_let_out_does_not_start",
        "tests/unit/packets/test_gate.py::test_who_answers_is_waited_for_and_said",
        "tests/unit/controller/test_gate.py::test_without_a_canary_the_fence_is_made_and_no_pod",
    ),
    "No API token without rules; with rules, one of an hour, of this pod": Row(
        "ServiceAccount without automount; projected token",
        f"{AGENTS}/test_rights.py::test_an_agent_without_rights_has_no_token",
        f"{AGENTS}/test_rights.py::test_its_token_is_short_lived_and_bound_to_its_pod",
        f"{AGENTS}/test_rights.py::test_an_agents_service_account_has_no_rights_by_itself",
    ),
    "What the namespace's delegate does not hold any more is a violation of the agents that have it": Row(
        "the controller asks the API server again when Roles or bindings change, and every few minutes",
        f"{CONTROLLER}/test_delegates.py::test_a_binding_that_is_taken_away_is_told_and_counted",
        f"{CONTROLLER}/test_delegates.py::test_a_policy_may_suspend_for_it",
        "tests/unit/controller/test_delegates.py::test_what_is_answered_in_the_moment_of_a_change_is_asked_once_more",
    ),
    "What whoever asked for an agent does not hold any more is a violation of it, where no delegate is named": Row(
        "a MutatingAdmissionPolicy of the chart writes who asked (Kubernetes 1.36), a ValidatingAdmissionPolicy sees "
        "that nobody else does, and the controller asks the API server again; not known: `PermissionsHeld` Unknown",
        "tests/chart/guards/test_guards_requester_again.py::test_what_who_asked_loses_is_told_and_what_he_gets_back_is_fine",
        f"{REQUESTED_BY}::test_nobody_writes_it_by_hand",
        f"{REQUESTED_BY}::test_who_asks_for_more_or_has_it_run_something_else_asks_anew",
        "tests/chart/guards/test_guards_requester_again.py::test_an_agent_without_a_record_is_unknown_and_runs",
        f"{HOLDS}::test_who_takes_an_agent_over_must_hold_all_of_it",
    ),
    "What no longer fits after a change around an agent shows within five seconds": Row(
        "the controller decides again when policies, namespaces, NetworkPolicies, bindings or Services change",
        f"{CONTROLLER}/test_around.py::test_what_no_longer_fits_shows_within_five_seconds",
    ),
    "No root, no capability, no writable root file system, a seccomp filter": Row(
        "the Deployment passes the Pod Security Standard `restricted`, by the API server's check and by ours; each pod "
        "that is seen is held to it: one that was changed on its way in shows in `FenceWidened`",
        f"{AGENTS}/test_pod.py::test_it_runs_as_nobody_in_particular_without_any_capability",
        f"{AGENTS}/test_pod.py::test_the_root_file_system_is_read_only",
        "tests/api/test_pod_security.py::test_every_pod_of_an_agent_passes",
        "tests/api/test_pod_security.py::test_upstreams_pods_are_judged_as_the_api_server_judges_them",
        f"{CONTROLLER}/test_widened.py::test_a_pod_that_is_changed_on_its_way_in",
    ),
    "A pod with an agent's label is fenced, whether its agent is there or not": Row(
        "NetworkPolicy `ringfence-agents`, one in each opened namespace, which belongs to no agent",
        f"{ATTACKS}/test_orphaned.py::test_a_pod_whose_replicaset_lost_its_owner",
        f"{CONTROLLER}/test_standing.py::test_it_stays_until_the_last_agent_and_the_last_pod_are_gone",
        f"{CONTROLLER}/test_standing.py::test_every_edit_is_put_right_counted_and_told",
    ),
    "Nobody but the controller and the cluster's parts changes what was made for an agent, or widens its fence": Row(
        "the guards of the chart: ValidatingAdmissionPolicies in namespaces that are open to agents",
        *guards(
            "test_nobody_changes_a_child",
            "test_an_agents_pod_keeps_its_labels_and_its_owner",
            "test_no_policy_of_others_lets_an_agent_through",
            "test_no_binding_adds_to_an_agents_permissions",
            "test_no_token_of_an_agent_but_by_its_kubelet",
            "test_nobody_gets_into_an_agent",
            "test_an_agents_pod_keeps_what_it_runs",
        ),
        f"{ATTACKS}/test_with_guards.py::test_all_are_refused_also_while_nobody_leads",
    ),
    "Floor and guards hold with every object of Ringfence deleted, where the API server has them as files": Row(
        "`ringfence floor --manifests`, and the API server's feature gate `ManifestBasedAdmissionControlConfig`",
        f"{STATIC}::test_nothing_of_ours_is_left_in_the_api_server",
        f"{STATIC}::test_the_worst_is_still_refused",
        f"{STATIC}::test_permissions_of_the_catalogue_are_still_refused",
        f"{STATIC}::test_a_good_agent_still_passes",
        f"{STATIC}::test_a_broken_file_leaves_the_last_good_state",
    ),
    "With webhook, floor and guards deleted an agent gets no more than ceiling and policies allow": Row(
        "the controller, which decides again, and the API server, which lets it give no more than it holds",
        f"{ALONE}::test_no_agent_may_do_more_than_the_ceiling",
        f"{ALONE}::test_what_is_not_to_be_there_does_not_run",
        f"{ALONE}::test_nothing_of_ours_opens_more",
        f"{ALONE}::test_nor_does_it_once_all_else_was_tried",
    ),
    "Nothing in a namespace of agents makes one of them public": Row(
        "the guards of the chart: a Service for agents has its own name, to which no Ingress, route or proxy leads",
        f"{EXPOSURE}::test_a_service_for_agents_is_told_by_its_name",
        f"{EXPOSURE}::test_no_ingress_leads_to_an_agent",
        f"{EXPOSURE}::test_no_route_leads_to_an_agent",
        f"{EXPOSURE}::test_no_route_of_another_namespace_does",
        f"{EXPOSURE}::test_nobody_writes_where_a_service_for_agents_leads",
        f"{EXPOSURE}::test_no_proxy_leads_to_an_agent",
        f"{EXPOSURE}::test_the_service_of_an_agent_is_the_controllers",
        f"{EXPOSURE}::test_the_controller_makes_services_for_agents_alone",
    ),
    "What Ringfence itself consists of is changed by who may change its guards": Row(
        "the guards of the chart, by a question to the API server's own authorization",
        f"{OWN}::test_a_part_is_changed_by_who_may_change_the_guards",
        f"{OWN}::test_nobody_blunts_the_webhook",
        f"{OWN}::test_nothing_else_runs_as_ringfence",
        f"{OWN}::test_its_tokens_are_made_by_kubelets",
        f"{OWN}::test_nobody_adds_to_its_rights",
        f"{OWN}::test_break_glass",
    ),
    "A Service that an agent may call leads where it led when the agent was accepted": Row(
        "the controller: elsewhere nothing is opened until the agent is changed",
        f"{CONTROLLER}/test_services.py::test_a_service_that_leads_elsewhere_is_told_and_shown",
        f"{CONTROLLER}/test_services.py::test_who_writes_the_agent_takes_the_service_as_it_is",
        f"{CONTROLLER}/test_services.py::test_a_controller_that_begins_anew_knows_where_it_led",
    ),
    "What others write that widens an agent's fence is said, and the agent is not Ready meanwhile": Row(
        "condition `FenceWidened`: foreign policies and bindings that reach the agent, pods that were relabelled",
        f"{CONTROLLER}/test_widened.py::test_a_strangers_policy",
        f"{CONTROLLER}/test_widened.py::test_a_strangers_binding",
        f"{CONTROLLER}/test_widened.py::test_a_relabelled_pod",
        f"{ATTACKS}/test_widened.py::test_another_policy_that_allows_all",
    ),
    "What egress gateways let out or refused is recorded; what they refused is told, and no request waits": Row(
        "the gateway's log and figures; the controller is told of the reason alone, bounded, and counts it; an Event "
        "tells of many",
        f"{RECORD}::test_a_refused_request_is_in_the_record_with_what_would_allow_it_and_counted",
        f"{RECORD}::test_what_goes_out_is_in_the_record_and_no_violation",
        f"{RECORD}::test_a_burst_is_one_event_and_few_messages",
        f"{RECORD}::test_while_nobody_listens_nothing_is_held_up",
        "tests/gateway/test_record.py::test_no_credential_and_no_query_is_in_the_record",
        "tests/gateway/test_reports.py::test_reasons_are_told_and_nothing_that_the_agent_wrote",
        "tests/gateway/test_reports.py::test_a_flood_is_bounded_here",
    ),
    "Behind a corporate proxy a gateway reaches the addresses that it has checked, and nothing without the proxy": Row(
        "egress gateway (Envoy): CONNECT by address, TLS by the host's name, behind the same address check; its "
        "NetworkPolicy opens the proxy in place of public addresses; the credentials are in its pod alone",
        f"{UPSTREAM}::test_a_host_is_reached_by_its_checked_address_and_its_name_is_for_tls",
        f"{UPSTREAM}::test_e15_e16_an_address_inside_is_refused_before_the_proxy_is_asked",
        f"{UPSTREAM}::test_without_the_proxy_nothing_is_reached_and_one_of_several_will_do",
        f"{UPSTREAM}::test_the_credentials_stand_in_no_file_log_or_dump",
        "tests/unit/resources/test_gateway_proxy.py::test_it_reaches_dns_and_the_proxy_and_no_public_address",
        "tests/unit/resources/test_gateway_proxy.py::test_the_gateway_mounts_the_credentials_and_no_other_pod_does",
    ),
    "A part of the fence that somebody edits or deletes is put back": Row(
        "the controller, within seconds; counted as a violation",
        f"{AGENTS}/test_demo.py::test_a_deleted_and_an_edited_policy_are_put_back",
        EDITED,
        f"{CONTROLLER}/test_drift.py::test_a_deleted_child_is_back",
    ),
    "An agent whose fence cannot be put right within seconds has no pods": Row(
        "the controller: it scales the Deployment to zero, whatever is in the way, and says so",
        f"{CONTROLLER}/test_unfenced.py::test_a_fence_that_cannot_be_put_right_stops_the_agent",
        f"{CONTROLLER}/test_unfenced.py::test_a_strangers_object_in_place_of_a_part_stops_the_agent",
        f"{ATTACKS}/test_leader.py::test_without_its_right_to_write_policies",
    ),
    "A pod of an edited Deployment ends within seconds, however long the edit lets it take": Row(
        "the controller: it deletes that pod as soon as it sees it, by uid, with one second to end, and counts it",
        f"{ATTACKS}/test_left_behind.py::test_no_pod_of_an_edit_outlives_it",
        f"{ATTACKS}/test_left_behind.py::test_what_was_edited_while_no_controller_ran_ends_when_one_comes",
        f"{CONTROLLER}/test_left_behind.py::test_a_pod_that_an_edit_left_behind_ends_at_once",
        f"{CONTROLLER}/test_left_behind.py::test_pods_of_our_own_templates_keep_their_time",
    ),
    "A part of the fence that is being deleted, and that somebody keeps by a finalizer, is right and made anew": Row(
        "the controller: it corrects what is being deleted, takes others' finalizers off, and counts it",
        f"{CONTROLLER}/test_held_fence.py::test_a_held_child_is_right_and_made_anew",
        f"{CONTROLLER}/test_held_fence.py::test_rights_that_are_taken_away_cannot_be_held",
        f"{ATTACKS}/test_held.py::test_all_policies_held_at_once",
    ),
    "No agent gets more than the ceiling, whatever policies say": Row(
        "the API server: the controller may give what it holds, and of what agents can be given that is ClusterRole "
        "`ringfence-agent-ceiling`",
        f"{LEVELS}::test_ceiling_rules_are_exactly_the_ceiling",
        f"{LEVELS}::test_no_level_holds_what_is_forbidden",
        f"{ESCALATION}::test_and_takes_all_that_is_in_it",
    ),
    "No agent gets a permission above its level, also while the webhook is out of the way": Row(
        "the ValidatingAdmissionPolicy of the chart, made from the same list as the levels",
        f"{FLOOR}::test_every_permission_passes_at_its_level_and_is_refused_below",
        f"{FLOOR}::test_the_floor_and_decide_agree_on_any_mixture",
    ),
    "The controller holds what it may give agents in namespaces that are open to agents, and nowhere else": Row(
        "RoleBinding `ringfence-agents.ceiling` in each, which it makes by `bind` on that one ClusterRole; the guard "
        "`ceiling` refuses it such a binding elsewhere, or to somebody else",
        f"{CONTROLLER}/test_ceiling.py::test_it_holds_it_while_the_namespace_is_open",
        f"{ESCALATION}::test_without_its_binding_the_controller_can_give_nothing",
        f"{ESCALATION}::test_it_binds_the_ceiling_where_agents_are_let_in_and_nowhere_else",
        f"{ESCALATION}::test_it_binds_it_to_itself_alone",
    ),
    "An agent runs only in a namespace that is opened to agents": Row(
        "`decide`, and the ValidatingAdmissionPolicy of the chart",
        f"{DECIDE}::test_a_namespace_must_be_opened",
        f"{ADMISSION}::test_a_namespace_that_is_not_open_says_how_it_is_opened",
    ),
    "A field that the API does not know is refused": Row(
        "CRD schema, strict field validation of `kubectl`; `parse` in webhook and controller",
        "tests/api/test_bounds.py::test_unknown_fields_are_refused",
        "tests/api/test_yaml.py::test_kubectl_apply_names_the_unknown_field",
    ),
    "CRD, webhook and controller agree on what an object means": Row(
        "one declaration for all: operator/ringfence/api",
        "tests/api/test_mutations.py::test_both_agree_on_mutations",
        "tests/api/test_defaults.py::test_the_stored_object_is_pythons_dump",
        BOUNDS,
    ),
    "Names and verbs that only look alike are refused": Row(
        "CRD schema: patterns of plain ASCII",
        "tests/api/test_text.py::test_no_field_that_names_something_takes_tricks",
    ),
    "Whoever may create an agent cannot claim that it is fenced": Row(
        "status is a subresource; a forged status is written anew",
        "tests/api/test_kubectl.py::test_status_is_written_apart_from_spec",
        f"{CONTROLLER}/test_drift.py::test_a_forged_status_is_put_right",
    ),
}
"""What no field switches on or off."""
