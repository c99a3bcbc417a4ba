"""The admission server's certificate from cert-manager: used, trusted, renewed without a lost request, alerted."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from certificates.certmanager import AUTHORITY, NAME, PROVIDER, SECRET, authority, issued, read_all, renew
from chart.rendering import of_kind
from cluster import CommandFailed, programs
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
SHORT = ("--set", "certificates.certManager.duration=72h,certificates.certManager.renewBefore=24h")
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
    (signer,) = read_all(release.ca_bundle())
    certificate.verify_directly_issued_by(signer)
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


def rules(*values: str) -> list[dict[str, Any]]:
    """The chart's groups of rules, with nothing in them but the alert."""
    (found,) = of_kind("PrometheusRule", "--set", "monitoring.prometheusRule.enabled=true", *values).values()
    (rule,) = [one for group in found["spec"]["groups"] for one in group["rules"] if one.get("alert") == ALERT]
    return [{"name": "certificates", "rules": [rule]}]


def fires(tmp_path: Path, until: float, *values: str, now: float) -> bool:
    """Whether the alert of a chart with these values fires for an hour of this metric, by promtool."""
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": rules(*values)}))
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
    """What the servers tell is the end of what they use; it is late when its renewal has been due for long."""
    now = time.time()
    for certificate, value in served(release):
        assert value == pytest.approx(certificate.not_valid_after_utc.timestamp(), abs=1)
        assert timedelta(days=89) < certificate.not_valid_after_utc - datetime.now(UTC) <= timedelta(days=90)
        assert not fires(tmp_path, value, *PROVIDER, now=now)
        assert fires(tmp_path, value, *PROVIDER, now=now + timedelta(days=84).total_seconds())
    before = stored(release).serial_number
    release.put("upgrade", *PROVIDER, *SHORT)
    wait_for("a certificate of three days", lambda: stored(release).serial_number != before, timeout=150)
    wait_for("it to be used", lambda: all_serve(release, stored(release).serial_number), timeout=300)
    for _, value in served(release):
        assert value - now < timedelta(days=4).total_seconds()
        assert fires(tmp_path, value, *PROVIDER, now=now), "by the threshold of longer ones"
        assert not fires(tmp_path, value, *PROVIDER, *SHORT, now=now)
        assert not fires(tmp_path, value, *PROVIDER, *SHORT, now=value - timedelta(hours=24).total_seconds())
        assert fires(tmp_path, value, *PROVIDER, *SHORT, now=value - timedelta(hours=12).total_seconds())


@contextmanager
def changed(release: Release, name: str, spec: dict[str, Any]) -> Iterator[None]:
    """An object of cert-manager's with other fields, put back at the end."""

    def put(fields: dict[str, Any]) -> None:
        release.cluster.kubectl("patch", *named, "--type=merge", "-p", json.dumps({"spec": fields}))

    named = (name, "-n", NAMESPACE)
    before = release.cluster.get(*named)["spec"]
    put(spec)
    try:
        yield
    finally:
        put({field: before[field] for field in spec})


def waits(release: Release) -> bool:
    """Whether a renewal is due, and its request is not answered."""
    named, of = ("-n", NAMESPACE), "cert-manager.io/certificate-name"
    requests = release.cluster.get("certificaterequests", *named)["items"]
    ours = [one for one in requests if one["metadata"]["annotations"][of] == NAME]
    found = [("Issuing", release.cluster.get(f"certificate/{NAME}", *named)), *(("Ready", one) for one in ours)]
    told = [
        (kind, condition["status"], condition["reason"])
        for kind, one in found
        for condition in one.get("status", {}).get("conditions", [])
        if condition["type"] == kind
    ]
    return {("Issuing", "True", "Renewing"), ("Ready", "False", "Pending")} <= set(told)


def test_an_issuer_that_stops_fires_the_alert(release: Release, tmp_path: Path) -> None:
    """The renewal of a certificate for an hour comes due by the clock, after a minute; its servers go on with it.

    By a Prometheus that scrapes the pods. The alert's wait of an hour is made one of seconds.
    """
    groups = rules(*PROVIDER, *SHORT)
    groups[0]["rules"][0]["for"] = "5s"
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": groups}))
    cluster, before = release.cluster, stored(release).serial_number
    kubectl: list[str | Path] = [programs.tools() / "kubectl", f"--kubeconfig={cluster.kubeconfig}"]
    with prometheus.follow(kubectl, cluster.env, NAMESPACE, rules=[file]) as seen:
        seen.fresh(least=4, timeout=150)
        assert len(seen.query(METRIC)) == 2
        assert seen.alerts() == {}
        with changed(release, f"certificate/{NAME}", {"duration": "1h", "renewBefore": "59m"}):
            wait_for("one for an hour", lambda: stored(release).serial_number != before)
            with changed(release, f"issuer/{NAME}", {"ca": {"secretName": "gone"}}), Requests(release) as requests:
                wait_for("a renewal that is not answered", lambda: waits(release), timeout=300)
                last = stored(release).serial_number
                wait_for("the last one to be used", lambda: all_serve(release, last), timeout=300)
                wait_for("the alert", lambda: seen.alerts() == {ALERT: "firing"})
                many = requests.verdicts["good: admitted"]
                wait_for("requests meanwhile", lambda: requests.verdicts["good: admitted"] > many + 20)
                assert stored(release).serial_number == last
            assert requests.surprises == []
        wait_for("it to be renewed", lambda: stored(release).serial_number != last)
        wait_for("the alert to end", lambda: seen.alerts() == {}, timeout=300)
