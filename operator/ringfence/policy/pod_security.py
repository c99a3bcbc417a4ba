"""The Pod Security Standard `restricted`, as it is since Kubernetes 1.35, on a pod as it is stored.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards, control by control. What the API server's
own admission (PodSecurity, `restricted:latest`) refuses is refused here; tests/api asks both about upstream's fixtures.
The rules are closed: a field of a securityContext, a kind of volume or a list of containers that is not known here is
not allowed either. So are two kinds of pods that the API server holds to less, and that no agent's pod ever is one of:
Windows pods, and pods with a user namespace of their own (`hostUsers: false`).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

_Body = Mapping[str, Any]
_Check = Callable[[Any], bool]

_PROFILES: Final = ("RuntimeDefault", "Localhost")
_SELINUX_TYPES: Final = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
_SYSCTLS: Final = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
_VOLUMES: Final = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_CONTAINERS: Final = ("initContainers", "containers", "ephemeralContainers")
_HOST_FIELDS: Final = frozenset({"hostAliases", "hostname", "hostnameOverride", "hostUsers"})
"""What begins with `host`, and gives the pod nothing of its node's."""
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_APPARMOR_ANNOTATION: Final = "container.apparmor.security.beta.kubernetes.io/"


def _anything(_: Any) -> bool:
    return True


def _has_profile(profile: Any) -> bool:
    return isinstance(profile, Mapping) and profile.get("type") in _PROFILES


def _no_root(user: Any) -> bool:
    return type(user) is int and user != 0


def _se_linux(options: Any) -> bool:
    plain = isinstance(options, Mapping) and not options.get("user") and not options.get("role")
    return plain and (options.get("type") or "") in _SELINUX_TYPES


def _windows(options: Any) -> bool:
    return isinstance(options, Mapping) and not options.get("hostProcess")


def _sysctls(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(one, Mapping) and one.get("name") in _SYSCTLS for one in values)


def _capabilities(capabilities: Any) -> bool:
    if not isinstance(capabilities, Mapping):
        return False
    dropped, added = capabilities.get("drop") or (), capabilities.get("add") or ()
    return "ALL" in dropped and all(one == "NET_BIND_SERVICE" for one in added)


_OF_BOTH: Final[Mapping[str, _Check]] = {
    "runAsNonRoot": lambda value: value is True,
    "runAsUser": _no_root,
    "runAsGroup": _anything,
    "seccompProfile": _has_profile,
    "appArmorProfile": _has_profile,
    "seLinuxOptions": _se_linux,
    "windowsOptions": _windows,
}
_OF_PODS: Final[Mapping[str, _Check]] = {
    **_OF_BOTH,
    "fsGroup": _anything,
    "fsGroupChangePolicy": _anything,
    "supplementalGroups": _anything,
    "supplementalGroupsPolicy": _anything,
    "seLinuxChangePolicy": _anything,
    "sysctls": _sysctls,
}
_OF_CONTAINERS: Final[Mapping[str, _Check]] = {
    **_OF_BOTH,
    "allowPrivilegeEscalation": lambda value: value is False,
    "capabilities": _capabilities,
    "privileged": lambda value: not value,
    "procMount": lambda value: value in {"", "Default"},
    "readOnlyRootFilesystem": _anything,
}
"""Fields of a securityContext, and which values pass; None is an absent field."""

_INHERITED: Final = ("runAsNonRoot", "seccompProfile")
"""Each container needs them, of its own or of its pod."""
_REQUIRED: Final = ("allowPrivilegeEscalation", "capabilities")


def unrestricted(spec: _Body, annotations: Mapping[str, str] | None = None, *, closed: bool = True) -> list[str]:
    """Paths of the fields by which a pod falls short of `restricted`, such as `spec.hostPID`; empty: it passes.

    `spec`: of a pod, or of a template; with or without the API server's defaults. Never raises for what an API server
    stores. Not `closed`: fields of a securityContext that are not known here pass: defaults of a newer API server.
    """
    return [*_of_pod(spec, closed), *_of_annotations(annotations or {})]


def without_user(spec: _Body) -> list[str]:
    """Path of what is missing where a container has no user id and its image chooses one. The standard allows it."""
    if (spec.get("securityContext") or {}).get("runAsUser") is not None:
        return []
    containers = [one for kind in _CONTAINERS for one in spec.get(kind) or ()]
    named = all((one.get("securityContext") or {}).get("runAsUser") is not None for one in containers)
    return [] if named else ["spec.securityContext.runAsUser"]


def _of_pod(spec: _Body, closed: bool) -> Iterator[str]:
    for field, value in spec.items():
        if not value:
            continue
        if field.startswith("host") and field not in _HOST_FIELDS:
            yield f"spec.{field}"
        elif field == "volumes":
            yield from _of_volumes(value)
        elif field.lower().endswith("containers") and field not in _CONTAINERS:
            yield f"spec.{field}"
    context = spec.get("securityContext") or {}
    yield from _of_context("spec.securityContext", context, _OF_PODS, closed)
    inherited = [field for field in _INHERITED if context.get(field) is not None]
    for kind in _CONTAINERS:
        for index, container in enumerate(spec.get(kind) or ()):
            yield from _of_container(f"spec.{kind}[{index}]", container, inherited, closed)


def _of_container(at: str, container: _Body, inherited: list[str], closed: bool) -> Iterator[str]:
    context = container.get("securityContext") or {}
    own = f"{at}.securityContext"
    yield from _of_context(own, context, _OF_CONTAINERS, closed)
    for field in (*_REQUIRED, *_INHERITED):
        if context.get(field) is None and field not in inherited:
            yield f"{own}.{field}"
    for index, port in enumerate(container.get("ports") or ()):
        if port.get("hostPort"):
            yield f"{at}.ports[{index}].hostPort"
    for probe in _PROBES:
        yield from _of_handler(f"{at}.{probe}", container.get(probe))
    for moment, handler in (container.get("lifecycle") or {}).items():
        yield from _of_handler(f"{at}.lifecycle.{moment}", handler)


def _of_context(at: str, context: _Body, known: Mapping[str, _Check], closed: bool) -> Iterator[str]:
    for field, value in context.items():
        check = known.get(field)
        if value is not None and (closed if check is None else not check(value)):
            yield f"{at}.{field}"


def _of_handler(at: str, handler: Any) -> Iterator[str]:
    """A probe or a hook that the kubelet would send elsewhere than to the pod."""
    for way, asked in handler.items() if isinstance(handler, Mapping) else ():
        if isinstance(asked, Mapping) and asked.get("host"):
            yield f"{at}.{way}.host"


def _of_volumes(volumes: Any) -> Iterator[str]:
    for index, volume in enumerate(volumes):
        for kind, source in volume.items():
            if kind != "name" and source is not None and kind not in _VOLUMES:
                yield f"spec.volumes[{index}].{kind}"


def _of_annotations(annotations: Mapping[str, str]) -> Iterator[str]:
    for key, value in annotations.items():
        named = value in {"", "runtime/default"} or value.startswith("localhost/")
        if key.startswith(_APPARMOR_ANNOTATION) and not named:
            yield f"metadata.annotations[{key}]"
