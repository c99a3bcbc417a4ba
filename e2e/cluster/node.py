"""The node: containerd, kubelet, kube-proxy, NetworkPolicy enforcement, and the pretend internet.

containerd and the kubelet run in a mount namespace of their own, in which /run, /var/log and
/var/lib/kubelet are folders of the instance. So paths that those programs have built in do not clash
between instances, no mount of a pod shows on the machine, and all of them vanish with the processes.
"""

from __future__ import annotations

import os
import string
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import addons, cgroups, images, network, packages, pki, programs
from .errors import ClusterError
from .instance import LATE, Instance, Mode, NetworkPolicyMode, base, names
from .processes import Component, running, start, stop
from .shell import lock, nsenter, run, wait_for

__all__ = ["build", "check", "components", "install_addons", "prepare", "remove", "switch"]

KUBELET_ROOT = Path("/var/lib/kubelet")
CONFIG = programs.HERE / "config"
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_WANTED = 8192
"""Each pod and each watching program takes some; the usual 128 are not enough for one node."""

INTERNET_NAMES = [
    *("llm.example", "*.llm.example", "elsewhere.example", "*.model.example", "files.example"),
    *("api.anthropic.com", "slack.com", "*.slack.com"),
]
"""Whom the pretend internet takes itself for; the last ones are named by examples/."""


def check(mode: Mode) -> None:
    """Raise, or install what is missing, before anything is touched."""
    if mode == "api":
        return
    if (version := programs.version()) != programs.KUBERNETES:
        raise ClusterError(f"Kubernetes {version} is an API server alone here (RINGFENCE_KUBERNETES): `--mode api`")
    if os.geteuid() != 0:
        raise ClusterError("a cluster with a node needs root; `--mode api` does not")
    packages.require(packages.NODE)


def build() -> None:
    """Build everything that a node needs beyond the control plane."""
    programs.netpol()
    images.built_in()


def prepare(instance: Instance) -> None:
    """Make the network, cgroups, folders and configuration of a new node."""
    network.create(instance)
    cgroups.create(instance.cgroup)
    for folder in ("run", "log", "kubelet", "cni", "cni-plugins", "volume-plugins", "config"):
        (instance.home / folder).mkdir()
    (instance.home / "resolv.conf").write_text("# The cluster's DNS has nobody to ask.\n")
    # A mount point on the machine for what is mounted in the namespace only; `remove` takes it away.
    KUBELET_ROOT.mkdir(exist_ok=True)
    values = {
        "home": str(instance.home),
        "cgroup": instance.cgroup,
        "pause": images.PAUSE,
    }
    targets = {name: f"config/{name}" for name in ("containerd.toml", "kubelet.yaml", "proxy.yaml")}
    for template, target in {**targets, "cni.conflist": "cni/10-ringfence.conflist"}.items():
        text = string.Template((CONFIG / template).read_text()).substitute(values)
        (instance.home / target).write_text(text)
    plugins = [packages.CNI_PLUGINS / name for name in ("loopback", "ptp", "host-local")]
    for plugin in plugins:
        (instance.home / "cni-plugins" / plugin.name).symlink_to(plugin)
    (instance.home / "cni-plugins/ringfence-netpol").symlink_to(programs.netpol())
    internet = pki.Authority.create(instance.pki, "internet-ca")
    internet.issue("internet", user="llm.example", names=[*INTERNET_NAMES, *network.INTERNET, *network.PUBLIC])
    if int(INOTIFY.read_text()) < INOTIFY_WANTED:
        INOTIFY.write_text(str(INOTIFY_WANTED))


def components(instance: Instance) -> dict[str, Component]:
    """The node's programs, by name, in the order in which they start."""
    programs_folder = programs.kubernetes()
    config = instance.home / "config"
    commands = {
        "containerd": _in_new_mounts(instance, "containerd", "-c", f"{config}/containerd.toml"),
        "kube-proxy": nsenter(instance.netns, programs_folder / "kube-proxy", f"--config={config}/proxy.yaml"),
        "kubelet": _in_mounts_of_containerd(
            instance,
            str(programs_folder / "kubelet"),
            f"--config={config}/kubelet.yaml",
            f"--kubeconfig={instance.pki}/kubelet.kubeconfig",
            "--hostname-override=node0",
            f"--node-ip={instance.node_address}",
        ),
        **_internet(instance),
    }
    if instance.network_policy != "ignore":
        commands["netpol"] = nsenter(
            instance.netns,
            programs.netpol(),
            f"--kubeconfig={instance.pki}/netpol.kubeconfig",
            f"--socket={instance.home}/netpol.sock",
            f"--late={LATE if instance.network_policy == 'late' else '0'}",
        )
    return {name: Component(name, tuple(argv)) for name, argv in commands.items()}


