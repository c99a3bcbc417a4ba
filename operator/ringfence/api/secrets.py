"""The keys that an agent is given: where they come from, how they change, how they reach it.

No value of a secret is ever part of this API.
"""

import re
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, ClassVar, Final

from pydantic import Field

from .base import ListType, Model, Rule, ValueRule
from .fields import DnsLabel, DnsSubdomain, EnvName
from .hostnames import HostPattern

SECRETS_DIRECTORY = "/var/run/ringfence"
"""A directory for keys that are delivered as files, in every agent; a path outside of it has one of its own."""
PREVIOUS_SUFFIX = ".previous"
"""Beside a file: the value before this one, while the overlap lasts."""

NEVER = "Never"
"""The age of a value that must not change: no age is too old."""

_SPAN = "([0-9]{1,5}h)?([0-9]{1,4}m)?([0-9]{1,4}s)?"
_DURATION = f"^{_SPAN}$"
_PARTS = re.compile(r"(?:(\d{1,5})h)?(?:(\d{1,4})m)?(?:(\d{1,4})s)?")
SHORTEST_PERIOD = timedelta(hours=1)
"""Below an hour a Secret's way to the pods (a minute or two) and the job's start would eat up the overlap."""


@lru_cache(maxsize=1024)
def duration(text: str) -> timedelta:
    """A duration of the API (`720h`, `1h30m`) as a timedelta. Raises ValueError on anything else."""
    found = _PARTS.fullmatch(text)
    if not text or found is None:
        raise ValueError(f"{text[:20]!r} is no duration")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


Duration = Annotated[str, Field(min_length=2, max_length=16, pattern=_DURATION)]
"""Hours, minutes, seconds as in Go: `720h`, `1h30m`. At most 99999h."""


def between(shortest: str, longest: str, why: str = "") -> ValueRule:
    """A bound of a Duration: from one to another, both included. `why`: what the message says after them."""
    least, most = duration(shortest), duration(longest)
    return ValueRule(
        cel=f"duration(self) >= duration('{shortest}') && duration(self) <= duration('{longest}')",
        message=f"must be from {shortest} to {longest}{why}",
        check=lambda text: least <= duration(text) <= most,
    )


Period = Annotated[
    Duration,
    ValueRule(
        cel="duration(self) >= duration('1h')",
        message="must be at least 1h: a shorter one leaves no time for the new value to arrive",
        check=lambda text: duration(text) >= SHORTEST_PERIOD,
    ),
]
Age = Annotated[
    str,
    Field(min_length=2, max_length=16, pattern=f"^({NEVER}|{_SPAN})$"),
    ValueRule(
        cel=f"self == '{NEVER}' || duration(self) >= duration('1h')",
        message=f"must be at least 1h, or {NEVER}",
        check=lambda text: text == NEVER or duration(text) >= SHORTEST_PERIOD,
    ),
]
"""How old a value may become, as a duration, or never too old."""
SecretKey = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")]
"""A key of a Secret's data. No leading dot, as it becomes a file's name."""
KeyPath = Annotated[
    str,
    Field(min_length=4, max_length=256, pattern=r"^(/\.?[A-Za-z0-9_][A-Za-z0-9._-]*){2,8}$"),
    ValueRule(
        cel=f"!self.endsWith('{PREVIOUS_SUFFIX}')",
        message=f"must not end with {PREVIOUS_SUFFIX}: there the value before this one lies",
        check=lambda path: not path.endswith(PREVIOUS_SUFFIX),
    ),
]


