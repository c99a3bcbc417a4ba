"""What is in the image, as CycloneDX 1.6: Debian's packages, Python's, and Ringfence itself."""

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from .image import Part
from .source import Source


def sbom(source: Source, part: Part, digest: str) -> str:
    """The list for the image with the manifest `digest`, JSON."""
    name = f"ringfence {source.version} {part.architecture}"
    image = Component(
        name="ringfence",
        type=ComponentType.CONTAINER,
        version=source.version,
        bom_ref="image",
        purl=PackageURL("oci", name="ringfence", version=digest, qualifiers={"arch": part.architecture}),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest.removeprefix("sha256:"))],
    )
    time = datetime.fromtimestamp(source.epoch, UTC)
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, f"{name} {digest}"), components=_components(source, part))
    bom.metadata = BomMetaData(component=image, timestamp=time)
    bom.register_dependency(image, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def purls(part: Part) -> dict[str, str]:
    """Package URL -> `sha256:...` of what was fetched for it."""
    return {str(purl): f"sha256:{sha}" for purl, _, _, sha in _fetched(part)}


def _components(source: Source, part: Part) -> Iterable[Component]:
    own = PackageURL("pypi", name="ringfence", version=source.version)
    yield Component(name="ringfence", version=source.version, purl=own, bom_ref=str(own))
    for purl, name, version, sha in _fetched(part):
        hashes = [HashType(alg=HashAlgorithm.SHA_256, content=sha)]
        yield Component(name=name, version=version, purl=purl, bom_ref=str(purl), hashes=hashes)


def _fetched(part: Part) -> Iterable[tuple[PackageURL, str, str, str]]:
    for deb in part.debian:
        told = {"arch": part.architecture, "distro": "debian-12"}
        yield (
            PackageURL("deb", "debian", deb.name, deb.version, qualifiers=told),
            deb.name,
            deb.version,
            deb.sha256,
        )
    for wheel in part.wheels:
        yield PackageURL("pypi", name=wheel.name, version=wheel.version), wheel.name, wheel.version, wheel.sha256
