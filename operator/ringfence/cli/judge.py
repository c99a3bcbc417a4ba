"""Judges the AgentDeployments of documents as admission would, without a cluster."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ringfence.api import AgentPolicySpec, parse
from ringfence.api.names import API_VERSION, GROUP
from ringfence.cli.manifests import Document, Unreadable, read
from ringfence.policy import text
from ringfence.policy.decide import decide
from ringfence.policy.model import AgentObject, Facts, NamedPolicy, RuleName, Violation

TOP_LEVEL = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})


@dataclass(frozen=True)
class Result:
    """One AgentDeployment and what was found. `prefix`: its path inside the document (`items[0].` in a List)."""

    document: Document
    content: Mapping[str, Any]
    api_version: str
    name: str
    namespace: str
    violations: tuple[Violation, ...]
    prefix: str = ""

    @property
    def accepted(self) -> bool:
        """Whether admission would let it in."""
        return not self.violations

    def line(self, violation: Violation) -> int:
        """Line in the file that the violation speaks of."""
        return self.document.line(self.prefix + violation.path)

    def as_json(self) -> dict[str, Any]:
        """The documented JSON form."""
        return {
            "file": self.document.file,
            "document": self.document.index,
            "apiVersion": self.api_version,
            "kind": "AgentDeployment",
            "namespace": self.namespace,
            "name": self.name,
            "accepted": self.accepted,
            "violations": [{"rule": str(v.rule), "path": v.path, "message": v.message} for v in self.violations],
        }


def judge(document: Document, policies: Sequence[NamedPolicy], *, namespace: str) -> Iterator[Result]:
    """A result for each AgentDeployment of the document; other kinds are passed over.

    `policies`: those that bind (none: the built-in one). `namespace`: for objects that name none.
    """
    for prefix, found in _objects(document.content, ""):
        yield _judge_one(document, prefix, found, policies, namespace)


def read_policies(files: Sequence[str]) -> list[NamedPolicy]:
    """The AgentPolicies of files. Raises Unreadable: a policy that cannot be read must not be passed over."""
    policies: list[NamedPolicy] = []
    for file in files:
        found = [_policy(document) for document in read(file) if _is_policy(document.content)]
        if not found:
            raise Unreadable(file, "no AgentPolicy in it")
        policies += found
    return policies


def _is_policy(content: Any) -> bool:
    return isinstance(content, Mapping) and content.get("kind") == "AgentPolicy"


def _policy(document: Document) -> NamedPolicy:
    parsed = parse(AgentPolicySpec, document.content.get("spec"))
    if parsed.value is None:
        error = parsed.errors[0]
        more = f" (and {len(parsed.errors) - 1} more mistakes)" if len(parsed.errors) > 1 else ""
        line = document.line(error.path)
        raise Unreadable(document.file, f"line {line}: AgentPolicy: {error.path}: {error.message}{more}")
    return NamedPolicy(str(_metadata(document.content).get("name", "unnamed")), parsed.value)


def _objects(content: Any, prefix: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not isinstance(content, Mapping):
        return
    group = str(content.get("apiVersion", "")).partition("/")[0]
    if content.get("kind") == "AgentDeployment" and group == GROUP:
        yield prefix, content
    elif content.get("kind") in ("List", "AgentDeploymentList") and isinstance(items := content.get("items"), list):
        for index, item in enumerate(items):
            yield from _objects(item, f"{prefix}items[{index}].")


def _judge_one(
    document: Document, prefix: str, found: Mapping[str, Any], policies: Sequence[NamedPolicy], namespace: str
) -> Result:
    metadata = _metadata(found)
    name, place = metadata.get("name"), metadata.get("namespace") or namespace
    violations = [*_envelope(found, metadata)]
    # Without labels of its namespace, every policy given is taken to bind, and an unopened namespace is not known.
    agent = AgentObject(name=str(name or "unnamed"), namespace=str(place), spec=found.get("spec"))
    violations += decide(agent, policies, Facts())
    return Result(document, found, str(found["apiVersion"]), str(name or ""), str(place), tuple(violations), prefix)


def _envelope(found: Mapping[str, Any], metadata: Mapping[str, Any]) -> Iterator[Violation]:
    """What the API server itself refuses before any rule is asked."""
    if found["apiVersion"] != API_VERSION:
        yield Violation("apiVersion", RuleName.INVALID_FIELD, f"unknown version: write {API_VERSION}")
    for key in sorted(found.keys() - TOP_LEVEL):
        yield Violation(text.path(str(key)), RuleName.INVALID_FIELD, "unknown field: remove it, or put it into spec")
    if not isinstance(metadata.get("name"), str) and not isinstance(metadata.get("generateName"), str):
        yield Violation("metadata.name", RuleName.INVALID_FIELD, "is required")


def _metadata(found: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = found.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}
