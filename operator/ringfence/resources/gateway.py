"""The egress gateway of an agent with hosts: an Envoy of its own, its fence, and where the agent finds it.

What Envoy does is in ringfence.gateway; here is what runs it. Its configuration and certificates are one Secret, which
is mounted whole, so that a change of them is one swap of a directory. The certificates' authorities, whose private keys
the gateway never has, are in a second one; of that the agent's pods get the certificates alone.
"""

from collections.abc import Sequence
from typing import Final

from ringfence.api import AgentDeploymentSpec
from ringfence.api.container import EnvVar
from ringfence.api.containers import SideVar
from ringfence.api.names import AGENT_LABEL, GATEWAY_KEYS_ANNOTATION, GATEWAY_PREFIX, MANAGED_BY, MANAGED_BY_LABEL
from ringfence.api.network import EgressRule
from ringfence.policy.closed import beyond_public

from . import dns
from .dns import NAMESPACE_NAME_LABEL
from .gateway_names import authorities_name, gateway_label, gateway_name
from .gateway_proxy import proxy_marks, proxy_mounts, proxy_volumes, proxy_way
from .gateway_secrets import gateway_secrets, mounted_secrets, secret_mounts, secret_volumes
from .hosts_file import exact_hosts, not_by_proxy
from .kinds import Manifest
from .model import Agent, Identity, child
from .users import security_context

CONFIG_DIRECTORY: Final = "/etc/ringfence/gateway"
"""Where the gateway's Secret is mounted."""
RUN_DIRECTORY: Final = "/run/ringfence"
"""Where its administration socket is: in a directory that only its own pod has."""
BOOTSTRAP: Final = "bootstrap.json"
LOW_PORTS: Final = [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]
"""It listens at the very ports that the agent asks for, without a capability. Pod Security allows this one."""
ENVOY: Final = "/usr/local/bin/envoy"
"""In Envoy's official images, the distroless one too."""
AUTHORITIES: Final = "ca.crt"
"""Key of the second Secret: the certificates of the authorities that the agent trusts, as PEM."""
STATE: Final = "authorities.json"
"""Key of the second Secret: the authorities with their private keys, by host. It is mounted nowhere."""
TRUST_DIRECTORY: Final = "/var/run/ringfence-ca"
TRUST_FILE: Final = f"{TRUST_DIRECTORY}/{AUTHORITIES}"
TRUST_VARIABLES: Final = (
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "DENO_CERT",
    "AWS_CA_BUNDLE",
    "PIP_CERT",
    "CARGO_HTTP_CAINFO",
)
"""What runtimes and tools read to find whom to trust. None of them is enough for all."""
INTERNET: Final = ("0.0.0.0/0", "2000::/3")
"""What holds all public addresses: of IPv6 the global unicast ones (RFC 4291 section 2.4), without forms of IPv4."""
FIRST_PROXY_PORT: Final = 3128
FIRST_OBSERVE_PORT: Final = 15021
PROXY_VARIABLES: Final = ("HTTPS_PROXY", "https_proxy")
"""What clients read of a proxy. HTTP_PROXY is none of them: of plain HTTP the gateway takes declared names alone."""
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
COMPONENT: Final = "egress-gateway"
"""On the gateways' pods: by it the chart's PodMonitor and the controller's NetworkPolicy find them."""
OBSERVE: Final = "observe"
"""The port's name that figures are read at."""


def has_hosts(spec: AgentDeploymentSpec) -> bool:
    """Whether an agent needs a gateway."""
    return any(rule.host is not None for rule in spec.network.egress)


def host_rules(agent: Agent) -> list[EgressRule]:
    """The rules of the spec that need a gateway."""
    return [rule for rule in agent.spec.network.egress if rule.host is not None]


def ports(agent: Agent) -> list[int]:
    """All ports that the agent may use with any host, in order."""
    return sorted({port for rule in host_rules(agent) for port in rule.host_ports})


def proxy_port(agent: Agent) -> int:
    """Where the gateway takes CONNECT for names below a wildcard, for which no alias can stand; 0: there is none."""
    if not any(_is_wildcard(rule) for rule in host_rules(agent)):
        return 0
    return _free(agent, FIRST_PROXY_PORT)


def observe_port(agent: Agent) -> int:
    """Where it says that it is ready."""
    return _free(agent, FIRST_OBSERVE_PORT)


def _free(agent: Agent, first: int) -> int:
    """The first number from there on that no host of the agent has."""
    return next(port for port in range(first, first + 1000) if port not in ports(agent))


def _is_wildcard(rule: EgressRule) -> bool:
    return str(rule.host).startswith("*")


