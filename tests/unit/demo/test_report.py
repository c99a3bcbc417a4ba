"""The report: exit code, JSON, and what is left of a refusal's wrapping."""

import json

import pytest

from cluster.errors import ClusterError
from demo.narrative import point, sentences
from demo.report import Report
from harness.manifests import FOLDER, PLACEHOLDER, accepted, refused
from harness.metrics import labels_of


def test_one_cross_makes_it_not_ok(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(as_json=True)
    with report.section("one"):
        report.check(True, "good")
        report.note("neither")
    assert report.ok
    with report.section("two"):
        report.check(False, "bad", "why", seconds=1)
    report.close(cluster="x")
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["cluster"]) == (False, "x")
    assert [line["state"] for section in told["sections"] for line in section["lines"]] == ["ok", "note", "failed"]


def test_a_section_that_breaks_off_is_a_cross_and_the_next_one_still_runs(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    with report.section("one"):
        raise ClusterError("no such thing")
    with report.section("two"):
        report.check(True, "good")
    assert not report.ok
    told = capsys.readouterr().out
    assert "no such thing" in told
    assert "✓ good" in told
    assert "\033" not in told  # no colour but on a terminal


FORBIDDEN = 'Error from server (Forbidden): error when creating "STDIN": '
WEBHOOK = f'{FORBIDDEN}admission webhook "x.ringfence.dev" denied the request: '
FLOOR = f"{FORBIDDEN}a \"b\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'q' denied request: "


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (f"{WEBHOOK}spec.image: ImageNoDigest: pin it", "spec.image: ImageNoDigest: pin it"),
        (f"{FLOOR}closed", "closed"),
        ('Error from server (BadRequest): error when creating "STDIN": unknown field "x"', 'unknown field "x"'),
    ],
)
def test_a_refusal_without_its_wrapping(told: str, expected: str) -> None:
    assert sentences(told) == expected


def test_the_point_of_a_refusal_is_the_rule_that_was_meant() -> None:
    told = f"{WEBHOOK}violates 2 rules:\n  spec.a: RuleA: one\n  spec.b: RuleB: two"
    assert point(told, "RuleB") == "spec.b: RuleB: two\n(1 more)"
    assert point(told, "RuleC").startswith("not refused by RuleC")


def test_every_example_names_the_placeholder_or_no_image_at_all() -> None:
    for text in (accepted("IMAGE"), *(example.text for example in refused("IMAGE"))):
        assert PLACEHOLDER not in text
    assert "registry.example" in "".join(path.read_text() for path in FOLDER.glob("*.yaml"))


def test_labels() -> None:
    assert labels_of('a="b",c="d,e=\\"f"') == {"a": "b", "c": 'd,e=\\"f'}


def test_on_clusters_of_others_no_example_calls_the_real_provider() -> None:
    assert "-url" in accepted(PLACEHOLDER)
    assert "-url" not in accepted(PLACEHOLDER, quiet=True)
