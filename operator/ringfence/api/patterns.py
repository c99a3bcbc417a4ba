"""The regular expressions of the API's types in words, each with an example: nobody is shown the expression itself.

A table and nothing else. A type with an expression has a row here.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, get_args

from . import agentpolicy, fields, files, hostnames, identity, network, quantities, run, scheduling, secrets


def _pattern(annotated: Any) -> str:
    """The regular expression of a type of `fields`."""
    for one in get_args(annotated)[1:]:
        for constraint in getattr(one, "metadata", ()):
            if found := getattr(constraint, "pattern", None):
                return str(found)
    raise LookupError(annotated)


PATTERNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        _pattern(fields.DnsLabel): "must be a name of a-z, 0-9 and -, such as web-search",
        _pattern(fields.DnsSubdomain): "must be a name of a-z, 0-9, - and ., such as web-search",
        _pattern(fields.PortName): "must be a name of a-z, 0-9 and -, with a letter in it, such as http; the number of "
        "the port stands in spec.ports",
        _pattern(fields.Image): "must be an image such as registry.example/team/agent@sha256:..., without blanks and "
        "without https://",
        hostnames.HOST_PATTERN: "must be the name of a host in lower case, such as api.example.com, or *.example.com",
        _pattern(network.RequestPath): "must be a path such as /v1/messages, or /v1/files/* for all that begins with "
        "/v1/files/, without a host, a query, %, ;, // or ..",
        _pattern(fields.Argument): "must be text without the character NUL",
        _pattern(fields.EnvName): "must be a variable's name of letters, digits and _, such as LOG_LEVEL",
        _pattern(fields.Bundle): "must be the JSON of a Sigstore bundle, as `cosign sign --bundle FILE` writes it",
        _pattern(fields.PublicKey): "must be a public key in PEM, as `cosign public-key` prints it",
        _pattern(fields.Uri): "must be a URI, such as https://slsa.dev/provenance/v1",
        _pattern(
            fields.AbsolutePath
        ): "must be a full path of letters, digits, ., _ and -, such as /data, without a / at its end",
        _pattern(fields.HttpPath): "must be the path of a URL, such as /healthz, without a host or a query",
        _pattern(fields.LabelKey): "must be a label's key, such as app or example.com/team",
        _pattern(fields.LabelValue): "must be a label's value: letters, digits, -, _ and ., such as console",
        _pattern(fields.AnnotationValue): "must be one line of text, without control characters",
        quantities.PATTERN: "must be a quantity such as 2, 500m or 512Mi",
        _pattern(fields.RbacWord): "must be a word without blanks, such as configmaps",
        _pattern(identity.Audience): "must be a word of ASCII without blanks, such as sts.amazonaws.com",
        _pattern(
            identity.TokenPath
        ): "must be the full path of a file in a directory of letters, digits, ., _ and -, such "
        "as /var/run/identity/token",
        _pattern(fields.RbacGroup): 'must be an API group, such as apps, or "" for the core group',
        _pattern(secrets.Duration): "must be a time in hours, minutes and "
        "seconds, such as 720h or 1h30m; 30 days are 720h",
        run.SCHEDULE: "must be five fields of cron, such as 0 3 * * * (each night at 3), or @hourly, @daily, @weekly, "
        "@monthly, @yearly; without TZ= (write timeZone) and without @every",
        run.TIME_ZONE_NAME: "must be the name of a time zone, such as Europe/Paris or Etc/UTC",
        _pattern(secrets.Age): "must be a time such as 720h, or Never; 30 days are 720h",
        _pattern(files.ConfigMapDataKey): "must be a key of a ConfigMap's data: letters, digits, -, _ and ., such as "
        "config.yaml",
        _pattern(fields.UserGroup): "must be the name of a group of users, such as sre, without control characters",
        _pattern(secrets.SecretKey): "must be a key of a Secret's data: letters, digits, -, _ and ., such as token",
        _pattern(secrets.KeyHeader): "must be the name of a header in lower case, such as x-api-key",
        _pattern(secrets.KeyParameter): "must be a parameter of a query, such as key, of letters, digits, ., _ and -",
        _pattern(secrets.AuthScheme): "must be a word such as Bearer, without a blank",
        _pattern(secrets.BasicUser): "must be a user such as x-access-token, without a colon or a blank",
        _pattern(scheduling.DeviceName): "must be an extended resource of nodes, such as nvidia.com/gpu",
        _pattern(secrets.KeyPath): "must be a full path of letters, digits, ., _ and - with a directory for the file, "
        f"such as {secrets.SECRETS_DIRECTORY}/token",
        _pattern(agentpolicy.Registry): "must be a registry with or without a path, such as registry.example/team, or "
        '"*" for any; without https://',
    }
)
"""Regular expression -> the same in words, with an example."""
