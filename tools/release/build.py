"""Making a release: one folder with everything in it, the same bytes each time from the same commit."""

import json
import shutil
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import yaml

from cluster.shell import step
from ringfence.policy.signatures import SIGNATURE

from . import attest, charts, notes, olm, plugin
from .image import ARCHITECTURES, Part, image, parts
from .oci import Layout, Object, digest
from .python import distributions
from .sbom import purls, sbom
from .source import Source, copied
from .trees import write

ROOT = Path(__file__).resolve().parents[2]
SUMS = "SHA256SUMS"
KEY = "ringfence.pub"
IMAGES = "images.txt"
SIGNATURES = "signatures"
RUNBOOKS = "runbooks"


@dataclass(frozen=True)
class Where:
    """What a release says about where it will be."""

    registry: str
    """HOST/PREFIX: the image is HOST/PREFIX/ringfence, the charts are below HOST/PREFIX/charts."""
    downloads: str
    """URL of the folder that the other files will be in."""

    @property
    def repository(self) -> str:
        """The image's, without tag or digest."""
        return f"{self.registry}/ringfence"


def archive_name(version: str) -> str:
    """The file with the OCI layout."""
    return f"ringfence-{version}.oci.tar"


def build(
    target: Path, where: Where, signer: attest.Signer, *, checkout: Path = ROOT, uncommitted: bool = False
) -> Source:
    """Make a release into `target`, which must not exist or be an earlier one. Raises ReleaseError, ClusterError."""
    unfinished = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as place:
        source = copied(checkout, Path(place) / "source", uncommitted=uncommitted)
        _Release(source, where, signer, unfinished).make()
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)
    return source


