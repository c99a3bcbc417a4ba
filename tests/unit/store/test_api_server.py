"""The API server's addresses: which announced ones are believed, which are not, and why."""

from ipaddress import ip_network
from typing import Any

import pytest

from ringfence.kube.proof import Proof
from ringfence.resources import Endpoint
from ringfence.store.api_server import CLAIMS, ApiServerAddresses, Doubt

PODS = [ip_network("10.244.0.0/16"), ip_network("fd00:10::/64")]
RIGHT = Endpoint("192.0.2.1", 6443)


def announced(*addresses: str, name: str = "kubernetes", ports: tuple[int, ...] = (6443,)) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": "kubernetes"}
    return {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-of-{name}", "labels": labels},
        "endpoints": [{"addresses": list(addresses)}],
        "ports": [{"port": port} for port in ports],
    }


def known(*bodies: dict[str, Any], stated: tuple[str, ...] = (), **proofs: Proof) -> ApiServerAddresses:
    """`proofs`: by the last number of the address 192.0.2.N."""
    found = ApiServerAddresses(map(ip_network, stated))
    for body in bodies:
        found.observe(body, deleted=False)
    found.take({Endpoint(f"192.0.2.{number[1:]}", 6443): proof for number, proof in proofs.items()})
    return found


def doubts(addresses: ApiServerAddresses) -> list[tuple[str, str, Doubt]]:
    return [(one.slice, endpoint.address, one.doubt) for one in addresses.doubted(PODS) for endpoint in one.endpoints]


def test_what_shows_the_certificate_for_its_address_is_believed() -> None:
    addresses = known(announced("192.0.2.1", "192.0.2.2"), n1=Proof.ADDRESS)
    assert addresses.believed(PODS) == (RIGHT,)
    assert doubts(addresses) == [], "the other one was not looked at yet"


@pytest.mark.parametrize(
    ("proof", "doubt"),
    [(Proof.NONE, Doubt.OTHER), (Proof.SILENT, Doubt.SILENT), (Proof.NAME, Doubt.UNNAMED)],
)
def test_what_does_not_is_closed_and_told(proof: Proof, doubt: Doubt) -> None:
    addresses = known(announced("192.0.2.1"), n1=proof)
    assert addresses.believed(PODS) == ()
    assert doubts(addresses) == [("default/kubernetes", "192.0.2.1", doubt)]


def test_a_lie_closes_no_address_to_others() -> None:
    addresses = known(announced("192.0.2.1", "192.0.2.2", "192.0.2.3"), n1=Proof.NAME, n2=Proof.NONE, n3=Proof.SILENT)
    assert addresses.closed(PODS) == (ip_network("192.0.2.1/32"),), "a proof of the name is enough to close it"


def test_in_a_stated_network_the_name_is_enough_and_nothing_less() -> None:
    addresses = known(announced("192.0.2.1", "192.0.2.2"), stated=("192.0.2.0/24",), n1=Proof.NAME, n2=Proof.NONE)
    assert addresses.believed(PODS) == (RIGHT,)
    elsewhere = known(announced("192.0.2.1"), stated=("198.51.100.0/24",), n1=Proof.NAME)
    assert elsewhere.believed(PODS) == ()


def test_no_other_slice_is_believed_whatever_it_says() -> None:
    addresses = known(announced("192.0.2.1", name="kubernetes-x"), stated=("192.0.2.0/24",), n1=Proof.ADDRESS)
    assert (addresses.claims(PODS), addresses.believed(PODS), addresses.closed(PODS)) == ((), (), ())
    assert doubts(addresses) == [("default/kubernetes-x", "192.0.2.1", Doubt.SLICE)]


@pytest.mark.parametrize(
    "address",
    [
        *("10.244.1.2", "fd00:10::7"),  # pods
        *("127.0.0.1", "::1", "0.0.0.0", "::"),  # the machine
        *("169.254.1.1", "fe80::1", "224.0.0.1", "ff02::1", "255.255.255.255"),  # the link
        *("169.254.169.254", "100.100.100.200", "168.63.129.16"),  # metadata
    ],
)
def test_what_no_api_server_has_is_not_even_greeted(address: str) -> None:
    addresses = ApiServerAddresses([ip_network("0.0.0.0/0"), ip_network("::/0")])
    addresses.observe(announced(address), deleted=False)
    addresses.take({Endpoint(address, 6443): Proof.ADDRESS})
    assert (addresses.claims(PODS), addresses.believed(PODS), addresses.closed(PODS)) == ((), (), ())
    assert doubts(addresses) == [("default/kubernetes", address, Doubt.PLACE)]


def test_many_lies_do_not_push_out_what_is_known() -> None:
    addresses = known(announced("192.0.2.1"), n1=Proof.ADDRESS)
    many = [f"10.0.{n}.1" for n in range(CLAIMS * 2)]
    addresses.observe(announced("192.0.2.1", *many), deleted=False)
    assert len(addresses.claims(PODS)) == CLAIMS
    assert addresses.claims(PODS)[0] == RIGHT
    assert addresses.believed(PODS) == (RIGHT,)
    assert {doubt for _, _, doubt in doubts(addresses)} == {Doubt.MANY}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"metadata": None},
        announced("nonsense"),
        announced("fe80::1%eth0"),
        announced("192.0.2.1", ports=()),
        announced("192.0.2.1", ports=(0, 70000)),
        announced("192.0.2.1") | {"endpoints": [None, {"addresses": [7, None]}]},
    ],
)
def test_odd_slices_announce_nothing(body: dict[str, Any]) -> None:
    addresses = ApiServerAddresses()
    addresses.observe(body, deleted=False)
    assert (addresses.claims(PODS), addresses.doubted(PODS)) == ((), [])


def test_news_are_announced_and_the_rest_is_not() -> None:
    addresses, told = ApiServerAddresses(), list[int]()
    addresses.announced = lambda: told.append(1)
    addresses.observe(announced("192.0.2.1"), deleted=False)
    addresses.observe(announced("192.0.2.1"), deleted=False)
    assert len(told) == 1
    addresses.observe(announced("192.0.2.1"), deleted=True)
    addresses.observe(announced("192.0.2.1"), deleted=True)
    assert len(told) == 2
    addresses.observe(announced("192.0.2.1"), deleted=False)
    addresses.retain([])
    assert len(told) == 4
    assert addresses.claims(PODS) == ()
