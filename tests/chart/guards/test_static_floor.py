"""The floor and the guards as files of the API server: they hold with every object of ours deleted."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from tools import static_floor

from api.controller.place import Place
from api.instances import instance
from api.server import Server
from chart.guards.asking import EDITS, OPENED_BEFORE, Somebody, of_user, passed, refused
from chart.guards.test_guards import *  # noqa: F403 - every guard's cases once more, with the fixtures below
from chart.guards.test_guards_around import *  # noqa: F403
from chart.rendering import CHART, IMAGE, NAMESPACE, ROOT, VALUES, render
from chart.test_floor import RIGHTS, WORST, agent, answer
from cluster import Cluster, ClusterError
from cluster.shell import run, wait_for
from ringfence.api.names import AGENT_LABEL, AGENTS_LABEL
from ringfence.cli.main import cli
from ringfence.policy.egress import DNS_PORTS
from ringfence.policy.levels import LEVELS, LOWEST, above
from unit.policy import test_egress
from unit.policy.test_egress import B70_TO_B73, B77_TO_B79
from unit.policy.test_permissions import CATALOGUE

NAME = instance("ringfence-static", "RINGFENCE_STATIC_CLUSTER")
OURS = "app.kubernetes.io/part-of=ringfence"
FILE = "ringfence.yaml"


def floor(*arguments: str, stdin: str | None = None) -> str:
    """What the command prints."""
    done = CliRunner().invoke(cli, ["floor", "--manifests", *arguments], input=stdin, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return str(done.stdout)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """An API server that reads policies from files, with the CRDs."""
    with Cluster.for_tests(NAME, mode="api", fresh=True, static_admission=True) as found:
        found.kubectl("create", "-f", str(ROOT / "crds"))
        wait_for("the CRDs", lambda: found.kubectl("explain", "agd"))
        found.kubectl("create", "namespace", NAMESPACE)
        yield found


@pytest.fixture(scope="module")
def server(cluster: Cluster) -> Iterator[Server]:
    client = Server(cluster.server, cluster.kubeconfig)
    yield client
    client.close()


@pytest.fixture(scope="module")
def guarded(cluster: Cluster, server: Server) -> Cluster:
    """The chart is installed beside the files; then an administrator deletes all of it that the API server has."""
    cluster.kubectl("label", "namespace", OPENED_BEFORE, f"{AGENTS_LABEL}=enabled")
    floor("--output", str(cluster.admission_manifests))
    run(["helm", "-n", NAMESPACE, "install", "ringfence", str(CHART), *IMAGE], env=cluster.env)
    kinds = cluster.kubectl("api-resources", "--verbs=list,delete", "-o", "name").split()
    everything = ",".join(kind for kind in kinds if not kind.startswith("events"))
    cluster.kubectl("delete", everything, "-A", "-l", OURS, timeout=240)
    wait_for("their end", lambda: cluster.kubectl("get", everything, "-A", "-l", OURS, "-o", "name") == "")
    wait_for("the webhook's end", lambda: "failed calling" not in answer(server, agent(), "default"))
    return cluster


@pytest.fixture
def opened(guarded: Cluster, server: Server) -> Iterator[str]:
    found = Place(server)
    yield found.name
    found.remove()


# --- one source


def by_name(manifests: Iterable[Any]) -> list[Any]:
    return sorted(manifests, key=lambda one: (one["metadata"]["name"], one["kind"]))


@pytest.mark.parametrize("name", VALUES)
def test_the_files_hold_what_the_chart_installs(name: str) -> None:
    """Policy by policy, but for the names, and for what stands instead of a parameter."""
    chosen = [argument for argument in VALUES[name] if argument != "-f"]
    printed = yaml.safe_load_all(floor(*(word for file in chosen for word in ("-f", file))))
    rendered = static_floor.static(render(*VALUES[name]), name="ringfence")
    assert by_name(printed) == by_name([*rendered["floor"], *rendered["guards"]])


def test_the_chart_and_the_files_take_the_same_values(tmp_path: Path) -> None:
    names = ["system:serviceaccount:velero:velero", 'some"body', "<o'brien&söhne>", "back\\slash"]
    guards = {"exempt": names}
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"fullnameOverride": "fence", "guards": guards}))
    printed = list(yaml.safe_load_all(floor("-n", NAMESPACE, "-f", str(values))))
    rendered = static_floor.static(render("-f", str(values)), name="fence")
    assert by_name(printed) == by_name([*rendered["floor"], *rendered["guards"]])
    assert json.dumps(names[0]) in json.dumps(printed).replace('\\"', '"')


@pytest.mark.parametrize("part", ["floor", "guards"])
def test_what_is_off_in_the_chart_is_off_in_the_files(part: str) -> None:
    printed = list(yaml.safe_load_all(floor("-f", "-", stdin=f"{part}: {{enabled: false}}")))
    rendered = static_floor.static(render("--set", f"{part}.enabled=false"), name="ringfence")
    assert by_name(printed) == by_name([*rendered["floor"], *rendered["guards"]])
    assert rendered[part] == []


def test_but_for_parameters_files_and_chart_say_the_same() -> None:
    """The comparison above uses the generator's own rules: this one does not."""
    theirs = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(floor())}
    changed = {f"ringfence-{name}" for name in static_floor.WITHOUT_PARAMETERS}
    for ours in render():
        if ours["kind"] not in static_floor.KINDS:
            continue
        policy, name = ours["spec"].get("policyName"), ours["metadata"]["name"]
        name = policy if policy and not name.startswith(policy) else name
        file = theirs.pop((ours["kind"], f"{name}.static.k8s.io"))
        if (policy or name) not in changed:
            text = json.dumps(file["spec"]).replace(".static.k8s.io", "")
            assert json.loads(text) == ours["spec"]
    assert not theirs
    assert "params" not in re.sub(r"'[^']*'", "", floor())


