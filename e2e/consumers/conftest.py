"""A release, and a network namespace from which nothing but its registry and its downloads can be reached."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tools.release.attest import Signer, new_key
from tools.release.build import KEY, Where, archive_name, build
from tools.release.oci import Layout

from harness.gateway.room import Room, room
from suites.chart.registry import HOST

DOWNLOADS_PORT = 8000


@dataclass(frozen=True)
class Made:
    """A release and the key that signed it."""

    folder: Path
    key: Path
    """The public one."""
    version: str

    @property
    def layout(self) -> Layout:
        """Image, charts and signatures."""
        return Layout.of(self.folder / archive_name(self.version))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The one that RINGFENCE_RELEASE names, or one made for this."""
    if given := os.environ.get("RINGFENCE_RELEASE"):
        (archive,) = Path(given).glob(archive_name("*"))
        version = archive.name.removeprefix("ringfence-").removesuffix(".oci.tar")
        return Made(Path(given).resolve(), Path(given).resolve() / KEY, version)
    folder = tmp_path_factory.mktemp("release")
    new_key(folder / "key.pem")
    signer = Signer.found(folder / "key.pem")
    where = Where(f"{HOST}/platform", f"http://localhost:{DOWNLOADS_PORT}")
    source = build(folder / "made", where, signer, uncommitted=True)
    (folder / "trusted.pub").write_text(signer.public)
    return Made(folder / "made", folder / "trusted.pub", source.version)


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with room("ringfence-consumers", tmp_path_factory.mktemp("place")) as found:
        yield found
