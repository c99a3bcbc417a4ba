"""The API types: the only declaration of the CRDs. Group `ringfence.dev`, version `v1alpha1`."""

from .agentdeployment import AgentDeployment, AgentDeploymentSpec
from .agentpolicy import AgentPolicy, AgentPolicySpec
from .parsing import FieldError, Parsed, name_error, parse

__all__ = [
    "AgentDeployment",
    "AgentDeploymentSpec",
    "AgentPolicy",
    "AgentPolicySpec",
    "FieldError",
    "Parsed",
    "name_error",
    "parse",
]
