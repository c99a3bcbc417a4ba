"""Spellings of networks. What two readers may understand differently, both judges refuse."""

import pytest

from api.parity import Parity
from api.samples import agent, policy

RIGHT = [
    "10.0.0.0/8",
    "0.0.0.0/0",
    "255.255.255.255/32",
    "1.2.3.4/32",
    "::/0",
    "::1/128",
    "2001:db8::/32",
    "2001:DB8::/32",
    "2001:0db8:0000:0000:0000:0000:0000:0000/32",
    "2001:db8:0:0:0:0:0:0/32",
    "1:2:3:4:5:6:7::/112",
    "::10.0.0.0/104",
    "64:ff9b::10.0.0.0/104",
    "fe80::/10",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
]
WRONG = {
    "host bits": ["10.0.0.1/8", "10.0.0.0/0", "2001:db8::1/32", "::ffff:0:0/95", "::1/0"],
    "leading zeros": [
        "010.0.0.0/8",
        "10.0.0.00/8",
        "10.0.0.0/08",
        "10.0.0.0/00",
        "0.0.0.0/00",
        "1.2.3.4/032",
        "2001:00db8::/32",
    ],
    "signs": ["10.0.0.0/+8", "10.0.0.0/-1", "+10.0.0.0/8", "-1.0.0.0/8"],
    "out of range": ["10.0.0.0/33", "::/129", "256.0.0.0/8", "1.2.3.4.5/32", "10000::/16", "1:2:3:4:5:6:7:8:9/128"],
    "short": ["10/8", "10.0.0/8", "10.0.0.0", "10.0.0.0/", "/8", "/", "::", "1.2.3.4//32", "1.2.3.4/32/"],
    "masks": ["10.0.0.0/255.0.0.0", "10.0.0.0/0.255.255.255", "::/ffff::"],
    "IPv4 in IPv6": [
        "::ffff:10.0.0.0/104",
        "::FFFF:10.0.0.0/104",
        "::ffff:a00:0/104",
        "0:0:0:0:0:ffff:a00:0/104",
        "0000:0000:0000:0000:0000:ffff:10.0.0.0/104",
        "::ffff:0:0/96",
    ],
    "zones": ["fe80::%eth0/64", "fe80::/64%eth0", "fe80::%25eth0/64", "fe80::%/64"],
    "other bases": [
        "0x0a.0.0.0/8",
        "167772160/8",
        "1e1.0.0.0/8",
        "012.0.0.0/8",
        "::/0x0",
        "10.0.0.0/0x8",
        "10.0.0.0/1e1",
    ],
    "blanks": [
        "10.0.0.0/8 ",
        " 10.0.0.0/8",
        "10.0.0.0 /8",
        "10.0.0.0/ 8",
        "10.0.0.0/8\n",
        "10.0.0.0/8\t",
        "10.0.0.0/8\r\n",
    ],
    "invisible": ["10.0.0.0/8\u200b", "\u202e10.0.0.0/8", "10.0.0.0\u2060/8", "10.0.0.0/8\x00", "\ufeff10.0.0.0/8"],
    "other digits": [
        "\u0661\u0660.0.0.0/8",
        "10.0.0.0/\u0668",
        "\uff110.0.0.0/8",
        "10\uff0e0.0.0/8",
        "10.0.0.0\uff0f8",
        "10.0.0.0/\u2078",
        "\U0001d7cf0.0.0.0/8",
    ],
    "names": ["localhost/32", "example.com/32", "*", "any", "0.0.0.0/0,::/0", "10.0.0.0-10.0.0.9", "[::]/0"],
    "colons": [":::/0", "1::2::/64", ":/0", "1:2/32", "::1:/128"],
}


@pytest.mark.parametrize("cidr", RIGHT)
def test_right(parity: Parity, cidr: str) -> None:
    assert parity.verdict(agent(network={"egress": [{"cidr": cidr, "ports": [443]}]}))
    assert parity.verdict(policy(egress={"cidrs": [cidr]}))


@pytest.mark.parametrize("why", WRONG)
def test_wrong(parity: Parity, why: str) -> None:
    for cidr in WRONG[why]:
        parity.refused(agent(network={"egress": [{"cidr": cidr, "ports": [443]}]}), "spec.network.egress[0].cidr")
        parity.refused(policy(egress={"cidrs": [cidr]}), "spec.egress.cidrs[0]")


def test_two_spellings_of_one_network_are_two_entries(parity: Parity) -> None:
    # The policy's sums over addresses must not rely on the list being a set of networks: it is one of texts.
    assert parity.verdict(policy(egress={"cidrs": ["2001:db8::/32", "2001:DB8::/32"]}))