def needs_public_roots(agent: Agent) -> bool:
    """Whether the agent itself looks at certificates of the internet: by address, and inside of tunnels."""
    return any(rule.cidr or rule.is_tunnel for rule in agent.spec.network.egress)


def gateway_children(agent: Agent) -> list[Manifest]:
    """Its fence first, then what runs. None without hosts, or without an image for it."""
    if not host_rules(agent) or agent.gateway_image is None:
        return []
    return [_fence(agent), _account(agent), _service(agent), _deployment(agent)]


def is_of_gateway(name: str) -> bool:
    """Whether a child is its gateway's, by its name."""
    return name.startswith(GATEWAY_PREFIX)


def selector(agent: Identity) -> dict[str, str]:
    """What selects the gateway's pods."""
    return {AGENT_LABEL: gateway_label(agent.name)}


def way_to_gateway(agent: Agent) -> list[Manifest]:
    """Of the agent's own allow policy: its one way out to hosts."""
    if not host_rules(agent):
        return []
    return [{"to": [{"podSelector": {"matchLabels": selector(agent)}}], "ports": _listening(agent)}]


def host_variables(agent: Agent, own: Sequence[EnvVar | SideVar]) -> list[Manifest]:
    """For one container: whom to trust; and with wildcards, the proxy. `own`: what the spec sets stays as it says."""
    if not host_rules(agent):
        return []
    said = dict.fromkeys(TRUST_VARIABLES, TRUST_FILE)
    if (port := proxy_port(agent)) and agent.gateway_address is not None:
        proxy = f"http://{agent.gateway_address}:{port}"
        said |= dict.fromkeys(PROXY_VARIABLES, proxy)
        # An exact name is an alias already: whoever asked the proxy for it would go the longer way.
        direct = ",".join([*exact_hosts(agent), "localhost", "127.0.0.1", *not_by_proxy(agent)])
        said |= dict.fromkeys(("NO_PROXY", "no_proxy"), direct)
    given = {variable.name for variable in own}
    return [{"name": name, "value": value} for name, value in said.items() if name not in given]


def trust_mounts(agent: Agent) -> list[Manifest]:
    """Where the certificates are."""
    return [{"name": "trust", "mountPath": TRUST_DIRECTORY, "readOnly": True}] if host_rules(agent) else []


def trust_volumes(agent: Agent) -> list[Manifest]:
    """Of the second Secret the certificates alone."""
    if not host_rules(agent):
        return []
    items = [{"key": AUTHORITIES, "path": AUTHORITIES}]
    secret = {"secretName": authorities_name(agent.name), "items": items, "defaultMode": 0o444}
    return [{"name": "trust", "secret": secret}]


def _listening(agent: Agent) -> list[Manifest]:
    return [{"port": port, "protocol": "TCP"} for port in _served(agent)]


def _served(agent: Agent) -> list[int]:
    """The ports at which the agent may come in."""
    return [*ports(agent), *filter(None, [proxy_port(agent)])]


def _fence(agent: Agent) -> Manifest:
    """Its agent alone reaches it; it reaches the cluster's DNS and hosts."""
    egress = [*dns.rules(agent.dns), *(proxy_way(agent) or _way_to_hosts(agent))]
    spec = {
        "podSelector": {"matchLabels": selector(agent)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"from": [{"podSelector": {"matchLabels": agent.selector}}], "ports": _listening(agent)},
            *_scraped(agent),
        ],
        "egress": egress + _told(agent),
    }
    return child(agent, "networking.k8s.io/v1", "NetworkPolicy", name=gateway_name(agent.name), spec=spec)


def _way_to_hosts(agent: Agent) -> list[Manifest]:
    """Public addresses at the declared ports."""
    found = []
    for cidr in INTERNET:
        left_out = [str(network) for network in beyond_public(cidr, agent.cluster)]
        peer = {"ipBlock": {"cidr": cidr, "except": left_out}}
        found.append({"to": [peer], "ports": [{"port": port, "protocol": "TCP"} for port in ports(agent)]})
    return found


def _told(agent: Agent) -> list[Manifest]:
    """The way to the controller, which is told of refusals."""
    reports = agent.gateway_reports
    if reports.address is None:
        return []
    peer = {
        "namespaceSelector": {"matchLabels": {NAMESPACE_NAME_LABEL: reports.namespace}},
        "podSelector": {"matchLabels": dict(reports.labels)},
    }
    return [{"to": [peer], "ports": [{"port": reports.port, "protocol": "TCP"}]}]


