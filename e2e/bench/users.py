"""Many users at once: each asks for agents over a connection of its own, one in ten of them bad.

The users come one after the other, stay together for a while, and leave as they came: once with a pause between the
requests of each, and once without, so that as many requests are under way as there are users, more than the machine
can do. They have few names, as pipelines have, and no name may do everything, so that the webhook has to ask what each
holds. Every answer is compared with the right one: a wrong decision is an error always, an answer that says to try
again only while there are pauses. The same load goes to an API server without admission and to a webhook in Go that
allows everything: what these take is the machine's and the API server's.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from ssl import SSLContext
from typing import Any

import aiohttp

from cluster import Cluster
from cluster.shell import step, wait_for
from harness.api import trusting

from .numbers import summary
from .objects import typical_agent
from .scale.usage import Usage
from .ways import Place, agent, collection, serving

__all__ = ["Stages", "Tally", "asked", "failed", "users"]

USERS, NAMES = 500, 10
PATIENCE = 60.0
"""Seconds that a user waits for one answer."""
ONE_IN = 10
GROUP = "bench:users"
PERMITTED = [
    {"apiGroups": ["ringfence.dev"], "resources": ["agentdeployments"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["configmaps", "pods"], "verbs": ["get", "list"]},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "watch"]},
]
"""What a user may do: create agents, and what the typical agent gets."""
BAD: Mapping[str, dict[str, Any]] = {
    "EgressUnrestricted": {"network": {"egress": [{"cidr": "0.0.0.0/0", "ports": [443]}]}},
    "ImageNoDigest": {"image": "registry.example/acme/researcher:latest"},
    "RightsWildcard": {"permissions": {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}]}},
    "PermissionNotHeldByRequester": {
        "permissions": {"rules": [{"apiGroups": [""], "resources": ["services"], "verbs": ["get"]}]}
    },
}
"""What each of the bad ones has in place of the typical agent's field, by the rule that it violates."""


@dataclass(frozen=True)
class Stages:
    """Seconds: how long the users take to come (and to leave), how long all of them stay, and what each one rests."""

    ramp: float = 10.0
    hold: float = 20.0
    pause: float = 5.0


@dataclass
class Tally:
    """The answers of one way. `decides`: whether the bad ones are to be refused."""

    decides: bool
    right: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    """Decisions: a bad one admitted, a good one refused, a bad one refused for what it does not violate."""
    undecided: Counter[int] = field(default_factory=Counter)
    """Answers that say to try again, by their code; 0: none came in time."""
    example: str = ""
    held: list[float] = field(default_factory=list)
    """Seconds of each request that began while all users were there."""

    def count(self, broken: str, code: int, text: str) -> None:
        """One answer (code 0: none came) to an agent that violates the rule `broken`, or no rule."""
        bad = bool(broken) and self.decides
        if code not in {201, 403}:
            self.undecided[code] += 1
        elif bad and code == 403 and broken in text:
            self.right["refused"] += 1
        elif not bad and code == 201:
            self.right["admitted"] += 1
        elif bad:
            self.wrong["bad, admitted" if code == 201 else "bad, refused for something else"] += 1
        else:
            self.wrong["good, refused"] += 1
        if self.wrong or self.undecided:
            self.example = self.example or f"{code} {text[:300]}"

    def told(self, stages: Stages, cpu: Mapping[str, float]) -> dict[str, Any]:
        """For the report."""
        requests = self.right.total() + self.wrong.total() + self.undecided.total()
        return {
            "requests": requests,
            **self.right,
            "wrong": self.wrong.total(),
            "undecided": self.undecided.total(),
            **({"wrong_were": dict(self.wrong)} if self.wrong else {}),
            **({"undecided_were": dict(self.undecided)} if self.undecided else {}),
            **({"example": self.example} if self.example else {}),
            "requests_per_second": round(len(self.held) / stages.hold, 1),
            "seconds": summary(self.held) if self.held else {},
            "cpu_seconds_per_1000": {name: round(used / requests * 1000, 2) for name, used in cpu.items()},
        }


def users(name: str, count: int = USERS, stages: Stages = Stages()) -> dict[str, Any]:
    """The trial on an API server of its own, called NAME-users. `error` in what it gives: an answer was wrong."""
    cluster = Cluster.up(f"{name}-users", mode="api")
    try:
        with tempfile.TemporaryDirectory() as folder, serving(cluster, Path(folder)) as here:
            _let_in(cluster)
            paced = _all_ways(here, count, stages)
            storm = _all_ways(here, count, replace(stages, pause=0.0))
            told: dict[str, Any] = {"users": count, "paced": paced, "storm": storm}
            told["memory_mib"] = round(here.replica.rss(), 1)
    finally:
        cluster.down()
    if failures := failed(paced, storm):
        told["error"] = "; ".join(failures)
    return told


