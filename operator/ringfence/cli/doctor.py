"""`ringfence doctor`: what is wrong with an installation, and the command that helps."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import click

from ringfence.api import AgentDeployment, AgentPolicy
from ringfence.api.names import CEILING_CLUSTER_ROLE
from ringfence.api.schema import custom_resource_definition, walk
from ringfence.resources.dns import Asked, find, words

from . import cluster, formatting, leader, options
from .checks import Check, Seen, State, diagnose

if TYPE_CHECKING:
    from ringfence.kube import Kube, Object

WEBHOOK: Final = "admission.ringfence.dev"
"""Name of the webhook inside of its configuration."""
OPENSHIFT: Final = "clusterversions.config.openshift.io"
CILIUM: Final = "ciliumnetworkpolicies.cilium.io"
ADMISSION: Final = "admissionregistration.k8s.io/v1"
RECORDER: Final = "-guard-requester"
"""How the name of what records who asks for an agent ends."""
_COLOURS: Final = {State.OK: "green", State.WARNING: "yellow", State.WRONG: "red", State.UNKNOWN: "yellow"}


@click.command("doctor")
@options.output
@leader.option
@options.connection
def command(output: str, lease: str, **where: str | None) -> None:
    """Check an installation: what is wrong, and the command that helps.

    Looks at the version of Kubernetes, the CRDs, who leads, the webhook and its certificate, the canary, the floor,
    whether it is recorded who asks for an agent, the grants, the network and DNS of the cluster, and which namespaces
    are open. Reads only; what you may not see is said to be unknown. Whether the network enforces the fence is not
    tried: `ringfence verify NAME` does that, with packets.

    \b
    Exit code: 0 nothing is wrong, 1 something is, 2 the cluster cannot be reached.

    \b
    Examples:
      ringfence doctor
      ringfence doctor -o json | jq '.checks[] | select(.state != "ok")'
    """

    async def act(session: cluster.Session) -> int:
        found = diagnose(await gather(session, lease), formatting.now())
        if output == "json":
            click.echo(json.dumps({"checks": [one.as_json() for one in found]}, indent=2))
        else:
            for one in found:
                show(one)
        return cluster.NOT_READY if any(one.state is State.WRONG for one in found) else cluster.READY

    cluster.run(cluster.Where(None, where["kubeconfig"], where["context"]), act)


def show(one: Check) -> None:
    """One line, and what helps below it."""
    click.echo(f"{click.style(f'{one.state:8}', fg=_COLOURS[one.state])} {one.name}: {formatting.clean(one.message)}")
    if one.fix:
        click.echo(f"         {one.fix}")


async def gather(session: cluster.Session, lease: str) -> Seen:
    """All that is looked at. Raises ApiError, Unreachable; a right that is missing is noted, and no error."""
    from ringfence.kube import path_of  # noqa: PLC0415 - heavy

    kube, hidden = session.kube, dict[str, str]()
    version = str((await kube.get("/version")).get("gitVersion") or "")
    crds = await seen(
        hidden, "crds", lambda: kube.list(path_of("apiextensions.k8s.io/v1", "customresourcedefinitions"))
    )
    hooks = await seen(hidden, "webhook", lambda: kube.list(path_of(ADMISSION, "validatingwebhookconfigurations")))
    hook = next((hook for one in hooks or () for hook in one.get("webhooks") or () if hook["name"] == WEBHOOK), None)
    service = ((hook or {}).get("clientConfig") or {}).get("service") or {}
    slices = None
    if service:
        place = path_of("discovery.k8s.io/v1", "endpointslices", service["namespace"])
        selector = f"kubernetes.io/service-name={service['name']}"
        slices = await seen(None, "", lambda: kube.list(place, label_selector=selector))
    canaries = await seen(hidden, "canary", partial(_canaries, kube, lease))
    policies = await seen(hidden, "floor", lambda: kube.list(path_of(ADMISSION, "validatingadmissionpolicies")))
    writers = await seen(hidden, "requester", lambda: kube.list(path_of(ADMISSION, "mutatingadmissionpolicies")))
    sets = await seen(hidden, "network", lambda: kube.list(path_of("apps/v1", "daemonsets")))
    cilium, on_nodes = await _cilium(kube, hidden, crds)
    asked = Asked(openshift=any(one["metadata"]["name"] == OPENSHIFT for one in crds or ()))
    services = {
        name: found.get("spec") or {}
        for name in asked.watched
        if (found := await seen(hidden, "dns", partial(kube.get, path_of("v1", "services", *name)))) is not None
    }
    dns = find(asked, services)
    dns_pods: int | None = 0
    for one in dns.pods:
        labels = ",".join(f"{key}={value}" for key, value in one.labels)
        pods = await seen(
            hidden, "dns", partial(kube.list, path_of("v1", "pods", one.namespace), label_selector=labels)
        )
        dns_pods = None if pods is None or dns_pods is None else dns_pods + len(pods)
    ceiling = path_of("rbac.authorization.k8s.io/v1", "clusterroles", name=CEILING_CLUSTER_ROLE)
    leads = await leader.look(session, lease)
    return Seen(
        version=version,
        crds=None if crds is None else {one["metadata"]["name"]: _is_current(one) for one in crds},
        leads=leads.leads,
        leader=leads.sentence(formatting.now()),
        webhook=None if hooks is None else hook is not None,
        certificate_ends=_ends(hook),
        addresses=None if slices is None else sum(map(_ready, slices)),
        canaries=None if canaries is None else sum(map(_ready, canaries)),
        floor=None if policies is None else [name for one in policies if "floor" in (name := one["metadata"]["name"])],
        requester=any(one["metadata"]["name"].endswith(RECORDER) for one in writers or ()),
        daemon_sets=None if sets is None else [one["metadata"]["name"] for one in sets],
        dns_pods=dns_pods,
        dns=words(dns),
        node_local=bool(dns.addresses),
        cilium=cilium,
        api_server_on_nodes=on_nodes,
        ceiling=await seen(hidden, "grants", lambda: kube.get(ceiling)) is not None,
        namespaces=await seen(hidden, "namespaces", lambda: kube.list(path_of("v1", "namespaces"))),
        hidden=hidden,
    )


async def _canaries(kube: "Kube", lease: str) -> "list[Object]":
    """EndpointSlices of the canary's Service, which is where the controller is."""
    from ringfence.kube import path_of  # noqa: PLC0415 - heavy

    place = path_of("discovery.k8s.io/v1", "endpointslices", lease.partition("/")[0])
    return await kube.list(place, label_selector="app.kubernetes.io/component=canary")


