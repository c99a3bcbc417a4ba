"""Signatures of images: by whom, of what, and every way in which a bundle is none."""

import base64
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.api import AgentPolicySpec, parse
from ringfence.api.agentdeployment import ImageSignature
from ringfence.policy.advice import advice
from ringfence.policy.signatures import SIGNATURE, BundleError, check_signatures, read_bundle
from unit.policy.make import DIGEST, IMAGE, judge, places, policy
from unit.policy.signing import SLSA, TYPE, Signer, asking, carried

COSIGN = Path(__file__).with_name("cosign")
"""What cosign 3.1.3 wrote: keys made by `import-key-pair`, bundles by `sign` and `attest`, of DIGEST."""
OTHER = "sha256:" + "f" * 64
ONE, TWO = Signer(), Signer()
NOT_SIGNED, NOT_ATTESTED = {("ImageNotSigned", "spec.image")}, {("ImageNotAttested", "spec.image")}


def public(name: str) -> str:
    return (COSIGN / f"{name}.pub").read_text()


@pytest.mark.parametrize("name", ["p256", "p384", "p521", "rsa"])
def test_what_cosign_signs_is_verified(name: str) -> None:
    bundle = (COSIGN / f"{name}.json").read_text()
    assert judge(carried(bundle), asking(public(name))) == []
    other = public("rsa" if name != "rsa" else "p256")
    assert places(judge(carried(bundle), asking(other))) == NOT_SIGNED


def test_what_cosign_attests_is_verified() -> None:
    signed, attested = ((COSIGN / f"{name}.json").read_text() for name in ("p256", "p256-slsa"))
    asked = asking(public("p256"), attestations=[SLSA])
    assert judge(carried(signed, attested), asked) == []
    assert places(judge(carried(signed), asked)) == NOT_ATTESTED
    assert places(judge(carried(attested), asked)) == NOT_SIGNED
    assert places(judge({}, asked)) == NOT_SIGNED | NOT_ATTESTED
    both = asking(public("p256"), attestations=[SLSA, "https://example.com/scan"])
    (violation,) = judge(carried(signed, attested), both)
    assert "--type https://example.com/scan" in violation.message


def test_no_policy_asks_and_the_built_in_does_not() -> None:
    assert judge(carried(ONE.bundle(OTHER))) == []
    assert judge({}, {"images": {"registries": ["registry.example"]}}) == []


def test_a_signature_by_the_key_is_enough() -> None:
    assert judge(carried(ONE.bundle()), asking(ONE.pem)) == []
    assert judge(carried(TWO.bundle(), ONE.bundle(OTHER), ONE.bundle()), asking(ONE.pem)) == []
    assert judge(carried(ONE.bundle(subject=[subject(OTHER), subject(DIGEST)])), asking(ONE.pem)) == []
    assert judge(carried(ONE.bundle(subject=[{"digest": {"sha512": "x"}}, subject(DIGEST)])), asking(ONE.pem)) == []


def subject(digest: str) -> dict[str, Any]:
    return {"name": "x", "digest": {"sha256": digest.removeprefix("sha256:")}}


def test_a_key_is_replaced_while_two_count() -> None:
    assert judge(carried(ONE.bundle()), asking(TWO.pem, ONE.pem)) == []
    assert judge(carried(TWO.bundle()), asking(TWO.pem, ONE.pem)) == []
    assert places(judge(carried(ONE.bundle()), asking(TWO.pem))) == NOT_SIGNED


def test_every_policy_must_be_content() -> None:
    found = judge(carried(ONE.bundle()), asking(ONE.pem), asking(TWO.pem))
    assert places(found) == NOT_SIGNED
    assert 'policy "p1"' in found[0].message
    assert judge(carried(ONE.bundle(), TWO.bundle()), asking(ONE.pem), asking(TWO.pem)) == []


@pytest.mark.parametrize(
    ("bundles", "why"),
    [
        ([], 'is not signed by a key of policy "p0" ("k0"): sign it with cosign sign --key KEY'),
        ([ONE.bundle(OTHER)], "spec.imageSignatures[0] is about another digest"),
        ([TWO.bundle()], "spec.imageSignatures[0] is not by one of these keys, or was changed"),
        ([ONE.bundle(predicate=SLSA)], f'spec.imageSignatures[0] is an attestation ("{SLSA}")'),
        ([ONE.bundle(OTHER), TWO.bundle()], "spec.imageSignatures[1] is not by one of these keys"),
    ],
    ids=["none", "another image", "another key", "an attestation", "two"],
)
def test_the_refusal_says_why_and_what_to_do(bundles: list[Any], why: str) -> None:
    (violation,) = judge(carried(*bundles), asking(ONE.pem))
    assert (violation.rule, violation.path) == ("ImageNotSigned", "spec.image")
    assert why in violation.message
    assert f"--bundle FILE NAME@{DIGEST}, and put the content of FILE into spec.imageSignatures" in violation.message


