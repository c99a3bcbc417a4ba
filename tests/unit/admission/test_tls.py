"""The certificate in use: what is told of it, and how its handshakes are."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ringfence.admission.tls import Certificate, Files
from ringfence.controller.certificates import Names
from ringfence.controller.certificates.issue import issue
from unit.admission.test_server import store

NAMES = Names(("here.svc",), (ip_address("127.0.0.1"),))
NOW = datetime.now(UTC)


def test_handshakes_are_of_tls_13_and_each_proves_anew(tmp_path: Path) -> None:
    context = Certificate(Files(tmp_path / "tls.crt", tmp_path / "tls.key")).base
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert context.num_tickets == 0
    assert context.options & ssl.OP_NO_TICKET
    assert context.verify_mode is ssl.CERT_NONE, "no CA of clients was given"


def test_what_is_wrong_with_the_files_is_told_once_until_it_changes(tmp_path: Path) -> None:
    files = store(tmp_path, issue(NAMES, NOW))
    certificate = Certificate(files)
    assert certificate.missing() == f"{files.certificate} has not been read yet"
    good = files.certificate.read_bytes()
    files.certificate.resolve().write_bytes(b"nonsense")
    with capture_logs() as said:
        assert [certificate.refresh() for _ in range(3)] == [False] * 3
    (line,) = said
    assert line["event"] == certificate.missing() == "the certificate cannot be loaded: ValueError"
    assert (line["log_level"], line["keeps_old"], line["file"]) == ("error", False, str(files.certificate))
    files.certificate.resolve().unlink()
    with capture_logs() as said:
        assert not certificate.refresh()
    assert [one["event"] for one in said] == ["the certificate cannot be loaded: No such file or directory"]
    files.certificate.resolve().write_bytes(good)
    assert certificate.refresh()
    assert certificate.missing() is None
    files.certificate.resolve().write_bytes(b"nonsense")
    with capture_logs() as said:
        assert not certificate.refresh()
    assert [one["keeps_old"] for one in said] == [True]
    assert certificate.missing() is None, "the old one is in use"


@pytest.mark.parametrize("at", ["not_before", "not_after"])
def test_it_serves_from_its_first_moment_to_its_last(tmp_path: Path, at: str) -> None:
    clock = [NOW]
    certificate = Certificate(store(tmp_path, issue(NAMES, NOW)), now=lambda: clock[0])
    assert certificate.refresh()
    assert not certificate.refresh(), "nothing new"
    end = getattr(certificate, at)
    second = timedelta(seconds=1)
    clock[0] = end - second
    assert (certificate.missing() is None) == (at == "not_after")
    clock[0] = end
    assert (certificate.missing() is None) == (at == "not_before")
    clock[0] = end + second
    assert (certificate.missing() is None) == (at == "not_before")
    if at == "not_after":
        assert certificate.missing() == f"the certificate ended on {end.isoformat()}"