NO_KEY_HEADERS: Final = (
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
)
"""Headers that steer the message or a proxy (RFC 9110 sections 7.6 and 8, RFC 9112 section 6)."""
KeyHeader = Annotated[
    str,
    Field(min_length=1, max_length=64, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$"),
    ValueRule(
        cel="!(self in [" + ", ".join(f"'{name}'" for name in NO_KEY_HEADERS) + "]) && "
        "!self.startsWith('x-envoy-') && !self.startsWith('x-forwarded-') && !self.startsWith('sec-')",
        message="is a header that steers the request: name the one that holds the key, such as x-api-key",
        check=lambda name: name not in NO_KEY_HEADERS and not name.startswith(("x-envoy-", "x-forwarded-", "sec-")),
    ),
]
"""Name of a header that holds a key. In lower case: one spelling of each."""
AuthScheme = Annotated[
    str,
    Field(min_length=1, max_length=32, pattern=r"^[A-Za-z][A-Za-z0-9-]*$"),
    ValueRule(
        cel="self.lowerAscii() != 'basic'",
        message="holds a user, too: write basic: {user: NAME} in place of header and scheme",
        check=lambda scheme: scheme.lower() != "basic",
    ),
]
"""What stands before a key (RFC 9110 section 11.1)."""
BasicUser = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9@._+-]*$")]
"""A user without a colon, at which RFC 7617 cuts."""

KeyParameter = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""Name of a query's parameter. No character of it is ever written otherwise in a query (RFC 3986 section 2.3)."""


class ExistingSecret(Model):
    """A Secret that somebody else made and keeps: delivered, never written. Its age is watched."""

    secret_name: DnsSubdomain = Field(
        description="Name of the Secret, in the agent's namespace. Whoever names it must be allowed to get it."
    )
    key: SecretKey = Field(description="Key in the Secret's data.")


class GeneratedSecret(Model):
    """A random value that Ringfence makes and rotates: letters and digits, 5.95 bits each."""

    length: int = Field(default=40, ge=20, le=256, description="How many characters the value has.")


class SecretSource(Model):
    """Where the value comes from: exactly one."""

    cel_rules: ClassVar = (
        Rule(
            cel="has(self.existing) != has(self.generate)",
            message="name exactly one source: existing or generate",
            check=lambda source: (source.existing is None) != (source.generate is None),
        ),
    )

    existing: ExistingSecret | None = None
    generate: GeneratedSecret | None = None


class Rotation(Model):
    """When the value changes."""

    cel_rules: ClassVar = (
        Rule(
            cel="duration(self.overlap) < duration(self.every)",
            message="overlap must be shorter than every",
            check=lambda rotation: duration(rotation.overlap) < duration(rotation.every),
        ),
    )

    every: Period = Field(default="720h", description="Longest life of a value. Policies bound it by secrets.maxAge.")
    overlap: Duration = Field(
        default="1h", description="How long the value before stays beside the new one: the time for others to follow."
    )


class FileDelivery(Model):
    """As a file that changes under the running agent, without a restart."""

    path: KeyPath = Field(
        description=f"Full path, such as {SECRETS_DIRECTORY}/token. The value before lies beside it, as "
        f"PATH{PREVIOUS_SUFFIX}. Outside of {SECRETS_DIRECTORY} the file's directory is mounted, read-only: it hides "
        "what the image has there, and nothing of the system or of the pod lies in it."
    )


class EnvDelivery(Model):
    """As an environment variable; the agent is restarted, pod by pod, when the value changes."""

    name: EnvName = Field(description="Name of the variable. Prefer a file: child processes inherit the environment.")


class BasicAuth(Model):
    """The value as a password: `Authorization: Basic`, with a user (RFC 7617)."""

    user: BasicUser = Field(description="The user beside it, such as x-access-token. Not a secret.")