def test_a_tag_is_not_signed() -> None:
    spec = {"image": "registry.example/acme/agent:v1"} | carried(ONE.bundle())
    assert places(judge(spec, asking(ONE.pem))) == {("ImageNoDigest", "spec.image")}
    (violation,) = judge(spec, asking(ONE.pem, requireDigest=False))
    assert violation.rule == "ImageNotSigned"
    assert "NAME@sha256:DIGEST" in violation.message


Change = Callable[[dict[str, Any]], Any]


def rewritten(**changes: Any) -> Change:
    """The payload changed, the signature kept."""

    def change(bundle: dict[str, Any]) -> None:
        envelope = bundle["dsseEnvelope"]
        said = json.loads(base64.b64decode(envelope["payload"])) | changes
        envelope["payload"] = base64.b64encode(json.dumps(said).encode()).decode()

    return change


def signature(text: str) -> Change:
    return lambda bundle: bundle["dsseEnvelope"]["signatures"][0].update(sig=text)


@pytest.mark.parametrize(
    "change",
    [
        rewritten(subject=[subject(DIGEST)]),
        rewritten(predicateType=SIGNATURE, subject=[subject(DIGEST)], predicate={"x": 1}),
        signature(""),
        signature(base64.b64encode(b"x" * 70).decode()),
        signature(ONE.bundle()["dsseEnvelope"]["signatures"][0]["sig"]),
    ],
)
def test_what_was_changed_after_signing_is_no_signature(change: Change) -> None:
    bundle = ONE.bundle(OTHER)
    change(bundle)
    assert places(judge(carried(bundle) | {"image": f"registry.example/a@{DIGEST}"}, asking(ONE.pem))) == NOT_SIGNED


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda one: one.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.1"), "mediaType"),
        (lambda one: one.pop("mediaType"), "mediaType"),
        (lambda one: one.pop("dsseEnvelope"), "dsseEnvelope"),
        (lambda one: one.update(envelope=one.pop("dsseEnvelope")), "dsseEnvelope"),
        (lambda one: one.update(messageSignature=one.pop("dsseEnvelope")), "dsseEnvelope"),
        (lambda one: one["dsseEnvelope"].update(payloadType="text/plain"), "dsseEnvelope.payloadType"),
        (lambda one: one["dsseEnvelope"].update(payload="*"), "dsseEnvelope.payload"),
        (lambda one: one["dsseEnvelope"].update(payload="e30"), "dsseEnvelope.payload"),
        (lambda one: one["dsseEnvelope"].update(payload="{}"), "dsseEnvelope.payload"),
        (lambda one: one["dsseEnvelope"].update(payload=7), "dsseEnvelope.payload"),
        (lambda one: one["dsseEnvelope"].update(payload="e30="), "_type"),
        (lambda one: one["dsseEnvelope"].update(payload="/w=="), "its JSON"),
        (lambda one: one["dsseEnvelope"].update(signatures=[]), "dsseEnvelope.signatures"),
        (lambda one: one["dsseEnvelope"]["signatures"].append({"sig": "eA=="}), "dsseEnvelope.signatures"),
        (signature("\u00e9"), "dsseEnvelope.signatures.0.sig"),
        (rewritten(_type="https://in-toto.io/Statement/v2"), "_type"),
        (rewritten(subject=[]), "subject"),
        (rewritten(subject=[{"digest": {"sha256": 7}}]), "subject.0.digest.sha256"),
        (rewritten(predicateType=None), "predicateType"),
    ],
)
def test_a_malformed_bundle_is_told_with_its_place(change: Change, place: str) -> None:
    bundle = ONE.bundle()
    change(bundle)
    for policies in ([], [asking(ONE.pem)]):
        found = judge(carried(ONE.bundle(), bundle), *policies)
        assert places(found) == {("InvalidField", "spec.imageSignatures[1].bundle")}
        assert place in found[0].message
        assert bundle["mediaType" if "mediaType" in bundle else "dsseEnvelope"] != found[0].message


@pytest.mark.parametrize("text", ["{", "{}", "{}}", '{"a":' * 5000, "{" * 32768, '{"mediaType": NaN}', "{\ud800}"])
def test_no_text_breaks_it(text: str) -> None:
    with pytest.raises(BundleError):
        read_bundle(text.encode(errors="replace").decode())
    assert ("InvalidField", "spec.imageSignatures[0].bundle") in places(judge(carried(text), asking(ONE.pem)))


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(BundleError):
        read_bundle("{" + text)


