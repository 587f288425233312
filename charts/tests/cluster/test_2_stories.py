"""A neighbours' quarrel from the first visit to the rating, told to each tier through its own gateway."""

from __future__ import annotations

import pytest

from charts.tests.cluster.releases import Release
from e2e.story import Story

pytestmark = pytest.mark.cluster

TIERS = ("district", "town", "village")


@pytest.mark.parametrize("tier", TIERS)
def test_refused_once_then_settled_through_the_gateway(tiers: dict[str, Release], tier: str) -> None:
    story = Story(tiers[tier].gateway())
    story.accepted()
    story.refer()
    story.one_refuses()
    story.becomes("ACCEPTED", owner_service="petition")
    story.refer()
    story.consent_all()
    story.becomes("MEDIATING", owner_service="mediation")
    story.settle()
    story.becomes("CONCLUDED", owner_service="petition", outcome="OUTCOME_SETTLED")
    story.evaluate()
    assert story.kinds()[-1] == "petition.evaluated"


@pytest.mark.parametrize("tier", TIERS)
def test_helm_test_files_a_petition_and_reads_it_back(tiers: dict[str, Release], tier: str) -> None:
    tiers[tier].test()
