"""The chart's policies become files; what cannot become one is told, and never left out."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tools import static_floor
from tools.generate import ROOT
from tools.static_floor import FloorError, static

from ringfence.policy import floor
from ringfence.policy.floor import FloorValues, read_values, static_manifests

Manifest = dict[str, Any]


def policy(name: str, **spec: Any) -> Manifest:
    metadata = {"name": name, "labels": {"app.kubernetes.io/component": "guard", "helm.sh/chart": "ringfence-1"}}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": metadata,
        "spec": {"validations": [{"expression": "true"}]} | spec,
    }


def test_a_new_guard_is_in_the_files_by_itself() -> None:
    (found,) = static([policy("r-guard-new")], name="r")["guards"]
    assert found["metadata"] == {"name": "r-guard-new.static.k8s.io"}
    assert found["spec"] == policy("r-guard-new")["spec"]


def test_a_new_guard_with_a_parameter_is_told() -> None:
    with pytest.raises(FloorError, match=r"r-guard-new takes a parameter.*WITHOUT_PARAMETERS"):
        static([policy("r-guard-new", paramKind={"kind": "ConfigMap"})], name="r")


def test_a_parameter_that_is_still_named_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(static_floor.WITHOUT_PARAMETERS, "guard-new", lambda spec: None)
    used = [{"expression": "params.spec.x == 1"}]
    with pytest.raises(FloorError, match="names params"):
        static([policy("r-guard-new", paramKind={"kind": "ConfigMap"}, validations=used)], name="r")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ .Values.floor }}", "only lists of names"),
        ("{{ $root.Values.image.tag }}", "only lists of names"),
        ("{{ .Values.controller.replicas }}", "only lists of names"),
    ],
)
def test_a_value_that_has_no_place_in_the_files_is_told(tmp_path: Path, text: str, said: str) -> None:
    chart = tmp_path / static_floor.CHART
    shutil.copytree(ROOT / static_floor.CHART, chart)
    (chart / "templates/guards/new.yaml").write_text(text)
    with pytest.raises(FloorError, match=said):
        static_floor.files(tmp_path, {})


GUARD = """
{{- if .Values.guards.enabled }}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{- include "ringfence.guard.metadata" (list . "new") | nindent 2 }}
spec:
  validations:
    - expression: "'{{ .Release.Name }}' == '{{ .Release.Namespace }}'"
    {{- if eq .Values.certificates.provider "self" }}
    - expression: "false"
    {{- end }}
{{- end }}
"""


def test_what_is_chosen_from_a_few_is_chosen_in_the_files_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chart = tmp_path / static_floor.CHART
    shutil.copytree(ROOT / static_floor.CHART, chart)
    (chart / "templates/guards/new.yaml").write_text(GUARD)
    packaged = json.loads(static_floor.files(tmp_path, {})[static_floor.PATH])
    monkeypatch.setattr(floor, "_packaged", lambda: packaged)
    kinds = Counter(one["kind"] for one in static_manifests(FloorValues("x")))
    bound = {one["spec"]["policyName"] for one in static_manifests(FloorValues("x")) if "policyName" in one["spec"]}
    assert len(bound) + 1 == kinds["ValidatingAdmissionPolicy"], "each with a binding, but for the new one"
    for values, expected in (
        ({}, ["'r' == 'x'", "false"]),
        ({"certificates": {"provider": "self"}}, ["'r' == 'x'", "false"]),
        ({"certificates": {"provider": "cert-manager"}}, ["'r' == 'x'"]),
    ):
        chosen, wrong = read_values("x", "r", values)
        (new,) = (
            one for one in static_manifests(chosen) if one["metadata"]["name"] == "ringfence-guard-new.static.k8s.io"
        )
        assert (wrong, [one["expression"] for one in new["spec"]["validations"]]) == ([], expected)
    _, wrong = read_values("x", "r", {"certificates": {"provider": "vault"}})
    assert wrong == ['certificates.provider: must be one of "self", "cert-manager"']


OBJECT = re.compile(r"(?<![\w.])object\b")
ASKS = re.compile(
    r"object != null|\[object, oldObject\]\.exists\(o, o != null|oldObject [!=]= null|request\.operation [!=]="
)


def test_what_guards_deletions_looks_at_the_old_object() -> None:
    """On DELETE there is no `object`: an expression that uses it asks first. (tests/chart asks the API server.)"""
    guarding = 0
    for one in static_manifests(FloorValues("x")):
        spec = one["spec"]
        rules = spec.get("matchConstraints", {}).get("resourceRules", [])
        if not any("DELETE" in rule["operations"] or "*" in rule["operations"] for rule in rules):
            continue
        guarding += 1
        entries = [*spec["validations"], *spec.get("variables", []), *spec.get("matchConditions", [])]
        for entry in entries:
            for text in (entry["expression"], entry.get("messageExpression", "")):
                assert not OBJECT.search(text) or ASKS.search(text), f"{one['metadata']['name']}: {text}"
    assert guarding >= 3
