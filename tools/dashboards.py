"""The Grafana dashboards of the chart: charts/ringfence/files/dashboards/*.json.

What is shown is in panels.py and panels_fleet.py; here it is laid out. Every query is run against a real Prometheus by
e2e/suites/monitoring.
"""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import common as common_builder
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus, stat, table, text, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models import text as text_model

from tools.panel_pictures.panels import picture
from tools.panel_pictures.stale import SAMPLES
from tools.panels import AGENT, Link, Show
from tools.panels_fleet import FLEET

FOLDER = "charts/ringfence/files/dashboards"
LAYOUT = "docs/dashboards.md"
HEAD = """\
<!-- Made by `make generate` from tools/panels.py and tools/panels_fleet.py. Do not edit. -->
# Dashboards

Two dashboards for Grafana 10 and later. The chart brings them as ConfigMaps that Grafana's sidecar finds (value
`monitoring.dashboards.enabled`); to import them by hand, take the JSON files of `charts/ringfence/files/dashboards`.
Both ask for the Prometheus to use; each panel says what it shows.

**Several clusters** in one Prometheus, Thanos or Mimir: both dashboards ask for the clusters, by the label `cluster`.
Most set-ups add that label on the way (`external_labels`); the chart's `monitoring.serviceMonitor.relabelings` can add
it, too. Where nothing sets it, there is nothing to choose, and `All` shows everything. Each metric in a query is asked
for with `cluster=~"$cluster"`, which is left out in the tables below.

**Links** lead from a namespace in the fleet's panels to the fleet of that namespace alone and to its agents, from an
agent in a table to its own dashboard, and from there back. Prometheus, clusters and time stay as they were chosen.

A panel's width is given in 24ths of the page. Stats are one number, series are lines over time, bars are stacked.
"""
PICTURES = """\
The pictures are drawn from these queries, as Prometheus answers them over samples of a real Ringfence that was attacked
for some minutes (`make samples`, `make pictures`). Grafana draws the same panels in its own way.
"""
SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
NAMESPACES = "label_values(ringfence_violations_total, namespace)"
METRIC = re.compile(r"\b((?:ringfence|process)_\w+)(\{)?")
"""A metric in a query, and the brace where selectors of labels follow."""
WIDTH = 24
"""Grafana's grid."""


def files(root: Path) -> dict[str, str]:
    """Path -> content."""
    fleet = _dashboard("Ringfence: fleet", "ringfence-fleet", FLEET, ("One agent", "ringfence-agent"))
    fleet = fleet.with_variable(_all(_choice("namespace", _in_clusters(NAMESPACES))))
    agent = _dashboard("Ringfence: one agent", "ringfence-agent", AGENT, ("Fleet", "ringfence-fleet"))
    agent = agent.with_variable(_choice("namespace", _in_clusters("label_values(ringfence_agent_ready, namespace)")))
    names = 'label_values(ringfence_agent_ready{namespace="$namespace"}, name)'
    agent = agent.with_variable(_choice("name", _in_clusters(names)))
    return {
        f"{FOLDER}/fleet.json": _text(fleet),
        f"{FOLDER}/agent.json": _text(agent),
        LAYOUT: _layout(drawn=(root / SAMPLES).is_file()),
    }


def _in_clusters(query: str) -> str:
    """The query about the chosen clusters alone. A series without that label is of all of them: `.*` takes it, too."""
    return METRIC.sub(lambda found: f'{found[1]}{{cluster=~"$cluster"' + (", " if found[2] else "}"), query)


def _layout(*, drawn: bool) -> str:
    """The page. `drawn`: whether there are pictures."""
    fleet = ["## Fleet", "", "Chosen above: Prometheus; clusters (all); namespaces of agents (all).", ""]
    chosen = "Chosen above: Prometheus; clusters (all); namespace; agent."
    agent = ["## One agent", "", f"Needs `monitoring.perAgentMetrics`. {chosen}", ""]
    head = [HEAD, PICTURES] if drawn else [HEAD]
    of_fleet, of_agent = (_rows(board, rows, drawn=drawn) for board, rows in (("fleet", FLEET), ("agent", AGENT)))
    return "\n".join([*head, *fleet, *of_fleet, *agent, *of_agent])


