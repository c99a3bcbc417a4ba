"""The one decision: may this agent be, here, under these policies?"""

from collections.abc import Sequence

from .model import AgentObject, Facts, NamedPolicy, Violation


def decide(agent: AgentObject, policies: Sequence[NamedPolicy], facts: Facts) -> list[Violation]:
    """All violations at once, sorted by path; empty when the agent is accepted.

    `policies`: every AgentPolicy of the cluster; those that do not select the namespace are left out here, and with
    none left the built-in `restricted` binds. Webhook, controller and lint call this and nothing else.
    """
    raise NotImplementedError
