"""What is generated is fresh, and what is stale is named."""

from pathlib import Path

import pytest
from tools import crds, generate

from ringfence.api.schema import SchemaError


def test_the_repository_is_fresh() -> None:
    assert generate.stale(generate.wanted(), generate.ROOT) == []


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    files = crds.files()
    assert generate.write(files, tmp_path) == sorted(files)
    assert generate.stale(files, tmp_path) == []
    assert generate.write(files, tmp_path) == []


def test_an_edited_a_missing_and_a_left_over_file_are_named(tmp_path: Path) -> None:
    files = crds.files()
    generate.write(files, tmp_path)
    edited, missing = sorted(files)[:2]
    (tmp_path / edited).write_text("edited")
    (tmp_path / missing).unlink()
    (tmp_path / "crds/gone.yaml").write_text("of a kind that is no more")
    assert generate.stale(files, tmp_path) == sorted([edited, missing, "crds/gone.yaml"])
    generate.write(files, tmp_path)
    assert generate.stale(files, tmp_path) == []
    assert not (tmp_path / "crds/gone.yaml").exists()


def test_check_says_which_file_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "wanted", lambda: {"crds/agentpolicies.yaml": "other"})
    assert generate.main(["--check"]) == 1
    told = capsys.readouterr().err
    assert "stale: crds/agentpolicies.yaml" in told
    assert "make generate" in told


def test_a_declaration_that_cannot_be_generated_ends_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> dict[str, str]:
        raise SchemaError("X.spec.text: a string needs max_length")

    monkeypatch.setattr(generate, "wanted", broken)
    assert generate.main([]) == 1
    assert capsys.readouterr().err == "X.spec.text: a string needs max_length\n"


def test_the_chart_keeps_the_crds() -> None:
    text = crds.files()["charts/ringfence-crds/templates/agentpolicies.yaml"]
    assert "helm.sh/resource-policy: keep" in text
    plain = text.replace(f"\n{crds.KEEP.rstrip()}", "", 1)
    assert plain == crds.files()["crds/agentpolicies.yaml"]


def test_braces_that_helm_would_read_are_refused() -> None:
    with pytest.raises(ValueError, match="Helm"):
        crds.template("metadata:\n  name: {{ x }}\nspec:\n")