def _rows(board: str, rows: dict[str, tuple[Show, ...]], *, drawn: bool) -> Iterator[str]:
    for row, shows in rows.items():
        yield from (f"### {row}", "")
        if drawn:
            yield from (f"![{row}: {', '.join(show.title for show in shows)}](pictures/{picture(board, row)})", "")
        yield from ("| Panel | Kind | Width | Shows | Queries |", "|---|---|---|---|---|")
        for show in shows:
            queries = "<br>".join(f"`{query.expr.replace('|', chr(92) + '|')}`" for query in show.queries)
            yield f"| {show.title} | {show.kind} | {show.width} | {show.about} | {queries} |"
        yield ""
        for show in shows:
            if show.text:
                yield from (f"**{show.title}**:", "", show.text)


def _text(made: build.Dashboard) -> str:
    return json.dumps(made.build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _dashboard(title: str, uid: str, rows: dict[str, tuple[Show, ...]], other: tuple[str, str]) -> build.Dashboard:
    """`other`: title and uid of the dashboard to go to, with what is chosen here."""
    made = (
        build.Dashboard(title)
        .uid(uid)
        .tags(["ringfence"])
        .timezone("browser")
        .time("now-6h", "now")
        .refresh("1m")
        .readonly()
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .link(build.DashboardLink(other[0]).url(f"/d/{other[1]}").include_vars(True).keep_time(True))
        .with_variable(build.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(_all(_choice("cluster", "label_values(ringfence_build_info, cluster)")))
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
        height = show.height or (4 if show.kind == "stat" else 8)
        if left + show.width > WIDTH:
            left, top, tallest = 0, top + tallest, 0
        yield show, dashboard.GridPos(h=height, w=show.width, x=left, y=top)
        left += show.width
        tallest = max(tallest, height)


def _panel(show: Show) -> Any:
    if show.kind == "text":
        return text.Panel().title(show.title).mode(text_model.TextMode.MARKDOWN).content(show.text)
    made = _KINDS[show.kind]().title(show.title).description(show.about).datasource(SOURCE).unit(show.unit)
    steps = [dashboard.Threshold(color=color, value=value) for color, value in show.steps]
    made = made.thresholds(build.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps))
    if show.words:
        options = {key: dashboard.ValueMappingResult(text=text) for key, text in show.words.items()}
        made = made.mappings([dashboard.ValueMap(options=options)])
    for number, query in enumerate(show.queries):
        target = prometheus.Dataquery().expr(_in_clusters(query.expr)).legend_format(query.legend)
        target = target.ref_id(chr(ord("A") + number))
        target = target.instant() if show.kind in {"stat", "table"} else target.range()
        made = made.with_target(target.format(_FORMAT[show.kind]) if show.kind in _FORMAT else target)
    if show.kind == "table":
        made = made.with_transformation(_columns(show.counts))
    return _linked(made, show.links)


def _linked(made: Any, links: Sequence[Link]) -> Any:
    """With links on all values, or on those of one column."""
    of_all = [_link(link) for link in links if not link.column]
    made = made.data_links(of_all) if of_all else made
    for link in links:
        if link.column:
            value = dashboard.DynamicConfigValue(id_val="links", value=[_link(link).build()])
            made = made.override_by_name(link.column, [value])
    return made


def _link(link: Link) -> build.DashboardLink:
    return build.DashboardLink(link.title).url(link.url)


def _columns(counts: str) -> dashboard.DataTransformerConfig:
    """The order of a table's columns, the number last."""
    order = ("cluster", "namespace", "name", "source", "rule", "condition", "secret", "Value")
    options = {
        "excludeByName": {"Time": True},
        "indexByName": {name: place for place, name in enumerate(order)},
        "renameByName": {"Value": counts},
    }
    return dashboard.DataTransformerConfig(id_val="organize", options=options)


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


_KINDS: dict[str, Any] = {"stat": _stat, "series": _series, "bars": _bars, "table": table.Panel}
_FORMAT: dict[str, Any] = {"table": "table"}


def _choice(name: str, query: str) -> build.QueryVariable:
    made = (
        build.QueryVariable(name)
        .label(name)
        .datasource(SOURCE)
        .query(query)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
    )
    return made.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)


def _all(made: build.QueryVariable) -> build.QueryVariable:
    """Several can be chosen, and at first all: also series that do not have the label at all."""
    chosen = dashboard.VariableOption(selected=True, text=["All"], value=["$__all"])
    return made.multi(True).include_all(True).all_value(".*").current(chosen)
