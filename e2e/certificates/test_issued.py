"""What cert-manager makes of the chart's Certificates, on an API server without a node: nobody serves it here."""

from collections.abc import Iterator

import pytest
from cryptography import x509

from certificates.certmanager import AUTHORITY, NAME, PROVIDER, authority, issued, read, read_all, renew, running
from chart.rendering import render
from cluster import Cluster
from cluster.shell import wait_for
from suites.chart.release import NAMESPACE, REGISTRATION
from suites.names import own

pytestmark = pytest.mark.timeout(1800)
KINDS = {"Issuer", "Certificate", "ValidatingWebhookConfiguration"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """With cert-manager at work, and of the chart what it reads and writes."""
    with Cluster.for_tests(own("issued"), mode="api", fresh=True) as found:
        log = tmp_path_factory.mktemp("cert-manager") / "log"
        with running(found, log):
            found.kubectl("create", "namespace", NAMESPACE)
            found.apply(*(one for one in render(*PROVIDER) if one["kind"] in KINDS))
            try:
                wait_for("the certificate", lambda: issued(found) and trust(found))
            except Exception:
                print(log.read_text()[-8000:])
                raise
            yield found


def trust(cluster: Cluster) -> set[x509.Certificate]:
    """What the API server is told to trust."""
    return read_all(cluster.get(REGISTRATION)["webhooks"][0]["clientConfig"].get("caBundle"))


def trusted(cluster: Cluster, certificate: x509.Certificate) -> bool:
    """By each that is trusted, as all have one key."""
    for one in trust(cluster):
        certificate.verify_directly_issued_by(one)
    return True


def renewed(cluster: Cluster) -> x509.Certificate:
    before = issued(cluster)[0].serial_number
    renew(cluster, NAME)
    wait_for("another certificate", lambda: issued(cluster)[0].serial_number != before)
    return issued(cluster)[0]


def test_it_is_for_the_webhook_and_signed_by_what_the_api_server_trusts(cluster: Cluster) -> None:
    certificate, signer = issued(cluster)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert f"{NAME}.{NAMESPACE}.svc" in names.get_values_for_type(x509.DNSName)
    assert trust(cluster) == {signer} == {read(authority(cluster)["tls.crt"])}
    assert certificate != signer
    assert trusted(cluster, certificate)


def test_a_renewal_changes_nothing_that_is_trusted(cluster: Cluster) -> None:
    before, first = issued(cluster)[0], trust(cluster)
    after = renewed(cluster)
    assert before.public_key() != after.public_key()
    assert trust(cluster) == first
    assert trusted(cluster, before)
    assert trusted(cluster, after)


def test_what_an_authority_signed_is_good_after_its_renewal_too(cluster: Cluster) -> None:
    before, first = issued(cluster)[0], authority(cluster)
    renew(cluster, AUTHORITY)
    wait_for("another authority", lambda: authority(cluster)["tls.crt"] != first["tls.crt"])
    assert authority(cluster)["tls.key"] == first["tls.key"]
    after = renewed(cluster)
    both = {read(first["tls.crt"]), read(authority(cluster)["tls.crt"])}
    wait_for("it to be trusted beside the first", lambda: trust(cluster) == both)
    assert trusted(cluster, before), "a server that has the older one still is"
    assert trusted(cluster, after)
