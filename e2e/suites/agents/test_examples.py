"""The files in examples/, as a newcomer applies them."""

import json

import pytest

from harness import manifests
from harness.kubectl import Kubectl
from harness.manifests import NAMESPACE

pytestmark = pytest.mark.usefixtures("examples")


def test_they_are_taken_as_they_are(kubectl: Kubectl) -> None:
    """With the placeholder still in them; a dry run, so that nothing is started from it."""
    told = kubectl("apply", "--dry-run=server", "-f", str(manifests.FOLDER))
    assert "agentdeployment.ringfence.dev/researcher" in told


@pytest.mark.parametrize("example", manifests.refused(manifests.PLACEHOLDER), ids=lambda example: example.name)
def test_the_refused_ones_are_refused_for_what_they_say(kubectl: Kubectl, example: manifests.Refused) -> None:
    assert example.rule in kubectl.refusal(example.text)
    assert example.rule in kubectl.refusal(example.text, "--dry-run=server")
    name = example.text.partition("name: ")[2].split()[0]
    assert not kubectl.find("agd", name, "-n", NAMESPACE)


def test_an_agent_tells_its_story_in_one_line(kubectl: Kubectl) -> None:
    line = next(text for text in kubectl("get", "agd", "-n", NAMESPACE).splitlines() if text.startswith("researcher"))
    assert line.split()[1:3] == ["True", "Ready"]


def test_describe_fits_a_screen(kubectl: Kubectl) -> None:
    told = kubectl("describe", "agd", "researcher", "-n", NAMESPACE)
    assert "the fence stands and the agent runs inside it" in told
    assert "api.anthropic.com:443 preset anthropic" in told


def test_the_status_holds_what_is_in_force(kubectl: Kubectl) -> None:
    status = kubectl.get("agd", "librarian", "-n", NAMESPACE)["status"]
    assert status["effectivePermissions"] == ["get,list configmaps"]
    assert "0000000000" not in json.dumps(status)
