"""Every mutant of a ValidatingAdmissionPolicy: its spec without one of its rules. Pure."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Spec = dict[str, Any]
Direction = Literal["weaker", "stricter"]

NOTHING: Final = {"apiGroups": ["none.example.com"], "apiVersions": ["*"], "resources": ["nothing"]}
"""A policy must match some resource: this one is nowhere."""


@dataclass(frozen=True)
class RuleMutant:
    """One rule less: of policy `path`, at `where`, `was` is gone.

    weaker: what was refused may pass, and nothing else changes: only a test that saw a refusal by this policy can tell.
    stricter: what passed may be refused.
    """

    path: str
    where: str
    was: str
    direction: Direction
    spec: Spec = field(compare=False, repr=False)
    becomes: str = "(dropped)"

    def __str__(self) -> str:
        return f"{self.path} {self.where}: {' '.join(self.was.split())}"


def rule_mutants(policy: str, spec: Spec) -> list[RuleMutant]:
    """All mutants of the spec of the policy with that name, in the order of its fields."""
    found = [*_constraints(spec), *_conditions(spec), *_validations(spec)]
    return [RuleMutant(policy, where, was, direction, changed) for where, was, direction, changed in found]


Change = tuple[str, str, Direction, Spec]


def _constraints(spec: Spec) -> Iterator[Change]:
    """Each resource and each operation of each rule by itself; with the last one the rule goes."""
    for place, rule in enumerate(spec["matchConstraints"]["resourceRules"]):
        for what in ("resources", "operations"):
            for dropped in rule[what]:
                changed = copy.deepcopy(spec)
                rules = changed["matchConstraints"]["resourceRules"]
                rules[place][what].remove(dropped)
                if not rules[place][what]:
                    rules[place] |= {"operations": ["CREATE"]} | NOTHING
                yield f"resourceRules[{place}].{what}", _named(rule, what, dropped), "weaker", changed


def _named(rule: Spec, what: str, dropped: str) -> str:
    group = rule["apiGroups"][0]
    if what == "resources":
        return f"{group}/{dropped}" if group else str(dropped)
    return f"{dropped} of {', '.join(rule['resources'])}"


def _conditions(spec: Spec) -> Iterator[Change]:
    for place, condition in enumerate(spec.get("matchConditions", [])):
        changed = copy.deepcopy(spec)
        del changed["matchConditions"][place]
        yield f"matchConditions[{condition['name']}]", condition["expression"], "stricter", changed


def _validations(spec: Spec) -> Iterator[Change]:
    """Always true, in place of gone: a policy has one at least."""
    for place, validation in enumerate(spec["validations"]):
        changed = copy.deepcopy(spec)
        changed["validations"][place]["expression"] = "true"
        yield f"validations[{place}]", validation["expression"], "weaker", changed
