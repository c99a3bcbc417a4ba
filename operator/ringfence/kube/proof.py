"""Whether it is this cluster's API server that answers at an address: told by the certificate that is shown there.

Nothing is sent but a TLS greeting: no token, no client certificate.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

API_SERVER_NAME: Final = "kubernetes.default.svc"
"""In the certificate of every API server: pods call it so. A kubelet's certificate, of the same CA, lacks it."""
PROVE_SECONDS: Final = 5.0
"""For a connection and a TLS handshake; both take milliseconds where somebody is there."""


class Proof(StrEnum):
    """What an address was found to be."""

    ADDRESS = "address"
    """The API server: its certificate names this very address. Who only passes connections on cannot show that."""
    NAME = "name"
    """The API server, or somebody who passes connections on to it: the certificate does not name the address."""
    NONE = "none"
    """Somebody else."""
    SILENT = "silent"
    """Nobody answers."""


async def prove(ca_file: str | None, address: str, port: int, *, seconds: float = PROVE_SECONDS) -> Proof:
    """Greet `address` and look at its certificate. Never raises; without a CA nothing can be proven."""
    if not ca_file:
        return Proof.NONE
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(ca_file)
        context.check_hostname = False  # both names are looked at below, with two answers
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=API_SERVER_NAME)
    except ssl.SSLError:
        return Proof.NONE
    except (TimeoutError, OSError):
        return Proof.SILENT
    try:
        return proof_of(writer.get_extra_info("peercert") or {}, address)
    finally:
        writer.transport.abort()


def proof_of(certificate: Mapping[str, Any], address: str) -> Proof:
    """What a certificate that the cluster's CA signed says of `address`; `certificate`: as `ssl` gives it."""
    names = certificate.get("subjectAltName") or ()
    if ("DNS", API_SERVER_NAME) not in names:
        return Proof.NONE
    held = {_parsed(text) for kind, text in names if kind == "IP Address"}
    return Proof.ADDRESS if ip_address(address) in held else Proof.NAME


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    with contextlib.suppress(ValueError):
        return ip_address(text.strip())
    return None
