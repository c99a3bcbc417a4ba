"""The observed side: conditions with reasons from one fixed set."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from .base import ListType, Model
from .fields import Generation
from .network import MAX_EGRESS, MAX_RULES


class ConditionType(StrEnum):
    """What is observed about an agent. Each is True only for what was read back from the cluster.

    Of FenceWidened, True is what should not be. PermissionsHeld is there for agents that get what somebody must hold,
    GatewayReady for those with hosts, FenceVerified for those whose fence was tried: it speaks of that moment.
    """

    READY = "Ready"
    ACCEPTED = "Accepted"
    FENCE_WIDENED = "FenceWidened"
    NETWORK_POLICY_APPLIED = "NetworkPolicyApplied"
    RIGHTS_APPLIED = "RightsApplied"
    SECRETS_FRESH = "SecretsFresh"
    GATEWAY_READY = "GatewayReady"
    WORKLOAD_AVAILABLE = "WorkloadAvailable"
    PERMISSIONS_HELD = "PermissionsHeld"
    FENCE_VERIFIED = "FenceVerified"


class Progress(StrEnum):
    """The pair by which tools that apply manifests tell waiting from being stuck (kstatus: Argo CD, Flux, kpt).

    Both follow from Ready. At most one is True; neither is for an agent that is as it should be, or that is suspended.
    """

    RECONCILING = "Reconciling"
    STALLED = "Stalled"


_SHOULD_BE_FALSE = frozenset({ConditionType.FENCE_WIDENED, *Progress})


def is_met(kind: str, status: str) -> bool:
    """Whether a condition is as it should be."""
    return status == ("False" if kind in _SHOULD_BE_FALSE else "True")


OF_A_MOMENT = frozenset({ConditionType.FENCE_VERIFIED})
"""Conditions that tell what came of something that somebody asked for: no agent waits for them."""


class Reason(StrEnum):
    """Why a condition has its status: the one set for conditions, Events and log lines."""

    READY = "Ready"
    ACCEPTED = "Accepted"
    REFUSED = "Refused"
    INVALID = "Invalid"
    HAND_OVER_UNDECIDED = "HandOverUndecided"
    AS_DECLARED = "AsDeclared"
    FENCE_WIDENED = "FenceWidened"
    FOREIGN_POLICY = "ForeignPolicy"
    FOREIGN_BINDING = "ForeignBinding"
    POD_RELABELLED = "PodRelabelled"
    POD_NOT_RESTRICTED = "PodNotRestricted"
    APPLIED = "Applied"
    NOT_APPLIED = "NotApplied"
    NO_RIGHTS = "NoRights"
    CHILD_NOT_OURS = "ChildNotOurs"
    WRITE_FAILED = "WriteFailed"
    SERVICE_NOT_FOUND = "ServiceNotFound"
    SERVICE_REDIRECTED = "ServiceRedirected"
    DNS_REFUSED = "DnsRefused"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a reason, not a secret
    SECRET_UNUSABLE = "SecretUnusable"  # noqa: S105 - a reason
    NO_SECRETS = "NoSecrets"
    FRESH = "Fresh"
    SECRET_TOO_OLD = "SecretTooOld"  # noqa: S105 - a reason
    EXISTING_SECRET_TOO_OLD = "ExistingSecretTooOld"  # noqa: S105 - a reason
    AGE_UNKNOWN = "AgeUnknown"
    SECRET_OVERWRITTEN = "SecretOverwritten"  # noqa: S105 - a reason
    ROTATION_OVERDUE = "RotationOverdue"
    NOT_GRANTED = "NotGranted"
    HELD = "Held"
    NOT_HELD = "NotHeld"
    REQUESTER_UNKNOWN = "RequesterUnknown"
    NOT_ANSWERED = "NotAnswered"
    CONSENT_MISSING = "NamespaceConsentMissing"
    AVAILABLE = "Available"
    NO_GATEWAY_IMAGE = "NoGatewayImage"
    GATEWAY_UNUSABLE = "GatewayUnusable"
    GATEWAY_REFUSED_UPDATE = "GatewayRefusedUpdate"
    RUNNING = "Running"
    SCHEDULED = "Scheduled"
    RUN_SUCCEEDED = "RunSucceeded"
    RUN_FAILED = "RunFailed"
    RUN_REFUSED = "RunRefused"
    PROGRESSING = "Progressing"
    UNAVAILABLE = "Unavailable"
    SUSPENDED = "Suspended"
    SUSPENDED_BY_POLICY = "SuspendedByPolicy"
    UNFENCED = "Unfenced"
    FENCE_CONTESTED = "FenceContested"
    FENCE_HOLDS = "FenceHolds"
    FENCE_OPEN = "FenceOpen"
    NOT_REACHED = "NotReached"
    NOT_TRIED = "NotTried"
    SPEC_CHANGED = "SpecChanged"
    DRIFT_REPAIRED = "DriftRepaired"
    EGRESS_REFUSED = "EgressRefused"
    FINALIZER_REMOVED = "FinalizerRemoved"
    POD_ENDED = "PodEnded"
    ADDRESS_DOUBTED = "AddressDoubted"
    ORPHANED = "Orphaned"
    CREATED = "Created"
    DELETING = "Deleting"
    INTERNAL_ERROR = "InternalError"


class Condition(Model):
    """Kubernetes' metav1.Condition."""

    type: Annotated[str, Field(max_length=64)] = Field(description="What the condition speaks of.")
    status: Literal["True", "False", "Unknown"] = Field(
        description="True only for what was read back from the cluster."
    )
    observed_generation: Generation = Field(description="The generation of the object that was looked at.")
    last_transition_time: Annotated[str, Field(max_length=32)] = Field(
        description="When the status last changed (RFC 3339)."
    )
    reason: Annotated[str, Field(max_length=64)] = Field(description="One word of a fixed set.")
    message: Annotated[str, Field(max_length=4096)] = Field(description="The same in a sentence, with what to do.")