@given(st.binary(max_size=200))
def test_any_payload_is_read_or_refused(payload: bytes) -> None:
    with pytest.raises(BundleError):
        read_bundle(json.dumps(ONE.envelope(payload)))


def test_another_type_of_payload_is_not_taken_for_a_statement() -> None:
    payload = base64.b64decode(ONE.bundle()["dsseEnvelope"]["payload"])
    bundle = ONE.envelope(payload, "text/plain")
    bundle["dsseEnvelope"]["payloadType"] = TYPE
    assert places(judge(carried(bundle), asking(ONE.pem))) == NOT_SIGNED


def test_bounds() -> None:
    full = json.dumps(ONE.bundle())
    assert judge(carried(full + " " * (32768 - len(full))), asking(ONE.pem)) == []
    assert (
        places(judge(carried(full + " " * (32769 - len(full))), asking(ONE.pem)))
        == {
            ("InvalidField", "spec.imageSignatures[0].bundle"),
        }
        | NOT_SIGNED
    )
    assert judge(carried(*[full] * 8), asking(ONE.pem)) == []
    assert ("InvalidField", "spec.imageSignatures") in places(judge(carried(*[full] * 9), asking(ONE.pem)))


def test_in_a_malformed_spec_signatures_count_too() -> None:
    wrong = {"replicas": "many"}
    assert places(judge(wrong | carried(ONE.bundle()), asking(ONE.pem))) == {("InvalidField", "spec.replicas")}
    found = judge({"imageSignatures": [{"bundle": 7}, {"bundle": json.dumps(TWO.bundle())}]}, asking(ONE.pem))
    assert places(found) == {("InvalidField", "spec.imageSignatures[0].bundle")} | NOT_SIGNED
    assert "imageSignatures[1] is not by" in found[1].message + found[0].message


def test_each_image_of_a_list_needs_one_of_its_own() -> None:
    second = f"registry.example/sidecar@{OTHER}"
    images = [("spec.image", IMAGE), ("spec.sidecars[0].image", second)]
    policies = [policy(asking(ONE.pem))]

    def of(*digests: str) -> list[str]:
        brought = [ImageSignature(bundle=json.dumps(ONE.bundle(digest))) for digest in digests]
        return [one.path for one in check_signatures(images, brought, policies)]

    assert of() == ["spec.image", "spec.sidecars[0].image"]
    assert of(DIGEST) == ["spec.sidecars[0].image"]
    assert of(OTHER, DIGEST) == []


BAD_KEYS = [
    "-----BEGIN PUBLIC KEY-----\nAAAAAAAAAAAAAAAAAAAAAAAA\n-----END PUBLIC KEY-----\n",
    public("p256").replace("M", "N", 1),
    public("ed25519"),
    public("p224"),
    public("rsa-1024"),
]


@pytest.mark.parametrize("pem", BAD_KEYS, ids=["no key", "a broken one", "Ed25519", "P-224", "RSA, 1024 bits"])
def test_a_key_that_cannot_be_used_verifies_nothing_and_its_author_is_told(pem: str) -> None:
    asked = asking(pem)
    assert places(judge(carried(ONE.bundle()), asked)) == NOT_SIGNED
    (warning,) = advice(AgentPolicySpec.model_validate(asked))
    assert warning.startswith("spec.images.signedBy[0].publicKey: no signature is verified by it")
    assert judge(carried(ONE.bundle()), asking(pem, ONE.pem)) == []


@pytest.mark.parametrize(
    ("images", "path"),
    [
        ({"signedBy": []}, "spec.images.signedBy"),
        ({"signedBy": [{"name": "a", "publicKey": "x"}]}, "spec.images.signedBy[0].publicKey"),
        ({"signedBy": [{"name": "a"}]}, "spec.images.signedBy[0].publicKey"),
        ({"signedBy": [{"name": "a", "publicKey": ONE.pem}] * 2}, "spec.images.signedBy"),
        ({"attestations": [SLSA]}, "spec.images"),
        ({"signedBy": [{"name": "a", "publicKey": ONE.pem}], "attestations": ["slsa"]}, "spec.images.attestations[0]"),
    ],
)
def test_policies_that_cannot_be_meant(images: dict[str, Any], path: str) -> None:
    parsed = parse(AgentPolicySpec, {"images": images})
    assert [error.path for error in parsed.errors] == [path]


def test_two_runs_say_the_same() -> None:
    bundle = copy.deepcopy(ONE.bundle())
    assert judge(carried(bundle), asking(ONE.pem)) == judge(carried(bundle), asking(ONE.pem)) == []
    assert judge(carried(bundle), asking(TWO.pem)) == judge(carried(bundle), asking(TWO.pem)) != []
