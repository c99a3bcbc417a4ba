"""The listener over real TLS: certificates swapped under load, clients checked, the end without a broken connection."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ringfence.admission import server as server_module
from ringfence.admission.app import Admission
from ringfence.admission.server import BACKLOG, Server, common_name
from ringfence.admission.tls import Certificate, Files
from ringfence.controller.certificates import Names
from ringfence.controller.certificates.issue import Material, issue
from ringfence.serving.sockets import listen
from unit.admission.make import agent, encoded, review, world

NAMES = Names(("here.svc",), (ip_address("127.0.0.1"),))
BODY = encoded(review(agent()))
REQUEST = b"POST /validate HTTP/1.1\r\nhost: here.svc\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY


def serial(pem: bytes) -> int:
    return x509.load_pem_x509_certificate(pem).serial_number


def store(folder: Path, made: Material) -> Files:
    """As the kubelet does: a new folder, then one symbolic link moved over."""
    fresh = folder / f"..{serial(made.certificate):x}"
    fresh.mkdir()
    (fresh / "tls.crt").write_bytes(made.certificate)
    (fresh / "tls.key").write_bytes(made.key)
    link = folder / "..data"
    staged = folder / "..data_tmp"
    staged.symlink_to(fresh.name)
    staged.rename(link)
    for name in ("tls.crt", "tls.key"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    return Files(folder / "tls.crt", folder / "tls.key")


@dataclass
class Running:
    app: Admission
    server: Server
    certificate: Certificate
    folder: Path

    @property
    def port(self) -> int:
        return int(self.server.servers[0].sockets[0].getsockname()[1])

    async def connect(self, context: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=context, server_hostname="here.svc")


@asynccontextmanager
async def running(
    folder: Path, *, client_ca: Path | None = None, client_names: frozenset[str] = frozenset()
) -> AsyncIterator[Running]:
    files = store(folder, issue(NAMES, datetime.now(UTC)))
    certificate = Certificate(Files(files.certificate, files.key, client_ca))
    assert certificate.refresh()
    app = Admission(world())
    server = Server(app, certificate.base, client_names=client_names)
    task = asyncio.create_task(server.serve(sockets=[listen("127.0.0.1", 0, BACKLOG)]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield Running(app, server, certificate, folder)
    finally:
        server.finish()
        await asyncio.wait_for(task, 150)


def trusting(*authorities: bytes) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=b"".join(authorities).decode())


def careless() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(REQUEST)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r")[0])
    assert b'"allowed":true' in await reader.readexactly(length)
    return head


async def once(here: Running, context: ssl.SSLContext) -> int:
    """A connection, a request; the serial number of the certificate that was shown."""
    reader, writer = await here.connect(context)
    shown = x509.load_der_x509_certificate(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
    try:
        await ask(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            await writer.wait_closed()
    return shown.serial_number


async def test_an_answer_goes_out_before_the_application_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, waited = threading.Event(), []

    def asks() -> None:
        with socket.create_connection(("127.0.0.1", here.port)) as plain, careless().wrap_socket(plain) as connection:
            connection.sendall(REQUEST)
            while b'"allowed":true' not in connection.recv(65536):
                pass
        answered.set()

    async with running(tmp_path) as here:
        # It holds the loop: nothing goes out meanwhile that has not gone out before.
        monkeypatch.setattr(here.app, "_tell", lambda *_, **__: waited.append(answered.wait(150)))
        await asyncio.get_running_loop().run_in_executor(None, asks)
        assert waited == [True]


async def test_a_swap_under_load_breaks_nothing(tmp_path: Path) -> None:
    """R9: new and kept connections ask all the time while the certificate and its CA change."""
    async with running(tmp_path) as here:
        old = (tmp_path / "tls.crt").read_bytes()
        new = issue(NAMES, datetime.now(UTC))
        seen: Counter[int] = Counter()
        kept = 0
        going = True

        async def newcomer() -> None:
            while going:
                seen[await once(here, careless())] += 1

        async def regular() -> None:
            nonlocal kept
            reader, writer = await here.connect(careless())
            while going:
                await ask(reader, writer)
                kept += 1
            writer.close()

        async def until(enough: Callable[[], bool]) -> None:
            while not enough() and not any(task.done() for task in tasks):  # noqa: ASYNC110 - two conditions
                await asyncio.sleep(0.01)

        tasks = [asyncio.create_task(one()) for one in (newcomer, newcomer, newcomer, regular, regular)]
        await until(lambda: seen[serial(old)] >= 10 and kept >= 10)
        store(tmp_path, new)
        assert here.certificate.refresh()
        before = kept
        await until(lambda: seen[serial(new.certificate)] >= 10 and kept >= before + 10)
        going = False
        await asyncio.gather(*tasks)  # raises what broke
        assert set(seen) == {serial(old), serial(new.certificate)}
        assert await once(here, trusting(new.authority)) == serial(new.certificate)


async def test_a_key_of_another_kind_takes_over_completely(tmp_path: Path) -> None:
    async with running(tmp_path) as here:
        made = issue(NAMES, datetime.now(UTC))
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "rsa")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), 7, now - timedelta(1), now + timedelta(1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("here.svc")]), critical=False)
            .sign(key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        store(tmp_path, Material(certificate, pem, certificate))
        assert here.certificate.refresh()
        assert [await once(here, careless()) for _ in range(3)] == [7, 7, 7]
        store(tmp_path, made)
        assert here.certificate.refresh()
        assert await once(here, trusting(made.authority)) == serial(made.certificate)


@pytest.mark.parametrize("broken", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
async def test_a_broken_renewal_leaves_the_old_one_in_use(tmp_path: Path, broken: bytes) -> None:
    async with running(tmp_path) as here:
        old = serial((tmp_path / "tls.crt").read_bytes())
        (tmp_path / "tls.crt").unlink()
        (tmp_path / "tls.crt").write_bytes(broken)
        assert not here.certificate.refresh()
        assert here.certificate.missing() is None
        assert await once(here, careless()) == old


async def test_nobody_gets_in_before_there_is_a_certificate(tmp_path: Path) -> None:
    certificate = Certificate(Files(tmp_path / "tls.crt", tmp_path / "tls.key"))
    assert not certificate.refresh()
    assert "cannot be loaded: No such file" in str(certificate.missing())
    store(tmp_path, issue(NAMES, datetime.now(UTC)))
    assert certificate.refresh()
    assert certificate.missing() is None


@pytest.mark.parametrize(("days", "says"), [(100, "ended"), (-100, "begins only")])
def test_a_certificate_out_of_its_time_is_not_ready(tmp_path: Path, days: int, says: str) -> None:
    files = store(tmp_path, issue(NAMES, datetime.now(UTC)))
    certificate = Certificate(files, now=lambda: datetime.now(UTC) + timedelta(days=days))
    certificate.refresh()
    assert says in str(certificate.missing())


class TestClients:
    """Only the API server may ask, where it shows a certificate (IngressNightmare, B47)."""

    @staticmethod
    def client(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
        """A CA file, and a context that shows a certificate of it."""
        authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        now = datetime.now(UTC)

        def signed(common: str, public: ec.EllipticCurvePublicKey, *, ca: bool) -> bytes:
            subject, issuer = (
                x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)]) for text in (common, f"{name} CA")
            )
            builder = x509.CertificateBuilder(issuer, subject, public, 1, now - timedelta(1), now + timedelta(1))
            builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            return builder.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

        ca = folder / f"{name}-ca.crt"
        ca.write_bytes(signed(f"{name} CA", authority_key.public_key(), ca=True))
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        pair = folder / f"{name}.pem"
        pair.write_bytes(signed(name, key.public_key(), ca=False) + pem)
        context = careless()
        context.load_cert_chain(pair)
        return ca, context

    @staticmethod
    async def refused(here: Running, context: ssl.SSLContext) -> bool:
        try:
            await once(here, context)
        except (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError):
            return True
        return False

    async def test_only_clients_of_the_ca_get_in_also_after_a_swap(self, tmp_path: Path) -> None:
        ca, good = self.client(tmp_path, "apiserver")
        _, stranger = self.client(tmp_path, "stranger")
        served = tmp_path / "served"
        served.mkdir()
        async with running(served, client_ca=ca) as here:
            for _ in range(2):
                assert not await self.refused(here, good)
                assert await self.refused(here, careless())
                assert await self.refused(here, stranger)
                store(served, issue(NAMES, datetime.now(UTC)))
                assert here.certificate.refresh()

    async def test_the_ca_of_the_clients_can_change(self, tmp_path: Path) -> None:
        ca, old = self.client(tmp_path, "old")
        other, new = self.client(tmp_path, "new")
        served = tmp_path / "served"
        served.mkdir()
        async with running(served, client_ca=ca) as here:
            ca.write_bytes(other.read_bytes())
            assert here.certificate.refresh()
            assert await self.refused(here, old)
            assert not await self.refused(here, new)

    async def test_the_name_counts_where_one_is_asked_for(self, tmp_path: Path) -> None:
        ca, kubelet = self.client(tmp_path, "kubelet")
        served = tmp_path / "served"
        served.mkdir()
        async with running(served, client_ca=ca, client_names=frozenset({"kube-apiserver"})) as here:
            assert await self.refused(here, kubelet)
        served = tmp_path / "again"
        served.mkdir()
        async with running(served, client_ca=ca, client_names=frozenset({"kubelet", "x"})) as here:
            assert not await self.refused(here, kubelet)

    @pytest.mark.parametrize("certificate", [None, {}, {"subject": ()}, {"subject": ((("organizationName", "x"),),)}])
    def test_no_name_is_no_name(self, certificate: dict[str, object] | None) -> None:
        assert common_name(certificate) == ""


async def test_accepted_connections_do_not_hold_back_small_answers(tmp_path: Path) -> None:
    """TCP_NODELAY, looked at on the accepted socket: it is what Nagle's algorithm asks, not the listener."""
    async with running(tmp_path) as here:
        reader, writer = await here.connect(careless())
        await ask(reader, writer)
        (accepted,) = here.server.server_state.connections
        sock = accepted.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        writer.close()