def wait_containerd(instance: Instance) -> None:
    """Wait until containerd answers; its mount namespace is complete by then."""
    wait_for("containerd", lambda: run(["ctr", "-a", instance.containerd_socket, "version"]), timeout=180)


def install_addons(instance: Instance) -> None:
    """Load images, apply DNS and storage, and wait until pods can run."""
    for archive in images.built_in():
        images.load(instance, archive)
    if instance.network_policy != "ignore":
        wait_enforced(instance)
    addons.install(instance)


def switch(instance: Instance, mode: NetworkPolicyMode) -> Instance:
    """Turn enforcement on, off, or late in a running node."""
    changed = replace(instance, network_policy=mode)
    changed.save()
    if instance.mode == "node":
        if mode != "ignore":
            stop(changed, "netpol")  # its rules stay
            start(changed, components(changed)["netpol"])
            wait_enforced(changed)
        else:
            stop(changed, "netpol")
            (changed.home / "netpol.sock").unlink(missing_ok=True)  # if it was killed, it is still there
            run(nsenter(instance.netns, "nft", "delete", "table", "inet", "ringfence-netpol"), ok=True)
    return changed


def wait_enforced(instance: Instance) -> None:
    """Wait until the enforcement program has put its first rules in place."""

    def there() -> bool:
        if "netpol" not in running(instance):
            raise ClusterError(f"it does not run; see {instance.logs}/netpol.log")
        return "ringfence-netpol" in run(nsenter(instance.netns, "nft", "list", "tables"))

    wait_for("the NetworkPolicy enforcement", there, timeout=180)


def remove(instance: Instance) -> None:
    """Remove what a node leaves outside its folder, once its processes have ended."""
    if os.geteuid() != 0:
        return
    network.remove(instance)
    cgroups.remove(instance.cgroup)
    # Only the last one out removes the mount point: that would undo the mounts of all others, too.
    with lock(f"{base()}/index"):
        if not set(names()) - {instance.name}:
            with suppress(OSError):
                KUBELET_ROOT.rmdir()


def _internet(instance: Instance) -> dict[str, list[str]]:
    """The programs that play the internet and a cloud's metadata service."""
    box = programs.testbox() / "testbox"
    keys = ["-cert", f"{instance.pki}/internet.crt", "-key", f"{instance.pki}/internet.key"]
    commands: dict[str, list[Any]] = {
        "internet-llm": ["llm", "-listen", ":443", *keys],
        "internet-echo": ["echo", "-tcp", ":7", "-udp", ":7", "-http", ":8080"],
        "internet-dns": ["dns", "-listen", "203.0.113.53:53"],
        "metadata": ["metadata", "-listen", f"{network.METADATA}:80"],
    }
    return {name: nsenter(instance.internet_netns, box, *args) for name, args in commands.items()}


def _in_new_mounts(instance: Instance, *argv: str) -> list[str]:
    """A command in the node's network and in a new mount namespace with the instance's folders."""
    home = instance.home
    binds = {"run": "/run", "log": "/var/log", "kubelet": str(KUBELET_ROOT)}
    script = "".join(f"mount --bind {home}/{source} {target} && " for source, target in binds.items())
    # Shared among the node's own processes, as volumes of pods need; nothing goes back to the machine.
    script = f'{script} mount --make-rshared / && exec "$@"'
    enter = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", script, "sh"]
    return nsenter(instance.netns, *enter, *argv)


def _in_mounts_of_containerd(instance: Instance, *argv: str) -> list[str]:
    pid = running(instance).get("containerd", 0)
    return ["nsenter", f"--net=/run/netns/{instance.netns}", f"--mount=/proc/{pid}/ns/mnt", *argv]
