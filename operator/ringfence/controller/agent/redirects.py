"""Services that an agent may call, and that lead elsewhere than when the agent was accepted.

Two people decide what an agent reaches by a Service: who names it in the agent, and who says in the Service which pods
that is. So a Service is followed by an agent where it led when this generation of the agent was accepted; elsewhere
only once somebody writes the agent again. Until then it opens nothing.
"""

from collections.abc import Mapping
from typing import Any, Final

from ringfence.resources.model import ServicePort
from ringfence.resources.network import ServiceKey, lead_lines, leads

FIELD: Final = "acceptedServices"
"""Of the status: where each Service led, as lines of `lead_lines`."""

Services = Mapping[ServiceKey, ServicePort]


def accepted(status: Mapping[str, Any], *, known: bool) -> dict[str, str]:
    """Where Services led for this generation: `tools/search:8443` -> `app=search:8443`. `known`: it was accepted."""
    return leads(status.get(FIELD) or []) if known else {}


def redirected(services: Services, before: Mapping[str, str]) -> dict[ServiceKey, tuple[str, str]]:
    """Those that lead elsewhere: where they led, and where they lead. One that was not there before is none of them."""
    found = {}
    for key, port in services.items():
        ((service, lead),) = leads(lead_lines({key: port})).items()
        if (was := before.get(service, lead)) != lead:
            found[key] = (was, lead)
    return found


def followed(services: Services, before: Mapping[str, str]) -> dict[ServiceKey, ServicePort]:
    """The others."""
    elsewhere = redirected(services, before)
    return {key: port for key, port in services.items() if key not in elsewhere}


def remembered(services: Services, before: Mapping[str, str]) -> list[str]:
    """What the status keeps: also of a Service that is gone, for to make another one is no way around."""
    return lead_lines(services, before)


def sentence(elsewhere: Mapping[ServiceKey, tuple[str, str]]) -> str:
    """For the condition."""
    told = "; ".join(
        f"Service {namespace}/{name}:{port} led to {was} when the agent was accepted, and now leads to {lead}"
        for (namespace, name, port), (was, lead) in sorted(elsewhere.items())
    )
    return f"{told}. Nothing is opened for it until it leads there again, or the spec of the agent is changed"
