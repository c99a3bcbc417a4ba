"""The proofs of the API server's addresses: by real certificates on loopback, and how long they hold."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from cluster.pki import Authority
from ringfence.controller.inputs import ApiServerRecorder
from ringfence.kube.proof import API_SERVER_NAME, Proof, prove
from ringfence.resources import Endpoint
from ringfence.store import prover as module
from ringfence.store.api_server import Doubt
from ringfence.store.context import PolicyContext
from ringfence.store.prover import KEPT_SECONDS, Prover
from ringfence.store.sources import ENDPOINT_SLICE
from ringfence.telemetry.events import ApiServerDoubted, ApiServerObserved
from unit.store.test_api_server import announced

ONE, TWO = Endpoint("192.0.2.1", 6443), Endpoint("192.0.2.2", 6443)


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path, "ca")


@contextlib.asynccontextmanager
async def server(ca: Authority, *names: str) -> AsyncIterator[int]:
    """Somebody on 127.0.0.1 who shows a certificate of `ca` for `names`; without names one who says nothing."""
    context = None
    if names:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*ca.issue("server", user="server", names=names))

    async def idle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.sleep(60)
        writer.close()

    listening = await asyncio.start_server(idle, "127.0.0.1", 0, ssl=context)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


@pytest.mark.parametrize(
    ("names", "proof"),
    [
        ((API_SERVER_NAME, "127.0.0.1"), Proof.ADDRESS),
        ((API_SERVER_NAME, "kubernetes", "127.0.0.2", "::1"), Proof.NAME),  # a relay at another address
        (("127.0.0.1", "node-1"), Proof.NONE),  # a kubelet: the same CA
        (("kubernetes.default.svc.example.com", "127.0.0.1"), Proof.NONE),
    ],
)
async def test_a_certificate_proves_the_name_and_the_address(
    ca: Authority, names: tuple[str, ...], proof: Proof
) -> None:
    async with server(ca, *names) as port:
        assert await prove(str(ca.folder / "ca.crt"), "127.0.0.1", port) is proof


async def test_a_certificate_of_another_ca_proves_nothing(ca: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority.create(tmp_path / "other", "ca")
    async with server(other, API_SERVER_NAME, "127.0.0.1") as port:
        assert await prove(str(ca.folder / "ca.crt"), "127.0.0.1", port) is Proof.NONE
        assert await prove(None, "127.0.0.1", port) is Proof.NONE
        assert await prove(str(tmp_path / "absent"), "127.0.0.1", port) is Proof.SILENT


async def test_who_says_nothing_proves_nothing(ca: Authority) -> None:
    async with server(ca) as port:
        assert await prove(str(ca.folder / "ca.crt"), "127.0.0.1", port, seconds=0.2) is Proof.SILENT
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert await prove(str(ca.folder / "ca.crt"), "127.0.0.1", unused.getsockname()[1]) is Proof.SILENT


class World:
    """A prover whose addresses answer as `says` has it."""

    def __init__(self, *addresses: str) -> None:
        self.says: dict[Endpoint, Proof] = {}
        self.greeted: list[Endpoint] = []
        self.now = 0.0
        self.woken = 0
        self.events: list[object] = []
        self.context = PolicyContext([ip_network("198.51.100.0/24")])
        self.prover = Prover(
            context=self.context,
            prove=self._prove,
            changed=self._changed,
            tell=ApiServerRecorder(self.events.append).looked,
            clock=lambda: self.now,
        )
        self.announce(*addresses)

    def announce(self, *addresses: str, name: str = "kubernetes") -> None:
        self.context.observe(ENDPOINT_SLICE, "MODIFIED", announced(*addresses, name=name))

    async def look(self, **says: Proof) -> tuple[Endpoint, ...]:
        """`says`: by the last number of the address. What is believed then."""
        self.says |= {Endpoint(f"192.0.2.{number[1:]}", 6443): proof for number, proof in says.items()}
        self.events.clear()
        await self.prover.look()
        return self.context.api_server

    async def _prove(self, endpoint: Endpoint) -> Proof:
        self.greeted.append(endpoint)
        return self.says[endpoint]

    def _changed(self, kind: str, name: str | None) -> None:
        assert (kind, name) == (ENDPOINT_SLICE, None)
        self.woken += 1


async def test_silence_leaves_a_proof_in_force_for_a_while() -> None:
    world = World("192.0.2.1")
    assert await world.look(n1=Proof.SILENT) == ()
    assert await world.look(n1=Proof.ADDRESS) == (ONE,)
    world.now = KEPT_SECONDS - 1
    assert await world.look(n1=Proof.SILENT) == (ONE,)
    world.now = KEPT_SECONDS
    assert await world.look() == ()
    assert await world.look(n1=Proof.ADDRESS) == (ONE,)
    assert await world.look(n1=Proof.NONE) == (), "another answer counts at once"
    assert await world.look(n1=Proof.SILENT) == ()
    assert world.woken == 4


async def test_an_address_that_is_announced_anew_is_proven_anew() -> None:
    world = World("192.0.2.1")
    await world.look(n1=Proof.ADDRESS)
    world.announce("192.0.2.2")
    assert await world.look(n2=Proof.NONE) == ()
    world.announce("192.0.2.1")
    assert await world.look(n1=Proof.SILENT) == ()


async def test_a_doubt_is_told_when_it_is_new() -> None:
    world = World("192.0.2.1", "192.0.2.2")
    world.announce("192.0.2.9", name="kubernetes-x")
    await world.look(n1=Proof.ADDRESS, n2=Proof.NONE)
    foreign = ApiServerDoubted(
        slice="default/kubernetes-x", uid="uid-of-kubernetes-x", addresses=("192.0.2.9:6443",), why=str(Doubt.SLICE)
    )
    other = ApiServerDoubted(
        slice="default/kubernetes", uid="uid-of-kubernetes", addresses=("192.0.2.2:6443",), why=str(Doubt.OTHER)
    )
    assert world.events == [other, foreign, ApiServerObserved(believed=1, doubted=2)]
    assert world.greeted == [ONE, TWO], "nobody greets what a stranger announces"
    await world.look()
    assert world.events == [ApiServerObserved(believed=1, doubted=2)]
    world.context.observe(ENDPOINT_SLICE, "DELETED", announced("192.0.2.9", name="kubernetes-x"))
    await world.look(n2=Proof.ADDRESS)
    assert world.events == [ApiServerObserved(believed=2, doubted=0)]


async def test_an_announcement_is_looked_at_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_LEAST_SECONDS", 0)
    world, woken = World("192.0.2.1"), asyncio.Queue[tuple[Endpoint, ...]]()
    world.says = {ONE: Proof.ADDRESS, TWO: Proof.ADDRESS}
    world.prover.changed = lambda *_: woken.put_nowait(world.context.api_server)
    following = asyncio.create_task(world.prover.follow())
    try:
        async with asyncio.timeout(150):
            assert await woken.get() == (ONE,)
            world.announce("192.0.2.2")
            assert world.context.api_server == ()
            assert await woken.get() == (TWO,)
    finally:
        following.cancel()
