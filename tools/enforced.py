"""What enforces each field, and which tests prove it: the source of docs/enforcement.md.

A row comes with its field, in one change. A test id is FILE::FUNCTION.
"""

from dataclasses import dataclass


@dataclass(frozen=True, init=False)
class Row:
    """`by`: what enforces it, in words (Markdown). `tests`: at least one test that tries to break it."""

    by: str
    tests: tuple[str, ...]

    def __init__(self, by: str, *tests: str) -> None:
        object.__setattr__(self, "by", by)
        object.__setattr__(self, "tests", tests)


BOUNDS = "tests/api/test_bounds.py::test_both_ends_of_each_bound"
TWICE = "tests/api/test_samples.py::test_invalid_with_the_path_or_the_sentence"
WORDS = "tests/api/test_text.py::test_words_are_plain_ascii"
EGRESS = "tests/unit/policy/test_egress.py"
RIGHTS = "tests/unit/policy/test_rights.py"
IMAGES = "tests/unit/policy/test_images.py"
PODS = "tests/unit/policy/test_pods.py"
DECIDE = "tests/unit/policy/test_decide.py"

_PEER = "NetworkPolicy `-allow`, over `-deny` that drops all else"
_RULE = "Role and RoleBinding in the agent's namespace, behind `decide` and the ClusterRole `ringfence-agent-ceiling`"
_LIMIT = "the container's limits (kubelet, kernel); absent or 0 is never unlimited: `decide`"
_REQUEST = "the container's requests (scheduler)"
_SELECTOR = "`decide` binds the policy by it; an unreadable selector binds everywhere"
_ALLOW = "`decide`: each right of an agent must be in every binding policy"

