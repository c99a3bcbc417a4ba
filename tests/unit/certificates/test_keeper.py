"""One pass over the Secret and the webhook configuration: what is written, in which order, and what is not."""

import base64
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from ringfence.controller.certificates import Names, Settings, keep
from ringfence.controller.certificates.issue import AUTHORITIES, CERTIFICATE, KEY, LIFETIME, examine, issue
from ringfence.controller.certificates.keeper import LOOK_SECONDS
from ringfence.kube import ApiError
from ringfence.pki.certificates import Reason
from ringfence.telemetry.metrics import REGISTRY
from unit.certificates.cluster import SECRET, WEBHOOK, Kube, webhook

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
NAMES = Names.of_service("ringfence-admission", "ringfence-system")
SETTINGS = Settings(namespace="ringfence-system", names=NAMES)


async def one_pass(kube: Kube, now: datetime = NOW) -> float:
    async def sleep(_seconds: float) -> None:
        kube.done.append("settle")

    return await keep(kube, SETTINGS, now=lambda: now, sleep=sleep)


async def settled(now: datetime = NOW) -> Kube:
    kube = Kube(webhook=webhook())
    await one_pass(kube, now)
    kube.done.clear()
    return kube


async def test_the_first_pass_makes_everything() -> None:
    kube = Kube(webhook=webhook())
    await one_pass(kube)
    assert kube.done == ["patch webhook", "create secret"]
    assert examine(kube.data(), NAMES, NOW).reason is None
    assert kube.bundles() == [kube.data()[AUTHORITIES]]
    assert kube.objects[SECRET]["type"] == "kubernetes.io/tls"


async def test_at_rest_nothing_is_written() -> None:
    kube = await settled()
    assert await one_pass(kube) == LOOK_SECONDS
    assert await one_pass(kube, NOW + timedelta(days=59)) == LOOK_SECONDS
    assert kube.done == []


async def test_a_renewal_is_trusted_before_it_is_served() -> None:
    kube = await settled()
    before = kube.data()
    await one_pass(kube, NOW + timedelta(days=61))
    assert kube.done == ["patch webhook", "settle", "replace secret"]
    after = kube.data()
    assert after[CERTIFICATE] != before[CERTIFICATE]
    # Replicas that serve the old certificate still are trusted: R9.
    for served in (before, after):
        found = examine(served | {AUTHORITIES: kube.bundles()[0]}, NAMES, NOW + timedelta(days=61))
        assert found.reason in {None, Reason.DUE}


async def test_a_crash_between_the_two_writes_does_no_harm() -> None:
    kube = await settled()
    before = kube.data()

    def crash() -> None:
        raise ApiError(500, "InternalError", "gone")

    kube.interfere = crash
    with pytest.raises(ApiError):
        await one_pass(kube, NOW + timedelta(days=61))
    assert kube.data() == before
    assert before[AUTHORITIES] in kube.bundles()[0]
    await one_pass(kube, NOW + timedelta(days=61))
    assert examine(kube.data(), NAMES, NOW + timedelta(days=61)).reason is None


async def test_the_old_authority_goes_once_it_has_ended() -> None:
    kube = await settled()
    old = kube.data()[AUTHORITIES]
    await one_pass(kube, NOW + timedelta(days=61))
    assert old in kube.data()[AUTHORITIES]
    later = NOW + LIFETIME + timedelta(days=1)
    await one_pass(kube, later)
    assert old not in kube.bundles()[0]


@pytest.mark.parametrize(
    "spoil",
    [
        {CERTIFICATE: b"garbage"},
        {KEY: b"garbage"},
        {KEY: b""},
        {AUTHORITIES: b"garbage"},
        {CERTIFICATE: issue(NAMES, NOW).certificate},
    ],
)
async def test_what_is_unusable_is_replaced_at_once(spoil: dict[str, bytes]) -> None:
    kube = await settled()
    kube.objects[SECRET]["data"] |= {name: base64.b64encode(value).decode() for name, value in spoil.items()}
    with capture_logs() as logs:
        await one_pass(kube)
    assert kube.done == ["patch webhook", "replace secret"], "without the pause: nothing that works is lost"
    assert examine(kube.data(), NAMES, NOW).reason is None
    assert logs[0]["reason"] in {"Unreadable", "Missing", "Untrusted", "KeyMismatch"}


@pytest.mark.parametrize("value", ["***", None, "", "=", "YQ"])
async def test_data_that_is_not_base64_is_replaced(value: Any) -> None:
    kube = await settled()
    kube.objects[SECRET]["data"]["tls.crt"] = value
    await one_pass(kube)
    assert examine(kube.data(), NAMES, NOW).reason is None


@pytest.mark.parametrize("now", [NOW + LIFETIME, NOW - timedelta(days=1)])
async def test_expired_and_not_yet_valid_are_replaced(now: datetime) -> None:
    kube = await settled()
    await one_pass(kube, now)
    assert examine(kube.data(), NAMES, now).reason is None


