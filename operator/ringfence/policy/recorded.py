"""Who asked for what an agent gets, as the API server wrote it into an annotation of the AgentDeployment.

A policy of the chart writes it (charts/ringfence/templates/guards/requester.yaml): when an agent is created, and when
it is changed so that somebody is asked about. Another one sees that nobody else writes it.
"""

import json
from typing import Any, Final

from ringfence.api.names import REQUESTED_BY_ANNOTATION, TAKE_OVER

from .delegate import Subject, requester
from .text import quote

TAKE_IT_OVER: Final = (
    "have somebody who holds all of it take the agent over: kubectl annotate agd NAME --overwrite "
    f"{REQUESTED_BY_ANNOTATION}={TAKE_OVER}"
)
NOT_RECORDED: Final = (
    "it is not recorded who asked for what this agent gets, so nobody is asked whether he still holds it: "
    f"{TAKE_IT_OVER}"
)
INCOMPLETE: Final = (
    "who asked for what this agent gets has a name or groups that are too long to be recorded, so nobody is asked "
    f"whether he still holds it: {TAKE_IT_OVER}"
)
UNREADABLE: Final = (
    f"the annotation {REQUESTED_BY_ANNOTATION} does not say who asked for what this agent gets, so nobody is asked "
    f"whether he still holds it: {TAKE_IT_OVER}"
)
NOT_BELIEVED: Final = (
    "what records who asked for an agent is not registered as installed, so the record is not believed: have an "
    "administrator put MutatingAdmissionPolicy and ValidatingAdmissionPolicy ...-guard-requester right (helm upgrade)"
)
NOTHING_RECORDS: Final = (
    "nothing on this cluster records who asked for an agent, so what he loses shows nowhere: that takes Kubernetes "
    "1.36 and the chart's guards; or name a delegate for the namespace"
)


def recorded(annotation: str | None) -> Subject | str:
    """Who asked; or why that is not known, in a sentence. `annotation`: whatever is stored; None: nothing is."""
    if not annotation:
        return NOT_RECORDED
    try:
        found = json.loads(annotation)
    except (ValueError, RecursionError):
        return UNREADABLE
    if found == {"incomplete": True}:
        return INCOMPLETE
    if not _is_user_info(found):
        return UNREADABLE
    return Subject(
        requester(found).identity,
        f"{quote(found['username'])}, who asked for it",
        "this agent is not to have it",
        f"have that permission given to whoever asked, or {TAKE_IT_OVER}",
    )


def _is_user_info(found: Any) -> bool:
    if not isinstance(found, dict) or set(found) != {"username", "uid", "groups", "extra"}:
        return False
    name, extra = found["username"], found["extra"]
    return (
        isinstance(name, str)
        and name != ""
        and isinstance(found["uid"], str)
        and _are_texts(found["groups"])
        and isinstance(extra, dict)
        and all(map(_are_texts, extra.values()))
    )


def _are_texts(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(one, str) for one in found)
