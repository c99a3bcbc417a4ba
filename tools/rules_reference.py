"""docs/reference/rules.md: every rule with its reason and its fix, and what each level of rights holds."""

from collections.abc import Iterator

from ringfence.policy.builtin import RESTRICTED
from ringfence.policy.grants import GRANTS
from ringfence.policy.levels import LEVELS, ordered
from ringfence.policy.rules import RULES
from tools.crds import dump_plain

PATH = "docs/reference/rules.md"
HEAD = """\
<!-- Made by `make generate` from operator/ringfence/policy/rules.py, grants.py and builtin.py. Do not edit. -->
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
traffic, anything outside of a namespace. The floor in the API server and the ClusterRole `ringfence-agent-ceiling` are
made from the same list. Custom resources are added by policies, one by one. The last
column says what somebody could come to who gets hold of such an agent: objects of the
namespace that are not agents are as safe as their own owners made them.
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
    for level in LEVELS:
        rows = [
            f"| {f'`{one.group}`' if one.group else 'core'} | `{one.resource}` | {', '.join(ordered(one.verbs))} "
            f"| {one.use} | {one.risk} |"
            for one in GRANTS
            if one.level == level
        ]
        title = level if level == LEVELS[0] else f"{level}: all of the level before, and"
        head = "| Group | Resource | Verbs | To | Who misuses it |", "|---|---|---|---|---|"
        yield "\n".join([f"### {title}\n", *head, *rows, ""])
