"""The directory as its keeper and the clerks see it: a village gets a new name, a year its holidays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import requests

from e2e.conftest import LOCAL_SQLITE, RABBIT_POSTGRES, on
from e2e.people import Typed
from e2e.story import Story
from e2e.system import TIER, System, eventually, new_request_id
from services.chassis import clock

pytestmark = pytest.mark.e2e

VILLAGE, OLD_NAME = "341702003201", "象山村委会"
TODAY = clock.legal_date(clock.now())
YESTERDAY = TODAY - timedelta(days=1)


class Keeper:
    """Whoever keeps the directory, signed in with the role for it."""

    def __init__(self, system: System) -> None:
        self.system = system
        logins = json.loads((system.folder / "data" / "demo-logins.json").read_text())["logins"]
        login = next(one for one in logins if one["account"] == "demo-keeper")
        answer = requests.post(f"{system.gateway}/v1/session", json=login, timeout=30)
        answer.raise_for_status()
        self.headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """One look."""
        return self.system.ok("GET", path, params=query, headers=self.headers)

    def post(self, path: str, **body: Any) -> requests.Response:
        """One change, whatever the answer."""
        return self.system.call("POST", path, {"request_id": new_request_id(), **body}, headers=self.headers)

    def send(self, kind: str, text: str, name: str = "表.csv", **form: str) -> requests.Response:
        """A table, whatever the answer."""
        url = f"{self.system.gateway}/v1/directory/{kind}:import"
        files = {"file": (name, text.encode("gb18030"))}
        return requests.post(url, data=form, files=files, headers=self.headers, timeout=60)

    def imported(self, kind: str, text: str, **form: str) -> dict[str, Any]:
        """A table that is taken."""
        answer = self.send(kind, text, **form)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def version(self, kind: str) -> int:
        """The newest version of a kind."""
        return int(self.get(f"/v1/directory/{kind}/versions", page_size=1)["versions"][0]["version"])


@pytest.fixture
def keeper(district: System) -> Iterator[Keeper]:
    """The keeper of the district that runs now, who puts back what a test changed."""
    district.sign_in()
    one = Keeper(district)
    yield one
    text = f"统计用区划代码,区划名称\n{VILLAGE},{OLD_NAME}\n"
    one.imported("divisions", text)


def shown(system: System) -> str:
    """What the hall calls the village, in a case that it registers now."""
    return str(Story(system).filed(division_code=VILLAGE).petition()["division_name"])


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_twenty_towns_and_the_villages_of_each_year_are_counted_through_the_api(keeper: Keeper) -> None:
    for day, villages in (("2021-12-31", 219), ("2022-10-31", 220), ("", 220)):
        found = keeper.get("/v1/divisions:count", as_of=day)
        assert (found["towns"], found["villages"]) == (20, villages), day
    towns = keeper.get("/v1/divisions", parent_code=TIER, page_size=200)["divisions"]
    assert len([one for one in towns if not one["level"].endswith("_LIKE")]) == 20


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_a_village_is_renamed_by_a_table_and_every_service_follows(keeper: Keeper) -> None:
    system, new = keeper.system, f"象山{TODAY.day}新村村委会"
    table = f"统计用区划代码,区划名称\n{VILLAGE},{new}\n"
    before = keeper.version("divisions")
    assert shown(system) == OLD_NAME

    tried = keeper.imported("divisions", table, dry_run="true")
    assert (tried["applied"], tried["changed"]) == (False, 2)
    assert tried["changes"][0]["fields"] == [{"field": "name", "before": OLD_NAME, "after": new}]
    assert keeper.version("divisions") == before
    assert shown(system) == OLD_NAME

    done = keeper.imported("divisions", table)
    assert (done["applied"], int(done["version"])) == (True, before + 1)
    eventually(lambda: shown(system) == new, "the hall calls the village by its new name")
    assert keeper.get(f"/v1/divisions/{VILLAGE}", as_of=YESTERDAY.isoformat())["name"] == OLD_NAME
    assert keeper.get(f"/v1/divisions/{VILLAGE}")["name"] == new
    assert keeper.get(f"/v1/units/{VILLAGE}-ZX")["name"] == f"里山街道象山{TODAY.day}新村综治中心"


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_a_table_with_one_wrong_row_changes_nothing_and_names_the_row(keeper: Keeper) -> None:
    before = keeper.version("divisions")
    report = keeper.imported("divisions", f"统计用区划代码,区划名称\n{VILLAGE},某村\n34170200320,短\n")
    assert (report["applied"], report["wrong"], report["wrong_rows"][0]["row"]) == (False, 1, 3)
    assert "12 位" in report["wrong_rows"][0]["reason"]
    assert keeper.version("divisions") == before


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_a_new_unit_takes_a_petition_on_as_soon_as_the_hall_knows_it(keeper: Keeper) -> None:
    code = f"341702-T{new_request_id()[:6]}"
    made = keeper.post(
        "/v1/units", code=code, name="演示水利站", kind="UNIT_KIND_DEPARTMENT", division_code=TIER,
        presence="PRESENCE_TURNS", rota=[1, 3],
    )  # fmt: skip
    assert made.status_code == 200, made.text
    assert made.json()["revision"] == 1
    story = Story(keeper.system).filed()

    def accepted() -> bool:
        body = {"responsible_unit": code}
        return bool(keeper.system.call("POST", f"/v1/petitions/{story.id}:accept", body).ok)

    eventually(accepted, "the hall knows the new unit")
    stale = keeper.post(
        "/v1/units", code=code, name="演示水务站", kind="UNIT_KIND_DEPARTMENT", division_code=TIER,
        presence="PRESENCE_ON_CALL",
    )  # fmt: skip
    assert (stale.status_code, stale.json()["reason"]) == (409, "REVISION_CHANGED")


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_a_year_of_holidays_moves_the_deadlines_that_waited_for_it(keeper: Keeper) -> None:
    story = Story(keeper.system)
    story.accepted()
    clocks = {one["kind"]: one for one in story.petition()["clocks"]}
    known = keeper.get("/v1/calendars", page_size=1)
    due = date.fromisoformat(clocks["conclude"]["due_on"])
    if due.year <= known["last_year"]:
        pytest.skip("the last day lies within the published holidays today")
    assert clocks["conclude"]["provisional"]
    table = f"日期,类型,节日\n{due},放假,演示假日\n{due.year}-12-31,放假,元旦\n"
    assert keeper.imported("calendars", table)["applied"]

    def moved() -> bool:
        after = next(one for one in story.petition()["clocks"] if one["kind"] == "conclude")
        return not after["provisional"] and date.fromisoformat(after["due_on"]) > due

    eventually(moved, "the deadline is counted again")
    assert "clock.moved" in story.kinds()


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_people_are_masked_everywhere_and_a_clerk_may_not_keep_the_directory(keeper: Keeper) -> None:
    typed, code = Typed(), f"R{new_request_id()[:8]}"
    person = typed.person()
    made = keeper.post("/v1/staff", code=code, name=person["name"], phone=person["phone"], unit="341702-XFJ")
    assert made.status_code == 200, made.text
    listed = keeper.get("/v1/staff", unit="341702-XFJ", page_size=200)
    assert code in [one["code"] for one in listed["staff"]]
    assert typed.found_in(made.text + json.dumps(listed, ensure_ascii=False)) == []
    asked = {"fields": ["name", "phone"], "reason": "核对联络员电话"}
    clear = keeper.system.call("POST", f"/v1/staff/{code}:reveal", asked, headers=keeper.headers)
    assert clear.json() == {"name": person["name"], "phone": person["phone"]}
    assert keeper.system.call("GET", "/v1/staff").status_code == 200
    for path in ("/v1/units", f"/v1/staff/{code}:reveal"):
        answer = keeper.system.call("POST", path, {})
        assert answer.status_code == 403, answer.text


@on(LOCAL_SQLITE, RABBIT_POSTGRES)
def test_the_command_shows_and_imports_like_the_page(keeper: Keeper) -> None:
    system = keeper.system
    told = json.loads(system.command("directory", "show", "--json"))
    assert (told["towns"], told["villages"]) == (20, 220)
    table = system.folder / "分类.csv"
    code = f"X03{new_request_id()[:4]}"
    table.write_text(f"分类代码,分类名称,分类类型,上级分类\n{code},演示分类,信访内容分类,X03\n", encoding="utf-8")
    tried = json.loads(system.command("directory", "import", "categories", str(table), "--dry-run", "--json"))
    assert (tried["added"], tried.get("applied", False)) == (1, False)
    assert "已导入" in system.command("directory", "import", "categories", str(table))

    def taken() -> bool:
        registration = Story(system).registration(category=code)
        return bool(system.call("POST", "/v1/petitions", registration).ok)

    eventually(taken, "the hall classifies by the new category")
    wrong = system.attempt("directory", "import", "villages", str(table))
    assert wrong.returncode == 2
    assert "没有目录 villages" in wrong.stderr
