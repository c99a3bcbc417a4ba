"""The lines of admission."""

from typing import Any, cast

import pytest

from ringfence.admission import app as app_module
from ringfence.admission.app import Admission
from ringfence.admission.recording import MAX_GROUPS
from ringfence.admission.requester import Requester
from ringfence.kube import Kube, Object, Unreachable
from ringfence.store.context import PolicyContext
from unit.admission import make
from unit.admission.exchange import Exchange, send
from unit.telemetry.logs.lines import BAD, NASTY, REVIEW, VALUE, Lines, one, tame, told


class TestAdmission:
    @staticmethod
    async def ask(obj: Any = None, old: Any = None, app: Admission | None = None, **fields: Any) -> Exchange:
        return await send(app or Admission(make.world()), make.encoded(make.review(obj, old, **fields)))

    async def test_what_was_allowed(self, lines: Lines) -> None:
        await self.ask(make.agent())
        line = one(lines, "allowed")
        assert line | REVIEW == line
        assert (line["level"], line["operation"], line["allowed"], line["dryRun"]) == ("info", "CREATE", True, False)
        assert (line["rules"], line["paths"], line["reason"]) == ([], [], "")

    async def test_what_was_refused(self, lines: Lines) -> None:
        await self.ask(make.agent(BAD))
        line = one(lines, "refused")
        assert line | REVIEW == line
        assert (line["level"], line["allowed"]) == ("info", False)
        assert (line["rules"], line["paths"], line["reason"]) == (["ImageNoDigest"], ["spec.image"], "")

    async def test_a_dry_run_says_so(self, lines: Lines) -> None:
        await self.ask(make.agent(), dryRun=True)
        assert one(lines, "allowed")["dryRun"] is True

    async def test_a_deletion_and_a_policy_are_told_as_well(self, lines: Lines) -> None:
        await self.ask(None, make.agent(), operation="DELETE")
        assert one(lines, "allowed")["operation"] == "DELETE"
        await self.ask(make.policy({}), plural="agentpolicies", name="strict")
        line = one(lines, "allowed")
        assert (line["kind"], line["namespace"], line["name"]) == ("AgentPolicy", "", "strict")

    async def test_what_changes_nothing_is_quiet(self, lines: Lines) -> None:
        old = make.agent(resourceVersion="1", managedFields=[{"manager": "x"}])
        await self.ask(make.agent(), old)
        await self.ask(make.agent(), make.agent(BAD), subResource="status")
        assert [line["level"] for line in told(lines, "allowed")] == ["debug", "debug"]
        await self.ask(make.agent(labels={"a": "b"}), old)
        await self.ask(make.agent({**make.agent()["spec"], "replicas": 2}), old)
        assert [line["level"] for line in told(lines, "allowed")] == ["info", "info"]

    async def test_a_refusal_without_a_rule_has_a_reason(self, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
        await self.ask(make.agent(), app=Admission(PolicyContext()))
        assert "has not read the cluster yet" in one(lines, "refused")["reason"]
        await self.ask(make.agent(namespace="other"))
        assert one(lines, "refused")["reason"] == "metadata.namespace is not the namespace of the request"

        class Silent:
            async def create(self, path: str, body: Object) -> Object:
                raise Unreachable("down")

        spec = {**make.agent()["spec"], "secrets": [_existing("llm")]}
        app = Admission(make.world(), requester=Requester(cast("Kube", Silent())))
        await self.ask(make.agent(spec), app=app)
        assert "could not ask the API server" in one(lines, "refused")["reason"]
        monkeypatch.setattr(app_module, "judge", lambda *_: 1 / 0)
        await self.ask(make.agent())
        line = one(lines, "refused")
        assert "mistake of its own" in line["reason"]
        assert line | REVIEW == line

    async def test_what_cannot_be_read_is_told(self, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
        await send(Admission(make.world()), b"{" + VALUE.encode())
        line = one(lines, "refused")
        assert (line["level"], line["uid"], line["user"], line["allowed"]) == ("warning", "", "", False)
        assert line["reason"] == "the body cannot be read: it is not valid JSON (21 bytes)"
        start = b'{"request":{"uid":"' + make.UID.encode() + b'"'
        await send(Admission(make.world()), [start, *[b"x" * 2**20] * 9, b""])
        assert one(lines, "refused")["uid"] == make.UID

        async def slow(_: Any) -> bytearray:
            raise TimeoutError

        monkeypatch.setattr(app_module, "read_body", slow)
        await send(Admission(make.world()), b"")
        assert one(lines, "refused")["reason"] == "the review did not arrive in time"

    async def test_words_of_the_user_are_tamed(self, lines: Lines) -> None:
        spec = {NASTY: 1, "image": NASTY}
        asker = {"username": NASTY, "groups": [NASTY] * 1000}
        await self.ask(make.agent(spec), name=NASTY, userInfo=asker, namespace=NASTY)
        line = one(lines, "refused")
        tame(line)
        assert len(line["groups"]) == MAX_GROUPS

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            (["developers", "system:authenticated"], ["developers", "system:authenticated"]),
            (["a", 1, None, ["b"], "c"], ["a", "c"]),
            (None, []),
            ("developers", []),
        ],
    )
    async def test_groups_of_who_asked(self, lines: Lines, given: Any, expected: list[str]) -> None:
        await self.ask(make.agent(BAD), userInfo={"username": "dev", "groups": given})
        assert one(lines, "refused")["groups"] == expected

    async def test_no_value_is_told(self, lines: Lines) -> None:
        spec = {**make.agent()["spec"], "env": [{"name": "TOKEN", "value": VALUE}], "args": [VALUE]}
        old = make.agent(spec, annotations={"a": VALUE})
        extra = {"username": "dev", "extra": {"token": [VALUE]}}
        for new in (make.agent(spec), make.agent(spec | {"replicas": VALUE}), make.agent(spec | {"env": VALUE})):
            await self.ask(new, old, userInfo=extra)
            await self.ask(new, userInfo=extra)
        found = lines()
        assert len(found) == 6
        assert VALUE not in str(found)


def _existing(name: str) -> Object:
    source = {"existing": {"secretName": name, "key": "k"}}
    return {"name": name, "source": source, "delivery": {"env": {"name": "K"}}}
