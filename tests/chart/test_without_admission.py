"""The webhook's registration, the floor and all guards deleted, the controller at work: what the catalogue gets then.

Nobody refuses anything at the door but the types of the API. The controller runs as its ServiceAccount, with what the
chart gives it: what is not among that, the API server does not let it give to an agent.
"""

import json
import re
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from api.controller.place import Place
from api.controller.process import Controller, Options, Record
from api.server import Server
from catalogue import run as runner
from chart.installing import installed
from chart.rendering import NAMESPACE
from cluster import Cluster
from cluster.shell import wait_for
from ringfence.api.names import CEILING_BINDING, MANAGED_BY, MANAGED_BY_LABEL
from ringfence.policy.addresses import Addresses
from ringfence.policy.atoms import Atom
from ringfence.policy.egress import DNS_PORTS
from ringfence.policy.levels import CEILING
from ringfence.policy.metadata import METADATA
from ringfence.policy.special import ALL_PROTECTED, BLOCK_V6_BITS, PUBLIC

pytestmark = pytest.mark.timeout(1200)

ACCOUNT = f"system:serviceaccount:{NAMESPACE}:ringfence-controller"
OURS = "app.kubernetes.io/part-of=ringfence"
POLICIES = "{0}admissionpolicy,{0}admissionpolicybinding"
ADMISSION = f"validatingwebhookconfiguration,{POLICIES.format('validating')},{POLICIES.format('mutating')}"
PACK = "without-admission"
PUBLIC_ADDRESSES = 65536
"""What the pack's AgentPolicy allows to one agent."""
WORKERS = 4
NAMED = re.compile(r'(?:generateN|n)ame("?: *"?)case(?:-(?!\w)|\b)')
"""Where a manifest of the pack says its name."""


@dataclass(frozen=True)
class Pack:
    """The namespace of the pack, with its agent."""

    place: Place
    kubectl: runner.Kubectl
    values: dict[str, str]
    controller: Controller
    record: Record

    def submit(self, case: runner.Case, text: str) -> bool:
        """As the pack does it, and not as a dry run. Whether it was taken."""
        words = shlex.split(runner.fill(case.do, self.values).replace("dryRun=All", ""))
        code, _ = self.kubectl("-n", self.place.name, *words, stdin=runner.fill(text, self.values))
        return code == 0

    def wait_rest(self) -> None:
        """Until the controller has nothing more to write."""
        wait_for("rest", lambda: self.record.rests(self.place.name, user=ACCOUNT), timeout=600)


@pytest.fixture(scope="module")
def pack(cluster: Cluster, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pack]:
    with installed(cluster):
        yield from _without_admission(cluster, server, tmp_path_factory.mktemp("controller") / "log")


def _without_admission(cluster: Cluster, server: Server, log: Path) -> Iterator[Pack]:
    cluster.kubectl("delete", ADMISSION, "-l", OURS)
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}"]
    options = Options(NAMESPACE, kubeconfig=cluster.user_kubeconfig(ACCOUNT, groups))
    controller = Controller(cluster, log, options)
    kubectl = runner.Kubectl([f"--kubeconfig={cluster.kubeconfig}"])
    setup = runner.read_setup(runner.HERE / "setup" / "ringfence.yaml", PACK)
    try:
        controller.wait_leading()
        record = Record(cluster)
        yield Pack(Place.at(server, PACK), kubectl, runner.prepare(kubectl, setup, 150), controller, record)
        assert cluster.kubectl("get", ADMISSION, "-l", OURS, "-o", "name") == "", "all of it stayed deleted"
    finally:
        controller.stop()
        kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin=setup.text)
        kubectl("delete", "--ignore-not-found", "clusterrolebinding,clusterrole", *CLUSTER_WIDE)


CLUSTER_WIDE = ("catalogue-case",)
Taken = dict[str, runner.Case]


def cases(*forms: str) -> list[runner.Case]:
    return [case for form in forms for case in runner.read(runner.HERE / "cases" / form)]


@pytest.fixture(scope="module")
def agents(pack: Pack) -> Taken:
    """The pack's agents, each by a name of its own; of those the types let in, the case by the name. All at rest."""
    named = {f"case-{number}": case for number, case in enumerate(cases("agents")) if case.text}

    def one(name: str) -> bool:
        case = named[name]
        return pack.submit(case, NAMED.sub(rf"name\g<1>{name}", case.text, count=1))

    with ThreadPoolExecutor(WORKERS) as pool:
        taken = dict(zip(named, pool.map(one, named), strict=True))
    found = {name: named[name] for name, is_taken in taken.items() if is_taken}
    assert len([case for case in found.values() if case.expect == runner.REFUSED]) > 100, "the door is open"
    edits = [case for case in cases("agents") if not case.text and case.expect == runner.REFUSED]
    edited = [pack.submit(case, "") for case in edits]
    assert any(edited), "the agent that was there before, too"
    pack.place.wait_condition("Accepted", "False", name="catalogue")
    for name, case in found.items():
        pack.place.wait_condition("Accepted", _acceptance(case), name=name)
    pack.wait_rest()
    return found


def _acceptance(case: runner.Case) -> str:
    return "True" if case.expect == runner.ACCEPTED else "False"


