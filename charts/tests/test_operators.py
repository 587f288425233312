"""Resources of operators are what their CRDs say, unknown fields refused: CRDS names a folder of CRDs out of the
operators' own repositories (they are large and not ours, so they are not kept here).

    CRDS=/path/to/crds make charts-test
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from charts.tests.renders import CASES, Case, name_of, rendered
from charts.tests.test_schemas import FOREIGN

CRDS = os.environ.get("CRDS", "")
pytestmark = pytest.mark.skipif(not CRDS, reason="CRDS names no folder of CRDs")


def closed(schema: Any) -> Any:
    """The schema with every object closed that names its fields, as the API server prunes what it does not know."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    names_fields = isinstance(found.get("properties"), dict) and found.get("type") == "object"
    if names_fields and not found.get("x-kubernetes-preserve-unknown-fields"):
        found.setdefault("additionalProperties", False)
    if found.get("x-kubernetes-int-or-string"):
        found = {"type": ["integer", "string"]}
    return found


@cache
def schemas() -> dict[tuple[str, str], Any]:
    """What each kind may look like, by version."""
    found = {}
    for file in Path(CRDS).glob("*.yaml"):
        for crd in yaml.safe_load_all(file.read_text()):
            spec = crd["spec"]
            for version in spec["versions"]:
                schema = closed(version["schema"]["openAPIV3Schema"])
                schema["properties"]["metadata"] = {"type": "object"}
                found[(f"{spec['group']}/{version['name']}", spec["names"]["kind"])] = schema
    return found


def foreign(case: Case) -> list[Any]:
    """The resources of operators in a shape."""
    return [one for one in rendered(case).objects if one["apiVersion"].partition("/")[0] in FOREIGN]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_operators_take_every_resource(case: Case) -> None:
    for one in foreign(case):
        validator = jsonschema.Draft7Validator(schemas()[(one["apiVersion"], one["kind"])])
        wrong = [f"{name_of(one)}: {list(e.absolute_path)} {e.message}" for e in validator.iter_errors(one)]
        assert not wrong, wrong


def test_a_misspelt_field_would_be_noticed() -> None:
    (cluster,) = [one for one in foreign(Case("district", "operators")) if one["kind"] == "Cluster"]
    spoilt = {**cluster, "spec": {**cluster["spec"], "instance": 3}}
    validator = jsonschema.Draft7Validator(schemas()[(cluster["apiVersion"], "Cluster")])
    assert list(validator.iter_errors(spoilt))
