"""Bounded field types: every string and list of the API has a format and a bound, declared here once.

Patterns are in RE2 syntax, understood alike by the API server (Go) and by pydantic (Rust's regex).
"""

import ipaddress
import re
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from . import quantities
from .base import ValueRule

MAX_SUBDOMAIN = 253


def matches(pattern: str, text: str) -> bool:
    """Whether the whole `text` is of a pattern; as in RE2, no newline may follow the end."""
    return re.fullmatch(pattern, text) is not None


@lru_cache(maxsize=4096)
def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """ADDRESS/PREFIX as a network; raises ValueError. Kept, as a spec is looked at many times and seldom changes."""
    return ipaddress.ip_network(text, strict=True)


def _is_network(text: str) -> bool:
    """Whether `text` is ADDRESS/PREFIX with no host bits, in a spelling that Go's parser takes too."""
    address, slash, prefix = text.partition("/")
    if not slash or not re.fullmatch(r"0|[1-9][0-9]{0,2}", prefix) or "%" in address:
        return False
    try:
        found = network(text)
    except ValueError:
        return False
    # ::ffff:10.0.0.0/104 is an IPv4 network to some readers and an IPv6 network to others.
    return isinstance(found, ipaddress.IPv4Network) or found.network_address.ipv4_mapped is None


def _without_nulls(labels: Any) -> Any:
    """The API server drops an entry of a map whose value is null."""
    if not isinstance(labels, dict):
        return labels
    return {key: value for key, value in labels.items() if value is not None}


def _quantity(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError:
        # One sentence, not one for each branch of the union.
        raise ValueError(
            "must be a quantity such as 2, 500m or 512Mi, without a sign or an exponent; a unit has no B at its end"
        ) from None


_CIDR = ValueRule(
    cel="isCIDR(self) && cidr(self).masked() in [cidr(self)]",
    message="must be a network such as 203.0.113.0/28 or 2001:db8::/64, with no bits set beyond the prefix",
    check=_is_network,
)

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
DNS_SUBDOMAIN = rf"^{_SUBDOMAIN}$"
_LABEL_KEY_PATTERN = rf"^({_SUBDOMAIN}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?$"
_MAX_LABEL_KEY = 317


def _is_label_key(text: str) -> bool:
    return len(text) <= _MAX_LABEL_KEY and text.find("/") <= MAX_SUBDOMAIN and matches(_LABEL_KEY_PATTERN, text)


_LABEL_PREFIX = ValueRule(
    cel=f"self.indexOf('/') <= {MAX_SUBDOMAIN}",
    message=f"the part of a label's key before the / has at most {MAX_SUBDOMAIN} characters",
    check=lambda key: key.find("/") <= MAX_SUBDOMAIN,
)
_LABEL_KEYS = ValueRule(
    cel=f"self.all(key, key.size() <= {_MAX_LABEL_KEY} && key.indexOf('/') <= {MAX_SUBDOMAIN} "
    f"&& key.matches(r'{_LABEL_KEY_PATTERN}'))",
    message="each key must be a label's key, such as app or example.com/team",
    check=lambda labels: all(map(_is_label_key, labels)),
)

DnsLabel = Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
"""RFC 1123 label: the name of a namespace, a Service."""
DnsSubdomain = Annotated[str, Field(min_length=1, max_length=MAX_SUBDOMAIN, pattern=DNS_SUBDOMAIN)]
"""RFC 1123 subdomain: the name of a Secret, a RuntimeClass, a StorageClass, a ConfigMap."""
PortName = Annotated[
    str, Field(min_length=1, max_length=15, pattern=r"^([a-z0-9]+-)*[0-9]*[a-z]([a-z0-9]|-[a-z0-9])*$")
]
"""IANA service name with at least one letter, as Kubernetes asks of a port's name."""
Generation = Annotated[int, Field(ge=0, le=2**53)]
"""An object's metadata.generation. 2**53: the last integer that every JSON parser keeps exact."""
Port = Annotated[int, Field(ge=1, le=65535)]
Image = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._:@/-]*$")]
"""Characters only; `policy/images.py` parses it."""
Argument = Annotated[str, Field(max_length=4096, pattern=r"^[^\x00]*$")]
"""Any text without NUL, which would end an argument early."""
EnvName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
EnvValue = Annotated[str, Field(max_length=32768, pattern=r"^[^\x00]*$")]
Bundle = Annotated[str, Field(min_length=2, max_length=32768, pattern=r"^\{")]
"""JSON of an object; `policy/signatures.py` parses it."""
PublicKey = Annotated[
    str,
    Field(
        min_length=64,
        max_length=1024,
        pattern=r"^-----BEGIN PUBLIC KEY-----\r?\n([A-Za-z0-9+/=]+\r?\n)+-----END PUBLIC KEY-----\r?\n?$",
    ),
]
"""PEM of a SubjectPublicKeyInfo, as `cosign public-key` prints it; `policy/signing_keys.py` reads it."""
Uri = Annotated[str, Field(min_length=3, max_length=253, pattern=r"^[a-z][a-z0-9+.-]*:[!-~]+$")]
Cidr = Annotated[str, Field(min_length=4, max_length=43), _CIDR]
AbsolutePath = Annotated[str, Field(min_length=2, max_length=512, pattern=r"^(/\.?[A-Za-z0-9_][A-Za-z0-9._-]*)+$")]
"""No segment . or .., though hidden directories, such as .cache; no trailing slash, no blanks."""
HttpPath = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^/[A-Za-z0-9/._~%-]*$")]
LabelKey = Annotated[str, Field(min_length=1, max_length=317, pattern=_LABEL_KEY_PATTERN), _LABEL_PREFIX]
LabelValue = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]
Labels = Annotated[dict[str, LabelValue], _LABEL_KEYS, BeforeValidator(_without_nulls)]
"""A structural schema has patterns for the values of a map only; CEL checks its keys."""
AnnotationValue = Annotated[str, Field(max_length=1024, pattern=r"^[^\x00-\x1f\x7f]*$")]
Annotations = Annotated[
    dict[str, AnnotationValue],
    _LABEL_KEYS,
    BeforeValidator(_without_nulls),
]
"""Of one line each. Keys as of labels."""
Quantity = Annotated[
    Annotated[int, Field(ge=0, le=2**53)]
    | Annotated[str, Field(min_length=1, max_length=quantities.MAX_LENGTH, pattern=quantities.PATTERN)],
    WrapValidator(_quantity),
]
"""A Kubernetes quantity without a sign or an exponent: `2`, `500m`, `512Mi` (x-kubernetes-int-or-string)."""
RbacWord = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[!-~]*$")]
"""Printable ASCII without blanks: a look-alike letter or an invisible one never enters a rule of rights."""
UserGroup = Annotated[
    str,
    Field(min_length=1, max_length=253, pattern=r"^[^\x00-\x1f\x7f]+$"),
    ValueRule(
        cel="!(self in ['system:authenticated', 'system:unauthenticated']) "
        "&& !self.startsWith('system:serviceaccounts')",
        message="name a group of people: this one has everybody in it, or ServiceAccounts, which agents have, too",
        check=lambda group: (
            group not in {"system:authenticated", "system:unauthenticated"}
            and not group.startswith("system:serviceaccounts")
        ),
    ),
]
"""A group as the API server's authentication names it: any text of one line."""
RbacGroup = Annotated[str, Field(max_length=253, pattern=r"^[!-~]*$")]
