"""The thirty points, for every workload of every tier and every `ci/` file."""

from __future__ import annotations

import pytest
import yaml

from charts.tests.helm import CHARTS, helm
from charts.tests.points import CHECKS, Check
from charts.tests.renders import CASES, NAMESPACE, TIERS, Case, render, rendered, texts

DIGEST = "sha256:" + "ab" * 32
every_case = pytest.mark.parametrize("case", CASES, ids=str)


@every_case
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_for_every_shape(case: Case, check: Check) -> None:
    assert list(check(rendered(case))) == []


@every_case
def test_helm_three_renders_the_same(case: Case) -> None:
    assert rendered(case, 3).objects == rendered(case).objects


@every_case
def test_helm_lint_finds_nothing(case: Case) -> None:
    said = helm("lint", "--strict", str(CHARTS / case.chart), "--values", str(case.values), "--namespace", NAMESPACE)
    assert "0 chart(s) failed" in said
    assert "[WARNING]" not in said


@every_case
def test_every_image_moves_to_a_registry_of_ones_own_by_digest_with_pull_secrets(case: Case) -> None:
    words = ["--set", f"image.digest={DIGEST}", "--set", "global.imageRegistry=registry.example.cn"]
    made = render(case.chart, "--values", str(case.values), *words, "--set", "image.pullSecrets={pull}")
    for pod in made.pods:
        assert pod.spec["imagePullSecrets"] == [{"name": "pull"}], str(pod)
        for container in pod.containers:
            image = container["image"]
            assert image.startswith("registry.example.cn/"), f"{pod} {image}"
            if image.startswith("registry.example.cn/zongzhi@") or "zongzhi:" in image:
                assert image.endswith(f"@{DIGEST}"), f"{pod} {image}"


@pytest.mark.parametrize("tier", TIERS)
def test_the_chart_says_what_it_is(tier: str) -> None:
    found = yaml.safe_load((CHARTS / tier / "Chart.yaml").read_text())
    assert found["kubeVersion"] == ">=1.30.0-0"
    assert {"artifacthub.io/changes", "artifacthub.io/images", "artifacthub.io/license"} <= found["annotations"].keys()
    assert [one["repository"] for one in found["dependencies"]] == ["file://../common"]


@pytest.mark.parametrize("tier", TIERS)
def test_a_release_with_a_long_name_has_short_names_of_its_own(tier: str) -> None:
    case = next(case for case in CASES if case.chart == tier)
    long = "a-release-whose-name-is-as-long-as-helm-takes-it-12345"[:53]
    made = render(tier, "--values", str(case.values), release=long)
    names = [(one["kind"], one["metadata"]["name"]) for one in made.objects]
    assert len(set(names)) == len(names)
    assert max(len(name) for _, name in names) <= 63


@every_case
def test_two_releases_share_no_name_and_no_selector(case: Case) -> None:
    one, other = (render(case.chart, "--values", str(case.values), release=name) for name in ("a", "b"))
    names = [{(o["kind"], o["metadata"]["name"]) for o in made.objects} for made in (one, other)]
    assert not names[0] & names[1]
    for service in one.of("Service"):
        for pod in other.pods:
            assert not service["spec"]["selector"].items() <= pod.labels.items()
    for policy in one.of("NetworkPolicy"):
        for pod in other.pods:
            assert not policy["spec"]["podSelector"]["matchLabels"].items() <= pod.labels.items()


@every_case
def test_no_render_names_a_time_or_a_random_value(case: Case) -> None:
    assert render(case.chart, "--values", str(case.values)).text == rendered(case).text


def test_extras_pass_through_templates() -> None:
    made = rendered(Case("district", "everything"))
    assert made.named("ConfigMap", "zongzhi-fonts")
    serve = next(pod for pod in made.pods if pod.component == "petition-serve")
    (container,) = serve.spec["containers"]
    assert {"name": "TZ", "value": "Asia/Shanghai"} in container["env"]
    assert {"name": "fonts", "mountPath": "/fonts", "readOnly": True} in container["volumeMounts"]
    assert any(v.get("configMap", {}).get("name") == "zongzhi-fonts" for v in serve.spec["volumes"])
    settings = made.named("ConfigMap", "zongzhi-settings")["data"]
    assert settings["PUBLIC_URL"] == "https://341702000000.example.cn"
    assert serve.labels["team"] == "platform"


def test_a_metrics_service_finds_every_pod_that_serves_metrics() -> None:
    made = rendered(Case("district", "operators"))
    (service,) = [one for one in made.of("Service") if one["metadata"]["name"] == "zongzhi-metrics"]
    for pod in made.pods:
        serves = any(p["name"] == "metrics" for c in pod.spec["containers"] for p in c.get("ports", []))
        if pod.is_for_long and not pod.is_store:
            assert serves, str(pod)
        assert (service["spec"]["selector"].items() <= pod.labels.items()) == serves, str(pod)
    assert made.of("ServiceMonitor")


