"""What the command line of the controller makes of its options, and refuses."""

from typing import Any

import pytest
from click.testing import CliRunner

from ringfence.cli import controller
from ringfence.cli.controller import command
from ringfence.controller.run import Settings
from ringfence.resources.model import UpstreamProxy
from ringfence.telemetry import logs
from ringfence.telemetry.health import Health


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Of each run, which ends at once."""
    found: list[Settings] = []

    async def run(given: Settings, _: Health) -> int:
        found.append(given)
        return 0

    monkeypatch.setattr(controller, "run", run)
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    return found


def called(*arguments: str) -> Any:
    return CliRunner().invoke(command, ["--http-port", "0", "--certificates", "none", *arguments])


def test_scrapers_are_told_by_all_their_labels(settings: list[Settings]) -> None:
    result = called("--scraper=monitoring=enabled", "--scraper=team.example/x=", "--scraper=a=b=c")
    assert result.exit_code == 0, result.output
    assert settings[0].scrapers == {"monitoring": "enabled", "team.example/x": "", "a": "b=c"}


def test_nobody_is_told_and_nobody_reads_unless_it_is_said(settings: list[Settings]) -> None:
    assert called().exit_code == 0
    assert (settings[0].scrapers, settings[0].egress_port) == ({}, 0)


def test_where_gateways_tell(settings: list[Settings]) -> None:
    assert called("--egress-port=4318", "--egress-service=x-egress").exit_code == 0
    assert (settings[0].egress_port, settings[0].egress_service) == (4318, "x-egress")


@pytest.mark.parametrize("text", ["monitoring", "", "=enabled"])
def test_a_label_is_a_key_and_a_value(settings: list[Settings], text: str) -> None:
    result = called(f"--scraper={text}")
    assert result.exit_code == 2
    assert f"'{text}' is not KEY=VALUE, such as monitoring=enabled" in result.output
    assert not settings


@pytest.mark.parametrize("text", ["70000", "-1", "http"])
def test_a_port_is_one(settings: list[Settings], text: str) -> None:
    assert called(f"--egress-port={text}").exit_code == 2
    assert not settings


def test_a_corporate_proxy(settings: list[Settings]) -> None:
    assert called().exit_code == 0
    given = ("--upstream-proxy=FD00:20:0::5", "--upstream-proxy=10.20.0.5", "--upstream-proxy=10.20.0.5")
    assert called(*given, "--upstream-proxy-port=8080", "--upstream-proxy-secret=corporate-proxy").exit_code == 0
    assert called("--upstream-proxy=10.20.0.5").exit_code == 0
    assert [one.upstream_proxy for one in settings] == [
        None,
        UpstreamProxy(("10.20.0.5", "fd00:20::5"), 8080, "corporate-proxy"),
        UpstreamProxy(("10.20.0.5",), 3128),
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--upstream-proxy=proxy.corp.example"], "a name is not taken here"),
        (["--upstream-proxy=10.20.0.5:3128"], "is no address, such as 10.1.2.3"),
        (["--upstream-proxy=10.20.0.0/24"], "is no address, such as 10.1.2.3"),
        (["--upstream-proxy=999.1.1.1"], "is no address, such as 10.1.2.3"),
        (["--upstream-proxy=127.0.0.1"], "at which another machine answers"),
        (["--upstream-proxy=169.254.169.254"], "at which another machine answers"),
        (["--upstream-proxy=::ffff:127.0.0.1"], "at which another machine answers"),
        (["--upstream-proxy=fe80::1%eth0"], "at which another machine answers"),
        (["--upstream-proxy=0.0.0.0"], "at which another machine answers"),
        (["--upstream-proxy=10.20.0.5", "--upstream-proxy-port=0"], "0 is not in the range"),
        (["--upstream-proxy=10.20.0.5", "--upstream-proxy-secret=Corporate"], "is no name of a Secret"),
        (["--upstream-proxy-secret=corporate-proxy"], "needs --upstream-proxy"),
    ],
)
def test_what_is_no_proxy_is_refused_with_the_fix(
    settings: list[Settings], arguments: list[str], complaint: str
) -> None:
    result = called(*arguments)
    assert (result.exit_code, settings) == (2, [])
    assert complaint in " ".join(result.output.split())
