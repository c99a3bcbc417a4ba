"""Host names as policies list them, and which agents' hosts these cover. The normaliser itself is the API's own."""

from collections.abc import Iterable, Iterator

from ringfence.api.agentpolicy import AllowedHost
from ringfence.api.hostnames import STAR, Host, Refused, Why, read_host

from .suffixes import public_suffix, shared_suffix

__all__ = ["Host", "Refused", "Why", "counted", "covered", "named", "read_host", "refusal"]

_PUBLIC = (
    "a star stands there for whatever anybody registers (publicsuffix.org): name the domain, such as *.example.com"
)


def refusal(name: str, reason: str | None = None, *, needs_reason: bool = True) -> str | None:
    """Why an entry of a policy counts for nothing; None where it counts.

    `needs_reason`: whether a wildcard below which anybody gets a name asks for one; what narrows other entries does
    not.
    """
    host = read_host(name)
    if isinstance(host, Refused):
        return f"it {host.message}"
    if public_suffix(host):
        return _PUBLIC
    if needs_reason and not reason and (shared := shared_suffix(host)) is not None:
        return (
            f"below {shared.suffix} are {shared.what}, an attacker's as well as yours: name the hosts, or write a "
            "reason beside it"
        )
    return None


def counted(entries: Iterable[AllowedHost]) -> frozenset[Host]:
    """The entries of `egress.hosts` that count."""
    return frozenset(_read(one.name for one in entries if refusal(one.name, one.reason) is None))


def named(names: Iterable[str]) -> frozenset[Host]:
    """The entries of a list that narrows `egress.hosts`, such as `egress.tunnel`."""
    return frozenset(_read(name for name in names if refusal(name, needs_reason=False) is None))


def _read(names: Iterable[str]) -> Iterator[Host]:
    return (host for name in names if isinstance(host := read_host(name), Host))


def covered(host: Host, by: frozenset[Host]) -> bool:
    """Whether one of the entries covers all that `host` stands for; looked up, as both may be many."""
    return host in by or (not host.is_wildcard and Host(STAR + host.name.partition(".")[2]) in by)
