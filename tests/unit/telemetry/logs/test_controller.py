"""The lines of the controller's parts."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tools.logs_reference import LINES

from ringfence.api.status import ConditionType, Reason
from ringfence.controller.agent import ages
from ringfence.controller.agent.actions import EnsureChild
from ringfence.controller.agent.conditions import Finding, merge
from ringfence.controller.agent.fit import Fit
from ringfence.controller.agent.observed import Observed
from ringfence.controller.agent.recorder import Recorder
from ringfence.controller.agent.report import changes
from ringfence.controller.agent.secrets import Secrets
from ringfence.controller.agent.writer import Writer
from ringfence.controller.runtime.lease import NOBODY_AFTER, Lease
from ringfence.kube import Object
from ringfence.policy.decide import decide
from ringfence.policy.model import AgentObject, Facts
from ringfence.policy.widening import Way, Widening
from ringfence.resources import build_deny
from ringfence.resources.phases import DENY
from ringfence.resources.secret_names import PREVIOUS, rotation_name
from ringfence.resources.secrets import PREVIOUS_UNTIL, ROTATED_AT, stamp
from ringfence.resources.stored import Desired, stored
from ringfence.store.context import PolicyContext
from ringfence.store.records import agent_path, child_path, read_agent
from ringfence.store.store import Store
from ringfence.telemetry.events import (
    AgentDeleted,
    AgentName,
    AgentStopped,
    ApiServerDoubted,
    ClusterRead,
    FinalizersRemoved,
    HandOverUnchecked,
    HandOverUndecided,
    OrphansFound,
    PodEnded,
    RegistrationChanged,
    RunEnded,
    SecretOverwritten,
    StandingMissing,
    StandingRepaired,
    StoreCompared,
)
from ringfence.telemetry.refusals import EgressRefusedOften, GatewayUpdateRefused
from ringfence.telemetry.sinks.lines import to_log
from unit.admission import make
from unit.controller.test_secrets import SIGNING
from unit.controller.test_secrets import agent as agent_with
from unit.fakes.kube import FakeKube
from unit.telemetry.logs.lines import ALWAYS, BAD, KEY, NASTY, NOW, Lines, one, tame, told


class TestController:
    """What its parts tell, as lines; tests/api/controller/test_log.py has the whole of it on a real API server."""

    def observed(self, status: Object | None = None) -> Observed:
        return Observed(key=KEY, agent=read_agent(found_agent()), now=NOW, status=status or {})

    def conditions(self, lines: Lines, *findings: Finding, old: Sequence[Finding] = ()) -> list[dict[str, Any]]:
        """The lines about conditions that come after others."""
        stored = merge([], old, generation=2, now="then")
        for change in changes(self.observed({"conditions": stored}), findings):
            to_log(change)
        return told(lines, "condition")

    def test_a_condition_that_changes(self, lines: Lines) -> None:
        accepted = ConditionType.ACCEPTED
        refused = Finding(accepted, "False", Reason.REFUSED, f"first\n{NASTY}")
        (line,) = self.conditions(lines, refused)
        assert (line["agent"], line["namespace"], line["generation"], line["type"]) == ("a", "team", 3, "Accepted")
        assert (line["status"], line["previous"], line["reason"]) == ("False", None, "Refused")
        assert line["message"].startswith("first; x")
        assert line["level"] == "info"
        tame(line)
        assert self.conditions(lines, Finding(accepted, "False", Reason.REFUSED, "in other words"), old=[refused]) == []
        (line,) = self.conditions(lines, Finding(accepted, "True", Reason.ACCEPTED, "fine"), old=[refused])
        assert (line["status"], line["previous"], line["message"]) == ("True", "False", "fine")

    def test_a_spec_that_is_not_accepted(self, lines: Lines) -> None:
        recorder, found = Recorder(to_log), read_agent(found_agent())
        violations = decide(AgentObject("a", "team", found.spec), [], Facts({"ringfence.dev/agents": "enabled"}))
        for _ in range(2):
            recorder.violations(KEY, found.uid, found.generation, violations, found.manager)
        line = one(lines, "not accepted")
        assert (line["agent"], line["namespace"], line["generation"]) == ("a", "team", 3)
        assert (line["rule"], line["path"], line["level"]) == ("ImageNoDigest", "spec.image", "warning")
        assert (line["manager"], line["changed_at"]) == ("argocd-controller", "2026-01-31T10:00:00Z")

    def test_a_namespace_and_what_is_left_in_it(self, lines: Lines) -> None:
        to_log(StandingRepaired("team", "RoleBinding", "b", "ChildEdited", "kubectl-edit", "then"))
        line = one(lines, "put back in a namespace")
        assert (line["namespace"], line["rule"], line["manager"]) == ("team", "ChildEdited", "kubectl-edit")
        to_log(StandingMissing("team", "RoleBinding", "b", "in the way"))
        assert one(lines, "missing in a namespace")["why"] == "in the way"
        to_log(OrphansFound(namespace="team", agent="a", objects=("Deployment/x",), stopped=True, message="m"))
        line = one(lines, "orphans")
        assert (line["agent"], line["objects"], line["stopped"]) == ("a", ["Deployment/x"], True)

    async def test_an_edited_child_that_is_put_back(self, lines: Lines) -> None:
        line = await self._put_back(lines, edit=("kubectl-edit", "2026-01-31T11:00:00Z"))
        assert (line["agent"], line["namespace"], line["kind"]) == ("a", "team", "NetworkPolicy")
        assert (line["name"], line["rule"], line["level"]) == ("ringfence-a-deny", "ChildEdited", "warning")
        assert (line["manager"], line["changed_at"]) == ("kubectl-edit", "2026-01-31T11:00:00Z")

    async def test_nobody_is_named_who_wrote_before_us_or_left_no_trace(self, lines: Lines) -> None:
        line = await self._put_back(lines, edit=("kubectl-label", "2026-01-31T09:00:00Z"))
        assert (line["manager"], line["changed_at"]) == (None, None)

    async def test_a_deleted_child_that_is_put_back(self, lines: Lines) -> None:
        line = await self._put_back(lines, edit=None)
        assert (line["rule"], line["manager"]) == ("ChildDeleted", None)

    async def _put_back(self, lines: Lines, *, edit: tuple[str, str] | None) -> dict[str, Any]:
        owner, kube = agent_with(), FakeKube()
        desired = Desired(build_deny(owner))
        path = child_path(desired.ref)
        store = Store(PolicyContext())
        kube.cluster.put(agent_path(KEY), {"metadata": {"uid": owner.uid}})
        writer = Writer(kube, store, lambda: True, to_log)
        action = EnsureChild(phase=DENY, desired=desired, fit=Fit.ABSENT, known=True)
        if edit:
            kube.cluster.time = "2026-01-31T10:00:00Z"
            await writer.ensure(replace(action, known=False), owner)
            kube.cluster.time = edit[1]
            await kube.merge(path, {"spec": {"policyTypes": ["Ingress"]}}, manager=edit[0])
            store.children.take(stored(await kube.get(path), "NetworkPolicy"))
            action = replace(action, fit=Fit.WRONG)
        lines()
        assert await writer.ensure(action, owner)
        return one(lines, "put back")

    def test_a_key_that_was_overwritten(self, lines: Lines) -> None:
        to_log(SecretOverwritten(agent=AgentName(*KEY), secret="signing", manager="kubectl-edit"))
        line = one(lines, "a secret was overwritten")
        assert (line["agent"], line["secret"], line["manager"]) == ("a", "signing", "kubectl-edit")

    def test_a_service_that_leads_elsewhere(self, lines: Lines) -> None:
        recorder = Recorder(to_log)
        for lead in ("app=search:80", "app=ledger:80"):
            recorder.services(KEY, "u", stored=(), found=[f"tools/search:80 -> {lead}"])
        line = one(lines, "a service leads elsewhere")
        assert (line["agent"], line["service"], line["level"]) == ("a", "tools/search:80", "warning")
        assert (line["previous"], line["leads_to"]) == ("app=search:80", "app=ledger:80")

    def test_a_fence_that_others_widen(self, lines: Lines) -> None:
        Recorder(to_log).widened(KEY, "u", [Widening(Way.BINDINGS, "RoleBinding b")])
        line = one(lines, "fence widened")
        assert (line["rule"], line["name"], line["level"]) == ("ForeignBinding", "RoleBinding b", "warning")

    def test_pods_that_are_taken_away(self, lines: Lines) -> None:
        to_log(AgentStopped(agent=AgentName(*KEY), reason="Deleting", why="it is being deleted"))
        line = one(lines, "stopped")
        assert (line["agent"], line["why"], line["level"]) == ("a", "it is being deleted", "error")

    def test_a_run_that_is_over(self, lines: Lines) -> None:
        run = {"name": "ringfence-a-r1", "cause": "Request", "outcome": "Failed", "reason": "DeadlineExceeded"}
        to_log(RunEnded(agent=AgentName(*KEY), **run))
        line = one(lines, "a run is over")
        assert line | run | {"agent": "a", "level": "info"} == line

    async def test_a_key_from_its_first_value_to_its_end(self, lines: Lines) -> None:
        kube, owner = FakeKube(), agent_with(SIGNING)
        (signing,) = owner.spec.secrets
        secrets = Secrets(kube, lambda: True, "x:y", to_log, lambda: NOW)
        await secrets.make(owner, signing, known=False)
        assert one(lines, "made a secret")["secret"] == "signing"
        kube.objects.clear()
        await secrets.make(owner, signing, known=True)
        (kept,) = kube.objects.values()
        value = kept["data"]["value"]
        found = lines()
        assert [line["event"] for line in found] == ["made a secret", "put back"]
        assert found[1]["kind"] == "Secret"
        assert value not in str(found)
        assert base64.b64decode(value).decode() not in str(found)
        fields: list[Any] = [{"fieldsV1": {"f:data": {f"f:{PREVIOUS}": {}}}}]
        kept["data"][PREVIOUS] = value
        kept["metadata"] |= {"annotations": {PREVIOUS_UNTIL: stamp(NOW)}, "managedFields": fields}
        seen = ages.observed("a", signing, await secrets.metadata(owner, signing))
        await secrets.drop_previous(owner, seen)
        assert one(lines, "overlap is over")["agent"] == "a"

    def test_an_agent_that_is_gone(self, lines: Lines) -> None:
        to_log(AgentDeleted(agent=AgentName(*KEY)))
        assert one(lines, "deleted")["agent"] == "a"

    def test_a_child_that_was_kept(self, lines: Lines) -> None:
        about = {"kind": "Role", "name": "ringfence-a", "rule": "ChildHeld"}
        to_log(FinalizersRemoved(agent=AgentName("team", "a"), finalizers=("x/y",), **about))
        line = one(lines, "finalizers removed")
        assert line | about == line
        assert (line["finalizers"], line["level"]) == (["x/y"], "warning")

    def test_pods_that_were_ended(self, lines: Lines) -> None:
        """In a loop the first, the second, the fourth."""
        for count in range(1, 8):
            to_log(PodEnded(agent=AgentName("team", "a"), name=f"p{count}", count=count))
        found = told(lines, "pod ended")
        assert [(line["name"], line["count"]) for line in found] == [("p1", 1), ("p2", 2), ("p4", 4)]
        about = {"agent": "a", "namespace": "team", "kind": "Pod", "rule": "PodLeftBehind", "level": "warning"}
        assert all(line | about == line for line in found)

    def test_rotations_and_keys_that_are_too_old(self, lines: Lines) -> None:
        recorder, month = Recorder(to_log), timedelta(hours=720)
        for age in (2000, 1):
            metadata = {"annotations": {ROTATED_AT: stamp(NOW - timedelta(hours=age))}}
            seen = [ages.ObservedSecret("signing", "x", metadata, month)]
            recorder.secrets(KEY, seen, max_age=month, now=NOW)
        first, second = lines()
        assert set(first) - ALWAYS == set(LINES["a secret is too old"].fields)
        assert (first["rule"], first["secret"], first["level"]) == ("SecretTooOld", "signing", "warning")
        assert set(second) - ALWAYS == set(LINES["rotated"].fields)
        assert second["rotated_at"] > first["rotated_at"]

    def test_a_rotation_that_failed(self, lines: Lines) -> None:
        recorder = Recorder(to_log)
        job: Object = {"metadata": {"name": rotation_name("a", "signing")}, "status": {}}
        recorder.jobs(KEY, {"signing": job})
        recorder.jobs(KEY, {"signing": job | {"status": {"lastScheduleTime": "2026-01-31T12:00:00Z"}}})
        line = one(lines, "rotation failed")
        assert line["job"] == f"{rotation_name('a', 'signing')}-{int(NOW.timestamp()) // 60}"

    def test_what_differed_is_told_by_kind(self, lines: Lines) -> None:
        to_log(StoreCompared({"Role": 2, "Node": 0}))
        (line,) = lines()
        assert (line["kind"], line["objects"], line["level"]) == ("Role", 2, "warning")

    def test_refusals_again_and_again_are_told(self, lines: Lines) -> None:
        to_log(EgressRefusedOften(agent=AgentName(*KEY), rule="HostNotDeclared", count=12, field="x"))
        line = one(lines, "egress refused often")
        assert (line["agent"], line["rule"], line["count"], line["level"]) == ("a", "HostNotDeclared", 12, "warning")

    def test_a_refused_configuration_is_told(self, lines: Lines) -> None:
        to_log(GatewayUpdateRefused(agent=AgentName(*KEY)))
        line = one(lines, "an egress gateway refused its configuration")
        assert (line["agent"], line["level"]) == ("a", "error")

    def test_that_all_is_read(self, lines: Lines) -> None:
        to_log(ClusterRead(1.25))
        assert one(lines, "read the cluster")["seconds"] == 1.2

    async def test_nobody_leads(self, lines: Lines) -> None:
        kube, now = FakeKube(), [0.0]
        kube.down = True
        lease = Lease(kube, namespace="ns", name="x", identity="one", clock=lambda: now[0])
        now[0] = NOBODY_AFTER + 1
        await lease._look()
        line = one(lines, "nobody leads")
        assert (line["level"], line["lease"], line["identity"]) == ("error", "x", "one")
        assert "no leader has been seen for 21 s" in line["why"]

    def test_a_registration_that_is_not_as_installed_is_told(self, lines: Lines) -> None:
        to_log(RegistrationChanged(("webhooks[0].rules: was changed",)))
        line = one(lines, "admission is not registered as installed")
        assert (line["differences"], line["level"]) == (["webhooks[0].rules: was changed"], "error")
        to_log(RegistrationChanged(()))
        assert one(lines, "admission is registered as installed")["level"] == "info"

    def test_an_undecided_hand_over_is_told(self, lines: Lines) -> None:
        changed = ("webhooks[0].rules: was changed",)
        to_log(HandOverUndecided(agent=AgentName(*KEY), generation=2, secrets=("payroll",), differences=changed))
        line = one(lines, "a hand-over is undecided")
        assert (line["agent"], line["generation"], line["level"]) == ("a", 2, "warning")
        assert (line["secrets"], line["differences"]) == (["payroll"], ["webhooks[0].rules: was changed"])
        to_log(HandOverUnchecked())
        assert one(lines, "existing secrets are handed over unchecked")["level"] == "warning"

    def test_an_address_that_is_not_believed_is_told(self, lines: Lines) -> None:
        told = {"slice": "default/kubernetes-x", "addresses": ("192.0.2.1:443",), "why": "another"}
        to_log(ApiServerDoubted(uid="u", **told))  # type: ignore[arg-type]
        (line,) = lines()
        assert set(line) == ALWAYS | set(LINES["an address is not taken for the API server's"].fields)
        assert (line["slice"], line["addresses"], line["level"]) == (told["slice"], ["192.0.2.1:443"], "warning")

    def test_what_has_no_line_is_quiet(self, lines: Lines) -> None:
        to_log(object())
        assert lines() == []


def _entry(manager: str, time: str, *, field: str = "f:spec") -> Object:
    return {"manager": manager, "operation": "Update", "time": time, "fieldsV1": {field: {}}}


def found_agent() -> Object:
    entries = [
        _entry("argocd-controller", "2026-01-31T10:00:00Z"),
        _entry("x", "2026-01-31T11:00:00Z", field="f:metadata"),
    ]
    entries.append(_entry("ringfence", "2026-01-31T12:00:00Z", field="f:status") | {"subresource": "status"})
    return make.agent(BAD, name="a", generation=3, uid="u", resourceVersion="7", managedFields=entries)