def _scraped(agent: Agent) -> list[Manifest]:
    """Where its figures are read from."""
    scrapers = agent.gateway_reports.scrapers
    if not scrapers:
        return []
    peer = {"namespaceSelector": {"matchLabels": dict(scrapers)}}
    return [{"from": [peer], "ports": [{"port": observe_port(agent), "protocol": "TCP"}]}]


def _account(agent: Agent) -> Manifest:
    return child(agent, "v1", "ServiceAccount", name=gateway_name(agent.name), automountServiceAccountToken=False)


def _service(agent: Agent) -> Manifest:
    spec: Manifest = {
        "type": "ClusterIP",
        "selector": selector(agent),
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "ports": [{"name": f"p{port}", "port": port, "protocol": "TCP", "targetPort": port} for port in _served(agent)],
    }
    return child(agent, "v1", "Service", name=gateway_name(agent.name), spec=spec)


def _deployment(agent: Agent) -> Manifest:
    labels = {MANAGED_BY_LABEL: MANAGED_BY, COMPONENT_LABEL: COMPONENT, **selector(agent)}
    return child(
        agent,
        "apps/v1",
        "Deployment",
        name=gateway_name(agent.name),
        spec={
            "replicas": 0 if agent.spec.suspended else 1,
            "selector": {"matchLabels": selector(agent)},
            # The next one is there before this one goes, with its open connections.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "revisionHistoryLimit": 1,
            "progressDeadlineSeconds": 600,
            "template": {"metadata": {"labels": labels, **_marks(agent)}, "spec": _pod(agent)},
        },
    )


def _marks(agent: Agent) -> Manifest:
    """A Secret that comes while Envoy runs is not taken up for certain, so a pod is made that begins with it."""
    marks = {GATEWAY_KEYS_ANNOTATION: mounted_secrets(agent)} if gateway_secrets(agent) else {}
    marks |= proxy_marks(agent)
    return {"annotations": marks} if marks else {}


def _pod(agent: Agent) -> Manifest:
    name = gateway_name(agent.name)
    return {
        "serviceAccountName": name,
        "serviceAccount": name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "terminationGracePeriodSeconds": 30,
        "securityContext": {**security_context(agent.user_ids), "sysctls": LOW_PORTS},
        "containers": [_envoy(agent)],
        "volumes": [
            {"name": "config", "secret": {"secretName": name, "defaultMode": 0o440}},
            {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            *secret_volumes(agent),
            *proxy_volumes(agent),
        ],
    }


def arguments(directory: str = CONFIG_DIRECTORY, *, flush_milliseconds: int = 1000) -> list[str]:
    """Of the program `envoy`. `directory`: of its files; `flush_milliseconds`: how long a line of the log waits."""
    return [
        "--config-path",
        f"{directory}/{BOOTSTRAP}",
        "--concurrency",
        "1",
        "--file-flush-interval-msec",
        str(flush_milliseconds),
        "--drain-time-s",
        "600",
        "--disable-hot-restart",
        "--log-level",
        "warning",
        "--log-format",
        "%Y-%m-%dT%T.%eZ %l %n %v",
    ]


def _envoy(agent: Agent) -> Manifest:
    image = agent.gateway_image
    if image is None:
        raise ValueError("a gateway needs an image")
    return {
        "name": "envoy",
        "image": image.name,
        "imagePullPolicy": image.pull_policy,
        "command": [ENVOY],
        "args": arguments(),
        "ports": [
            *({"containerPort": port, "protocol": "TCP"} for port in _served(agent)),
            {"name": OBSERVE, "containerPort": observe_port(agent), "protocol": "TCP"},
        ],
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": observe_port(agent), "scheme": "HTTP"},
            "periodSeconds": 1,
            "timeoutSeconds": 1,
            "successThreshold": 1,
            "failureThreshold": 3,
        },
        "resources": {
            "limits": {"memory": "256Mi"},
            "requests": {"cpu": "10m", "memory": "80Mi"},
        },
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "config", "mountPath": CONFIG_DIRECTORY, "readOnly": True},
            {"name": "run", "mountPath": RUN_DIRECTORY},
            *secret_mounts(agent),
            *proxy_mounts(agent),
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def host_lines(rule: EgressRule) -> list[str]:
    """Destinations of one rule, as the status shows them: `api.anthropic.com:443 POST /v1/messages`."""
    if rule.host is None:
        return []
    where = f"{rule.host}:{','.join(map(str, rule.host_ports))}"
    if rule.is_tunnel:
        return [f"{where} Tunnel"]
    if rule.preset:
        return [f"{where} preset {rule.preset}"]
    if not rule.rules:
        return [where]
    return [f"{where} {','.join(one.methods or ['any'])} {','.join(one.paths or ['/*'])}" for one in rule.rules]
