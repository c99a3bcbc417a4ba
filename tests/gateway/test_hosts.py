"""What the gateway believes of a host: its certificate, its name, its address. Enforcement of networks is not there."""

import pytest

from cluster.shell import wait_for
from gateway.conftest import Starter
from gateway.declared import gateway
from harness.gateway import room
from harness.gateway.client import Client, Reset, read
from harness.gateway.running import Running
from harness.gateway.world import World
from ringfence.gateway.model import Host


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("expired.test", "certificate_has_expired"),
        ("misnamed.test", "SAN"),
        ("unknown-ca.test", "unable_to_get_local_issuer_certificate"),
        ("old.test", "PROTOCOL_VERSION"),
    ],
)
def test_a_host_with_a_bad_certificate_or_an_old_protocol_is_not_asked(
    agent: Client, internet: World, everything: Running, name: str, why: str
) -> None:
    answer = agent.ask(f"{name}/x", headers={"x-secret": "of the agent's"})
    assert answer.status == 503
    assert answer.error["type"] == "egress_refused"
    assert internet.account(internet.site(name), "request") == []

    def told() -> bool:
        return any(
            why.lower() in (line.get("failure") or "").lower() for line in everything.log() if line.get("host") == name
        )

    wait_for("the reason in the record", told, timeout=60)


def test_tls_1_2_where_it_is_declared(start: Starter) -> None:
    running = start(gateway(Host("old.test", tls_1_2=True)))
    answer = wait_for("the name to be resolved", lambda: _ok(running.client, "old.test/x"), timeout=60)
    assert answer == "TLS 1.2"


def _ok(client: Client, url: str) -> str:
    answer = client.ask(url)
    return str(answer.told["tls"]) if answer.status == 200 else ""


@pytest.mark.parametrize("url", ["private.test/x", "metadata.test/latest", "metadata.test:80/latest"])
def test_e16_a_name_with_an_address_inside_is_refused_before_it_is_dialled(
    agent: Client, internet: World, everything: Running, url: str
) -> None:
    site = url.partition("/")[0]
    name, _, port = site.partition(":")
    answer = agent.ask(url)
    assert answer.status == 403
    assert "does not dial" in answer.error["message"]
    assert internet.account(internet.site(name, int(port or 443)), "connection") == []


def test_e15_a_name_that_turns_to_an_address_inside(start: Starter, internet: World) -> None:
    internet.names.set("turning.test", room.PUBLIC)
    running = start(gateway(Host("turning.test", (80,))))
    client = running.client
    before = len(internet.account(internet.site("metadata.test", 80), "connection"))
    wait_for("the host", lambda: client.ask("turning.test:80/x").status == 200, timeout=60)
    internet.names.set("turning.test", room.METADATA)
    refused = wait_for("a refusal", lambda: _refused(client), timeout=60)
    assert "does not dial" in refused
    for _ in range(20):
        assert client.ask("turning.test:80/x").status == 403
    assert len(internet.account(internet.site("metadata.test", 80), "connection")) == before
    internet.names.set("turning.test", room.PUBLIC)
    wait_for("the host again", lambda: client.ask("turning.test:80/x").status == 200, timeout=60)


def _refused(client: Client) -> str:
    answer = client.ask("turning.test:80/x")
    return str(answer.error["message"]) if answer.status == 403 else ""


def test_e15_an_address_inside_behind_a_public_one_that_does_not_answer(start: Starter, internet: World) -> None:
    """A client that tries the next address by itself would dial one that nobody has looked at."""
    internet.names.set("both.test", "203.0.113.29", room.METADATA)  # nothing listens at the first
    running = start(gateway(Host("both.test", (80,))))
    client = running.client
    before = len(internet.account(internet.site("metadata.test", 80), "connection"))
    statuses = {client.ask("both.test:80/x").status for _ in range(30)}
    assert statuses <= {403, 503}
    assert len(internet.account(internet.site("metadata.test", 80), "connection")) == before


def test_a_name_that_has_no_address(agent: Client) -> None:
    answer = agent.ask("nowhere.test/x")
    assert (answer.status, answer.error["details"]) == (503, "no_healthy_upstream")


def test_dns_that_is_silent_keeps_no_other_host_from_being_served(start: Starter, internet: World) -> None:
    internet.names.silent.add("silent.test")
    running = start(gateway(Host("silent.test"), Host("h1.test")))
    client = running.client
    wait_for("the other host", lambda: client.ask("h1.test/x").status == 200, timeout=60)
    assert client.ask("silent.test/x").status == 503
    internet.names.silent.clear()
    internet.names.set("silent.test", room.PUBLIC)
    wait_for(
        "an answer", lambda: running.stats("cluster_manager.")["cluster_manager.warming_clusters"] == 0, timeout=60
    )


def test_e12_names_that_are_not_declared_are_never_asked_for(agent: Client, internet: World) -> None:
    for name in ("secret-data.evil.test", "x.api.llm.test", "evil.test"):
        with pytest.raises(Reset):
            agent.tls(name)
        for authority in (name, f"{name}:443"):
            answer = agent.raw("api.llm.test", f"GET /any/x HTTP/1.1\r\nhost: {authority}\r\n\r\n".encode())
            assert answer.status == 403
        assert (
            agent.raw("api.llm.test", f"GET https://{name}/any/x HTTP/1.1\r\nhost: {name}\r\n\r\n".encode()).status
            == 403
        )
        assert agent.ask("plain.test:80/x", headers={"host": name}).status == 403
    assert internet.names.queries(["evil.test", "x.api.llm.test"]) == []
    assert internet.names.queries(["api.llm.test"])  # it would have been seen


def test_e28_nothing_of_the_administration_but_readiness_and_figures(agent: Client, everything: Running) -> None:
    def asked(line: bytes) -> int:
        with agent.dial(everything.gateway.observe_port) as connection:
            connection.sendall(line + b" HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
            return read(connection).status

    assert asked(b"GET /ready") == 200
    assert asked(b"GET /stats/prometheus") == 200
    for line in (
        b"GET /config_dump",
        b"POST /quitquitquit",
        b"GET /certs",
        b"POST /ready",
        b"GET /ready/../config_dump",
        b"GET /ready%2f..%2fconfig_dump",
        b"GET //config_dump",
        b"GET /stats",
        b"POST /logging?level=trace",
        b"GET /",
        b"GET /stats/prometheus?help",
        b"GET /ready?x",
    ):
        assert asked(line) in {400, 404}, line
