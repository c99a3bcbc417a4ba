"""A release that is made in a moment: real archives, signatures and lists, of files that are a few bytes each."""

from pathlib import Path

from tools.release import build as building
from tools.release.attest import Signer, new_key
from tools.release.build import Where, archive_name
from tools.release.debian import Package
from tools.release.image import ARCHITECTURES, Part, image
from tools.release.oci import Layout
from tools.release.python import Wheel
from tools.release.source import Source
from tools.release.trees import Node

ROOT = Path(__file__).resolve().parents[3]
WHERE = Where("registry.example/platform", "https://downloads.example/ringfence")


def signer(folder: Path) -> Signer:
    path = folder / "key.pem"
    if not path.exists():
        new_key(path)
    return Signer.found(path)


def part(architecture: str) -> Part:
    """What an image might be made of."""
    base = {"usr/bin/python3": Node(link="python3.11"), "tmp": Node(mode=0o1777, folder=True)}
    packages = [Package("libc6", "2.36-9", "1" * 64, "Package: libc6\n", {})]
    layers = (base, {"usr/local/lib/a.py": Node(b"a = 1\n")}, {"usr/local/bin/ringfence": Node(b"#!", 0o755)})
    return Part(architecture, layers, packages, [Wheel("click", "8.5.1", "2" * 64)])


def release(folder: Path, by: Signer) -> Path:
    """All that `verify` reads, made by the parts that make a real one."""
    source = Source(ROOT, "0.1.0", "0" * 40, 1_700_000_000)
    folder.mkdir(parents=True)
    made = building._Release(source, WHERE, by, folder)
    parts = [part(name) for name in ARCHITECTURES]
    layout = Layout()
    top, manifests = image(layout, source, parts)
    layout.names["ringfence:0.1.0"] = top
    published = made._charts(layout, f"{WHERE.repository}@{top['digest']}")
    layout.names |= {f"charts/{name}:0.1.0": one for name, one in published.items()}
    lists = made._lists(parts, manifests)
    (folder / building.IMAGES).write_text(f"{WHERE.repository}@{top['digest']}\n")
    subjects = {"ringfence": top} | {f"ringfence-{name}": one for name, one in manifests.items()}
    subjects |= {f"chart-{name}": one for name, one in published.items()}
    made._sign(layout, subjects, lists, made._provenance(parts))
    (folder / archive_name("0.1.0")).write_bytes(layout.archive())
    (folder / building.KEY).write_text(by.public)
    made._sums()
    return folder
