"""What the chart tells Prometheus and Grafana, and that it is silent until asked."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from chart.rendering import CHART, NAMESPACE, Manifest, of_kind, pods, render
from cluster.errors import CommandFailed
from ringfence.gateway import log
from ringfence.resources import JobImage
from ringfence.resources.gateway import gateway_children
from unit.resources.agents import make

SERVICE = ("--set", "monitoring.serviceMonitor.enabled=true")
POD = ("--set", "monitoring.podMonitor.enabled=true")
RULES = ("--set", "monitoring.prometheusRule.enabled=true")
DASHBOARDS = ("--set", "monitoring.dashboards.enabled=true")
EXTRA = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
WHERE = {"ServiceMonitor": SERVICE, "PodMonitor": POD, "PrometheusRule": RULES}
PLACE = {"ServiceMonitor": "serviceMonitor", "PodMonitor": "podMonitor", "PrometheusRule": "prometheusRule"}


def only(kind: str, *args: str) -> Manifest:
    (found,) = of_kind(kind, *args).values()
    return found


def selected(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    return bool(selector["matchLabels"].items() <= labels.items())


def test_nothing_unless_asked_for() -> None:
    assert not [item for item in render() if item["kind"] in EXTRA]
    assert not [name for name in of_kind("ConfigMap") if "dashboard" in name]
    assert not [arg for arg in controller_arguments() if "per-agent" in arg]


def controller_arguments(*args: str) -> list[str]:
    found: list[str] = pods(*args)["ringfence-controller"]["spec"]["containers"][0]["args"]
    return found


def test_names_of_agents_by_a_value() -> None:
    assert "--per-agent-metrics" in controller_arguments("--set", "monitoring.perAgentMetrics=true")


def test_the_service_monitor_finds_the_service_and_its_port() -> None:
    monitor = only("ServiceMonitor", *SERVICE)
    found = [
        one for one in of_kind("Service").values() if selected(monitor["spec"]["selector"], one["metadata"]["labels"])
    ]
    assert [one["metadata"]["name"] for one in found] == ["ringfence-metrics"]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in found[0]["spec"]["ports"]}
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": [NAMESPACE]}


def test_the_pod_monitor_finds_both_processes_and_their_port() -> None:
    monitor = only("PodMonitor", *POD)
    found = {
        name: pod for name, pod in pods().items() if selected(monitor["spec"]["selector"], pod["metadata"]["labels"])
    }
    assert set(found) == {"ringfence-controller", "ringfence-admission"}
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    for pod in found.values():
        assert endpoint["port"] in {port["name"] for port in pod["spec"]["containers"][0]["ports"]}


@pytest.mark.parametrize(("kind", "key"), [("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")])
def test_our_namespaces_keep_their_name(kind: str, key: str) -> None:
    (endpoint,) = only(kind, *WHERE[kind])["spec"][key]
    assert endpoint["honorLabels"] is True
    assert endpoint["path"] == "/metrics"


GATEWAYS = ("--set", "monitoring.gatewayMonitor.enabled=true")
IMAGE = "registry.example/a@sha256:" + "0" * 64
AGENT = make({"spec": {"image": IMAGE, "network": {"egress": [{"host": "x.example.com"}]}}})


def gateway_pod() -> dict[str, Any]:
    """The template of the pods of a gateway."""
    agent = replace(AGENT, gateway_image=JobImage("envoy"))
    (found,) = (one for one in gateway_children(agent) if one["kind"] == "Deployment")
    template: dict[str, Any] = found["spec"]["template"]
    return template


def test_the_gateway_monitor_finds_gateways_everywhere_and_nothing_else() -> None:
    spec = only("PodMonitor", *GATEWAYS)["spec"]
    pod = gateway_pod()
    assert selected(spec["selector"], pod["metadata"]["labels"])
    assert not [name for name, one in pods().items() if selected(spec["selector"], one["metadata"]["labels"])]
    assert spec["namespaceSelector"] == {"any": True}
    (endpoint,) = spec["podMetricsEndpoints"]
    assert endpoint["path"] == "/stats/prometheus"
    assert endpoint["port"] in {port.get("name") for port in pod["spec"]["containers"][0]["ports"]}


def test_figures_of_gateways_are_called_as_ours_and_the_agent_is_named() -> None:
    mine = ("--set", "monitoring.gatewayMonitor.relabelings[0].targetLabel=x")
    (endpoint,) = only("PodMonitor", *GATEWAYS, *mine)["spec"]["podMetricsEndpoints"]
    keep, rename = endpoint["metricRelabelings"]
    assert (keep["action"], keep["regex"]) == ("keep", f"envoy_{log.FIGURES}_{log.REQUESTS}")
    assert rename == {"targetLabel": "__name__", "replacement": "ringfence_egress_requests_total"}
    agent, own = endpoint["relabelings"]
    found = re.fullmatch(agent["regex"], gateway_pod()["metadata"]["labels"]["ringfence.dev/agent"])
    assert found is not None
    assert (found[1], agent["targetLabel"], own) == (AGENT.name, "name", {"targetLabel": "x"})


def test_not_both_monitors() -> None:
    with pytest.raises(CommandFailed, match="not both"):
        render(*SERVICE, *POD)


@pytest.mark.parametrize("kind", sorted(EXTRA))
def test_where_it_goes_and_what_it_is_found_by(kind: str) -> None:
    value = f"monitoring.{PLACE[kind]}"
    labels = ("--set", f"{value}.labels.release=stack", "--set", f"{value}.annotations.note=x")
    found = only(kind, *WHERE[kind], *labels, "--set", f"{value}.namespace=monitoring")
    assert found["apiVersion"] == "monitoring.coreos.com/v1"
    assert found["metadata"]["namespace"] == "monitoring"
    assert found["metadata"]["labels"]["release"] == "stack"
    assert found["metadata"]["annotations"] == {"note": "x"}
    assert only(kind, *WHERE[kind])["metadata"]["namespace"] == NAMESPACE


def alerts(*args: str) -> dict[str, dict[str, Any]]:
    rule = only("PrometheusRule", *RULES, *args)
    return {one["alert"]: one for group in rule["spec"]["groups"] for one in group["rules"] if "alert" in one}


def test_an_alert_can_be_left_out() -> None:
    left = alerts("--set", "monitoring.prometheusRule.disabled={RingfenceWatchSilent}")
    assert set(alerts()) - set(left) == {"RingfenceWatchSilent"}


def test_an_alert_that_is_not_there_cannot_be_left_out() -> None:
    with pytest.raises(CommandFailed, match="no alert RingfenceWatchSilly"):
        alerts("--set", "monitoring.prometheusRule.disabled={RingfenceWatchSilly}")


def test_labels_and_runbooks_of_ones_own() -> None:
    value = "monitoring.prometheusRule"
    args = ("--set", f"{value}.ruleLabels.team=platform", "--set", f"{value}.runbookBaseUrl=https://example.test/r/")
    for name, alert in alerts(*args).items():
        assert alert["labels"]["team"] == "platform"
        assert alert["labels"]["severity"]
        assert alert["annotations"]["runbook_url"] == f"https://example.test/r/{name}.md"


def test_a_link_to_a_runbook_is_absolute_or_not_there() -> None:
    for alert in alerts().values():
        assert "runbook_url" not in alert["annotations"]
    with pytest.raises(CommandFailed, match="runbookBaseUrl"):
        alerts("--set", "monitoring.prometheusRule.runbookBaseUrl=docs/runbooks")


def test_templates_of_prometheus_are_left_to_prometheus() -> None:
    assert "{{ $value | humanizeDuration }}" in alerts()["RingfenceCertificateExpires"]["annotations"]["description"]


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ("provider=self", 604800),
        ("provider=self,certificates.certManager.renewBefore=24h", 604800),
        ("provider=cert-manager", 604800),
        ("provider=cert-manager,certificates.certManager.renewBefore=336h", 604800),
        ("provider=cert-manager,certificates.certManager.renewBefore=168h", 302400),
        ("provider=cert-manager,certificates.certManager.renewBefore=23h30m", 42300),
        ("provider=cert-manager,certificates.certManager.renewBefore=4h", 7200),
    ],
)
def test_no_certificate_is_late_before_its_renewal_is_due(values: str, seconds: int) -> None:
    expression = alerts("--set", f"certificates.{values}")["RingfenceCertificateExpires"]["expr"]
    assert expression == f"min(ringfence_admission_certificate_expiry_timestamp_seconds) - time() < {seconds}"


def test_dashboards_come_as_they_are() -> None:
    found = {name: one for name, one in of_kind("ConfigMap", *DASHBOARDS).items() if "dashboard" in name}
    assert set(found) == {"ringfence-dashboard-fleet", "ringfence-dashboard-agent"}
    for one in found.values():
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
        ((file, text),) = one["data"].items()
        assert text == (CHART / "files" / "dashboards" / file).read_text()
        assert json.loads(text)["panels"]


def test_panels_do_not_overlap_and_have_ids() -> None:
    for path in (CHART / "files" / "dashboards").glob("*.json"):
        panels = json.loads(path.read_text())["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            at = panel["gridPos"]
            assert at["x"] + at["w"] <= 24
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert not cells & taken, panel["title"]
            taken |= cells


@pytest.mark.parametrize(
    "value", ["serviceMonitor.interval=often", "prometheusRule.runbookBaseUrl=a b", "serviceMonitor.intervall=30s"]
)
def test_values_that_make_no_sense_are_refused(value: str) -> None:
    with pytest.raises(CommandFailed, match="monitoring"):
        render("--set", f"monitoring.{value}")
