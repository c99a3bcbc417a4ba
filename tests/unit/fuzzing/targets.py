"""What is given damaged input, and what must hold whatever that is. `make fuzz` goes on with it for minutes or hours.

Mutation is by bytes, with words that matter to JSON, YAML and this API. An input whose answer reads unlike all others
before (but for numbers and quoted words) is kept, and mutated further.
"""

import asyncio
import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from ringfence.admission.app import Admission
from ringfence.cli.judge import Files, judge
from ringfence.cli.manifests import Unreadable, read
from ringfence.policy.decide import decide
from ringfence.policy.model import AgentObject, Facts
from ringfence.telemetry.reviews import ReviewFailed
from unit.admission import make
from unit.admission.exchange import send

CORPUS: Final = Path(__file__).parents[2] / "corpus"
OPENED: Final = {"ringfence.dev/agents": "enabled"}
LONGEST: Final = 64 * 1024
WORDS: Final = tuple(
    word.encode()
    for word in (
        *"{}[]:,\"\\-#&*!|>%@`'?~\n\t",
        *("null", "true", "no", "NaN", "Infinity", "-0", "1e999", "0x1f", "010", "18446744073709551616", "\\u0000"),
        *(
            "\\ud800",
            "\\u202e",
            "\ufeff",
            "<<: *a",
            "&a [*a]",
            "!!binary",
            "!!python/object:os.system",
            "---\n",
            "...\n",
        ),
        *(
            '"uid":',
            '"operation":"UPDATE"',
            '"operation":"DELETE"',
            '"subResource":"status"',
            '"dryRun":true',
            '"spec":{}',
        ),
        *('"oldObject":null', '"object":', "0.0.0.0/0", "::ffff:0:0/96", "169.254.169.254/32", "*", "\x00", "\x1b[2J"),
        *(
            "permissions:",
            "network:",
            "egress:",
            "cidr:",
            "kind: AgentDeployment",
            "apiVersion: ringfence.dev/v1alpha1",
        ),
    )
)


class WrongError(AssertionError):
    """Something that must hold whatever the input is does not."""


# --- reviews


