"""`ringfence verify`: try the fence of an agent with real connections and calls, or say how fit a cluster is."""

import json
from collections.abc import Iterator, Mapping, Sequence
from time import monotonic
from typing import Any, Final
from xml.etree import ElementTree as ET

import click

from ringfence.api.names import API_VERSION, VERIFY_ANNOTATION

from . import cluster, formatting, leader
from .checks import Check, State
from .following import Stopped, pause, progress
from .status import one_agent

HOLDS, FAILED, NOT_TRIED = 0, 1, 2
"""Exit codes; the last one also where the cluster cannot be reached."""
MANAGER: Final = "ringfence-cli"
FIELD: Final = "verification"
"""Of the status."""


@click.command("verify")
@click.argument("name", required=False, shell_complete=cluster.complete_agents)
@click.option("--cluster", "whole", is_flag=True, help="In place of an agent: say how fit the cluster is.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="The longest that it may take in all.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "junit"]),
    default="text",
    show_default=True,
    help="text for people, json for programs, junit for CI.",
)
@leader.option
@cluster.options
def command(name: str | None, whole: bool, timeout: float, output: str, lease: str, **where: str | None) -> None:
    """Try the fence of an agent with real connections and calls, or say how fit the cluster is.

    A pod with the agent's labels, ServiceAccount and names tries all that its spec allows, which must work, and what
    attackers try first, which must not: other pods, DNS, the API server and its Secrets, the metadata service, the
    kubelet. It has none of the agent's secrets, and is gone some seconds later. Asks for it by the annotation
    ringfence.dev/verify of the AgentDeployment. You need to get and patch agentdeployments.

    With --cluster nothing is tried and nothing written: it says what can be seen of the network plugin, of admission,
    of the metadata service and of encryption at rest, and calls unknown what cannot.

    \b
    Exit code: 0 the fence holds (with --cluster: nothing is wrong), 1 an attempt failed, or something is wrong, 2 it
    could not be tried, or the cluster cannot be reached or refuses.

    \b
    Examples:
      ringfence verify researcher -n research
      ringfence verify researcher -n research -o junit > fence.xml
      ringfence verify --cluster
    """
    if whole == (name is not None):
        raise click.UsageError("name an agent, or say --cluster: one of the two")

    async def act(session: cluster.Session) -> int:
        if name is None:
            from .fitness import fitness  # noqa: PLC0415 - heavy

            return _tell_cluster(await fitness(session, lease), output)
        try:
            found = await _tried(session, name, monotonic() + timeout)
        except Stopped as end:
            click.echo(f"ringfence verify: {end}", err=True)
            return NOT_TRIED
        return _tell(session.namespace, name, found, output)

    cluster.run(cluster.Where(**where), act)


async def _tried(session: cluster.Session, name: str, deadline: float) -> Mapping[str, Any]:
    """Ask, and wait for what comes of it. Raises Stopped."""
    from ringfence.kube import path_of  # noqa: PLC0415 - heavy
    from ringfence.resources.verification import verification_name  # noqa: PLC0415 - heavy

    if await one_agent(session, name) is None:
        raise Stopped(f"there is no agent {name} in namespace {session.namespace}")
    request = formatting.now().isoformat(timespec="microseconds").replace("+00:00", "Z")
    place = path_of(API_VERSION, cluster.AGENTS, session.namespace, name)
    await session.kube.merge(place, {"metadata": {"annotations": {VERIFY_ANNOTATION: request}}}, manager=MANAGER)
    job, said = verification_name(name, request), ""
    while True:
        agent = await one_agent(session, name)
        if agent is None:
            raise Stopped(f"agent {name} was deleted")
        status = agent.get("status") or {}
        found: Mapping[str, Any] = status.get(FIELD) or {}
        if found.get("name") == job:
            return found
        said = progress(_under_way(status), said)
        await pause(deadline, f"no result in time: {said}; is the controller running? `ringfence doctor`")