# --- they hold


def test_nothing_of_ours_is_left_in_the_api_server(guarded: Cluster) -> None:
    for kind in ("validatingadmissionpolicies", "validatingadmissionpolicybindings", "validatingwebhookconfigurations"):
        assert guarded.get(kind)["items"] == []
    assert guarded.get("deployments", "-n", NAMESPACE)["items"] == []


def test_the_worst_is_still_refused(opened: str, server: Server) -> None:
    for what, network in WORST.items():
        said = answer(server, agent(network=network), opened)
        assert "ValidatingAdmissionPolicy 'ringfence-floor.static.k8s.io'" in said, f"{what}: {said}"
    for what, rule in RIGHTS.items():
        said = answer(server, agent(permissions={"level": "Critical", "rules": [rule]}), opened)
        assert "ringfence-floor.static.k8s.io" in said or "is invalid" in said, f"{what}: {said}"
    assert "kubectl label namespace default ringfence.dev/agents=enabled" in answer(server, agent(), "default")
    for closed in ("kube-system", "kube-public", NAMESPACE):
        assert "is closed to agents, whatever its labels say" in answer(server, agent(), closed)


OF_CUSTOM_RESOURCES = "a custom resource"
"""Whether a kind of somebody's own gives power, files cannot know: the webhook and the controller say."""
PERMISSIONS = {case[0]: case[1] for case in CATALOGUE if case[0] != OF_CUSTOM_RESOURCES}


@pytest.mark.parametrize("asked", PERMISSIONS.values(), ids=PERMISSIONS.keys())
def test_permissions_of_the_catalogue_are_still_refused(opened: str, server: Server, asked: dict[str, Any]) -> None:
    said = answer(server, agent(permissions={"level": "Critical", "rules": [asked]}), opened)
    assert by_floor_or_schema(said), said


B75: list[str] = vars(test_egress.test_b75_metadata_and_the_machine_itself)["pytestmark"][0].args[1]
EGRESS = {
    **{name: [{"cidr": cidr, "ports": [443]} for cidr in cidrs] for name, cidrs in B70_TO_B73.items()},
    **{name: [entry] for name, entry in B77_TO_B79.items()},
    **{f"B75 {cidr}": [{"cidr": cidr, "ports": [443]}] for cidr in B75},
    **{f"B80 port {port}": [{"cidr": "203.0.113.9/32", "ports": [443, port]}] for port in DNS_PORTS},
}
UP_TO_THE_POLICY = {"B75 2001:0:808:808:0:0:5601:5601/128", "B73 one /8", "B73 many small"}
"""As much as the widest policy could allow, and what only the webhook and the controller read out of Teredo."""


