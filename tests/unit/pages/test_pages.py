"""Every command of every page is run, or it is said why not; every link leads somewhere; what is named exists."""

import re
import shlex
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import click
import pytest

from pages.page import FAILS, ROOT, RUN, SHOWN, Page, pages, session
from pages.register import CLUSTER, FROM_NOTHING, NOT_RUN, OFFLINE, READ_ONLY, read_only
from pages.terminal import Terminal, checkout, environment, follow
from ringfence.cli.main import COMMANDS, cli

PAGES = {page.path: page for page in pages()}
RUNNING = {*OFFLINE, *CLUSTER, FROM_NOTHING}
WRITTEN = [path for path in PAGES if not read_only(path)]
TO_READ = {"yaml", "text", "json", "mermaid", "python", "lua"}
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", WRITTEN)
def test_every_block_says_what_it_is(path: str) -> None:
    for block in PAGES[path].blocks:
        where = f"{path}:{block.line}"
        assert block.language, f"{where}: fence it, and say which language it is"
        assert block.language in TO_READ | {RUN, SHOWN}, where
        assert set(block.words) <= {FAILS}, where
        if block.language == RUN:
            assert list(session(block)), where
            assert path in RUNNING, f"{where}: no test runs this page; see tests/pages/register.py"


@pytest.mark.parametrize("path", WRITTEN)
def test_what_is_not_run_has_a_reason(path: str) -> None:
    assert PAGES[path].shown == [*dict.fromkeys(PAGES[path].shown)], "twice the same"
    assert set(PAGES[path].shown) == NOT_RUN.get(path, {}).keys()


def test_the_register_names_pages_that_exist_and_have_commands() -> None:
    assert all(PAGES[path].commands for path in RUNNING)
    assert NOT_RUN.keys() <= PAGES.keys()
    assert all(any(fnmatch(path, pattern) for path in PAGES) for pattern in READ_ONLY)


@pytest.mark.parametrize("path", OFFLINE)
def test_the_commands_of_the_page_do_what_it_says(path: str, tmp_path: Path) -> None:
    path_of = f"{ROOT / '.venv/bin'}:{environment()['PATH']}"
    with Terminal(checkout(tmp_path), environment(PATH=path_of)) as terminal:
        follow(PAGES[path], terminal)


@pytest.mark.parametrize("path", PAGES)
def test_links_lead_somewhere(path: str) -> None:
    for link in PAGES[path].links:
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (ROOT / path).parent / file if file else ROOT / path
        assert target.exists(), f"{path}: {link}"
        if anchor:
            found = PAGES[target.resolve().relative_to(ROOT).as_posix()]
            assert anchor in found.anchors, f"{path}: {link}: there are {sorted(found.anchors)}"


def test_every_page_of_docs_is_reached_from_the_index() -> None:
    reached, todo = set(), ["docs/README.md"]
    while todo:
        path = todo.pop()
        if path in PAGES and path not in reached:
            reached.add(path)
            todo += [_of(path, link) for link in PAGES[path].links if link.partition("#")[0].endswith(".md")]
    assert {path for path in PAGES if path.startswith("docs/")} <= reached


def _of(path: str, link: str) -> str:
    target = ((ROOT / path).parent / link.partition("#")[0]).resolve()
    return target.relative_to(ROOT).as_posix() if target.is_relative_to(ROOT) else link


@pytest.mark.parametrize("path", PAGES)
def test_tests_that_are_named_exist(path: str) -> None:
    for name, file in re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)", (ROOT / path).read_text()):
        code = ((ROOT / path).parent / file).read_text()
        assert re.search(rf"^ *(async )?def {name}\(", code, re.MULTILINE), f"{path}: {name} is not in {file}"


@pytest.mark.parametrize("path", PAGES)
def test_make_has_what_pages_call(path: str) -> None:
    for line in _code(PAGES[path]):
        for target in re.findall(r"(?:^|\$ |\$\(|[;&|] |\w=\w+ )make (?:-s )?([a-z][a-z0-9-]+)", line):
            assert target in TARGETS, f"{path}: make {target}"


@pytest.mark.parametrize("path", PAGES)
def test_the_command_line_has_what_pages_call(path: str) -> None:
    for line in _code(PAGES[path]):
        for words in _calls(line):
            _read(words, f"{path}: {line}")


def _read(words: list[str], where: str) -> None:
    """Have click read the words, and do nothing."""
    command: click.Command | None = cli
    while isinstance(command, click.Group) and words:
        command, words = command.get_command(click.Context(command), words[0]), words[1:]
    assert command, where
    try:
        command.make_context(command.name, words).close()
    except click.UsageError as wrong:
        raise AssertionError(f"{where}: {wrong.message}") from None


def _calls(line: str) -> Iterator[list[str]]:
    """The words behind each `ringfence` of a line of shell. The name of a subcommand alone is a word of a sentence."""
    for part in re.split(r"[|;&()]|\$\(|`", line):
        lexer = shlex.shlex(part.removeprefix("$ "), posix=True, punctuation_chars="<>")
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:
            continue
        if words[:2] == ["kubectl", "ringfence"]:
            words = words[1:]
        if words[:1] == ["ringfence"] and words[2:] and words[1] in COMMANDS and "[OPTIONS]" not in words:
            yield words[1 : next((n for n, word in enumerate(words) if word in {">", "<", ">>"}), None)]


def _code(page: Page) -> Iterator[str]:
    """Lines of code, and code within sentences."""
    for block in page.blocks:
        yield from block.text.replace("\\\n", " ").splitlines()
    for token in page.tokens:
        yield from (child.content for child in token.children or [] if child.type == "code_inline")


def _named(line: str) -> list[str]:
    """What a command of a page would fetch from elsewhere: images, charts, packages."""
    words = line.split()
    found = re.findall(r"(?:oci://|\bimage(?:\.repository)?[:=] ?)([\w.-]+(?::\d+)?/[\w./-]+)", line)
    if "pip" in line and "install" in words:
        found += [word for word in words[words.index("install") + 1 :] if re.fullmatch(r"[a-z][\w-]*", word)]
    if "krew" in words or ("helm" in words and "repo" in words):
        found.append(line)
    return found


@pytest.mark.parametrize("path", WRITTEN)
def test_no_command_fetches_what_nobody_published(path: str) -> None:
    """Ringfence's image, charts and packages are in no registry: pages name hosts that are kept for examples."""
    for block in PAGES[path].blocks:
        for line in block.text.splitlines():
            hosts = [name.partition("/")[0].partition(":")[0] for name in _named(line)]
            for host in hosts:
                assert host.endswith((".example", ".test", ".invalid")) or host == "localhost", f"{path}: {line}"


def test_what_a_page_would_fetch_is_seen() -> None:
    assert _named("helm install r oci://ghcr.io/acme/ringfence") == ["ghcr.io/acme/ringfence"]
    assert _named("  image: quay.io/acme/ringfence:1.0") == ["quay.io/acme/ringfence"]
    assert _named("pip install ringfence") == ["ringfence"]
    assert _named("kubectl krew install ringfence")
    assert _named("helm repo add ringfence https://x")
    assert _named("kubectl label namespace a ringfence.dev/agents=enabled") == []
