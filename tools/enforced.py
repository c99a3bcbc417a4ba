"""What enforces each field, and which tests prove it: the source of docs/enforcement.md.

A row comes with its field, in one change. A test id is FILE::FUNCTION.
"""

from tools.cover import guards
from tools.enforced_containers import rows as rows_of_containers
from tools.enforced_hosts import rows as rows_of_hosts
from tools.enforced_rows import Row

BOUNDS = "tests/api/test_bounds.py::test_both_ends_of_each_bound"
SAMPLES = "tests/api/test_samples.py::test_invalid_with_the_path_or_the_sentence"
WORDS = "tests/api/test_text.py::test_words_are_plain_ascii"
DECIDE = "tests/unit/policy/test_decide.py"
EGRESS = "tests/unit/policy/test_egress.py"
SIGNED = "tests/unit/policy/test_signatures.py"
IMAGES = "tests/unit/policy/test_images.py"
LEVELS = "tests/unit/policy/test_levels.py"
PODS = "tests/unit/policy/test_pods.py"
STOP = "tests/unit/policy/test_stop.py"
MARKS = "tests/unit/policy/test_marks.py"
IDENTITY = "tests/unit/policy/test_identity.py"
SCRATCH = "tests/unit/policy/test_scratch.py"
FILES = "tests/unit/policy/test_files.py"
RIGHTS = "tests/unit/policy/test_permissions.py"
CUSTOM = "tests/unit/policy/test_custom.py"
ELSEWHERE = "tests/unit/policy/test_elsewhere.py"
ELSEWHERE_GUARDS = "tests/chart/guards/test_guards_elsewhere.py"
ELSEWHERE_LIVE = "tests/api/controller/test_elsewhere.py"
KEYS = "tests/unit/policy/test_secrets.py"
LIMITS = "tests/unit/policy/test_limits.py"
SHAPES = "tests/unit/policy/test_plaintext.py::test_known_shapes_are_refused_wherever_they_stand"
CALLED = "tests/unit/policy/test_plaintext.py::test_a_name_says_that_its_value_is_a_secret"
KEY_CHILDREN = "tests/unit/resources/test_rotation.py"
JOB = "tests/unit/rotation/test_job.py"
HELD = "tests/api/test_requests.py::test_what_is_requested_is_held_to_a_limit_range"
REQUESTER = "tests/unit/admission/test_requester.py"
HOLDS = "tests/api/test_requester.py"
REQUESTED_BY = "tests/chart/guards/test_guards_requester.py"
HELD_BY_REQUESTER = f"{HOLDS}::test_a_tenant_gives_what_the_tenant_holds"
HELD_BY_DELEGATE = f"{HOLDS}::test_the_delegate_is_asked_about_in_place_of_an_applier_that_is_cluster_admin"
GIVEN = f"{HOLDS}::test_a_tenant_gives_no_config_map_that_the_tenant_may_not_read"
ADMISSION = "tests/api/admission/test_admission.py"
CONTROLLER = "tests/api/controller"
AGENTS = "e2e/suites/agents"
ATTACKS = "e2e/suites/attacks"
ESCALATION = "tests/chart/test_escalation.py"
FLOOR = "tests/chart/test_floor.py"
STATIC = "tests/chart/guards/test_static_floor.py"
CONNECTIONS = "tests/chart/guards/test_guards_connections.py"
EXPOSURE = "tests/chart/guards/test_guards_exposure.py"
OWN = "tests/chart/guards/test_guards_own.py"
ALONE = "tests/chart/test_without_admission.py"
ROTATION = "e2e/suites/rotation"

LIMITS_LIVE = f"{CONTROLLER}/test_limits.py"
LIMITS_DOOR = f"{ADMISSION}::test_what_a_namespace_may_ask_for_in_sum"

STORED = f"{CONTROLLER}/test_create.py::test_children_are_stored_in_order_and_as_built"
EDITED = f"{CONTROLLER}/test_drift.py::test_every_edit_is_put_right"
PACKETS = f"{AGENTS}/test_demo.py::test_packets_pass_only_where_the_spec_says"
CALLER = f"{AGENTS}/test_network.py::test_ingress_is_open_for_the_named_peer_on_the_named_port_alone"
OWN_RIGHTS = f"{AGENTS}/test_rights.py::test_an_agent_with_rights_reads_what_its_rules_name"
OTHER_RIGHTS = f"{AGENTS}/test_rights.py::test_an_agent_with_rights_can_do_nothing_else"
INSIDE = f"{AGENTS}/test_fields.py"
RUNS = "tests/api/controller/test_runs.py"
RUNS_LIVE = f"{AGENTS}/test_runs.py"

