#!/usr/bin/env python3
"""Try the cases of this pack on a cluster, and say which it refuses.

Needs kubectl and Python 3.10 or newer, nothing else. Everything is tried as a dry run, in a namespace of its own that
is deleted afterwards: what is accepted is not stored. See README.md beside this file.

Exit codes: 0 every case came out as expected; 1 some did not; 2 it could not be tried.
"""

import argparse
import json
import re
import shlex
import string
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

HERE = Path(__file__).resolve().parent
ACCEPTED, REFUSED, NOT_APPLICABLE, UNCLEAR = "accepted", "refused", "n/a", "unclear"
DRY = {"create", "apply", "patch", "label", "annotate", "scale", "delete", "replace", "set", "expose", "run"}
"""Verbs of kubectl that know --dry-run=server."""
PASSED = re.compile(r"does not have a host assigned|address not allowed|error dialing backend|upgrade connection")
"""What kubectl says after the door: the request was let through, and failed at a pod that does not run."""
NO_SUCH = re.compile(
    r"no matches for kind|doesn't have a resource type|could not find the requested resource"
    r"|rolebindings?\.rbac\S* \"[^\"]*\" not found"
)
"""The cluster has no such kind: there is nothing to refuse. Or RBAC cannot judge a binding of somebody who may not bind
all: the Role that it names was created in the same dry run, and so is not there."""
OUTRIGHT = re.compile(r"denied the request|ValidatingAdmissionPolicy|\(Forbidden\)")
DENIED = re.compile(
    r"\((Forbidden|Invalid|BadRequest|UnprocessableEntity)\)|is forbidden|is invalid"
    r"|strict decoding error|unknown field|cannot be handled as a|unmarshal|failed calling webhook|Error from server"
)
BY = (
    (re.compile(r"ValidatingAdmissionPolicy '([^']+)'"), "policy {}"),
    (re.compile(r'admission webhook "([^"]+)"'), "webhook {}"),
    (re.compile(r'failed calling webhook "([^"]+)"'), "webhook {} (it did not answer)"),
    (re.compile(r"violates PodSecurity"), "Pod Security"),
    (re.compile(r"attempting to grant RBAC|cannot \w+ resource"), "RBAC"),
)
"""What a refusal says of who refused; the first that is found counts."""
ONE_MESSAGE = re.compile(r"(?m)^(?=Error from server|error: |Warning: |The .* is invalid)")
CREATE = "create -f -"
TOGETHER = 20
"""Manifests for one call of kubectl: most of what it costs is its start."""
SECONDS = 60
"""A request that takes longer is unclear."""


class CannotTryError(Exception):
    """The cluster, or a file of the pack, is not as it must be. The message says what to do."""


@dataclass(frozen=True)
class Case:
    """One thing to try. `text`: the manifest, where `do` needs one. `rule`: Ringfence's word for the refusal."""

    id: str
    form: str
    title: str
    expect: str
    text: str
    do: str = CREATE
    rule: str = ""

    @property
    def name(self) -> str:
        return f"{self.form}/{self.id}: {self.title}"


@dataclass(frozen=True)
class Outcome:
    """What became of a case, and what the API server said."""

    case: Case
    verdict: str
    said: str = ""

    @property
    def by(self) -> str:
        """Who refused: a policy, a webhook, Pod Security, RBAC, the API server's own checks. Empty where nobody did."""
        if self.verdict != REFUSED:
            return ""
        found = ((pattern.search(self.said), words) for pattern, words in BY)
        return next((words.format(*match.groups()) for match, words in found if match), "API server")

    @property
    def as_expected(self) -> bool:
        return self.verdict in {self.case.expect, NOT_APPLICABLE}


@dataclass(frozen=True)
class Setup:
    """What is made before the cases: `text` is applied, `waits` are objects that must come, `values` fill in cases."""

    text: str
    values: dict[str, str]
    waits: list[str]


