"""The names that everything else refers to: group, labels, finalizers, prefixes. No logic."""

GROUP = "ringfence.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

AGENTS_LABEL = f"{GROUP}/agents"
"""On a Namespace: a platform engineer opens it to agents with the value `enabled`."""
AGENTS_ENABLED = "enabled"

DELEGATE_ANNOTATION = f"{GROUP}/delegate"
"""On a Namespace: whose permissions are asked about there, in place of those of whoever writes an agent."""

REQUESTED_BY_ANNOTATION = f"{GROUP}/requested-by"
"""On an AgentDeployment: who asked for what it gets; the API server writes it (the chart's guard `requester`)."""
TAKE_OVER = "me"
"""What somebody writes into that annotation to stand for the agent himself."""

CONSENT_ANNOTATION = f"{GROUP}/consent"
"""On a Namespace: the agents of other namespaces that may be given permissions in it, and up to which level."""

AGENT_NAMESPACE_LABEL = f"{GROUP}/agent-namespace"
AGENT_UID_LABEL = f"{GROUP}/agent-uid"
LEVEL_LABEL = f"{GROUP}/level"
"""On a Role and RoleBinding in another namespace than the agent's: whose they are, as no ownerReference can say it
across namespaces, and the lowest level that holds what they give."""

CONNECTIONS_ANNOTATION = f"{GROUP}/connections"
"""On RoleBinding `ringfence-agents.ceiling`: the groups that may exec into agents of the namespace, one a line."""

AGENT_LABEL = f"{GROUP}/agent"
"""On every child and on the agent's pods: the AgentDeployment's name. The NetworkPolicies select by it. On the pods of
its gateway that name with GATEWAY_SUFFIX."""

GATEWAY_SUFFIX = ".gateway"
"""No agent's name has a dot. So whatever holds for pods of agents, such as guards and the namespace's policy, holds for
gateways too, and no policy of an agent selects its gateway."""

GATEWAY_CONFIG_ANNOTATION = f"{GROUP}/gateway-config"
"""On a gateway's pods: the version of the configuration that they are to have. The kubelet looks at once at what it
mounted into a pod whose annotations change, and otherwise about every minute."""

GATEWAY_KEYS_ANNOTATION = f"{GROUP}/gateway-keys"
"""On the template of a gateway's pods: which of the Secrets that it sends are there."""

UPSTREAM_PROXY_ANNOTATION = f"{GROUP}/upstream-proxy"
"""On the template of a gateway's pods: the corporate proxy that it begins with."""

UPSTREAM_CREDENTIALS = "credentials"
"""Key of the Secret for a corporate proxy, and name of the file in a gateway's pod: `USER:PASSWORD`."""

RESTART_ANNOTATION = f"{GROUP}/rotated-"
"""On the template of an agent's pods, with a digest of a secret's name: when it was restarted for that secret."""

FILE_ANNOTATION = f"{GROUP}/file-"
"""On the template of an agent's pods, with the place of a file in the spec: its content."""

RUN_ANNOTATION = f"{GROUP}/run-requested"
"""On an AgentDeployment whose work ends: any text, which asks for one run. The same text asks for no other one."""

VERIFY_ANNOTATION = f"{GROUP}/verify"
"""On an AgentDeployment: any text, such as a time, which asks that its fence is tried. The same text asks once."""

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "ringfence"
FIELD_MANAGER = "ringfence"
"""The one field manager of every server-side apply."""

CHILD_PREFIX = "ringfence-"
"""Every child's name begins so, so that a rule in the API server can tell them."""

GATEWAY_PREFIX = f"{CHILD_PREFIX}-"
"""So begin the names of a gateway's children: no agent's name begins with a hyphen, so no agent's child has one."""

STANDING_POLICY = f"{CHILD_PREFIX}agents"
"""The NetworkPolicy that each opened namespace has for all of its agents' pods: no agent's child has this name."""

MAX_AGENT_NAME = 63
"""Longest name of an AgentDeployment: it is a label value on pods, and Kubernetes caps those at 63."""

CEILING_CLUSTER_ROLE = "ringfence-agent-ceiling"
"""The chart's ClusterRole with the most that any agent can ever be given."""

CEILING_LABEL = f"{GROUP}/aggregate-to-ceiling"
"""On a ClusterRole, with the value `true`: its rules, on custom resources, are part of the ceiling."""

CEILING_BINDING = f"{CHILD_PREFIX}agents.ceiling"
"""The RoleBinding by which the controller holds that ClusterRole in a namespace: no agent's child has this name."""
