"""docs/reference/rules.md: every rule with its reason and its fix, and what each level of rights holds."""

from collections.abc import Iterator

from ringfence.policy.builtin import RESTRICTED
from ringfence.policy.levels import ATOMS, LEVELS, ordered
from ringfence.policy.rules import RULES
from tools.crds import dump_plain

PATH = "docs/reference/rules.md"
HEAD = """\
<!-- Made by `make generate` from operator/ringfence/policy/rules.py, levels.py and builtin.py. Do not edit. -->
# Rules

One function decides on an AgentDeployment, for admission, for the controller and for `ringfence lint` alike, and says
all that is wrong at once: `PATH: RULE: what to write instead`. These are the names of its rules. They are also the
values of the label `rule` in [metrics](metrics.md).
"""
LEVELS_HEAD = """\
## Levels

`permissions.level` names the ceiling that an agent's rules must fit under; it grants nothing by itself. Each level
holds what stands in its table and all levels before it. What is in none of them, no agent ever gets: Secrets, writing
anything that runs, commands in pods, tokens, roles, admission, NetworkPolicies, whatever redirects or publishes
traffic, anything outside of a namespace.
"""
BUILT_IN = """\
## The built-in policy

Where no AgentPolicy binds a namespace, this one does (`ringfence policy show`):
"""


def files() -> dict[str, str]:
    """Path -> content."""
    policy = f"```yaml\n{dump_plain(RESTRICTED.spec.manifest())}```\n"
    return {PATH: "\n".join([HEAD, *_rules(), LEVELS_HEAD, *_levels(), BUILT_IN, policy])}


def _rules() -> Iterator[str]:
    for name, text in RULES.items():
        yield f"## {name}\n\n{text.why}\n\n**Fix:** {text.fix}\n"


def _levels() -> Iterator[str]:
    before: frozenset[tuple[str, str, str]] = frozenset()
    for level in LEVELS:
        added: dict[tuple[str, str], list[str]] = {}
        for group, resource, verb in ATOMS[level] - before:
            added.setdefault((group, resource), []).append(verb)
        rows = [
            f"| {f'`{group}`' if group else 'core'} | `{resource}` | {', '.join(ordered(verbs))} |"
            for (group, resource), verbs in sorted(added.items())
        ]
        title = level if not before else f"{level}: all of the level before, and"
        yield "\n".join([f"### {title}\n", "| Group | Resource | Verbs |", "|---|---|---|", *rows, ""])
        before = ATOMS[level]
