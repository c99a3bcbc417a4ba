"""`make samples`: a cluster with Ringfence, attacked for some minutes, and what Prometheus saw of it.

Writes docs/pictures/samples.txt, which `make pictures` draws from. Needs what the e2e suites need (root).
"""

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from cluster.errors import ClusterError
from cluster.shell import say
from harness import manifests, prometheus
from harness.environment import Environment
from harness.install import NAMESPACE, installed
from harness.manifests import NAMESPACE as AGENTS
from harness.probing import BESIDE, PROVIDER, request
from harness.prometheus import Prometheus
from tools.panel_pictures.panels import rows
from tools.panel_pictures.samples import Samples, text_of
from tools.panel_pictures.stale import SAMPLES

ROOT: Final = Path(__file__).resolve().parents[2]
METRIC: Final = re.compile(r"\b(?:ringfence|process)_\w+")
KEPT: Final = ("instance", "job")
"""Labels of a scrape that no panel shows."""
STEP: Final = 10
RESEARCHER: Final = "deploy/ringfence-researcher"
STRAY: Final = "strays"
"""A namespace that is closed again while an agent is in it."""

Act = Callable[[Environment], object]


def _agent(name: str, namespace: str, image: str, **spec: Any) -> str:
    about = {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentDeployment"}
    return yaml.safe_dump(about | {"metadata": {"name": name, "namespace": namespace}, "spec": {"image": image} | spec})


def _examples(to: Environment) -> None:
    to.kubectl.apply(manifests.accepted(to.testbox))


def _refused(to: Environment) -> None:
    for example in manifests.refused(to.testbox):
        try:
            to.kubectl("create", "-f", "-", stdin=example.text)
        except ClusterError:
            continue  # as it should be
        raise ClusterError(f"{example.name} was not refused")


def _others(to: Environment) -> None:
    """One in a namespace that is closed again, one that is suspended, one whose image nobody can pull."""
    to.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": STRAY}})
    to.kubectl("label", "namespace", STRAY, "ringfence.dev/agents=enabled", "--overwrite")
    to.kubectl.apply(_agent("stray", STRAY, to.testbox, suspended=True))
    to.kubectl.apply(_agent("sleeper", AGENTS, to.testbox, suspended=True))
    to.kubectl.apply(_agent("waiter", AGENTS, manifests.PLACEHOLDER))


def _close(to: Environment) -> None:
    to.kubectl("label", "namespace", STRAY, "ringfence.dev/agents-")


def _cut(*agents: str) -> Act:
    def act(to: Environment) -> None:
        for agent in agents:
            to.kubectl("delete", "netpol", f"ringfence-{agent}-deny", f"ringfence-{agent}-allow", "-n", AGENTS)

    return act


def _edit(to: Environment) -> None:
    patch = '{"spec": {"template": {"spec": {"hostNetwork": true}}}}'
    to.kubectl("patch", "deploy", "ringfence-courier", "-n", AGENTS, "-p", patch)


def _ask(path: str, *, times: int, key: str = "", host: str = "") -> Act:
    """Requests of the researcher's to its provider, with the placeholder that it holds, or another key."""

    def asked(to: Environment) -> None:
        held = to.kubectl("exec", "-n", AGENTS, RESEARCHER, "--", "/testbox", "env").split("ANTHROPIC_API_KEY=")[1]
        header = f"x-api-key: {key or held.split()[0]}"
        flags = {"method": "POST", "data": '{"model": "m"}'} | ({"host": host} if host else {})
        for _ in range(times):
            request(to.kubectl, AGENTS, RESEARCHER, f"https://{PROVIDER}{path}", header, **flags)

    return asked


def _rotate(to: Environment) -> None:
    command = [sys.executable, "-m", "ringfence", "rotate", "courier", "-n", AGENTS]
    subprocess.run(command, check=True, env={"PYTHONPATH": str(ROOT / "operator"), **to.kubectl.env})


WHEN: Final[tuple[tuple[float, Act], ...]] = (
    (0.0, _examples),
    (1.5, _refused),
    (2.5, _others),
    (3.0, _ask("/v1/messages", times=12)),
    (3.5, _cut("researcher")),
    (4.0, _rotate),
    (4.5, _ask("/v1/files", times=6)),
    (5.0, _close),
    (5.5, _cut("courier")),
    (6.0, _ask("/v1/messages", times=20)),
    (6.5, _refused),
    (7.0, _ask("/v1/messages", times=14, key="sk-ant-of-an-attacker")),
    (7.5, _edit),
    (8.0, _ask("/v1/messages", times=4, host=BESIDE)),
    (8.5, _rotate),
    (9.0, _ask("/v1/messages", times=8)),
    (9.5, _cut("courier", "panel")),
    (10.5, _ask("/v1/batches", times=10)),
    (11.0, _refused),
)
"""Minutes from the beginning, and what happens then."""
LENGTH: Final = 13.0


def recorded(running: Prometheus, start: float) -> Samples:
    """All series that the dashboards ask for, from a time to now."""
    queries = {target["expr"] for row in rows(ROOT) for panel in row.panels for target in panel["targets"]}
    names = sorted({name for query in queries for name in METRIC.findall(query)})
    first = int(start) // STEP * STEP
    steps = int(time.time() - first) // STEP
    return Samples(first, STEP, tuple(_series(running, names, first, steps)))


def _series(
    running: Prometheus, names: list[str], first: int, steps: int
) -> Iterator[tuple[dict[str, str], tuple[float | None, ...]]]:
    for name in names:
        for one in running.range(name, start=first, end=first + STEP * (steps - 1), step=STEP):
            known = {round((at - first) / STEP): value for at, value in one.points}
            labels = {key: value for key, value in one.labels.items() if key not in KEPT}
            yield labels, tuple(known.get(place) for place in range(steps))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tools.panel_pictures.record", description=__doc__)
    parser.add_argument(
        "--name", default="samples", help="name of the cluster, which ends afterwards (now %(default)s)"
    )
    options = parser.parse_args()
    with installed(options.name, "monitoring.perAgentMetrics=true", gateways=True) as environment:
        kubectl = environment.kubectl
        environment.load_testbox()
        with prometheus.follow([kubectl.kubectl], kubectl.env, NAMESPACE, gateways=AGENTS) as running:
            running.fresh(least=4)
            start = time.time()
            for minute, act in WHEN:
                _until(start + minute * 60)
                say(f"{minute:4.1f} min: {getattr(act, '__name__', 'act').strip('_')}")
                try:
                    act(environment)
                except (ClusterError, subprocess.CalledProcessError) as failure:  # the others are worth recording
                    say(f"failed: {failure}", color="31")
            _until(start + LENGTH * 60)
            samples = recorded(running, start)
    (ROOT / SAMPLES).write_text(text_of(samples), encoding="utf-8")
    say(f"wrote {SAMPLES}: {len(samples.series)} series. Now: make pictures")
    return 0


def _until(at: float) -> None:
    time.sleep(max(0.0, at - time.time()))


if __name__ == "__main__":
    sys.exit(main())
