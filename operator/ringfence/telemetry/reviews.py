"""Events of the admission server: each review that it answered."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ReviewDecided:
    """The admission server answered a review. Names are bounded and clean; `user` is whom the API server authenticated.

    `groups`: some of that user's. `rules`, `paths`: what it violates. `reason`: of a refusal that violates no rule.
    `changes_nothing`: an update that leaves all that people write as it is. `counted`: whether it counts in metrics,
    under `counted_namespace`.
    """

    uid: str
    operation: str
    kind: str
    namespace: str
    name: str
    user: str
    groups: tuple[str, ...]
    dry_run: bool
    allowed: bool
    rules: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    reason: str = ""
    changes_nothing: bool = False
    counted: bool = True
    counted_namespace: str = ""


@dataclass(frozen=True)
class ReviewFailed:
    """A review was refused because it could not be judged. `reason`: internal, unsynced, malformed, too_long, slow."""

    reason: str
