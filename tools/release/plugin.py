"""The kubectl plugin: one archive for each architecture that brings its own Python, and krew's manifest of them."""

from pathlib import PurePosixPath
from typing import Any

import yaml

from .debian import MULTIARCH
from .image import Part
from .python import SITE, VERSION
from .source import Source
from .trees import PROGRAM_MODE, Node, Tree, followed, gzipped, tar

MANIFEST = "krew/ringfence.yaml"
"""krew's check wants the file named after the plugin, as krew-index has it."""
_LAUNCHER = """\
#!/bin/sh
# The Python beside this file, with the C library that it was built for: nothing of the machine's own is needed.
here=$(dirname "$(readlink -f "$0")")
export PYTHONHOME="$here/usr" PYTHONDONTWRITEBYTECODE=1
code='import sys; sys.argv[0] = "kubectl-ringfence"; from ringfence.cli.main import main; sys.exit(main())'
exec {loader} --library-path "$here/usr/lib/{libraries}" "$here/usr/bin/python{version}" -s -c "$code" "$@"
"""
_SHORT = "Fence AI agents: check manifests and policies, look at agents"


def file_name(source: Source, architecture: str) -> str:
    """Name of an archive."""
    return f"kubectl-ringfence-{source.version}-linux-{architecture}.tar.gz"


def archive(source: Source, part: Part) -> bytes:
    """The files of the image that Python needs. krew takes no links: each is the file that it leads to."""
    libraries = MULTIARCH[part.architecture]
    wanted = (f"usr/lib/{libraries}/", f"usr/lib/python{VERSION}/", f"{SITE}/", f"usr/bin/python{VERSION}")
    files = part.files
    tree: Tree = {}
    for name in files:
        target = followed(files, name)
        if name.startswith(wanted) and target is not None:
            tree[name] = target
    (loader,) = (name for name in tree if PurePosixPath(name).match(f"usr/lib/{libraries}/ld-linux-*.so.*"))
    text = _LAUNCHER.format(loader=f'"$here/{loader}"', libraries=libraries, version=VERSION)
    own = {
        "kubectl-ringfence": Node(text.encode(), PROGRAM_MODE),
        "LICENSE": Node((source.root / "LICENSE").read_bytes()),
    }
    return gzipped(tar(tree | own, time=source.epoch))


def manifest(source: Source, downloads: str, digests: dict[str, str]) -> str:
    """Manifest for krew. `digests`: architecture -> sha256:... of the archive; `downloads`: where the files will be."""
    platforms: list[dict[str, Any]] = [
        {
            "selector": {"matchLabels": {"os": "linux", "arch": name}},
            "uri": f"{downloads}/{file_name(source, name)}",
            "sha256": digest.removeprefix("sha256:"),
            "bin": "kubectl-ringfence",
        }
        for name, digest in sorted(digests.items())
    ]
    about = {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": "ringfence"},
        "spec": {
            "version": f"v{source.version}",
            "shortDescription": _SHORT,
            "description": "The command `ringfence` as a plugin of kubectl. It brings its own Python.\n",
            "platforms": platforms,
        },
    }
    return yaml.safe_dump(about, sort_keys=False, width=1000)
