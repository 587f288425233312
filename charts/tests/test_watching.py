"""Collector, Jaeger, alerts and dashboards as the charts render them; and every release of the fleet."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.tests.helm import CHARTS, ROOT, HelmFailed, helm, program
from infra.observability import rules
from infra.otel import collector
from services.fleet.fleet import Fleet, Places
from services.fleet.helm import Helm
from services.fleet.tiers import Tier

Objects = dict[tuple[str, str], dict[str, Any]]
TIERS = ("district", "town", "village")
BOTH = ["collector.enabled=true", "collector.nextHop.endpoint=http://x"]


@functools.cache
def watched(tier: str) -> Objects:
    """What a tier renders with everything that watches."""
    values = str(CHARTS / tier / "ci" / "watched-values.yaml")
    found = yaml.safe_load_all(helm("template", "zz", str(CHARTS / tier), "--namespace", "n", "--values", values))
    return {(one["kind"], one["metadata"]["name"]): one for one in found if one}


def set_(tier: str, *settings: str) -> str:
    values = [word for setting in settings for word in ("--set", setting)]
    code = ("--set-string", "tier.code=341702000000")
    return helm("template", "zz", str(CHARTS / tier), "--namespace", "n", *code, *values)


@pytest.mark.parametrize("tier", TIERS)
def test_the_kept_configuration_is_what_the_chart_renders(tier: str) -> None:
    text = collector.path_of(tier).read_text("utf-8")
    assert text == collector.rendered(tier, program()), "run: python -m infra.otel.collector"


@pytest.mark.parametrize("tier", TIERS)
def test_a_collector_keeps_on_disk_and_never_gives_up(tier: str) -> None:
    config = yaml.safe_load(watched(tier)["ConfigMap", "zz-collector"]["data"]["config.yaml"])
    for name, exporter in config["exporters"].items():
        if name == "debug":
            continue
        assert exporter["sending_queue"]["storage"] == "file_storage", name
        assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s", name
    assert "batch" not in config["processors"], "a batch before the queue is lost with the process"
    assert set(config["service"]["pipelines"]) == {"traces", "metrics", "logs"}, "what is not taken would be refused"


@pytest.mark.parametrize("tier", ["district", "town"])
def test_a_pod_may_send_to_its_own_collector_and_that_one_onwards(tier: str) -> None:
    found = watched(tier)
    settings = found["ConfigMap", "zz-settings"]["data"]
    assert settings["OTEL_EXPORTER_OTLP_ENDPOINT"].startswith("http://zz-collector.n.svc")
    out = found["NetworkPolicy", "zz-petition-serve"]["spec"]["egress"]
    assert any(rule["ports"] == [{"port": 4318}] for rule in out)
    inward = found["NetworkPolicy", "zz-collector"]["spec"]["ingress"]
    assert {"ports": [{"port": 4319}]} in inward
    assert {rule["ports"][0]["port"] for rule in inward} == {4318, 4319, 9464}


def test_the_districts_collector_hands_traces_to_jaeger_and_metrics_to_prometheus() -> None:
    found = watched("district")
    (container,) = found["StatefulSet", "zz-collector"]["spec"]["template"]["spec"]["containers"]
    hop = next(one["value"] for one in container["env"] if one["name"] == "NEXT_HOP")
    assert hop == "http://zz-jaeger.n.svc.cluster.local:4318"
    config = yaml.safe_load(found["ConfigMap", "zz-collector"]["data"]["config.yaml"])
    exporters = {signal: one["exporters"] for signal, one in config["service"]["pipelines"].items()}
    assert exporters == {"traces": ["otlp_http"], "metrics": ["otlp_http/prometheus"], "logs": ["otlp_http"]}
    ports = [rule["ports"][0]["port"] for rule in found["NetworkPolicy", "zz-jaeger"]["spec"]["ingress"]]
    assert sorted(ports) == [4318, 9464, 16686]


def test_a_villages_collector_shares_the_pod_and_the_volume() -> None:
    found = watched("village")
    pod = found["Deployment", "zz-village"]["spec"]["template"]["spec"]
    assert [container["name"] for container in pod["containers"]] == ["all", "collector"]
    (mount,) = [m for m in pod["containers"][1]["volumeMounts"] if m["mountPath"] == "/var/lib/collector"]
    assert (mount["name"], mount["subPath"]) == ("data", "collector")
    assert len([kind for kind, _ in found if kind in ("PersistentVolumeClaim", "StatefulSet")]) == 1
    assert found["ConfigMap", "zz-settings"]["data"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:4318"


@pytest.mark.parametrize("tier", TIERS)
def test_two_containers_of_a_pod_share_no_port(tier: str) -> None:
    for (kind, name), one in watched(tier).items():
        if kind not in ("Deployment", "StatefulSet"):
            continue
        containers = one["spec"]["template"]["spec"]["containers"]
        ports = [port for container in containers for port in container.get("ports", ())]
        for key in ("containerPort", "name"):
            assert len({port[key] for port in ports}) == len(ports), name


@pytest.mark.parametrize(
    ("tier", "settings", "says"),
    [
        ("town", ["collector.enabled=true"], "collector.nextHop.endpoint"),
        ("town", [*BOTH, "telemetry.endpoint=http://y"], "not both"),
        ("district", ["jaeger.enabled=true"], "jaeger.enabled"),
        ("village", ["collector.enabled=true"], "collector.nextHop.endpoint"),
    ],
)  # fmt: skip
def test_what_cannot_work_stops_with_a_sentence(tier: str, settings: list[str], says: str) -> None:
    with pytest.raises(HelmFailed) as stopped:
        set_(tier, *settings)
    assert says in str(stopped.value)


def test_the_chart_carries_the_alerts_with_the_operators_address_of_the_runbooks() -> None:
    spec = watched("district")["PrometheusRule", "zz-alerts"]["spec"]
    assert spec == rules.groups()
    text = set_("district", "monitoring.rules.enabled=true", "monitoring.rules.runbookUrl=https://wiki.test/zz")
    found = next(one for one in yaml.safe_load_all(text) if one and one["kind"] == "PrometheusRule")
    assert found["spec"] == rules.groups("https://wiki.test/zz")


def test_the_chart_carries_the_dashboards() -> None:
    for name in ("tier", "fleet"):
        (text,) = watched("district")["ConfigMap", f"zz-dashboard-{name}"]["data"].values()
        kept = (ROOT / "infra" / "observability" / "dashboards" / f"zongzhi-{name}.json").read_text("utf-8")
        assert json.loads(text) == json.loads(kept)


@pytest.mark.parametrize("tier", TIERS)
def test_what_alerts_look_for_is_how_targets_are_labelled(tier: str) -> None:
    found = watched(tier)
    monitor, service = found["ServiceMonitor", "zz-metrics"], found["Service", "zz-metrics"]
    assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "zongzhi"
    assert monitor["spec"]["endpoints"][0]["honorLabels"] is True
    ports = {port["name"] for port in service["spec"]["ports"]}
    assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} == ports


@functools.cache
def rendered_fleet(major: int) -> tuple[list[Tier], dict[str, str]]:
    fleet = Fleet(Places(ROOT / "infra" / "fleet", CHARTS, Path("unused")), Helm.found(program(major)))
    return fleet.every, fleet.render(fleet.every, os.cpu_count() or 1)


@pytest.mark.parametrize("major", [3, 4])
def test_every_release_renders_and_knows_its_own_tier(major: int) -> None:
    every, rendered = rendered_fleet(major)
    assert len(every) == 241
    for tier in every:
        text = rendered[tier.code]
        assert f'ZONGZHI_TIER: "{tier.code}"' in text
        assert f"namespace: {tier.namespace}" in text


def test_helm_3_and_4_render_the_same_fleet() -> None:
    assert rendered_fleet(3)[1] == rendered_fleet(4)[1]
