"""Looks whether admission is registered as installed, for agents that are to be given existing Secrets."""

from dataclasses import dataclass, field

from ringfence.controller.registration import SHOWN, Registration
from ringfence.policy.handover import HandOver, existing_secrets, settled
from ringfence.store.records import Key, StoredAgent
from ringfence.telemetry.events import AgentName, Emit, HandOverUnchecked, HandOverUndecided


@dataclass
class HandOvers:
    """One look for each generation. `registration`: None where nobody said what is installed: then nobody looks."""

    emit: Emit
    registration: Registration | None = None
    _found: dict[Key, tuple[str, int, HandOver]] = field(default_factory=dict)
    """What was found of a generation until its status says so: the first look is the nearest to the write."""
    _said: bool = False

    async def of(self, key: Key, agent: StoredAgent) -> HandOver:
        """Of the agent as it is stored. Raises ApiError, Unreachable where a later look can tell."""
        known = settled(agent.spec, agent.status, agent.generation)
        if known is not None:
            self.forget(key)
            return known
        if (found := self._found.get(key)) is not None and found[:2] == (agent.uid, agent.generation):
            return found[2]
        if self.registration is None:
            return self._unchecked()
        differences = (await self.registration.look()).differences
        result = HandOver.UNDECIDED if differences else HandOver.DECIDED
        self._found[key] = (agent.uid, agent.generation, result)
        if differences:
            self.emit(
                HandOverUndecided(
                    agent=AgentName(*key),
                    uid=agent.uid,
                    generation=agent.generation,
                    secrets=tuple(dict.fromkeys(name for _, name in existing_secrets(agent.spec))),
                    differences=differences[:SHOWN],
                )
            )
        return result

    def forget(self, key: Key) -> None:
        """The agent is gone, or its status says it."""
        self._found.pop(key, None)

    def _unchecked(self) -> HandOver:
        if not self._said:
            self._said = True
            self.emit(HandOverUnchecked())
        return HandOver.DECIDED