FIELDS: dict[str, Row] = {
    "AgentDeployment.spec.image": Row(
        "`decide`: registry and digest, by each AgentPolicy; the Deployment runs this image and no other",
        f"{IMAGES}::test_b68_no_digest",
        f"{IMAGES}::test_registries_match_by_segments",
    ),
    "AgentDeployment.spec.command": Row("the container's command, without a shell", BOUNDS),
    "AgentDeployment.spec.args": Row("the container's arguments", BOUNDS),
    "AgentDeployment.spec.env[].name": Row("the container's environment; no second entry of one name", TWICE),
    "AgentDeployment.spec.env[].value": Row(
        "the container's environment; no field refers to a Secret or another object", TWICE
    ),
    "AgentDeployment.spec.resources.requests.cpu": Row(_REQUEST, f"{PODS}::test_resources_that_fit"),
    "AgentDeployment.spec.resources.requests.memory": Row(_REQUEST, f"{PODS}::test_resources_that_fit"),
    "AgentDeployment.spec.resources.requests.ephemeral-storage": Row(_REQUEST, f"{PODS}::test_resources_that_fit"),
    "AgentDeployment.spec.resources.limits.cpu": Row(_LIMIT, f"{PODS}::test_limits_limit"),
    "AgentDeployment.spec.resources.limits.memory": Row(_LIMIT, f"{PODS}::test_limits_limit"),
    "AgentDeployment.spec.resources.limits.ephemeral-storage": Row(_LIMIT, f"{PODS}::test_limits_limit"),
    "AgentDeployment.spec.replicas": Row("the Deployment's replicas; at most one pod mounts a volume: CEL", BOUNDS),
    "AgentDeployment.spec.suspended": Row("the Deployment has no replicas while true; the fence stays", BOUNDS),
    "AgentDeployment.spec.ports[].name": Row("a name for network.ingress and health; opens nothing", TWICE),
    "AgentDeployment.spec.ports[].port": Row(f"{_PEER}: only a port that network.ingress names is open", BOUNDS),
    "AgentDeployment.spec.storage.mountPath": Row(
        "the volume's mount, on a read-only root; `decide` refuses a path that hides the pod's own",
        f"{PODS}::test_storage_hides_nothing",
    ),
    "AgentDeployment.spec.storage.size": Row(
        "the PersistentVolumeClaim's size; `decide` refuses 0", f"{PODS}::test_storage_has_a_size"
    ),
    "AgentDeployment.spec.storage.storageClassName": Row("the PersistentVolumeClaim's class", BOUNDS),
    "AgentDeployment.spec.health.path": Row("the container's probes", BOUNDS),
    "AgentDeployment.spec.health.port": Row("the container's probes; must be one of spec.ports: CEL", TWICE),
    "AgentDeployment.spec.imagePullSecrets": Row(
        "the pod's imagePullSecrets: read by the kubelet, never mounted", BOUNDS
    ),
    "AgentDeployment.spec.sandbox.runtimeClassName": Row(
        "the pod's runtimeClassName; `decide` asks for what each AgentPolicy asks for", f"{PODS}::test_sandbox"
    ),
    "AgentDeployment.spec.permissions.level": Row(
        "`decide`: the rules must fit under it, and it under each AgentPolicy's maxLevel",
        f"{RIGHTS}::test_everything_of_the_ceiling_is_allowed_at_its_level_and_above",
        f"{RIGHTS}::test_level_above_policy",
    ),
    "AgentDeployment.spec.permissions.rules[].apiGroups": Row(
        _RULE, f"{RIGHTS}::test_refused_with_the_rule_that_helps"
    ),
    "AgentDeployment.spec.permissions.rules[].resources": Row(
        _RULE, f"{RIGHTS}::test_refused_with_the_rule_that_helps"
    ),
    "AgentDeployment.spec.permissions.rules[].resourceNames": Row(
        _RULE, f"{RIGHTS}::test_b12_b13_names_undone_by_another_rule"
    ),
    "AgentDeployment.spec.permissions.rules[].verbs": Row(
        _RULE, f"{RIGHTS}::test_refused_with_the_rule_that_helps", WORDS
    ),
    "AgentDeployment.spec.network.egress[].service.name": Row(
        f"{_PEER}: the pods behind the Service's own selector", f"{EGRESS}::test_services_of_the_own_namespace_are_open"
    ),
    "AgentDeployment.spec.network.egress[].service.namespace": Row(
        f"{_PEER}; `decide` asks every AgentPolicy's serviceNamespaces",
        f"{EGRESS}::test_services_elsewhere_need_every_policy",
        f"{EGRESS}::test_no_policy_opens_the_clusters_own_namespaces",
    ),
    "AgentDeployment.spec.network.egress[].service.port": Row(f"{_PEER}: the target port alone", BOUNDS),
    "AgentDeployment.spec.network.egress[].cidr": Row(
        f"{_PEER}; `decide`: sums of addresses, metadata, the cluster's own networks",
        f"{EGRESS}::test_unrestricted_in_every_spelling",
        f"{EGRESS}::test_b75_metadata_and_the_machine_itself",
        f"{EGRESS}::test_b76_the_cluster_is_never_reached_by_address",
    ),
    "AgentDeployment.spec.network.egress[].ports": Row(f"{_PEER}: these TCP ports alone", BOUNDS),
    "AgentDeployment.spec.network.ingress[].from.namespace": Row(
        f"{_PEER}: namespace and labels must both match", BOUNDS
    ),
    "AgentDeployment.spec.network.ingress[].from.podLabels": Row(
        f"{_PEER}: namespace and labels must both match", BOUNDS
    ),
    "AgentDeployment.spec.network.ingress[].port": Row(f"{_PEER}: this port alone; one of spec.ports: CEL", TWICE),
    "AgentPolicy.spec.namespaceSelector.matchLabels": Row(_SELECTOR, f"{DECIDE}::test_selectors"),
    "AgentPolicy.spec.namespaceSelector.matchExpressions[].key": Row(_SELECTOR, f"{DECIDE}::test_selectors"),
    "AgentPolicy.spec.namespaceSelector.matchExpressions[].operator": Row(_SELECTOR, f"{DECIDE}::test_selectors"),
    "AgentPolicy.spec.namespaceSelector.matchExpressions[].values": Row(_SELECTOR, f"{DECIDE}::test_selectors"),
    "AgentPolicy.spec.permissions.maxLevel": Row(
        "`decide`: an agent's level is at most the lowest of all binding policies", f"{RIGHTS}::test_level_above_policy"
    ),
    "AgentPolicy.spec.permissions.allow[].apiGroups": Row(_ALLOW, f"{RIGHTS}::test_above_policy"),
    "AgentPolicy.spec.permissions.allow[].resources": Row(_ALLOW, f"{RIGHTS}::test_above_policy"),
    "AgentPolicy.spec.permissions.allow[].resourceNames": Row(_ALLOW, f"{RIGHTS}::test_above_policy"),
    "AgentPolicy.spec.permissions.allow[].verbs": Row(_ALLOW, f"{RIGHTS}::test_every_policy_must_allow"),
    "AgentPolicy.spec.egress.cidrs": Row(
        "`decide`: each address of an agent's cidr lies inside, in every binding policy",
        f"{EGRESS}::test_egress_above_policy_names_what_is_outside",
        f"{EGRESS}::test_b71_two_policies_do_not_add_up",
    ),
    "AgentPolicy.spec.egress.serviceNamespaces": Row(
        "`decide`; the cluster's own namespaces stay closed", f"{EGRESS}::test_services_elsewhere_need_every_policy"
    ),
    "AgentPolicy.spec.egress.maxPublicAddresses": Row(
        "`decide`: addresses of all egress rules of an agent added up; the lowest of all binding policies",
        f"{EGRESS}::test_exactly_the_bound_is_allowed",
        f"{EGRESS}::test_splitting_a_network_does_not_change_the_verdict",
    ),
    "AgentPolicy.spec.images.registries": Row("`decide`", f"{IMAGES}::test_registries_match_by_segments"),
    "AgentPolicy.spec.images.requireDigest": Row("`decide`", f"{IMAGES}::test_b68_no_digest"),
    "AgentPolicy.spec.sandbox.runtimeClassNames": Row("`decide`", f"{PODS}::test_sandbox"),
}
"""Every field of every spec. `decide` is ringfence.policy.decide: the same in the webhook and in the controller."""

