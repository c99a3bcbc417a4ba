"""Bringing an instance up, over whatever is there, and taking it down without a trace."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress

from . import cache, controlplane, node, programs
from .errors import ClusterError
from .instance import Instance, Mode, NetworkPolicyMode, allocate, base, check_name, find
from .processes import Component, end_all, running, start
from .shell import lock, say, step

__all__ = ["components", "down", "healthy", "switch", "up"]


def components(instance: Instance) -> dict[str, Component]:
    """Every program of the instance, by name, in the order in which they start."""
    found = controlplane.components(instance)
    if instance.mode == "node":
        found |= node.components(instance)
    return found


def up(
    name: str, mode: Mode, network_policy: NetworkPolicyMode, *, static_admission: bool = False, without: str = ""
) -> Instance:
    """Make the instance run as asked and return it; nothing happens when it already does.

    Remains of a run that was killed are cleared first. A change of how the API server starts begins from
    scratch, a change of the network policy mode does not.
    """
    node.check(mode)
    programs.tools()
    programs.kubernetes()
    if mode == "node":
        node.build()
    with lock(f"{base()}/{check_name(name)}"):
        current = find(name)
        wanted = mode, static_admission, without
        same = current is not None and (current.mode, current.static_admission, current.without) == wanted
        if current is not None and same and healthy(current) and _is_current(current):
            return _switch(current, network_policy)
        clear(name)
        started = time.monotonic()
        with step(f"starting cluster {name}"):
            instance = allocate(name, mode, network_policy, static_admission=static_admission, without=without)
            try:
                _launch(instance)
            except ClusterError as error:
                alive = running(instance)
                dead = ", ".join(part for part in components(instance) if part not in alive)
                raise ClusterError(f"{error}\nnot running: {dead or 'nothing'}; logs: {instance.logs}") from error
        say(f"cluster {name} ({mode}) is up in {time.monotonic() - started:.1f} s: {instance.server}", color="32")
        return instance


def _launch(instance: Instance) -> None:
    controlplane.write_credentials(instance)
    controlplane.admin_kubeconfig(instance)
    if instance.static_admission:
        controlplane.write_admission_config(instance)
    if instance.mode == "node":
        node.prepare(instance)
    # What needs no API server starts with it; the rest would only fill the logs with retries.
    early = ("etcd", "kube-apiserver", "containerd")
    for name, component in components(instance).items():
        if name in early:
            start(instance, component)
    controlplane.wait_ready(instance)
    if instance.mode == "node":
        node.wait_containerd(instance)
    # Asked again: the kubelet joins the mount namespace of the containerd that runs by now.
    for name, component in components(instance).items():
        if name not in early:
            start(instance, component)
    if instance.mode == "node":
        node.install_addons(instance)
    else:
        controlplane.wait_default_account(instance)
    instance.ready_mark.write_text(_made_from(instance.mode))


def switch(name: str, network_policy: NetworkPolicyMode) -> Instance:
    """Turn NetworkPolicy enforcement on, off or late in an instance, whatever else of it runs."""
    with lock(f"{base()}/{check_name(name)}"):
        current = find(name)
        if current is None:
            raise ClusterError(f"there is no cluster {name}")
        return _switch(current, network_policy)


def _switch(instance: Instance, network_policy: NetworkPolicyMode) -> Instance:
    if instance.network_policy == network_policy:
        return instance
    return node.switch(instance, network_policy)


def _made_from(mode: Mode) -> str:
    """A hash of the programs and settings that an instance is made of."""
    parts = [str(programs.kubernetes())]
    if mode == "node":
        parts += [str(programs.netpol()), str(programs.testbox()), str(programs.coredns())]
    settings = [path for folder in ("config", "manifests") for path in (programs.HERE / folder).iterdir()]
    return cache.fingerprint(*parts, files=settings)


def _is_current(instance: Instance) -> bool:
    """Whether the instance was made from what this checkout has; else it is made anew."""
    if instance.ready_mark.read_text() == _made_from(instance.mode):
        return True
    say(f"cluster {instance.name} was made from other programs or settings: starting it anew", color="33")
    return False


def healthy(instance: Instance) -> bool:
    """Whether `up` came to its end and everything it started still runs."""
    if not instance.ready_mark.exists():
        return False
    alive = running(instance)
    if any(name not in alive for name in components(instance)):
        return False
    try:
        # Patient: what is judged unwell here is thrown away by `up`, and a busy machine is no reason.
        controlplane.wait_ready(instance, timeout=60)
    except ClusterError:
        return False
    return True


def down(name: str) -> None:
    """Remove an instance, running or not: processes, mounts, network namespaces, cgroups, folders."""
    with lock(f"{base()}/{check_name(name)}"), step(f"taking cluster {name} down"):
        clear(name)


def clear(name: str) -> None:
    """`down` without the lock. Needs no record: all that an instance has carries its name."""
    remains = find(name) or Instance(name=name, index=0, mode="node", network_policy="enforce", home=base() / name)
    end_all(remains)
    node.remove(remains)
    if remains.home.exists():
        shutil.rmtree(remains.home)
    with suppress(OSError):
        base().rmdir()
