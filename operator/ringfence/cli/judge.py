"""Judges the AgentDeployments of documents as admission would, without a cluster."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from ringfence.api import AgentPolicySpec, parse
from ringfence.api.names import API_VERSION, GROUP
from ringfence.api.sentences import closest
from ringfence.policy import text
from ringfence.policy.decide import decide
from ringfence.policy.model import AgentObject, Facts, NamedPolicy, RuleName, Violation
from ringfence.policy.selectors import asks_for, may_match
from ringfence.resources.dns import NAMESPACE_NAME_LABEL

from .manifests import Document, Unreadable, find, read
from .objects import Object, objects

TOP_LEVEL: Final = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})
KINDS: Final = ("AgentDeployment", "AgentPolicy")


class World(Protocol):
    """What a decision depends on besides the agent itself."""

    def of(self, namespace: str, name: str) -> tuple[Sequence[NamedPolicy], Facts]:
        """The policies that may bind an agent, and what is known of its surroundings."""


@dataclass
class Files:
    """The world as files show it. `namespaces`: labels of the Namespaces whose manifests are there."""

    policies: list[NamedPolicy] = field(default_factory=list)
    namespaces: dict[str, Mapping[str, str]] = field(default_factory=dict)
    unsure: dict[str, set[str]] = field(default_factory=dict)
    """Namespace -> the policies that may bind it, as far as its name tells: taken to bind."""

    def take(self, found: Object) -> None:
        """Note the labels of a Namespace."""
        if found.kind == "Namespace" and not found.group and found.name:
            labels = found.metadata.get("labels")
            text_only = {str(key): value for key, value in _mapping(labels).items() if isinstance(value, str)}
            self.namespaces[found.name] = text_only | {NAMESPACE_NAME_LABEL: found.name}

    def of(self, namespace: str, name: str) -> tuple[Sequence[NamedPolicy], Facts]:  # noqa: ARG002 - as in World
        """By the Namespace's labels. Where these are not known, a policy binds unless the name speaks against it."""
        labels = self.namespaces.get(namespace)
        if labels is not None:
            return self.policies, Facts(namespace_labels=labels)
        known = {NAMESPACE_NAME_LABEL: namespace}
        found = [policy for policy in self.policies if may_match(policy.spec.namespace_selector, known)]
        for policy in found:
            if asks_for(policy.spec.namespace_selector) - known.keys():
                self.unsure.setdefault(namespace, set()).add(policy.name)
        return found, Facts()


@dataclass(frozen=True)
class Result:
    """One AgentDeployment and what was found."""

    found: Object
    name: str
    namespace: str
    violations: tuple[Violation, ...]

    @property
    def document(self) -> Document:
        """Where it stands."""
        return self.found.document

    @property
    def content(self) -> Mapping[str, Any]:
        """The object."""
        return self.found.content

    @property
    def accepted(self) -> bool:
        """Whether admission would let it in."""
        return not self.violations

    def line(self, violation: Violation) -> int:
        """Line in the file that the violation speaks of."""
        return self.found.line(violation.path)

    def as_json(self) -> dict[str, Any]:
        """The documented JSON form."""
        return {
            "file": self.document.file,
            "document": self.document.index,
            "apiVersion": str(self.content.get("apiVersion") or ""),
            "kind": self.found.kind,
            "namespace": self.namespace,
            "name": self.name,
            "accepted": self.accepted,
            "violations": [
                {"rule": str(v.rule), "path": v.path, "message": v.message, "line": self.line(v)}
                for v in self.violations
            ],
        }


def judge(document: Document, world: World, *, namespace: str) -> Iterator[Result]:
    """A result for each AgentDeployment of the document, and for what was perhaps meant to be one.

    Other kinds are passed over. `namespace`: for objects that name none.
    """
    for found in objects(document):
        place = str(found.metadata.get("namespace") or namespace)
        if found.is_ours("AgentDeployment"):
            violations = [*_envelope(found)]
            policies, facts = world.of(place, found.name)
            agent = AgentObject(name=found.name or "unnamed", namespace=place, spec=found.content.get("spec"))
            violations += decide(agent, policies, facts)
            yield Result(found, found.name, place, tuple(violations))
        elif mistake := _misspelt(found):
            yield Result(found, found.name, place, (mistake,))


def read_policies(arguments: Sequence[str], exclude: Sequence[str] = ()) -> Files:
    """The AgentPolicies and Namespaces of files and directories.

    Raises Unreadable: a policy that cannot be read must not be passed over, nor an argument that has none.
    """
    world = Files()
    for argument in arguments:
        before = len(world.policies)
        for file in find(argument, exclude):
            inside = [found for document in read(file) for found in objects(document)]
            world.policies += policies_of(inside)
            for found in inside:
                world.take(found)
        if len(world.policies) == before:
            raise Unreadable(argument, "no AgentPolicy in it")
    return world


def policies_of(found: Iterable[Object]) -> Iterator[NamedPolicy]:
    """The AgentPolicies among objects. Raises Unreadable at the first that is wrong."""
    for one in found:
        if not one.is_ours("AgentPolicy"):
            if mistake := _misspelt(one):
                raise Unreadable(one.document.file, f"line {one.line(mistake.path)}: {mistake.path}: {mistake.message}")
            continue
        parsed = parse(AgentPolicySpec, one.content.get("spec"))
        if parsed.value is None:
            error = parsed.errors[0]
            more = f" (and {len(parsed.errors) - 1} more mistakes)" if len(parsed.errors) > 1 else ""
            line = one.line(error.path)
            raise Unreadable(one.document.file, f"line {line}: AgentPolicy: {error.path}: {error.message}{more}")
        yield NamedPolicy(one.name or "unnamed", parsed.value)


def _misspelt(found: Object) -> Violation | None:
    """What is in our group and of no kind of ours, or the other way round: passed over, nobody would notice it."""
    group = (found.group or "").lower()
    if group == GROUP and found.group == GROUP and found.kind not in KINDS:
        meant = closest(found.kind, KINDS)
        fix = f"did you mean {meant}?" if meant else f"write {' or '.join(KINDS)}"
        return Violation("kind", RuleName.INVALID_FIELD, f"{GROUP} has no kind {text.quote(found.kind)}: {fix}")
    if found.kind in KINDS and found.group != GROUP and group.startswith(GROUP.partition(".")[0]):
        message = f"{text.quote(found.group or '')} is not the group of {found.kind}: write {API_VERSION}"
        return Violation("apiVersion", RuleName.INVALID_FIELD, message)
    return None


def _envelope(found: Object) -> Iterator[Violation]:
    """What the API server itself refuses before any rule is asked."""
    if found.content.get("apiVersion") != API_VERSION:
        yield Violation("apiVersion", RuleName.INVALID_FIELD, f"unknown version: write {API_VERSION}")
    for key in sorted(map(str, found.content.keys() - TOP_LEVEL)):
        yield Violation(text.path(key), RuleName.INVALID_FIELD, "unknown field: remove it, or put it into spec")
    metadata = found.metadata
    if not isinstance(metadata.get("name"), str) and not isinstance(metadata.get("generateName"), str):
        yield Violation("metadata.name", RuleName.INVALID_FIELD, "is required")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
