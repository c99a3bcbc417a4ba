"""operator/ringfence/policy/floor.json: the chart's floor and guards as the API server takes them from files.

One source: the chart's own templates, rendered by helm with a mark for each value, so that a new guard is in the files
by itself. What files cannot have are parameters (no policy of a file may look at an object): a policy that takes some
has an entry in WITHOUT_PARAMETERS, which says what is decided instead.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from cluster import programs
from cluster.errors import ClusterError
from cluster.shell import run
from ringfence.policy.floor import LIST_MARK, NAME_MARK, NAMESPACE_MARK, PARTS, RELEASE_MARK, SUFFIX
from tools import static_rules

PATH = "operator/ringfence/policy/floor.json"
CHART = "charts/ringfence"
TEMPLATES = ("floor.yaml", "guards/*")
"""Where the floor and the guards are, below the chart's templates."""
COMPONENTS = {"floor": "floor", "guard": "guards"}
"""Label app.kubernetes.io/component -> part of the chart's values."""
REFERENCE = re.compile(r"\.Values\.([A-Za-z0-9_.]+)")
PARAMETER = re.compile(r"(?<![\w.])params\b")
KINDS = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")

Manifest = dict[str, Any]
Choice = dict[str, Any]
"""Path of a value -> the value, of those that change what is rendered and not only what stands in it."""


class FloorError(Exception):
    """The chart has something that cannot be put into a file as it is."""


def files(root: Path, others: Mapping[str, str]) -> dict[str, str]:
    """Path -> content. `others`: generated files, of which those in the chart are rendered, too. Raises FloorError."""
    with tempfile.TemporaryDirectory() as folder:
        chart = Path(shutil.copytree(root / CHART, Path(folder) / "chart"))
        for path, other in others.items():
            if path.startswith(f"{CHART}/"):
                (chart / path.removeprefix(f"{CHART}/")).write_text(other, encoding="utf-8")
        lists, choices = _values(chart)
        marked: dict[str, Any] = {path: [LIST_MARK.format(path)] for path in lists}
        variants: list[tuple[Choice, dict[str, list[Manifest]]]] = []
        for chosen in product(*(of["of"] for of in choices.values())):
            choice = dict(zip(choices, chosen, strict=True))
            image = {"image.repository": "none", "image.tag": "none"}
            text = _rendered(chart, {"fullnameOverride": NAME_MARK} | image | marked | choice)
            variants.append((choice, static(yaml.safe_load_all(text), name=NAME_MARK)))
    content: dict[str, Any] = {"values": lists, "choices": choices}
    content |= {part: _entries([(choice, found[part]) for choice, found in variants]) for part in PARTS}
    return {PATH: json.dumps(content, indent=1, ensure_ascii=False) + "\n"}


def _rendered(chart: Path, values: Mapping[str, Any]) -> str:
    file = chart.with_name("values.yaml")
    file.write_text(yaml.safe_dump(_nested(values)))
    try:
        return run(
            [programs.tools() / "helm", "template", RELEASE_MARK, str(chart), "-n", NAMESPACE_MARK, "-f", str(file)]
        )
    except ClusterError as error:
        raise FloorError(f"helm cannot render {CHART} with a mark for each value: {error}") from error


def _entries(variants: list[tuple[Choice, list[Manifest]]]) -> list[dict[str, Any]]:
    """Each manifest once; with `when` where it is so under some choices alone."""
    found: list[dict[str, Any]] = []
    for choice, manifests in variants:
        for manifest in manifests:
            for entry in found:
                if entry["manifest"] == manifest:
                    entry["when"].append(choice)
                    break
            else:
                found.append({"manifest": manifest, "when": [choice]})
    for entry in found:
        if len(entry["when"]) == len(variants):
            del entry["when"]
    return found


def static(rendered: Iterable[Manifest], *, name: str) -> dict[str, list[Manifest]]:
    """The policies and bindings of what helm rendered, by part, as files hold them. Raises FloorError."""
    parts: dict[str, list[Manifest]] = {part: [] for part in PARTS}
    for manifest in rendered:
        if manifest and manifest["kind"] in KINDS:
            component = manifest["metadata"]["labels"]["app.kubernetes.io/component"]
            parts[COMPONENTS[component]].append(_converted(manifest, name))
    return parts


