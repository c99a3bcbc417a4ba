"""Checking a release without a network: nothing is missing, nothing was changed, and the key's owner stands for it."""

import json
import tarfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import yaml

from cluster.shell import step
from ringfence.policy.signatures import SIGNATURE

from . import attest
from .build import IMAGES, KEY, SIGNATURES, SUMS, bundle_name, repository_of
from .errors import ReleaseError
from .image import ARCHITECTURES
from .oci import INDEX, Layout, Object, digest


def verify(folder: Path, key: str | None = None) -> list[str]:
    """What was found to hold, in sentences. Raises ReleaseError at the first thing that does not.

    `key`: the public key that you trust, PEM; None: the one in the folder, which shows that the release is whole and
    not who made it.
    """
    try:
        return _Check(folder, key or (folder / KEY).read_text()).all()
    except OSError as problem:
        raise ReleaseError(f"{folder}: {problem.filename} cannot be read: {problem.strerror}") from None


@dataclass
class _Check:
    folder: Path
    key: str

    def all(self) -> list[str]:
        with step("reading all files"):
            told = [self._files()]
            (archive,) = self.folder.glob("*.oci.tar")
            layout = Layout.of(archive)
        told.append(f"{len(layout.reachable())} blobs, all there and as their digests say")
        version = archive.name.removeprefix("ringfence-").removesuffix(".oci.tar")
        subjects = self._subjects(layout, version)
        for name, one in subjects.items():
            self._bundles(layout, name, one)
        told.append(f"signature and provenance of {', '.join(subjects)}")
        told.append(self._lists(subjects))
        told.append(self._charts(layout, version, subjects["ringfence"]["digest"]))
        return told

    def _files(self) -> str:
        """The list of checksums is signed, names all files, and each is as it says."""
        text = (self.folder / SUMS).read_text()
        self._bundle(f"{SUMS}.sigstore.json", attest.FILES, digest(text.encode()))
        listed = {line[66:]: line[:64] for line in text.splitlines()}
        there = {str(p.relative_to(self.folder)): p for p in self.folder.rglob("*") if p.is_file()}
        unlisted = sorted(there.keys() - listed.keys() - {SUMS, f"{SUMS}.sigstore.json"})
        if unlisted:
            raise ReleaseError(f"{unlisted[0]} is not in {SUMS}")
        for name, wanted in listed.items():
            if name not in there:
                raise ReleaseError(f"{name} is missing")
            if sha256(there[name].read_bytes()).hexdigest() != wanted:
                raise ReleaseError(f"{name} is not what {SUMS} says: it was changed")
        return f"{len(listed)} files, all there and as {SUMS} says, which is signed"

    def _subjects(self, layout: Layout, version: str) -> dict[str, Object]:
        """What is signed: name -> descriptor."""
        try:
            top = layout.names[f"ringfence:{version}"]
            found = {"ringfence": top}
            found |= {
                f"ringfence-{one['platform']['architecture']}": one for one in layout.read(top["digest"])["manifests"]
            }
            found |= {f"chart-{n}": layout.names[f"charts/{n}:{version}"] for n in ("ringfence-crds", "ringfence")}
        except KeyError as missing:
            raise ReleaseError(f"the OCI layout lacks {missing}") from None
        if top["mediaType"] != INDEX or found.keys() < {f"ringfence-{name}" for name in ARCHITECTURES}:
            raise ReleaseError(f"the image is not there for all of {', '.join(ARCHITECTURES)}")
        return found

    def _bundles(self, layout: Layout, name: str, one: Object) -> None:
        """Each bundle verifies, and is attached to what it is about."""
        tag = f"{repository_of(name)}:{one['digest'].replace(':', '-')}"
        if tag not in layout.names:
            raise ReleaseError(f"nothing is attached to {name}")
        manifests = [layout.read(each["digest"]) for each in layout.read(layout.names[tag]["digest"])["manifests"]]
        attached = {layout.blobs[manifest["layers"][0]["digest"]] for manifest in manifests}
        for predicate in (SIGNATURE, attest.PROVENANCE):
            text = self._bundle(f"{SIGNATURES}/{bundle_name(name, predicate)}", predicate, one["digest"])
            if text.encode() not in attached:
                raise ReleaseError(f"{bundle_name(name, predicate)} is not attached to {name}")

    def _lists(self, subjects: dict[str, Object]) -> str:
        """The lists of what is in the image are signed."""
        counts = {}
        for name in ARCHITECTURES:
            listed = json.loads((self.folder / f"sbom-{name}.cdx.json").read_text())
            path = f"{SIGNATURES}/{bundle_name(f'ringfence-{name}', attest.SBOM)}"
            text = self._bundle(path, attest.SBOM, subjects[f"ringfence-{name}"]["digest"])
            if attest.content(text) != listed:
                raise ReleaseError(f"{path} states another list than sbom-{name}.cdx.json")
            counts[name] = len(listed["components"])
        return "what is in the image: " + ", ".join(f"{count} components ({name})" for name, count in counts.items())

    def _charts(self, layout: Layout, version: str, image: str) -> str:
        """The chart names this image, as do the list of images and the artifact in the layout."""
        path = self.folder / f"ringfence-{version}.tgz"
        with tarfile.open(path) as chart:
            member = chart.extractfile("ringfence/values.yaml")
            values = yaml.safe_load(member.read()) if member else {}
        name = f"{values['image']['repository']}@{values['image']['digest']}"
        if values["image"]["digest"] != image:
            raise ReleaseError(f"the chart names image {name}, the release has {image}")
        if (self.folder / IMAGES).read_text().split() != [name]:
            raise ReleaseError(f"{IMAGES} does not name the chart's image")
        for chart_name in ("ringfence-crds", "ringfence"):
            packed = (self.folder / f"{chart_name}-{version}.tgz").read_bytes()
            manifest = layout.read(layout.names[f"charts/{chart_name}:{version}"]["digest"])
            if manifest["layers"][0]["digest"] != digest(packed):
                raise ReleaseError(f"{chart_name}-{version}.tgz is another chart than the one in the OCI layout")
        return f"the charts name {name}"

    def _bundle(self, path: str, predicate: str, subject: str) -> str:
        text = (self.folder / path).read_text()
        try:
            attest.check(text, self.key, predicate, [subject])
        except ReleaseError as wrong:
            raise ReleaseError(f"{path} {wrong}") from None
        return text
