"""What egress gateways report to the leader, and how they learn where it listens."""

import time
from collections.abc import Coroutine, Iterator
from functools import partial
from typing import Any

from ringfence.resources.model import GatewayReports
from ringfence.store.records import Key
from ringfence.store.store import Store
from ringfence.store.urgency import Urgency
from ringfence.telemetry.events import AgentName, Emit

from .agent.observe import Observer
from .egress.asking import Asking
from .egress.receiver import Receiver, serve
from .egress.updates import Refusing


def tasks(
    store: Store, observer: Observer, emit: Emit, asking: Asking, port: int
) -> Iterator[tuple[Coroutine[Any, Any, None], str]]:
    """The leader's tasks, each with its name. They run until they are cancelled. `port`: where it listens."""
    refusing = Refusing[Key](time.monotonic)
    observer.gateway_refuses = refusing.stands
    receiver = Receiver(partial(_whose, store), emit, not_in_force=partial(_not_in_force, store, refusing))
    yield serve(receiver, port), "what gateways tell"
    moved = partial(tell_gateways, store, observer)
    yield asking.follow(observer.gateway_reports, moved), "where gateways find the controller"


def tell_gateways(store: Store, observer: Observer, reports: GatewayReports) -> None:
    """From now on of these: gateways that are there are written anew."""
    observer.gateway_reports = reports
    store.wake_all(where=lambda agent: agent.by_name)


def _whose(store: Store, address: str) -> tuple[AgentName, str] | None:
    key = store.gateways.agent_at(address)
    return None if key is None else (AgentName(*key), store.agents.items[key].uid)


def _not_in_force(store: Store, refusing: Refusing[Key], agent: AgentName) -> None:
    """Have the agent looked at, whose gateway goes by an older configuration: its pod may have been seen before."""
    key = Key(*agent)
    if refusing.say(key):
        store.wake(key, Urgency.CHANGE)
