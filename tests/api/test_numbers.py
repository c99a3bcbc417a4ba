"""Numbers as bytes: what JSON can spell and libraries would not send."""

import json

import pytest

from api.parity import Parity
from api.samples import agent

MARK = "<the number>"
REPLICAS = {
    "0": True,
    "-0": True,
    "-0.0": False,
    "3.0": False,
    "3.00000": False,
    "3e0": False,
    "30e-1": False,
    "1E2": False,
    "100.0": False,
    "100.0000001": False,
    "3.0000000001": False,
    "2.9999999999999": False,
    "0.1": False,
    "5e-324": False,
    "-1": False,
    "1e3": False,
    "101": False,
    "2147483648": False,
    "4294967297": False,
    "9223372036854775807": False,
    "9223372036854775808": False,
    "18446744073709551617": False,
    "-9223372036854775809": False,
    "1e308": False,
    '"3"': False,
    "true": False,
    "[3]": False,
    "null": True,
}
TAKEN = (
    "0 0.0 10.25 1m 1.5k 1M 1G 1T 1P 1E 1.5Ki 1Mi 1Gi 12.5Ti 1Pi 1Ei "
    "1234567890123456789012345678.5Gi 12345678901234567890123456789012"
)
REFUSED = (
    ". i m Mi .5 5. 1.Mi 1.m 1..5 1.2.3 1.2.3Gi 1i 1mi 1ki 1mm 1MM 1MMi 1Mii 1iMi 1K 1KB 512MB 512MiB 512mb 512MI "
    "1Mi5 1M5 1E3 1E3Mi 1e 1n 1u 1:5 1/5 --1 1-1 1,5Gi 0x1 \\u0661Gi 1\\u0661 1\\u0661Gi 1\\ud835\\udfce "
    "123456789012345678901234567890123 1234567890123456789012345678901Mi"
)
QUANTITIES = {
    "0": True,
    "-0": True,
    "1.0": False,
    "1e3": False,
    "9007199254740991.0": False,
    "9007199254740992": True,
    "9007199254740993": False,
    "9007199254740992.0": False,
    "9223372036854775808": False,
    "1.5": False,
    "-1": False,
    '"1.5"': True,
    '"1e3"': False,
    '"-1"': False,
    '"+1"': False,
    '" 1"': False,
    '"1 "': False,
    '"1\\n"': False,
    '"1_000"': False,
    '"0x10"': False,
    '"1Ki"': True,
    '"1ki"': False,
    '"1KI"': False,
    '"1µ"': False,
    '"\\u0661"': False,
    '"\\uff11"': False,
    '"Infinity"': False,
    '"00001"': True,
    "true": False,
    **{f'"{text}"': True for text in TAKEN.split()},
    **{f'"{text}"': False for text in REFUSED.split()},
}


@pytest.mark.parametrize(("spelling", "right"), REPLICAS.items())
def test_integers(parity: Parity, spelling: str, right: bool) -> None:
    sent = json.dumps(agent(replicas=MARK)).replace(json.dumps(MARK), spelling)
    assert parity.verdict(json.loads(sent), sent.encode()) == right


@pytest.mark.parametrize(("spelling", "right"), QUANTITIES.items())
def test_quantities(parity: Parity, spelling: str, right: bool) -> None:
    sent = json.dumps(agent(storage={"mountPath": "/data", "size": MARK})).replace(json.dumps(MARK), spelling)
    assert parity.verdict(json.loads(sent), sent.encode()) == right


@pytest.mark.parametrize("spelling", ["443.0", "4.43e2", "443.5"])
def test_a_float_is_no_port(parity: Parity, spelling: str) -> None:
    # Beside its integer it would be the same port twice.
    for ports in ([MARK], [MARK, 443]):
        sent = json.dumps(agent(network={"egress": [{"cidr": "10.0.0.0/8", "ports": ports}]}))
        sent = sent.replace(json.dumps(MARK), spelling)
        answer = parity.answer(json.loads(sent), sent.encode())
        assert not answer.ok
        assert "integer" in answer.message


@pytest.mark.parametrize("spelling", ["NaN", "Infinity", "01", "+1", "1.", ".5", "0x10", "1e400", "'1'", "1_000"])
def test_what_is_no_json_number_is_refused(parity: Parity, spelling: str) -> None:
    sent = json.dumps(agent(replicas=MARK)).replace(json.dumps(MARK), spelling)
    answer = parity.server.create(sent.encode(), kind="AgentDeployment")
    assert answer.code == 400
