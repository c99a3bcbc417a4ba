"""What people write first, coming from Deployments, compose files and charts, and how Ringfence says it.

A table and nothing else. Add a row for whatever else people try; remove one when its field comes to exist.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_ONE_CONTAINER: Final = (
    "the fields of the agent's own container stand in spec itself: image, command, args, env, ports, resources; others "
    "are entries of initContainers and sidecars"
)
_BESIDE: Final = (
    "write sidecars: [{name: proxy, image: registry.example/proxy@sha256:...}] for what runs beside the agent, "
    "initContainers for what runs before it"
)
_OF_BESIDE: Final[Mapping[str, str]] = {
    "ports": "leave it out: all containers share the agent's ports, which stand in spec.ports",
    **dict.fromkeys(
        ("volumeMounts", "volumes", "mounts"), "write shares: [/work], a path of spec.scratch or of spec.storage"
    ),
    **dict.fromkeys(
        ("secrets", "secretRef", "secretName"),
        "name this container at the secret: spec.secrets: [{name: token, containers: [proxy], ...}]",
    ),
    "restartPolicy": "leave it out: an entry of sidecars runs beside the agent, one of initContainers before it",
    "imagePullPolicy": "leave it out: by its digest (NAME@sha256:...) an image is always the same",
    **dict.fromkeys(
        ("securityContext", "privileged", "runAsUser", "user"),
        "leave it out: each container of an agent is held to the same, and runs as spec.runAsUser",
    ),
    **dict.fromkeys(
        ("livenessProbe", "readinessProbe", "startupProbe"),
        "write probes: [{type: Readiness, http: {port: http}}] for a sidecar, with the name of one of spec.ports",
    ),
}
_HEALTH: Final = (
    "write health: {path: /healthz, port: http} and ports: [{name: http, port: 8080}], which is for readiness and "
    "liveness alike; each by itself is probes: [{type: Startup, http: {port: http}, every: 5s, failures: 60}]"
)
_VOLUME: Final = (
    "an agent has /tmp, scratch: [{path: /cache, size: 1Gi}], storage: {mountPath: /data, size: 1Gi} that outlives it, "
    "and volumes: [{claim: NAME, mountPath: /in}] that are there already; configuration comes by files"
)
_HARDENED: Final = (
    "leave it out: every agent runs without root, privileges or capabilities, on a read-only image, with the default "
    "seccomp profile; runAsUser: 10001 names a user of your own, where policies allow it"
)
_OWN_ACCOUNT: Final = (
    "leave it out: each agent has a ServiceAccount of its own, with the rights of permissions: {level: ReadOnly, "
    'rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]}'
)
_NODE: Final = (
    "leave it out: an agent never shares the node's network or processes; what it is to reach is named in "
    "network.egress"
)
_ENV: Final = "write a list: env: [{name: LOG_LEVEL, value: info}]; a secret goes into secrets, not into env"
_CONFIG: Final = (
    "write files: [{path: /etc/agent/config.yaml, configMap: {name: settings, key: config.yaml}}] or with content, or "
    "envFrom: [{configMap: settings, keys: [LOG_LEVEL]}]"
)
_ENV_FROM: Final = (
    "env takes plain values; a Secret goes into spec.secrets: [{name: token, source: {existing: {secretName: api, "
    "key: token}}, delivery: {env: {name: TOKEN}}}]"
)
_HOST: Final = (
    "write host: api.example.com, which is reached on port 443, or with ports: [8443]; docs/how-to/allow-a-host.md "
    "shows the way"
)
_EGRESS: Final = "write network: {egress: [{host: api.example.com}]}, or a service or a cidr in place of the host"
_REQUESTS: Final = "write rules: [{methods: [POST], paths: [/v1/messages]}] beside the host"
_HOSTS: Final = "write egress: {hosts: [{name: api.example.com}]}"
_INGRESS: Final = "write network: {ingress: [{from: {podLabels: {app: console}}, port: http}]}, and ports for its name"
_RIGHTS: Final = (
    'write permissions: {level: ReadOnly, rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list]}]}'
)
_PLACED: Final = (
    "write scheduling: {nodeSelector: {pool: agents}, tolerations: [{key: agents}], priorityClassName: agents, spread: "
    "[{topologyKey: kubernetes.io/hostname}]}, as far as policies allow; the rest is the cluster's business"
)
_TIMES: Final = "write probes: [{type: Liveness, http: {port: http}, every: 10s, timeout: 1s, delay: 0s, failures: 3}]"
_SERVICE: Final = "write service: {name: database, namespace: data, port: 5432}; the namespace only if it is another"
_CLOSED: Final = "leave it out: a port is closed until network.ingress names it, and no Service or Ingress is made"
_NO_VALUE: Final = (
    "no value of a secret stands in this object: write source: {existing: {secretName: api, key: token}}, or have one "
    "made by source: {generate: {}} with rotation: {every: 720h}"
)
_DELIVERY: Final = (
    "write delivery: {env: {name: TOKEN}}, or delivery: {file: {path: /var/run/ringfence/token}}, or, for a secret "
    "that the agent is not to see, delivery: {gateway: {host: api.example.com, header: x-api-key, env: TOKEN}}"
)
_RUN: Final = (
    "write run: {mode: Schedule, schedule: 0 3 * * *, timeZone: Europe/Paris, deadline: 2h, retries: 1}, or "
    "run: {mode: Job} for an agent that works once"
)
_RESTART: Final = (
    "leave it out: an agent is always started again, and suspended: true stops it; one that works once is run: {mode: "
    "Job, retries: 0}"
)
_IDENTITY: Final = (
    "write identity: {annotations: [{key: eks.amazonaws.com/role-arn, value: arn:aws:iam::111122223333:role/agent}]}, "
    "or tokens: [{audience: sts.amazonaws.com, path: /var/run/identity/token}], as far as policies allow"
)
_SETTINGS: Final = "an agent's own settings go into env or args: env: [{name: MODEL, value: small}]"

UNKNOWN: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "AgentDeploymentSpec": {
            **dict.fromkeys(("containers", "template", "container"), _ONE_CONTAINER),
            **dict.fromkeys(("initContainer", "init", "sidecar", "extraContainers", "additionalContainers"), _BESIDE),
            **dict.fromkeys(
                ("livenessProbe", "readinessProbe", "startupProbe", "probe", "healthcheck", "healthCheck"), _HEALTH
            ),
            **dict.fromkeys(("volumeMounts", "volumeClaimTemplates", "persistence", "volume", "tmpfs"), _VOLUME),
            **dict.fromkeys(
                ("securityContext", "podSecurityContext", "privileged", "fsGroup", "user", "capabilities", "cap_add"),
                _HARDENED,
            ),
            **dict.fromkeys(
                ("serviceAccountName", "serviceAccount", "automountServiceAccountToken", "serviceAccountToken"),
                _OWN_ACCOUNT,
            ),
            **dict.fromkeys(
                ("serviceAccountAnnotations", "roleArn", "iamRole", "workloadIdentity", "tokens", "audiences"),
                _IDENTITY,
            ),
            **dict.fromkeys(("hostNetwork", "hostPID", "hostIPC", "hostUsers", "network_mode", "pid"), _NODE),
            **dict.fromkeys(("dnsPolicy", "dnsConfig", "hostAliases", "extra_hosts", "dns"), _NODE),
            **dict.fromkeys(("env_file", "environment", "extraEnv"), _ENV),
            **dict.fromkeys(("config", "configMap", "configMaps", "configs", "file"), _CONFIG),
            **dict.fromkeys(("gpu", "gpus", "device"), "write devices: [{name: nvidia.com/gpu, count: 1}]"),
            **dict.fromkeys(("tmp", "shm", "shm_size", "emptyDir"), "write scratch: [{path: /dev/shm, size: 64Mi}]"),
            **dict.fromkeys(
                (
                    "nodeSelector",
                    "tolerations",
                    "affinity",
                    "topologySpreadConstraints",
                    "priorityClassName",
                    "nodeName",
                ),
                _PLACED,
            ),
            **dict.fromkeys(("schedulerName", "placement"), _PLACED),
            **dict.fromkeys(("labels", "podMetadata", "metadata"), "write podLabels: {example.com/team: research}"),
            "annotations": "write podAnnotations: {example.com/contact: research}",
            **dict.fromkeys(
                ("terminationGracePeriodSeconds", "lifecycle", "preStop", "stop_grace_period", "gracePeriod"),
                "write stop: {gracePeriod: 60s, command: [/app/drain]}",
            ),
            **dict.fromkeys(("egress", "networkPolicy", "allowedHosts", "networks", "hosts", "domains"), _EGRESS),
            **dict.fromkeys(("ingress", "service", "services", "expose"), _INGRESS),
            **dict.fromkeys(("rules", "rbac", "role", "roles", "roleRef", "clusterRole", "level"), _RIGHTS),
            **dict.fromkeys(("model", "provider", "prompt", "systemPrompt", "tools", "mcpServers"), _SETTINGS),
            "mountPath": "it stands in spec.storage.mountPath, or in an entry of spec.volumes",
            "selector": "leave it out: Ringfence makes the labels of the pods and what selects them",
            "strategy": "leave it out: one pod after the other, or, with storage, the old one before the new one",
            **dict.fromkeys(("restartPolicy", "restart"), _RESTART),
            "imagePullPolicy": "leave it out: by its digest (NAME@sha256:...) an image is always the same",
            "runtimeClassName": "write sandbox: {runtimeClassName: gvisor}",
            "entrypoint": "write command: [/app/agent], which takes the place of the image's entrypoint",
            "build": "build and push the image first, and write image: registry.example/agent@sha256:...",
            "depends_on": "leave it out: name in network.egress what it reaches, and let the agent try again",
            "deploy": "write replicas and resources in spec itself: resources: {limits: {memory: 512Mi}}",
            "secret": "write a list: secrets: [{name: token, source: {existing: {secretName: api, key: token}}, "
            "delivery: {env: {name: TOKEN}}}]",
            "pullSecrets": "write imagePullSecrets: [registry]",
            "autoscaling": "write replicas: 2; a HorizontalPodAutoscaler may change it: scaleTargetRef: {apiVersion: "
            "ringfence.dev/v1alpha1, kind: AgentDeployment, name: NAME}",
            **dict.fromkeys(
                ("schedule", "cron", "timeZone", "concurrencyPolicy", "successfulJobsHistoryLimit", "jobTemplate"), _RUN
            ),
            **dict.fromkeys(("activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished", "completions"), _RUN),
            "enabled": "write suspended: true to stop an agent",
            "paused": "write suspended: true to stop an agent",
        },
        "InitContainer": _OF_BESIDE,
        "Sidecar": _OF_BESIDE,
        "SideVar": {
            **dict.fromkeys(("valueFrom", "secretKeyRef", "fieldRef", "secret"), _ENV_FROM),
        },
        "EnvVar": {
            **dict.fromkeys(("valueFrom", "secretKeyRef", "fieldRef", "secret"), _ENV_FROM),
            **dict.fromkeys(("configMapKeyRef", "configMap"), _CONFIG),
        },
        "Run": {
            "cron": "write schedule: 0 3 * * *",
            "concurrencyPolicy": "write concurrency: Forbid",
            "activeDeadlineSeconds": "write deadline: 2h",
            "backoffLimit": "write retries: 1",
            "suspend": "write suspended: true in spec itself",
            **dict.fromkeys(
                ("successfulJobsHistoryLimit", "failedJobsHistoryLimit", "ttlSecondsAfterFinished", "history"),
                "write keep: {succeeded: 3, failed: 3, time: 24h}",
            ),
            **dict.fromkeys(
                ("parallelism", "completions"), "leave it out: a run has one pod; several agents are several runs"
            ),
            "startingDeadlineSeconds": "leave it out: a run that could not begin for an hour is left out",
        },
        "ContainerPort": {
            "containerPort": "write port: 8080",
            "protocol": "leave it out: ports of agents are TCP",
            **dict.fromkeys(("hostPort", "hostIP", "nodePort", "targetPort", "servicePort"), _CLOSED),
        },
        "EgressRule": {
            **dict.fromkeys(
                ("hosts", "hostname", "domain", "domains", "fqdn", "fqdns", "url", "dns", "toFQDNs", "name", "address"),
                _HOST,
            ),
            **dict.fromkeys(("methods", "paths", "path", "method", "http", "allow"), _REQUESTS),
            **dict.fromkeys(("tls", "sni", "passthrough", "terminate"), "write mode: Terminate, or mode: Tunnel"),
            **dict.fromkeys(("to", "ipBlock", "ip", "cidrs", "network"), "write cidr: 203.0.113.0/28, ports: [443]"),
            **dict.fromkeys(("namespaceSelector", "podSelector", "namespace", "services", "serviceName"), _SERVICE),
            "port": "write ports: [443] beside a host or a cidr; a Service has its port inside: service: {name: proxy, "
            "port: 80}",
            "protocol": "leave it out: agents reach TCP ports only",
        },
        "GatewayDelivery": {
            **dict.fromkeys(("parameter", "param", "queryParam", "queryParameter"), "write query: key"),
            **dict.fromkeys(("name", "variable", "envName"), "write env: API_KEY"),
            **dict.fromkeys(("user", "username", "password"), "write basic: {user: x-access-token}"),
            **dict.fromkeys(("prefix", "bearer"), "write header: authorization with scheme: Bearer"),
            **dict.fromkeys(("path", "paths", "methods"), "write rules beside the host in network.egress"),
        },
        "HostLimits": {
            **dict.fromkeys(("rpm", "requests", "rate"), "write requestsPerMinute: 60"),
            **dict.fromkeys(("bytes", "maxBytes", "body", "maxBody"), "write maxBodyBytes: 1048576"),
        },
        "RequestRule": {
            **dict.fromkeys(("method", "verbs", "verb"), "write methods: [POST]"),
            **dict.fromkeys(
                ("path", "pathPrefix", "prefix", "exact", "url"), "write paths: [/v1/messages, /v1/files/*]"
            ),
        },
        "ServiceTarget": {
            "ports": "write port: 5432, and a rule of its own for each further port",
            "host": "write name: database and namespace: data in place of database.data.svc",
        },
        "IngressRule": {
            "ports": "write port: http, the name of one of spec.ports, and a rule of its own for each further port",
            **dict.fromkeys(("podSelector", "namespaceSelector", "host", "hosts", "path", "cidr"), _INGRESS),
        },
        "Peer": {
            **dict.fromkeys(("podSelector", "matchLabels", "labels", "selector"), "write podLabels: {app: console}"),
            **dict.fromkeys(("namespaceSelector", "namespaces"), "write namespace: ops"),
            **dict.fromkeys(("cidr", "ipBlock", "ip"), "callers are pods: write podLabels: {app: ingress-nginx}"),
        },
        "AgentSecret": {
            **dict.fromkeys(("value", "data", "stringData"), _NO_VALUE),
            **dict.fromkeys(
                ("secretName", "secretRef", "secretKeyRef", "valueFrom", "key", "existing", "existingSecret"),
                "write source: {existing: {secretName: api, key: token}}",
            ),
            **dict.fromkeys(("env", "file", "path", "mountPath", "envName"), _DELIVERY),
            "generate": "write source: {generate: {}} and rotation: {every: 720h}",
        },
        "Identity": {
            **dict.fromkeys(
                ("roleArn", "role", "clientId", "tenantId", "serviceAccount", "gcpServiceAccount", "labels"), _IDENTITY
            ),
            **dict.fromkeys(("audience", "audiences", "token"), _IDENTITY),
        },
        "IdentityToken": {
            **dict.fromkeys(("expirationSeconds", "ttl", "lifetime", "every"), "write expiration: 1h"),
            **dict.fromkeys(("mountPath", "file"), "write path: /var/run/identity/token"),
            "audiences": "write audience: sts.amazonaws.com, and an entry of its own for each further one",
        },
        "Storage": {
            **dict.fromkeys(("path", "mount"), "write mountPath: /data"),
            **dict.fromkeys(("accessModes", "accessMode"), "leave it out: the volume is for this agent's one pod"),
            **dict.fromkeys(
                ("claimName", "existingClaim", "hostPath", "persistentVolumeClaim"),
                "storage is made for the agent and deleted with it; one that is there already is volumes: [{claim: "
                "data, mountPath: /data}] in spec",
            ),
            "emptyDir": "write scratch: [{path: /cache, size: 1Gi}] in spec",
            "storageClass": "write storageClassName: fast",
        },
        "ExistingVolume": {
            **dict.fromkeys(("name", "claimName", "persistentVolumeClaim", "pvc"), "write claim: NAME"),
            **dict.fromkeys(("readOnly", "mode"), "write access: ReadOnly, which is the default, or access: ReadWrite"),
            **dict.fromkeys(("path", "mount"), "write mountPath: /data"),
            "hostPath": "leave it out: an agent never gets a directory of its node; write claim: NAME",
            "emptyDir": "write scratch: [{path: /cache, size: 1Gi}] in spec",
            "configMap": "write files: [{path: /etc/agent/a, configMap: {name: settings, key: a}}] in spec",
            "secret": "write secrets: [...] with delivery: {file: {path: /etc/agent/keys/a}} in spec",
        },
        "Toleration": {"operator": "leave it out: a toleration has a key, and without a value it is for any"},
        "Scheduling": {
            "affinity": "write nodeSelector or nodeAffinity for nodes, near and apart for pods, spread for its own",
            "topologySpreadConstraints": "write spread: [{topologyKey: kubernetes.io/hostname}] for its own pods",
            "podAffinity": "write near: [{agent: search, topologyKey: topology.kubernetes.io/zone}]",
            "podAntiAffinity": "write apart: [{topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule}] "
            "for its own pods",
        },
        "NodeAffinity": dict.fromkeys(
            ("requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms", "matchExpressions"),
            "write required: [{key: example.com/pool, operator: In, values: [agents]}]; a node must meet all of it",
        )
        | {
            "preferredDuringSchedulingIgnoredDuringExecution": "write preferred: [{key: example.com/pool, operator: "
            "In, values: [agents], weight: 10}]"
        },
        "Neighbour": dict.fromkeys(
            ("labelSelector", "podLabels", "name"), "write agent: NAME of an AgentDeployment of the same namespace"
        ),
        "Resources": dict.fromkeys(
            ("cpu", "memory", "ephemeral-storage"), "write limits: {cpu: 500m, memory: 512Mi}, and requests alike"
        ),
        "ResourceAmounts": {
            **dict.fromkeys(
                ("nvidia.com/gpu", "gpu", "gpus"), "write devices: [{name: nvidia.com/gpu, count: 1}] in spec"
            ),
            "storage": "write storage: {mountPath: /data, size: 1Gi} in spec for a volume, ephemeral-storage for /tmp",
        },
        "Health": {
            **dict.fromkeys(("httpGet", "tcpSocket", "exec", "grpc", "test"), "write path: /healthz and port: http"),
            **dict.fromkeys(
                ("initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold", "interval"),
                _TIMES,
            ),
        },
        "Probe": {
            "httpGet": "write http: {path: /healthz, port: http}",
            "tcpSocket": "write tcp: {port: http}",
            "grpc": "write command: [/app/agent, check], with a program of the image that asks",
            **dict.fromkeys(("exec", "test", "cmd"), "write command: [/app/healthy], which is run without a shell"),
            **dict.fromkeys(("initialDelaySeconds", "startPeriod", "start_period"), "write delay: 10s"),
            **dict.fromkeys(("periodSeconds", "interval"), "write every: 10s"),
            "timeoutSeconds": "write timeout: 2s",
            **dict.fromkeys(("failureThreshold", "retries"), "write failures: 3"),
        },
        "PolicyRule": {
            "nonResourceURLs": "leave it out: agents have rights on resources of their own namespace only",
            "resource": "write resources: [configmaps]",
            "apiGroup": 'write apiGroups: [""]',
            "verb": "write verbs: [get, list]",
        },
        "AgentPolicySpec": {
            **dict.fromkeys(
                ("registries", "allowedRegistries", "requireDigest"), "write images: {registries: [REGISTRY]}"
            ),
            **dict.fromkeys(("cidrs", "network", "allowedCidrs"), "write egress: {cidrs: [203.0.113.0/24]}"),
            **dict.fromkeys(("hosts", "domains", "allowedHosts", "fqdns"), _HOSTS),
            **dict.fromkeys(("maxLevel", "level", "rules", "allow"), "write permissions: {maxLevel: ReadOnly}"),
            **dict.fromkeys(
                ("namespaces", "selector", "matchLabels", "namespace"),
                "write namespaceSelector: {matchLabels: {team: research}}",
            ),
            **dict.fromkeys(("replicas", "cpu", "memory", "quota"), "write limits: {replicas: 10, memory: 8Gi}"),
        },
        "PolicyEgress": dict.fromkeys(("host", "domains", "allowedHosts", "fqdns", "names"), _HOSTS),
        "AllowedHost": {
            **dict.fromkeys(("host", "hostname", "domain", "pattern", "fqdn"), "write name: api.example.com"),
            **dict.fromkeys(("port", "ports"), "leave it out: the agent names the ports"),
            **dict.fromkeys(("why", "comment", "description"), "write reason: SENTENCE"),
        },
    }
)
"""Type -> field that it does not have -> what to write."""

_PORT: Final = "must be the name of one of spec.ports, such as http, not its number"
WRONG_TYPE: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("ContainerPort", "name"): "must be a name with a letter in it, such as http; the number goes into port",
        ("IngressRule", "port"): _PORT,
        ("Health", "port"): _PORT,
        ("PolicyEgress", "hosts"): "must be a list of objects: hosts: [{name: api.example.com}]",
        ("ServiceTarget", "port"): "must be the number of the Service's port, such as 8080",
        ("AgentDeploymentSpec", "env"): _ENV.replace("write", "must be"),
        ("Identity", "annotations"): "must be a list: annotations: [{key: eks.amazonaws.com/role-arn, value: "
        "arn:aws:iam::111122223333:role/agent}]",
        **dict.fromkeys(
            (("AgentDeploymentSpec", "runAsUser"), ("AgentDeploymentSpec", "runAsGroup")),
            "must be the number of an id, such as 10001, without quotes; never 0, which is root",
        ),
        ("AgentDeploymentSpec", "imagePullSecrets"): "must be a list of names: imagePullSecrets: [registry]",
    }
)
"""Type, field -> what is to be there, where a value of another kind is."""