@dataclass
class _Release:
    source: Source
    where: Where
    signer: attest.Signer
    folder: Path

    def make(self) -> None:
        """Everything, in the order in which one thing needs the other."""
        version = self.source.version
        files = distributions(self.source, self.folder)
        (wheel,) = (path for path in files if path.suffix == ".whl")
        made = parts(self.source, wheel)
        layout = Layout()
        top, manifests = image(layout, self.source, made)
        layout.names[f"ringfence:{version}"] = top
        published = self._charts(layout, f"{self.where.repository}@{top['digest']}")
        layout.names |= {f"charts/{name}:{version}": one for name, one in published.items()}
        lists = self._lists(made, manifests)
        self._plugins(made)
        self._pages(top)
        subjects = {"ringfence": top}
        subjects |= {f"ringfence-{name}": one for name, one in manifests.items()}
        subjects |= {f"chart-{name}": one for name, one in published.items()}
        self._sign(layout, subjects, lists, self._provenance(made))
        with step("writing the OCI layout"):
            (self.folder / archive_name(version)).write_bytes(layout.archive())
        (self.folder / KEY).write_text(self.signer.public)
        self._sums()

    def _charts(self, layout: Layout, image_name: str) -> dict[str, Object]:
        """The charts as files and as artifacts: name -> descriptor."""
        repository, _, pinned = image_name.partition("@")
        values = charts.Values(repository, pinned, f"{self.where.downloads}/{RUNBOOKS}")
        hub = {
            "artifacthub.io/license": "Apache-2.0",
            "artifacthub.io/prerelease": "true",
            "artifacthub.io/images": yaml.safe_dump([{"name": "ringfence", "image": image_name}]),
            "artifacthub.io/changes": yaml.safe_dump(notes.changes(self._changelog, self.source.version), width=1000),
        }
        found = {}
        for name in charts.NAMES:
            packed = charts.archived(self.source, name, values, hub)
            (self.folder / f"{name}-{self.source.version}.tgz").write_bytes(packed)
            about = yaml.safe_load((self.source.root / "charts" / name / "Chart.yaml").read_text())
            found[name] = charts.artifact(layout, packed, about | {"annotations": hub})
        return found

    def _lists(self, made: list[Part], manifests: dict[str, Object]) -> dict[str, str]:
        """What is in the image, for the image of each architecture."""
        lists = {}
        for part in made:
            text = sbom(self.source, part, manifests[part.architecture]["digest"])
            (self.folder / f"sbom-{part.architecture}.cdx.json").write_text(text)
            lists[f"ringfence-{part.architecture}"] = text
        return lists

    def _plugins(self, made: list[Part]) -> None:
        digests = {}
        for part in made:
            with step(f"packing the plugin for {part.architecture}"):
                packed = plugin.archive(self.source, part)
            (self.folder / plugin.file_name(self.source, part.architecture)).write_bytes(packed)
            digests[part.architecture] = digest(packed)
        described = self.folder / plugin.MANIFEST
        described.parent.mkdir()
        described.write_text(plugin.manifest(self.source, self.where.downloads, digests))

    def _pages(self, top: Object) -> None:
        version, prefix = self.source.version, self.where.registry
        name = f"{self.where.repository}@{top['digest']}"
        (self.folder / IMAGES).write_text(name + "\n")
        install = "\n".join(
            [
                f"Image: `{name}` ({', '.join(ARCHITECTURES)})",
                "",
                "```sh",
                f"helm install ringfence-crds oci://{prefix}/charts/ringfence-crds --version {version}",
                f"helm install ringfence oci://{prefix}/charts/ringfence --version {version} -n {olm.NAMESPACE}",
                "```",
            ]
        )
        (self.folder / "release-notes.md").write_text(notes.notes(self._changelog, version, install))
        shutil.copytree(self.source.root / "docs" / RUNBOOKS, self.folder / RUNBOOKS)
        hub: Object = {"owners": [], "ignore": []}
        (self.folder / "artifacthub-repo.yml").write_text(yaml.safe_dump(hub))
        write(olm.bundle(self.source, name), self.folder / "olm")

    def _sign(self, layout: Layout, subjects: dict[str, Object], lists: dict[str, str], provenance: Object) -> None:
        """Signatures and attestations of subjects, by name: files, and attached to what they are about."""
        (self.folder / SIGNATURES).mkdir()
        for name, one in subjects.items():
            about = {name: one["digest"]}
            bundles = {
                SIGNATURE: self.signer.bundle(about),
                attest.PROVENANCE: self.signer.bundle(about, attest.PROVENANCE, provenance),
            }
            if name in lists:
                bundles[attest.SBOM] = self.signer.bundle(about, attest.SBOM, json.loads(lists[name]))
            for predicate, text in bundles.items():
                (self.folder / SIGNATURES / bundle_name(name, predicate)).write_text(text)
            layout.attach(repository_of(name), one, bundles)

    def _provenance(self, made: list[Part]) -> Object:
        """SLSA's provenance: from which commit, and from which packages."""
        commit = {"uri": "git+file:ringfence", "digest": {"gitCommit": self.source.commit}}
        fetched = {purl: sha for part in made for purl, sha in purls(part).items()}
        return {
            "buildDefinition": {
                "buildType": "urn:ringfence:release:v1",
                "externalParameters": {"registry": self.where.registry, "downloads": self.where.downloads},
                "resolvedDependencies": [
                    commit,
                    *(
                        {"uri": purl, "digest": {"sha256": sha.removeprefix("sha256:")}}
                        for purl, sha in sorted(fetched.items())
                    ),
                ],
            },
            "runDetails": {"builder": {"id": "urn:ringfence:make-release"}},
        }

    def _sums(self) -> None:
        """Checksums of all files, and the signature of the list."""
        found = sorted(path for path in self.folder.rglob("*") if path.is_file())
        lines = [f"{sha256(path.read_bytes()).hexdigest()}  {path.relative_to(self.folder)}\n" for path in found]
        text = "".join(lines)
        (self.folder / SUMS).write_text(text)
        bundle = self.signer.bundle({SUMS: digest(text.encode())}, attest.FILES)
        (self.folder / f"{SUMS}.sigstore.json").write_text(bundle)

    @property
    def _changelog(self) -> str:
        return (self.source.root / "CHANGELOG.md").read_text()


_KINDS = {SIGNATURE: "signature", attest.PROVENANCE: "provenance", attest.SBOM: "sbom"}


def bundle_name(subject: str, predicate: str) -> str:
    """The file of a bundle below `signatures`."""
    return f"{subject}.{_KINDS[predicate]}.sigstore.json"


def repository_of(subject: str) -> str:
    """Where a signed thing is, below the registry's prefix."""
    return f"charts/{subject.removeprefix('chart-')}" if subject.startswith("chart-") else "ringfence"
