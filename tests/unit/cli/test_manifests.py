"""Files are read as kubectl reads them, and what is no manifest is said so in a sentence."""

from pathlib import Path
from typing import Any

import pytest

from ringfence.cli import manifests
from ringfence.cli.manifests import Unreadable, find, read


def contents(tmp_path: Path, text: str | bytes) -> list[Any]:
    file = tmp_path / "x.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [(document.index, document.content) for document in read(str(file))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\n---\n---\n# nothing\n---\nb: 2\n", [(0, {"a": 1}), (3, {"b": 2})]),
        ("a: yes\nb: 'yes'\n", [(0, {"a": True, "b": "yes"})]),
        ("a: 2026-01-01\n", [(0, {"a": "2026-01-01"})]),
        ("a: 1:30\n", [(0, {"a": "1:30"})]),
        ("a: 0x10\nb: 010\nc: 1_000\n", [(0, {"a": 16, "b": 8, "c": 1000})]),
        ("a: &x [1]\nb: *x\n", [(0, {"a": [1], "b": [1]})]),
        ("base: &b {k: 1, l: 2}\nuse: {<<: *b, l: 3}\n", [(0, {"base": {"k": 1, "l": 2}, "use": {"k": 1, "l": 3}})]),
        ("use: {l: 3, <<: {l: 2}}\n", [(0, {"use": {"l": 2}})]),
        ("use: {<<: [{l: 1, k: 1}, {l: 2, m: 2}]}\n", [(0, {"use": {"l": 1, "k": 1, "m": 2}})]),
        ("use: {<<: {<<: {a: 1}, b: 2}}\n", [(0, {"use": {"a": 1, "b": 2}})]),
        ("use: {a: {b: 1}, <<: {a: {c: 2}}}\n", [(0, {"use": {"a": {"c": 2}}})]),
        ("use: {'<<': 1}\n", [(0, {"use": {"<<": 1}})]),
        ("a: &x 1\nb: &x 2\nc: *x\n", [(0, {"a": 1, "b": 2, "c": 2})]),
        (
            r'{"a": "\ud83d\ude00", "b": "\uD83D", "c": "\\ud83d\\ude00", "d": "\ude00x"}',
            [(0, {"a": "\U0001f600", "b": "\ufffd", "c": r"\ud83d\ude00", "d": "\ufffdx"})],
        ),
        ("a: " + "9" * 5000 + "\n", [(0, {"a": "9" * 5000})]),
        ("a: -" + "9" * 300 + "\n", [(0, {"a": float("-" + "9" * 300)})]),
        ("a: " + "0" * 5000 + "7\n", [(0, {"a": 7})]),
        ("\ufeffa: 1\n", [(0, {"a": 1})]),
        ('{"a": [1, 2.5, null]}', [(0, {"a": [1, 2.5, None]})]),
    ],
)
def test_values_are_what_the_api_server_would_see(tmp_path: Path, text: str, expected: list[Any]) -> None:
    assert contents(tmp_path, text) == expected


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        (b"\x7fELF\0\0", "binary"),
        (b"a: \xff\xfe", "not UTF-8"),
        ("a: [1\n", "line 2, column 1: not YAML"),
        ("a: 1\na: 2\n", "line 2: the key 'a' stands here twice"),
        ("a: &a [*a]\n", "line 1: an alias leads back to itself"),
        ("a: *nowhere\n", "not YAML"),
        ("a: {<<: 3}\n", "line 1: << merges a mapping"),
        ("a: {<<: [[{b: 1}]]}\n", "line 1: << merges a mapping"),
        ("a: &a\n  <<: *a\n", "line 1: an alias leads back to itself"),
        ("a: !!int " + "9" * 5000, "cannot be read as !!int"),
        ("? [1, 2]\n: x\n", "a key must be a plain word"),
        ("[" * 200 + "]" * 200, "nested deeper"),
        ("[" * 100_000, "nested deeper"),
        (BOMB, "YAML bomb"),
        ("!!python/object/apply:os.system [id]\n", None),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | bytes, said: str | None
) -> None:
    monkeypatch.setattr(manifests, "MAX_NODES", 20_000)  # the same sentence as at the real bound, sooner
    if said is None:  # a tag is only a tag: the text stays text, and nothing runs
        assert contents(tmp_path, text) == [(0, ["id"])]
        return
    with pytest.raises(Unreadable) as caught:
        contents(tmp_path, text)
    assert said in str(caught.value)
    assert "x.yaml" in str(caught.value)


def test_a_file_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "MAX_BYTES", 10)
    with pytest.raises(Unreadable, match="larger than"):
        contents(tmp_path, "a: 1234567890\n")


def test_a_path_leads_to_its_line_or_to_its_parents(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("spec:\n  env:\n  - name: A\n  - name: B\n")
    (document,) = read(str(file))
    assert document.line("spec.env[1].name") == 4
    assert document.line("spec.env[1].value") == 4
    assert document.line("spec.image") == 2
    assert document.line("metadata.name") == 1


def test_a_directory_gives_its_manifests_in_order(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "sub/c.json", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a: 1\n")
    assert [Path(one).name for one in find(str(tmp_path))] == ["a.yml", "b.yaml", "c.json"]


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        (["sub"], ["a.yml", "b.yaml"]),
        (["*.yml", "sub/d/*"], ["b.yaml", "c.json"]),
        (["sub/"], ["a.yml", "b.yaml"]),
        (["d"], ["a.yml", "b.yaml", "c.json"]),
        (["su"], ["a.yml", "b.yaml", "c.json", "e.yaml"]),
    ],
)
def test_what_is_excluded_is_left_out_by_name_or_by_path(tmp_path: Path, exclude: list[str], left: list[str]) -> None:
    for name in ("b.yaml", "a.yml", "sub/c.json", "sub/d/e.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("a: 1\n")
    assert [Path(one).name for one in find(str(tmp_path), exclude)] == left
    with pytest.raises(Unreadable, match="not excluded"):
        list(find(str(tmp_path), ["*"]))


@pytest.mark.parametrize(("make", "said"), [(None, "no such file"), ("empty", "no .yaml")])
def test_what_is_not_there_is_said(tmp_path: Path, make: str | None, said: str) -> None:
    place = tmp_path / "x"
    if make:
        place.mkdir()
    with pytest.raises(Unreadable, match=said):
        list(find(str(place)))
