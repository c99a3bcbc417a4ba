"""Markdown pages: their blocks of code, the commands in these, their links and the places that links lead to.

A block of a page is fenced and names its language. `console`: run by a test, in the page's order, in one shell:

    $ command                  goes on for as many lines as bash takes it to
    what it prints             `...` stands for anything, also for several lines; any white space is one space
    $ another                  followed by nothing: it may print what it likes

The exit code has to be 0, and in a block ```console fails that of the last command something else. `sh`: commands that
are shown and not run; register.py says of each why. Everything else (`yaml`, `text`, ...) is to read.
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
RUN = "console"
SHOWN = "sh"
FAILS = "fails"
PROMPT = "$ "


@dataclass(frozen=True)
class Block:
    """A block of code. `line`: of its content. `section`: the heading above. Not fenced: `language` is empty."""

    line: int
    section: str
    language: str
    words: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Command:
    """A command and what it is to print. `shown` empty: anything."""

    line: int
    section: str
    text: str
    shown: str
    fails: bool = False


@dataclass(frozen=True)
class Page:
    """A Markdown file of the repository, by its path from the root."""

    path: str
    root: Path = field(default=ROOT, compare=False)

    @cached_property
    def tokens(self) -> list[Token]:
        return MarkdownIt("commonmark").enable("table").parse((self.root / self.path).read_text())

    @cached_property
    def blocks(self) -> list[Block]:
        found, section = [], ""
        for token, content in zip(self.tokens, [*self.tokens[1:], None], strict=True):
            if token.type == "heading_open" and content:
                section = content.content
            elif token.type in {"fence", "code_block"} and token.map:
                language, *words = token.info.split() or [""]
                line = token.map[0] + (2 if token.type == "fence" else 1)
                found.append(Block(line, section, language, tuple(words), token.content))
        return found

    @property
    def commands(self) -> list[Command]:
        """Those that are run."""
        return [command for block in self.blocks if block.language == RUN for command in session(block)]

    @property
    def shown(self) -> list[str]:
        """Those that are not."""
        return [line for block in self.blocks if block.language == SHOWN for line in _lines(block.text)]

    @property
    def links(self) -> list[str]:
        return [
            str(child.attrs["href"])
            for token in self.tokens
            for child in token.children or []
            if child.type == "link_open"
        ]

    @property
    def anchors(self) -> set[str]:
        """What `#...` may follow the page's name: headings, as forges make them up, and <a id="...">."""
        found: dict[str, int] = {}
        for token, content in zip(self.tokens, self.tokens[1:], strict=False):
            if token.type == "heading_open":
                title = "".join(child.content for child in content.children or [] if child.type != "html_inline")
                slug = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
                found[slug] = found.get(slug, -1) + 1
                if found[slug]:
                    found[f"{slug}-{found[slug]}"] = 0
        return found.keys() | set(re.findall(r'<a id="([^"]+)">', (self.root / self.path).read_text()))


def pages() -> list[Page]:
    """All pages of the repository."""
    folders = ("docs", "charts", "e2e", "examples", "tests", "tools", "operator")
    paths = [*ROOT.glob("*.md"), *(path for folder in folders for path in (ROOT / folder).rglob("*.md"))]
    return [Page(path.relative_to(ROOT).as_posix()) for path in sorted(paths)]


def session(block: Block) -> Iterator[Command]:
    """The commands of a console block. Raises ValueError where it does not begin with one, or one never ends."""
    lines = block.text.splitlines()
    starts = [index for index, line in enumerate(lines) if line.startswith(PROMPT)]
    if not starts or starts[0] != 0:
        raise ValueError(f"line {block.line}: a console block begins with {PROMPT!r}")
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        length = next((n for n in range(1, end - start + 1) if _complete(_command(lines[start : start + n]))), 0)
        if not length:
            raise ValueError(f"line {block.line + start}: bash waits for more of this command")
        yield Command(
            line=block.line + start,
            section=block.section,
            text=_command(lines[start : start + length]),
            shown="\n".join(lines[start + length : end]),
            fails=FAILS in block.words and start == starts[-1],
        )


def _command(lines: list[str]) -> str:
    return "\n".join(lines).removeprefix(PROMPT)


def _complete(text: str) -> bool:
    """Whether bash would run this, and not wait for another line."""
    checked = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, timeout=150, check=False)
    return checked.returncode == 0 and not checked.stderr and not text.endswith("\\")


def matches(shown: str, printed: str) -> bool:
    """Whether a command printed what the page shows."""
    wanted = re.sub(r"(\\ )?\\\.\\\.\\\.(\\ )?", ".*", re.escape(_plain(shown)))
    return re.fullmatch(wanted, _plain(printed)) is not None


def _plain(text: str) -> str:
    return " ".join(text.split())


def _lines(text: str) -> Iterator[str]:
    """The commands of a block that is not run: continued lines joined, comments left out."""
    for line in text.replace("\\\n", " ").splitlines():
        if plain := " ".join(re.sub(r"(^|\s)#.*", "", line).split()):
            yield plain
