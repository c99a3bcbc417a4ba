"""What keys become: the pods' volume and variables, and for each rotating one a job in a fence of its own."""

import re
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.api import AgentDeploymentSpec
from ringfence.api.secrets import AgentSecret, duration
from ringfence.resources import Agent, Endpoint, JobImage, Manifest, build
from ringfence.resources.model import ROTATION_LABEL
from ringfence.resources.rotation import rotation_children, schedule, tick
from ringfence.resources.secret_names import MAX_CRONJOB_NAME, rotation_name, secret_reference
from ringfence.resources.secrets import restart_annotation
from ringfence.resources.workload import rolled_out

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True)
FILE = {
    "name": "signing",
    "source": {"generate": {"length": 32}},
    "rotation": {"every": "720h", "overlap": "1h"},
    "delivery": {"file": {"path": "/var/run/ringfence/signing/key"}},
}
ENV = FILE | {"name": "panel", "delivery": {"env": {"name": "PANEL_KEY"}}}
EXISTING = {
    "name": "llm",
    "source": {"existing": {"secretName": "llm-account", "key": "api-key"}},
    "delivery": {"file": {"path": "/var/run/ringfence/llm"}},
}
IMAGE = JobImage("registry.example/ringfence@sha256:" + "a" * 64)


def agent(*secrets: Any, image: JobImage | None = IMAGE) -> Agent:
    spec = AgentDeploymentSpec.model_validate({"image": "registry.example/agent", "secrets": list(secrets)})
    end = (Endpoint("192.0.2.1", 6443), Endpoint("2001:db8::1", 6443))
    return Agent(name="a", namespace="team", uid="u", spec=spec, api_server=end, job_image=image)


def one(kind: str, *secrets: Any) -> Manifest:
    (found,) = [manifest for manifest in rotation_children(agent(*secrets)) if manifest["kind"] == kind]
    return found


def pod(*secrets: Any) -> Manifest:
    found: Manifest = build(agent(*secrets))[-1]["spec"]["template"]["spec"]
    return found


def rotating(every: str) -> AgentSecret:
    return AgentSecret.model_validate(FILE | {"rotation": {"every": every, "overlap": "15m"}})


@given(agents=st.lists(LABEL, min_size=1, max_size=5), secrets=st.lists(LABEL, min_size=1, max_size=5))
def test_no_two_keys_share_a_name_and_none_is_too_long(agents: list[str], secrets: list[str]) -> None:
    pairs = {(agent, secret) for agent in agents for secret in secrets}
    names = {rotation_name(*pair) for pair in pairs}
    assert len(names) == len(pairs)
    for name in names:
        assert len(name) <= MAX_CRONJOB_NAME
        assert re.fullmatch(r"ringfence-[a-z0-9]([-a-z0-9]*[a-z0-9])?\.[0-9a-f]{10}", name)


def test_names_that_only_look_alike_are_told_apart() -> None:
    assert rotation_name("a-b", "c") != rotation_name("a", "b-c")
    assert rotation_name("a" * 63, "c") != rotation_name("a" * 62, "c")


def test_pods_get_the_named_keys_and_no_others() -> None:
    spec = pod(FILE, ENV, EXISTING)
    (volume,) = [one["projected"] for one in spec["volumes"] if one["name"] == "keys"]
    name = rotation_name("a", "signing")
    assert [source["secret"] for source in volume["sources"]] == [
        {"name": name, "items": [{"key": "value", "path": "signing/key"}]},
        {"name": name, "items": [{"key": "previous", "path": "signing/key.previous"}], "optional": True},
        {"name": "llm-account", "items": [{"key": "api-key", "path": "llm"}]},
    ]
    (container,) = spec["containers"]
    (mount,) = [one for one in container["volumeMounts"] if one["name"] == "keys"]
    assert mount == {"name": "keys", "mountPath": "/var/run/ringfence", "readOnly": True}, "never a subPath"
    reference = {"name": rotation_name("a", "panel"), "key": "value"}
    assert container["env"][1:] == [{"name": "PANEL_KEY", "valueFrom": {"secretKeyRef": reference}}]


def test_files_outside_have_a_volume_for_each_directory() -> None:
    def at(name: str, path: str) -> dict[str, Any]:
        return FILE | {"name": name, "delivery": {"file": {"path": path}}}

    spec = pod(at("a", "/srv/keys/a"), FILE, at("b", "/srv/keys/b/c"), at("d", "/etc/agent/d"))
    (container,) = spec["containers"]
    mounts = [(one["mountPath"], one["name"]) for one in container["volumeMounts"] if one["name"].startswith("keys")]
    assert mounts == [("/etc/agent", "keys-0"), ("/srv/keys", "keys-1"), ("/var/run/ringfence", "keys")]
    volumes = {one["name"]: one["projected"]["sources"] for one in spec["volumes"] if one["name"].startswith("keys")}
    files = {name: [one["secret"]["items"][0]["path"] for one in sources] for name, sources in volumes.items()}
    assert files == {
        "keys-0": ["d", "d.previous"],
        "keys-1": ["a", "a.previous", "b/c", "b/c.previous"],
        "keys": ["signing/key", "signing/key.previous"],
    }


def test_without_keys_there_is_no_trace_of_them() -> None:
    assert "keys" not in {one["name"] for one in pod()["volumes"]}
    assert list(rotation_children(agent())) == list(rotation_children(agent(EXISTING))) == []


