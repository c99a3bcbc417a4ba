"""Agents for tests, from the YAML files beside this one."""

from pathlib import Path
from typing import Any

import yaml

from ringfence.api import AgentDeploymentSpec, parse
from ringfence.resources import Agent, Endpoint, ServicePort

DATA = Path(__file__).parent / "data"
NAMES = sorted(path.stem for path in (DATA / "input").glob("*.yaml"))
UID = "11111111-2222-3333-4444-555555555555"


def read(name: str) -> Agent:
    return make(yaml.safe_load((DATA / "input" / f"{name}.yaml").read_text()))


def make(data: dict[str, Any], name: str = "a", namespace: str = "ns") -> Agent:
    parsed = parse(AgentDeploymentSpec, data["spec"])
    assert parsed.value is not None, parsed.errors
    services = {}
    for key, port in data.get("services", {}).items():
        place, _, number = key.partition(":")
        services[(*place.split("/"), int(number))] = ServicePort(port["selector"], port["target"])
    addresses = {tuple(key.split("/")): tuple(found) for key, found in data.get("addresses", {}).items()}
    endpoints = (text.rpartition(":") for text in data.get("api_server", []))
    return Agent(
        name=name,
        namespace=namespace,
        uid=UID,
        spec=parsed.value,
        fence_uid=data.get("fence_uid"),
        services=services,
        service_addresses=addresses,
        api_server=tuple(Endpoint(address, int(port)) for address, _, port in endpoints),
    )
