"""Containers: what is the same in each of a pod, and those beside the agent's own.

The volumes of these are theirs alone, called `of-NAME-...`: a volume that two containers mount would show each what is
the other's. What `shares` names is the one that is the agent's, too.
"""

from typing import Any

from ringfence.api import AgentDeploymentSpec
from ringfence.api.container import ResourceAmounts, Resources
from ringfence.api.containers import Sidecar, SideContainer
from ringfence.api.scratch import TMP
from ringfence.policy.limits import DEFAULT_LIMITS
from ringfence.policy.quantities import canonical

from .files import annotations, config_variables, mounts, volumes
from .gateway import host_variables, trust_mounts
from .kinds import Manifest
from .model import Agent
from .probes import probes_of
from .scratch import TMP_SIZE, scratch_names
from .secrets import secret_mounts, secret_variables, secret_volumes
from .volumes import existing_mounts

DEFAULT_REQUESTS = {"cpu": "50m", "memory": "64Mi", "ephemeral-storage": "64Mi"}


def container(
    name: str,
    said: AgentDeploymentSpec | SideContainer,
    limits: Manifest,
    variables: list[Manifest],
    mounted: list[Manifest],
) -> Manifest:
    """One container without its ports and probes. `variables`: beside those that are set by value."""
    manifest: Manifest = {
        "name": name,
        "image": said.image,
        "imagePullPolicy": "IfNotPresent",
        "resources": limits,
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounted,
    }
    if said.command:
        manifest["command"] = said.command
    if said.args:
        manifest["args"] = said.args
    env: list[Manifest] = [{"name": v.name} | ({"value": v.value} if v.value else {}) for v in said.env]
    if env := env + variables:
        manifest["env"] = env
    return manifest


def resources(said: Resources) -> dict[str, dict[str, Any]]:
    """Limits always; a request without a limit becomes the limit and the other way round, so the two never clash."""
    asked, capped = _amounts(said.requests), _amounts(said.limits)
    limits = {kind: capped.get(kind, asked.get(kind, DEFAULT_LIMITS[kind])) for kind in DEFAULT_LIMITS}
    requests = {kind: asked.get(kind, capped.get(kind, DEFAULT_REQUESTS[kind])) for kind in DEFAULT_LIMITS}
    return {"limits": limits, "requests": requests}


def containers_beside(agent: Agent) -> list[Manifest]:
    """Those that run before the agent first, then its sidecars: each has started before the next one does."""
    before = [_beside(agent, one) for one in agent.spec.init_containers]
    return before + [_sidecar(agent, one) for one in agent.spec.sidecars]


def volumes_beside(agent: Agent) -> list[Manifest]:
    """Their volumes, which no other container mounts."""
    found: list[Manifest] = []
    for one in _all(agent):
        own = _prefix(one)
        found.append({"name": f"{own}tmp", "emptyDir": {"sizeLimit": TMP_SIZE}})
        found += volumes(one.files, f"{own}files", f"{one.name}.") + secret_volumes(agent, one.name, own)
    return found


def annotations_beside(agent: Agent) -> dict[str, str]:
    """Content of their files, for the pods' template."""
    return {key: text for one in _all(agent) for key, text in annotations(one.files, f"{one.name}.").items()}


def _all(agent: Agent) -> list[SideContainer]:
    return [*agent.spec.init_containers, *agent.spec.sidecars]


def _sidecar(agent: Agent, sidecar: Sidecar) -> Manifest:
    """As Kubernetes has sidecars: it ends after the agent, and a Job does not wait for it."""
    return _beside(agent, sidecar) | {"restartPolicy": "Always"} | probes_of(sidecar.probes, agent.spec.ports)


def _beside(agent: Agent, one: SideContainer) -> Manifest:
    own, spec = _prefix(one), agent.spec
    places = scratch_names(agent) | ({spec.storage.mount_path: "storage"} if spec.storage else {})
    mounted = [
        {"name": f"{own}tmp", "mountPath": TMP},
        *({"name": places[path], "mountPath": path} for path in one.shares if path in places),
        *existing_mounts(agent, one.shares),
        *mounts(one.files, f"{own}files"),
        *secret_mounts(agent, one.name, own),
        *trust_mounts(agent),
    ]
    env = host_variables(agent, one.env) + config_variables(one.env_from) + secret_variables(agent, one.name)
    return container(one.name, one, resources(one.resources), env, mounted)


def _prefix(one: SideContainer) -> str:
    """Of the names of its volumes. No name of the agent's own begins so."""
    return f"of-{one.name}-"


def _amounts(amounts: ResourceAmounts) -> dict[str, str]:
    return {kind: canonical(amount) for kind, amount in amounts.manifest().items()}