def _converted(manifest: Manifest, release: str) -> Manifest:
    spec = json.loads(json.dumps(manifest["spec"]))
    binds = manifest["kind"] == "ValidatingAdmissionPolicyBinding"
    # A binding is called as its policy where the chart's name says something else: the floor's, of its parameter.
    name = manifest["metadata"]["name"]
    policy = spec["policyName"] if binds else name
    name = name if name.startswith(policy) else policy
    if binds:
        spec["policyName"] += SUFFIX
        spec.pop("paramRef", None)
    elif spec.pop("paramKind", None) is not None:
        try:
            WITHOUT_PARAMETERS[name.removeprefix(f"{release}-")](spec)
        except (KeyError, IndexError) as error:
            raise FloorError(
                f"ValidatingAdmissionPolicy {name} takes a parameter, and no file can: say in WITHOUT_PARAMETERS of "
                f"tools/static_floor.py what is decided without it ({error!r})"
            ) from error
        if PARAMETER.search(json.dumps(spec)):
            raise FloorError(f"ValidatingAdmissionPolicy {name}: an expression names params, which no file has")
    head = {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"]}
    return head | {"metadata": {"name": name + SUFFIX}, "spec": spec}


def _floor(spec: Manifest) -> None:
    """The chart's floor steps back while the webhook's registration is in order; this one always decides.

    So it also holds what no policy can allow, for which the chart's counts on the webhook.
    """
    (webhook,) = (one for one in spec["variables"] if one["name"] == "webhook")
    webhook["expression"] = "false"
    spec["variables"] += static_rules.variables()
    spec["validations"] += static_rules.validations()


def _namespaces(spec: Manifest) -> None:
    """The chart's guard looks for agents; here a namespace that was opened stays open whether it has any or not."""
    spec["failurePolicy"] = "Fail"
    (only,) = spec["validations"]
    only["messageExpression"] = (
        "'namespace ' + request.name + ' may have agents, and a policy in a file of the API server cannot look: "
        "who is in guards.exempt of the chart ringfence closes it, others delete it'"
    )


def _connections(spec: Manifest) -> None:
    """The chart's guard looks for the groups that the namespace's policies name; here nobody gets in."""
    del spec["variables"]
    (only,) = spec["validations"]
    only["expression"] = "false"
    only["messageExpression"] = (
        "request.subResource + ' into an agent is for the groups that AgentPolicies name, and a policy in a file of "
        "the API server cannot look: who is in guards.exempt of the chart ringfence gets in. kubectl logs works'"
    )


def _labels(spec: Manifest) -> None:
    """Which labels agents may have, policies say, and a file cannot look at any."""
    spec["failurePolicy"] = "Fail"
    spec["variables"], spec["validations"] = [], [{"expression": "true"}]


WITHOUT_PARAMETERS: dict[str, Callable[[Manifest], None]] = {
    "floor": _floor,
    "guard-connections": _connections,
    "guard-labels": _labels,
    "guard-namespaces": _namespaces,
}
"""Policy that takes a parameter -> what is changed so that it needs none."""


def _values(chart: Path) -> tuple[dict[str, list[str]], dict[str, dict[str, Any]]]:
    """The chart's values that floor and guards use: lists of names, with defaults, and what is chosen from a few."""
    values = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((chart / "values.schema.json").read_text(encoding="utf-8"))
    lists: dict[str, list[str]] = {}
    choices: dict[str, dict[str, Any]] = {}
    for pattern in TEMPLATES:
        for file in sorted((chart / "templates").glob(pattern)):
            for path in REFERENCE.findall(file.read_text(encoding="utf-8")):
                if path in {f"{part}.enabled" for part in PARTS}:
                    continue
                default, kind = values, schema
                for key in path.split("."):
                    default, kind = default[key], kind["properties"][key]
                if isinstance(default, list):
                    lists[path] = default
                elif isinstance(default, bool) or "enum" in kind:
                    choices[path] = {"default": default, "of": kind.get("enum", [False, True])}
                else:
                    raise FloorError(
                        f"{file.name} uses .Values.{path}: only lists of names, switches, and what values.schema.json "
                        "has an enum for get into the files"
                    )
    return dict(sorted(lists.items())), dict(sorted(choices.items()))


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path, value in flat.items():
        *above, last = path.split(".")
        into = found
        for key in above:
            into = into.setdefault(key, {})
        into[last] = value
    return found