class SecretStatus(Model):
    """One key: when it changed, and when it will."""

    name: Annotated[str, Field(max_length=63)] = Field(description="Name of the secret within the agent.")
    last_rotated: Annotated[str, Field(max_length=32)] | None = Field(
        default=None, description="When its value changed last."
    )
    next_rotation: Annotated[str, Field(max_length=32)] | None = Field(
        default=None, description="When its value will have changed at the latest; absent for an existing Secret."
    )


class ManagedResource(Model):
    """One child that Ringfence keeps for the agent."""

    kind: Annotated[str, Field(max_length=63)] = Field(description="Kind of the child.")
    name: Annotated[str, Field(max_length=253)] = Field(description="Its name.")
    namespace: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description="Its namespace, where that is not the agent's."
    )
    digest: Annotated[str, Field(max_length=64)] | None = Field(
        default=None,
        description="Of the content of a NetworkPolicy, Role or RoleBinding as it was accepted: tells an edit while a "
        "newer generation is not accepted.",
    )


class RunStatus(Model):
    """One run: when it began, and how it ended."""

    name: Annotated[str, Field(max_length=63)] = Field(description="Name of its Job; its pod's name begins with it.")
    cause: Literal["Spec", "Schedule", "Request"] = Field(
        description="Spec: what the agent runs was new. Schedule: its time had come. Request: `ringfence run`."
    )
    outcome: Literal["Running", "Succeeded", "Failed", "Ended", "Refused"] = Field(
        description="Ended: by Ringfence, before it was through. Refused: it did not begin."
    )
    reason: Annotated[str, Field(max_length=64)] | None = Field(
        default=None,
        description="Why it failed, in Kubernetes' word (DeadlineExceeded, BackoffLimitExceeded), or why it was ended "
        "or refused.",
    )
    started: Annotated[str, Field(max_length=32)] | None = Field(default=None, description="When it began.")
    ended: Annotated[str, Field(max_length=32)] | None = Field(default=None, description="When it ended.")
    failures: int | None = Field(default=None, ge=0, le=1000, description="Pods of it that failed.")


AttemptId = Annotated[str, Field(max_length=512)]


class AttemptStatus(Model):
    """One attempt that did not come out as it must, or that could not be made."""

    id: AttemptId = Field(description="What was tried: which kind of place, and where.")
    wanted: Literal["open", "closed"] = Field(description="open: it must work. closed: it must not.")
    came: Annotated[str, Field(max_length=256)] = Field(description="What came back.")
    why: Annotated[str, Field(max_length=256)] = Field(description="Why that is wanted.")


