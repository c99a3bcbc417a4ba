"""What is said of each event to a person: of which object, how serious, in what words."""

from typing import Any

import pytest

from ringfence.api.names import API_VERSION
from ringfence.api.status import ConditionType, Reason
from ringfence.telemetry import events
from ringfence.telemetry.events import DELETED, EDITED, HELD, AgentName
from ringfence.telemetry.refusals import EgressRefusedOften
from ringfence.telemetry.sinks.sentences import Sentence, sentence_of

WHO: Any = {"agent": AgentName("ns", "a"), "uid": "u"}
AGENT = {"apiVersion": API_VERSION, "kind": "AgentDeployment", "name": "a", "uid": "u"}
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "name": "ns"}
SLICE = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "name": "x", "uid": "u"}
CHILD: Any = {"kind": "Role", "name": "ringfence-a"}


def changed(kind: ConditionType, status: str, *, told: bool = True) -> events.ConditionChanged:
    about: Any = {"type": str(kind), "status": status, "previous": None, "reason": "Reason", "message": "so it is"}
    return events.ConditionChanged(**WHO, generation=1, told=told, **about)


def orphans(*objects: str) -> events.OrphansFound:
    return events.OrphansFound(namespace="ns", agent="a", objects=objects, stopped=True, message="left")


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (
            events.ChildRepaired(**WHO, **CHILD, rule=EDITED),
            Sentence(AGENT, "ns", Reason.DRIFT_REPAIRED, "Role ringfence-a was edited and is put right"),
        ),
        (
            events.ChildRepaired(**WHO, **CHILD, rule=DELETED),
            Sentence(AGENT, "ns", Reason.DRIFT_REPAIRED, "Role ringfence-a was deleted and is back"),
        ),
        (
            events.FinalizersRemoved(**WHO, **CHILD, rule=HELD, finalizers=("a", "b")),
            Sentence(
                AGENT,
                "ns",
                Reason.FINALIZER_REMOVED,
                "Role ringfence-a was being deleted and kept by the finalizers a, b: taken off, and it is made anew",
            ),
        ),
        (
            EgressRefusedOften(**WHO, rule="HostNotDeclared", count=12, field="network.egress[].host"),
            Sentence(
                AGENT,
                "ns",
                Reason.EGRESS_REFUSED,
                "its egress gateway refuses again and again: hosts that are not declared (network.egress[].host would "
                "allow what is meant); kubectl logs deployment/ringfence--a-gateway names each",
            ),
        ),
        (
            EgressRefusedOften(**WHO, rule="AddressNotAllowed", count=12),
            Sentence(
                AGENT,
                "ns",
                Reason.EGRESS_REFUSED,
                "its egress gateway refuses again and again: hosts that have private addresses, or the cluster's; "
                "kubectl logs deployment/ringfence--a-gateway names each",
            ),
        ),
        (
            events.StandingRepaired("ns", "NetworkPolicy", "ringfence-agents", DELETED),
            Sentence(NAMESPACE, "ns", Reason.DRIFT_REPAIRED, "NetworkPolicy ringfence-agents was deleted and is back"),
        ),
        (
            events.StandingMissing("ns", "RoleBinding", "ringfence-agents.ceiling", "no"),
            Sentence(NAMESPACE, "ns", Reason.NOT_APPLIED, "no"),
        ),
        (
            orphans("Deployment/ringfence-a", "Pod/ringfence-a-1"),
            Sentence(
                {"apiVersion": "apps/v1", "kind": "Deployment", "name": "ringfence-a"}, "ns", Reason.ORPHANED, "left"
            ),
        ),
        (
            orphans("Pod/ringfence-a-1"),
            Sentence({"apiVersion": "v1", "kind": "Pod", "name": "ringfence-a-1"}, "ns", Reason.ORPHANED, "left"),
        ),
        (changed(ConditionType.ACCEPTED, "True"), Sentence(AGENT, "ns", "Reason", "so it is", "Normal")),
        (changed(ConditionType.ACCEPTED, "False"), Sentence(AGENT, "ns", "Reason", "so it is", "Warning")),
        (changed(ConditionType.FENCE_WIDENED, "True"), Sentence(AGENT, "ns", "Reason", "so it is", "Warning")),
        (changed(ConditionType.ACCEPTED, "False", told=False), None),
        (
            events.SecretOverwritten(**WHO, secret="key", manager="kubectl"),
            Sentence(
                AGENT,
                "ns",
                Reason.SECRET_OVERWRITTEN,
                "the value of key was overwritten by kubectl; ringfence rotate makes a new one",
            ),
        ),
        (
            events.ServiceRedirected(**WHO, service="x/y:80", previous="a=b:80", leads_to="a=c:80"),
            Sentence(
                AGENT,
                "ns",
                Reason.SERVICE_REDIRECTED,
                "Service x/y:80 led to a=b:80, and now leads to a=c:80; status.effectiveEgress has what is reached",
            ),
        ),
        (
            events.ApiServerDoubted(slice="default/x", uid="u", addresses=("192.0.2.1:443",), why="another"),
            Sentence(
                SLICE,
                "default",
                Reason.ADDRESS_DOUBTED,
                "not taken for the API server's: 192.0.2.1:443: another",
            ),
        ),
        (events.AgentDeleted(**WHO), None),
        (events.LeaderSeen(), None),
    ],
    ids=lambda one: type(one).__name__ if not isinstance(one, Sentence) else "",
)
def test_what_is_said(event: Any, sentence: Sentence | None) -> None:
    assert sentence_of(event) == sentence