def _under_way(status: Mapping[str, Any]) -> str:
    for one in status.get("conditions") or ():
        if one.get("type") == "FenceVerified" and one.get("reason") == "Progressing":
            return f"the fence {formatting.clean(one.get('message'))}"
    return "asked for it"


def _tell(namespace: str, name: str, found: Mapping[str, Any], output: str) -> int:
    code = {"Held": HOLDS, "Failed": FAILED}.get(str(found.get("outcome")), NOT_TRIED)
    if output == "json":
        click.echo(json.dumps({"namespace": namespace, "name": name, **found}, indent=2))
    elif output == "junit":
        click.echo(junit(f"ringfence verify {namespace}/{name}", list(_cases(found)), str(found.get("time", ""))))
    else:
        _print(namespace, name, found, code)
    return code


def _print(namespace: str, name: str, found: Mapping[str, Any], code: int) -> None:
    for colour, field, word in (("red", "failed", "FAILED"), ("yellow", "untried", "untried")):
        for one in found.get(field) or ():
            must = "must be closed" if one.get("wanted") == "closed" else "must be open"
            text = f"{one.get('id')}: {must}, since {one.get('why')}; came to {one.get('came')}"
            click.echo(f"{click.style(f'{word:8}', fg=colour)} {formatting.clean(text)}")
    for field, word in (("silent", "silent"), ("held", "held")):
        for one in found.get(field) or ():
            click.echo(f"{word:8} {formatting.clean(one)}")
    words = {HOLDS: ("green", "the fence holds"), FAILED: ("red", "the fence does not hold as declared")}
    colour, word = words.get(code, ("yellow", "unknown"))
    message = formatting.clean(found.get("message"))
    click.echo(f"{namespace}/{name}: {click.style(word, fg=colour)}: {message}")


Case = tuple[str, str, str]
"""Of JUnit: what was tried, how it came out (passed, failure, error, skipped), and a sentence."""


def _cases(found: Mapping[str, Any]) -> Iterator[Case]:
    for field, how in (("failed", "failure"), ("untried", "error")):
        for one in found.get(field) or ():
            must = f"must be {one.get('wanted')} ({one.get('why')}), and came to: {one.get('came')}"
            yield str(one.get("id")), how, must
    for one in found.get("silent") or ():
        yield str(one), "skipped", "it was silent, and may be so by itself"
    for one in found.get("held") or ():
        yield str(one), "passed", ""
    if found.get("outcome") == "NotTried" and not found.get("untried"):
        yield "the trial itself", "error", str(found.get("message"))


def junit(suite: str, cases: Sequence[Case], time: str = "") -> str:
    """As JUnit's XML, which CI systems show as a table."""
    numbers = {name: str(sum(how == of for _, how, _ in cases)) for name, of in _COUNTED.items()}
    about = {"name": suite, "tests": str(len(cases)), **numbers} | ({"timestamp": time} if time else {})
    root = ET.Element("testsuite", about)
    for name, how, sentence in cases:
        case = ET.SubElement(root, "testcase", {"classname": suite, "name": formatting.clean(name)})
        if how != "passed":
            ET.SubElement(case, how, {"message": formatting.clean(sentence)})
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


_COUNTED: Final = {"failures": "failure", "errors": "error", "skipped": "skipped"}
_AS_CASE: Final = {State.OK: "passed", State.WARNING: "passed", State.WRONG: "failure", State.UNKNOWN: "skipped"}


def _tell_cluster(found: Sequence[Check], output: str) -> int:
    if output == "json":
        click.echo(json.dumps({"checks": [one.as_json() for one in found]}, indent=2))
    elif output == "junit":
        cases = [(one.name, _AS_CASE[one.state], f"{one.message} {one.fix}".strip()) for one in found]
        click.echo(junit("ringfence verify --cluster", cases))
    else:
        from .doctor import show  # noqa: PLC0415 - heavy

        for one in found:
            show(one)
    return FAILED if any(one.state is State.WRONG for one in found) else HOLDS
