"""Makes the attempts of a table, all at once, and tells which of them did not come out as they must.

What does not come out right at first is tried again for some seconds: a network plugin may be late with the rules of a
pod that is new, in both directions. Whoever asks for a verdict wants that of a pod that stands.
"""

import errno
import http.client
import json
import os
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Final

from .attempt import Outcome, Target, attempts

Row = Mapping[str, Any]
"""One row of a table: `id`, `want` (open, closed), `why`, `sure` (absent: true), `do`, and what that one needs."""
HTTPS: Final = 443
DNS_PORT: Final = 53
NOTHING_THERE: Final = frozenset(
    errno.errorcode[one] for one in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
)
"""No route, no address of that family: a pod that has no way at all."""
MOST_BYTES: Final = 4096
"""Of a termination message, as the kubelet cuts it."""
MOST_WORDS: Final = 160
"""Characters of what came of one attempt."""


class Verdict(StrEnum):
    """What an attempt proves."""

    HELD = "held"
    """It came out as it must."""
    FAILED = "failed"
    """It did not."""
    SILENT = "silent"
    """Nothing came back from a place that may be silent by itself."""
    UNTRIED = "untried"
    """It could not be tried."""


@dataclass(frozen=True)
class Result:
    """Of one row. `came`: what came back, in a word or two."""

    row: Row
    verdict: Verdict
    came: str


@dataclass(frozen=True)
class Place:
    """What a pod has to try with. `variables`: its environment."""

    variables: Mapping[str, str] = field(default_factory=lambda: os.environ)
    token: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
    authority: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt")
    trust: Path = Path("/var/run/ringfence-ca/ca.crt")

    def address(self, row: Row) -> str:
        """The address of a row, in which `$NAME` is a variable."""
        text = str(row["address"])
        return self.variables.get(text[1:], "") if text.startswith("$") else text


def try_all(table: Sequence[Row], place: Place, *, seconds: float, settle: float) -> list[Result]:
    """Tries each row for so many seconds, and what does not come out right again until `settle` seconds are over."""
    ends = time.monotonic() + settle
    found = {row["id"]: result for row, result in zip(table, _round(table, place, seconds), strict=True)}
    while time.monotonic() < ends:
        again = [one.row for one in found.values() if one.verdict in {Verdict.FAILED, Verdict.UNTRIED}]
        if not again:
            break
        time.sleep(min(0.5, settle))
        found |= {row["id"]: result for row, result in zip(again, _round(again, place, seconds), strict=True)}
    return [found[row["id"]] for row in table]


def _round(table: Sequence[Row], place: Place, seconds: float) -> list[Result]:
    """Once, all at once: connections in one loop, calls in a thread for each kind."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        makers: dict[str, Callable[[Sequence[Row]], list[Result]]] = {
            "connect": partial(_connect, place=place, seconds=seconds),
            "ask": partial(_call, place=place, seconds=seconds),
            "read": partial(_call, place=place, seconds=seconds),
            "handshake": partial(_each, partial(_handshake, place=place, seconds=seconds), pool),
            "query": partial(_each, partial(_query, place=place, seconds=seconds), pool),
            "open": partial(_each, _open, pool),
        }
        kinds: dict[str, list[Row]] = {}
        for row in table:
            kinds.setdefault(str(row["do"]), []).append(row)
        with ThreadPoolExecutor(max_workers=max(len(kinds), 1)) as outer:
            parts = list(outer.map(lambda kind: makers[kind](kinds[kind]), kinds))
    found = {result.row["id"]: result for part in parts for result in part}
    return [found[row["id"]] for row in table]


def _each(one: Callable[[Row], Result], pool: ThreadPoolExecutor, rows: Sequence[Row]) -> list[Result]:
    return list(pool.map(one, rows))


def judged(row: Row, reached: bool | None, came: str) -> Result:
    """What came of a row. `reached`: None: it could not be tried."""
    sure = row.get("sure", True)
    if reached is None:
        return Result(row, Verdict.UNTRIED, came)
    if row["want"] == "open":
        lost = Verdict.FAILED if sure else Verdict.SILENT
        return Result(row, Verdict.HELD if reached else lost, came)
    return Result(row, Verdict.FAILED if reached else Verdict.HELD if sure else Verdict.SILENT, came)


def _connect(rows: Sequence[Row], place: Place, seconds: float) -> list[Result]:
    targets: dict[int, Target] = {}
    for index, row in enumerate(rows):
        if address := place.address(row):
            targets[index] = Target(row.get("protocol", "TCP"), address, int(row["port"]))
    made = dict(zip(targets, attempts(targets.values(), seconds=seconds), strict=True))
    found = []
    for index, row in enumerate(rows):
        if (one := made.get(index)) is None:
            found.append(judged(row, None, "its address is not known"))
            continue
        reached: bool | None = one.outcome is Outcome.ANSWERED
        if one.outcome is Outcome.FAILED and one.detail not in NOTHING_THERE:
            reached = None
        found.append(judged(row, reached, f"{one.outcome} {one.detail}".strip()))
    return found


def _handshake(row: Row, place: Place, seconds: float) -> Result:
    try:
        context = ssl.create_default_context(cafile=str(place.trust))
        with (
            socket.create_connection((place.address(row), int(row["port"])), timeout=seconds) as raw,
            context.wrap_socket(raw, server_hostname=str(row["host"])),
        ):
            return judged(row, True, "TLS stands")
    except (OSError, ValueError) as failure:
        return judged(row, False, _words(failure))


def _query(row: Row, place: Place, seconds: float) -> Result:
    """Asks a DNS server for the root's servers (RFC 1035 section 4.1): each knows an answer, if only a refusal."""
    number = secrets.token_bytes(2)
    address = place.address(row)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    question = number + b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + b"\x00" + b"\x00\x02\x00\x01"
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.settimeout(seconds)
            asking.connect((address, DNS_PORT))
            asking.send(question)
            return judged(row, asking.recv(512)[:2] == number, "Answered")
    except OSError as failure:
        return judged(row, False, _words(failure))


