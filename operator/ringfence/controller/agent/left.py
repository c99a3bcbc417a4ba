"""Removes what an agent that is gone left in other namespaces, where the garbage collector removes nothing."""

import contextlib

from ringfence.kube import NotFound
from ringfence.resources import Identity
from ringfence.resources.stored import StoredChild
from ringfence.store.records import Key

from .errors import AgentGone
from .writer import Writer


async def remove_left(writer: Writer, child: StoredChild, key: Key) -> None:
    """Delete it, unless its agent is there after all: a watch may be late. Raises NotLeading, ApiError, Unreachable."""
    owner = Identity(name=key.name, namespace=key.namespace, uid=child.agent_uid or "")
    try:
        await writer.still_there(owner)
    except AgentGone:
        with contextlib.suppress(NotFound):
            await writer.remove(child, owner)
