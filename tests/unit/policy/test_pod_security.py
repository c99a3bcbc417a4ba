"""The Pod Security Standard `restricted`, one deviation after the other. tests/api asks the API server, too."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from ringfence.policy.pod_security import unrestricted, without_user
from ringfence.resources import build
from unit.resources.agents import read

POD: dict[str, Any] = build(read("full"))[-1]["spec"]["template"]["spec"]
Edit = Callable[[Any], Any]


def changed(edit: Edit) -> dict[str, Any]:
    pod = copy.deepcopy(POD)
    edit(pod)
    return pod


def context(**more: Any) -> Edit:
    """Fields of the pod's securityContext."""
    return lambda pod: pod["securityContext"].update(more)


def inner(**more: Any) -> Edit:
    """Fields of the container's securityContext."""
    return lambda pod: pod["containers"][0]["securityContext"].update(more)


def container(**more: Any) -> Edit:
    return lambda pod: pod["containers"][0].update(more)


def pod(**more: Any) -> Edit:
    return lambda found: found.update(more)


def volume(**source: Any) -> Edit:
    return lambda found: found["volumes"].append({"name": "x", **source})


OUTER, INNER = "spec.securityContext", "spec.containers[0].securityContext"
BARE = {"name": "x", "image": "x", "securityContext": copy.deepcopy(POD["containers"][0]["securityContext"])}