def _all_ways(here: Place, count: int, stages: Stages) -> dict[str, Any]:
    programs = {"none": 0, "allows_everything": here.peer, "webhook": here.replica.process.pid}
    told: dict[str, Any] = {"pause_seconds": stages.pause}
    for way, program in programs.items():
        with step(f"{count} users, {way}, {stages.pause:g} s between the requests of each"):
            told[way] = _way(here, way, program, count, stages)
    return told


def failed(paced: Mapping[str, Any], storm: Mapping[str, Any]) -> list[str]:
    """What must not be. Where the others have no answer either, the machine is too busy to tell whose fault it is."""
    found = [
        f"{load}: {told['webhook']['wrong']} wrong decisions"
        for load, told in (("paced", paced), ("storm", storm))
        if told["webhook"]["wrong"]
    ]
    if paced["webhook"]["undecided"] and not any(paced[way]["undecided"] for way in ("none", "allows_everything")):
        found.append(f"paced: {paced['webhook']['undecided']} answers say to try again")
    return found


def _let_in(cluster: Cluster) -> None:
    """What users may do."""
    rbac, group = "rbac.authorization.k8s.io", {"kind": "Group", "name": GROUP}
    head = {"apiVersion": f"{rbac}/v1", "metadata": {"name": "bench-users"}}
    role = {"apiGroup": rbac, "kind": "ClusterRole", "name": "bench-users"}
    cluster.apply(
        head | {"kind": "ClusterRole", "rules": PERMITTED},
        head | {"kind": "ClusterRoleBinding", "roleRef": role, "subjects": [group | {"apiGroup": rbac}]},
    )
    may = ("auth", "can-i", "create", "agd", "--all-namespaces", "--as=bench-user", f"--as-group={GROUP}")
    wait_for("the users to be known", lambda: "yes" in cluster.kubectl(*may), timeout=60)


def _way(here: Place, way: str, program: int, count: int, stages: Stages) -> dict[str, Any]:
    running = here.cluster.running()
    pids = {"apiserver": running["kube-apiserver"], "etcd": running["etcd"]} | ({way: program} if program else {})
    before = Usage.now(pids)
    tally = Tally(decides=way == "webhook")
    asyncio.run(_load(here, way, count, stages, tally))
    return tally.told(stages, Usage.now(pids).since(before))


def asked(user: int, number: int) -> str:
    """The rule that the agent of a user's request violates; "" for a good one."""
    turn = user + number
    return "" if turn % ONE_IN else list(BAD)[turn // ONE_IN % len(BAD)]


async def _load(here: Place, way: str, count: int, stages: Stages, tally: Tally) -> None:
    bodies = {
        broken: json.dumps(agent(way, {**typical_agent(), **BAD.get(broken, {})})).encode() for broken in ("", *BAD)
    }
    url, began = here.cluster.server + collection(way), time.monotonic()
    load = _Load(url, trusting(here.cluster.kubeconfig), bodies, stages, began + stages.ramp, tally)
    await asyncio.gather(*(_user(load, user, began + stages.ramp * user / count) for user in range(count)))


@dataclass(frozen=True)
class _Load:
    """What all users of one way have in common."""

    url: str
    context: SSLContext
    bodies: Mapping[str, bytes]
    """By the rule that they violate; "" for the good one."""
    stages: Stages
    all_there: float
    tally: Tally


async def _user(load: _Load, user: int, comes: float) -> None:
    stages, tally = load.stages, load.tally
    await asyncio.sleep(comes - time.monotonic())
    headers = {"Content-Type": "application/json", "Impersonate-User": f"bench-user-{user % NAMES}"}
    headers["Impersonate-Group"] = GROUP
    wait = aiohttp.ClientTimeout(total=PATIENCE)
    connection = aiohttp.TCPConnector(limit=1, ssl=load.context)
    async with aiohttp.ClientSession(connector=connection, headers=headers, timeout=wait) as session:
        for number in itertools.count():
            begins = time.monotonic()
            if begins >= comes + stages.ramp + stages.hold:
                return
            broken = asked(user, number)
            tally.count(broken, *await _answer(session, load.url, load.bodies[broken]))
            if load.all_there <= begins < load.all_there + stages.hold:
                tally.held.append(time.monotonic() - begins)
            await asyncio.sleep(stages.pause)


async def _answer(session: aiohttp.ClientSession, url: str, body: bytes) -> tuple[int, str]:
    try:
        async with session.post(url, data=body) as answer:
            return answer.status, await answer.text()
    except (aiohttp.ClientError, TimeoutError) as failure:
        return 0, repr(failure)
