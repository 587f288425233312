"""The policies say what the README draws, no more and no less."""

from __future__ import annotations

import pytest

from charts.tests.renders import Case, Render, rendered

DISTRICT = {
    "gateway": {"petition-serve:50051", "mediation-serve:50052", "grid-serve:50053", "database:5432"},
    **{f"{name}-{role}": {"database:5432", "broker:5672"} for name in ("petition", "mediation", "grid")
       for role in ("serve", "work")},
    "migrate": {"database:5432"},
    "smoke": {"gateway:8080"},
    "certificates": {"0.0.0.0/0:443", "0.0.0.0/0:6443"},
    "database": set(),
    "broker": set(),
}  # fmt: skip


def edges(made: Render) -> dict[str, set[str]]:
    """Who may call whom, read out of the policies; names apart."""
    found: dict[str, set[str]] = {}
    for policy in made.of("NetworkPolicy"):
        labels = policy["spec"]["podSelector"]["matchLabels"]
        component = labels.get("app.kubernetes.io/component")
        if component is None:
            continue
        called = found.setdefault(component, set())
        for rule in policy["spec"]["egress"] or []:
            for peer in rule.get("to", [{}]):
                if not peer or "namespaceSelector" in peer:
                    continue
                whom = (
                    peer.get("ipBlock", {}).get("cidr")
                    or peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
                )
                called |= {f"{whom}:{port['port']}" for port in rule["ports"]}
    return found


@pytest.mark.parametrize("tier", ["district", "town"])
def test_the_edges_of_a_district_and_a_town(tier: str) -> None:
    assert edges(rendered(Case(tier, "statefulset"))) == DISTRICT


def test_a_village_calls_nobody() -> None:
    assert edges(rendered(Case("village", "default"))) == {"village": set(), "smoke": {"village:8080"}}


def test_a_parent_is_one_more_edge() -> None:
    made = rendered(Case("village", "ingress"))
    assert "10.1.0.6/32:5671" in edges(made)["village"]


def test_a_call_between_services_is_one_more_edge() -> None:
    found = edges(rendered(Case("district", "everything")))
    assert "petition-serve:50051" in found["mediation-serve"]
    assert "petition-serve:50051" not in found["grid-serve"]


def test_external_stores_are_their_addresses_only() -> None:
    found = edges(rendered(Case("district", "external")))
    assert {"10.0.8.0/28:5432", "10.0.9.0/28:5671"} <= found["petition-serve"]


def test_operators_stores_let_their_callers_and_their_operator_in() -> None:
    made = rendered(Case("district", "operators"))
    policy = made.named("NetworkPolicy", "zongzhi-database")
    assert policy["spec"]["podSelector"]["matchLabels"] == {"cnpg.io/cluster": "zongzhi-database"}
    callers = {
        peer["podSelector"]["matchLabels"].get("app.kubernetes.io/component")
        for rule in policy["spec"]["ingress"]
        for peer in rule["from"]
        if "podSelector" in peer
    }
    assert {"petition-serve", "petition-work", "gateway", "migrate"} <= callers
    spaces = [
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for rule in policy["spec"]["ingress"]
        for peer in rule["from"]
        if "namespaceSelector" in peer
    ]
    assert "cnpg-system" in spaces


def test_only_named_callers_reach_a_gateway_behind_an_ingress() -> None:
    policy = rendered(Case("district", "ingress")).named("NetworkPolicy", "zongzhi-gateway")
    doors = [rule for rule in policy["spec"]["ingress"] if "namespaceSelector" in rule["from"][0]]
    assert [rule["from"][0]["namespaceSelector"]["matchLabels"] for rule in doors] == [
        {"kubernetes.io/metadata.name": "ingress-nginx"}
    ]
    assert all("from" in rule for rule in policy["spec"]["ingress"])
