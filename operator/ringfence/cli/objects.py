"""The objects that a document holds: itself, or what a list has, as `kubectl` would send them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ringfence.api.names import GROUP

from .manifests import Document

_LIST: Final = "List"


@dataclass(frozen=True)
class Object:
    """One object. `prefix`: its path inside the document (`items[0].` in a list), empty for the document itself."""

    document: Document
    prefix: str
    content: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """Its kind; empty where it has none."""
        return _text(self.content.get("kind"))

    @property
    def group(self) -> str | None:
        """Its API group (empty: core); None where it has no apiVersion."""
        version = self.content.get("apiVersion")
        return version.rpartition("/")[0] if isinstance(version, str) else None

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Empty where there is none, or what is there is none."""
        found = self.content.get("metadata")
        return found if isinstance(found, Mapping) else {}

    @property
    def name(self) -> str:
        """Empty where it has none."""
        return _text(self.metadata.get("name"))

    def is_ours(self, kind: str) -> bool:
        """Whether it is of that kind of ours. What has no apiVersion counts: nobody else's is meant."""
        return self.kind == kind and self.group in {GROUP, None}

    def line(self, path: str) -> int:
        """Line in the file of what stands at a path of the object."""
        return self.document.line(self.prefix + path)


def objects(document: Document) -> Iterator[Object]:
    """All objects of a document. What is no mapping holds none."""
    yield from _inside(document, document.content, "")


def _inside(document: Document, content: Any, prefix: str) -> Iterator[Object]:
    """To kubectl, whatever has `items` is a list, of any kind and at any depth."""
    if not isinstance(content, Mapping):
        return
    items = content.get("items")
    if not isinstance(items, list):
        yield Object(document, prefix, content)
        return
    for index, item in enumerate(items):
        yield from _inside(document, _named(content, item), f"{prefix}items[{index}].")


def _named(parent: Mapping[str, Any], item: Any) -> Any:
    """An item that names no kind is of that which the kind of its list names."""
    kind = _text(parent.get("kind"))
    if not isinstance(item, Mapping) or item.get("kind") or not kind.endswith(_LIST) or kind == _LIST:
        return item
    return {"apiVersion": parent.get("apiVersion"), "kind": kind.removesuffix(_LIST), **item}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
