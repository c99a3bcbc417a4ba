"""What the fake API server knows of fields: patches, selectors, and who owns which field (server-side apply)."""

import copy
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ringfence.kube import ApiError, Conflict, Object

Step = str | tuple[str, str]
"""A field's name, or an entry of a list by its key: `("name", '"web"')`."""
Field = tuple[Step, ...]

KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
    "ownerReferences": "uid",
    "conditions": "type",
    "webhooks": "name",
    "hostAliases": "ip",
}
"""Lists whose entries have owners of their own, by which field they are told apart. Other lists are one value."""
SETS = {"finalizers"}
ATOMIC = {"podSelector", "namespaceSelector", "selector", "roleRef", "nodeSelector", "secretKeyRef", "configMapKeyRef"}
"""Maps that are one value."""
SERVER_SET = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields")
UNOWNED = {("apiVersion",), ("kind",), *(("metadata", name) for name in ("name", "namespace", *SERVER_SET))}
"""Fields without an owner."""


def leaves(value: Any, at: Field = ()) -> dict[Field, Any]:
    """Every field that has an owner, with its value."""
    if at in UNOWNED:
        return {}
    name = at[-1] if at and isinstance(at[-1], str) else ""
    if isinstance(value, dict) and value and name not in ATOMIC:
        return {step: found for key, one in value.items() for step, found in leaves(one, (*at, key)).items()}
    if isinstance(value, list) and value and name in SETS:
        return {(*at, ("", json.dumps(one))): one for one in value}
    if isinstance(value, list) and value and (key := KEYS.get(name)) and all(key in one for one in value):
        entries = [((*at, (key, json.dumps(one[key]))), one) for one in value]
        return {step: found for path, one in entries for step, found in leaves(one, path).items()}
    return {at: value}


def put(target: Any, at: Field, value: Any) -> None:
    """Set one field, making what it stands in."""
    for step, after in zip(at, (*at[1:], None), strict=True):
        if isinstance(step, tuple):
            key, text = step
            if not key:
                if json.loads(text) not in target:
                    target.append(json.loads(text))
                return
            found = next((one for one in target if json.dumps(one.get(key)) == text), None)
            if found is None:
                target.append(found := {key: json.loads(text)})
            target = found
        elif after is None:
            if value != {} or step in ATOMIC or not isinstance(target.get(step), dict):  # {} takes nothing away
                target[step] = copy.deepcopy(value)
        else:
            kind: type = list if isinstance(after, tuple) else dict
            if not isinstance(target.get(step), kind):
                target[step] = kind()
            target = target[step]


def drop(target: Any, at: Field) -> None:
    """Take one field away, and what is empty then."""
    step, rest = at[0], at[1:]
    if isinstance(step, tuple):
        key, text = step
        for one in [one for one in target if json.dumps(one.get(key) if key else one) == text]:
            if rest:
                drop(one, rest)
            if not rest or not one:
                target.remove(one)
    elif isinstance(target, dict) and step in target:
        if rest:
            drop(target[step], rest)
        if not rest or target[step] in ({}, []):
            del target[step]


@dataclass(frozen=True)
class Manager:
    """Who owns fields, as an entry of managedFields names it."""

    name: str
    operation: str
    subresource: str = ""


