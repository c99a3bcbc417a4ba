"""Runs tests of the chart again and again on one API server, each time with one rule of a policy less.

A plugin of pytest with a loop of its own. A module's tests run once as they are, which tells which of them see refusals
by which policy; then for each mutant those that can notice, until one does. The module's fixtures stay as they are, so
a mutant costs a second or two instead of the installation of a chart.

A mutant is in force when a marker is: another policy, written after it, and then once more. The API server sees
policies in the order in which they were written, and renews what it decides by once a second, policy by policy: in the
renewal that brings the first marker the mutant may be missing still. The second marker comes with a later one.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

import pytest

from api.server import Server
from cluster.shell import wait_for
from tools.mutation.rules import RuleMutant, Spec, rule_mutants

POLICIES: Final = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS: Final = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
PROBES: Final = "/apis/scheduling.k8s.io/v1/priorityclasses"
MARKER: Final = "mutation-marker"
REFUSALS: Final = "apiserver_validating_admission_policy_check_total"
"""The API server's own count of refusals, by policy."""
PREFIX: Final = "ringfence-"


class UnfitTestsError(Exception):
    """Tests fail without any mutant."""


@dataclass
class Fate:
    """What became of a mutant: the test that noticed it, and in which of its phases (call, setup); or nothing."""

    by: str = ""
    phase: str = ""


@dataclass
class _Seen:
    """Of one test without mutants: seconds that it takes, and the policies that refused something."""

    seconds: float
    refusals: frozenset[str]


@dataclass(eq=False)  # pytest keeps plugins in sets
class Loop:
    """The plugin. `chosen`: which mutants are wanted; `tell`: called with each mutant as soon as a test noticed it."""

    chosen: Callable[[RuleMutant], bool]
    tell: Callable[[RuleMutant, Fate], None]
    fates: dict[RuleMutant, Fate] = field(default_factory=dict)
    unrepeatable: list[str] = field(default_factory=list)
    """Tests that failed without a mutant when they ran again, and why: they were left out from then on."""
    problem: UnfitTestsError | None = None

    def __post_init__(self) -> None:
        self._reports: list[pytest.TestReport] = []
        self._cluster: Any = None

    # --- hooks

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        """Take note of the cluster that the tests run on."""
        made = yield
        if fixturedef.argname == "cluster":
            self._cluster = made
        return made

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a test came to."""
        self._reports.append(report)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of pytest's own."""
        modules = [list(items) for _, items in groupby(session.items, key=lambda item: item.path)]
        try:
            for number, items in enumerate(modules):
                following = modules[number + 1][0] if number + 1 < len(modules) else None
                try:
                    self._module(items)
                finally:
                    session._setupstate.teardown_exact(following)  # noqa: SLF001 - as pytest's plugins that repeat tests do
        except UnfitTestsError as error:
            self.problem = error
        return True

    # --- one module

    def _module(self, items: Sequence[pytest.Item]) -> None:
        first = next((item for item in items if "cluster" in getattr(item, "fixturenames", ())), items[0])
        if failed := self._run(first):  # it installs the chart
            raise UnfitTestsError(f"{first.nodeid} fails without a mutant: {failed.longreprtext[-1500:]}")
        with _Policies.of(self._cluster) as policies:
            seen = self._look(items, policies)
            wanted = [mutant for name, spec in policies.specs.items() for mutant in rule_mutants(name, spec)]
            for mutant in filter(self.chosen, wanted):
                if not self.fates.setdefault(mutant, Fate()).by:
                    self._try(mutant, seen, policies)

    def _look(self, items: Sequence[pytest.Item], policies: "_Policies") -> dict[pytest.Item, _Seen]:
        """Each test without a mutant; without those that write policies themselves, and so undo a mutant."""
        seen = {}
        before, counted = policies.versions(), policies.refusals()
        for item in items:
            started = time.monotonic()
            if failed := self._run(item):
                raise UnfitTestsError(f"{item.nodeid} fails without a mutant: {failed.longreprtext[-1500:]}")
            seconds = time.monotonic() - started
            after, count = policies.versions(), policies.refusals()
            if after == before:
                refusals = frozenset(name for name, total in count.items() if total > counted.get(name, 0))
                seen[item] = _Seen(seconds, refusals)
            before, counted = after, count
        return seen

    def _try(self, mutant: RuleMutant, seen: "dict[pytest.Item, _Seen]", policies: "_Policies") -> None:
        """Look for a test that fails with the mutant and passes without."""
        for item in _order(seen, mutant):
            policies.put(mutant)
            if not (failed := self._run(item)):
                continue
            policies.put(None)
            if again := self._run(item):  # what it left behind is in its own way
                del seen[item]
                self.unrepeatable.append(f"{item.nodeid}: {_why(again)}")
                continue
            self.fates[mutant] = Fate(item.nodeid, str(failed.when))
            self.tell(mutant, self.fates[mutant])
            return

    def _run(self, item: pytest.Item) -> pytest.TestReport | None:
        """Run a test, and leave its module's fixtures standing. The report of its failure."""
        self._reports = []
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=item.parent)  # what the parent has, stays
        return next((report for report in self._reports if report.failed), None)


