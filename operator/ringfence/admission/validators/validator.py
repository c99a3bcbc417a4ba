"""What admission has to know about a kind."""

from collections.abc import Callable
from dataclasses import dataclass

from ringfence.admission.answer import Verdict
from ringfence.admission.request import Request
from ringfence.api.names import GROUP, VERSION
from ringfence.store.context import View


@dataclass(frozen=True, kw_only=True)
class Validator:
    """One kind. `judge` is pure, is asked about CREATE and UPDATE of whole objects only, and raises nothing."""

    kind: str
    plural: str
    judge: Callable[[Request, View], Verdict]
    asks_about_requester: bool = False
    """Whether what a request gives must be held by the one who asks, or by a delegate; see requester.py."""

    @property
    def resource(self) -> str:
        """GROUP/VERSION/PLURAL."""
        return f"{GROUP}/{VERSION}/{self.plural}"
