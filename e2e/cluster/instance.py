"""One built-in cluster on this machine: its name, addresses, ports and paths.

Instances are independent: two of them share nothing but the folder of built programs. Each has an
index of its own, from which its addresses and ports follow.
"""

from __future__ import annotations

import json
import os
import re
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, cast

from .errors import ClusterError
from .shell import lock, run

__all__ = ["DEFAULT_NAME", "LATE", "Instance", "Mode", "NetworkPolicyMode", "allocate", "base", "find", "names"]

Mode = Literal["api", "node"]
NetworkPolicyMode = Literal["enforce", "ignore", "late"]
"""late: a new pod's policies take effect LATE after its start, as with some network plugins."""
LATE = "3s"

DEFAULT_NAME = os.environ.get("RINGFENCE_CLUSTER", "ringfence")
"""The instance that commands mean when they name none; the demo's."""

FIRST_SUBNET = 77
"""The instance of index 0 has 192.168.77.0/24 between the machine and its node, the next one 78, ..."""

FIRST_PORT = 21000
"""API-only instances listen on loopback, on two ports from here on; below the range of ports that the
kernel hands to outgoing connections, which could otherwise take one away between two starts."""

LAST_INDEX = 170
NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")
RECORD = "instance.json"


def base() -> Path:
    """The folder of all instances: a fixed one for root, or one of the user's own."""
    if os.geteuid() == 0:
        return Path("/var/lib/ringfence")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "ringfence"


@dataclass(frozen=True)
class Instance:
    """What `up` decided; stored in the instance's folder, and everything else is derived from it."""

    name: str
    index: int
    mode: Mode
    network_policy: NetworkPolicyMode
    home: Path
    static_admission: bool = False
    """Whether the API server loads admission policies from files, too: those in `admission_manifests`."""
    without: str = ""
    """A version of an API group that is not served, such as `batch/v1`; empty: all are."""

    @property
    def netns(self) -> str:
        """The network namespace of the node, in which the control plane runs as well."""
        return f"ringfence-{self.name}"

    @property
    def internet_netns(self) -> str:
        """The network namespace that plays the internet."""
        return f"ringfence-{self.name}-net"

    @property
    def cgroup(self) -> str:
        """The cgroup that holds all pods, below the root of each hierarchy."""
        return f"ringfence-{self.name}"

    @property
    def host_address(self) -> str:
        """Where the API server reaches servers of the test process: webhooks with `url:` go here."""
        return "127.0.0.1" if self.mode == "api" else f"192.168.{FIRST_SUBNET + self.index}.1"

    @property
    def node_address(self) -> str:
        """The API server's address, and in mode `node` the node's too."""
        return "127.0.0.1" if self.mode == "api" else f"192.168.{FIRST_SUBNET + self.index}.2"

    @property
    def api_port(self) -> int:
        """The API server's port."""
        return FIRST_PORT + 2 * self.index if self.mode == "api" else 6443

    @property
    def etcd_port(self) -> int:
        """Port of etcd on loopback (of the node's namespace, in mode `node`)."""
        return FIRST_PORT + 2 * self.index + 1 if self.mode == "api" else 2379

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://{self.node_address}:{self.api_port}"

    @property
    def pki(self) -> Path:
        """Folder of keys and certificates."""
        return self.home / "pki"

    @property
    def admission_config(self) -> Path:
        """The API server's AdmissionConfiguration, in an instance with `static_admission`."""
        return self.home / "admission.json"

    @property
    def admission_manifests(self) -> Path:
        """Folder of ValidatingAdmissionPolicies that the API server reads, again whenever one changes."""
        return self.home / "admission"

    @property
    def logs(self) -> Path:
        """Folder of the components' logs, one file each."""
        return self.home / "logs"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig (group system:masters)."""
        return self.home / "kubeconfig"

    @property
    def ready_mark(self) -> Path:
        """A file that exists once `up` came to its end."""
        return self.home / "ready"

    @property
    def audit_log(self) -> Path:
        """The API server's own record: one JSON object a line."""
        return self.logs / "audit.log"

    @property
    def containerd_socket(self) -> Path:
        """Socket of this instance's containerd, seen from outside its mount namespace."""
        return self.home / "run/containerd/containerd.sock"

    def save(self) -> None:
        """Write the record."""
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / RECORD).write_text(json.dumps({**asdict(self), "home": str(self.home)}, indent=1))


def check_name(name: str) -> str:
    """Return the name, or raise: it becomes part of namespaces, cgroups and paths."""
    if not NAME.fullmatch(name):
        raise ClusterError(f"{name!r} cannot name a cluster: a-z, 0-9 and '-', at most 20, a letter first")
    return name


def find(name: str) -> Instance | None:
    """The instance of this name as the last `up` left it, running or not."""
    try:
        found = json.loads((base() / check_name(name) / RECORD).read_text())
        return Instance(
            name=name,
            index=int(found["index"]),
            mode=cast("Mode", found["mode"]),
            network_policy=cast("NetworkPolicyMode", found["network_policy"]),
            home=base() / name,
            static_admission=bool(found.get("static_admission", False)),
            without=str(found.get("without", "")),
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError):
        return None  # an `up` killed half-way through writing: as good as none


def names() -> list[str]:
    """All instances that have a folder."""
    if not base().is_dir():
        return []
    return sorted(entry.name for entry in base().iterdir() if NAME.fullmatch(entry.name))


def allocate(
    name: str, mode: Mode, network_policy: NetworkPolicyMode, *, static_admission: bool = False, without: str = ""
) -> Instance:
    """Choose a free index, store the record, return the instance."""
    with lock(f"{base()}/index", timeout=300):
        taken = {known.index for other in names() if other != name and (known := find(other))}
        # The default instance has the addresses that the documentation shows, whenever they are free.
        first = 0 if name == "ringfence" else 1
        for index in [*range(first, LAST_INDEX), *range(first)]:
            candidate = Instance(name, index, mode, network_policy, base() / name, static_admission, without)
            if index not in taken and _free(candidate):
                candidate.save()
                return candidate
    raise ClusterError("no free address range is left for another cluster; `down` one of them")


def _free(instance: Instance) -> bool:
    """Whether nobody else on this machine uses the instance's ports or subnet."""
    if instance.mode == "node":
        subnet = instance.node_address.rsplit(".", 1)[0]
        return f" {subnet}." not in f" {run(['ip', '-4', 'route', 'show', 'table', 'all'])}"
    for port in (instance.api_port, instance.etcd_port):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
