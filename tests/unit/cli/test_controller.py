"""What the command line of the controller makes of its options, and refuses."""

from typing import Any

import pytest
from click.testing import CliRunner

from ringfence.cli import controller
from ringfence.cli.controller import command
from ringfence.controller.run import Settings
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
