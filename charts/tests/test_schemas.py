"""Every object is one that Kubernetes takes, on the oldest supported version and the newest."""

from __future__ import annotations

import kubernetes_validate
import pytest

from charts.tests.renders import CASES, Case, name_of, rendered

OLDEST, NEWEST = "1.30", "1.36"
# Operators' kinds: test_operators.py looks at those.
FOREIGN = {
    "postgresql.cnpg.io", "rabbitmq.com", "cert-manager.io", "keda.sh", "monitoring.coreos.com",
    "gateway.networking.k8s.io",
}  # fmt: skip


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_kubernetes_takes_every_object(case: Case, version: str) -> None:
    for one in rendered(case).objects:
        if one["apiVersion"].partition("/")[0] in FOREIGN:
            continue
        try:
            kubernetes_validate.validate(one, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            pytest.fail(f"{name_of(one)} on {version}: {error.message} at {list(error.path)}")
