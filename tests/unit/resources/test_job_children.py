"""What rotates a secret, whole and letter by letter: each field here is a decision."""

from ringfence.resources.rotation import rotation_children
from ringfence.resources.secret_names import rotation_name
from ringfence.resources.secrets import restart_annotation
from unit.resources.test_rotation import ENV, FILE, IMAGE, agent

NAME = rotation_name("a", "panel")
POD = {
    "serviceAccountName": NAME,
    "serviceAccount": NAME,
    "automountServiceAccountToken": True,
    "enableServiceLinks": False,
    "restartPolicy": "OnFailure",
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "terminationGracePeriodSeconds": 5,
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
    "containers": [
        {
            "name": "rotate",
            "image": IMAGE.name,
            "imagePullPolicy": "IfNotPresent",
            "args": [
                "rotate-job",
                f"--secret={NAME}",
                f"--cron-job={NAME}",
                "--length=32",
                "--every=720h",
                "--overlap=1h",
                "--restart=ringfence-a",
                f"--annotation={restart_annotation('panel')}",
            ],
            "env": [
                {
                    "name": "POD_NAMESPACE",
                    "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
                },
                {
                    "name": "JOB_NAME",
                    "valueFrom": {
                        "fieldRef": {
                            "apiVersion": "v1",
                            "fieldPath": "metadata.labels['batch.kubernetes.io/job-name']",
                        }
                    },
                },
            ],
            "resources": {
                "limits": {"cpu": "500m", "memory": "128Mi"},
                "requests": {"cpu": "20m", "memory": "64Mi"},
            },
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        }
    ],
}


def test_all_of_it() -> None:
    policy, account, role, binding, job = rotation_children(agent(ENV))
    labels = {
        "app.kubernetes.io/managed-by": "ringfence",
        "ringfence.dev/agent": "a",
        "ringfence.dev/rotation": NAME,
    }
    owner = {
        "apiVersion": "ringfence.dev/v1alpha1",
        "kind": "AgentDeployment",
        "name": "a",
        "uid": "u",
        "controller": True,
        "blockOwnerDeletion": True,
    }
    for manifest in (policy, account, role, binding, job):
        assert manifest.pop("metadata") == {
            "name": NAME,
            "namespace": "team",
            "labels": labels,
            "ownerReferences": [owner],
        }
    minute, hour, *rest = job["spec"].pop("schedule").split()
    assert (0 <= int(minute) < 60, 0 <= int(hour) < 24, rest) == (True, True, ["*", "*", "*"])
    only = {"ringfence.dev/rotation": NAME}
    assert account == {"apiVersion": "v1", "kind": "ServiceAccount", "automountServiceAccountToken": False}
    rbac = "rbac.authorization.k8s.io"
    assert role == {
        "apiVersion": f"{rbac}/v1",
        "kind": "Role",
        "rules": [
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [NAME], "verbs": ["get", "update"]},
            {
                "apiGroups": ["apps"],
                "resources": ["deployments"],
                "resourceNames": ["ringfence-a"],
                "verbs": ["get", "patch"],
            },
        ],
    }
    assert binding == {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": NAME},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": "team"}],
    }
    assert job == {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "spec": {
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "suspend": False,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {
                "metadata": {"labels": only},
                "spec": {
                    "backoffLimit": 3,
                    "activeDeadlineSeconds": 300,
                    "ttlSecondsAfterFinished": 3600,
                    "template": {"metadata": {"labels": only}, "spec": POD},
                },
            },
        },
    }
    assert (policy["apiVersion"], policy["kind"]) == ("networking.k8s.io/v1", "NetworkPolicy")
    assert policy["spec"]["podSelector"] == {"matchLabels": only}


def test_a_secret_in_a_file_needs_no_right_on_the_deployment() -> None:
    (role,) = [manifest for manifest in rotation_children(agent(FILE)) if manifest["kind"] == "Role"]
    assert [rule["resources"] for rule in role["rules"]] == [["secrets"]]
