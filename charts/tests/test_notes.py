"""What Helm says after installing: what to do next, and what is not for production."""

from __future__ import annotations

import pytest

from charts.tests.helm import CHARTS, helm
from charts.tests.renders import CASES, NAMESPACE, RELEASE, Case


def notes(case: Case, *words: str) -> str:
    """The notes of a shape."""
    flags = ("--namespace", NAMESPACE, "--values", str(case.values), "--dry-run=client")
    return helm("install", RELEASE, str(CHARTS / case.chart), *flags, *words).partition("NOTES:")[2]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_notes_say_what_to_do_next(case: Case) -> None:
    said = notes(case)
    assert "zongzhi keys secrets --release zongzhi --namespace zongzhi" in said
    assert ("--village" in said) == (case.chart == "village")
    assert "helm test zongzhi --namespace zongzhi" in said
    assert "/docs" in said


def test_notes_warn_of_what_is_for_a_try_only() -> None:
    said = notes(Case("district", "statefulset"), "--set", "tls.mode=none")
    for warning in ("demo.enabled", "只供测试", "明文", "image.digest"):
        assert warning in said
    calm = notes(Case("district", "operators"))
    for warning in ("demo.enabled", "只供测试", "明文", "建议设置 image.digest"):
        assert warning not in calm
