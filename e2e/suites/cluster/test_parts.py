"""Parts of the cluster's code that need no cluster."""

import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from cluster import ClusterError, cache, controlplane, instance, node, packages, programs
from cluster.images import Image, write_archive
from cluster.instance import Instance, Mode
from cluster.shell import lock, run, wait_for


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "ringfence"


def test_the_cache_builds_once(own_cache: Path) -> None:
    calls = []

    def build(target: Path) -> None:
        calls.append(target)
        (target / "program").touch()

    first = cache.ensure("thing", "key", build, doing="building")
    assert cache.ensure("thing", "key", build, doing="building") == first
    assert (first / "program").exists()
    assert len(calls) == 1


def test_a_build_that_fails_leaves_nothing_usable(own_cache: Path) -> None:
    def fail(target: Path) -> None:
        (target / "half").touch()
        raise ClusterError("no")

    with pytest.raises(ClusterError):
        cache.ensure("thing", "key", fail, doing="building")
    whole = cache.ensure("thing", "key", lambda target: (target / "whole").touch(), doing="building")
    assert [entry.name for entry in whole.iterdir()] == ["whole"]


@pytest.mark.timeout(120)  # with one lock for both it waits for itself
def test_a_build_holds_up_no_other_key(own_cache: Path) -> None:
    def other(target: Path) -> None:
        (target / "beside").symlink_to(cache.ensure("thing", "other", lambda _: None, doing="building"))

    assert (cache.ensure("thing", "key", other, doing="building") / "beside").is_dir()


@pytest.mark.parametrize(
    ("asked", "version"), [("", "1.36.3"), ("1.36", "1.36.3"), ("1.31", "1.31.14"), ("1.33", "1.33.13")]
)
def test_each_version_of_kubernetes_has_a_lock(monkeypatch: pytest.MonkeyPatch, asked: str, version: str) -> None:
    monkeypatch.setenv("RINGFENCE_KUBERNETES", asked)
    assert programs.version() == version
    lock = "go.mod" if version == programs.KUBERNETES else f"go-{asked}.mod"
    assert f"k8s.io/kubernetes v{version}\n" in (programs.HERE / "kube" / lock).read_text()


def test_a_version_without_a_lock_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGFENCE_KUBERNETES", "1.30")
    with pytest.raises(ClusterError, match=r"1\.31, 1\.33, 1\.36"):
        programs.version()


def test_no_pods_run_on_an_older_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGFENCE_KUBERNETES", "1.31")
    node.check("api")
    with pytest.raises(ClusterError, match=r"1\.31\.14 is an API server alone here"):
        node.check("node")


def test_fingerprints_tell_contents_and_names(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a")
    two.write_text("a")
    assert cache.fingerprint("x", files=[one]) != cache.fingerprint("x", files=[two])
    before = cache.fingerprint("x", files=[one])
    one.write_text("b")
    assert cache.fingerprint("x", files=[one]) != before


def test_the_same_image_twice_has_one_digest(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    digests = {
        write_archive(tmp_path / f"{number}.tar", tag=f"localhost/x:{number}", files={program.name: program}, config={})
        for number in range(2)
    }
    assert len(digests) == 1, "the tag is no part of it"
    with tarfile.open(tmp_path / "0.tar") as archive:
        assert {"oci-layout", "index.json"} <= set(archive.getnames())


@pytest.mark.parametrize(
    ("tag", "pinned"),
    [
        ("localhost/a:dev", "localhost/a@sha256:1"),
        ("localhost:5000/a/b:v1", "localhost:5000/a/b@sha256:1"),
        ("localhost:5000/a", "localhost:5000/a@sha256:1"),
        ("localhost/a@sha256:2", "localhost/a@sha256:1"),
    ],
)
def test_a_pinned_name_has_no_tag(tag: str, pinned: str) -> None:
    assert Image(tag, "sha256:1").pinned == pinned


def test_instances_do_not_share_addresses(tmp_path: Path) -> None:
    def made(index: int, mode: Mode) -> Instance:
        return Instance(
            name="x",
            index=index,
            mode=mode,
            network_policy="enforce",
            home=tmp_path,
        )

    assert made(0, "node").server == "https://192.168.77.2:6443"
    modes: tuple[Mode, ...] = ("node", "api")
    servers = {made(index, mode).server for index in range(50) for mode in modes}
    assert len(servers) == 100


def test_an_instance_remembers_whether_policies_come_from_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance, "base", lambda: tmp_path)
    made = Instance("x", 3, "api", "enforce", tmp_path / "x", static_admission=True)
    made.save()
    assert instance.find("x") == made
    monkeypatch.setattr(programs, "kubernetes", lambda: tmp_path)
    flags = controlplane.components(made)["kube-apiserver"].argv
    assert f"--admission-control-config-file={tmp_path}/x/admission.json" in flags
    without = controlplane.components(Instance("y", 4, "api", "enforce", tmp_path / "y"))["kube-apiserver"].argv
    assert not [flag for flag in without if "admission-control-config-file" in flag or "ManifestBased" in flag]
    controlplane.write_admission_config(made)
    (plugin,) = json.loads(made.admission_config.read_text())["plugins"]
    assert plugin["configuration"]["staticManifestsDir"] == str(made.admission_manifests)
    assert list(made.admission_manifests.iterdir()) == []


def test_missing_packages_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ClusterError, match="apt-get install -y --no-install-recommends nobody-has-this"):
        packages.require({"nobody-has-this-program": "nobody-has-this"})
    packages.require({"sh": "dash"})


def test_a_lock_ends_with_its_holder() -> None:
    code = (
        "import time\nfrom cluster.shell import lock\n"
        "with lock('suite'):\n    print('held', flush=True)\n    time.sleep(600)"
    )
    env = {**os.environ, "PYTHONPATH": str(programs.HERE.parent)}
    with subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ClusterError, match="another run that holds suite"), lock("suite", timeout=0.2):
            pass
        holder.send_signal(signal.SIGKILL)
    with lock("suite", timeout=5):
        pass


def test_a_failed_program_is_quoted() -> None:
    with pytest.raises(ClusterError, match="ended with code 3:\nwhy"):
        run(["sh", "-c", "echo why >&2; exit 3"])
    with pytest.raises(ClusterError, match="no such program"):
        run(["nobody-has-this-program"])


def test_waiting_tells_the_last_problem() -> None:
    def never() -> bool:
        raise OSError("not yet")

    with pytest.raises(ClusterError, match="waiting for godot; last: not yet"):
        wait_for("godot", never, timeout=0.1)
