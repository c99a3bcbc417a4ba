"""Files of an image before they are packed, and archives that come out the same each time."""

import gzip
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath

FILE_MODE = 0o644
PROGRAM_MODE = 0o755
_LEVEL = 6
_MOST_LINKS = 8
"""Links in a row, until they are taken for a circle."""


@dataclass(frozen=True)
class Node:
    """A file; with `link`, a symbolic link; with neither content nor link, and `folder`, a directory."""

    content: bytes = b""
    mode: int = FILE_MODE
    link: str = ""
    folder: bool = False


_compressed: dict[bytes, bytes] = {}
"""SHA-256 of what was compressed -> what came out."""
Tree = dict[str, Node]
"""Path without a leading slash -> what is there. Directories need not be named, unless their mode is not 0755."""


def tar(tree: Mapping[str, Node], *, time: int = 0) -> bytes:
    """A tar archive: sorted, of user 0, everything of one time, with the directories that files need."""
    folders = {str(parent) for name in tree for parent in PurePosixPath(name).parents} - {"."}
    every = {name: Node(mode=PROGRAM_MODE, folder=True) for name in folders} | dict(tree)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(every):
            node = every[name]
            member = tarfile.TarInfo(name)
            member.mtime, member.mode = time, node.mode
            if node.folder:
                member.type = tarfile.DIRTYPE
            elif node.link:
                member.type, member.linkname, member.mode = tarfile.SYMTYPE, node.link, 0o777
            else:
                member.size = len(node.content)
            archive.addfile(member, io.BytesIO(node.content))
    return packed.getvalue()


def gzipped(content: bytes) -> bytes:
    """Compress, without a name or a time. What was compressed by this process is not compressed again."""
    key = sha256(content).digest()
    if key not in _compressed:
        _compressed[key] = gzip.compress(content, _LEVEL, mtime=0)
    return _compressed[key]


def followed(tree: Tree, name: str) -> Node | None:
    """The file of that name, or the one that a link of that name leads to inside of the tree, if there is one."""
    for _ in range(_MOST_LINKS):
        node = tree.get(name)
        if node is None or node.folder:
            return None
        if not node.link:
            return node
        parts: list[str] = [] if node.link.startswith("/") else list(PurePosixPath(name).parent.parts)
        for part in PurePosixPath(node.link).parts:
            if part == "..":
                del parts[-1:]
            elif part != "/":
                parts.append(part)
        if parts and (top := tree.get(parts[0])) is not None and top.link:  # /lib is a link into /usr
            parts[:1] = PurePosixPath(top.link).parts
        name = "/".join(parts)
    return None


def read(folder: Path, *, below: str = "") -> Tree:
    """All files and links of a folder on disk, put `below` a path."""
    found: Tree = {}
    for path in sorted(folder.rglob("*")):
        name = str(PurePosixPath(below) / path.relative_to(folder).as_posix())
        if path.is_symlink():
            found[name] = Node(link=str(path.readlink()))
        elif path.is_file():
            found[name] = Node(path.read_bytes(), PROGRAM_MODE if path.stat().st_mode & 0o100 else FILE_MODE)
    return found


def write(tree: Mapping[str, Node], folder: Path) -> None:
    """Files and links to disk."""
    for name, node in tree.items():
        path = folder / name
        if node.folder:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if node.link:
            path.symlink_to(node.link)
        else:
            path.write_bytes(node.content)
            path.chmod(node.mode)
