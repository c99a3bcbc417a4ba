"""Mutants of the guards: which rules are taken away, and that what came of them is told right."""

from pathlib import Path

import pytest
from tools import mutate_guards
from tools.mutation.live import Fate
from tools.mutation.rules import Spec, rule_mutants

from chart.rendering import of_kind

POLICY = "ringfence-guard-doors"
SPEC: Spec = {
    "matchConstraints": {
        "resourceRules": [
            {"apiGroups": [""], "resources": ["pods", "pods/exec"], "operations": ["CREATE"]},
            {"apiGroups": ["apps"], "resources": ["deployments"], "operations": ["UPDATE", "DELETE"]},
        ]
    },
    "matchConditions": [{"name": "not-by-its-parts", "expression": "a"}],
    "validations": [{"expression": "b", "message": "no"}, {"expression": "c"}],
}


def by_place() -> dict[tuple[str, str], Spec]:
    return {(one.where, one.was): one.spec for one in rule_mutants(POLICY, SPEC)}


def test_each_rule_is_taken_away_by_itself() -> None:
    assert [(one.where, one.was, one.direction) for one in rule_mutants(POLICY, SPEC)] == [
        ("resourceRules[0].resources", "pods", "weaker"),
        ("resourceRules[0].resources", "pods/exec", "weaker"),
        ("resourceRules[0].operations", "CREATE of pods, pods/exec", "weaker"),
        ("resourceRules[1].resources", "apps/deployments", "weaker"),
        ("resourceRules[1].operations", "UPDATE of deployments", "weaker"),
        ("resourceRules[1].operations", "DELETE of deployments", "weaker"),
        ("matchConditions[not-by-its-parts]", "a", "stricter"),
        ("validations[0]", "b", "weaker"),
        ("validations[1]", "c", "weaker"),
    ]


def test_and_nothing_else() -> None:
    found = by_place()
    without_exec = found["resourceRules[0].resources", "pods/exec"]
    assert without_exec["matchConstraints"]["resourceRules"][0]["resources"] == ["pods"]
    assert without_exec["matchConstraints"]["resourceRules"][1:] == SPEC["matchConstraints"]["resourceRules"][1:]
    assert {**without_exec, "matchConstraints": {}} == {**SPEC, "matchConstraints": {}}
    always = found["validations[0]", "b"]
    assert always["validations"] == [{"expression": "true", "message": "no"}, {"expression": "c"}]
    assert found["matchConditions[not-by-its-parts]", "a"]["matchConditions"] == []


@pytest.mark.parametrize("gone", ["apps/deployments"])
def test_a_rule_without_resources_matches_nothing(gone: str) -> None:
    """Rather than being left out: a policy without rules is none that the API server takes."""
    rule = by_place()["resourceRules[1].resources", gone]["matchConstraints"]["resourceRules"][1]
    assert (rule["apiGroups"], rule["resources"]) == (["none.example.com"], ["nothing"])


def test_every_policy_of_the_chart_has_mutants() -> None:
    """Two of the same name in the same place would be one: their fates would be mixed up."""
    for name, policy in of_kind("ValidatingAdmissionPolicy").items():
        found = rule_mutants(name, policy["spec"])
        assert len(set(found)) == len(found) >= 3


def test_what_came_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    noted = f'[[mutant]]\npath = "{POLICY}"\nwhere = "validations[1]"\nwas = "c"\nbecomes = "(dropped)"\n'
    (tmp_path / "judged.toml").write_text(f'{noted}verdict = "equivalent"\nwhy = "the second says the same"\n')
    monkeypatch.setattr(mutate_guards, "JUDGED", tmp_path / "judged.toml")
    mutants = rule_mutants(POLICY, SPEC)
    fates = {one: Fate("tests/chart/test_doors.py::test", "call") for one in mutants[:6]}
    fates |= {mutants[6]: Fate("tests/chart/test_doors.py::test", "setup"), mutants[7]: Fate(), mutants[8]: Fate()}
    assert mutate_guards.report(fates) == pytest.approx(87.5)
    told = capsys.readouterr().out
    assert "7 of 8 killed (88 %; 6 by an assertion" in told
    assert f"{POLICY} validations[0]: b  [not judged]" in told
    assert "[equivalent: the second says the same]" in told
