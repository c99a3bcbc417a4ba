"""The runner of the pack: what it reads, and what kubectl's answers mean."""

import json
import stat
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from catalogue import run
from catalogue.run import ACCEPTED, NOT_APPLICABLE, REFUSED, UNCLEAR, Case, Outcome

CASE = Case("B1", "agents", "a star", REFUSED, "kind: X\n")


@pytest.mark.parametrize(
    ("said", "verdict", "by"),
    [
        (
            "The pods \"x\" is invalid: : ValidatingAdmissionPolicy 'guard' with binding 'guard' denied request: no",
            REFUSED,
            "policy guard",
        ),
        (
            'Error from server (Forbidden): admission webhook "a.b" denied the request: role.rbac "x" not found',
            REFUSED,
            "webhook a.b",
        ),
        (
            'Error from server (InternalError): failed calling webhook "a.b": refused',
            REFUSED,
            "webhook a.b (it did not answer)",
        ),
        (
            'Error from server (Forbidden): pods "x" is forbidden: violates PodSecurity "restricted:latest"',
            REFUSED,
            "Pod Security",
        ),
        (
            'Error from server (Forbidden): roles "x" is forbidden: user "y" (groups=[]) is attempting to grant RBAC',
            REFUSED,
            "RBAC",
        ),
        ('Error from server (Forbidden): pods is forbidden: User "x" cannot create resource "pods"', REFUSED, "RBAC"),
        (
            'Error from server (BadRequest): error when creating "STDIN": strict decoding error: unknown field "a"',
            REFUSED,
            "API server",
        ),
        ('The NetworkPolicy "x" is invalid: spec.egress[0].to[0]: Required value', REFUSED, "API server"),
        ("Error from server (BadRequest): pod x does not have a host assigned", ACCEPTED, ""),
        ('Error from server (NotFound): rolebindings.rbac.authorization.k8s.io "case" not found', NOT_APPLICABLE, ""),
        (
            'error: resource mapping not found for name: "x": no matches for kind "AgentDeployment" in version',
            NOT_APPLICABLE,
            "",
        ),
        (
            (
                'Error from server (Forbidden): roles "x" is forbidden: attempting to grant RBAC\n'
                'Error from server (NotFound): rolebindings.rbac.authorization.k8s.io "case" not found'
            ),
            REFUSED,
            "RBAC",
        ),
        ("Unable to connect to the server: dial tcp", UNCLEAR, ""),
        ("", UNCLEAR, ""),
    ],
)
def test_what_an_answer_means(said: str, verdict: str, by: str) -> None:
    assert run.verdict(1, said) == verdict
    assert Outcome(CASE, verdict, said).by == by


def test_an_answer_without_an_error_is_a_yes() -> None:
    assert run.verdict(0, 'Warning: admission webhook "x" denied the request') == ACCEPTED


def cases(tmp_path: Path, text: str) -> list[Case]:
    (tmp_path / "objects").mkdir(exist_ok=True)
    (tmp_path / "objects" / "CIS-5.1.4.yaml").write_text(text)
    return list(run.read(tmp_path))


TWO = """\
# What this file is about.
---
# case: one
# rule: X
kind: Pod
---
# case: two
# expect: accepted
# do: label pod $POD a-
"""


def test_cases_are_documents_with_marks(tmp_path: Path) -> None:
    first, second = cases(tmp_path, TWO)
    assert (first.id, first.form, first.title, first.expect) == ("CIS 5.1.4", "objects", "one", REFUSED)
    assert first.rule == "X"
    assert "kind: Pod" in first.text
    assert (second.expect, second.do, second.text) == (ACCEPTED, "label pod $POD a-", "")


@pytest.mark.parametrize(
    "text", ["# about\n---\nkind: Pod\n", "kind: Pod\n", "# case: x\n# expect: maybe\nkind: Pod\n"]
)
def test_a_case_that_does_not_say_what_it_is(tmp_path: Path, text: str) -> None:
    with pytest.raises(run.CannotTryError, match=r"write|has no line"):
        cases(tmp_path, text)


def test_every_case_of_the_pack_can_be_read_and_each_has_one_name() -> None:
    found = list(run.read(run.HERE / "cases"))
    assert len(found) > 400
    assert len({one.name for one in found}) == len(found)
    assert {one.form for one in found} == {"agents", "bindings", "networkpolicies", "objects"}
    assert sum(one.expect == ACCEPTED for one in found) > 10


@pytest.mark.parametrize("name", run.setups())
def test_a_setup_fills_in_every_name_of_the_cases(name: str) -> None:
    setup = run.read_setup(run.HERE / "setup" / f"{name}.yaml", "here")
    known = setup.values | {"POD": "p"}
    for case in run.read(run.HERE / "cases"):
        assert "$" not in run.fill(case.text, known), case.name
        assert "$" not in run.fill(case.do, known), case.name
    assert "$" not in setup.text.replace("# set: TENANT=system:serviceaccount:$NAMESPACE:tenant", "")
    assert setup.values["TENANT"] == "system:serviceaccount:here:tenant"


