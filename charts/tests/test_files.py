"""What lies beside the templates: schemas and tables that follow from values.yaml, golden renders, shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from charts.tests.helm import CHARTS, HelmFailed
from charts.tests.renders import CASES, TIERS, Case, render, rendered
from infra.tools import charts as generator

every_case = pytest.mark.parametrize("case", CASES, ids=str)
both_majors = pytest.mark.parametrize("major", [3, 4])


def test_schemas_and_tables_are_as_values_say() -> None:
    stale = [str(path.relative_to(CHARTS)) for path in generator.stale()]
    assert not stale, f"make charts-generate: {stale}"


@every_case
def test_a_changed_render_is_a_changed_golden_file(case: Case) -> None:
    assert case.golden.read_text() == rendered(case).text, "look at it, then: make charts-golden"


@both_majors
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(
    "wrong",
    ["gatway.replicas=2", "image.tags=1", "pods.lables.x=y", "settings.loglevel=INFO", "common.image=x"],
)
def test_an_unknown_key_is_refused(tier: str, major: int, wrong: str) -> None:
    case = next(case for case in CASES if case.chart == tier)
    with pytest.raises(HelmFailed, match=r"not allowed|values don't meet"):
        render(tier, "--values", str(case.values), "--set", wrong, major=major)


@both_majors
@pytest.mark.parametrize(
    "wrong",
    [
        "services.petition.prot=50051", "services.Petition.port=50051", "serve.replicas=0", "database.mode=mysql",
        "work.scaling.mode=both", "broker.operator.replicas=2", "tls.mode=off", "image.digest=latest",
        "services.petition.serve.replicas=none", "serve.resources.request.cpu=1", "settings.drainSeconds=0",
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_refused(major: int, wrong: str) -> None:
    case = Case("district", "statefulset")
    with pytest.raises(HelmFailed, match=r"values don't meet"):
        render("district", "--values", str(case.values), "--set", wrong, major=major)


@pytest.mark.parametrize(
    "knob", ["replicas=2", "scaling.mode=hpa", "database.mode=cnpg", "broker.mode=operator", "gateway.replicas=2"]
)
def test_a_village_has_no_such_knob(knob: str) -> None:
    with pytest.raises(HelmFailed, match="not allowed"):
        render("village", "--values", str(Case("village", "default").values), "--set", knob)


def test_a_town_knows_the_values_of_a_district() -> None:
    def keys(tier: str) -> dict[str, str]:
        values = generator.read((CHARTS / tier / "values.yaml").read_text())
        return {leaf.path: leaf.description for value in values for leaf in value.leaves()}

    district, town = keys("district"), keys("town")
    # Traces of the whole subtree end in the district.
    own = {path for path in district if path.startswith("jaeger.")}
    assert {path: text for path, text in district.items() if path not in own} == town


def test_the_generator_asks_for_a_description() -> None:
    with pytest.raises(generator.NotDescribed, match="replicas"):
        generator.read("replicas: 1\n")


def test_the_generator_reads_types_constraints_and_descriptions() -> None:
    (value,) = generator.read('# -- 几个 · how many\n# @ {"minimum": 1}\nreplicas: 2\n')
    assert value.schema() == {"description": "几个 · how many", "type": "integer", "minimum": 1}
    assert "| `replicas` | `2` | 几个 · how many |" in generator.table([value])


@pytest.mark.parametrize("tier", TIERS)
def test_a_schema_closes_every_object_that_does_not_say_what_may_be_in_it(tier: str) -> None:
    def walk(schema: Any, path: str) -> None:
        if isinstance(schema, dict):
            if schema.get("type") == "object" and "properties" in schema:
                assert "additionalProperties" in schema, path
            for name, inside in schema.items():
                walk(inside, f"{path}.{name}")

    walk(json.loads((CHARTS / tier / "values.schema.json").read_text()), tier)


@every_case
def test_the_readme_names_every_shape(case: Case) -> None:
    readme = (CHARTS / case.chart / "README.md").read_text()
    (row,) = [line for line in readme.splitlines() if f"(ci/{case.shape}-values.yaml)" in line]
    needs_operators = {one["apiVersion"].partition("/")[0] for one in rendered(case).objects} & {
        "postgresql.cnpg.io", "rabbitmq.com", "cert-manager.io", "keda.sh", "monitoring.coreos.com",
        "gateway.networking.k8s.io",
    }  # fmt: skip
    if needs_operators:
        assert "rendered, not run in CI" in row


def test_values_of_shapes_are_plain_yaml() -> None:
    for case in CASES:
        assert yaml.safe_load(case.values.read_text())["tier"]["code"]
