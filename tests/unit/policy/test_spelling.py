"""What a misspelt word was perhaps meant to be: the words of docs and of kubectl's short names."""

import pytest

from ringfence.policy import spelling

READ = "get, list, watch"
VERBS = {
    "read": READ,
    "View": READ,
    "write": "create, update, patch",
    "edit": "update, patch",
    "add": "create",
    "post": "create",
    "PUT": "update",
    "remove": "delete",
    "fly": "one or more of get, list, watch, create, update, patch, delete, deletecollection",
}
GROUPS = {
    "core": '"" (the core group has no name)',
    "v1": '"" (the core group has no name)',
    "extensions": "apps or networking.k8s.io",
    "extensions/v1beta1": "apps or networking.k8s.io",
    "discovery": "discovery.k8s.io",
    "networking": "networking.k8s.io",
    "coordination": "coordination.k8s.io",
    "events": "events.k8s.io",
    "Apps": "apps, in lower case and without a version",
    "apps/v1": "apps, in lower case and without a version",
    "": "one of",
    "nowhere.example": 'one of "", apps, autoscaling, batch, coordination.k8s.io, discovery.k8s.io, events.k8s.io, '
    "networking.k8s.io, policy",
}
RESOURCES = {
    "cm": ("configmaps", '""'),
    "deploy": ("deployments", "apps"),
    "ds": ("daemonsets", "apps"),
    "ep": ("endpoints", '""'),
    "ev": ("events", '"" or events.k8s.io'),
    "hpa": ("horizontalpodautoscalers", "autoscaling"),
    "ing": ("ingresses", "networking.k8s.io"),
    "logs": ("pods/log", '""'),
    "pdb": ("poddisruptionbudgets", "policy"),
    "po": ("pods", '""'),
    "pods/logs": ("pods/log", '""'),
    "pvc": ("persistentvolumeclaims", '""'),
    "rs": ("replicasets", "apps"),
    "sts": ("statefulsets", "apps"),
    "svc": ("services", '""'),
    "Pod": ("pods", '""'),
    "ingress": ("ingresses", "networking.k8s.io"),
    "JOBS": ("jobs", "batch"),
}


@pytest.mark.parametrize(("word", "meant"), VERBS.items())
def test_verbs(word: str, meant: str) -> None:
    assert spelling.verb(word) == f"write {meant}"


def test_a_known_verb_is_lower_case() -> None:
    assert spelling.verb("LIST") == "verbs are lower case: write list"


@pytest.mark.parametrize(("word", "meant"), GROUPS.items())
def test_groups(word: str, meant: str) -> None:
    assert spelling.group(word).startswith(f"write {meant}")


@pytest.mark.parametrize("word", RESOURCES)
def test_resources(word: str) -> None:
    meant, groups = RESOURCES[word]
    assert spelling.resource(word) == f"write {meant}, in a rule of its own with apiGroups: [{groups}]"


@pytest.mark.parametrize("word", ["widgets", "", "secrets", "s"])
def test_what_means_nothing_is_to_be_left_out(word: str) -> None:
    assert spelling.resource(word).startswith("leave it out")
