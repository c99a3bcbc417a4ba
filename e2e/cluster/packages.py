"""What has to be installed on the machine, in one place."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .errors import ClusterError
from .shell import run, step, wait_for

__all__ = ["BUILD", "NODE", "require"]

CNI_PLUGINS = Path("/usr/lib/cni")

NODE = {
    "containerd": "containerd",
    "runc": "runc",
    str(CNI_PLUGINS / "ptp"): "containernetworking-plugins",
    "nft": "nftables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "mount": "mount",
}
"""Program -> Debian package, for a cluster with a node. API-only clusters need none."""

BUILD = {"buildah": "buildah", "mmdebstrap": "mmdebstrap"}
"""For building the project's own image where no registry is reached."""


def require(wanted: dict[str, str]) -> None:
    """Install the Debian packages of programs that are missing (as root), or say which they are."""
    missing = sorted({package for program, package in wanted.items() if not _there(program)})
    if not missing:
        return
    install = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ClusterError(f"missing: {', '.join(missing)}. Install them: {' '.join(install)}")
    with step(f"installing Debian packages: {' '.join(missing)}"):
        # Another apt may be at work: wait for its lock instead of failing.
        options = ["-o", "DPkg::Lock::Timeout=600", "-q"]
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        # ... which it does not do for the lock of its lists.
        update = ["apt-get", *options, "update"]
        wait_for("the lists of packages", lambda: run(update, env=env, timeout=900) or True, timeout=600)
        run(["apt-get", *options, *install[1:]], env=env, timeout=1800)


def _there(program: str) -> bool:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None