EGRESS |= {
    f"B72 {cidr}": [{"cidr": cidr, "ports": [443]}]
    for cidr in ("::fffe:0:0/95", "64:ff9b::/103", "64:ff9b:1::8:0:0/128", "2002::/23", "2001::/64", "::8.0.0.0/103")
}


@pytest.mark.parametrize("name", sorted(EGRESS.keys() - UP_TO_THE_POLICY))
def test_egress_of_the_catalogue_is_still_refused(opened: str, server: Server, name: str) -> None:
    said = answer(server, agent(network={"egress": EGRESS[name]}), opened)
    assert by_floor_or_schema(said), said


def by_floor_or_schema(said: str) -> bool:
    return (
        "ringfence-floor.static.k8s.io" in said or "is invalid" in said or "unknown field" in said or "strict" in said
    )


PIECES = [f"{part}.0.0.0/8" for part in range(11, 75)]


@pytest.mark.parametrize(
    "cidrs",
    [
        PIECES[:2],
        PIECES,
        ["20.0.0.0/8", "2600::/64"],
        ["2600::/39"],
        [f"2600:{part:x}::/42" for part in range(0, 320, 64)],
    ],
)
def test_many_pieces_are_added_up(opened: str, server: Server, cidrs: list[str]) -> None:
    said = answer(server, agent(network={"egress": [{"cidr": cidr, "ports": [443]} for cidr in cidrs]}), opened)
    assert "together more of the internet" in said, said


def test_what_some_policy_may_allow_passes_the_floor(opened: str, server: Server) -> None:
    """Each permission at its own level, and no earlier; networks up to the most, however often they are named."""
    for (group, resource), verbs in LOWEST.items():
        for verb, lowest in verbs.items():
            rules = [{"apiGroups": [group], "resources": [resource], "verbs": [verb]}]
            for level in LEVELS:
                said = answer(server, agent(permissions={"level": level, "rules": rules}), opened)
                assert (said == "") != above(lowest, level), (level, rules, said)
    for cidrs in (
        ["20.0.0.0/8", "20.1.0.0/16", "20.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "fd12::/16"],
        [f"20.{part}.0.0/16" for part in range(64)],
        [f"2600:0:{part:x}::/48" for part in range(64)],
        ["64:ff9b::808:808/128", "2002:808:808::/48"],
    ):
        wide = [{"cidr": cidr, "ports": [443]} for cidr in cidrs]
        said = answer(server, agent(network={"egress": wide}), opened)
        assert said == "", said


def test_a_good_agent_still_passes(opened: str, server: Server) -> None:
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}
    network = {"egress": [{"cidr": "203.0.113.0/28", "ports": [443]}]}
    assert answer(server, agent(network=network, permissions={"level": "ReadOnly", "rules": [rule]}), opened) == ""


def test_a_namespace_with_agents_stays_open(  # type: ignore[no-redef]
    place: Place, admin: Somebody, controller: Server, guarded: Cluster
) -> None:
    """In place of the guards' own case: files cannot see whether there are agents."""
    path = f"/api/v1/namespaces/{place.name}"
    for value in (None, "disabled"):
        refused(admin.merge(path, {"metadata": {"labels": {AGENTS_LABEL: value}}}), "may have agents")
    passed(admin.merge(path, {"metadata": {"labels": {"team": "x"}}}))
    passed(admin.merge("/api/v1/namespaces/default", {"metadata": {"labels": {"team": "x"}}}))