@dataclass
class Kubectl:
    """kubectl for one context. `user`: who asks instead, by impersonation."""

    options: list[str] = field(default_factory=list)
    user: str = ""

    def __call__(self, *words: str, stdin: str = "", limit: int = SECONDS) -> tuple[int, str]:
        """(exit code, all that it printed)."""
        command = ["kubectl", *self.options, *(["--as", self.user] if self.user else []), *words]
        try:
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=limit, check=False)
        except FileNotFoundError:
            raise CannotTryError("kubectl is not in the PATH") from None
        except subprocess.TimeoutExpired:
            return 1, f"no answer in {limit} s"
        return done.returncode, done.stdout + done.stderr

    def must(self, *words: str, stdin: str = "") -> str:
        code, said = self(*words, stdin=stdin)
        if code:
            raise CannotTryError(f"kubectl {' '.join(words)}: {said.strip()}")
        return said


def read(folder: Path) -> Iterator[Case]:
    """The cases of a folder. Raises CannotTryError for a file that is not as README.md says."""
    for path in sorted(folder.rglob("*.yaml"), key=_order):
        for number, document in enumerate(documents(path.read_text(encoding="utf-8"))):
            marks = marks_of(document)
            if "case" not in marks:
                if number or not _is_comment(document):
                    raise CannotTryError(f"{path}: document {number + 1} has no line `# case: WHAT`")
                continue
            expect = marks.get("expect", REFUSED)
            if expect not in {REFUSED, ACCEPTED}:
                raise CannotTryError(f"{path}: `# expect: {expect}`: write {REFUSED} or {ACCEPTED}")
            text = re.sub(r"(?m)\A(\s*#.*\n|\s*\n)*", "", document)  # where it is JSON, comments are no part of it
            yield Case(
                id=path.stem.replace("CIS-", "CIS "),
                form=path.parent.name,
                title=marks["case"],
                expect=expect,
                text="" if _is_comment(document) else text,
                do=marks.get("do", CREATE),
                rule=marks.get("rule", ""),
            )


def documents(text: str) -> list[str]:
    """The documents of a YAML text, with their comments."""
    return [one for one in re.split(r"(?m)^---[ \t]*$", text) if one.strip()]


def marks_of(document: str) -> dict[str, str]:
    """The lines `# word: value` above a document."""
    return dict(re.findall(r"(?m)^# (case|expect|do|rule): (.+)$", document))


def read_setup(path: Path, namespace: str) -> Setup:
    """Raises CannotTryError when there is no such file."""
    if not path.is_file():
        raise CannotTryError(f"{path}: no such setup; those of the pack are {', '.join(setups())}")
    text = path.read_text(encoding="utf-8")
    values = {"NAMESPACE": namespace}
    for name, value in re.findall(r"(?m)^# set: (\w+)=(.*)$", text):
        values[name] = fill(value, values)
    return Setup(fill(text, values), values, [fill(one, values) for one in re.findall(r"(?m)^# wait: (.+)$", text)])


def setups() -> list[str]:
    return sorted(path.stem for path in (HERE / "setup").glob("*.yaml"))


def fill(text: str, values: Mapping[str, str]) -> str:
    """`text` with its $NAMES."""
    return string.Template(text).safe_substitute(values)


def prepare(kubectl: Kubectl, setup: Setup, seconds: float) -> dict[str, str]:
    """Make what the cases need; the values that fill them in. Raises CannotTryError."""
    namespace = setup.values["NAMESPACE"]
    if kubectl("get", "namespace", namespace)[0] == 0:
        raise CannotTryError(
            f"the namespace {namespace} is there already: delete it, or choose another with --namespace"
        )
    kubectl.must("apply", "-f", "-", stdin=setup.text)
    values, end = dict(setup.values), time.monotonic() + seconds
    for wait in setup.waits:
        what, _, variable = wait.partition(" as ")
        while True:
            code, said = kubectl("-n", namespace, "get", *shlex.split(what), "-o", "name")
            if code == 0 and said.strip():
                break
            if time.monotonic() > end:
                raise CannotTryError(f"{what} did not come within {seconds:.0f} s: {said.strip()}")
            time.sleep(0.5)
        if variable:
            values[variable] = said.split()[0].partition("/")[2]
    return values


def attempt(kubectl: Kubectl, case: Case, values: Mapping[str, str]) -> Outcome:
    """Try one case."""
    words = shlex.split(fill(case.do, values))
    if words[0] in DRY and "--raw" not in words:
        words.append("--dry-run=server")
    code, said = kubectl("-n", values["NAMESPACE"], *words, stdin=fill(case.text, values))
    return Outcome(case, verdict(code, said), said.strip())