def _why(report: pytest.TestReport) -> str:
    """The first line that says what went wrong."""
    lines = [line.lstrip("E ") for line in report.longreprtext.splitlines() if line.startswith("E ")]
    return lines[0][:300] if lines else report.longreprtext[-300:]


def _order(seen: Mapping[pytest.Item, _Seen], mutant: RuleMutant) -> Sequence[pytest.Item]:
    """Those that can notice: first what this policy refuses something in, and what is quick."""
    able = [item for item in seen if mutant.direction == "stricter" or mutant.path in seen[item].refusals]
    return sorted(able, key=lambda item: (mutant.path not in seen[item].refusals, seen[item].seconds))


@dataclass
class _Policies:
    """The policies of the installed chart, and how they are changed."""

    server: Server
    specs: dict[str, Spec]
    _mutant: RuleMutant | None = None
    _number: int = 0

    @classmethod
    @contextmanager
    def of(cls, cluster: Any) -> Iterator["_Policies"]:
        """Those on `cluster`, put back at the end; with the marker."""
        server = Server(cluster.server, cluster.kubeconfig)
        found = cls(server, {})
        items = found._ask("GET", POLICIES)["items"]
        found.specs = {one["metadata"]["name"]: one["spec"] for one in items if _is_ours(one)}
        found._ask("POST", POLICIES, _marker(0))
        bound = {"policyName": MARKER, "validationActions": ["Deny"]}
        found._ask("POST", BINDINGS, {"metadata": {"name": MARKER}, "spec": bound})
        try:
            found.put(None)
            yield found
        finally:
            found.put(None)
            found._ask("DELETE", f"{BINDINGS}/{MARKER}")
            found._ask("DELETE", f"{POLICIES}/{MARKER}")
            server.close()

    def put(self, mutant: RuleMutant | None) -> None:
        """Have the API server decide by this mutant and no other. None: by the chart as it is."""
        if self._number and self._mutant is mutant:
            return
        if self._mutant:
            self._write(self._mutant.path, self.specs[self._mutant.path])
        if mutant:
            self._write(mutant.path, mutant.spec)
        self._mutant = mutant
        for _ in range(2):
            self._number += 1
            self._write(MARKER, _marker(self._number)["spec"])
            wait_for(f"mutation {self._number}", self._is_in_force)

    def versions(self) -> dict[str, str]:
        """Changes when somebody else writes a policy."""
        items = self._ask("GET", POLICIES)["items"]
        return {
            one["metadata"]["name"]: one["metadata"]["uid"] + one["metadata"]["resourceVersion"]
            for one in items
            if _is_ours(one)
        }

    def refusals(self) -> dict[str, float]:
        """How often each policy refused something so far."""
        found: dict[str, float] = {}
        for line in self.server.request("GET", "/metrics").content.decode().splitlines():
            if line.startswith(f"{REFUSALS}{{") and 'enforcement_action="deny"' in line:
                name = line.partition('policy="')[2].partition('"')[0]
                found[name] = found.get(name, 0) + float(line.rpartition(" ")[2])
        return found

    def _is_in_force(self) -> bool:
        body = {"metadata": {"name": MARKER}, "value": 1}
        answer = self.server.request("POST", f"{PROBES}?dryRun=All", json.dumps(body).encode())
        return answer.message.endswith(f"mutation {self._number}.")

    def _write(self, name: str, spec: Spec) -> None:
        patch = [{"op": "replace", "path": "/spec", "value": spec}]
        self._ask("PATCH", f"{POLICIES}/{name}", patch, "application/json-patch+json")

    def _ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        answer = self.server.request(method, path, json.dumps(body).encode() if body else b"", kind)
        if not answer.ok:
            raise UnfitTestsError(f"{method} {path}: {answer.message}")
        return answer.body


def _is_ours(policy: Mapping[str, Any]) -> bool:
    return str(policy["metadata"]["name"]).startswith(PREFIX)


def _marker(number: int) -> dict[str, Any]:
    rule = {"apiGroups": ["scheduling.k8s.io"], "apiVersions": ["v1"], "resources": ["priorityclasses"]}
    return {
        "metadata": {"name": MARKER},
        "spec": {
            "matchConstraints": {"resourceRules": [rule | {"operations": ["CREATE"]}]},
            "matchConditions": [{"name": "the-probe", "expression": f"object.metadata.name == '{MARKER}'"}],
            "validations": [{"expression": "false", "message": f"mutation {number}."}],
        },
    }