PASSES: list[Edit] = [
    lambda _: None,
    context(runAsUser=1, runAsGroup=0, fsGroup=0, supplementalGroups=[0], fsGroupChangePolicy="Always"),
    context(supplementalGroupsPolicy="Strict", seLinuxChangePolicy="Recursive", windowsOptions={"runAsUserName": "x"}),
    context(seccompProfile={"type": "Localhost", "localhostProfile": "x"}, appArmorProfile={"type": "RuntimeDefault"}),
    context(seLinuxOptions={"level": "s0", "type": "container_t"}, sysctls=[]),
    context(seLinuxOptions={"level": "s0"}, runAsUser=None),
    context(sysctls=[{"name": "net.ipv4.tcp_rmem", "value": "1"}, {"name": "kernel.shm_rmid_forced", "value": "1"}]),
    inner(capabilities={"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}, privileged=False, procMount="Default"),
    inner(capabilities={"drop": ["KILL", "ALL"], "add": None}, runAsUser=7, readOnlyRootFilesystem=False),
    pod(hostNetwork=False, hostPID=False, hostname="x", hostAliases=[{"ip": "192.0.2.1"}], hostUsers=True),
    pod(initContainers=[BARE], ephemeralContainers=[BARE]),
    container(ports=[{"containerPort": 80, "hostPort": 0}], lifecycle={"preStop": {"exec": {"command": ["x"]}}}),
    container(readinessProbe={"httpGet": {"port": 80, "host": ""}}, lifecycle={"stopSignal": "SIGINT"}),
    *(
        volume(**{kind: {}})
        for kind in ("configMap", "csi", "downwardAPI", "ephemeral", "image", "persistentVolumeClaim", "secret")
    ),
    volume(),
    volume(emptyDir={}, hostPath=None),
]


@pytest.mark.parametrize("edit", PASSES)
def test_passes(edit: Edit) -> None:
    assert unrestricted(changed(edit)) == []


FALLS_SHORT: list[tuple[Edit, str]] = [
    (pod(hostNetwork=True), "spec.hostNetwork"),
    (pod(hostPID=True), "spec.hostPID"),
    (pod(hostIPC=True), "spec.hostIPC"),
    (pod(hostOfTomorrow="x"), "spec.hostOfTomorrow"),
    (pod(initContainers=[{**BARE, "securityContext": {**BARE["securityContext"], "privileged": True}}]), "spec.init"),
    (pod(ephemeralContainers=[{**BARE, "ports": [{"hostPort": 80}]}]), "spec.ephemeralContainers[0].ports[0].hostPort"),
    (pod(sideContainers=[BARE]), "spec.sideContainers"),
    (context(runAsNonRoot=False), f"{OUTER}.runAsNonRoot"),
    (context(runAsUser=0), f"{OUTER}.runAsUser"),
    (context(runAsUser="0"), f"{OUTER}.runAsUser"),
    (context(runAsUser=False), f"{OUTER}.runAsUser"),
    (context(runAsNonRoot=None), f"{INNER}.runAsNonRoot"),
    (context(seccompProfile=None), f"{INNER}.seccompProfile"),
    (context(seccompProfile={"type": "Unconfined"}), f"{OUTER}.seccompProfile"),
    (context(appArmorProfile={"type": "Unconfined"}), f"{OUTER}.appArmorProfile"),
    (context(seLinuxOptions={"type": "spc_t"}), f"{OUTER}.seLinuxOptions"),
    (context(seLinuxOptions={"user": "x"}), f"{OUTER}.seLinuxOptions"),
    (context(seLinuxOptions={"role": "x"}), f"{OUTER}.seLinuxOptions"),
    (context(sysctls=[{"name": "kernel.msgmax", "value": "1"}]), f"{OUTER}.sysctls"),
    (context(windowsOptions={"hostProcess": True}), f"{OUTER}.windowsOptions"),
    (context(ofTomorrow="x"), f"{OUTER}.ofTomorrow"),
    (context(privileged=False), f"{OUTER}.privileged"),
    (inner(runAsNonRoot=False), f"{INNER}.runAsNonRoot"),
    (inner(runAsUser=0), f"{INNER}.runAsUser"),
    (inner(seccompProfile={"type": "Unconfined"}), f"{INNER}.seccompProfile"),
    (inner(appArmorProfile={"type": "Unconfined"}), f"{INNER}.appArmorProfile"),
    (inner(seLinuxOptions={"type": "spc_t"}), f"{INNER}.seLinuxOptions"),
    (inner(windowsOptions={"hostProcess": True}), f"{INNER}.windowsOptions"),
    (inner(privileged=True), f"{INNER}.privileged"),
    (inner(procMount="Unmasked"), f"{INNER}.procMount"),
    (inner(allowPrivilegeEscalation=True), f"{INNER}.allowPrivilegeEscalation"),
    (inner(allowPrivilegeEscalation=None), f"{INNER}.allowPrivilegeEscalation"),
    (inner(capabilities=None), f"{INNER}.capabilities"),
    (inner(capabilities={"add": ["NET_BIND_SERVICE"]}), f"{INNER}.capabilities"),
    (inner(capabilities={"drop": ["all"]}), f"{INNER}.capabilities"),
    (inner(capabilities={"drop": ["ALL"], "add": ["CHOWN"]}), f"{INNER}.capabilities"),
    (inner(ofTomorrow=1), f"{INNER}.ofTomorrow"),
    (container(securityContext=None), INNER),
    (container(ports=[{"hostPort": 80}]), "spec.containers[0].ports[0].hostPort"),
    (container(livenessProbe={"httpGet": {"host": "x"}}), "spec.containers[0].livenessProbe.httpGet.host"),
    (container(readinessProbe={"tcpSocket": {"host": "x"}}), "spec.containers[0].readinessProbe.tcpSocket.host"),
    (container(startupProbe={"httpGet": {"host": "x"}}), "spec.containers[0].startupProbe.httpGet.host"),
    (container(lifecycle={"preStop": {"httpGet": {"host": "x"}}}), "spec.containers[0].lifecycle.preStop.httpGet.host"),
    (container(lifecycle={"postStart": {"tcpSocket": {"host": "x"}}}), "spec.containers[0].lifecycle.postStart.tcp"),
    (volume(hostPath={"path": "/"}), "spec.volumes["),
    (volume(nfs={}, emptyDir={}), "spec.volumes["),
    (volume(ofTomorrow={}), "spec.volumes["),
]


@pytest.mark.parametrize(("edit", "path"), FALLS_SHORT, ids=[path for _, path in FALLS_SHORT])
def test_falls_short(edit: Edit, path: str) -> None:
    found = unrestricted(changed(edit))
    assert found
    assert all(one.startswith(path) for one in found)


SYSCTLS = """kernel.shm_rmid_forced net.ipv4.ip_local_port_range net.ipv4.ip_local_reserved_ports
net.ipv4.ip_unprivileged_port_start net.ipv4.ping_group_range net.ipv4.tcp_fin_timeout net.ipv4.tcp_keepalive_intvl
net.ipv4.tcp_keepalive_probes net.ipv4.tcp_keepalive_time net.ipv4.tcp_rmem net.ipv4.tcp_syncookies net.ipv4.tcp_wmem"""


def test_every_value_of_the_standard_passes() -> None:
    assert unrestricted(changed(context(sysctls=[{"name": name, "value": "1"} for name in SYSCTLS.split()]))) == []
    for kind in ("container_t", "container_init_t", "container_kvm_t", "container_engine_t", ""):
        assert unrestricted(changed(inner(seLinuxOptions={"type": kind}))) == []


@pytest.mark.parametrize("junk", ["x", 1, {"name": "kernel.shm_rmid_forced"}, ["kernel.shm_rmid_forced"]])
def test_what_is_of_another_type_falls_short(junk: Any) -> None:
    assert unrestricted(changed(context(sysctls=junk))) == [f"{OUTER}.sysctls"]
    for field in ("seccompProfile", "appArmorProfile", "seLinuxOptions", "windowsOptions"):
        if not isinstance(junk, dict):
            assert unrestricted(changed(inner(**{field: junk}))) == [f"{INNER}.{field}"]


@pytest.mark.parametrize(
    ("profile", "passes"), [("", True), ("runtime/default", True), ("localhost/x", True), ("unconfined", False)]
)
def test_the_annotation_of_before(profile: str, *, passes: bool) -> None:
    key = "container.apparmor.security.beta.kubernetes.io/agent"
    assert unrestricted(POD, {key: profile, "other": "unconfined"}) == (
        [] if passes else [f"metadata.annotations[{key}]"]
    )


def test_what_a_newer_api_server_fills_in_is_passed_over_where_that_is_asked_for() -> None:
    new = changed(context(ofTomorrow="x"))
    assert unrestricted(new, closed=False) == []
    assert unrestricted(changed(context(runAsUser=0, ofTomorrow="x")), closed=False) == [f"{OUTER}.runAsUser"]


@pytest.mark.parametrize(
    ("edit", "missing"),
    [
        (context(runAsUser=1), False),
        (context(runAsUser=None), True),
        (lambda found: found["securityContext"].pop("runAsUser", None), True),
        (lambda found: found.update(securityContext=None), True),
    ],
)
def test_somebody_says_which_user_a_pod_has(edit: Edit, *, missing: bool) -> None:
    found = changed(edit)
    assert without_user(found) == ([f"{OUTER}.runAsUser"] if missing else [])
    found["containers"][0]["securityContext"]["runAsUser"] = 7  # of each container alone, as OpenShift says it
    assert without_user(found) == []
    found["initContainers"] = [BARE]
    assert bool(without_user(found)) is missing