def test_the_fence_comes_before_the_job_and_all_of_it_is_named_alike() -> None:
    found = list(rotation_children(agent(FILE, ENV)))
    kinds = ["NetworkPolicy", "ServiceAccount", "Role", "RoleBinding", "CronJob"]
    assert [manifest["kind"] for manifest in found] == kinds * 2
    names = [rotation_name("a", "signing")] * 5 + [rotation_name("a", "panel")] * 5
    assert [manifest["metadata"]["name"] for manifest in found] == names
    assert [manifest["metadata"]["labels"][ROTATION_LABEL] for manifest in found] == names
    assert {manifest["metadata"]["ownerReferences"][0]["uid"] for manifest in found} == {"u"}


def test_a_job_holds_rights_on_one_secret_and_for_env_one_deployment() -> None:
    name = rotation_name("a", "signing")
    own = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [name], "verbs": ["get", "update"]}
    assert one("Role", FILE)["rules"] == [own]
    restart = {"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["ringfence-a"]}
    assert one("Role", ENV)["rules"] == [
        own | {"resourceNames": [rotation_name("a", "panel")]},
        restart | {"verbs": ["get", "patch"]},
    ]
    binding = one("RoleBinding", FILE)
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": "team"}]


def test_a_job_reaches_the_api_server_and_nothing_reaches_it() -> None:
    policy = one("NetworkPolicy", FILE)["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy
    assert [rule["to"][0]["ipBlock"]["cidr"] for rule in policy["egress"]] == ["192.0.2.1/32", "2001:db8::1/128"]
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {6443}
    labels = one("CronJob", FILE)["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert "ringfence.dev/agent" not in labels, "else the agent's own openings were the job's as well"


def test_a_job_passes_the_restricted_standard() -> None:
    spec = one("CronJob", FILE)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"].keys() == {"cpu", "memory"}
    assert not {"volumes", "hostNetwork", "hostPID", "hostIPC", "initContainers"} & spec.keys()


def test_a_job_is_told_names_and_times_alone() -> None:
    (container,) = one("CronJob", ENV)["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    name = rotation_name("a", "panel")
    assert container["args"] == [
        "rotate-job",
        f"--secret={name}",
        f"--cron-job={name}",
        "--length=32",
        "--every=720h",
        "--overlap=1h",
        "--restart=ringfence-a",
        f"--annotation={restart_annotation('panel')}",
    ]
    assert all("fieldRef" in variable["valueFrom"] for variable in container["env"])


def test_without_an_image_there_are_no_jobs() -> None:
    assert list(rotation_children(agent(FILE, image=None))) == []


@pytest.mark.parametrize(
    ("every", "step"), [("1h", 15), ("3h59m", 15), ("4h", 60), ("95h", 60), ("96h", 1440), ("720h", 1440)]
)
def test_the_tick(every: str, step: int) -> None:
    assert tick(duration(every)) == timedelta(minutes=step)


@given(seconds=st.integers(3600, 99999 * 3600))
def test_a_job_looks_at_least_four_times_in_a_period(seconds: int) -> None:
    every = timedelta(seconds=seconds)
    assert tick(every) <= every / 4


@pytest.mark.parametrize(
    ("every", "pattern"),
    [("720h", r"\d+ \d+ \* \* \*"), ("4h", r"\d+ \* \* \* \*"), ("1h", r"(\d+,){3}\d+ \* \* \* \*")],
)
def test_the_schedule_is_the_tick(every: str, pattern: str) -> None:
    assert re.fullmatch(pattern, schedule("team", "a", rotating(every)))


def test_schedules_are_spread_and_stay_where_they_are() -> None:
    minutes = Counter(int(schedule("team", f"a{n}", rotating("720h")).split()[0]) for n in range(6000))
    assert set(minutes) == set(range(60))
    assert max(minutes.values()) < 2 * 6000 / 60
    assert schedule("team", "a", rotating("720h")) == schedule("team", "a", rotating("720h"))
    quarters = [int(minute) for minute in schedule("team", "a", rotating("1h")).split()[0].split(",")]
    assert [later - earlier for earlier, later in pairwise(quarters)] == [15, 15, 15]


def test_what_a_job_did_to_the_template_does_not_make_it_another() -> None:
    """Else every rotation were an edit to be put right, and would restart the agent twice."""
    plain = agent(ENV)
    restarted = Agent(**(vars(plain) | {"restarts": {restart_annotation("panel"): "2026-01-31T12:00:00Z"}}))
    before, after = build(plain)[-1], build(restarted)[-1]
    assert before["metadata"] == after["metadata"]
    marks = before["spec"]["template"]["metadata"]["annotations"]
    assert after["spec"]["template"]["metadata"]["annotations"] == marks | restarted.restarts


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}, True),
        ({"replicas": 2, "updatedReplicas": 1, "availableReplicas": 1}, False),  # the available one is the old one
        ({"replicas": 1, "availableReplicas": 1}, False),
        ({"replicas": 1, "updatedReplicas": 1}, False),
        ({"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "observedGeneration": 1}, False),
        ({}, False),
    ],
)
def test_a_restart_is_over_when_no_old_pod_is_left(status: dict[str, int], expected: bool) -> None:
    """Before that the value before is what a running pod holds."""
    found = {"metadata": {"generation": 2}, "spec": {"replicas": 1}, "status": {"observedGeneration": 2} | status}
    assert rolled_out(found) is expected


def test_a_key_of_somebody_else_keeps_its_name() -> None:
    secret = AgentSecret.model_validate(EXISTING)
    assert secret_reference("a", secret) == ("llm-account", "api-key")