class TestHttp:
    async def exchange(self, here: Running, request: bytes) -> bytes:
        reader, writer = await here.connect(careless())
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), 150)
        writer.close()
        return answer

    async def test_chunks_are_read(self, tmp_path: Path) -> None:
        head = b"POST /validate HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        pieces = [BODY[at : at + 99] for at in range(0, len(BODY), 99)]
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
        async with running(tmp_path) as here:
            assert b'"allowed":true' in await self.exchange(here, head + chunks + b"0\r\n\r\n")

    async def test_expect_100_continue(self, tmp_path: Path) -> None:
        async with running(tmp_path) as here:
            reader, writer = await here.connect(careless())
            writer.write(REQUEST.replace(b"\r\n\r\n" + BODY, b"\r\nexpect: 100-continue\r\n\r\n"))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
            writer.write(BODY)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            writer.close()

    @pytest.mark.parametrize(
        "request_bytes",
        [
            b"\x00\x01\x02\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"POST /validate HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
            b"POST /validate HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
            b"POST /validate HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST /validate HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"POST /validate HTTP/1.1\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x08\x00",
        ],
    )
    async def test_nonsense_is_a_400(self, tmp_path: Path, request_bytes: bytes) -> None:
        async with running(tmp_path) as here:
            answer = await self.exchange(here, request_bytes)
            assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400")), answer
            assert b"Traceback" not in answer
            assert await once(here, careless())

    async def test_plain_http_is_turned_away_and_harms_nobody(self, tmp_path: Path) -> None:
        async with running(tmp_path) as here:
            _, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(REQUEST)
            writer.close()
            assert await once(here, careless())

    async def test_a_connection_that_asks_nothing_is_closed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(server_module, "FIRST_REQUEST_SECONDS", 0.1)
        async with running(tmp_path) as here:
            reader, writer = await here.connect(careless())
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()


async def test_the_end_lets_reviews_in_flight_finish(tmp_path: Path) -> None:
    """R20: of requests that were begun before the end, each gets its answer."""
    async with running(tmp_path) as here:
        flights = [await here.connect(careless()) for _ in range(10)]
        for _, writer in flights:
            writer.write(REQUEST[:-10])
        await asyncio.sleep(0.1)
        here.app.drain()
        here.server.finish()
        await asyncio.sleep(0.3)
        for reader, writer in flights:
            writer.write(REQUEST[-10:])
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 150)
            assert head.startswith(b"HTTP/1.1 200")
            assert b"connection: close" in head.lower()
            writer.close()


def test_files_that_change_while_they_are_read_wait_for_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the end of one certificate would be told of another."""
    certificate = Certificate(store(tmp_path, issue(NAMES, datetime.now(UTC))))
    stamps = iter(range(100))
    monkeypatch.setattr(Files, "stamp", lambda _: (next(stamps),))
    assert not certificate.refresh()
    monkeypatch.undo()
    assert certificate.refresh()