KUBECTL = """#!/usr/bin/env python3
import sys
words = sys.argv[1:]
open({record!r}, "a").write(repr(words) + chr(10))
text = sys.stdin.read() if "-" in words else ""
files = [word.partition("=")[2] for word in words if word.startswith("--filename=")]
texts = [open(file).read() for file in files]
open({record!r} + ".tried", "a").writelines(repr(one) + chr(10) for one in texts)
if words[:3] == ["get", "namespace", "catalogue"]:
    sys.exit(1)
if "privileged: true" in text:
    sys.exit('Error from server (Forbidden): pods "x" is forbidden: violates PodSecurity')
if "INVALID" in "".join([text, *texts]):
    sys.exit('The Pod "x" is invalid: spec: Required value')
named = [
    f'Error from server (Forbidden): error when creating "{{file}}": pods "x" is forbidden: violates PodSecurity'
    for file, one in zip(files, texts) if "privileged: true" in one
]
if named:
    sys.exit("Warning: of a policy\\n" + "\\n".join(named) + "\\nWarning: admission webhook")
print("pod/agent-1")
"""


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for kubectl that refuses what is privileged and writes down how it is called."""
    program, record = tmp_path / "kubectl", tmp_path / "record"
    program.write_text(KUBECTL.format(record=str(record)))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return record


def test_a_run_from_its_setup_to_its_end(record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, junit = tmp_path / "out.json", tmp_path / "junit.xml"
    assert run.main(["--only=B60", "--tenant", f"--json={out}", f"--junit={junit}", "--about=a stand-in"]) == 1
    told = json.loads(out.read_text())
    verdicts = {(one["form"], one["case"]): one["verdict"] for one in told["cases"]}
    assert told["about"] == "a stand-in"
    assert verdicts["objects", "privileged"] == REFUSED
    assert verdicts["objects", "escalation"] == ACCEPTED
    suite = ET.fromstring(junit.read_text())
    assert int(suite.attrib["failures"]) == sum(verdict == ACCEPTED for verdict in verdicts.values())
    assert "accepted  objects/B60: escalation" in capsys.readouterr().out
    calls = [eval(line) for line in record.read_text().splitlines()]
    assert calls[-1][:3] == ["delete", "--ignore-not-found", "--wait=false"]
    tried = [call for call in calls if "--dry-run=server" in call]
    manifests = [eval(line) for line in Path(f"{record}.tried").read_text().splitlines()]
    plain = [one for one in run.read(run.HERE / "cases") if one.id == "B60" and one.do == run.CREATE]
    assert len(tried) == 2 + len(verdicts) - len(plain), "the plain ones together, and those accepted once more"
    values = run.read_setup(run.HERE / "setup" / "kubernetes.yaml", "catalogue").values | {"POD": "agent-1"}
    assert {run.fill(one.text, values) for one in plain} == set(manifests)
    assert all(call[:2] == ["--as", "system:serviceaccount:catalogue:tenant"] for call in tried)
    assert not [call for call in calls if "create" in call and "--dry-run=server" not in call], "nothing is stored"


def many(*texts: str) -> list[Case]:
    return [Case(f"B{number}", "objects", "x", REFUSED, text) for number, text in enumerate(texts)]


def test_of_manifests_in_one_call_each_gets_its_own_message(record: Path) -> None:
    asked = many("privileged: true", "a: b", "privileged: true", "c: d")
    found = run.attempt_all(run.Kubectl(), asked, {"NAMESPACE": "here"})
    assert [one.case for one in found] == asked
    assert [one.verdict for one in found] == [REFUSED, ACCEPTED, REFUSED, ACCEPTED]
    assert found[0].by == "Pod Security"
    assert "/0.yaml" in found[0].said
    assert "Warning" not in found[2].said
    assert len(record.read_text().splitlines()) == 2


def test_a_message_that_names_no_manifest_accepts_none(record: Path) -> None:
    found = run.attempt_all(run.Kubectl(), many("INVALID", "privileged: true"), {"NAMESPACE": "here"})
    calls = [eval(line) for line in record.read_text().splitlines()]
    assert [one.verdict for one in found] == [REFUSED, REFUSED]
    assert sum(call[-4:] == ["create", "-f", "-", "--dry-run=server"] for call in calls) == 2


def test_only_what_is_as_expected_is_0(record: Path) -> None:
    assert run.main(["--only=good"]) == 0


@pytest.mark.parametrize("options", [["--only=B999"], ["--setup=nowhere"], ["--namespace=there"]])
def test_what_cannot_be_tried_is_2(record: Path, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(options) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_without_kubectl_that_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run.main(["--only=good"]) == 2
    assert "kubectl" in capsys.readouterr().err
