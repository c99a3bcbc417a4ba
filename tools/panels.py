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
class Show:
    """One panel. `kind`: stat (one number), series (lines), bars (stacked), table. `steps`: colours from a value on."""

    title: str
    kind: str
    unit: str
    queries: tuple[Query, ...]
    about: str
    width: int = 8
    steps: tuple[Color, ...] = (GOOD,)
    words: dict[str, str] = field(default_factory=dict)


def violations(by: str, over: str, where: str = 'namespace=~"$namespace"') -> str:
    """Violations within a time.

    A series begins with its first violation, in which increase() sees nothing: one that was not there before counts
    with all that it has.
    """
    name = f"ringfence_violations_total{{{where}}}"
    grown = f"(increase({name}[{over}]) and {name} offset {over})"
    return f"sum by ({by}) ({grown} or ({name} unless {name} offset {over}))"


def quantile(share: float, metric: str, by: str = "") -> str:
    """A quantile of a histogram over the last minutes."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket[$__rate_interval])))"


def quantiles(metric: str) -> tuple[Query, ...]:
    """The usual three."""
    return tuple(Query(quantile(share, metric), f"p{share * 100:g}") for share in (0.5, 0.9, 0.99))


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
            (Query(f"sum(increase(ringfence_agent_repairs_total{{{THIS}}}[$__range]))"),),
            "Children that somebody edited or deleted within the time shown.",
            4,
            BAD_ABOVE_0,
        ),
        Show(
            "Oldest key",
            "stat",
            "s",
            (Query(f"max(ringfence_agent_secret_age_seconds{{{THIS}}})"),),
            "Age of the oldest of its keys.",
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
            "Age of keys",
            "series",
            "s",
            (Query(f"max by (secret) (ringfence_agent_secret_age_seconds{{{THIS}}})", "{{secret}}"),),
            "A saw: it falls with each rotation.",
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
    ),
}
