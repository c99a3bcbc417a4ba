"""Rows of docs/enforcement.md: what an agent runs, and where."""

from tools.cover import guards
from tools.enforced_containers import rows as rows_of_containers
from tools.enforced_rows import Row
from tools.enforced_tests import (
    ADMISSION,
    AGENTS,
    BOUNDS,
    BUILT,
    BY_POLICY,
    CALLED,
    CALLER,
    CONTROLLER,
    EDITED,
    FILES,
    GIVEN,
    GIVEN_SAID,
    HELD,
    ID,
    IDS,
    IMAGES,
    INSIDE,
    LIMIT,
    MARKS,
    NODES,
    OWN_PORT,
    PEER,
    PLACED,
    PLAIN,
    PODS,
    PROBE,
    PROBES,
    REQUEST,
    RUNS,
    RUNS_LIVE,
    SAMPLES,
    SCHEDULED,
    SCHEDULING,
    SCRATCH,
    SHAPES,
    SIGNED,
    SIGNED_SAID,
    STOP,
    VOLUMES,
)

PLACEMENT: dict[str, Row] = {
    **{
        f"AgentDeployment.spec.scheduling.nodeAffinity.{field}": Row(
            f"{NODES}; what is compared in another way than with In needs the key with any value",
            *SCHEDULED,
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
            f"{NODES}; its selector is the label of one agent of the agent's own namespace; only its own pods are "
            "kept away for good: CEL",
            *SCHEDULED,
            f"{SCHEDULING}::test_no_agent_keeps_another_one_from_starting",
            PLACED,
        )
        for which in ("near", "apart")
        for field in ("agent", "topologyKey", "whenUnsatisfiable")
    },
}