class GatewayDelivery(Model):
    """Not at all: the agent gets a placeholder, and its egress gateway sends the value in place of that.

    To one host alone, with the requests that the rules of that host let through.
    """

    cel_rules: ClassVar = (
        Rule(
            cel="[has(self.header), has(self.basic), has(self.query)].filter(named, named).size() <= 1",
            message="name one place: header, basic or query",
            check=lambda delivery: [delivery.header, delivery.basic, delivery.query].count(None) >= 2,  # noqa: PLR2004
        ),
        Rule(
            cel="!has(self.scheme) || has(self.header)",
            message="a scheme stands in a header, such as header: authorization with scheme: Bearer",
            check=lambda delivery: delivery.scheme is None or delivery.header is not None,
        ),
        Rule(
            cel="!self.host.startsWith('*')",
            message="the value goes to one host: name it without a star",
            check=lambda delivery: not delivery.host.startswith("*"),
        ),
    )

    host: HostPattern = Field(
        description="The host that gets the value: one of network.egress, with rules or a preset, not by mode: Tunnel "
        "and not on port 80. A host has one such secret."
    )
    header: KeyHeader | None = Field(
        default=None,
        description="Header in which clients put it, such as x-api-key, in lower case. Absent, with a preset of the "
        "host: each place where that provider's own clients put it.",
    )
    scheme: AuthScheme | None = Field(
        default=None, description="What stands before it in the header, such as Bearer. Absent: nothing."
    )
    basic: BasicAuth | None = None
    query: KeyParameter | None = Field(
        default=None,
        description="Parameter of the query in which clients put it, such as key. Prefer a header where the host takes "
        "one: hosts log queries.",
    )
    env: EnvName = Field(
        description="Variable of the agent that holds the placeholder. It is worth nothing but at the agent's own "
        "gateway."
    )


class SecretDelivery(Model):
    """How the agent gets the value: exactly one."""

    cel_rules: ClassVar = (
        Rule(
            cel="[has(self.file), has(self.env), has(self.gateway)].exists_one(named, named)",
            message="name exactly one delivery: file, env or gateway",
            check=lambda delivery: (
                [delivery.file is None, delivery.env is None, delivery.gateway is None].count(False) == 1
            ),
        ),
    )

    file: FileDelivery | None = None
    env: EnvDelivery | None = None
    gateway: GatewayDelivery | None = None

    @property
    def variable(self) -> str | None:
        """The variable of the agent that it sets: with the value, or with the placeholder."""
        if self.env is not None:
            return self.env.name
        return self.gateway.env if self.gateway is not None else None

    @property
    def variable_field(self) -> str:
        """The field that names it."""
        return "env.name" if self.env is not None else "gateway.env"


class AgentSecret(Model):
    """One key of the agent."""

    cel_rules: ClassVar = (
        Rule(
            cel="has(self.source.generate) == has(self.rotation)",
            message="a generated secret needs rotation, such as rotation: {every: 720h}; an existing one takes none",
            check=lambda secret: (secret.source.generate is None) == (secret.rotation is None),
        ),
        Rule(
            cel="!has(self.maxAge) || has(self.source.existing)",
            message="maxAge is for an existing Secret; of a generated one rotation.every is the longest life",
            check=lambda secret: secret.max_age is None or secret.source.existing is not None,
        ),
    )

    name: DnsLabel = Field(description="Name of the secret within the agent.")
    source: SecretSource
    rotation: Rotation | None = Field(default=None, description="Required with source.generate.")
    max_age: Age | None = Field(
        default=None,
        description="How old the value of an existing Secret may become before it is said. Absent: what the policies "
        f"say. At most that, or `{NEVER}` where every policy has `secrets.allowNever`: for what must not change.",
    )
    delivery: SecretDelivery
    containers: Annotated[list[DnsLabel], Field(max_length=9), ListType("set")] = Field(
        default_factory=list,
        description="Names of the containers that get it, of initContainers and sidecars; `agent` is the agent's own. "
        "Empty: the agent's own alone.",
    )

    @property
    def receivers(self) -> list[str]:
        """Names of all containers that get it."""
        return self.containers or ["agent"]


class PolicySecrets(Model):
    """Bounds on keys."""

    max_age: Period = Field(
        default="720h",
        description="Longest life of a key. A generated one must rotate at least so often; "
        "an older one of any source is a violation.",
    )
    allow_never: bool = Field(
        default=False,
        description=f"Whether an agent may say `maxAge: {NEVER}` of an existing Secret: a CA's certificate, the "
        "address of a database, a key that encrypts what is stored.",
    )
