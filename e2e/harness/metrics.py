"""Ringfence's metrics, added up over its replicas."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from .api import Api
from .install import NAMESPACE

__all__ = ["labels_of", "largest", "series", "total"]

LINE = re.compile(r"^(?P<name>[a-z_]+)(?:\{(?P<labels>.*)\})? (?P<value>[-+.0-9eE]+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def series(api: Api, name: str, *, component: str = "") -> Counter[str]:
    """All series of a metric, summed over pods: labels as they are printed -> value."""
    found: Counter[str] = Counter()
    for text in _texts(api, component):
        for line in text.splitlines():
            if (match := LINE.match(line)) and match["name"] == name:
                found[match["labels"] or ""] += float(match["value"])  # type: ignore[assignment]
    return found


def labels_of(text: str) -> dict[str, str]:
    """`a="b",c="d"` as a dict."""
    return dict(LABEL.findall(text))


def total(api: Api, name: str, **labels: str) -> float:
    """Sum of the series that carry all these labels."""
    return sum(value for text, value in series(api, name).items() if labels.items() <= labels_of(text).items())


def largest(api: Api, name: str, component: str) -> float:
    """The largest value of a metric without labels over a component's replicas."""
    values = [
        float(match["value"])
        for text in _texts(api, component)
        for line in text.splitlines()
        if (match := LINE.match(line)) and match["name"] == name
    ]
    return max(values, default=0.0)


def _texts(api: Api, component: str) -> Iterator[str]:
    """/metrics of each pod, through the API server, which is let in everywhere: nothing has to be opened for it."""
    selector = "ringfence.dev/serves%3Dmetrics"
    if component:
        selector += f",app.kubernetes.io/component%3D{component}"
    for pod in api.get(f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector={selector}")["items"]:
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or [])
        if ready and not pod["metadata"].get("deletionTimestamp"):
            yield api.text(f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}:8080/proxy/metrics")