def test_a_village_has_nothing_to_scale_and_one_volume() -> None:
    made = rendered(Case("village", "default"))
    (pod,) = [pod for pod in made.pods if pod.is_for_long]
    assert pod.owner["spec"]["replicas"] == 1
    assert len(made.of("PersistentVolumeClaim")) == 1
    assert not made.of("HorizontalPodAutoscaler", "ScaledObject", "PodDisruptionBudget", "StatefulSet")
    schema = (CHARTS / "village" / "values.schema.json").read_text()
    assert "replicas" not in schema
    assert "scaling" not in schema


def test_event_streams_have_pods_of_their_own_behind_their_own_paths() -> None:
    made = rendered(Case("district", "ingress"))
    (ingress,) = made.of("Ingress")
    paths = {p["path"]: p["backend"]["service"]["name"] for p in ingress["spec"]["rules"][0]["http"]["paths"]}
    assert paths == {
        "/v1/board/events": "zongzhi-streams", "/v1/cases/[^/]+/events": "zongzhi-streams", "/": "zongzhi-gateway",
    }  # fmt: skip
    streams = next(pod for pod in made.pods if pod.component == "streams")
    assert "--streams" in streams.spec["containers"][0]["args"]


def test_children_come_in_by_a_service_of_their_own_and_over_tls_only() -> None:
    made = rendered(Case("district", "operators"))
    uplink = made.named("Service", "zongzhi-uplink")
    assert [port["port"] for port in uplink["spec"]["ports"]] == [5671]
    (cluster,) = made.of("RabbitmqCluster")
    certificate = made.named("Certificate", "zongzhi-tls-broker")
    assert cluster["spec"]["tls"]["secretName"] == certificate["spec"]["secretName"]
    assert "link.341702000000.zongzhi.example" in certificate["spec"]["dnsNames"]


@pytest.mark.parametrize(("replicas", "name"), [(1, "petition"), (2, "petition-each")])
def test_callers_of_one_replica_use_one_address_and_of_several_each_one(replicas: int, name: str) -> None:
    values = str(Case("district", "statefulset").values)
    made = render("district", "--values", values, "--set", f"serve.replicas={replicas}")
    address = made.named("ConfigMap", "zongzhi-settings")["data"]["PETITION_ADDRESS"]
    assert address == f"dns:///zongzhi-{name}.zongzhi.svc.cluster.local:50051"
    service = made.named("Service", f"zongzhi-{name}")
    assert ("clusterIP" in service["spec"]) == (replicas > 1)
    args = next(pod for pod in made.pods if pod.component == "certificates").spec["containers"][0]["args"]
    assert any(arg.startswith("petition=") and f"zongzhi-{name}.zongzhi.svc.cluster.local" in arg for arg in args)


def test_upgrades_may_migrate_first() -> None:
    case = Case("district", "everything")
    upgraded = render("district", "--values", str(case.values), "--is-upgrade")
    for made, hooked in ((rendered(case), False), (upgraded, True)):
        jobs = [one for one in made.of("Job") if "-migrate-" in one["metadata"]["name"]]
        assert len(jobs) == 4
        assert all(("helm.sh/hook" in (one["metadata"].get("annotations") or {})) == hooked for one in jobs)


def test_a_new_image_is_a_new_job_and_nothing_else_is() -> None:
    values = ["--values", str(Case("district", "statefulset").values)]
    names = [
        {one["metadata"]["name"] for one in render("district", *values, *more).of("Job")}
        for more in ([], ["--set", "gateway.replicas=3"], ["--set", "image.tag=0.2.0"])
    ]
    assert names[0] == names[1]
    assert not {name for name in names[0] & names[2] if "migrate" in name}


def test_the_smoke_test_files_a_petition_with_a_login_by_reference() -> None:
    for tier in TIERS:
        made = rendered(next(case for case in CASES if case.chart == tier))
        job = made.named("Job", "zongzhi-smoke")
        assert job["metadata"]["annotations"]["helm.sh/hook"] == "test"
        (pod,) = [pod for pod in made.pods if pod.component == "smoke"]
        assert pod.spec["containers"][0]["args"][0] == "smoke"
        assert pod.spec["volumes"][0]["secret"]["secretName"] == "zongzhi-login"


def test_no_name_of_another_place_stands_in_a_render() -> None:
    for case in CASES:
        for text in texts(rendered(case).objects):
            assert "localhost:5000" not in text
