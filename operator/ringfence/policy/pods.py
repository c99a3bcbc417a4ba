"""What an agent asks of its pods: the runtime, the limits, the place of its storage."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Final

from ringfence.api.agentdeployment import Sandbox, Storage
from ringfence.api.container import ResourceAmounts, Resources

from .model import NamedPolicy, RuleName, Violation
from .quantities import amount
from .text import listed, quote

RESERVED_PATHS: Final = (
    "/tmp",  # noqa: S108 - the agent's own scratch volume
    "/proc",
    "/sys",
    "/dev",
    "/run/secrets",
    "/var/run/secrets",
    "/run/ringfence",
    "/var/run/ringfence",
)
"""Where the pod has something of its own: a volume there would hide it, or the pod would not start."""

SYSTEM_PATHS: Final = (
    *("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/boot"),
    *("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec"),
    *("/usr/local/bin", "/usr/local/sbin", "/usr/local/lib"),
    # What the kubelet writes, and what the loader and the C library believe without being asked.
    *("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/passwd", "/etc/group"),
    *("/etc/shadow", "/etc/gshadow", "/etc/ld.so.preload", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.cache"),
)
"""Where images have their programs and what these trust: nothing of an agent's spec has business there."""

_KINDS: Final = {"cpu": "cpu", "memory": "memory", "ephemeral_storage": "ephemeral-storage"}


def check_sandbox(sandbox: Sandbox | None, policies: Sequence[NamedPolicy]) -> Iterator[Violation]:
    """The runtime that each policy asks for."""
    named = sandbox.runtime_class_name if sandbox else None
    for policy in policies:
        wanted = policy.spec.sandbox.runtime_class_names
        if wanted is None or named in wanted:
            continue
        choice = listed(quote(name) for name in wanted)
        message = f"policy {quote(policy.name)} asks for a sandbox: set it to one of {choice}"
        yield Violation("spec.sandbox.runtimeClassName", RuleName.SANDBOX_REQUIRED, message)


def check_storage(storage: Storage | None) -> Iterator[Violation]:
    """A mount path that hides nothing of the pod's own, and a size that is one."""
    if storage is None:
        return
    path = storage.mount_path
    taken = [place for place in RESERVED_PATHS if overlap(path, place)]
    if taken:
        message = f"would hide {listed(taken)}, which the pod needs: choose another path, such as /var/lib/agent"
        yield Violation("spec.storage.mountPath", RuleName.INVALID_FIELD, message)
    if amount(storage.size) <= 0:
        yield Violation("spec.storage.size", RuleName.INVALID_FIELD, "must be more than 0, such as 1Gi")


def overlap(path: str, place: str) -> bool:
    """Whether one of two paths is the other, or lies below it."""
    return f"{path}/".startswith(f"{place}/") or f"{place}/".startswith(f"{path}/")


def check_resources(resources: Resources, at: str = "spec") -> Iterator[Violation]:
    """Limits that limit, and requests within them. Without a limit a request is its own. `at`: whose they are."""
    for field, kind in _KINDS.items():
        request, limit = _of(resources.requests, field), _of(resources.limits, field)
        if limit == 0 or (limit is None and request == 0):
            where = "requests" if limit is None else "limits"
            message = "0 would mean no limit at all: write more than 0, or leave it out for the default"
            yield Violation(f"{at}.resources.{where}.{kind}", RuleName.INVALID_FIELD, message)
        elif limit is not None and request is not None and request > limit:
            message = f"is more than limits.{kind}: lower it, or raise the limit"
            yield Violation(f"{at}.resources.requests.{kind}", RuleName.INVALID_FIELD, message)


def _of(amounts: ResourceAmounts, name: str) -> Fraction | None:
    quantity = getattr(amounts, name)
    return None if quantity is None else amount(quantity)