ALWAYS: dict[str, Row] = {
    "A field that the API does not know is refused": Row(
        "CRD schema, strict field validation of `kubectl`; `parse` in webhook and controller",
        "tests/api/test_bounds.py::test_unknown_fields_are_refused",
        "tests/api/test_yaml.py::test_kubectl_apply_names_the_unknown_field",
    ),
    "Webhook and CRD agree on what an object means": Row(
        "one declaration for both: operator/ringfence/api",
        "tests/api/test_mutations.py::test_both_agree_on_mutations",
        "tests/api/test_defaults.py::test_the_stored_object_is_pythons_dump",
    ),
    "Names and verbs that only look alike are refused": Row(
        "CRD schema: patterns of plain ASCII",
        "tests/api/test_text.py::test_no_field_that_names_something_takes_tricks",
    ),
    "An agent runs only in a namespace that is opened to agents": Row(
        "`decide`, and the ValidatingAdmissionPolicy of the chart", f"{DECIDE}::test_a_namespace_must_be_opened"
    ),
    "No agent gets more than the ceiling, whatever policies say": Row(
        "the API server: the controller may grant only what it holds, the ClusterRole `ringfence-agent-ceiling`",
        "tests/unit/policy/test_levels.py::test_ceiling_rules_are_exactly_the_ceiling",
        "tests/unit/policy/test_levels.py::test_no_level_holds_what_is_forbidden",
    ),
    "Whoever may create an agent cannot claim that it is fenced": Row(
        "status is a subresource", "tests/api/test_kubectl.py::test_status_is_written_apart_from_spec"
    ),
}
"""What no field switches on or off."""
