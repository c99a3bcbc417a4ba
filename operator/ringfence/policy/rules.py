"""Each rule in words: why it exists and how to satisfy it. docs/reference/rules.md is made from this."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .model import RuleName


@dataclass(frozen=True)
class RuleText:
    """`why`: what could happen without the rule. `fix`: what to write. Whole sentences."""

    why: str
    fix: str


RULES: Final[Mapping[RuleName, RuleText]] = {
    RuleName.INVALID_FIELD: RuleText(
        "A field that is unknown, missing or malformed would be ignored or mean something else than its "
        "author thinks, and a fence that nobody reads is none.",
        "Correct the field at the path; `kubectl explain agd.spec` shows what each takes.",
    ),
    RuleName.NAMESPACE_NOT_OPENED: RuleText(
        "The guards that keep an agent's fence in place work in namespaces that a platform engineer has opened.",
        "Deploy to a namespace that carries the label `ringfence.dev/agents: enabled`, or have it set; no label opens "
        "the cluster's own namespaces or the one that Ringfence runs in.",
    ),
    RuleName.LEVEL_ABOVE_POLICY: RuleText(
        "The level is the ceiling of an agent's permissions; the platform team says how high it may be in a namespace.",
        "Lower `permissions.level` to the policy's `permissions.maxLevel`, or have the policy changed.",
    ),
    RuleName.RIGHTS_WILDCARD: RuleText(
        "A wildcard is every permission of today and of tomorrow: `*` in verbs, resources or groups is cluster-"
        "admin by another name.",
        "Name each group, resource and verb that the agent uses.",
    ),
    RuleName.RIGHTS_ESCALATION: RuleText(
        "Some permissions lead to all others: writing roles, impersonation, tokens, certificates, admission, "
        "commands in pods, nodes, and writing workloads or routes, which would stand outside of the fence.",
        "Leave them out. Have a person or a pipeline do what needs them.",
    ),
    RuleName.RIGHTS_SECRETS: RuleText(
        "Whoever reads, lists or writes Secrets holds the secrets of everything else in the namespace.",
        "Leave Secrets out; keep settings that are not secret in ConfigMaps.",
    ),
    RuleName.RIGHTS_UNKNOWN: RuleText(
        "A group, resource or verb that Ringfence does not know may mean anything once the cluster learns it.",
        "Correct the spelling (verbs in lower case, resources in the plural, the group without a version), "
        "or leave it out.",
    ),
    RuleName.RIGHTS_ABOVE_LEVEL: RuleText(
        "The rules must fit under the level that the object itself names, so that its reader sees at once "
        "how far the agent can go.",
        "Leave the permission out, or raise `permissions.level` as far as the policies allow.",
    ),
    RuleName.RIGHTS_ABOVE_POLICY: RuleText(
        "The platform team lists the permissions that agents of a namespace may ask for.",
        "Keep to the policy's `permissions.allow`, or have the permission added to it. "
        "Wildcards there count for nothing.",
    ),
    RuleName.CONSENT_MISSING: RuleText(
        "What an agent may do in another namespace, that namespace's owner decides: by the annotation "
        "`ringfence.dev/consent` of the Namespace, which names the agent, or all agents of a namespace, and the "
        "highest level of what it may be given. One that is withdrawn takes the Role and the RoleBinding there away.",
        "Have the owner annotate the namespace: `kubectl annotate namespace TARGET "
        "ringfence.dev/consent=NAMESPACE/AGENT=ReadOnly`; or leave the namespace out.",
    ),
    RuleName.RIGHTS_NAMES_IGNORED: RuleText(
        "`resourceNames` do not narrow list, watch, create and deletecollection, nor a permission that another "
        "rule gives on every object: the rule looks tighter than it is.",
        "Put these verbs into a rule without `resourceNames`, or leave them out.",
    ),
    RuleName.EGRESS_UNRESTRICTED: RuleText(
        "An agent that reaches most of the internet can be told to send anything anywhere. What counts is "
        "the sum of all rules, so that halves of the internet add up to the whole.",
        "Name only the networks that the agent needs, within the policy's `egress.maxPublicAddresses`.",
    ),
    RuleName.EGRESS_METADATA: RuleText(
        "Metadata services give a machine's credentials to any program on it; link-local, loopback and "
        "multicast addresses are the node and its wire. No policy can allow them, nor IPv6 forms that embed"
        " them.",
        "Name networks that do not contain these addresses.",
    ),
    RuleName.EGRESS_DNS_BYPASS: RuleText(
        "A resolver of the agent's own carries data out in the names that it asks for.",
        "Leave ports 53 and 853 out: the cluster's DNS is opened where a headless Service needs it.",
    ),
    RuleName.EGRESS_CLUSTER_ADDRESS: RuleText(
        "By address an agent would pass Services and their policies and reach kubelets, other pods or the API server.",
        "Name a `service`; ask for permissions on the API in `permissions.rules`.",
    ),
    RuleName.EGRESS_ABOVE_POLICY: RuleText(
        "The platform team lists the networks that agents of a namespace may reach. What is not the public internet "
        "(private and shared networks, documentation and other special ranges) it lists by entries that lie inside of "
        "the one range: `0.0.0.0/0` opens no address of `10.0.0.0/8`, `10.2.0.0/16` does. IPv4 that an IPv6 network "
        "carries (NAT64, 6to4) is judged as that IPv4, too.",
        "Keep to the policy's `egress.cidrs`, or have the network added to it.",
    ),
    RuleName.EGRESS_SERVICE_FORBIDDEN: RuleText(
        "The cluster's own Services and other teams' namespaces are not open to an agent unless their policy says so.",
        "Name a Service of the agent's own namespace, or have the namespace added to the policy's "
        "`egress.serviceNamespaces`. Kubernetes' own namespaces stay closed.",
    ),
    RuleName.EGRESS_HOST_INVALID: RuleText(
        "A name that two programs read in two ways leads one of them elsewhere: so there is one spelling of each, "
        "addresses and names of the cluster are none, letters that look alike are refused, a star never stands where "
        "anybody registers names (`*.co.uk`), and one host and port has one rule.",
        "Write the host's own name in lower case, such as `api.example.com`; what is not ASCII as `xn--...`. The port "
        "goes into `ports`, the path into `rules`. A `preset` goes with a host of its own provider.",
    ),
    RuleName.EGRESS_HOST_ABOVE_POLICY: RuleText(
        "The platform team lists the hosts that agents of a namespace may reach by name. A wildcard is a permission "
        "for names that nobody has looked at, so it must stand in the policy as it is; where anybody gets a name "
        "(`*.blob.core.windows.net`), with a reason.",
        "Keep to the policy's `egress.hosts`, or have the host added to it.",
    ),
    RuleName.EGRESS_TUNNEL_ABOVE_POLICY: RuleText(
        "Inside of a tunnel nobody sees which host, path or account is spoken to: the gateway has checked the name in "
        "the handshake, and nothing else.",
        "Leave `mode` out, so that the gateway decides each request; or have the host added to the policy's "
        "`egress.tunnel`.",
    ),
    RuleName.EGRESS_HOST_UNKEYED: RuleText(
        "An LLM provider's host takes files and prompts for every account. An agent that may bring a key of its own "
        "can be told to bring an attacker's, and hands over there what it knows.",
        "Have the gateway bring a key of yours (`secrets[].delivery.gateway`), which the agent never sees; or have the "
        "host added to the policy's `egress.unkeyed`.",
    ),
    RuleName.EGRESS_LIMIT_ABOVE_POLICY: RuleText(
        "An agent that is told what to do by somebody else may still spend, and send, what its rules let through: the "
        "platform team says how many requests a minute and how large a body that is, for each host.",
        "Write `limits` beside the host, at most the policy's `egress.limits`.",
    ),
    RuleName.INGRESS_ABOVE_POLICY: RuleText(
        "Who may connect to an agent may tell it what to do: the platform team says in which other namespaces callers "
        "may be.",
        "Name callers in the agent's own namespace, or have the namespace added to the policy's `ingress.namespaces` "
        "(where that is absent, those of `egress.serviceNamespaces` count).",
    ),
    RuleName.IMAGE_INVALID: RuleText(
        "A reference that runtimes read differently from us would run another image than the one that was judged.",
        "Write HOST/PATH@sha256:DIGEST in lower case.",
    ),
    RuleName.IMAGE_NO_DIGEST: RuleText(
        "A tag can be moved to another image after the agent was reviewed.",
        "Pin the image: NAME@sha256:DIGEST.",
    ),
    RuleName.IMAGE_REGISTRY: RuleText(
        "The platform team lists the registries that images may come from.",
        "Take the image from one of the policy's `images.registries`, or have its registry added.",
    ),
    RuleName.IMAGE_NOT_SIGNED: RuleText(
        "A digest says which image it is, not who stands for it: whoever may push to the registry makes images. The "
        "platform team names the keys of those who may.",
        "Sign the image (`cosign sign --key KEY --bundle FILE NAME@sha256:DIGEST`) with a key of each policy's "
        "`images.signedBy`, and put the content of FILE into `imageSignatures[].bundle`; "
        "docs/how-to/signed-images.md has it step by step.",
    ),
    RuleName.IMAGE_NOT_ATTESTED: RuleText(
        "The platform team wants to know of an image how it was built, or what it was scanned for, from somebody whom "
        "it trusts.",
        "Attest it (`cosign attest --key KEY --type TYPE --predicate PREDICATE --bundle FILE NAME@sha256:DIGEST`) with "
        "a key of the policy's `images.signedBy`, and put the content of FILE into `imageSignatures[].bundle`.",
    ),
    RuleName.SANDBOX_REQUIRED: RuleText(
        "The platform team wants a stronger wall between the agents of a namespace and the node's kernel.",
        "Set `sandbox.runtimeClassName` to one that the policy names.",
    ),
    RuleName.USER_ABOVE_POLICY: RuleText(
        "Who runs as the same user as something else on a node, or as the owner of files of a shared volume, passes "
        "what the kernel keeps apart by users: the platform team says which ids are the agents'.",
        "Leave `runAsUser` and `runAsGroup` out, which means 65532, or have the id added to the policy's `pods.users`.",
    ),
    RuleName.MARK_ABOVE_POLICY: RuleText(
        "By its labels a pod takes part in what others select: it gets a Service's requests, or what a NetworkPolicy "
        "opens. Annotations are read by meshes, collectors and the like. The platform team says which are harmless.",
        "Leave it out, or have the key added to the policy's `pods.labels` or `pods.annotations`.",
    ),
    RuleName.GRACE_ABOVE_POLICY: RuleText(
        "An agent that is stopped, because its fence is not right or because its policy says so, goes on until its "
        "time to end is over: the platform team says how long that may be.",
        "Lower `stop.gracePeriod`, or have the policy's `pods.maxGracePeriod` raised. 30s is always allowed.",
    ),
    RuleName.SCHEDULING_ABOVE_POLICY: RuleText(
        "An agent that chooses its node gets beside what it wants to look at, one that tolerates taints gets onto "
        "nodes that were kept for others, a priority ends others' pods, and devices are scarce: the platform team says "
        "which of them are for agents.",
        "Leave the field out, or have its value added to the policy's `pods.nodeLabels`, `pods.tolerations`, "
        "`pods.priorityClassNames`, `pods.topologyKeys` or `pods.devices`.",
    ),
    RuleName.VOLUME_ABOVE_POLICY: RuleText(
        "An existing volume may hold what is not meant for an agent, or take what an agent writes to others: the "
        "platform team says which of them agents may mount, and whether they may write.",
        "Leave the entry out, or have the claim added to the policy's `pods.claims`.",
    ),
    RuleName.VOLUME_RESERVED: RuleText(
        "PersistentVolumeClaims whose names begin with `ringfence-` are the storage of agents: one must not be given "
        "another's.",
        "Name a claim of your own, or write `storage` for a volume of the agent's own.",
    ),
    RuleName.IDENTITY_ABOVE_POLICY: RuleText(
        "What an agent may do in a cloud, the cloud decides by the role or the token that it comes with: the platform "
        "team lists which of them agents of a namespace may have.",
        "Leave `identity` out, or have the value added to the policy's `identity.annotations`, or the audience to its "
        "`identity.audiences`.",
    ),
    RuleName.AGENTS_ABOVE_POLICY: RuleText(
        "One team must not take what all share: a policy bounds the "
        "AgentDeployments of a namespace, suspended ones included.",
        "Delete an agent that nobody needs, or have the policy's `limits.agents` raised.",
    ),
    RuleName.REPLICAS_ABOVE_POLICY: RuleText(
        "One team must not take what all share: a policy bounds the "
        "pods of all agents of a namespace; a suspended one has none.",
        "Lower `replicas`, or suspend an agent, or have the policy's `limits.replicas` raised.",
    ),
    RuleName.CPU_ABOVE_POLICY: RuleText(
        "One team must not take what all share: a policy bounds the "
        "CPUs of a namespace: the limits of all pods of its agents.",
        "Lower `resources.limits.cpu` or `replicas`, or have the policy's `limits.cpu` raised.",
    ),
    RuleName.MEMORY_ABOVE_POLICY: RuleText(
        "One team must not take what all share: a policy bounds the "
        "memory of a namespace: the limits of all pods of its agents.",
        "Lower `resources.limits.memory` or `replicas`, or have the policy's `limits.memory` raised.",
    ),
    RuleName.STORAGE_ABOVE_POLICY: RuleText(
        "One team must not take what all share: a policy bounds the "
        "storage of a namespace: the volumes of all its agents.",
        "Lower `storage.size`, or delete an agent with its volume, or have the policy's `limits.storage` raised.",
    ),
    RuleName.SECRET_RESERVED: RuleText(
        "Secrets whose names begin with `ringfence-` hold the secrets of agents: one must not be given another's.",
        "Name a Secret of your own, or have a value made: `source: {generate: {}}`.",
    ),
    RuleName.SECRET_DELIVERY: RuleText(
        "Two secrets in one place hide one another, the directory of one hides what else is there, and some variables "
        "tell loaders, shells and interpreters what to "
        "run, or whom to trust and ask: whoever writes the Secret would run code in the agent, or read along.",
        "Give each secret a path or a variable of its own, such as `API_KEY`. What is no secret, such as a proxy or "
        "`JAVA_TOOL_OPTIONS`, goes to `spec.env`.",
    ),
    RuleName.SECRET_UNREADABLE: RuleText(
        "Who may create or change agents but not read a Secret could read it through an agent of his own, or through "
        "one that has the Secret already, by changing what that one runs; or use it, by changing the host or the "
        "requests with which an egress gateway sends it.",
        "Have somebody who may get the Secret apply the object, or be given that permission; where the namespace "
        "names a delegate, have the delegate given it.",
    ),
    RuleName.PERMISSION_NOT_HELD: RuleText(
        "Who may create agents, or change what they run, but may not do a thing himself could have an agent do it for "
        "him. So it is asked about when it is new to an agent, and again when another program would get it (`image`, "
        "`command`, `args`, `env`, `envFrom`, `files`, `probes`, `initContainers`, `sidecars`, the paths of `scratch`, "
        "`storage`, `identity` and the files of secrets). The ConfigMaps that an agent is given are asked about in the "
        "same way.",
        "Leave the permission out, have somebody who holds it apply the object, or be given it; where the namespace "
        "names a delegate (annotation `ringfence.dev/delegate`), have the delegate given it.",
    ),
    RuleName.VARIABLE_RESERVED: RuleText(
        "Some variables tell loaders, shells and interpreters what to run, or whom to trust and ask: whoever writes "
        "the ConfigMap would run code in the agent, or read along.",
        "Set such a variable by value in `spec.env`, where only the agent's author decides it.",
    ),
    RuleName.SECRET_IN_PLAIN_TEXT: RuleText(
        "A secret in `env`, `args` or `command` is read by whoever reads the object, its history in git, or a backup. "
        "Refused are known shapes of credentials, URLs with a password, and values whose name says that they are "
        "secrets; digests, UUIDs, paths and public keys are none.",
        "Put the value into a Secret, and name that in `spec.secrets`: `source: {existing: {secretName: NAME, "
        "key: KEY}}`, `delivery: {env: {name: VARIABLE}}`, with the same variable's name. An argument takes it as "
        "`$(VARIABLE)`. A key that was in an object should be replaced.",
    ),
    RuleName.HAND_OVER_UNDECIDED: RuleText(
        "Admission alone knows who writes a spec. Where it could be passed when the controller first saw the spec, "
        "nobody asked whether the writer may read the Secret, and the agent does not get it.",
        "Put the registration of admission right (`helm upgrade`); then have somebody who may get the Secret change "
        "any field of the spec, or delete the object and apply it again.",
    ),
    RuleName.ROTATION_ABOVE_POLICY: RuleText(
        "The platform team says how long a secret may live: a stolen one is of use as long.",
        "Lower `rotation.every` to the policy's `secrets.maxAge`, or have the policy changed.",
    ),
}
