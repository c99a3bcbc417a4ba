"""The dashboards' queries, asked of a Prometheus that has nothing but the recorded samples."""

import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness import prometheus
from harness.prometheus import Prometheus, Series
from tools.panel_pictures.samples import Samples, openmetrics

CHOSEN: Mapping[str, Mapping[str, str]] = {
    "fleet": {"cluster": ".*", "namespace": ".*"},
    "agent": {"cluster": ".*", "namespace": "research", "name": "courier"},
}
"""What is chosen above the panels."""
RATE = "1m"


def filled(board: str, query: str, samples: Samples) -> str:
    """The query as Grafana sends it."""
    times = {"__rate_interval": RATE, "__range": f"{samples.end - samples.start}s"}
    for name, value in {**times, **CHOSEN[board]}.items():
        query = re.sub(rf"\${name}\b", value, query)
    return query


@contextmanager
def answering(samples: Samples) -> Iterator[Prometheus]:
    """A Prometheus over the samples."""
    with tempfile.TemporaryDirectory(prefix="ringfence-samples-") as folder:
        text = Path(folder) / "samples.om"
        text.write_text(openmetrics(samples), encoding="utf-8")
        promtool = prometheus.programs() / "promtool"
        command: list[str | Path] = [promtool, "tsdb", "create-blocks-from", "openmetrics", text, f"{folder}/data"]
        subprocess.run(command, check=True, capture_output=True)
        with prometheus.over(Path(folder) / "data") as running:
            yield running


def answers(running: Prometheus, board: str, panel: Mapping[str, Any], samples: Samples) -> list[list[Series]]:
    """For each query of a panel its series: over time, or (of a number and a table) at the end alone."""
    found = []
    for target in panel["targets"]:
        query = filled(board, target["expr"], samples)
        start = samples.end if target.get("instant") else samples.start
        found.append(running.range(query, start=start, end=samples.end, step=samples.step))
    return found
