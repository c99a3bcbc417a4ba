"""Whose permissions are asked about when a spec is written: the requester's, or those of the namespace's delegate.

Under GitOps one identity writes for everybody and holds nearly everything, so that a question about it says nothing.
A namespace may name a delegate instead: whoever may annotate namespaces decides who that is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ringfence.api.names import DELEGATE_ANNOTATION

from .text import quote

FORMS: Final = "system:serviceaccount:NAMESPACE:NAME or group:NAME"
_ACCOUNT: Final = re.compile(
    r"system:serviceaccount:([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?):([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)"
)
_GROUP: Final = "group:"
_MOST: Final = 512
"""Characters of a group's name: those of identity providers are long."""
_AUTHENTICATED: Final = "system:authenticated"
_DELEGATE: Final = "the delegate of this namespace"


@dataclass(frozen=True)
class Subject:
    """`identity`: user, uid, groups, extra as in a SubjectAccessReview. `who`: in words; None: the one who asks now."""

    identity: Mapping[str, Any]
    who: str | None = None
    consequence: str = "no agent is given it"
    """Of what he does not hold."""
    remedy: str = "have the delegate given that permission"


def requester(user_info: Mapping[str, Any]) -> Subject:
    """The one who asks, as the API server authenticated him."""
    names = {"user": "username", "uid": "uid", "groups": "groups", "extra": "extra"}
    return Subject({key: user_info[name] for key, name in names.items() if user_info.get(name)})


def delegate(annotation: str) -> Subject | None:
    """The delegate that a namespace names; None where the value has neither of the two forms."""
    if found := _ACCOUNT.fullmatch(annotation):
        namespace, name = found.group(1), found.group(3)
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", _AUTHENTICATED]
        words = f"ServiceAccount {quote(name)} of namespace {quote(namespace)}"
        return Subject({"user": annotation, "groups": groups}, f"{words}, {_DELEGATE}")
    group = annotation.removeprefix(_GROUP)
    if annotation.startswith(_GROUP) and group == group.strip() and 0 < len(group) <= _MOST and group.isprintable():
        # All members of a group are authenticated: a member holds what is granted to everybody, too.
        return Subject({"groups": [group, _AUTHENTICATED]}, f"group {quote(group)}, {_DELEGATE}")
    return None


def malformed(annotation: str) -> str:
    """What is wrong with a value that names nobody."""
    return (
        f"the annotation {DELEGATE_ANNOTATION} of this namespace is {quote(annotation)} and names nobody, so nobody "
        f"can be asked about: have it set to {FORMS}, or taken away"
    )