def test_what_was_admitted_once_is_not_locked(guarded: Cluster, server: Server) -> None:
    """An agent that the floor refuses today, in a namespace that was closed: its finalizer comes off, and it goes."""
    found = Place(server, labels={})
    manifest = found.path("AgentDeployment")
    (guarded.admission_manifests / FILE).rename(guarded.admission_manifests / "off")
    wait_for("the floor's absence", lambda: answer(server, agent(), found.name) == "")
    held = agent(network=WORST["everything"])
    held["metadata"]["finalizers"] = ["example.com/hold"]
    assert server.request("POST", manifest, json.dumps(held).encode()).ok
    (guarded.admission_manifests / "off").rename(guarded.admission_manifests / FILE)
    wait_for("the floor", lambda: "ringfence-floor" in answer(server, agent(), found.name))
    somebody = Somebody(server)
    one = found.path("AgentDeployment", "probe")
    assert "ringfence-floor" in somebody.merge(one, {"spec": {"replicas": 2}}).message
    passed(somebody.merge(one, {"metadata": {"labels": {"team": "x"}}}))
    assert server.request("DELETE", f"/api/v1/namespaces/{found.name}").ok
    found.merge_at(one, {"metadata": {"finalizers": None}})
    gone = f"/api/v1/namespaces/{found.name}"
    wait_for("the namespace's end", lambda: server.request("GET", gone).code == 404)


@pytest.mark.parametrize("kind", [*EDITS, "Secret", "ReplicaSet", "AgentDeployment"])
def test_deletes_are_decided_by_what_is_there(place: Place, admin: Somebody, kind: str) -> None:
    """Of a deletion there is no `object`, of many at once no name either: the guard says its sentence all the same."""
    options = {"propagationPolicy": "Orphan"}
    ours = [one["metadata"]["name"] for one in place.items(kind) if AGENT_LABEL in one["metadata"].get("labels", {})]
    name = "a" if kind == "AgentDeployment" else ours[0]
    for path in (place.path(kind, name), f"{place.path(kind)}?labelSelector=app%21%3Dother"):
        answer = admin.delete(path, **options)
        refused(answer)
        assert "expression" not in answer.message, answer.message
        assert name in answer.message


# --- they are files


def reloads(server: Server, status: str) -> float:
    """How often the API server has read the files so far, with that result."""
    text = server.request("GET", "/metrics").content.decode()
    name = "apiserver_manifest_admission_config_controller_automatic_reloads_total"
    lines = [line for line in text.splitlines() if line.startswith(name) and f'status="{status}"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def replace(file: Path, text: str) -> None:
    """In one step: an API server that reads an empty file has no floor."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


@pytest.fixture
def file(guarded: Cluster) -> Iterator[Path]:
    """The file, put back afterwards."""
    found = guarded.admission_manifests / FILE
    before = found.read_text()
    yield found
    replace(found, before)


def test_a_changed_file_counts_without_a_restart(file: Path, guarded: Cluster, opened: str) -> None:
    backup = of_user(guarded, "system:serviceaccount:velero:velero")
    close = {"metadata": {"labels": {AGENTS_LABEL: None}}}
    refused(Somebody(backup).merge(f"/api/v1/namespaces/{opened}", close), "may have agents")
    exempt = "guards: {exempt: ['system:serviceaccount:velero:velero']}"
    floor("-f", "-", "--output", str(file.parent), stdin=exempt)
    wait_for("the new file", lambda: Somebody(backup).merge(f"/api/v1/namespaces/{opened}", close).ok)
    backup.close()


def test_a_broken_file_leaves_the_last_good_state(file: Path, server: Server, opened: str) -> None:
    bad = agent(network=WORST["everything"])
    for broken in ("{", "kind: Pod", file.read_text().replace("failurePolicy", "failurePolice", 1)):
        failures = reloads(server, "failure")
        replace(file, broken)
        wait_for("the failure", lambda before=failures: reloads(server, "failure") > before)  # type: ignore[misc]
        assert "ringfence-floor.static.k8s.io" in answer(server, bad, opened)
        assert answer(server, agent(), opened) == ""


def test_an_api_server_starts_with_the_floor_or_not_at_all(file: Path, guarded: Cluster, opened: str) -> None:
    """Last: it restarts the API server."""
    good = file.read_text()
    guarded.stop_apiserver()
    replace(file, "{")
    with pytest.raises(ClusterError, match="does not come up"):
        guarded.start_apiserver()
    replace(file, good)
    guarded.start_apiserver()
    again = Server(guarded.server, guarded.kubeconfig)
    assert "ringfence-floor.static.k8s.io" in answer(again, agent(network=WORST["everything"]), opened)
    assert answer(again, agent(), opened) == ""
    again.close()
