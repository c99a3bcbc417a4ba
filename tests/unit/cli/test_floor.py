"""`ringfence floor --manifests`: what it prints, where it writes, and what it says of values that it cannot read."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from ringfence.cli import floor
from ringfence.cli.main import cli


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["floor", *arguments], input=stdin)


def manifests(*arguments: str, stdin: str | None = None) -> list[Any]:
    result = run("--manifests", *arguments, stdin=stdin)
    assert result.exit_code == 0, result.output
    return list(yaml.safe_load_all(result.stdout))


def expressions(found: list[Any]) -> str:
    return yaml.safe_dump(found, width=100_000)


def test_every_policy_has_its_binding_and_every_name_the_suffix() -> None:
    found = manifests()
    names = {
        kind: [one["metadata"]["name"] for one in found if one["kind"] == kind] for kind in {x["kind"] for x in found}
    }
    policies = names["ValidatingAdmissionPolicy"]
    assert all(len(set(of_a_kind)) == len(of_a_kind) for of_a_kind in names.values())
    bound = {one["spec"]["policyName"] for one in found if "policyName" in one["spec"]}
    assert set(policies) == bound
    assert "ringfence-floor.static.k8s.io" in policies
    assert "ringfence-guard-children.static.k8s.io" in policies
    assert all(re.fullmatch(r"ringfence-[a-z-]+\.static\.k8s\.io", name) for name in policies)
    for one in found:
        name = one["metadata"]["name"].removesuffix(".static.k8s.io")
        assert name.startswith(one["spec"].get("policyName", name).removesuffix(".static.k8s.io"))
        assert not {"paramKind", "paramRef"} & set(one["spec"])
        assert one["spec"].get("validationActions", ["Deny", "Audit"]) == ["Deny", "Audit"]
        assert one["spec"].get("failurePolicy", "Fail") == "Fail"


def test_names_and_namespace_are_those_of_the_release() -> None:
    found = manifests("-n", "fences", "-f", "-", stdin="fullnameOverride: fence\nimage: {tag: v1}\n")
    assert all(one["metadata"]["name"].startswith("fence-") for one in found)
    assert "system:serviceaccount:fences:fence-controller" in expressions(found)
    for part in ("controller", "admission", "guard", "floor", "system"):
        assert f"ringfence-{part}" not in expressions(found)


def test_without_values_no_mark_is_left() -> None:
    assert "@" not in expressions(manifests())
    assert '"",' not in expressions(manifests())


def test_the_last_file_wins_and_leaves_the_rest(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("{fullnameOverride: fence, guards: {exempt: [one]}}")
    second.write_text("guards: {exempt: [two]}")
    text = expressions(manifests("-f", str(first), "-f", str(second)))
    assert '"two"' in text.replace('\\"', '"')
    assert '"one"' not in text.replace('\\"', '"')
    assert "fence-controller" in text


@pytest.mark.parametrize("text", ["null\n", "# nothing\n", "{}"])
def test_a_release_without_values_is_as_the_chart(text: str) -> None:
    assert manifests("-f", "-", stdin=text) == manifests()


BAD = {
    "a helm that failed": ("", "-: is empty"),
    "a word": ("guards: {exempt: velero}", "guards.exempt: must be a list of names"),
    "a number": ("guards: {exempt: [7]}", "guards.exempt: must be a list of names"),
    "an empty name": ("guards: {exempt: ['']}", "guards.exempt: must be a list of names"),
    "nothing": ("guards: {exempt: }", "guards.exempt: must be a list of names"),
    "a pattern": ("guards: {exempt: ['system:*']}", "'*' is none"),
    "a typo": ("guards: {exemt: [velero]}", "guards.exemt: the chart has no such value here; it has floor.enabled"),
    "no switch": ("floor: {enabled: 'yes'}", "floor.enabled: must be true or false"),
    "not a part": ("floor: true", "floor: the chart has no such value"),
    "a name": ("fullnameOverride: Ring_Fence", "fullnameOverride: must be at most 40"),
    "a long name": (f"fullnameOverride: {'a' * 41}", "fullnameOverride: must be at most 40"),
    "a list": ("[guards]", "a mapping is wanted"),
    "two documents": ("floor: {}\n---\nguards: {}", "more than one YAML document"),
    "no YAML": ("guards: {", "-: "),
    "twice the same": ("guards: {}\nguards: {}", "guards"),
    "all off": ("{floor: {enabled: false}, guards: {enabled: false}}", "there is nothing to write"),
}


@pytest.mark.parametrize(("text", "said"), BAD.values(), ids=BAD.keys())
def test_values_that_cannot_be_read_are_told_by_their_path(text: str, said: str) -> None:
    result = run("--manifests", "-f", "-", stdin=text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr, result.stderr
    assert "Traceback" not in result.stderr


def test_all_that_is_wrong_is_told_at_once() -> None:
    result = run("--manifests", "-f", "-", stdin="{fullnameOverride: X, guards: {exempt: 1, other: 2}}")
    assert all(word in result.stderr for word in ("fullnameOverride:", "guards.exempt:", "guards.other:"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--manifests prints it"),
        (("--manifests", "-n", "Not_One"), "is no such name"),
        (("--manifests", "--release", "a b"), "is no such name"),
        (("--manifests", "-f", "/no/such/file"), "no such file"),
        (("--manifests", "--output", "/no/such/folder"), "a directory that you may write to"),
    ],
)
def test_wrong_usage_says_what_to_do(arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr.lower() or said in result.stderr


def test_the_file_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API server takes an empty file for an empty floor: it must never see one, nor a half."""
    target = tmp_path / floor.FILE
    target.write_text("before")
    seen: list[tuple[str, list[str]]] = []
    replace = Path.replace

    def look(self: Path, other: Path) -> Path:
        seen.append((target.read_text(), [one.suffix for one in tmp_path.iterdir() if one != target]))
        return replace(self, other)

    monkeypatch.setattr(Path, "replace", look)
    result = run("--manifests", "--output", str(tmp_path))
    assert result.exit_code == 0
    ((before, suffixes),) = seen
    assert before == "before"
    assert len(suffixes) == 1
    assert not set(suffixes) & {".yaml", ".yml", ".json"}
    assert [one.name for one in tmp_path.iterdir()] == [floor.FILE]
    assert target.read_text() == run("--manifests").stdout
    assert target.stat().st_mode & 0o777 == 0o644
    assert f"wrote {target}" in result.stderr


def test_nothing_is_left_of_a_write_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, other: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    result = run("--manifests", "--output", str(tmp_path))
    assert result.exit_code == 2
    assert "No space left on device" in result.stderr
    assert list(tmp_path.iterdir()) == []
