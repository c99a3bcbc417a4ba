"""Rows of docs/enforcement.md for egress by host name: what may be asked for, and what the egress gateway lets out."""

from collections.abc import Iterator

from tools.enforced_rows import Row

SAMPLES = "tests/api/test_samples.py::test_invalid_with_the_path_or_the_sentence"
NAMES = "tests/unit/api/test_hostnames.py"
HOSTS = "tests/unit/policy/test_egress_hosts.py"
_GATEWAY = "egress gateway (Envoy)"
_SPELLING = f"{NAMES}::test_e7_to_e11_any_other_spelling_is_refused_with_what_to_write"
_AGENT = "AgentDeployment.spec.network.egress[]"
KEYS = "tests/unit/policy/test_gateway_secrets.py"
KEPT = "tests/unit/controller/test_sent_secrets.py"
ENVOY, PLACES = "tests/gateway/test_secrets.py", "tests/gateway/test_key_places.py"
IN_QUERY, QUERIES = "tests/gateway/test_key_query.py", "tests/unit/gateway/test_queries.py"
E2E = "e2e/suites/egress/test_secrets.py"
_DELIVERY = "AgentDeployment.spec.secrets[].delivery.gateway"
_POLICY = "AgentPolicy.spec.egress"

_ROWS = {
    f"{_AGENT}.host": Row(
        f"{_GATEWAY}: this name, and no other behind the same address; `decide` asks every AgentPolicy's hosts; one "
        "spelling of each name: CEL and the normaliser",
        f"{HOSTS}::test_hosts_above_policy",
        f"{HOSTS}::test_all_policies_must_allow_a_host",
        _SPELLING,
        f"{NAMES}::test_it_is_idempotent_and_nothing_that_it_takes_means_anything_else",
        SAMPLES,
    ),
    f"{_AGENT}.mode": Row(
        f"{_GATEWAY}: ends TLS, or binds a tunnel to its name; `decide` asks every AgentPolicy's tunnel",
        f"{HOSTS}::test_tunnels_need_the_leave_of_every_policy",
        f"{HOSTS}::test_a_tunnel_is_no_way_to_a_host_that_is_not_allowed",
        SAMPLES,
    ),
    f"{_AGENT}.rules[].methods": Row(
        f"{_GATEWAY}: each request", f"{HOSTS}::test_malformed_hosts_are_told_with_the_fix", SAMPLES
    ),
    f"{_AGENT}.rules[].paths": Row(
        f"{_GATEWAY}: each request, by its path made plain; one spelling of each path: CRD schema",
        f"{HOSTS}::test_a_path_is_plain_and_has_one_spelling",
        SAMPLES,
    ),
    f"{_AGENT}.preset": Row(
        f"{_GATEWAY}: each request, by the paths of providers.json; `decide`: at this provider's own hosts alone",
        f"{KEYS}::test_a_preset_is_for_its_own_provider",
        f"{KEYS}::test_the_api_has_a_preset_for_each_provider",
        f"{PLACES}::test_a_word_in_a_path_is_text_within_one_segment",
        SAMPLES,
    ),
    f"{_AGENT}.limits.requestsPerMinute": Row(
        f"{_GATEWAY}: counted before the host is dialled, across changes of the list; `decide`: at most every "
        "AgentPolicy's",
        f"{KEYS}::test_a_policy_bounds_what_goes_out",
        f"{KEPT}::test_limits_and_presets_reach_the_gateway",
        "tests/gateway/test_bounds.py::test_requests_of_a_minute_are_counted_whatever_becomes_of_the_routes",
    ),
    f"{_AGENT}.limits.maxBodyBytes": Row(
        f"{_GATEWAY}: held until it is whole, whatever length it says; `decide`: at most every AgentPolicy's",
        f"{KEYS}::test_a_policy_bounds_what_goes_out",
        f"{KEPT}::test_limits_and_presets_reach_the_gateway",
        "tests/gateway/test_bounds.py::test_a_body_is_bounded_whether_it_says_its_length_or_not",
    ),
    f"{_DELIVERY}.host": Row(
        f"{_GATEWAY}: the value is added behind the address check of this host, and the placeholder demanded; "
        "`decide`: a declared host with rules, not tunnelled, not on port 80, with one key",
        f"{KEYS}::test_no_other_host_gets_it",
        f"{KEYS}::test_a_host_has_one_key",
        f"{ENVOY}::test_the_placeholder_is_worthless_at_another_host",
        f"{ENVOY}::test_the_key_stays_out_of_paths_that_are_not_declared",
        f"{KEPT}::test_the_agent_gets_a_placeholder_and_the_gateway_alone_the_secret",
        f"{E2E}::test_the_value_reaches_its_host_and_the_agent_never_has_it",
        f"{E2E}::test_a_neighbour_with_the_placeholder_gets_nothing",
        "tests/api/test_requester.py::test_a_tenant_has_no_secret_sent_elsewhere",
        f"{E2E}::test_a_value_that_ringfence_rotates_is_used_at_once_and_no_request_is_lost",
        f"{E2E}::test_a_value_that_somebody_else_changes_is_used_by_itself",
        f"{E2E}::test_a_deleted_secret_withdraws_the_route_and_comes_back_by_itself",
    ),
    f"{_DELIVERY}.header": Row(
        f"{_GATEWAY}: the placeholder stands in this header and in no other, all else that could be a key is removed",
        f"{ENVOY}::test_e24_e29_no_key_without_exactly_the_placeholder",
        f"{ENVOY}::test_e24_every_other_place_is_emptied",
        f"{KEYS}::test_a_malformed_place_is_refused",
        f"{E2E}::test_an_attackers_own_key_is_refused_or_removed",
        SAMPLES,
    ),
    f"{_DELIVERY}.scheme": Row(
        f"{_GATEWAY}: exactly this word before the placeholder",
        f"{ENVOY}::test_the_key_goes_where_the_placeholder_was",
        f"{ENVOY}::test_e24_e29_no_key_without_exactly_the_placeholder",
        SAMPLES,
    ),
    f"{_DELIVERY}.basic.user": Row(
        f"{_GATEWAY}: the placeholder as the password of exactly this user",
        f"{PLACES}::test_a_password_goes_where_the_placeholder_was",
        f"{PLACES}::test_no_password_without_exactly_the_placeholder",
    ),
    f"{_DELIVERY}.query": Row(
        f"{_GATEWAY}: the placeholder is the value of this parameter, once, and no other parameter could hold a key; "
        "only its bytes change; one spelling of each name: CRD schema",
        f"{IN_QUERY}::test_the_key_goes_where_the_placeholder_was_and_no_other_byte_changes",
        f"{IN_QUERY}::test_e24_e29_no_key_without_exactly_the_placeholder",
        f"{IN_QUERY}::test_e24_every_other_place_is_emptied",
        f"{IN_QUERY}::test_a_host_that_shows_the_key_in_headers_is_silenced",
        f"{IN_QUERY}::test_the_key_is_in_no_file_no_record_and_no_dump",
        f"{QUERIES}::test_anything_else_that_a_host_could_take_for_a_key_is_refused",
        f"{KEYS}::test_a_malformed_place_is_refused",
        SAMPLES,
    ),
    f"{_DELIVERY}.env": Row(
        "a secretKeyRef to a placeholder of the controller's; `decide`: no name that changes how programs load, and "
        "none twice",
        f"{KEYS}::test_its_variable_tells_no_program_what_to_run",
        f"{KEYS}::test_its_variable_hides_no_other_one",
        f"{KEPT}::test_a_placeholder_that_somebody_else_wrote_counts_for_nothing",
        f"{E2E}::test_the_value_reaches_its_host_and_the_agent_never_has_it",
    ),
    f"{_POLICY}.limits.requestsPerMinute": Row(
        "`decide`: what an agent says of each host, in every binding policy",
        f"{KEYS}::test_a_policy_bounds_what_goes_out",
    ),
    f"{_POLICY}.limits.maxBodyBytes": Row(
        "`decide`: what an agent says of each host, in every binding policy",
        f"{KEYS}::test_a_policy_bounds_what_goes_out",
    ),
    f"{_POLICY}.hosts[].name": Row(
        "`decide`: a name or a wildcard as it stands, in every binding policy; never a wildcard where anybody "
        "registers names (the public suffix list)",
        f"{HOSTS}::test_hosts_above_policy",
        f"{HOSTS}::test_all_policies_must_allow_a_host",
        f"{HOSTS}::test_no_policy_opens_a_wildcard_where_anybody_registers_names",
    ),
    f"{_POLICY}.hosts[].reason": Row(
        "`decide`: without it a wildcard counts for nothing where anybody gets a name (the list's private part, and a "
        "kept one)",
        f"{HOSTS}::test_where_anybody_gets_a_name_a_wildcard_needs_a_reason",
    ),
    f"{_POLICY}.tunnel": Row(
        "`decide`, in every binding policy, beside hosts",
        f"{HOSTS}::test_tunnels_need_the_leave_of_every_policy",
        f"{HOSTS}::test_a_tunnel_is_no_way_to_a_host_that_is_not_allowed",
    ),
    f"{_POLICY}.unkeyed": Row(
        "`decide`: a host of a known LLM provider, in every binding policy, beside hosts",
        f"{HOSTS}::test_a_host_of_an_llm_provider_needs_leave_to_be_used_with_any_key",
    ),
}


def rows() -> Iterator[tuple[str, Row]]:
    """Field -> row."""
    return iter(_ROWS.items())
