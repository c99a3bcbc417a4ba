"""The generated references leave nothing out."""

import re

from tools import cli_reference, rules_reference

from ringfence.cli.main import COMMANDS
from ringfence.policy.levels import CEILING, LEVELS
from ringfence.policy.model import RuleName


def page(module: object) -> str:
    (text,) = module.files().values()  # type: ignore[attr-defined]
    return str(text)


def test_every_command_is_there_and_the_hidden_ones_are_not() -> None:
    text = page(cli_reference)
    hidden = {"gate", "listen", "rotate-job", "try"}
    assert set(re.findall(r"^## ringfence (\S+)$", text, re.MULTILINE)) == set(COMMANDS) - hidden
    assert "\b" not in text
    assert "### ringfence policy check" in text


def test_every_option_is_there() -> None:
    text = page(cli_reference)
    for option in ("--all-namespaces", "--timeout SECONDS", "`-o, --output [text\\|json\\|sarif]`"):
        assert option in text
    sections = re.split(r"^#+ ", text, flags=re.MULTILINE)
    (status,) = [one for one in sections if one.startswith("ringfence status\n")]
    assert status.count("| `-") == 6


def test_every_rule_and_every_right_is_there() -> None:
    text = page(rules_reference)
    assert set(re.findall(r"^## (\w+)$", text, re.MULTILINE)) - {"Levels"} == {str(rule) for rule in RuleName}
    rows = re.findall(r"^\| (\S+) \| `(\S+)` \| ([a-z, ]+) \| [^|]+ \| [^|]+ \|$", text, re.MULTILINE)
    held = {(group, resource, verb) for group, resource, verbs in rows for verb in verbs.split(", ")}
    assert held == {(f"`{atom.group}`" if atom.group else "core", atom.resource, atom.verb) for atom in CEILING}
    assert all(f"### {level}" in text for level in LEVELS)