@dataclass
class Reviews:
    """The admission server, from the bytes of a request to those of its answer."""

    folder: Path = CORPUS / "reviews"
    failures: list[ReviewFailed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._app = Admission(make.world(), emit=self._emit)
        self._loop = asyncio.new_event_loop()

    def _emit(self, event: Any) -> None:
        if isinstance(event, ReviewFailed):
            self.failures.append(event)

    def close(self) -> None:
        self._loop.close()

    def __call__(self, data: bytes) -> str:
        """What the answer reads like. Raises WrongError, or whatever the server raises."""
        self.failures.clear()
        answer = self._loop.run_until_complete(send(self._app, data))
        if any(one.reason == "internal" for one in self.failures):
            raise WrongError(f"a mistake of ours: {answer.body[:300]!r}")
        if answer.status != 200:
            _hold(400 <= answer.status < 500, f"status {answer.status}")
            return f"{answer.status} {answer.body[:80]!r}"
        response = answer.response
        allowed, status = response["allowed"], response.get("status", {})
        _hold(isinstance(allowed, bool) and isinstance(response["uid"], str), "no answer that the API server reads")
        _shown(status.get("message", ""))
        request = _strictly(data)
        if allowed:
            _hold(request is not None, "allowed, though it is no strict JSON")
            self._allowed(request or {})
        if request is not None:
            _hold(response["uid"] == request.get("uid"), "an answer to another review")
        return f"{allowed} {status.get('message', '')}"

    @staticmethod
    def _allowed(request: Mapping[str, Any]) -> None:
        """A new agent that got in is one that the decision lets in, as another reader of JSON reads it."""
        if request.get("operation") != "CREATE" or request.get("subResource") or _plural(request) != "agentdeployments":
            return
        found = request["object"]
        name, namespace = found["metadata"]["name"], request["namespace"]
        violations = decide(AgentObject(name, namespace, found.get("spec")), [], Facts(OPENED))
        _hold(namespace == "team" and not violations, f"allowed, in {namespace!r}: {violations}")


def _plural(request: Mapping[str, Any]) -> Any:
    resource = request.get("resource")
    return resource.get("resource") if isinstance(resource, dict) else None


def _strictly(data: bytes) -> dict[str, Any] | None:
    """request of a review, read by the standard library; None where that is no strict JSON of that shape."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise ValueError("twice")
        return dict(pairs)

    def never(word: str) -> Any:
        raise ValueError(word)

    try:
        review = json.loads(data.decode("utf-8"), object_pairs_hook=once, parse_constant=never)
    except (ValueError, RecursionError):
        return None
    request = review.get("request") if isinstance(review, dict) else None
    return request if isinstance(request, dict) else None


# --- manifests


@dataclass
class Manifests:
    """`ringfence lint`, from the bytes of a file to its verdicts."""

    folder: Path = CORPUS / "manifests"

    def __post_init__(self) -> None:
        self._place = tempfile.NamedTemporaryFile(suffix=".yaml")  # noqa: SIM115 - closed by `close`

    def close(self) -> None:
        self._place.close()

    def __call__(self, data: bytes) -> str:
        Path(self._place.name).write_bytes(data)
        told = []
        try:
            for document in read(self._place.name):
                for result in judge(document, Files(), namespace="default"):
                    for one in result.violations:
                        _shown(one.message)
                        _shown(one.path)
                        _hold(result.line(one) >= 1, "a line before the first")
                    json.dumps(result.as_json())
                    told += [f"{one.rule} {one.message}" for one in result.violations] or ["accepted"]
        except Unreadable as failure:
            return f"unreadable {failure.message}"
        return "; ".join(told[:4])


def _hold(truth: bool, otherwise: str) -> None:
    if not truth:
        raise WrongError(otherwise)


def _shown(text: str) -> None:
    """Nothing that is shown to a person steers a terminal or is long without end."""
    _hold(all(line.isprintable() for line in text.split("\n")), f"not printable: {text[:200]!r}")
    _hold(len(text) < 20_000, "a message without end")


TARGETS: Final[Mapping[str, Callable[[], Reviews | Manifests]]] = {"reviews": Reviews, "manifests": Manifests}


# --- the fuzzer


@dataclass
class Fuzzer:
    """One target, with what is kept: by what its answer reads like, the shortest input that has it."""

    target: Reviews | Manifests
    random: Random
    kept: dict[str, bytes] = field(default_factory=dict)
    tried: int = 0

    def begin(self) -> None:
        """Try what is kept in the folder."""
        for path in sorted(self.target.folder.iterdir()):
            self.attempt(path.read_bytes())

    def attempt(self, data: bytes) -> None:
        """Raises whatever the target raises."""
        self.tried += 1
        like = _like(self.target(data))
        if like not in self.kept or len(data) < len(self.kept[like]):
            self.kept[like] = data

    def step(self) -> bytes:
        """Try one more; the input. Raises _Found with it where something is wrong."""
        data = self._mutant()
        try:
            self.attempt(data)
        except Exception as failure:
            raise FoundError(data) from failure
        return data

    def _mutant(self) -> bytes:
        random = self.random
        held = list(self.kept.values())
        data = bytearray(random.choice(held))
        for _ in range(random.choice((1, 1, 2, 4, 8))):
            self._change(data, held)
        return bytes(data[:LONGEST])

    def _change(self, data: bytearray, held: list[bytes]) -> None:
        random = self.random
        at = random.randrange(len(data) + 1)
        end = min(len(data), at + random.choice((1, 1, 2, 8, 64)))
        match random.randrange(7):
            case 0 if data:
                data[min(at, len(data) - 1)] = random.randrange(256)
            case 1:
                del data[at:end]
            case 2:
                data[at:at] = data[at:end] * random.choice((1, 2, 50))
            case 3:
                data[at:end] = random.choice(WORDS)
            case 4:
                data[at:at] = random.choice(WORDS) * random.choice((1, 1, 1, 2, 200))
            case 5:
                other = random.choice(held)
                start = random.randrange(len(other) + 1)
                data[at:at] = other[start : start + random.choice((8, 64, 512))]
            case _:
                numbers = list(re.finditer(rb"\d+", data))
                if numbers:
                    found = random.choice(numbers)
                    data[found.start() : found.end()] = random.choice((b"0", b"-1", b"65536", b"9" * 25, b"1e5", b"08"))


class FoundError(Exception):
    """An input with which something is wrong. The cause says what."""

    def __init__(self, data: bytes) -> None:
        super().__init__(f"{len(data)} bytes: {data[:200]!r}")
        self.data = data


def _like(told: str) -> str:
    """An answer without what differs from one input to the next."""
    return re.sub(r"\d+", "0", re.sub(r'"[^"]*"|\'[^\']*\'|\[[^\]]*\]', "_", told))[:160]


def name_of(data: bytes) -> str:
    """The name of its file."""
    return hashlib.sha256(data).hexdigest()[:12]


def corpus(target: str) -> Iterator[Path]:
    yield from sorted((CORPUS / target).iterdir())
