"""What the subcommands for people share when they ask a cluster: which one, which namespace, and errors in a sentence.

The heavy imports stand inside of functions: `ringfence status --help` and the completion of words need no client.
"""

import asyncio
import importlib
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from ringfence.api.names import API_VERSION

from . import options as cluster_options

if TYPE_CHECKING:
    from ringfence.kube import Kube

READY, NOT_READY, NO_CLUSTER = 0, 1, 2
"""Exit codes."""
AGENTS: Final = "agentdeployments"
COMPLETION_SECONDS: Final = 2.0
"""A shell that completes a word is not kept waiting longer than this."""
_POD_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True)
class Session:
    """A connection, and the namespace that is meant where none is named."""

    kube: "Kube"
    namespace: str


@dataclass(frozen=True)
class Where:
    """What the user said of the cluster; None: what his kubeconfig says."""

    namespace: str | None = None
    kubeconfig: str | None = None
    context: str | None = None


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every subcommand that asks about an agent; they mean what they mean to kubectl."""
    named = click.option("-n", "--namespace", help="Namespace of the agent. Default: that of the context.")
    return named(cluster_options.connection(command))


def run(where: Where, action: Callable[[Session], Awaitable[int]]) -> NoReturn:
    """Connect, act, and end with the action's exit code, or with one sentence and NO_CLUSTER."""
    _quiet()
    sys.exit(asyncio.run(_run(where, action)))


def _quiet() -> None:
    """The client's own log lines say again, and worse, what ends in a sentence of ours."""
    logging.getLogger().addHandler(logging.NullHandler())


async def _run(where: Where, action: Callable[[Session], Awaitable[int]]) -> int:
    from ringfence.kube import ApiError, Unreachable  # noqa: PLC0415 - heavy

    try:
        session = await connect(where)
    except Exception as failure:  # noqa: BLE001 - the client's reader of kubeconfigs trips over malformed ones anyhow
        return refuse(f"no cluster: {_first_line(failure)}", "name one by --kubeconfig or $KUBECONFIG")
    try:
        return await action(session)
    except Unreachable as failure:
        return refuse(f"the API server does not answer ({failure})", "try `kubectl cluster-info`")
    except ApiError as failure:
        return refuse(*explain_refusal(failure.status, failure.message))
    finally:
        await session.kube.close()


async def connect(where: Where) -> Session:
    """Raises ringfence.kube.ConfigException, and whatever a malformed kubeconfig leads to."""
    from ringfence.kube import Kube  # noqa: PLC0415 - heavy

    kube = await Kube.connect(where.kubeconfig, where.context)
    return Session(kube, where.namespace or _namespace(where))


def explain_refusal(status: int, message: str) -> tuple[str, str]:
    """What the API server refused, and what to do about it."""
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return "the API server does not know you", "log in again, or name another context by --context"
        case HTTPStatus.FORBIDDEN:
            return message, "ask for this right, or use a context that has it"
        case HTTPStatus.NOT_FOUND:
            return (
                message,
                f"is Ringfence installed? `kubectl get crd {AGENTS}.{API_VERSION.split('/', maxsplit=1)[0]}`",
            )
    return f"the API server refuses: {message}", "see its message"


def refuse(what: str, fix: str) -> int:
    """One sentence and what to do next, on standard error."""
    command = click.get_current_context(silent=True)
    name = f"ringfence {command.info_name}" if command else "ringfence"
    click.echo(f"{name}: {what}; {fix}", err=True)
    return NO_CLUSTER


def complete_agents(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of agents that begin so; none where that cannot be told in a moment."""
    given = (ctx.params.get(name) for name in ("namespace", "kubeconfig", "context"))
    _quiet()
    try:
        importlib.import_module("ringfence.kube")  # heavy, and not to be counted as the cluster's time
        names = asyncio.run(asyncio.wait_for(_names(Where(*given)), COMPLETION_SECONDS))
    except Exception:  # noqa: BLE001 - whatever it is, a shell prompt is no place to say it
        return []
    return [name for name in names if name.startswith(incomplete)]


async def _names(where: Where) -> list[str]:
    from ringfence.kube import path_of  # noqa: PLC0415 - heavy

    session = await connect(where)
    try:
        found = await session.kube.list(path_of(API_VERSION, AGENTS, session.namespace))
    finally:
        await session.kube.close()
    return sorted(agent["metadata"]["name"] for agent in found)


def _namespace(where: Where) -> str:
    """That of the context; in a pod without a kubeconfig its own; else `default`, as for kubectl."""
    from ringfence.kube.official import config  # noqa: PLC0415 - heavy

    in_pod = "KUBERNETES_SERVICE_HOST" in os.environ and _POD_NAMESPACE.is_file()
    if in_pod and where.kubeconfig is None and where.context is None:
        return _POD_NAMESPACE.read_text(encoding="utf-8").strip()
    contexts, current = config.list_kube_config_contexts(where.kubeconfig)
    found = next((one for one in contexts if one["name"] == where.context), current) if where.context else current
    return str((found.get("context") or {}).get("namespace") or "default")


def _first_line(failure: Exception) -> str:
    return (str(failure).splitlines() or [type(failure).__name__])[0]