async def _cilium(
    kube: "Kube", hidden: dict[str, str], crds: Sequence[Mapping[str, Any]] | None
) -> tuple[Mapping[str, Any] | None, list[str]]:
    """Its settings, and the addresses of the API server that are nodes'; None where it is not the cluster's network."""
    from ringfence.kube import path_of  # noqa: PLC0415 - heavy

    if not any(one["metadata"]["name"] == CILIUM for one in crds or ()):
        return None, []
    place = path_of("v1", "configmaps", "kube-system", "cilium-config")
    config = await seen(hidden, "api-server", lambda: kube.get(place))
    selector = "kubernetes.io/service-name=kubernetes"
    path = path_of("discovery.k8s.io/v1", "endpointslices", "default")
    slices = await seen(hidden, "api-server", lambda: kube.list(path, label_selector=selector))
    nodes = await seen(hidden, "api-server", lambda: kube.list(path_of("v1", "nodes")))
    own = {one["address"] for node in nodes or () for one in (node.get("status") or {}).get("addresses") or ()}
    asked = {address for one in slices or () for end in one.get("endpoints") or () for address in end["addresses"]}
    return (config or {}).get("data") or {}, sorted(asked & own)


async def seen(hidden: dict[str, str] | None, check: str, read: Callable[[], Any]) -> Any:
    """What is read; None where it is not there, or (noted for the check) not for this user."""
    from ringfence.kube import ApiError, NotFound  # noqa: PLC0415 - heavy

    try:
        return await read()
    except NotFound:
        return None
    except ApiError as failure:
        if failure.status != HTTPStatus.FORBIDDEN:
            raise
        if hidden is not None:
            hidden[check] = failure.message
        return None


def _is_current(stored: Mapping[str, Any]) -> bool:
    """Whether a CRD has every field of this version; of other CRDs there is nothing to say."""
    kinds: dict[str, Any] = {"AgentDeployment": AgentDeployment, "AgentPolicy": AgentPolicy}
    model = kinds.get(stored["spec"]["names"]["kind"])
    if model is None:
        return True
    return _fields(custom_resource_definition(model)) <= _fields(stored)


def _fields(crd: Mapping[str, Any]) -> set[str]:
    return {path for version in crd["spec"]["versions"] for path, _ in walk(version["schema"]["openAPIV3Schema"])}


def _ready(endpoint_slice: Mapping[str, Any]) -> int:
    endpoints = endpoint_slice.get("endpoints") or []
    return sum((one.get("conditions") or {}).get("ready") is not False for one in endpoints)


def _ends(hook: Mapping[str, Any] | None) -> datetime | None:
    """When the CA of the registration ends; None: there is none that can be read."""
    from cryptography import x509  # noqa: PLC0415 - heavy

    bundle = ((hook or {}).get("clientConfig") or {}).get("caBundle") or ""
    try:
        found = x509.load_pem_x509_certificates(base64.b64decode(bundle))
    except ValueError:
        return None
    return max(one.not_valid_after_utc for one in found)
