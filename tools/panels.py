"""What the dashboards show: the words for it, and the dashboard of one agent."""

from dataclasses import dataclass, field

Color = tuple[str, float | None]
GOOD: Color = ("green", None)


@dataclass(frozen=True)
class Query:
    """PromQL, and how its series are called."""

    expr: str
    legend: str = "__auto"


@dataclass(frozen=True)
class Link:
    """Where a click on a value leads. `column`: of a table, whose values are the link; else all of the panel's are."""

    title: str
    url: str
    column: str = ""


@dataclass(frozen=True)
class Show:
    """One panel. `kind`: stat (one number), series (lines), bars (stacked), table, text (`text`, in Markdown).

    `steps`: colours from a value on. `height`: in the grid's units; 0: the usual one of its kind. `counts`: what a
    table's values are.
    """

    title: str
    kind: str
    unit: str
    queries: tuple[Query, ...]
    about: str
    width: int = 8
    steps: tuple[Color, ...] = (GOOD,)
    words: dict[str, str] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    text: str = ""
    height: int = 0
    counts: str = "violations"


def _to(dashboard: str, **variables: str) -> str:
    """The address of a dashboard, with the same Prometheus, clusters and time, and with these values of variables."""
    chosen = "".join(f"var-{name}={value}&" for name, value in variables.items())
    return f"/d/{dashboard}?{chosen}${{datasource:queryparam}}&${{cluster:queryparam}}&${{__url_time_range}}"


TO_AGENT = Link(
    "The agent ${__data.fields.name}",
    _to("ringfence-agent", namespace="${__data.fields.namespace}", name="${__data.fields.name}"),
    "name",
)
"""From a row of a table that names an agent."""
ROW_TO_NAMESPACE = Link(
    "The namespace ${__data.fields.namespace}",
    _to("ringfence-fleet", namespace="${__data.fields.namespace}"),
    "namespace",
)
SERIES_TO_NAMESPACE = (
    Link("The namespace ${__field.labels.namespace}", _to("ringfence-fleet", namespace="${__field.labels.namespace}")),
    Link("Its agents", _to("ringfence-agent", namespace="${__field.labels.namespace}")),
)


def violations(by: str, over: str, where: str = 'namespace=~"$namespace"') -> str:
    """Violations within a time."""
    return grown(f"ringfence_violations_total{{{where}}}", by, over)


def requests(by: str, over: str, where: str = 'namespace=~"$namespace"') -> str:
    """What egress gateways let out and refused within a time."""
    return grown(f"ringfence_egress_requests_total{{{where}}}", by, over)


def grown(name: str, by: str, over: str) -> str:
    """By how much a counter grew within a time, where a series begins with the first of what it counts.

    increase() sees nothing of that: one that was not there before counts with all that it has.
    """
    before = f"(increase({name}[{over}]) and {name} offset {over})"
    return f"sum by ({by}) ({before} or ({name} unless {name} offset {over}))"


def quantile(share: float, metric: str, by: str = "") -> str:
    """A quantile of a histogram over the last minutes."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket[$__rate_interval])))"


def quantiles(metric: str) -> tuple[Query, ...]:
    """The usual three."""
    return tuple(Query(quantile(share, metric), f"p{share * 100:g}") for share in (0.5, 0.9, 0.99))


FROM_GATEWAYS = "Needs `monitoring.gatewayMonitor`."
YES_NO = {"0": "no", "1": "yes"}
BAD_ABOVE_0: tuple[Color, ...] = (GOOD, ("orange", 1))
BAD_BELOW_1: tuple[Color, ...] = (("red", None), ("green", 1))
DAY = 86400

THIS = 'namespace="$namespace",name="$name"'
AGENT: dict[str, tuple[Show, ...]] = {
    "At a glance": (
        Show(
            "Ready",
            "stat",
            "short",
            (Query(f"max(ringfence_agent_ready{{{THIS}}})"),),
            "Whether the fence stands and the pods run in it.",
            4,
            BAD_BELOW_1,
            YES_NO,
        ),
        Show(
            "Waits for",
            "stat",
            "s",
            (Query(f"max by (condition) (ringfence_agent_wait_seconds{{{THIS}}})", "{{condition}}"),),
            "The first condition that is not True, and for how long. Nothing is shown when there is none.",
            4,
        ),
        Show(
            "Suspended",
            "stat",
            "short",
            (Query(f"max(ringfence_agent_suspended{{{THIS}}}) or vector(0)"),),
            "By `spec.suspended`.",
            4,
            words=YES_NO,
        ),
        Show(
            "Broken rules",
            "stat",
            "short",
            (Query(f"max(ringfence_agent_broken_rules{{{THIS}}}) or vector(0)"),),
            "Rules that it breaks as it is stored; `kubectl describe agd` names them.",
            4,
            BAD_ABOVE_0,
        ),
        Show(
            "Fence put back",
            "stat",
            "short",
            (Query(f"round(sum(increase(ringfence_agent_repairs_total{{{THIS}}}[$__range])))"),),
            "Children that somebody edited or deleted within the time shown.",
            4,
            BAD_ABOVE_0,
        ),
        Show(
            "Oldest secret",
            "stat",
            "s",
            (Query(f"max(ringfence_agent_secret_age_seconds{{{THIS}}})"),),
            "Age of the oldest of its secrets.",
            4,
        ),
    ),
    "Over time": (
        Show(
            "Pods",
            "series",
            "short",
            (Query(f"max by (state) (ringfence_agent_pods{{{THIS}}})", "{{state}}"),),
            "Wanted and ready.",
        ),
        Show(
            "Waiting",
            "series",
            "s",
            (Query(f"max by (condition) (ringfence_agent_wait_seconds{{{THIS}}})", "{{condition}}"),),
            "For how long, and for what.",
        ),
        Show(
            "Fence put back",
            "bars",
            "short",
            (Query(f"sum(increase(ringfence_agent_repairs_total{{{THIS}}}[$__rate_interval]))", "repairs"),),
            "Children that were edited or deleted.",
        ),
        Show(
            "Age of secrets",
            "series",
            "s",
            (Query(f"max by (secret) (ringfence_agent_secret_age_seconds{{{THIS}}})", "{{secret}}"),),
            "Falls to zero with each rotation.",
            12,
        ),
        Show(
            "Violations in its namespace",
            "bars",
            "short",
            (Query(violations("source, rule", "10m", 'namespace="$namespace"'), "{{source}} {{rule}}"),),
            "Of all agents there, in the 10 minutes before each moment.",
            12,
        ),
        Show(
            "Egress by host",
            "bars",
            "short",
            (Query(f"{requests('host, verdict', '10m', THIS)} > 0 or vector(0)", "{{verdict}} {{host}}"),),
            "What went out and what was refused, in the 10 minutes before each moment; a host that is not declared is "
            f"undeclared. {FROM_GATEWAYS}",
            24,
        ),
    ),
}
