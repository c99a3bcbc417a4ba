"""The admission server's certificate from cert-manager: used, trusted, renewed without a lost request, alerted."""

import json
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from certificates.certmanager import AUTHORITY, NAME, PROVIDER, SECRET, authority, issued, read, renew
from chart.rendering import of_kind
from cluster import CommandFailed
from cluster.shell import wait_for
from harness import prometheus
from suites.chart.release import NAMESPACE, Release, Requests, agent

pytestmark = pytest.mark.timeout(1800)
METRIC = "ringfence_admission_certificate_expiry_timestamp_seconds"
ALERT = "RingfenceCertificateExpires"
METRICS = """
import json, urllib.request
print(json.dumps(urllib.request.urlopen("http://127.0.0.1:8080/metrics").read().decode()))
"""
SERVED = """
import json, ssl, urllib.request
print(json.dumps([
    ssl.get_server_certificate(("127.0.0.1", 8443)),
    urllib.request.urlopen("http://127.0.0.1:8080/metrics").read().decode(),
]))
"""
"""What a pod of the admission server shows to whoever calls it, and what it tells Prometheus."""


def stored(release: Release) -> x509.Certificate:
    """What cert-manager wrote."""
    return issued(release.cluster)[0]


def served(release: Release) -> list[tuple[x509.Certificate, float]]:
    """By each pod: its certificate, and its metric."""
    found = []
    for pod in release.pods("admission"):
        pem, metrics = json.loads(release.python(pod["metadata"]["name"], SERVED))
        (value,) = [line.split()[-1] for line in metrics.splitlines() if line.startswith(METRIC)]
        found.append((x509.load_pem_x509_certificate(pem.encode()), float(value)))
    return found


def all_serve(release: Release, serial: int) -> bool:
    return [certificate.serial_number for certificate, _ in served(release)] == [serial] * 2


def test_the_webhook_answers_with_what_cert_manager_issued(release: Release) -> None:
    certificate = stored(release)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert f"ringfence-admission.{NAMESPACE}.svc" in names.get_values_for_type(x509.DNSName)
    assert all_serve(release, certificate.serial_number)
    annotations = release.cluster.get(SECRET, "-n", NAMESPACE)["metadata"]["annotations"]
    assert annotations["cert-manager.io/certificate-name"] == "ringfence-admission"
    # The API server trusts it, by what the injector wrote: a refusal is in the webhook's own words.
    assert release.ca_bundle()
    certificate.verify_directly_issued_by(read(release.ca_bundle() or ""))
    with pytest.raises(CommandFailed, match="EgressUnrestricted"):
        release.cluster.apply(
            agent(release.cluster, "bad", network={"egress": [{"cidr": "0.0.0.0/0", "ports": [443]}]})
        )
    release.helm("test", "ringfence")


def in_force(release: Release) -> bool:
    """Whether the leader sees the webhook registered as the chart has it, whatever the injector wrote."""
    told = [json.loads(release.python(pod["metadata"]["name"], METRICS)) for pod in release.pods("controller")]
    return any("ringfence_admission_webhook_in_force 1.0" in metrics for metrics in told)


def test_the_controller_keeps_out_of_it(release: Release) -> None:
    for pod in release.pods("controller"):
        assert "--certificates=external" in pod["spec"]["containers"][0]["args"]
    wait_for("it to see admission in force", lambda: in_force(release))


def test_a_renewal_reaches_the_webhook_without_a_lost_request(release: Release) -> None:
    before, trusted = stored(release), release.ca_bundle()
    with Requests(release) as requests:
        wait_for("some requests", lambda: requests.verdicts["good: admitted"] > 20)
        renew(release.cluster, NAME)
        wait_for("another certificate", lambda: stored(release).serial_number != before.serial_number)
        after = stored(release).serial_number
        wait_for("it to be used", lambda: all_serve(release, after), timeout=300)
        many = requests.verdicts["good: admitted"]
        wait_for("requests after it", lambda: requests.verdicts["good: admitted"] > many + 20)
    assert requests.surprises == []
    assert release.ca_bundle() == trusted, "the authority stays: who has the older certificate is still trusted"


def test_the_authority_is_renewed_without_a_lost_request(release: Release) -> None:
    """With the same key, so that what it signed before is still good."""
    trusted, before = release.ca_bundle(), authority(release.cluster)
    with Requests(release) as requests:
        wait_for("some requests", lambda: requests.verdicts["good: admitted"] > 20)
        renew(release.cluster, AUTHORITY)
        wait_for("another authority", lambda: authority(release.cluster)["tls.crt"] != before["tls.crt"])
        renew(release.cluster, NAME)  # with the next certificate the injector hears of it
        wait_for("it to be trusted", lambda: release.ca_bundle() != trusted, timeout=300)
        wait_for("it to be used", lambda: all_serve(release, stored(release).serial_number), timeout=300)
    assert requests.surprises == []
    assert authority(release.cluster)["tls.key"] == before["tls.key"]


def fires(tmp_path: Path, until: float, *, now: float) -> bool:
    """Whether the chart's alert fires for an hour of this metric, by promtool."""
    (rule,) = of_kind("PrometheusRule", "--set", "monitoring.prometheusRule.enabled=true").values()
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": rule["spec"]["groups"]}))
    # promtool's time begins at 0.
    check = {"eval_time": "61m", "alertname": ALERT, "exp_alerts": []}
    test = {
        "interval": "1m",
        "input_series": [{"series": f'{METRIC}{{pod="a"}}', "values": f"{until - now:.0f}x90"}],
        "alert_rule_test": [check],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": [test]}))
    program = prometheus.programs() / "promtool"
    done = subprocess.run(
        [program, "test", "rules", "test.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ("FAILED" in done.stdout + done.stderr) is (done.returncode == 1)
    return done.returncode == 1 and ALERT in done.stdout + done.stderr


def test_the_alert_goes_by_cert_managers_certificate(release: Release, tmp_path: Path) -> None:
    """What the servers tell is the end of what they use. One that is good for too short a time fires it."""
    now = time.time()
    for certificate, value in served(release):
        assert value == pytest.approx(certificate.not_valid_after_utc.timestamp(), abs=1)
        assert timedelta(days=89) < certificate.not_valid_after_utc - datetime.now(UTC) <= timedelta(days=90)
        assert not fires(tmp_path, value, now=now)
    before = stored(release).serial_number
    short = ("--set", "certificates.certManager.duration=72h,certificates.certManager.renewBefore=24h")
    release.put("upgrade", *PROVIDER, *short)
    wait_for("a certificate of three days", lambda: stored(release).serial_number != before, timeout=150)
    wait_for("it to be used", lambda: all_serve(release, stored(release).serial_number), timeout=300)
    for _, value in served(release):
        assert value - now < timedelta(days=7).total_seconds()
        assert fires(tmp_path, value, now=now)