_PLAIN = "`decide` refuses known shapes of credentials, and values that are called secrets"
_SIGNED = "`decide`, at admission and at write (the floor, which is CEL, can verify nothing)"
_PEER = "NetworkPolicy `-allow`, over `-deny` that drops all else"
_RULE = (
    "Role and RoleBinding in the agent's namespace, behind `decide` and the ClusterRole `ringfence-agent-ceiling`; "
    "admission asks whether the requester, or the namespace's delegate, holds what is new to it or to its program, and "
    "the controller whether the delegate, or whoever asked, still does"
)
_GIVEN = (
    "admission asks whether the requester, or the namespace's delegate, may get the ConfigMap, and the controller "
    "whether the delegate, or whoever asked, still may"
)
_PROBE = "the container's probe (kubelet)"
_OWN_PORT = "the container's probe; must be one of spec.ports: CEL. There is no host and there are no headers"
PROBES = "tests/unit/policy/test_probes.py::test_a_port_must_be_the_agents_own"
BUILT = "tests/unit/resources/test_build.py::test_children_are_as_written_down"
_ID = (
    "the pod's securityContext, with runAsNonRoot; `decide`: in a range of every policy; 0 is no id: schema; absent "
    "where the platform assigns ids, and a pod that got none is told of"
)
_IDS = (
    "tests/unit/policy/test_users.py::test_nobody_is_root_by_any_spelling",
    "tests/unit/policy/test_users.py::test_an_id_is_in_a_range_of_every_policy",
    f"{CONTROLLER}/test_assigned_ids.py::test_an_agent_runs_with_the_ids_that_it_is_given",
    f"{CONTROLLER}/test_assigned_ids.py::test_where_nobody_assigns_it_is_told",
    SAMPLES,
)
_BY_POLICY = "`decide`, at admission and at write: every policy must name it"
_NODES = f"the pods' field for the scheduler; {_BY_POLICY}"
VOLUMES = "tests/unit/policy/test_volumes.py"
SCHEDULING = "tests/unit/policy/test_scheduling.py"
PLACED = f"{AGENTS}/test_placed.py::test_the_scheduler_places_pods_as_they_ask"
_SCHEDULED = (f"{SCHEDULING}::test_each_is_what_a_policy_names", BUILT)
_ANNOTATED = "the ServiceAccount's annotation, which the controller puts back and the guard `children` keeps"
_PROJECTED = "the pods' projected volume: the kubelet asks for such a token, bound to the pod"
_IDENTIFIED = f"{INSIDE}::test_identity"
_LIMIT = "the container's limits (kubelet, kernel); absent is never unlimited, and `decide` refuses 0"
_REQUEST = "the container's requests: the cluster's LimitRanges and quotas count them, and its scheduler"
_SELECTOR = "`decide` binds the policy by it; an unreadable selector binds everywhere"
_SUM = "`decide`, at admission and at write: what the agents of a namespace ask for in sum; all policies must allow it"
_EACH = "`decide`, at admission and at write: what one agent asks for, whatever others do; all policies must allow it"
_CUSTOM = "`decide`: an agent may ask for what every binding policy names, word by word"
_ALLOW = "`decide`: each right of an agent must be in every binding policy"

