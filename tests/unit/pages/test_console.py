"""What a console block means."""

from pathlib import Path

import pytest

from pages.page import Page, matches
from pages.terminal import Differs, Terminal, environment, follow


def page(folder: Path, text: str) -> Page:
    (folder / "page.md").write_text(text)
    return Page("page.md", folder)


BLOCK = """\
# One

```console
$ cat > a.txt <<'EOF'
$HOME
EOF
$ for n in 1 2
  do echo $n |
    tr 1 3
  done
3
2
$ echo one \\
    two
one two
```

```yaml
no: command
```

## Two

1. In a list:

   ```console fails
   $ cat a.txt
   $HOME
   $ false
   ```
"""


def test_commands_and_what_they_print(tmp_path: Path) -> None:
    commands = page(tmp_path, BLOCK).commands
    assert [(one.line, one.section, one.fails) for one in commands] == [
        (4, "One", False),
        (7, "One", False),
        (13, "One", False),
        (27, "Two", False),
        (29, "Two", True),
    ]
    assert [one.text.count("\n") for one in commands] == [2, 3, 1, 0, 0]
    assert commands[1].shown == "3\n2"


def test_they_run_in_one_shell(tmp_path: Path) -> None:
    with Terminal(tmp_path, environment()) as terminal:
        follow(page(tmp_path, BLOCK), terminal)
        assert terminal.run("cd /; X=1; cat") == ("\n", 0)
        assert terminal.run('echo "$PWD $X" >&2; (exit 3)') == ("/ 1\n\n", 3)


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ("```console\n$ echo a\nb\n```", "prints\na"),
        ("```console\n$ false\n```", "ended with 1"),
        ("```console fails\n$ true\n```", "ended with 0"),
        ("```console\n$ false | true\n```", "ended with 1"),
        ("```console\n$ exit\n```", "the shell ended"),
    ],
)
def test_what_differs_is_told(tmp_path: Path, block: str, says: str) -> None:
    with Terminal(tmp_path, environment()) as terminal, pytest.raises(Differs, match=says):
        follow(page(tmp_path, block), terminal)


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with Terminal(tmp_path, environment()) as terminal, pytest.raises(Differs, match="more than 1 s"):
        terminal.run("sleep 60", timeout=1)


@pytest.mark.parametrize("block", ["```console\necho a\n```", "```console\n$ cat <<EOF\na\n```", "```console\n```"])
def test_what_is_no_console_block(tmp_path: Path, block: str) -> None:
    with pytest.raises(ValueError, match="line "):
        _ = page(tmp_path, block).commands


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a b", " a\n   b \n", True),
        ("a b", "ab", False),
        ("NAME AGE\nx    ...", "NAME   AGE\nx   3s", True),
        ("...\nSTATUS: deployed\n...", "STATUS: deployed", True),
        ("...\nb\n...", "a\nc", False),
        ('{"a":1,...}', '{"a":1,"b":2}', True),
        ("a", "a\nb", False),
        ("a.c", "abc", False),
    ],
)
def test_matches(shown: str, printed: str, same: bool) -> None:
    assert matches(shown, printed) is same


def test_anchors_are_those_of_forges(tmp_path: Path) -> None:
    text = '# A `code`, and more\n## Twice\n## Twice\n<a id="by-hand"></a>\n'
    assert page(tmp_path, text).anchors == {"a-code-and-more", "twice", "twice-1", "by-hand"}