class VerificationStatus(Model):
    """What came of the last trial of the agent's fence, by real connections and calls from a pod like its own."""

    name: Annotated[str, Field(max_length=63)] = Field(description="Name of the Job that made it.")
    generation: Generation = Field(description="The generation whose fence was tried.")
    time: Annotated[str, Field(max_length=32)] = Field(description="When it was over.")
    outcome: Literal["Held", "Failed", "NotTried"] = Field(
        description="Held: each attempt came out as it must. Failed: one did not. NotTried: not all could be made."
    )
    message: Annotated[str, Field(max_length=1024)] = Field(description="The same in a sentence, with the first one.")
    tried: int = Field(default=0, ge=0, le=10000, description="Attempts in all.")
    failed: Annotated[list[AttemptStatus], Field(max_length=32), ListType("atomic")] = Field(
        default_factory=list, description="Those that did not come out as they must; what does not fit is left out."
    )
    untried: Annotated[list[AttemptStatus], Field(max_length=32), ListType("atomic")] = Field(
        default_factory=list, description="Those that could not be made."
    )
    silent: Annotated[list[AttemptId], Field(max_length=256), ListType("atomic")] = Field(
        default_factory=list,
        description="Places that were silent, and may be so by themselves: nothing is proven of them.",
    )
    held: Annotated[list[AttemptId], Field(max_length=256), ListType("atomic")] = Field(
        default_factory=list, description="Those that came out as they must, as far as they fit."
    )


class AgentStatus(Model):
    """Written by Ringfence only."""

    observed_generation: Generation | None = Field(
        default=None, description="The generation that the conditions speak of."
    )
    accepted_generation: Generation | None = Field(
        default=None,
        description="The last generation whose children were written: the last good state.",
    )
    conditions: Annotated[list[Condition], Field(max_length=16), ListType("map", ("type",))] = Field(
        default_factory=list, description="What was observed, one sentence each."
    )
    effective_permissions: Annotated[
        list[Annotated[str, Field(max_length=1024)]], Field(max_length=128), ListType("atomic")
    ] = Field(
        default_factory=list,
        description="Rights in force, one line each: `get,list configmaps`, `get pods in shop`, "
        "`get,list,watch nodes of the cluster`.",
    )
    effective_egress: Annotated[
        list[Annotated[str, Field(max_length=256)]], Field(max_length=MAX_EGRESS * MAX_RULES + 1), ListType("atomic")
    ] = Field(
        default_factory=list,
        description="Destinations in force: `203.0.113.0/28:443`, or `203.0.113.0/28:443 except 203.0.113.9/32` where "
        "a node has joined since; a Service with the labels and the port of the pods "
        "that it leads to: `tools/search:8443 -> app=search:8443`.",
    )
    accepted_services: Annotated[
        list[Annotated[str, Field(max_length=256)]], Field(max_length=MAX_EGRESS), ListType("atomic")
    ] = Field(
        default_factory=list,
        description="Where each Service led for the accepted generation: `tools/search:8443 -> app=search:8443`. "
        "One that leads elsewhere since opens nothing, until the spec is changed.",
    )
    secrets: Annotated[list[SecretStatus], Field(max_length=16), ListType("map", ("name",))] = Field(
        default_factory=list, description="Age of each key."
    )
    oldest_secret: Annotated[str, Field(max_length=32)] | None = Field(
        default=None, description="When the oldest of them changed last."
    )
    runs: Annotated[list[RunStatus], Field(max_length=10), ListType("map", ("name",))] = Field(
        default_factory=list, description="The last runs of an agent whose work ends, the newest first."
    )
    last_spec_run: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description="Name of the run of mode Job that ended last: it is not repeated."
    )
    last_requested_run: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description="Name of the run that somebody asked for, and that ended or was refused."
    )
    verification: VerificationStatus | None = Field(
        default=None, description="What came of the last `ringfence verify`. Absent: its fence was never tried."
    )
    service: Annotated[str, Field(max_length=63)] | None = Field(
        default=None,
        description="Name of the Service of its ports: what it is reached at from inside of the cluster, by those whom "
        "network.ingress lets in.",
    )
    replicas: int | None = Field(default=None, ge=0, le=1000, description="Pods that the workload has.")
    ready_replicas: int | None = Field(default=None, ge=0, le=1000, description="Pods of it that are ready.")
    grace_periods: Annotated[list[Annotated[int, Field(ge=1, le=3600)]], Field(max_length=8), ListType("atomic")] = (
        Field(
            default_factory=list,
            description="Seconds that its pods have to end: by the accepted spec, and by earlier ones whose pods are "
            "there still. Absent: 30. A pod with another number was made by somebody's edit.",
        )
    )
    selector: Annotated[str, Field(max_length=128)] | None = Field(
        default=None, description="Label selector of its pods, for autoscalers."
    )
    managed_resources: Annotated[list[ManagedResource], Field(max_length=256), ListType("atomic")] = Field(
        default_factory=list, description="The children, in the order in which they are written."
    )
