"""Who judges what: one entry for each kind that the webhook reviews, and one module that holds it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from . import agent, policy
from .validator import Validator

VALIDATORS: Final[Mapping[str, Validator]] = MappingProxyType(
    {validator.resource: validator for validator in (agent.VALIDATOR, policy.VALIDATOR)}
)
"""By GROUP/VERSION/PLURAL."""

__all__ = ["VALIDATORS", "Validator"]
