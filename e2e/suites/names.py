"""Names of the suites' clusters. RINGFENCE_E2E is what they begin with: two runs on one machine share none."""

import os

PREFIX = os.environ.get("RINGFENCE_E2E", "e2e")


def own(name: str) -> str:
    """The name of a cluster that nobody but this run has."""
    return f"{PREFIX}-{name}"