def attempt_all(kubectl: Kubectl, cases: Sequence[Case], values: Mapping[str, str]) -> list[Outcome]:
    """Try manifests in one call, whose messages name their files. Accepted is what a call takes that has no error."""
    left, found = dict(enumerate(cases)) if len(cases) > 1 else {}, dict[int, Outcome]()
    with tempfile.TemporaryDirectory(prefix="catalogue-") as folder:
        for number, case in left.items():
            Path(folder, f"{number}.yaml").write_text(fill(case.text, values), encoding="utf-8")
        while left:
            words = ["-n", values["NAMESPACE"], *(f"--filename={folder}/{number}.yaml" for number in left)]
            code, said = kubectl("create", "--dry-run=server", *words, limit=SECONDS * len(left))
            if code == 0:
                return [found.get(number) or Outcome(case, ACCEPTED) for number, case in enumerate(cases)]
            told = dict[int, str]()
            for message in ONE_MESSAGE.split(said):
                if named := re.match(rf"(?s)(?!Warning: ).*?{re.escape(folder)}/(\d+)\.yaml", message):
                    told[int(named[1])] = told.get(int(named[1]), "") + message
            if not told:
                break  # each is tried alone
            found |= {at: Outcome(left.pop(at), verdict(code, text), text.strip()) for at, text in told.items()}
    return [found.get(number) or attempt(kubectl, case, values) for number, case in enumerate(cases)]


def verdict(code: int, said: str) -> str:
    """What kubectl's answer means."""
    if code == 0:
        return ACCEPTED
    # A refusal may quote anything, and of two manifests one may be refused: what was denied outright comes first.
    if OUTRIGHT.search(said):
        return REFUSED
    for pattern, found in ((PASSED, ACCEPTED), (NO_SUCH, NOT_APPLICABLE), (DENIED, REFUSED)):
        if pattern.search(said):
            return found
    return UNCLEAR


