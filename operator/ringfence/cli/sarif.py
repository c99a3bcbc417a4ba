"""Violations as SARIF 2.1.0, the format of code review tools."""

import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from ringfence import __version__
from ringfence.policy.rules import RULES

from .judge import Result

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(results: Sequence[Result]) -> dict[str, Any]:
    """One run with a result for each violation, at its file and line."""
    rules = [
        {
            "id": str(name),
            "shortDescription": {"text": text.why},
            "help": {"text": text.fix},
            "defaultConfiguration": {"level": "error"},
        }
        for name, text in RULES.items()
    ]
    driver = {"name": "ringfence", "version": __version__, "rules": rules}
    found = [_result(result, violation) for result in results for violation in result.violations]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": found}]}


def _result(result: Result, violation: Any) -> dict[str, Any]:
    location = {
        "artifactLocation": {"uri": quote(os.fsencode(result.document.file))},
        "region": {"startLine": result.line(violation)},
    }
    logical = {"fullyQualifiedName": f"{result.namespace}/{result.name}/{violation.path}"}
    return {
        "ruleId": str(violation.rule),
        "level": "error",
        "message": {"text": f"{violation.path}: {violation.message}"},
        "locations": [{"physicalLocation": location, "logicalLocations": [logical]}],
    }
