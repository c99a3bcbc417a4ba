"""The Python part of the image: locked packages for an architecture, Ringfence's own wheel, and compiled modules."""

import platform
import sys
import tempfile
from collections.abc import Iterable
from configparser import ConfigParser
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

from cluster import cache
from cluster.shell import run, step

from .debian import MULTIARCH
from .errors import ReleaseError
from .source import Source
from .trees import FILE_MODE, PROGRAM_MODE, Node, Tree, followed, write

VERSION = "3.11"
"""Debian 12's."""
SITE = f"usr/local/lib/python{VERSION}/dist-packages"
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_GLIBC = (*(f"manylinux_2_{minor}" for minor in range(36, 16, -1)), "manylinux2014")
"""Wheels that Debian 12's C library (2.36) takes, the newest first: the choice that pip makes on Debian 12."""
_NEVER_LOADED = tuple(
    f"{SITE}/kubernetes/{part}/{kind}/" for part in ("client", "aio/client") for kind in ("models", "api")
)
"""Half of all the code; Ringfence sends plain JSON. Their __init__.py stay."""


@dataclass(frozen=True)
class Wheel:
    """A package of the lock."""

    name: str
    version: str
    sha256: str


def wheels(requirements: Path, architecture: str) -> list[Path]:
    """The locked wheels for an architecture, checked by the lock's hashes."""
    key = cache.fingerprint(*_GLIBC, files=[requirements])
    folder = cache.folder() / "release" / f"wheels-{architecture}-{key}"
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        platforms = [f"--platform={glibc}_{_MACHINES[architecture]}" for glibc in _GLIBC]
        with step(f"fetching Python packages for {architecture}"):
            run(
                [
                    *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
                    *("--require-hashes", "--only-binary=:all:", f"--python-version={VERSION}", *platforms),
                    *("--dest", folder, "-r", requirements),
                ],
                timeout=900,
            )
        (folder / "complete").touch()
    return sorted(folder.glob("*.whl"))


def described(paths: Iterable[Path]) -> list[Wheel]:
    """Names, versions and hashes, from the wheels' names."""
    parts = [(path, path.name.split("-")) for path in paths]
    return [Wheel(p[0].replace("_", "-").lower(), p[1], sha256(path.read_bytes()).hexdigest()) for path, p in parts]


def installed(paths: Iterable[Path], *, scripts: bool = False) -> Tree:
    """The files of wheels, where Debian's Python looks for them; with the commands that they declare, or without."""
    tree: Tree = {}
    for path in paths:
        with ZipFile(path) as wheel:
            for info in wheel.infolist():
                name, content = info.filename, wheel.read(info)
                top, _, rest = name.partition("/")
                if top.endswith(".data"):
                    kind, _, name = rest.partition("/")
                    if kind not in {"purelib", "platlib"}:
                        continue  # scripts of libraries, manual pages: nobody calls or reads them in there
                if not info.is_dir():
                    # pip keeps that, too, but for the list of files, which it writes itself.
                    program = info.external_attr >> 16 & 0o111 and not name.endswith(".dist-info/RECORD")
                    tree[f"{SITE}/{name}"] = Node(content, PROGRAM_MODE if program else FILE_MODE)
                if scripts and name.endswith(".dist-info/entry_points.txt"):
                    tree |= _commands(content.decode())
    return {
        name: node for name, node in tree.items() if not name.startswith(_NEVER_LOADED) or name.endswith("/__init__.py")
    }


def _commands(text: str) -> Tree:
    declared = ConfigParser(delimiters=("=",))
    declared.optionxform = str  # type: ignore[assignment, method-assign] # names as they are
    declared.read_string(text)
    found: Tree = {}
    for name, target in declared["console_scripts"].items():
        module, _, function = target.partition(":")
        code = f"#!/usr/bin/python3\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"
        found[f"usr/local/bin/{name}"] = Node(code.encode(), PROGRAM_MODE)
    return found


@dataclass
class Compiler:
    """Compiles modules by the image's own Python, run from a folder; what is alike is compiled once."""

    folder: Path
    """An empty one. The Python in it is that of this machine's architecture."""
    base: Tree
    """The root file system for this machine's architecture."""
    _known: dict[tuple[str, bytes], Node] = field(default_factory=dict)

    def __post_init__(self) -> None:
        write({name: node for name, node in self.base.items() if not node.folder}, self.folder)

    def __call__(self, tree: Tree, *, below: str) -> Tree:
        """The compiled modules of what is `below` a path. The times and hashes of sources are not looked at later."""
        named = [name for name in tree if name.startswith(f"{below}/") and name.endswith(".py")]
        sources = {name: node for name in named if (node := followed(tree, name)) is not None}
        new = {name: node for name, node in sources.items() if (name, node.content) not in self._known}
        with tempfile.TemporaryDirectory() as place, step(f"compiling {len(new)} modules"):
            write(new, Path(place))
            where = ["-s", place, "-p", "/", f"{place}/{below}"]
            if new:
                words = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", *where]
                run([*self._python(), *words], env=self._environment(), timeout=1800)
            for name, node in new.items():
                self._known[name, node.content] = Node((Path(place) / _compiled(name)).read_bytes())
        return {_compiled(name): self._known[name, node.content] for name, node in sources.items()}

    def _python(self) -> list[str]:
        libraries = self.folder / "usr/lib" / MULTIARCH[machine()]
        (loader,) = libraries.glob("ld-linux-*.so.*")
        return [
            str(loader),
            "--library-path",
            str(libraries),
            str(self.folder / f"usr/bin/python{VERSION}"),
            "-s",
            "-S",
        ]

    def _environment(self) -> dict[str, str]:
        # The order of sets is written into a compiled module: one seed, one order.
        return {"PYTHONHOME": str(self.folder / "usr"), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}


def machine() -> str:
    """This machine's architecture. Raises ReleaseError where the image has none for it."""
    for name, told in _MACHINES.items():
        if platform.machine() == told:
            return name
    raise ReleaseError(f"a release is made on a machine of one of its architectures, not on {platform.machine()}")


def _compiled(name: str) -> str:
    folder, _, file = name.rpartition("/")
    return f"{folder}/__pycache__/{file.removesuffix('.py')}.cpython-{VERSION.replace('.', '')}.pyc"


def distributions(source: Source, target: Path) -> list[Path]:
    """Ringfence's own wheel and source archive."""
    with step("building the wheel and the source archive"):
        words = [sys.executable, "-m", "hatchling", "build", "-d", str(target)]
        env = {"SOURCE_DATE_EPOCH": str(source.epoch), "PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "0"}
        run(words, cwd=source.root, env=env, timeout=300)
    return sorted(target.glob(f"ringfence-{source.version}*"))


__all__ = ["SITE", "VERSION", "Compiler", "Wheel", "described", "distributions", "installed", "machine", "wheels"]
