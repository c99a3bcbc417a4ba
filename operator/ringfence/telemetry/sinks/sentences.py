"""Events of the domain as what a person would want to know of them: about which object, and in what words. Pure."""

from dataclasses import dataclass
from functools import singledispatch
from typing import Any, Final, Literal

from ringfence.api.names import API_VERSION
from ringfence.api.status import Reason, is_met
from ringfence.gateway.log import Reason as Refusal
from ringfence.kube import Object
from ringfence.resources import CHILD_KINDS
from ringfence.resources.gateway_names import gateway_name
from ringfence.telemetry import events, refusals

SHOWN: Final = 4
"""Addresses in one sentence."""
_VERSIONS: Final = {kind.name: kind.group_version for kind in CHILD_KINDS.values()}


@dataclass(frozen=True)
class Sentence:
    """One sentence. `regarding`: the object that it is about, without its namespace, as a Kubernetes Event names it."""

    regarding: Object
    namespace: str
    reason: str
    note: str
    kind: Literal["Normal", "Warning"] = "Warning"


@singledispatch
def sentence_of(_event: Any) -> Sentence | None:
    """What to say of an event; None: it is no news for a person."""
    return None


@sentence_of.register
def _(event: events.ChildRepaired) -> Sentence:
    return _of_agent(event, Reason.DRIFT_REPAIRED, f"{event.kind} {event.name} {_put_back(event.rule)}")


@sentence_of.register
def _(event: events.FinalizersRemoved) -> Sentence:
    kept = f"was being deleted and kept by the finalizer{'s' if event.finalizers[1:] else ''}"
    note = f"{event.kind} {event.name} {kept} {', '.join(event.finalizers)}: taken off, and it is made anew"
    return _of_agent(event, Reason.FINALIZER_REMOVED, note)


@sentence_of.register
def _(event: events.PodEnded) -> Sentence:  # without its name: each pod of a loop would be news
    return _of_agent(event, Reason.POD_ENDED, "a pod that an edit of the Deployment made is ended at once")


@sentence_of.register
def _(event: events.StandingRepaired) -> Sentence:
    note = f"{event.kind} {event.name} {_put_back(event.rule)}"
    return Sentence(_namespace(event.namespace), event.namespace, Reason.DRIFT_REPAIRED, note)


@sentence_of.register
def _(event: events.StandingMissing) -> Sentence:
    return Sentence(_namespace(event.namespace), event.namespace, Reason.NOT_APPLIED, event.why)


@sentence_of.register
def _(event: events.OrphansFound) -> Sentence:
    kind, _, name = event.objects[0].partition("/")
    found = {"apiVersion": _VERSIONS.get(kind, "v1"), "kind": kind, "name": name}
    return Sentence(found, event.namespace, Reason.ORPHANED, event.message)


@sentence_of.register
def _(event: events.ConditionChanged) -> Sentence | None:
    if not event.told:
        return None
    kind: Literal["Normal", "Warning"] = "Normal" if is_met(event.type, event.status) else "Warning"
    return _of_agent(event, event.reason, event.message, kind)


@sentence_of.register
def _(event: events.RunEnded) -> Sentence | None:
    if event.outcome == "Refused":
        return _of_agent(
            event, Reason.RUN_REFUSED, f"run {event.name}, which was asked for, did not begin: {event.reason}"
        )
    if event.outcome == "Failed":
        return _of_agent(event, Reason.RUN_FAILED, f"run {event.name} failed: {event.reason}")
    return None


@sentence_of.register
def _(event: events.SecretOverwritten) -> Sentence:
    note = f"the value of {event.secret} was overwritten by {event.manager}; ringfence rotate makes a new one"
    return _of_agent(event, Reason.SECRET_OVERWRITTEN, note)


@sentence_of.register
def _(event: events.ServiceRedirected) -> Sentence:
    moved = f"Service {event.service} led to {event.previous}, and now leads to {event.leads_to}"
    note = f"{moved}; status.effectiveEgress has what is reached"
    return _of_agent(event, Reason.SERVICE_REDIRECTED, note)


_EGRESS: Final = {
    Refusal.HOST: "hosts that are not declared",
    Refusal.REQUEST: "methods or paths that the rules of a host do not name",
    Refusal.KEY: "keys that are not the gateway's, or a key's placeholder where it does not belong",
    Refusal.ADDRESS: "hosts that have private addresses, or the cluster's",
    Refusal.MALFORMED: "requests that a host could read in another way than the gateway",
}


@sentence_of.register
def _(event: refusals.EgressRefusedOften) -> Sentence:  # without a number: each burst would be news
    allows = f" ({event.field} would allow what is meant)" if event.field else ""
    seen = f"kubectl logs deployment/{gateway_name(event.agent.name)} names each"
    note = f"its egress gateway refuses again and again: {_EGRESS[Refusal(event.rule)]}{allows}; {seen}"
    return _of_agent(event, Reason.EGRESS_REFUSED, note)


@sentence_of.register
def _(event: events.ApiServerDoubted) -> Sentence:
    namespace, _, name = event.slice.partition("/")
    about = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "name": name, "uid": event.uid}
    shown = ", ".join(event.addresses[:SHOWN]) + (" and more" if len(event.addresses) > SHOWN else "")
    note = f"not taken for the API server's: {shown}: {event.why}"
    return Sentence(about, namespace, Reason.ADDRESS_DOUBTED, note)


def _of_agent(
    event: events.AgentEvent, reason: str, note: str, kind: Literal["Normal", "Warning"] = "Warning"
) -> Sentence:
    namespace, name = event.agent
    about = {"apiVersion": API_VERSION, "kind": "AgentDeployment", "name": name, "uid": event.uid}
    return Sentence(about, namespace, reason, note, kind)


def _put_back(rule: str) -> str:
    return "was deleted and is back" if rule == events.DELETED else "was edited and is put right"


def _namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "name": name}
