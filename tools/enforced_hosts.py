"""Rows of docs/enforcement.md for egress by host name: what may be asked for, and what the egress gateway lets out."""

from collections.abc import Iterator

from tools.enforced_rows import Row

SAMPLES = "tests/api/test_samples.py::test_invalid_with_the_path_or_the_sentence"
NAMES = "tests/unit/api/test_hostnames.py"
HOSTS = "tests/unit/policy/test_egress_hosts.py"
_GATEWAY = "egress gateway (Envoy)"
_SPELLING = f"{NAMES}::test_e7_to_e11_any_other_spelling_is_refused_with_what_to_write"
_AGENT = "AgentDeployment.spec.network.egress[]"
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
