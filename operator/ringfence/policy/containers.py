"""What holds of each container by itself, the agent's own and those beside it alike."""

from collections.abc import Iterator, Sequence

from ringfence.api import AgentDeploymentSpec
from ringfence.api.containers import AGENT, SideContainer, beside
from ringfence.api.scratch import TMP

from .files import check_env_from, check_files, volumes
from .images import check_image
from .malformed import Parts
from .model import NamedPolicy, RuleName, Violation
from .pods import check_resources
from .secret_files import check_secret_files
from .secrets import check_secrets
from .text import quote


def images(parts: AgentDeploymentSpec | Parts) -> list[tuple[str, str]]:
    """(path of the field, reference) of each image that can be read."""
    found = [("spec.image", parts.image), *((f"{at}.image", one.image) for at, one in beside(parts))]
    return [(at, reference) for at, reference in found if reference]


def check_containers(parts: AgentDeploymentSpec | Parts, policies: Sequence[NamedPolicy]) -> Iterator[Violation]:
    """Images, resources, and what is mounted where and set twice."""
    for at, reference in images(parts):
        yield from check_image(at, reference, policies)
    if parts.resources is not None:
        yield from check_resources(parts.resources)
    others, own = beside(parts), volumes(parts.storage, parts.scratch)
    plain = {AGENT: {variable.name: "spec.env" for variable in parts.env}}
    mounted = {AGENT: [*own, *(file.path for file in parts.files)]}
    yield from check_files(parts.files, own)
    yield from check_env_from(parts.env_from, parts.env, [one for one in parts.secrets if AGENT in one.receivers])
    for at, container in others:
        plain[container.name] = {variable.name: f"{at}.env" for variable in container.env}
        mounted[container.name] = [*container.shares, *(file.path for file in container.files)]
        given = [one for one in parts.secrets if container.name in one.receivers]
        yield from check_resources(container.resources, at)
        yield from check_files(container.files, container.shares, at)
        yield from check_env_from(container.env_from, container.env, given, at)
        yield from _check_shares(at, container, own)
    yield from check_secrets(parts.secrets, plain, policies)
    yield from check_secret_files(parts.secrets, mounted)


def _check_shares(at: str, container: SideContainer, volumes: Sequence[str]) -> Iterator[Violation]:
    """Only what the agent has, at the same place; and its own /tmp is not the agent's."""
    for index, path in enumerate(container.shares):
        if path in volumes and path != TMP:
            continue
        known = ", ".join(one for one in volumes if one != TMP)
        message = (
            f"{quote(path)} is no volume of the agent: write one of {known}, or name it in spec.scratch"
            if known
            else f"{quote(path)} is no volume of the agent, which has none to share: name it in spec.scratch"
        )
        if path == TMP:
            message = f"each container has a {TMP} of its own: share another directory of spec.scratch"
        yield Violation(f"{at}.shares[{index}]", RuleName.INVALID_FIELD, message)
