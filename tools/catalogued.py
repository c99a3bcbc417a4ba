"""What the ids in tests stand for: the source of docs/security/catalogue.md.

An id never changes its meaning. A row comes with the first test that names it.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Entry:
    """`tried`: what somebody does, or what breaks. `holds`: what stands against it."""

    tried: str
    holds: str


_WORDS: Final = "`decide` knows permissions word by word: what it does not know is refused"
_NEVER: Final = "`decide`: no level holds it; the ClusterRole `ringfence-agent-ceiling` does not either"
_NO_FIELD: Final = "the API has no field for it; an unknown field is refused"
_SUM: Final = "`decide` adds up the addresses of all rules and compares the sum with each policy"
_CLOSED: Final = "`decide`: these addresses are closed, whatever a policy says"

ENTRIES: Final[dict[str, Entry]] = {
    "B1": Entry("a wildcard in verbs, resources or groups", "`decide` refuses every `*`, also one inside of a word"),
    "B2": Entry("a wildcard with a subresource, such as `*/exec` or `pods/*`", "`decide` refuses every `*`"),
    "B3": Entry("a binding to a strong role, by its name", f"{_NO_FIELD}; writing bindings is in no level"),
    "B4": Entry("a binding to a role that is aggregated and grows later", _NO_FIELD),
    "B5": Entry("a binding to a role that is made only later", _NO_FIELD),
    "B6": Entry("groups such as `system:masters` as the subject", _NO_FIELD),
    "B7": Entry("another ServiceAccount, written as a user, as the subject", _NO_FIELD),
    "B8": Entry("a ServiceAccount of another namespace as the subject", _NO_FIELD),
    "B9": Entry("labels by which the Role becomes part of a larger one", _NO_FIELD),
    "B10": Entry("`nonResourceURLs`", _NO_FIELD),
    "B11": Entry(
        "`resourceNames` beside verbs that carry no name (list, watch, create, deletecollection)",
        "`decide` refuses the verb there and says why",
    ),
    "B12": Entry(
        "`resourceNames` that do not narrow: empty, a star, or undone by another rule",
        "`decide` compares all rules with one another",
    ),
    "B13": Entry(
        "halves that are harmless alone: to create a certificate request and to approve it",
        "`decide` judges each permission, whichever rule it stands in; no level holds such halves",
    ),
    "B14": Entry("`get` on `pods/exec`, `nodes/proxy` and the like, which is more than reading", _NEVER),
    "B15": Entry("verbs and resources in capitals, with blanks, control or look-alike characters", _WORDS),
    "B16": Entry("verbs outside of the usual ones: `use`, `sign`, `approve`, `attest`, `impersonate:...`", _WORDS),
    "B17": Entry("a group by another name: `extensions`, `core`, with a version", _WORDS),
    "B18": Entry("impersonation by extra fields and uids", _NEVER),
    "B19": Entry("an agent that makes agents", _NEVER),
    "B20": Entry("writing ServiceAccounts, Ringfence's own among them", _NEVER),
    "B21": Entry("writing admission policies, webhooks, CRDs, API services", _NEVER),
    "B22": Entry("a token, by a Secret or by a TokenRequest", _NEVER),
    "B23": Entry("patching a namespace, and so its labels", _NEVER),
    "B24": Entry("redirecting traffic: EndpointSlices, Endpoints, the status of Services", _NEVER),
    "B25": Entry("nodes, their status, and what the kubelet reads", _NEVER),
    "B26": Entry("claims on devices, with administrator's access", _NEVER),
    "B27": Entry("resizing, binding and evicting pods", _NEVER),
    "B28": Entry("trust bundles and certificates for pods", _NEVER),
    "B31": Entry("a container added to a running pod", _NEVER),
    "B34": Entry("an update while the object is being deleted", "the webhook decides it like any other"),
    "B37": Entry(
        "the namespace's label taken away, so that nobody reviews",
        "the floor in the API server looks at every namespace",
    ),
    "B39": Entry("the webhook's registration edited or deleted", "the floor; the controller decides again"),
    "B46": Entry("names that collide or are cut at 63 characters", "the API bounds them; children's names are unique"),
    "B47": Entry("a review sent past the API server", "TLS with a client's certificate, where its CA is given"),
    "B50": Entry(
        "odd input: look-alikes, NUL, numbers as text, YAML's other booleans", "schema and `decide` agree on it"
    ),
    "B68": Entry("an image without a digest, or with a port that looks like a tag", "`decide` parses the reference"),
    "B70": Entry("the whole internet: `0.0.0.0/0`, `::/0`", _SUM),
    "B71": Entry("the whole internet in two halves, in one rule or in two", _SUM),
    "B72": Entry("other spellings of it: host bits, mapped, NAT64, 6to4, Teredo", f"{_SUM}, IPv4 inside of IPv6 too"),
    "B73": Entry("the internet in many pieces, or nearly all of it", _SUM),
    "B74": Entry("exceptions that cancel one another", _NO_FIELD),
    "B75": Entry("the clouds' metadata services, and networks that contain them", _CLOSED),
    "B76": Entry(
        "addresses of nodes, pods, Services, the API server, etcd", "`decide`, where the chart names the networks"
    ),
    "B77": Entry("a rule without a destination, or with an empty one", "the schema asks for exactly one"),
    "B78": Entry("selectors that match everything", _NO_FIELD),
    "B79": Entry("no ports, ranges of all, named ones, other protocols", "the schema: numbers, TCP, at least one"),
    "B80": Entry("port 53 or 853 of a resolver of the agent's own", "`decide` refuses both ports by address"),
    "B81": Entry("a host's name as a destination, with or without a wildcard", _NO_FIELD),
    "B84": Entry("another NetworkPolicy, which adds openings", _NEVER),
    "B85": Entry("policies that stand above NetworkPolicies", _NEVER),
    "R1": Entry("killed after any write", "each write leaves a valid state; the next pass goes on from it"),
    "R2": Entry("a write whose reply is lost, or that is refused", "writes are conditional; tried again, more slowly"),
    "R7": Entry("a rolling restart under load", "the old replica serves on until no more requests come"),
    "R8": Entry("the webhook is down", "it fails closed, for Ringfence's own kinds alone"),
    "R9": Entry(
        "a new certificate under load; one that is expired, or not yet valid", "swapped in the handshake; alerts"
    ),
    "R10": Entry("huge, deep or broken requests", "bounds of bytes, depth and time; refused, never let in"),
    "R15": Entry("a rotation that stops between two steps", "both values are valid for the overlap"),
    "R20": Entry("a replica that is stopped while it answers", "reviews in flight are finished first"),
}