def _open(row: Row) -> Result:
    """Nobody looks at what is in it."""
    try:
        with Path(row["path"]).open("rb"):
            return judged(row, True, "it is there")
    except OSError as failure:
        return judged(row, False, _words(failure))


def _call(rows: Sequence[Row], place: Place, seconds: float) -> list[Result]:
    """Calls of the API server by the pod's own token, one after the other over one connection."""
    try:
        token = place.token.read_text(encoding="ascii").strip()
        context = ssl.create_default_context(cafile=str(place.authority))
    except (OSError, ValueError) as failure:
        return [judged(row, None, f"no token: {_words(failure)}") for row in rows]
    host = place.variables.get("KUBERNETES_SERVICE_HOST", "")
    port = int(place.variables.get("KUBERNETES_SERVICE_PORT", HTTPS))
    server = http.client.HTTPSConnection(host, port, timeout=seconds, context=context)
    found: list[Result] = []
    try:
        for row in rows:
            found.append(_called(row, server, token))  # noqa: PERF401 - what was asked before a failure is kept
    except (OSError, ValueError, http.client.HTTPException) as failure:
        found += [judged(row, None, _words(failure)) for row in rows[len(found) :]]
    finally:
        server.close()
    return found


def _called(row: Row, server: http.client.HTTPSConnection, token: str) -> Result:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept": "application/json"}
    if row["do"] == "read":
        server.request("GET", row["path"], headers=headers)
        answer = server.getresponse()
        answer.read()
        status = http.HTTPStatus(answer.status)
        denied = status in {http.HTTPStatus.FORBIDDEN, http.HTTPStatus.UNAUTHORIZED}
        tried = denied or status is http.HTTPStatus.OK
        return judged(row, not denied if tried else None, str(answer.status))
    kind = "SelfSubjectAccessReview"
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": {"resourceAttributes": row["about"]}}
    server.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", json.dumps(review), headers)
    answer = server.getresponse()
    body = answer.read()
    if answer.status != http.HTTPStatus.CREATED:
        return judged(row, None, str(answer.status))
    allowed = bool(json.loads(body)["status"].get("allowed"))
    return judged(row, allowed, "allowed" if allowed else "denied")


def _words(failure: Exception) -> str:
    if isinstance(failure, TimeoutError):
        return str(Outcome.SILENT)
    if isinstance(failure, ssl.SSLError):
        return f"TLS: {failure.reason or 'failed'}"
    number = getattr(failure, "errno", None)
    return errno.errorcode.get(number or 0, type(failure).__name__)


def message(results: Iterable[Result], seconds: float) -> str:
    """What a pod leaves as its termination message: JSON that fits, what failed first.

    `tried`: how many attempts; `failed`, `untried`: [id, wanted, what came, why]; `silent`, `held`: ids. Of what does
    not fit the ends are left out, and `cut` says so.
    """
    found = list(results)
    told: dict[str, Any] = {"tried": len(found), "seconds": round(seconds, 1)}
    by = {verdict: [one for one in found if one.verdict is verdict] for verdict in Verdict}
    told |= {f"{verdict}Number": len(by[verdict]) for verdict in Verdict}
    lists: dict[str, list[Any]] = {
        str(verdict): [[one.row["id"], one.row["want"], one.came[:MOST_WORDS], one.row["why"]] for one in by[verdict]]
        for verdict in (Verdict.FAILED, Verdict.UNTRIED)
    } | {str(verdict): [one.row["id"] for one in by[verdict]] for verdict in (Verdict.SILENT, Verdict.HELD)}
    for name in (Verdict.HELD, Verdict.SILENT, Verdict.UNTRIED, Verdict.FAILED):
        while len(_packed(told | lists)) > MOST_BYTES and lists[name]:
            lists[name].pop()
            told["cut"] = True
    return _packed(told | lists)


def _packed(found: Mapping[str, Any]) -> str:
    return json.dumps(found, separators=(",", ":"))
