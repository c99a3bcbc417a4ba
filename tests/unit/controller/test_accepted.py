"""An agent that is not accepted now, and was before: whether its fence is as it was then."""

from dataclasses import replace
from typing import Any

import pytest

from ringfence.api.status import Reason
from ringfence.controller.agent.accepted import edited_since, stop_for, with_digests
from ringfence.resources import Ref
from ringfence.resources.stored import STOPPED, StoredChild
from ringfence.store.store import OwnershipRecord
from unit.controller.make import (
    BINDING,
    DEPLOYMENT,
    EGRESS,
    POLICY_ALLOW,
    POLICY_DENY,
    ROLE,
    RULES,
    UID,
    all_children,
    remembered,
)

WRITTEN = {child.ref: child for child in all_children(RULES | EGRESS)}
LISTED = [{"kind": ref.kind, "name": ref.name} for ref in WRITTEN]
STATUS = {"managedResources": with_digests(LISTED, "team", remembered(WRITTEN.values()))}
OTHER = Ref("NetworkPolicy", "team", "ringfence-a-more")


def edited(ref: Ref) -> StoredChild:
    return replace(WRITTEN[ref], digest="of something else")


def stop(children: dict[Ref, StoredChild], ownership: dict[Ref, OwnershipRecord], status: Any = STATUS) -> str:
    owned = [child for child in children.values() if child.controller_uid == UID]
    edited = edited_since(status, owned, children, ownership, restored=POLICY_DENY)
    found = stop_for(edited, [one for one in [children.get(DEPLOYMENT)] if one])
    assert found is None or found.reason is Reason.UNFENCED
    return found.message if found else ""


KNOWN = [pytest.param(remembered(WRITTEN.values()), id="remembered"), pytest.param({}, id="after a restart")]


@pytest.mark.parametrize("ownership", KNOWN)
class TestStop:
    def test_not_while_all_is_as_it_was(self, ownership: Any) -> None:
        assert stop(WRITTEN, ownership) == ""

    @pytest.mark.parametrize("ref", [POLICY_ALLOW, ROLE, BINDING])
    def test_where_a_part_was_edited(self, ownership: Any, ref: Ref) -> None:
        assert f"{ref.kind} {ref.name} is not as it was accepted" in stop(WRITTEN | {ref: edited(ref)}, ownership)

    def test_also_where_its_owner_was_taken_away(self, ownership: Any) -> None:
        cut = replace(edited(POLICY_ALLOW), owners=())
        assert POLICY_ALLOW.name in stop(WRITTEN | {POLICY_ALLOW: cut}, ownership)

    @pytest.mark.parametrize("ref", [POLICY_DENY, DEPLOYMENT])
    def test_not_for_what_is_put_right_or_opens_nothing(self, ownership: Any, ref: Ref) -> None:
        assert stop(WRITTEN | {ref: edited(ref)}, ownership) == ""

    @pytest.mark.parametrize("ref", [POLICY_ALLOW, ROLE, BINDING])
    def test_not_for_what_is_missing(self, ownership: Any, ref: Ref) -> None:
        assert stop({one: child for one, child in WRITTEN.items() if one != ref}, ownership) == ""

    def test_for_one_more_of_its_children(self, ownership: Any) -> None:
        assert OTHER.name in stop(WRITTEN | {OTHER: replace(WRITTEN[POLICY_ALLOW], ref=OTHER)}, ownership)

    def test_it_stays_stopped(self, ownership: Any) -> None:
        stopped = replace(WRITTEN[DEPLOYMENT], mark=STOPPED)
        assert "stopped while" in stop(WRITTEN | {DEPLOYMENT: stopped}, ownership)


def test_what_is_remembered_goes_before_what_a_status_says() -> None:
    forged = {"managedResources": [one | {"digest": "of something else"} for one in STATUS["managedResources"]]}
    children = WRITTEN | {ROLE: edited(ROLE)}
    assert stop(children, {}, forged) != ""
    assert ROLE.name in stop(children, remembered(WRITTEN.values()), forged)


def test_without_any_digest_nobody_knows() -> None:
    assert stop(WRITTEN, {}, {"managedResources": LISTED}) != ""


def test_digests_are_of_the_fence_alone_and_stay_where_nothing_newer_is_known() -> None:
    assert {one["kind"] for one in STATUS["managedResources"] if "digest" in one} == {
        "NetworkPolicy",
        "Role",
        "RoleBinding",
    }
    assert with_digests(STATUS["managedResources"], "team", {}) == STATUS["managedResources"]