async def test_a_deleted_secret_is_made_anew_and_what_is_served_stays_trusted() -> None:
    kube = await settled()
    served = kube.data()
    kube.cluster.remove(SECRET)
    await one_pass(kube)
    assert served[AUTHORITIES] in kube.bundles()[0]
    assert kube.data()[CERTIFICATE] != served[CERTIFICATE]


async def test_while_nothing_can_be_stored_what_is_served_stays_trusted() -> None:
    kube = await settled()
    served = kube.data()[AUTHORITIES]
    kube.cluster.remove(SECRET)

    def crash() -> None:
        raise ApiError(403, "Forbidden", "no")

    for _ in range(10):
        kube.interfere = crash
        with pytest.raises(ApiError):
            await one_pass(kube)
        assert served in kube.bundles()[0]


async def test_an_empty_secret_is_filled() -> None:
    empty = {"metadata": {"name": "ringfence-admission-tls", "resourceVersion": "5"}, "type": "Opaque"}
    kube = Kube(webhook=webhook(), secret=empty)
    await one_pass(kube)
    assert examine(kube.data(), NAMES, NOW).reason is None
    assert kube.objects[SECRET]["type"] == "Opaque", "a type cannot be changed"


async def test_a_secret_of_somebody_else_is_left_alone() -> None:
    theirs = {
        "metadata": {"name": "ringfence-admission-tls", "resourceVersion": "5"},
        "data": {"tls.crt": "YQ==", "tls.key": "YQ=="},
    }
    kube = Kube(webhook=webhook(), secret=theirs)
    before = deepcopy(kube.objects[SECRET])
    with capture_logs() as logs:
        assert await one_pass(kube) == LOOK_SECONDS
    assert kube.done == []
    assert kube.objects[SECRET] == before
    assert [entry["log_level"] for entry in logs] == ["error"]


async def test_two_writers_end_with_one_certificate() -> None:
    kube = await settled()

    def other() -> None:
        kube.objects[SECRET]["metadata"]["resourceVersion"] = "77"

    kube.interfere = other
    before = kube.data()
    await one_pass(kube, NOW + timedelta(days=61))
    assert kube.data() == before
    await one_pass(kube, NOW + timedelta(days=61))
    assert kube.data() != before


class TestWebhook:
    async def test_only_the_bundle_changes(self) -> None:
        kube = Kube(webhook=webhook("a.ringfence.dev", "b.ringfence.dev"))
        before = deepcopy(kube.objects[WEBHOOK])
        await one_pass(kube)
        after = deepcopy(kube.objects[WEBHOOK])
        for metadata in (before["metadata"], after["metadata"]):  # every write moves these
            for name in ("resourceVersion", "managedFields"):
                metadata.pop(name, None)
        for entry in after["webhooks"]:
            assert entry["clientConfig"].pop("caBundle")
        assert after == before

    @pytest.mark.parametrize("bundle", [b"", b"garbage", issue(NAMES, NOW).authority])
    async def test_a_bundle_that_differs_is_put_right(self, bundle: bytes) -> None:
        kube = await settled()
        kube.objects[WEBHOOK]["webhooks"][0]["clientConfig"]["caBundle"] = base64.b64encode(bundle).decode()
        await one_pass(kube)
        assert kube.done == ["patch webhook"]
        assert kube.bundles() == [kube.data()[AUTHORITIES]]

    async def test_one_that_was_recreated_gets_its_bundle(self) -> None:
        kube = await settled()
        kube.cluster.put(WEBHOOK, webhook())
        await one_pass(kube)
        assert kube.bundles() == [kube.data()[AUTHORITIES]]

    @pytest.mark.parametrize("missing", [None, {"metadata": {"name": "ringfence"}}])
    async def test_a_missing_one_is_shouted_about_and_not_invented(self, missing: Any) -> None:
        kube = Kube(webhook=missing)
        with capture_logs() as logs:
            await one_pass(kube)
        assert kube.done == ["create secret"]
        assert (kube.objects.get(WEBHOOK) or {}).get("webhooks") is None
        assert any(entry["log_level"] == "error" for entry in logs)

    async def test_one_that_can_be_passed_is_left_as_it_is(self) -> None:
        kube = Kube(webhook=webhook(policy="Ignore"))
        await one_pass(kube)
        assert kube.objects[WEBHOOK]["webhooks"][0]["failurePolicy"] == "Ignore"


async def test_expiry_is_a_metric() -> None:
    kube = await settled()
    await one_pass(kube)
    value = REGISTRY.get_sample_value("ringfence_admission_certificate_expiry_timestamp_seconds")
    assert value == (NOW + LIFETIME).timestamp()


async def test_no_key_in_the_log() -> None:
    kube = Kube(webhook=webhook())
    with capture_logs() as logs:
        await one_pass(kube)
        await one_pass(kube, NOW + timedelta(days=61))
    assert logs
    secret_lines = kube.data()[KEY].decode().splitlines()
    assert not any(line in str(logs) for line in secret_lines)
