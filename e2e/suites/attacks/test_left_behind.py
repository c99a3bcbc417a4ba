"""No pod of an edited Deployment outlives the edit: by the processes of the node."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from cluster.images import TESTBOX
from cluster.shell import wait_for
from harness import agents
from harness.api import Api
from harness.environment import Environment
from harness.install import NAMESPACE as SYSTEM
from harness.kubectl import Kubectl, Object
from harness.manifests import NAMESPACE
from suites.attacks.agent import Agent

Make = Callable[..., Agent]
EDITS_A_SECOND, SECONDS = 13, 20
HOUR = 3600
GONE_WITHIN = 60.0
POLICIES = "/apis/ringfence.dev/v1alpha1/agentpolicies"
BINDINGS = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings"
CONTROLLERS = ("-n", SYSTEM, "-l", "app.kubernetes.io/component=controller")


class Editor:
    """A person with the ClusterRole `edit`, who wants a program of his own to stay."""

    def __init__(self, environment: Environment, agent: str) -> None:
        assert environment.cluster
        kubeconfig = environment.cluster.user_kubeconfig("ed", ["editors"])
        self.api = Api.of_kubeconfig(environment.cluster.server, Path(kubeconfig))
        self.mark = f"foreign-{uuid4().hex[:8]}"
        self.agent = agent

    def edit(self, number: int = 0) -> None:
        """Another image by name; a read that never ends, so that the program does not get to its answer to SIGTERM."""
        container = {"name": "agent", "image": TESTBOX, "args": ["cat", "/dev/ptmx", f"{self.mark}-{number % 2}"]}
        pod = {"terminationGracePeriodSeconds": HOUR, "containers": [container]}
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/ringfence-{self.agent}"
        body = {"spec": {"replicas": 1, "template": {"spec": pod}}}
        self.api.call("PATCH", path, body, kind="application/strategic-merge-patch+json")

    def processes(self) -> list[str]:
        """His programs that run: the node shares the machine's processes."""
        return [folder.name for folder in Path("/proc").iterdir() if folder.name.isdigit() and self._is_his(folder)]

    def _is_his(self, folder: Path) -> bool:
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            return False  # it has ended
        return words[:2] == [b"/testbox", b"cat"] and words[3].startswith(self.mark.encode())

    def pods(self, api: Api) -> list[str]:
        """His pods."""
        return [one["metadata"]["name"] for one in agents.pods(api, NAMESPACE, self.agent) if is_foreign(one)]


def is_foreign(pod: Object) -> bool:
    return bool(pod["spec"]["terminationGracePeriodSeconds"] == HOUR)


@pytest.fixture
def editor(environment: Environment, api: Api, make: Make) -> Iterator[Editor]:
    agent = make().name
    agents.wait(api, NAMESPACE, agent)
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "editors"}
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "editors"}}
    api.create(BINDINGS, binding | {"roleRef": role, "subjects": [subject]})
    found = Editor(environment, agent)
    yield found
    found.api.close()
    api.delete(f"{BINDINGS}/editors")


def wait_gone(editor: Editor, api: Api) -> None:
    wait_for("no foreign pod", lambda: not editor.pods(api), timeout=GONE_WITHIN)
    wait_for("no foreign process", lambda: not editor.processes(), timeout=GONE_WITHIN)


def edit_in_a_loop(editor: Editor, look: Callable[[], None]) -> int:
    """For so many seconds; `look` after each edit. How many edits that were."""
    end = time.monotonic() + SECONDS
    for number in itertools.count():
        if (began := time.monotonic()) > end:
            return number
        editor.edit(number)
        look()
        time.sleep(max(0.0, began + 1 / EDITS_A_SECOND - time.monotonic()))
    raise AssertionError("not reached")


@pytest.fixture(params=["Stop", "Keep"])
def repeated_edits(request: pytest.FixtureRequest, api: Api) -> Iterator[str]:
    """What becomes of an agent whose Deployment somebody edits in a loop, by the policies that bind it."""
    before = {one["metadata"]["name"]: one["spec"].get("onRepeatedEdits") for one in api.get(POLICIES)["items"]}
    for name in before:
        api.patch(f"{POLICIES}/{name}", {"spec": {"onRepeatedEdits": request.param}})
    yield request.param
    for name, value in before.items():
        api.patch(f"{POLICIES}/{name}", {"spec": {"onRepeatedEdits": value}})


def test_no_pod_of_an_edit_outlives_it(repeated_edits: str, editor: Editor, api: Api) -> None:
    """Two programs in turn, thirteen edits in a second, for twenty seconds."""
    made: set[str] = set()
    edits = edit_in_a_loop(editor, lambda: made.update(editor.pods(api)))
    wait_gone(editor, api)
    assert edits > EDITS_A_SECOND * SECONDS / 4, "as many as the machine could do, and not a few"
    assert made, "or their end would prove nothing"
    agents.wait(api, NAMESPACE, editor.agent, timeout=300)
    assert not editor.processes()


def test_what_was_edited_while_no_controller_ran_ends_when_one_comes(
    editor: Editor, api: Api, kubectl: Kubectl
) -> None:
    def pods() -> list[Object]:
        return agents.pods(api, NAMESPACE, editor.agent)

    kubectl("scale", "-n", SYSTEM, "deploy/ringfence-controller", "--replicas=0")
    try:
        wait_for("no controller", lambda: not kubectl.items("pods", *CONTROLLERS), timeout=180)
        editor.edit()
        wait_for("the foreign program", editor.processes, timeout=180)
        wait_for("the agent's own pod to make room for it", lambda: all(map(is_foreign, pods())), timeout=180)
    finally:
        kubectl("scale", "-n", SYSTEM, "deploy/ringfence-controller", "--replicas=2")
    wait_gone(editor, api)
    agents.wait(api, NAMESPACE, editor.agent, timeout=300)