@dataclass
class Owners:
    """The owners of one object's fields."""

    of: dict[Manager, set[Field]] = field(default_factory=dict)
    times: dict[Manager, str] = field(default_factory=dict)

    def apply(self, live: Object, body: Object, manager: Manager, *, force: bool) -> Object:
        """The object after a server-side apply. Raises Conflict."""
        wanted, found = leaves(body), leaves(live)
        differs = {at for at, value in wanted.items() if at not in found or found[at] != value}
        others = {one: owned & differs for one, owned in self.of.items() if one != manager and owned & differs}
        if others and not force:
            said = "; ".join(f'conflict with "{one.name}": {_shown(at)}' for one, ats in others.items() for at in ats)
            raise Conflict(409, "Conflict", f"Apply failed: {said}")
        result = copy.deepcopy(live)
        before = self.of.get(manager, set())
        for one, ats in others.items():
            self.of[one] -= ats
        self.of[manager] = set(wanted)
        kept = {at for owned in self.of.values() for at in owned}
        for at in sorted(before - kept, key=str):
            drop(result, at)
        for at, value in wanted.items():
            if at in differs:
                put(result, at, value)
        return result

    def update(self, before: Object, after: Object, manager: Manager) -> None:
        """Whoever changed a field by another way than apply owns it."""
        old, new = leaves(before), leaves(after)
        changed = {at for at, value in new.items() if at not in old or old[at] != value}
        self.of = {one: (owned - changed) & set(new) for one, owned in self.of.items()}
        if changed:
            self.of[manager] = self.of.get(manager, set()) | changed

    def told(self) -> list[Object]:
        """As metadata.managedFields."""
        return [
            {
                "manager": manager.name,
                "operation": manager.operation,
                "time": self.times.get(manager),
                "fieldsType": "FieldsV1",
                "fieldsV1": _tree(owned),
            }
            | ({"subresource": manager.subresource} if manager.subresource else {})
            for manager, owned in self.of.items()
            if owned
        ]


def _name(step: Step) -> str:
    if isinstance(step, str):
        return f"f:{step}"
    return f'k:{{"{step[0]}":{step[1]}}}' if step[0] else f"v:{step[1]}"


def _shown(at: Field) -> str:
    return "".join(f".{step}" if isinstance(step, str) else f"[{step[0]}={step[1]}]" for step in at)


def _tree(owned: set[Field]) -> Object:
    tree: Object = {}
    for at in sorted(owned, key=str):
        here = tree
        for step in at:
            here = here.setdefault(_name(step), {})
    return tree


def merged(target: Any, patch: Any) -> Any:
    """JSON merge patch (RFC 7386)."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def patched(target: Object, operations: Sequence[Object]) -> Object:
    """JSON patch (RFC 6902): test, add, replace, remove. Raises ApiError 422."""
    result = copy.deepcopy(target)
    for operation in operations:
        *parents, last = [step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")[1:]]
        try:
            here: Any = result
            for step in parents:
                here = here[int(step)] if isinstance(here, list) else here[step]
            _change(here, last, operation)
        except (KeyError, IndexError, ValueError, TypeError) as failure:
            at = operation["path"]
            raise ApiError(422, "Invalid", f"the server rejected our request due to an error in {at}") from failure
    return result


def _change(here: Any, last: str, operation: Object) -> None:
    at: Any = last
    if isinstance(here, list):
        at = len(here) if last == "-" else int(last)
    match operation["op"]:
        case "test":
            if here[at] != operation["value"]:
                raise ValueError("the test failed")
        case "add" if isinstance(here, list):
            here.insert(at, copy.deepcopy(operation["value"]))
        case "replace" if at not in here and not isinstance(here, list):
            raise KeyError(at)
        case "add" | "replace":
            here[at] = copy.deepcopy(operation["value"])
        case "remove":
            del here[at]
        case other:
            raise ValueError(f"unknown operation {other}")


def labels_match(selector: str | None, found: Object) -> bool:
    """Whether a label selector selects an object."""
    labels = found["metadata"].get("labels") or {}
    for part in re.split(r",(?![^(]*\))", selector) if selector else ():
        if inside := re.fullmatch(r"\s*(\S+)\s+(in|notin)\s+\((.*)\)\s*", part):
            name, word, values = inside.groups()
            if (labels.get(name) in {one.strip() for one in values.split(",")}) is (word == "notin"):
                return False
        elif "=" in part:
            name, _, value = part.partition("!=") if "!=" in part else part.replace("==", "=").partition("=")
            if (labels.get(name.strip()) == value.strip()) is ("!=" in part):
                return False
        elif (part.strip().lstrip("!") in labels) is part.strip().startswith("!"):
            return False
    return True


def fields_match(selector: str | None, found: Object) -> bool:
    """Whether a field selector (`a.b=c,d!=e`) selects an object."""
    for part in selector.split(",") if selector else ():
        path, _, value = part.partition("!=") if "!=" in part else part.replace("==", "=").partition("=")
        here: Any = found
        for step in path.split("."):
            here = (here or {}).get(step)
        if (("" if here is None else str(here)) == value) is ("!=" in part):
            return False
    return True