POD: dict[str, Row] = {
    **dict(rows_of_containers()),
    "AgentDeployment.spec.image": Row(
        "`decide`: registry and digest, by each AgentPolicy; the Deployment runs this image and no other",
        f"{IMAGES}::test_b68_no_digest",
        f"{IMAGES}::test_registries_match_by_segments",
        EDITED,
    ),
    "AgentDeployment.spec.imageSignatures[].bundle": Row(
        f"{SIGNED_SAID}, where an AgentPolicy asks for it; what cannot be read is refused always",
        f"{SIGNED}::test_a_malformed_bundle_is_told_with_its_place",
        f"{SIGNED}::test_what_was_changed_after_signing_is_no_signature",
        f"{ADMISSION}::test_an_image_that_nobody_signed_is_refused",
    ),
    "AgentDeployment.spec.command": Row(
        f"the container's command, without a shell; {PLAIN}", f"{INSIDE}::test_what_runs", SHAPES
    ),
    "AgentDeployment.spec.args": Row(
        f"the container's arguments; {PLAIN}", f"{INSIDE}::test_what_runs", SHAPES, CALLED
    ),
    "AgentDeployment.spec.env[].name": Row(
        "the container's environment; no second entry of one name", f"{INSIDE}::test_what_runs", SAMPLES
    ),
    "AgentDeployment.spec.env[].value": Row(
        f"the container's environment; no field refers to a Secret or another object; {PLAIN}",
        f"{INSIDE}::test_what_runs",
        SHAPES,
        CALLED,
        f"{ADMISSION}::test_a_secret_in_plain_text_is_refused_and_not_repeated",
        "tests/api/test_yaml.py::test_kubectl_apply_names_the_unknown_field",
    ),
    "AgentDeployment.spec.envFrom[].configMap": Row(
        GIVEN_SAID, GIVEN, f"{FILES}::test_other_configuration_is_another_program"
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
        f"an annotation of the pods' template, which the kubelet writes out; the guard `pods` keeps it; {PLAIN}",
        f"{CONTROLLER}/test_configured.py::test_another_content_is_rolled_out_and_an_edit_of_it_put_right",
        f"{FILES}::test_a_secret_in_a_file_is_refused_and_not_repeated",
        *guards("test_an_agents_pod_keeps_its_files"),
        f"{INSIDE}::test_configuration",
    ),
    "AgentDeployment.spec.files[].configMap.name": Row(GIVEN_SAID, GIVEN, f"{INSIDE}::test_configuration"),
    "AgentDeployment.spec.files[].configMap.key": Row(
        "the one key that is mounted",
        "tests/unit/resources/test_files.py::test_all_of_a_pod_finds_its_place",
        f"{INSIDE}::test_configuration",
    ),
    "AgentDeployment.spec.resources.requests.cpu": Row(
        REQUEST, HELD, f"{INSIDE}::test_resources", f"{PODS}::test_resources_that_fit"
    ),
    "AgentDeployment.spec.resources.requests.memory": Row(
        REQUEST, HELD, f"{INSIDE}::test_resources", f"{PODS}::test_resources_that_fit"
    ),
    "AgentDeployment.spec.resources.requests.ephemeral-storage": Row(
        REQUEST, HELD, f"{INSIDE}::test_resources", f"{PODS}::test_resources_that_fit"
    ),
    "AgentDeployment.spec.resources.limits.cpu": Row(LIMIT, f"{INSIDE}::test_resources", f"{PODS}::test_limits_limit"),
    "AgentDeployment.spec.resources.limits.memory": Row(
        LIMIT, f"{INSIDE}::test_resources", f"{PODS}::test_limits_limit"
    ),
    "AgentDeployment.spec.resources.limits.ephemeral-storage": Row(
        LIMIT, f"{INSIDE}::test_resources", f"{PODS}::test_limits_limit"
    ),
    "AgentDeployment.spec.replicas": Row(
        "the Deployment's replicas; at most one pod mounts a volume: CEL; a change by the scale subresource is decided "
        "as one of the whole object",
        f"{INSIDE}::test_replicas",
        f"{ADMISSION}::test_an_agent_is_scaled_within_what_policies_allow",
        "tests/unit/admission/test_app_size.py::test_it_is_decided_as_a_change_of_the_whole",
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
        f"{PEER}: only a port that network.ingress names is open, also by the agent's Service; that is ClusterIP, and "
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
    "AgentDeployment.spec.probes[].http.path": Row(PROBE, f"{INSIDE}::test_probes", BUILT),
    "AgentDeployment.spec.probes[].http.port": Row(OWN_PORT, PROBES, SAMPLES),
    "AgentDeployment.spec.probes[].http.scheme": Row(PROBE, BUILT),
    "AgentDeployment.spec.probes[].tcp.port": Row(OWN_PORT, PROBES, SAMPLES),
    "AgentDeployment.spec.probes[].command": Row(
        f"the container's probe, inside of the fence and without a shell; another one is another program; {PLAIN}",
        f"{INSIDE}::test_probes",
        "tests/unit/policy/test_probes.py::test_another_command_is_another_program",
        "tests/unit/policy/test_probes.py::test_a_secret_in_a_command_is_refused",
    ),
    "AgentDeployment.spec.probes[].every": Row(PROBE, BUILT, SAMPLES),
    "AgentDeployment.spec.probes[].timeout": Row(PROBE, BUILT, SAMPLES),
    "AgentDeployment.spec.probes[].delay": Row(PROBE, BUILT, SAMPLES),
    "AgentDeployment.spec.probes[].failures": Row(PROBE, BUILT, BOUNDS),
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
        f"the container's preStop, inside of the fence and without a shell; another one is another program; {PLAIN}",
        f"{INSIDE}::test_stop",
        f"{STOP}::test_another_command_is_another_program",
        f"{STOP}::test_a_secret_in_the_command_is_refused",
    ),
    "AgentDeployment.spec.podLabels": Row(
        f"the pods' labels, beside ours; keys that lead pods never: CEL; {BY_POLICY}; the guard `labels` lets nothing "
        "of others select by them alone",
        f"{MARKS}::test_every_policy_must_name_it",
        f"{MARKS}::test_no_policy_allows_what_leads_pods",
        f"{MARKS}::test_they_are_on_the_pods_and_never_in_place_of_ours",
        "tests/chart/guards/test_guards_labels.py::test_no_policy_of_others_opens_by_such_a_label",
        f"{AGENTS}/test_network.py::test_a_label_opens_nothing_where_guards_are_and_is_told_where_not",
    ),
    "AgentDeployment.spec.podAnnotations": Row(
        f"the pods' annotations; keys that lead meshes, networks or runtimes never: CEL; {BY_POLICY}; {PLAIN}",
        f"{MARKS}::test_every_policy_must_name_it",
        f"{MARKS}::test_no_policy_allows_what_leads_pods",
        f"{MARKS}::test_a_secret_in_an_annotation_is_refused",
    ),
    "AgentDeployment.spec.runAsUser": Row(ID, *IDS, f"{INSIDE}::test_user"),
    "AgentDeployment.spec.runAsGroup": Row(f"{ID}; volumes belong to it", *IDS, f"{INSIDE}::test_user"),
    "AgentDeployment.spec.scheduling.nodeSelector": Row(NODES, *SCHEDULED),
    "AgentDeployment.spec.scheduling.tolerations[].key": Row(
        f"{NODES}; those of control-plane nodes never: CEL",
        *SCHEDULED,
        f"{SCHEDULING}::test_control_plane_nodes_are_never_tolerated",
        f"{SCHEDULING}::test_not_all_taints_at_once",
    ),
    "AgentDeployment.spec.scheduling.tolerations[].value": Row(NODES, *SCHEDULED),
    "AgentDeployment.spec.scheduling.tolerations[].effect": Row(NODES, *SCHEDULED),
    **{
        f"AgentDeployment.spec.scheduling.spread[].{field}": Row(
            f"{NODES}; its selector is the agent's own label", *SCHEDULED
        )
        for field in ("topologyKey", "maxSkew", "whenUnsatisfiable")
    },
    "AgentDeployment.spec.volumes[].claim": Row(
        f"{BY_POLICY}; none whose name begins with `ringfence-`, which are agents' own",
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
        f"the volume, read-only for the whole pod (kubelet); {BY_POLICY}",
        f"{VOLUMES}::test_every_policy_must_name_it",
        f"{INSIDE}::test_volumes",
        BUILT,
    ),
    **PLACEMENT,
    "AgentDeployment.spec.scheduling.priorityClassName": Row(NODES, *SCHEDULED),
    "AgentDeployment.spec.devices[].name": Row(
        f"the container's limits and requests; {BY_POLICY}",
        f"{SCHEDULING}::test_devices_are_counted_over_all_pods",
        f"{SCHEDULING}::test_no_resource_of_kubernetes_is_a_device",
        BUILT,
    ),
    "AgentDeployment.spec.devices[].count": Row(
        f"the container's limits and requests; {BY_POLICY}",
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
}
