"""The Grafana dashboards of the chart: charts/ringfence/files/dashboards/*.json.

What is shown is in panels.py and panels_fleet.py; here it is laid out. Every query is run against a real Prometheus by
e2e/suites/monitoring.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from grafana_foundation_sdk.builders import common as common_builder
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, dashboard

from tools.panels import AGENT, Show
from tools.panels_fleet import FLEET

FOLDER = "charts/ringfence/files/dashboards"
LAYOUT = "docs/dashboards.md"
HEAD = """\
<!-- Made by `make generate` from tools/panels.py and tools/panels_fleet.py. Do not edit. -->
# Dashboards

Two dashboards for Grafana 10 and later, as ConfigMaps that Grafana's sidecar finds (chart value
`monitoring.dashboards.enabled`), or to import: the JSON files of `charts/ringfence/files/dashboards`. Both ask for the
Prometheus to use; each panel says what it shows.

A panel's width is given in 24ths of the page. Stats are one number, series are lines over time, bars are stacked.
"""
SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH = 24
"""Grafana's grid."""


def files() -> dict[str, str]:
    """Path -> content."""
    fleet = _dashboard("Ringfence: fleet", "ringfence-fleet", FLEET)
    fleet = fleet.with_variable(_choice("namespace", "label_values(ringfence_violations_total, namespace)").multi(True))
    agent = _dashboard("Ringfence: one agent", "ringfence-agent", AGENT)
    agent = agent.with_variable(_choice("namespace", "label_values(ringfence_agent_ready, namespace)"))
    names = 'label_values(ringfence_agent_ready{namespace="$namespace"}, name)'
    agent = agent.with_variable(_choice("name", names))
    return {f"{FOLDER}/fleet.json": _text(fleet), f"{FOLDER}/agent.json": _text(agent), LAYOUT: _layout()}


def _layout() -> str:
    fleet = ["## Fleet", "", "Chosen above: the Prometheus; namespaces of agents (all).", ""]
    agent = ["## One agent", "", "Needs `monitoring.perAgentMetrics`. Chosen above: Prometheus, namespace, agent.", ""]
    return "\n".join([HEAD, *fleet, *_rows(FLEET), *agent, *_rows(AGENT)])


def _rows(rows: dict[str, tuple[Show, ...]]) -> Iterator[str]:
    for row, shows in rows.items():
        yield from (f"### {row}", "", "| Panel | Kind | Width | Shows | Queries |", "|---|---|---|---|---|")
        for show in shows:
            queries = "<br>".join(f"`{query.expr.replace('|', chr(92) + '|')}`" for query in show.queries)
            yield f"| {show.title} | {show.kind} | {show.width} | {show.about} | {queries} |"
        yield ""


def _text(made: build.Dashboard) -> str:
    return json.dumps(made.build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _dashboard(title: str, uid: str, rows: dict[str, tuple[Show, ...]]) -> build.Dashboard:
    made = (
        build.Dashboard(title)
        .uid(uid)
        .tags(["ringfence"])
        .timezone("browser")
        .time("now-6h", "now")
        .refresh("1m")
        .readonly()
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .link(build.DashboardLink("Ringfence").type(dashboard.DashboardLinkType.DASHBOARDS).tags(["ringfence"]))
        .with_variable(build.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    top = 0
    ids = count(1)
    for row, shows in rows.items():
        made = made.with_row(build.Row(row).id(next(ids)).grid_pos(dashboard.GridPos(h=1, w=WIDTH, x=0, y=top)))
        top += 1
        for show, position in _placed(shows, top):
            made = made.with_panel(_panel(show).id(next(ids)).grid_pos(position))
            bottom = position.y + position.h
        top = bottom
    return made


def _placed(shows: Sequence[Show], top: int) -> Iterator[tuple[Show, dashboard.GridPos]]:
    """From left to right, and on the next line where the width is full."""
    left = tallest = 0
    for show in shows:
        height = 4 if show.kind == "stat" else 8
        if left + show.width > WIDTH:
            left, top, tallest = 0, top + tallest, 0
        yield show, dashboard.GridPos(h=height, w=show.width, x=left, y=top)
        left += show.width
        tallest = max(tallest, height)


def _panel(show: Show) -> Any:
    made = _KINDS[show.kind]().title(show.title).description(show.about).datasource(SOURCE).unit(show.unit)
    steps = [dashboard.Threshold(color=color, value=value) for color, value in show.steps]
    made = made.thresholds(build.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps))
    if show.words:
        options = {key: dashboard.ValueMappingResult(text=text) for key, text in show.words.items()}
        made = made.mappings([dashboard.ValueMap(options=options)])
    for number, query in enumerate(show.queries):
        target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(chr(ord("A") + number))
        target = target.instant() if show.kind in {"stat", "table"} else target.range()
        made = made.with_target(target.format(_FORMAT[show.kind]) if show.kind in _FORMAT else target)
    return made


def _stat() -> stat.Panel:
    last = common_builder.ReduceDataOptions().calcs(["lastNotNull"])
    return (
        stat.Panel()
        .reduce_options(last)
        .graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(common.BigValueColorMode.VALUE)
    )


def _series() -> timeseries.Panel:
    legend = common_builder.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST).show_legend(True)
    return timeseries.Panel().min(0).fill_opacity(10).legend(legend.placement(common.LegendPlacement.BOTTOM))


def _bars() -> timeseries.Panel:
    stacked = common_builder.StackingConfig().mode(common.StackingMode.NORMAL)
    return _series().draw_style(common.GraphDrawStyle.BARS).fill_opacity(70).stacking(stacked)


def _table() -> table.Panel:
    hidden = {"Time": True}
    order = {"namespace": 0, "source": 1, "rule": 2, "Value": 3}
    return table.Panel().with_transformation(
        dashboard.DataTransformerConfig(
            id_val="organize",
            options={"excludeByName": hidden, "indexByName": order, "renameByName": {"Value": "violations"}},
        )
    )


_KINDS: dict[str, Any] = {"stat": _stat, "series": _series, "bars": _bars, "table": _table}
_FORMAT: dict[str, Any] = {"table": "table"}


def _choice(name: str, query: str) -> build.QueryVariable:
    made = (
        build.QueryVariable(name)
        .label(name)
        .datasource(SOURCE)
        .query(query)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
    )
    made = made.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
    return made.include_all(True).all_value(".*") if "violations" in query else made
