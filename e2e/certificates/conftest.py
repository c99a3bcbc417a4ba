"""A node cluster with cert-manager and a release that has its certificate from there."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from certificates.certmanager import PROVIDER, running
from cluster import Cluster
from harness.image import build
from suites.chart.release import CRDS, NAMESPACE, OPENED, Release
from suites.names import own


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """Installed by helm, cert-manager first. helm waits for ready pods, and these for their certificate."""
    with Cluster.for_tests(own("certificates"), fresh=True) as cluster:
        log = tmp_path_factory.mktemp("cert-manager") / "log"
        with running(cluster, log):
            built = build()
            cluster.load_image(Path(built.archive))
            for name, label in (
                (NAMESPACE, "pod-security.kubernetes.io/enforce=restricted"),
                (OPENED, "ringfence.dev/agents=enabled"),
            ):
                cluster.kubectl("create", "namespace", name)
                cluster.kubectl("label", "namespace", name, label)
            found = Release(cluster, built)
            found.helm("install", "ringfence-crds", str(CRDS), "--wait")
            try:
                found.put("install", *PROVIDER)
            except Exception:
                print(log.read_text()[-5000:])
                print(json.dumps(cluster.get("certificates,certificaterequests,issuers", "-n", NAMESPACE))[:8000])
                raise
            yield found