FIELDS: dict[str, Row] = {
    **dict(rows_of_containers()),
    **dict(rows_of_hosts()),
    "AgentDeployment.spec.image": Row(
        "`decide`: registry and digest, by each AgentPolicy; the Deployment runs this image and no other",
        f"{IMAGES}::test_b68_no_digest",
        f"{IMAGES}::test_registries_match_by_segments",
        EDITED,
    ),
    "AgentDeployment.spec.imageSignatures[].bundle": Row(
        f"{_SIGNED}, where an AgentPolicy asks for it; what cannot be read is refused always",
        f"{SIGNED}::test_a_malformed_bundle_is_told_with_its_place",
        f"{SIGNED}::test_what_was_changed_after_signing_is_no_signature",
        f"{ADMISSION}::test_an_image_that_nobody_signed_is_refused",
    ),
    "AgentDeployment.spec.command": Row(
        f"the container's command, without a shell; {_PLAIN}", f"{INSIDE}::test_what_runs", SHAPES
    ),
    "AgentDeployment.spec.args": Row(
        f"the container's arguments; {_PLAIN}", f"{INSIDE}::test_what_runs", SHAPES, CALLED
    ),
    "AgentDeployment.spec.env[].name": Row(
        "the container's environment; no second entry of one name", f"{INSIDE}::test_what_runs", SAMPLES
    ),
    "AgentDeployment.spec.env[].value": Row(
        f"the container's environment; no field refers to a Secret or another object; {_PLAIN}",
        f"{INSIDE}::test_what_runs",
        SHAPES,
        CALLED,
        f"{ADMISSION}::test_a_secret_in_plain_text_is_refused_and_not_repeated",
        "tests/api/test_yaml.py::test_kubectl_apply_names_the_unknown_field",
    ),
    "AgentDeployment.spec.envFrom[].configMap": Row(
        _GIVEN, GIVEN, f"{FILES}::test_other_configuration_is_another_program"
    ),
    "AgentDeployment.spec.envFrom[].keys": Row(
        "the container's environment, key by key; `decide` refuses names that tell loaders, shells or clients what to "
        "do",
        f"{FILES}::test_a_config_map_decides_no_variable_that_leads_programs",
        f"{FILES}::test_no_variable_is_set_twice",
        f"{INSIDE}::test_configuration",
    ),
    "AgentDeployment.spec.files[].path": Row(
        "a read-only mount for each file; `decide` refuses a path that hides the system's or the pod's own",
        f"{FILES}::test_a_file_hides_nothing_of_the_system_or_the_pod",
        f"{FILES}::test_files_and_the_volume_do_not_hide_each_other",
        f"{INSIDE}::test_configuration",
    ),
    "AgentDeployment.spec.files[].content": Row(
        f"an annotation of the pods' template, which the kubelet writes out; the guard `pods` keeps it; {_PLAIN}",
        f"{CONTROLLER}/test_configured.py::test_another_content_is_rolled_out_and_an_edit_of_it_put_right",
        f"{FILES}::test_a_secret_in_a_file_is_refused_and_not_repeated",
        *guards("test_an_agents_pod_keeps_its_files"),
        f"{INSIDE}::test_configuration",
    ),
    "AgentDeployment.spec.files[].configMap.name": Row(_GIVEN, GIVEN, f"{INSIDE}::test_configuration"),
    "AgentDeployment.spec.files[].configMap.key": Row(
        "the one key that is mounted",
        "tests/unit/resources/test_files.py::test_all_of_a_pod_finds_its_place",
        f"{INSIDE}::test_configuration",
    ),
    "AgentDeployment.spec.resources.requests.cpu": Row(
        _REQUEST, HELD, f"{INSIDE}::test_resources", f"{PODS}::test_resources_that_fit"
    ),
    "AgentDeployment.spec.resources.requests.memory": Row(
        _REQUEST, HELD, f"{INSIDE}::test_resources", f"{PODS}::test_resources_that_fit"
    ),
    "AgentDeployment.spec.resources.requests.ephemeral-storage": Row(
        _REQUEST, HELD, f"{INSIDE}::test_resources", f"{PODS}::test_resources_that_fit"
    ),
    "AgentDeployment.spec.resources.limits.cpu": Row(_LIMIT, f"{INSIDE}::test_resources", f"{PODS}::test_limits_limit"),
    "AgentDeployment.spec.resources.limits.memory": Row(
        _LIMIT, f"{INSIDE}::test_resources", f"{PODS}::test_limits_limit"
    ),
    "AgentDeployment.spec.resources.limits.ephemeral-storage": Row(
        _LIMIT, f"{INSIDE}::test_resources", f"{PODS}::test_limits_limit"
    ),
    "AgentDeployment.spec.replicas": Row(
        "the Deployment's replicas; at most one pod mounts a volume: CEL; a change by the scale subresource is decided "
        "as one of the whole object",
        f"{INSIDE}::test_replicas",
        f"{ADMISSION}::test_an_agent_is_scaled_within_what_policies_allow",
        "tests/unit/admission/test_app.py::test_it_is_decided_as_a_change_of_the_whole",
        SAMPLES,
    ),
    "AgentDeployment.spec.run.mode": Row(
        "Deployment, Job or CronJob, with the same pods; the one of the mode before is gone before the next is made",
        "tests/unit/resources/test_runs.py::test_the_pod_is_that_of_a_service_but_for_its_restarts",
        f"{RUNS}::test_another_mode_begins_when_the_one_before_has_ended",
        f"{RUNS_LIVE}::test_a_job_runs_once_in_its_fence",
    ),
    "AgentDeployment.spec.run.schedule": Row(
        "the CronJob; `decide` reads it as Kubernetes does, and refuses one that never comes",
        f"{RUNS_LIVE}::test_a_schedule_comes",
        "tests/unit/policy/test_cron.py::test_what_is_no_schedule_or_never_comes",
    ),
    "AgentDeployment.spec.run.timeZone": Row(
        "the CronJob; `decide`: a name of the time zone database",
        "tests/unit/policy/test_cron.py::test_time_zones",
    ),
    "AgentDeployment.spec.run.concurrency": Row(
        "the CronJob's concurrencyPolicy; of runs that are asked for, the controller; `decide`: none beside each other "
        "where a policy bounds pods",
        "tests/unit/controller/test_runs.py::test_a_request_beside_another_run",
        "tests/unit/policy/test_cron.py::test_runs_beside_each_other_are_not_bounded",
    ),
    "AgentDeployment.spec.run.deadline": Row(
        "the Job's activeDeadlineSeconds", f"{RUNS_LIVE}::test_the_deadline_ends_a_run"
    ),
    "AgentDeployment.spec.run.retries": Row(
        "the Job's backoffLimit; a pod is never started again", f"{RUNS_LIVE}::test_retries_are_counted"
    ),
    **dict.fromkeys(
        (f"AgentDeployment.spec.run.keep.{name}" for name in ("succeeded", "failed", "time")),
        Row(
            "the CronJob's limits; of its own Jobs, the controller",
            "tests/unit/controller/test_runs.py::test_what_is_not_kept_goes",
        ),
    ),
    "AgentDeployment.spec.suspended": Row(
        "the Deployment has no replicas while true; the fence stays",
        f"{AGENTS}/test_lifecycle.py::test_suspended_stops_the_pods_and_keeps_the_fence",
        f"{RUNS}::test_suspended_no_run_begins",
    ),
    "AgentDeployment.spec.ports[].name": Row(
        "a name for network.ingress, health and the agent's Service; opens nothing by itself", CALLER, SAMPLES
    ),
    "AgentDeployment.spec.ports[].port": Row(
        f"{_PEER}: only a port that network.ingress names is open, also by the agent's Service; that is ClusterIP, and "
        "put back",
        CALLER,
        f"{AGENTS}/test_network.py::test_an_agent_reaches_another_by_its_service_where_both_say_so",
        "tests/unit/resources/test_service.py::test_it_stays_inside_of_the_cluster_and_leads_to_the_agents_own_pods",
        EDITED,
        f"{CONTROLLER}/test_service.py::test_it_comes_and_goes_with_the_ports",
    ),
    "AgentDeployment.spec.storage.mountPath": Row(
        "the volume's mount, on a read-only root; `decide` refuses a path that hides the pod's own",
        f"{AGENTS}/test_pod.py::test_storage_outlives_the_pod",
        f"{AGENTS}/test_pod.py::test_the_root_file_system_is_read_only",
        f"{PODS}::test_storage_hides_nothing",
    ),
    "AgentDeployment.spec.storage.size": Row(
        "the PersistentVolumeClaim's size; `decide` refuses 0",
        f"{INSIDE}::test_storage",
        f"{PODS}::test_storage_has_a_size",
    ),
    "AgentDeployment.spec.storage.storageClassName": Row(
        "the PersistentVolumeClaim's class", f"{INSIDE}::test_storage"
    ),
    "AgentDeployment.spec.health.path": Row("the container's probes", f"{INSIDE}::test_health"),
    "AgentDeployment.spec.health.port": Row(
        "the container's probes; must be one of spec.ports: CEL", f"{INSIDE}::test_health", SAMPLES
    ),
    "AgentDeployment.spec.probes[].type": Row("which of the container's probes it is", f"{INSIDE}::test_probes", BUILT),
    "AgentDeployment.spec.probes[].http.path": Row(_PROBE, f"{INSIDE}::test_probes", BUILT),
    "AgentDeployment.spec.probes[].http.port": Row(_OWN_PORT, PROBES, SAMPLES),
    "AgentDeployment.spec.probes[].http.scheme": Row(_PROBE, BUILT),
    "AgentDeployment.spec.probes[].tcp.port": Row(_OWN_PORT, PROBES, SAMPLES),
    "AgentDeployment.spec.probes[].command": Row(
        f"the container's probe, inside of the fence and without a shell; another one is another program; {_PLAIN}",
        f"{INSIDE}::test_probes",
        "tests/unit/policy/test_probes.py::test_another_command_is_another_program",
        "tests/unit/policy/test_probes.py::test_a_secret_in_a_command_is_refused",
    ),
    "AgentDeployment.spec.probes[].every": Row(_PROBE, BUILT, SAMPLES),
    "AgentDeployment.spec.probes[].timeout": Row(_PROBE, BUILT, SAMPLES),
    "AgentDeployment.spec.probes[].delay": Row(_PROBE, BUILT, SAMPLES),
    "AgentDeployment.spec.probes[].failures": Row(_PROBE, BUILT, BOUNDS),
    "AgentDeployment.spec.scratch[].path": Row(
        "a writable mount, on a read-only root; `decide` refuses a path that hides the system's or the pod's own",
        f"{SCRATCH}::test_it_hides_nothing_of_the_system_or_the_pod",
        f"{SCRATCH}::test_it_hides_no_other_and_no_volume",
        f"{INSIDE}::test_scratch",
    ),
    "AgentDeployment.spec.scratch[].size": Row(
        "the volume's size limit (kubelet: the pod is evicted; Memory: the kernel); `decide`: within the limits",
        f"{SCRATCH}::test_two_of_them_fit_into_what_the_agent_may_use",
        f"{SCRATCH}::test_it_has_a_size",
        BUILT,
    ),
    "AgentDeployment.spec.scratch[].medium": Row("the volume's medium", f"{INSIDE}::test_scratch", BUILT),
    "AgentDeployment.spec.stop.gracePeriod": Row(
        "the pod's terminationGracePeriodSeconds (kubelet): what runs still is killed then; `decide`: as long as every "
        "policy allows; a pod with another number is of an edit, and ends at once",
        f"{STOP}::test_every_policy_must_allow_a_longer_period",
        f"{STOP}::test_it_is_never_without_an_end",
        f"{INSIDE}::test_stop",
        "tests/unit/store/test_left_behind.py::test_a_period_is_remembered_as_long_as_its_pods_are_there",
        f"{CONTROLLER}/test_left_behind.py::test_pods_of_the_spec_before_keep_their_time",
    ),
    "AgentDeployment.spec.stop.command": Row(
        f"the container's preStop, inside of the fence and without a shell; another one is another program; {_PLAIN}",
        f"{INSIDE}::test_stop",
        f"{STOP}::test_another_command_is_another_program",
        f"{STOP}::test_a_secret_in_the_command_is_refused",
    ),
    "AgentDeployment.spec.podLabels": Row(
        f"the pods' labels, beside ours; keys that lead pods never: CEL; {_BY_POLICY}; the guard `labels` lets nothing "
        "of others select by them alone",
        f"{MARKS}::test_every_policy_must_name_it",
        f"{MARKS}::test_no_policy_allows_what_leads_pods",
        f"{MARKS}::test_they_are_on_the_pods_and_never_in_place_of_ours",
        "tests/chart/guards/test_guards_labels.py::test_no_policy_of_others_opens_by_such_a_label",
        f"{AGENTS}/test_network.py::test_a_label_opens_nothing_where_guards_are_and_is_told_where_not",
    ),
    "AgentDeployment.spec.podAnnotations": Row(
        f"the pods' annotations; keys that lead meshes, networks or runtimes never: CEL; {_BY_POLICY}; {_PLAIN}",
        f"{MARKS}::test_every_policy_must_name_it",
        f"{MARKS}::test_no_policy_allows_what_leads_pods",
        f"{MARKS}::test_a_secret_in_an_annotation_is_refused",
    ),
    "AgentDeployment.spec.runAsUser": Row(_ID, *_IDS, f"{INSIDE}::test_user"),
    "AgentDeployment.spec.runAsGroup": Row(f"{_ID}; volumes belong to it", *_IDS, f"{INSIDE}::test_user"),
    "AgentDeployment.spec.scheduling.nodeSelector": Row(_NODES, *_SCHEDULED),
    "AgentDeployment.spec.scheduling.tolerations[].key": Row(
        f"{_NODES}; those of control-plane nodes never: CEL",
        *_SCHEDULED,
        f"{SCHEDULING}::test_control_plane_nodes_are_never_tolerated",
        f"{SCHEDULING}::test_not_all_taints_at_once",
    ),
    "AgentDeployment.spec.scheduling.tolerations[].value": Row(_NODES, *_SCHEDULED),
    "AgentDeployment.spec.scheduling.tolerations[].effect": Row(_NODES, *_SCHEDULED),
    **{
        f"AgentDeployment.spec.scheduling.spread[].{field}": Row(
            f"{_NODES}; its selector is the agent's own label", *_SCHEDULED
        )
        for field in ("topologyKey", "maxSkew", "whenUnsatisfiable")
    },
    **{
        f"AgentDeployment.spec.scheduling.nodeAffinity.{field}": Row(
            f"{_NODES}; what is compared in another way than with In needs the key with any value",
            *_SCHEDULED,
            f"{SCHEDULING}::test_what_is_not_named_is_chosen_by_a_key_that_is_open",
            PLACED,
        )
        for field in (
            *(f"{which}[].{part}" for which in ("required", "preferred") for part in ("key", "operator", "values")),
            "preferred[].weight",
        )
    },
    **{
        f"AgentDeployment.spec.scheduling.{which}[].{field}": Row(
            f"{_NODES}; its selector is the label of one agent of the agent's own namespace; only its own pods are "
            "kept away for good: CEL",
            *_SCHEDULED,
            f"{SCHEDULING}::test_no_agent_keeps_another_one_from_starting",
            PLACED,
        )
        for which in ("near", "apart")
        for field in ("agent", "topologyKey", "whenUnsatisfiable")
    },
    "AgentDeployment.spec.volumes[].claim": Row(
        f"{_BY_POLICY}; none whose name begins with `ringfence-`, which are agents' own",
        f"{VOLUMES}::test_every_policy_must_name_it",
        f"{VOLUMES}::test_no_agent_gets_the_storage_of_another_one",
        f"{INSIDE}::test_volumes",
    ),
    "AgentDeployment.spec.volumes[].mountPath": Row(
        "the volume's mount; `decide` refuses a path that hides the system's or the pod's own",
        f"{VOLUMES}::test_it_hides_nothing",
        f"{VOLUMES}::test_it_hides_no_other_and_nothing_lies_in_it",
        BUILT,
    ),
    "AgentDeployment.spec.volumes[].access": Row(
        f"the volume, read-only for the whole pod (kubelet); {_BY_POLICY}",
        f"{VOLUMES}::test_every_policy_must_name_it",
        f"{INSIDE}::test_volumes",
        BUILT,
    ),
    "AgentDeployment.spec.scheduling.priorityClassName": Row(_NODES, *_SCHEDULED),
    "AgentDeployment.spec.devices[].name": Row(
        f"the container's limits and requests; {_BY_POLICY}",
        f"{SCHEDULING}::test_devices_are_counted_over_all_pods",
        f"{SCHEDULING}::test_no_resource_of_kubernetes_is_a_device",
        BUILT,
    ),
    "AgentDeployment.spec.devices[].count": Row(
        f"the container's limits and requests; {_BY_POLICY}",
        f"{SCHEDULING}::test_devices_are_counted_over_all_pods",
        BUILT,
    ),
    "AgentDeployment.spec.imagePullSecrets": Row(
        "the pod's imagePullSecrets: read by the kubelet, never mounted",
        f"{AGENTS}/test_lifecycle.py::test_a_missing_pull_secret_is_told",
        f"{INSIDE}::test_pull_secrets",
    ),
    "AgentDeployment.spec.sandbox.runtimeClassName": Row(
        "the pod's runtimeClassName; `decide` asks for what each AgentPolicy asks for",
        f"{INSIDE}::test_sandbox",
        f"{PODS}::test_sandbox",
    ),
    "AgentDeployment.spec.identity.annotations[].key": Row(
        f"{_ANNOTATED}; one of a list, each with its source: schema",
        f"{IDENTITY}::test_what_is_annotated_is_of_the_list",
        f"{CONTROLLER}/test_identity.py::test_every_edit_of_it_is_put_right",
        SAMPLES,
    ),
    "AgentDeployment.spec.identity.annotations[].value": Row(
        f"{_ANNOTATED}; {_BY_POLICY}",
        f"{IDENTITY}::test_each_is_what_every_policy_names",
        f"{CONTROLLER}/test_identity.py::test_every_edit_of_it_is_put_right",
    ),
    "AgentDeployment.spec.identity.tokens[].audience": Row(
        f"{_PROJECTED}; never for the API server: schema, and what its own token tells Ringfence; {_BY_POLICY}",
        f"{IDENTITY}::test_no_token_is_for_the_api_server",
        f"{IDENTITY}::test_each_is_what_every_policy_names",
        _IDENTIFIED,
    ),
    "AgentDeployment.spec.identity.tokens[].path": Row(
        "a read-only mount of its directory; `decide` refuses one that hides the system's, the pod's or another",
        f"{IDENTITY}::test_a_token_hides_nothing",
        _IDENTIFIED,
    ),
    "AgentDeployment.spec.identity.tokens[].expiration": Row(
        f"{_PROJECTED}; from 10m to 24h: CEL", _IDENTIFIED, SAMPLES
    ),
    "AgentDeployment.spec.permissions.level": Row(
        "`decide`: the rules must fit under it, and it under each AgentPolicy's maxLevel; it grants nothing itself",
        f"{RIGHTS}::test_everything_of_the_ceiling_is_allowed_at_its_level_and_above",
        f"{RIGHTS}::test_level_above_policy",
    ),
    "AgentDeployment.spec.permissions.rules[].apiGroups": Row(_RULE, OWN_RIGHTS, OTHER_RIGHTS, HELD_BY_REQUESTER),
    "AgentDeployment.spec.permissions.rules[].resources": Row(
        _RULE, OTHER_RIGHTS, f"{RIGHTS}::test_refused_with_the_rule_that_helps", HELD_BY_REQUESTER, HELD_BY_DELEGATE
    ),
    "AgentDeployment.spec.permissions.rules[].resourceNames": Row(
        _RULE,
        f"{INSIDE}::test_resource_names",
        f"{RIGHTS}::test_b12_b13_names_undone_by_another_rule",
        HELD_BY_REQUESTER,
    ),
    "AgentDeployment.spec.permissions.rules[].verbs": Row(
        _RULE, OTHER_RIGHTS, f"{RIGHTS}::test_refused_with_the_rule_that_helps", HELD_BY_REQUESTER, WORDS
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
        f"{_PEER}: the pods behind the Service's own selector",
        PACKETS,
        f"{AGENTS}/test_network.py::test_a_service_that_comes_later_is_opened_then",
    ),
    "AgentDeployment.spec.network.egress[].service.namespace": Row(
        f"{_PEER}; `decide` asks every AgentPolicy's serviceNamespaces",
        PACKETS,
        f"{EGRESS}::test_services_elsewhere_need_every_policy",
        f"{EGRESS}::test_no_policy_opens_the_clusters_own_namespaces",
    ),
    "AgentDeployment.spec.network.egress[].service.port": Row(
        f"{_PEER}: the target port alone",
        f"{AGENTS}/test_network.py::test_a_service_that_comes_later_is_opened_then",
    ),
    "AgentDeployment.spec.network.egress[].cidr": Row(
        f"{_PEER}; `decide`: sums of addresses, metadata, the cluster's own networks; nodes, pods and Services that "
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
        f"{_PEER}: these ports alone, over TCP alone; of a host: egress gateway (Envoy)",
        PACKETS,
        f"{AGENTS}/test_network.py::test_udp_does_not_pass_where_tcp_is_allowed",
    ),
    "AgentDeployment.spec.network.ingress[].from.namespace": Row(
        f"{_PEER}: namespace and labels must both match; `decide` asks every AgentPolicy's ingress.namespaces",
        "tests/unit/policy/test_ingress.py::test_who_may_be_let_in",
        f"{AGENTS}/test_network.py::test_a_peer_of_the_right_labels_in_another_namespace_is_not_the_named_one",
    ),
    "AgentDeployment.spec.network.ingress[].from.podLabels": Row(
        f"{_PEER}: namespace and labels must both match", CALLER
    ),
    "AgentDeployment.spec.network.ingress[].port": Row(f"{_PEER}: this port alone; one of spec.ports: CEL", CALLER),
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
    "AgentPolicy.spec.namespaceSelector.matchLabels": Row(_SELECTOR, f"{DECIDE}::test_selectors"),
    "AgentPolicy.spec.namespaceSelector.matchExpressions[].key": Row(_SELECTOR, f"{DECIDE}::test_selectors"),
    "AgentPolicy.spec.namespaceSelector.matchExpressions[].operator": Row(_SELECTOR, f"{DECIDE}::test_selectors"),
    "AgentPolicy.spec.namespaceSelector.matchExpressions[].values": Row(_SELECTOR, f"{DECIDE}::test_selectors"),
    "AgentPolicy.spec.permissions.maxLevel": Row(
        "`decide`: an agent's level is at most the lowest of all binding policies",
        f"{RIGHTS}::test_level_above_policy",
        f"{ADMISSION}::test_a_policy_that_became_stricter_locks_nobody_out",
    ),
    "AgentPolicy.spec.permissions.allow[].apiGroups": Row(_ALLOW, f"{RIGHTS}::test_above_policy"),
    "AgentPolicy.spec.permissions.allow[].resources": Row(_ALLOW, f"{RIGHTS}::test_above_policy"),
    "AgentPolicy.spec.permissions.allow[].resourceNames": Row(_ALLOW, f"{RIGHTS}::test_above_policy"),
    "AgentPolicy.spec.permissions.allow[].verbs": Row(_ALLOW, f"{RIGHTS}::test_every_policy_must_allow"),
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
        f"{_CUSTOM}; groups of Kubernetes, and those that are known to give power, count for nothing",
        f"{CUSTOM}::test_what_a_policy_names_is_allowed",
        f"{CUSTOM}::test_what_grants_power_counts_for_nothing_and_is_told",
    ),
    "AgentPolicy.spec.permissions.customResources[].resources": Row(
        f"{_CUSTOM}; names of roles, bindings, tokens, secrets, policies, webhooks and the like count for nothing",
        f"{CUSTOM}::test_and_nothing_else",
        f"{CUSTOM}::test_what_grants_power_counts_for_nothing_and_is_told",
        f"{CONTROLLER}/test_ceiling.py::test_a_custom_resource_waits_for_the_ceiling_and_says_what_to_write",
    ),
    "AgentPolicy.spec.permissions.customResources[].verbs": Row(
        f"{_CUSTOM}; plain verbs alone",
        f"{CUSTOM}::test_and_nothing_else",
        f"{CUSTOM}::test_so_do_verbs_that_are_not_plain",
    ),
    "AgentPolicy.spec.permissions.customResources[].level": Row(
        f"{_CUSTOM}, from this level on",
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
        f"{_SIGNED}: one of the keys signed the image's digest, in every binding policy",
        f"{SIGNED}::test_what_cosign_signs_is_verified",
        f"{SIGNED}::test_what_was_changed_after_signing_is_no_signature",
        f"{SIGNED}::test_every_policy_must_be_content",
        f"{ADMISSION}::test_an_image_that_nobody_signed_is_refused",
    ),
    "AgentPolicy.spec.images.attestations": Row(
        f"{_SIGNED}: one of the keys attested each type; what it says is not looked at",
        f"{SIGNED}::test_what_cosign_attests_is_verified",
    ),
    "AgentPolicy.spec.sandbox.runtimeClassNames": Row("`decide`", f"{PODS}::test_sandbox"),
    **{
        f"AgentPolicy.spec.identity.{field}": Row(_BY_POLICY, f"{IDENTITY}::test_each_is_what_every_policy_names")
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
        _SUM,
        f"{LIMITS}::test_each_limit_alone",
        LIMITS_DOOR,
        f"{LIMITS_LIVE}::test_two_at_once_and_room_for_one",
    ),
    "AgentPolicy.spec.limits.replicas": Row(
        _SUM,
        f"{LIMITS}::test_each_limit_alone",
        LIMITS_DOOR,
        f"{LIMITS_LIVE}::test_two_at_once_and_room_for_one",
    ),
    "AgentPolicy.spec.limits.cpu": Row(
        _SUM,
        f"{LIMITS}::test_each_limit_alone",
        LIMITS_DOOR,
        f"{LIMITS_LIVE}::test_two_at_once_and_room_for_one",
    ),
    "AgentPolicy.spec.limits.memory": Row(
        _SUM,
        f"{LIMITS}::test_each_limit_alone",
        LIMITS_DOOR,
        f"{LIMITS_LIVE}::test_two_at_once_and_room_for_one",
    ),
    "AgentPolicy.spec.limits.storage": Row(
        _SUM,
        f"{LIMITS}::test_each_limit_alone",
        LIMITS_DOOR,
        f"{LIMITS_LIVE}::test_two_at_once_and_room_for_one",
    ),
    "AgentPolicy.spec.limits.perAgent.replicas": Row(_EACH, f"{LIMITS}::test_each_limit_of_one_agent"),
    "AgentPolicy.spec.limits.perAgent.cpu": Row(_EACH, f"{LIMITS}::test_each_limit_of_one_agent"),
    "AgentPolicy.spec.limits.perAgent.memory": Row(_EACH, f"{LIMITS}::test_each_limit_of_one_agent"),
    "AgentPolicy.spec.limits.perAgent.storage": Row(_EACH, f"{LIMITS}::test_each_limit_of_one_agent"),
    **{
        f"AgentPolicy.spec.pods.claims[].{field}": Row(_BY_POLICY, f"{VOLUMES}::test_every_policy_must_name_it")
        for field in ("name", "access")
    },
    "AgentPolicy.spec.pods.maxGracePeriod": Row(
        "`decide`, at admission and at write: all policies must allow it; at most 10m: CEL",
        f"{STOP}::test_every_policy_must_allow_a_longer_period",
        SAMPLES,
    ),
    "AgentPolicy.spec.pods.labels[].key": Row(
        f"{_BY_POLICY}; the guard `labels` takes it for a label of agents",
        f"{MARKS}::test_every_policy_must_name_it",
        "tests/chart/guards/test_guards_labels.py::test_no_service_takes_agents_in_by_such_a_label",
    ),
    "AgentPolicy.spec.pods.labels[].value": Row(_BY_POLICY, f"{MARKS}::test_every_policy_must_name_it"),
    "AgentPolicy.spec.pods.annotations": Row(_BY_POLICY, f"{MARKS}::test_every_policy_must_name_it"),
    "AgentPolicy.spec.pods.users[].first": Row(f"{_ID}: all policies must allow it", *_IDS),
    "AgentPolicy.spec.pods.users[].last": Row(f"{_ID}: all policies must allow it", *_IDS),
    **{
        f"AgentPolicy.spec.pods.{field}": Row(_BY_POLICY, _SCHEDULED[0])
        for field in (
            *("nodeLabels[].key", "nodeLabels[].value", "priorityClassNames", "topologyKeys"),
            *("tolerations[].key", "tolerations[].value", "tolerations[].effect"),
        )
    },
    **{
        f"AgentPolicy.spec.pods.devices[].{field}": Row(
            _BY_POLICY, f"{SCHEDULING}::test_devices_are_counted_over_all_pods"
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
"""Every field of every spec. `decide` is ringfence.policy.decide: the same in the webhook and in the controller."""

ALWAYS: dict[str, Row] = {
    "No connection in either direction that the spec does not name, not even DNS": Row(
        "NetworkPolicy `-deny`, stored before the first pod is made and until the last one is gone",
        PACKETS,
        f"{AGENTS}/test_demo.py::test_on_a_network_that_enforces_nothing_the_same_attempts_get_through",
        f"{AGENTS}/test_lifecycle.py::test_the_deny_policy_is_stored_before_the_pod_is_created",
        f"{AGENTS}/test_lifecycle.py::test_a_pod_that_will_not_stop_stays_fenced_until_it_is_gone",
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