def run(
    kubectl: Kubectl, cases: Sequence[Case], setup: Setup, *, workers: int = 4, seconds: float = 60, keep: bool = False
) -> list[Outcome]:
    """Prepare, try each case, clean up. `kubectl` asks as whoever tries; the context's own user prepares."""
    own = Kubectl(kubectl.options)
    try:
        values = prepare(own, setup, seconds)
        groups, plain = [[case] for case in cases if case.do != CREATE], [case for case in cases if case.do == CREATE]
        groups += [plain[at : at + TOGETHER] for at in range(0, len(plain), TOGETHER)]
        with ThreadPoolExecutor(workers) as pool:
            found = [one for some in pool.map(lambda some: attempt_all(kubectl, some, values), groups) for one in some]
        return sorted(found, key=lambda one: cases.index(one.case))
    finally:
        if not keep:
            own("delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin=setup.text)


def table(outcomes: Sequence[Outcome], *, everything: bool = False) -> str:
    """For a terminal: what came out otherwise (or all), and sums."""
    shown = [one for one in outcomes if everything or not one.as_expected]
    lines = []
    for one in shown:
        lines.append(f"{one.verdict:9} {one.case.name}" + (f" ({one.by})" if one.by else ""))
        if not one.as_expected and one.verdict != ACCEPTED:  # what was accepted may answer with anything, a token too
            lines.append(f"{'':10}{_first(one.said)}")
    for form in sorted({one.case.form for one in outcomes}):
        for expect in (REFUSED, ACCEPTED):
            of = [one for one in outcomes if (one.case.form, one.case.expect) == (form, expect)]
            counts = Counter(one.verdict for one in of)
            told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
            lines.append(f"{form}: {len(of)} that must be {expect}: {told or 'none'}")
    return "\n".join(lines)


def as_json(outcomes: Sequence[Outcome], about: str) -> str:
    """What docs/security/results.md is made from: verdicts by id, form and title."""
    rows = [
        {
            "id": one.case.id,
            "form": one.case.form,
            "case": one.case.title,
            "expect": one.case.expect,
            "verdict": one.verdict,
            "by": one.by,
        }
        for one in outcomes
    ]
    lines = ",\n".join(json.dumps(row) for row in rows)
    return f'{{"about": {json.dumps(about)}, "cases": [\n{lines}\n]}}\n'


def as_junit(outcomes: Sequence[Outcome]) -> str:
    """For CI systems."""
    failures = sum(not one.as_expected for one in outcomes)
    skipped = sum(one.verdict == NOT_APPLICABLE for one in outcomes)
    counts = {"tests": str(len(outcomes)), "failures": str(failures), "skipped": str(skipped)}
    suite = ET.Element("testsuite", {"name": "catalogue"} | counts)
    for one in outcomes:
        element = ET.SubElement(
            suite, "testcase", {"classname": f"{one.case.form}.{one.case.id}", "name": one.case.title}
        )
        if one.verdict == NOT_APPLICABLE:
            ET.SubElement(element, "skipped")
        elif not one.as_expected:
            message = f"expected: {one.case.expect}; it was {one.verdict}"
            ET.SubElement(element, "failure", {"message": message})
    return ET.tostring(suite, encoding="unicode") + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except CannotTryError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


def _run(options: argparse.Namespace) -> int:
    chosen = HERE / "setup" / f"{options.setup}.yaml"
    setup = read_setup(chosen if chosen.is_file() else Path(options.setup), options.namespace)
    folders = options.cases or [HERE / "cases"]
    wanted = set(filter(None, options.only.split(",")))
    cases = [case for folder in folders for case in read(folder) if not wanted or case.id in wanted]
    if not cases:
        raise CannotTryError("there are no such cases")
    if options.list:
        sys.stdout.writelines(f"{case.expect:9} {case.name}\n" for case in cases)
        return 0
    kubectl = Kubectl([f"--{name}={value}" for name in ("context", "kubeconfig") if (value := getattr(options, name))])
    kubectl.must("version", "-o", "json")
    asking = Kubectl(kubectl.options, setup.values.get("TENANT", "") if options.tenant else options.user)
    if options.tenant and not asking.user:
        raise CannotTryError("the setup names no tenant: it needs a line `# set: TENANT=USER`")
    outcomes = run(asking, cases, setup, workers=options.workers, seconds=options.wait, keep=options.keep)
    sys.stdout.write(table(outcomes, everything=options.all) + "\n")
    for path, text in ((options.json, as_json(outcomes, options.about)), (options.junit, as_junit(outcomes))):
        if path:
            path.write_text(text, encoding="utf-8")
    return int(not all(one.as_expected for one in outcomes))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--context", default="", help="of the kubeconfig; the current one when left out")
    parser.add_argument("--kubeconfig", default="", help="file; as kubectl finds it when left out")
    parser.add_argument(
        "--setup", default="kubernetes", help=f"what to prepare: {', '.join(setups())}, or a file of your own"
    )
    parser.add_argument("--namespace", default="catalogue", help="made for the run and deleted afterwards")
    parser.add_argument(
        "--tenant", action="store_true", help="try as the namespace's administrator of the setup, not as yourself"
    )
    parser.add_argument("--as", dest="user", default="", metavar="USER", help="try as this user")
    parser.add_argument("--only", default="", metavar="IDS", help="such as B70,B84")
    parser.add_argument(
        "--cases", action="append", type=Path, metavar="FOLDER", help="of cases; those of the pack when left out"
    )
    parser.add_argument("--all", action="store_true", help="print every case, not only what came out otherwise")
    parser.add_argument("--list", action="store_true", help="print the cases and try none")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the verdicts")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the verdicts for a CI system")
    parser.add_argument("--about", default="", help="one line about the cluster, for the JSON file")
    parser.add_argument("--keep", action="store_true", help="leave the namespace in place")
    parser.add_argument("--wait", type=float, default=60, metavar="SECONDS", help="for what the setup waits for")
    parser.add_argument("--workers", type=int, default=4, help="requests at a time")
    return parser


def _is_comment(document: str) -> bool:
    return all(not line.strip() or line.startswith("#") for line in document.splitlines())


def _order(path: Path) -> tuple[str, int, str]:
    digits = re.search(r"\d+$", path.stem)
    return path.parent.name, int(digits[0]) if path.stem.startswith("B") and digits else 1000, path.stem


def _first(said: str) -> str:
    return said.splitlines()[0][:300] if said else "(nothing was said)"


if __name__ == "__main__":
    sys.exit(main())