def rights(pack: Pack, account: str) -> set[Atom]:
    """What the API server lets a ServiceAccount of the namespace do there."""
    user = f"system:serviceaccount:{pack.place.name}:{account}"
    asked = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": PACK}}
    review = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    answer = pack.place.server.api.request("POST", review, json.dumps(asked).encode(), user=user)
    assert answer.ok, answer
    return {
        Atom(*words)
        for rule in answer.body["status"]["resourceRules"]
        for words in product(rule["apiGroups"], rule["resources"], rule["verbs"])
    }


def test_no_agent_may_do_more_than_the_ceiling(pack: Pack, agents: Taken) -> None:
    """And one that is not to be there may do nothing."""
    names = [*agents, "catalogue"]
    found = {name: rights(pack, f"ringfence-{name}") for name in names}
    anybody = rights(pack, "nobody")
    given = {name: held - anybody for name, held in found.items()}
    assert {name: held - CEILING for name, held in given.items() if held - CEILING} == {}
    assert given["catalogue"] == {Atom("", "configmaps", "get")}
    good = [name for name, case in agents.items() if case.title == "reads ConfigMaps"]
    assert [given[name] for name in good] == [{Atom("", "configmaps", verb) for verb in ("get", "list")}]
    refused = [name for name, case in agents.items() if case.expect == runner.REFUSED]
    assert {agents[name].name: given[name] for name in refused if given[name]} == {}


def test_what_is_not_to_be_there_does_not_run(pack: Pack, agents: Taken) -> None:
    running = {one["metadata"]["name"].removeprefix("ringfence-") for one in pack.place.items("Deployment")}
    assert {agents[name].name for name in agents.keys() & running if agents[name].expect == runner.REFUSED} == set()
    assert running >= {name for name, case in agents.items() if case.expect == runner.ACCEPTED} | {"catalogue"}


def ours(pack: Pack, kind: str) -> list[dict[str, Any]]:
    return [
        one
        for one in pack.place.server.request("GET", pack.place.path(kind)).body["items"]
        if (one["metadata"].get("labels") or {}).get(MANAGED_BY_LABEL) == MANAGED_BY
    ]


def check_ours(pack: Pack) -> None:
    """No RoleBinding of the controller's gives more than the ceiling, no policy of its opens what none may."""
    roles = {one["metadata"]["name"]: one for one in ours(pack, "Role")}
    for role in roles.values():
        rules = role["rules"] or []
        atoms = {
            Atom(*words) for rule in rules for words in product(rule["apiGroups"], rule["resources"], rule["verbs"])
        }
        assert atoms <= CEILING, role
    for binding in ours(pack, "RoleBinding"):
        if binding["metadata"]["name"] == CEILING_BINDING:
            (subject,) = binding["subjects"]
            assert (subject["namespace"], subject["name"]) == (NAMESPACE, "ringfence-controller")
            assert binding["roleRef"]["name"] == "ringfence-agent-ceiling"
        else:
            assert binding["roleRef"]["kind"] == "Role", binding
            assert binding["roleRef"]["name"] in roles, binding
    policies = ours(pack, "NetworkPolicy")
    assert policies
    for policy in policies:
        check_policy(policy)


def check_policy(policy: dict[str, Any]) -> None:
    """By what is written in it, and not by what wrote it."""
    spec, public = policy["spec"], 0
    assert spec["podSelector"], policy
    for rule in (*spec.get("egress", []), *spec.get("ingress", [])):
        peers = rule.get("to") or rule.get("from")
        assert peers, policy
        assert rule.get("ports"), policy
        for peer in peers:
            if "ipBlock" not in peer:
                assert peer["podSelector"].get("matchLabels"), policy
                assert peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"], policy
                continue
            block = peer["ipBlock"]
            opened = Addresses.of(block["cidr"]) - Addresses.of(*block.get("except", []))
            assert not opened & (ALL_PROTECTED | METADATA), policy
            assert not {port["port"] for port in rule["ports"]} & set(DNS_PORTS), policy
            of_internet = opened & PUBLIC
            public += of_internet.v4.size + of_internet.v6.blocks(BLOCK_V6_BITS)
    assert public <= PUBLIC_ADDRESSES, policy


def test_nothing_of_ours_opens_more(pack: Pack, agents: Taken) -> None:
    check_ours(pack)


def test_nor_does_it_once_all_else_was_tried(pack: Pack, agents: Taken) -> None:
    """Last. Bindings and policies of other people's do what they say, for nobody refuses them: that is told."""
    taken = 0
    for number, case in enumerate(cases("bindings", "networkpolicies", "objects")):
        taken += pack.submit(case, NAMED.sub(rf"name\g<1>case-{number}", case.text))
    assert taken > 100
    pack.wait_rest()
    check_ours(pack)
    said = pack.place.wait_condition("FenceWidened", "True", name="catalogue")
    assert "case-" in said["message"]
    deny = pack.place.get("NetworkPolicy", "ringfence-catalogue-deny")["spec"]
    assert (deny["policyTypes"], deny.get("egress", []), deny.get("ingress", [])) == (["Ingress", "Egress"], [], [])
