"""Which releases there are, in which ring, and what each is told."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from services.fleet import generated, tiers, values
from services.fleet.divisions import Division, shipped
from services.fleet.mistakes import FleetMistake
from services.fleet.tests.conftest import DISTRICT, FIRST, ROOT, SECOND, Desk, divisions

TODAY = date(2026, 11, 24)
FLEET = ROOT / "infra" / "fleet"


def test_the_shipped_table_gives_one_district_twenty_towns_and_their_villages() -> None:
    found = tiers.of_divisions(shipped(TODAY))
    count = [tier.tier for tier in found]
    assert (count.count("district"), count.count("town"), count.count("village")) == (1, 20, 220)


def test_what_is_generated_is_what_the_table_says_today() -> None:
    wanted = generated.content(date.today())
    there = {str(p.relative_to(FLEET)): p.read_text("utf-8") for p in [FLEET / "tiers.csv", *FLEET.glob("values/*")]}
    assert there == wanted, "run: zongzhi fleet generate"


def test_every_parent_comes_before_its_children_and_never_in_a_later_ring() -> None:
    found = tiers.of_divisions(shipped(TODAY))
    place = {tier.code: at for at, tier in enumerate(found)}
    ring = {tier.code: tier.ring for tier in found}
    for tier in found:
        if tier.parent:
            assert place[tier.parent] < place[tier.code]
            assert ring[tier.parent] <= ring[tier.code]


def test_the_first_ring_is_one_town_with_three_villages_and_the_second_a_tenth() -> None:
    found = tiers.of_divisions(shipped(TODAY))
    rings = {ring: [tier for tier in found if tier.ring == ring] for ring in range(4)}
    assert [tier.tier for tier in rings[0]] == ["district"]
    assert [tier.tier for tier in rings[1]] == ["town", "village", "village", "village"]
    assert {village.parent for village in rings[1][1:]} == {rings[1][0].code}
    assert sum(map(len, (rings[0], rings[1], rings[2]))) == pytest.approx(len(found) / 10, abs=1)


def test_names_and_hosts_are_valid_in_kubernetes() -> None:
    for tier in tiers.of_divisions(shipped(TODAY)):
        assert len(tier.release) <= 20, "what the chart appends must fit into 63"
        assert len(tier.namespace) <= 63


def test_a_division_counts_from_its_first_day_to_its_last(tmp_path: Path) -> None:
    table = tmp_path / "divisions.csv"
    head = "# 来源\nstat_code,mca_code,name,level,parent,valid_from,valid_to\n"
    table.write_text(f"{head}1,,甲,town,0,2026-01-01,2026-11-30\n2,,乙,town,0,,\n")
    assert [d.code for d in shipped(date(2025, 12, 31), table)] == ["2"]
    assert [d.code for d in shipped(date(2026, 11, 30), table)] == ["1", "2"]
    assert [d.code for d in shipped(date(2026, 12, 1), table)] == ["2"]


def test_a_village_of_a_zone_without_an_installation_hangs_below_the_district() -> None:
    zone = [
        Division("341702400000", "开发区", "town_like", DISTRICT),
        Division("341702400001", "某村", "village", "341702400000"),
    ]
    found = {tier.code: tier for tier in tiers.of_divisions([*divisions(), *zone])}
    assert "341702400000" not in found
    assert found["341702400001"].parent == DISTRICT


def test_two_districts_are_refused() -> None:
    with pytest.raises(FleetMistake, match="2"):
        tiers.of_divisions([*divisions(), Division("341703000000", "另一区", "district", "")])


def test_an_override_changes_one_cell_and_leaves_the_rest(desk: Desk) -> None:
    (desk.fleet / "overrides" / "tiers.csv").write_text(f"code,cluster,ring\n{SECOND},town-two,3\n")
    found = {tier.code: tier for tier in tiers.load(desk.fleet)}
    assert (found[SECOND].cluster, found[SECOND].ring, found[SECOND].tier) == ("town-two", 3, "town")
    assert found[FIRST].cluster == ""


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (f"{DISTRICT},ring\n", "表头"),
        (f"code,ring\n{DISTRICT},9\n", "排在上级"),
        (f"code,parent\n{FIRST},999\n", "不在"),
        (f"code,tier\n{FIRST},hamlet\n", "不完整"),
        ("code,ring\n341799000000,1\n", "不完整"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_right_is_refused_with_a_sentence(desk: Desk, row: str, says: str) -> None:
    (desk.fleet / "overrides" / "tiers.csv").write_text(row)
    with pytest.raises(FleetMistake, match=says):
        tiers.load(desk.fleet)


def test_values_files_are_given_from_weak_to_strong(desk: Desk) -> None:
    (tier,) = [tier for tier in tiers.load(desk.fleet) if tier.code == FIRST]
    for name in ("all", "town", "village", FIRST):
        (desk.fleet / "overrides" / f"{name}.yaml").write_text("{}\n")
    found = [str(path.relative_to(desk.fleet)) for path in values.files(desk.fleet, tier)]
    assert found == ["overrides/all.yaml", "overrides/town.yaml", f"values/{FIRST}.yaml", f"overrides/{FIRST}.yaml"]


def test_generating_again_changes_nothing_and_removes_what_is_no_more(tmp_path: Path) -> None:
    assert generated.write(tmp_path, TODAY)[0] == 242
    stale = tmp_path / "values" / "341799999999.yaml"
    stale.write_text("{}\n")
    mine = tmp_path / "overrides" / "all.yaml"
    mine.parent.mkdir()
    mine.write_text("{}\n")
    assert generated.write(tmp_path, TODAY) == (0, 1)
    assert not stale.exists()
    assert mine.exists()
