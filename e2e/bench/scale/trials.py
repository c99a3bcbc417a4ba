"""The trials on agents that are well. Each returns figures for the report, and nothing else."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from api.controller.process import USER
from cluster.shell import say, step
from ringfence.api.names import AGENT_LABEL

from . import latency
from .client import each
from .field import Field, until
from .floor import Floor, Template, templates
from .follow import Seen, accepted, applied, refused
from .objects import EVERYBODY, POLICIES, Key, agent, allowing, keys
from .record import Entry
from .usage import Usage

__all__ = ["Agents", "cliff", "starting"]

CLIENTS = 8
"""Connections of whoever creates and deletes agents."""
STEPS = (1000, 2000, 5000, 10000)
"""Numbers of agents at which the curve is looked at."""
FLOOR_AGENTS = 1000
"""Most agents whose children the bare client writes at a time: its rate does not depend on it."""
CLIFF_SECONDS = 5
REPAIRS, REPAIRS_PER_SECOND, LOAD_PER_SECOND = 100, 5, 10
EDITS_PER_SECOND, EDIT_SECONDS = 50, 20


class Agents:
    """Agents of a trial, from the first to the last."""

    def __init__(self, field: Field, *, cliff: bool) -> None:
        self._field = field
        self._cliff = cliff
        self._probe = Key("scale-probe", "probed")
        self._kinds: list[Template] = []
        self.there: list[Key] = []
        self.created: dict[str, Any] = {"steps": []}
        """The report of `create`, as far as it came."""

    @property
    def patience(self) -> float:
        """Seconds to wait for all of them: bounded, and long enough to measure what is far too slow."""
        return 300 + len(self.there)

    async def create(self) -> dict[str, Any]:
        """All of them, in steps: the curve is the steps, beside what a bare client does at the same time."""
        await self._look_at_one()
        steps = sorted({number for number in STEPS if number < self._field.count} | {self._field.count})
        told = self.created
        told["children_of_one"] = [kind.resource for kind in self._kinds]
        for number in steps:
            told["steps"].append(await self._grow(number))
            say(f"  {number} agents: {told['steps'][-1]['of_floor']:.0%} of the floor", color="2")
        if self._cliff:
            told["cliff"] = cliff(told["steps"])
        return told

    async def rest(self) -> dict[str, Any]:
        """They are left alone."""
        settled = await self._field.quiet()
        with step(f"{len(self.there)} agents at rest, for {self._field.window} s"):
            span = self._field.span()
            await _pass(self._field.window)
        return {"agents": len(self.there), "settled": settled, **span.rates(), "memory_mib": self._field.memory()}

    async def edits(self) -> dict[str, Any]:
        """Fifty specs a second are edited."""
        with step("edits of specs"):
            return await latency.edits(self._field, self.there, per_second=EDITS_PER_SECOND, seconds=EDIT_SECONDS)

    async def policy(self) -> dict[str, Any]:
        """One policy is edited so that every agent violates it, and back."""
        told: dict[str, Any] = {}
        await self._field.quiet()
        for name, everything, wanted in (("to_refused", False, refused), ("to_accepted", True, accepted)):
            with step(f"a policy that touches {len(self.there)} agents is edited"):
                span = self._field.span()
                await self._field.client.patch(f"{POLICIES}/{EVERYBODY}", {"spec": allowing(everything=everything)})
                await self._field.follower.wait("every agent's answer", self.there, wanted, patience=self.patience)
                told[name] = span.end()
        return {"agents": len(self.there), **told}

    async def unready(self) -> dict[str, Any]:
        """They are no longer suspended, and there is no node for their pods."""
        with step(f"{len(self.there)} agents are to run, without a node"):
            await each(self.there, lambda key: self._suspended(key, there=False), workers=CLIENTS)
            await self._field.follower.wait("all to wait for pods", self.there, starting, patience=self.patience)
        settled = await self._field.quiet()
        with step(f"{len(self.there)} agents that do not become ready, for {self._field.window} s"):
            span = self._field.span()
            await _pass(self._field.window)
            told = span.rates()
        with step("they are suspended again"):
            await each(self.there, lambda key: self._suspended(key, there=True), workers=CLIENTS)
            await self._field.follower.wait("all to be suspended", self.there, applied, patience=self.patience)
        return {"agents": len(self.there), "settled": settled, **told}

    async def delete(self) -> dict[str, Any]:
        """All of them; their children go by the garbage collector."""
        span = self._field.span()
        with step(f"{len(self.there)} agents are deleted"):
            await each(self.there, lambda key: self._field.client.delete(key.path), workers=CLIENTS)
            asked = span.seconds
            await until("all children to be gone", self._childless, patience=self.patience * 2, every=1.0)
        told = span.end()
        kinds = {kind.resource for kind in self._kinds}
        gone = [one for one in self._field.record.since(span.mark) if one.verb == "delete" and one.code < 300]
        who = Counter(_who(one) for one in gone if one.resource in kinds)
        return {"agents": len(self.there), "seconds_until_all_were_asked": round(asked, 1), **told} | {
            "children_deleted_by": dict(who)
        }

    async def _look_at_one(self) -> None:
        """What children an agent has is read from the record: a new kind needs no change here."""
        mark, probe = self._field.record.mark(), self._probe
        await self._field.client.create(probe.collection, agent(probe))
        await self._field.follower.wait("one agent", [probe], applied, patience=60)
        made = [one for one in self._field.record.since(mark, user=USER) if _makes_child(one, probe.namespace)]
        self._kinds = await templates(self._field.client, made, probe)
        await self._field.client.delete(probe.path)

    async def _grow(self, number: int) -> dict[str, Any]:
        """Up to so many agents, with the floor before and after."""
        new = keys(len(self.there), number)
        size = min(FLOOR_AGENTS, len(new))
        floor = Floor(self._field.client, self._kinds, self._probe)
        before = await floor.measure(size, _own_cpu)
        span = self._field.span()
        with step(f"{len(new)} agents more, so that there are {number}"):
            await each(new, lambda key: self._field.client.create(key.collection, agent(key)), workers=CLIENTS)
            asked = span.seconds
            self.there += new
            await self._field.follower.wait("all to be applied", new, applied, patience=self.patience)
        told = span.end()
        written = [one for one in self._field.record.since(span.mark, user=USER) if _makes_child(one)]
        after = await floor.measure(size, _own_cpu)
        told |= _beside(floor_of(before, after), written, told, len(new))
        told |= {"agents": number, "new": len(new), "seconds_until_all_were_asked": round(asked, 1)}
        told["memory_mib"] = self._field.memory()
        if self._cliff:
            with step(f"repairs among {number} agents, some of which are edited"):
                told["repair"] = await latency.repairs_under_edits(
                    self._field,
                    self.there,
                    count=REPAIRS,
                    per_second=REPAIRS_PER_SECOND,
                    edits_per_second=LOAD_PER_SECOND,
                )
        return told

    async def _suspended(self, key: Key, *, there: bool) -> None:
        await self._field.client.patch(key.path, {"spec": {"suspended": there}})

    async def _childless(self) -> bool:
        for kind in {(kind.group_version, kind.resource) for kind in self._kinds}:
            root = "apis" if "/" in kind[0] else "api"
            found = await self._field.client.get(f"/{root}/{kind[0]}/{kind[1]}?labelSelector={AGENT_LABEL}&limit=1")
            if found["items"]:
                return False
        return True


def cliff(steps: Sequence[dict[str, Any]]) -> int | str:
    """The first step at which more than one repair in a hundred took too long; what never came took too long, too."""
    for one in steps:
        seconds, missing = one["repair"]["seconds"], one["repair"]["missing"]
        if seconds["p99"] > CLIFF_SECONDS or missing > (seconds["count"] + missing) / 100:
            return int(one["agents"])
    return f"more than {steps[-1]['agents']}"


def floor_of(*measured: dict[str, float]) -> dict[str, float]:
    """The mean of what was measured before and after."""
    return {name: sum(one[name] for one in measured) / len(measured) for name in measured[0]}


def _beside(floor: dict[str, float], written: Sequence[Entry], told: dict[str, Any], agents: int) -> dict[str, Any]:
    """The controller's rate and cost as shares of the bare client's."""
    times = sorted(one.answered for one in written)
    rate = len(times) / max((times[-1] - times[0]).total_seconds(), 0.001)
    cpu = told["cpu_seconds"]["controller"]
    return {
        "child_writes": len(times),
        "child_writes_per_second": round(rate, 1),
        "floor_writes_per_second": round(floor["create"], 1),
        "floor_applies_per_second": round(floor["apply"], 1),
        "of_floor": round(rate / floor["create"], 3),
        "of_floor_apply": round(rate / floor["apply"], 3),
        "writes_per_agent": round(told["requests"]["writes_and_events"] / agents, 2),
        "reads_per_agent": round(told["requests"]["reads"] / agents, 2),
        "cpu_seconds_per_1000": {name: round(s / agents * 1000, 1) for name, s in told["cpu_seconds"].items()},
        "cpu_times_floor": round(cpu / len(times) * 1000 / floor["create_cpu"], 2),
    }


def _makes_child(entry: Entry, namespace: str = "") -> bool:
    """Whether something of an agent's was stored that had not been there."""
    of_agent = entry.resource.partition("/")[0] == "agentdeployments"
    return entry.code == 201 and not of_agent and not entry.is_lease and namespace in {"", entry.namespace}


def starting(seen: Seen) -> bool:
    """Whether an agent waits for its pods."""
    status, reason = seen.conditions.get("WorkloadAvailable", ("", ""))
    return seen.current and status == "False" and reason != "Suspended"


def _who(entry: Entry) -> str:
    if entry.user == USER:
        return "ringfence"
    return entry.user.rpartition(":")[2]


def _own_cpu() -> float:
    return Usage.now({}).seconds["bench"]


async def _pass(seconds: float) -> None:
    started = time.monotonic()
    await until("time to pass", lambda: time.monotonic() - started >= seconds, patience=seconds + 60, every=0.5)
