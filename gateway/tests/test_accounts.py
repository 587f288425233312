"""Accounts: three kinds of people kept apart, nobody manages oneself, an administrator stays, leavers hand over."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from typing import Any

import pytest
from sqlalchemy import inspect

from gateway import roles
from gateway.accounts import passwords, store
from gateway.accounts.model import Appointment, appointed, own_prefix
from gateway.accounts.tables import metadata
from gateway.tests.office import ADMIN, GOOD, HALL, JUSTICE, TIER, Item, Office, refused
from protos.accounts.v1 import accounts_pb2 as pb
from services.chassis import identity, ids, migrations
from services.chassis.identity import Identity
from services.chassis.refusal import Refusal


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes for these tests cost nothing."""
    monkeypatch.setattr(passwords, "matches", lambda kept, password: kept == f"#{password}")
    monkeypatch.setattr(passwords, "hashed", lambda password: f"#{password}")


def post(*held: str, units: tuple[str, ...] = (HALL,), code: str = "main", scope: str = "") -> pb.Appointment:
    return pb.Appointment(post=code, roles=held, units=units, scope=scope)


# The schema


def test_an_empty_database_comes_to_what_the_tables_say(service_db: Any) -> None:
    db = service_db("gateway")
    url = db.url.render_as_string(hide_password=False)
    found = migrations.differences(url, [migrations.chassis_metadata, metadata])
    # The gateway asks the grid service about units and keeps no copy of the directory.
    assert [one for one in found if "directory_" not in one] == []
    assert migrations.migrate("gateway", url) == migrations.head("gateway")
    assert set(metadata.tables) <= set(inspect(db.engine).get_table_names())


# Opening an account


def test_a_new_account_has_a_one_time_password_and_shows_its_owner_masked(office: Office) -> None:
    request = {"request_id": ids.uuid7(), "account": "wang.wu", "display_name": "王小明", "phone": "13800000000"}
    made = office.call("CreateAccount", **request, appointments=[post("hall")])
    assert (made.account.display_name, made.account.phone) == ("王**", "138****0000")
    assert made.account.must_change_password
    assert (made.account.side, made.account.appointments[0].scope) == (pb.SIDE_OPERATOR, "341702")
    assert office.prove("wang.wu", made.password).must_change
    (written,) = office.audited("account.created")
    assert (written.actor, written.subject_id) == ("root-admin", "wang.wu")
    assert "王" not in written.details
    assert made.password not in written.details


def test_the_same_request_gives_the_same_password_and_another_body_is_refused(office: Office) -> None:
    request = {"request_id": ids.uuid7(), "account": "wang.wu", "display_name": "王小明"}
    first = office.call("CreateAccount", **request, appointments=[post("hall")])
    assert office.call("CreateAccount", **request, appointments=[post("hall")]) == first
    with refused("REQUEST_ID_REUSED"):
        office.call("CreateAccount", **request, appointments=[post("mediator")])


def test_a_name_is_given_out_once_also_after_the_account_is_closed(office: Office) -> None:
    office.create("wang.wu")
    office.call("CloseAccount", account="wang.wu", reason="离职")
    with refused("ACCOUNT_TAKEN"):
        office.create("wang.wu")


def test_units_that_the_directory_does_not_hold_are_named(office: Office) -> None:
    office.units.missing = [JUSTICE]
    with refused("FIELD_INVALID") as info:
        office.create("wang.wu", units=(HALL, JUSTICE))
    assert JUSTICE in str(info.value)
    assert info.value.violations[0].field == "appointments[0].units"


def test_without_the_directory_codes_are_taken_and_the_reply_says_so(office: Office) -> None:
    office.units.missing = None
    made = office.call(
        "CreateAccount", request_id=ids.uuid7(), account="wang.wu", display_name="王", appointments=[post("hall")]
    )
    assert "未能与组织机构核对" in made.note


def test_only_a_reveal_shows_name_and_phone_and_it_is_audited(office: Office) -> None:
    office.create("wang.wu", phone="13800000000")
    for shown in (office.call("GetAccount", account="wang.wu"), office.call("ListAccounts")):
        assert "王小明" not in str(shown)
        assert "13800000000" not in str(shown)
    shown = office.call("RevealAccount", account="wang.wu", reason="核对电话号码")
    assert (shown.display_name, shown.phone) == ("王小明", "13800000000")
    assert office.audited("account.revealed")[0].actor == "root-admin"


# Three kinds of people


@pytest.mark.parametrize(
    "mixed", [("administrator", "auditor"), ("administrator", "hall"), ("auditor", "mediator"), ("auditor", "hall")]
)
@pytest.mark.parametrize("together", [True, False], ids=["in one post", "in two posts"])
def test_no_account_is_two_of_the_three(office: Office, mixed: tuple[str, str], together: bool) -> None:
    posts = [post(*mixed)] if together else [post(mixed[0]), post(mixed[1], code="other")]
    request = {"request_id": ids.uuid7(), "account": "wang.wu", "display_name": "王"}
    with refused("SIDES_MIXED"):
        office.call("CreateAccount", **request, appointments=posts)
    office.create("li.si", mixed[0])
    with refused("SIDES_MIXED"):
        office.call("SetAppointments", account="li.si", appointments=posts)
    assert len(office.call("GetAccount", account="li.si").appointments) == 1


def test_a_program_holds_operator_roles_only(office: Office) -> None:
    for role in ("administrator", "auditor"):
        with refused("SIDES_MIXED"):
            office.call(
                "CreateServiceAccount", request_id=ids.uuid7(), client_id="app", title="接口", appointment=post(role)
            )


def test_every_role_has_one_side_and_the_sides_share_no_permission() -> None:
    by_side: dict[str, set[str]] = {side: set() for side in roles.Side}
    for name, role in roles.ROLES.items():
        by_side[role.side] |= roles.permissions([name])
    administrator, auditor, operator = (by_side[side] for side in roles.Side)
    assert all(permission.startswith("accounts.") for permission in administrator | auditor)
    assert not any(permission.startswith("accounts.") for permission in operator)
    assert administrator & auditor == {"accounts.read"}
    assert auditor == {"accounts.read", "accounts.read_audit"}
    assert "accounts.read_audit" not in administrator


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        ("hall", "petition.register", "petition.reveal"),
        ("hall", "petition.void", "petition.read_all"),
        ("hall", "grid.read", "petition.import"),
        ("hall", "petition.read", "petition.hand_over"),
        ("hall_lead", "petition.reveal", "mediation.read"),
        ("hall_lead", "petition.import", "petition.hand_over"),
        ("mediator", "mediation.reveal", "petition.read"),
        ("supervisor", "mediation.read_all", "petition.accept"),
        ("directory_keeper", "grid.manage", "petition.read"),
        ("mayor", "", "petition.read"),
    ],
)
def test_a_role_may_what_its_work_needs(role: str, may: str, may_not: str) -> None:
    found = roles.permissions([role])
    assert may_not not in found
    assert not may or may in found


# Posts


@pytest.mark.parametrize(
    ("tier", "prefix"),
    [("341702000000", "341702"), ("341702100000", "341702100"), ("341702102000", "341702102"),
     ("341702102201", "341702102201"), ("341700000000", "3417"), ("340000000000", "34")],
)  # fmt: skip
def test_a_tier_knows_the_digits_of_its_own_divisions(tier: str, prefix: str) -> None:
    assert own_prefix(tier) == prefix


@pytest.mark.parametrize("scope", ["341702", "341702102", "341702102201", ""])
def test_a_scope_lies_inside_of_the_tier(scope: str) -> None:
    (kept,) = appointed([Appointment("p", "", (HALL,), ("hall",), scope)], TIER)
    assert kept.scope == (scope or "341702")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ([Appointment("p", "", (HALL,), ("hall",), "341721")], "appointments[0].scope"),
        ([Appointment("p", "", (HALL,), ("mayor",), "")], "appointments[0].roles"),
        ([Appointment("p", "", (), ("hall",), "")], "appointments[0].units"),
        ([Appointment("p", "", (HALL,), ("hall",), "")] * 2, "appointments[1].post"),
    ],
)
def test_a_post_that_cannot_be_is_named(wrong: list[Appointment], field: str) -> None:
    with refused("FIELD_INVALID") as info:
        appointed(wrong, TIER)
    assert [one.field for one in info.value.violations] == [field]


def test_a_change_of_posts_is_audited_with_what_was_before(office: Office) -> None:
    office.create("wang.wu")
    office.call("SetAppointments", account="wang.wu", appointments=[post("hall_lead"), post("mediator", code="m")])
    told = json.loads(office.audited("account.appointed")[0].details)
    assert [one["roles"] for one in told["before"]] == [["hall"]]
    assert [one["roles"] for one in told["after"]] == [["hall_lead"], ["mediator"]]


# Nobody manages oneself, and the last administrator stays


@pytest.mark.parametrize(
    ("rpc", "fields"),
    [
        ("SetAppointments", {"appointments": [post("administrator", units=())]}),
        ("DisableAccount", {"reason": "x"}), ("EnableAccount", {}), ("ResetPassword", {}), ("UnlockAccount", {}),
        ("CloseAccount", {"reason": "x"}),
    ],
)  # fmt: skip
def test_nobody_manages_an_account_of_ones_own(office: Office, rpc: str, fields: dict[str, Any]) -> None:
    office.create("root-admin", "administrator")
    office.create("second", "administrator")
    with refused("OWN_ACCOUNT"):
        office.call(rpc, account="root-admin", **fields)


@pytest.mark.parametrize(
    ("rpc", "fields"),
    [("DisableAccount", {"reason": "x"}), ("CloseAccount", {"reason": "x"}),
     ("SetAppointments", {"appointments": [post("hall")]})],
)  # fmt: skip
def test_the_last_administrator_cannot_be_taken_away(office: Office, rpc: str, fields: dict[str, Any]) -> None:
    office.create("second", "administrator")
    with refused("LAST_ADMINISTRATOR"):
        office.call(rpc, account="second", **fields)
    office.create("third", "administrator")
    office.call(rpc, account="second", **fields)


def test_two_administrators_who_disable_each_other_at_once_leave_one(office: Office) -> None:
    office.create("second", "administrator")
    office.create("third", "administrator")

    def disable(pair: tuple[str, str]) -> str:
        identity.set_current(Identity(pair[0], TIER))
        try:
            office.call("DisableAccount", account=pair[1], reason="x")
        except Refusal as refusal:
            return refusal.reason
        return "done"

    with ThreadPoolExecutor(2) as pool:
        heard = sorted(pool.map(disable, [("second", "third"), ("third", "second")]))
    assert heard == ["LAST_ADMINISTRATOR", "done"]


# States


def test_a_disabled_account_comes_back_and_a_closed_one_does_not(office: Office) -> None:
    office.officer("wang.wu")
    office.call("DisableAccount", account="wang.wu", reason="休假")
    with refused("ACCOUNT_DISABLED"):
        office.prove("wang.wu")
    with refused("ILLEGAL_MOVE"):
        office.call("DisableAccount", account="wang.wu", reason="休假")
    office.call("EnableAccount", account="wang.wu")
    assert office.prove("wang.wu").name == "wang.wu"
    office.call("CloseAccount", account="wang.wu", reason="离职")
    with refused("LOGIN_FAILED"):
        office.prove("wang.wu")
    for rpc in ("EnableAccount", "ResetPassword", "UnlockAccount"):
        with refused("ACCOUNT_CLOSED"):
            office.call(rpc, account="wang.wu")


def test_a_reset_password_is_used_once_and_not_for_ever(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.officer("wang.wu")
    fresh = office.call("ResetPassword", account="wang.wu")
    with refused("LOGIN_FAILED"):
        office.prove("wang.wu", GOOD)
    assert office.prove("wang.wu", fresh.password).must_change
    monkeypatch.setattr("gateway.accounts.signing_in.clock.now", lambda: fresh.usable_until.ToDatetime(tzinfo=UTC))
    with refused("PASSWORD_EXPIRED"):
        office.prove("wang.wu", fresh.password)


# Lists


def test_accounts_are_listed_by_name_filtered_and_paged(office: Office) -> None:
    for name, role, units in (("a.a", "hall", (HALL,)), ("b.b", "mediator", (JUSTICE,)), ("c.c", "hall", (HALL,))):
        office.create(name, role, units=units)
    office.create("d.d", "administrator", units=())
    office.call("DisableAccount", account="c.c", reason="x")

    def names(**filters: Any) -> list[str]:
        return [one.account for one in office.call("ListAccounts", **filters).accounts]

    assert names() == ["a.a", "b.b", "c.c", "d.d"]
    assert names(role="hall") == ["a.a", "c.c"]
    assert names(unit=JUSTICE) == ["b.b"]
    assert names(state=pb.ACCOUNT_STATE_DISABLED) == ["c.c"]
    assert names(text="B.") == ["b.b"]
    assert names(text="王") == []
    first = office.call("ListAccounts", page_size=3)
    assert [one.account for one in office.call("ListAccounts", page_token=first.next_page_token).accounts] == ["d.d"]
    with refused("FIELD_INVALID"):
        office.call("ListAccounts", page_token=first.next_page_token, role="hall")


def test_roles_are_listed_with_their_chinese_names_and_permissions(office: Office) -> None:
    found = {one.role: one for one in office.call("ListRoles").roles}
    assert (found["hall"].title, found["hall"].side) == ("接访窗口", pb.SIDE_OPERATOR)
    assert "petition.register" in found["hall"].permissions
    page = office.call("ListRoles", page_size=2)
    assert len(page.roles) == 2
    assert page.next_page_token


def test_the_auditor_reads_attempts_and_audit_by_account_action_and_time(office: Office) -> None:
    office.officer("wang.wu")
    with refused("LOGIN_FAILED"):
        office.prove("wang.wu", "wrong")
    office.prove("wang.wu")
    attempts = office.call("ListLoginAttempts", account="wang.wu").attempts
    assert [one.outcome for one in attempts] == [pb.ATTEMPT_OUTCOME_SUCCEEDED, pb.ATTEMPT_OUTCOME_FAILED]
    failed = office.call("ListLoginAttempts", outcome=pb.ATTEMPT_OUTCOME_FAILED).attempts
    assert [(one.account, one.source, one.kind) for one in failed] == [("wang.wu", "10.0.0.1", "password")]
    rows = office.call("ListAudit", action="account.", account="wang.wu").rows
    assert [one.action for one in rows] == ["account.password_changed", "account.created"]
    page = office.call("ListAudit", page_size=1)
    assert page.rows[0].number > office.call("ListAudit", page_size=1, page_token=page.next_page_token).rows[0].number
    assert not office.call("ListAudit", since=page.rows[0].at, until=page.rows[0].at).rows


# Programs


def test_two_secrets_work_during_a_rotation_and_the_oldest_goes_first(office: Office) -> None:
    def secret(made: Any) -> str:
        return str(made.client_secret)

    given = {"request_id": ids.uuid7(), "client_id": "app", "title": "区级平台", "appointment": post("hall")}
    first = office.call("CreateServiceAccount", **given)
    second = office.call("RotateServiceSecret", client_id="app")
    assert second.service_account.secrets == 2
    for one in (first, second):
        assert office.door.prove_program("app", secret(one), "10.0.0.1").actor == "service:app"
    third = office.call("RotateServiceSecret", client_id="app")
    assert third.service_account.secrets == 2
    with refused("CLIENT_FAILED"):
        office.door.prove_program("app", secret(first), "10.0.0.1")
    assert len(office.audited("service.secret_rotated")) == 2
    assert all(secret(first) not in row.details for row in office.audited("service.created"))


def test_a_program_that_is_switched_off_needs_a_new_secret(office: Office) -> None:
    given = {"request_id": ids.uuid7(), "client_id": "app", "title": "区级平台", "appointment": post("hall")}
    secret = office.call("CreateServiceAccount", **given).client_secret
    office.call("SwitchServiceAccount", client_id="app", enabled=False)
    with refused("SERVICE_OFF"):
        office.call("RotateServiceSecret", client_id="app")
    office.call("SwitchServiceAccount", client_id="app", enabled=True)
    with refused("CLIENT_FAILED"):
        office.door.prove_program("app", secret, "10.0.0.1")
    fresh = office.call("RotateServiceSecret", client_id="app").client_secret
    assert office.door.prove_program("app", fresh, "10.0.0.1")
    assert [one.client_id for one in office.call("ListServiceAccounts").service_accounts] == ["app"]


# Whoever leaves


def item(n: int, unit: str = HALL) -> Item:
    return Item(f"case-{n}", unit)


def test_open_items_of_all_services_come_in_pages(office: Office) -> None:
    office.create("wang.wu")
    office.cases.held["petition"]["wang.wu"] = [item(n) for n in range(3)]
    office.cases.held["mediation"]["wang.wu"] = [item(n + 3, JUSTICE) for n in range(2)]
    seen: list[str] = []
    token = ""
    while True:
        page = office.call("ListOpenItems", account="wang.wu", page_size=2, page_token=token)
        seen += [one.id for one in page.items]
        token = page.next_page_token
        if not token:
            break
    assert seen == [f"case-{n}" for n in range(5)]


def test_an_account_with_open_cases_is_not_closed_until_they_are_handed_over(office: Office) -> None:
    office.create("wang.wu")
    office.create("zhao.liu")
    office.cases.held["petition"]["wang.wu"] = [item(1), item(2)]
    with refused("OPEN_ITEMS") as info:
        office.call("CloseAccount", account="wang.wu", reason="离职")
    assert info.value.details["open"] == "2"
    answer = office.call("HandOver", account="wang.wu", to_account="zhao.liu", reason="离职")
    assert answer.complete
    assert [one.id for one in office.cases.held["petition"]["zhao.liu"]] == ["case-1", "case-2"]
    assert '"petition":2' in office.audited("account.handed_over")[0].details
    closed = office.call("CloseAccount", account="wang.wu", reason="离职")
    assert closed.state == pb.ACCOUNT_STATE_CLOSED


def test_nothing_is_closed_while_a_service_cannot_be_asked(office: Office) -> None:
    office.create("wang.wu")
    office.cases.away.add("mediation")
    with refused("SERVICE_AWAY"):
        office.call("CloseAccount", account="wang.wu", reason="离职")
    assert office.call("GetAccount", account="wang.wu").state == pb.ACCOUNT_STATE_ACTIVE


def test_handing_over_goes_on_when_the_service_is_back(office: Office) -> None:
    office.create("wang.wu")
    office.create("zhao.liu", "hall", "mediator", units=(HALL, JUSTICE))
    office.cases.held["petition"]["wang.wu"] = [item(1)]
    office.cases.held["mediation"]["wang.wu"] = [item(2, JUSTICE)]
    office.cases.away.add("mediation")
    give = {"account": "wang.wu", "to_account": "zhao.liu", "reason": "离职"}
    first = office.call("HandOver", **give)
    assert not first.complete
    assert [(one.service, one.moved, bool(one.problem)) for one in first.services] == [
        ("petition", 1, False), ("mediation", 0, True)]  # fmt: skip
    office.cases.away.clear()
    assert office.call("HandOver", **give).complete
    assert len(office.cases.held["mediation"]["zhao.liu"]) == 1


def test_the_receiver_must_work_for_the_unit_of_every_case(office: Office) -> None:
    office.create("wang.wu")
    office.create("zhao.liu", "mediator", units=(HALL,))
    office.cases.held["petition"]["wang.wu"] = [item(1)]
    answer = office.call("HandOver", account="wang.wu", to_account="zhao.liu", reason="离职")
    assert not answer.complete
    assert HALL in answer.services[0].problem
    assert office.cases.held["petition"]["wang.wu"]


def test_only_an_active_operator_receives_and_never_the_leaver(office: Office) -> None:
    office.create("wang.wu")
    office.create("admin.two", "administrator", units=())
    office.create("zhao.liu")
    office.call("DisableAccount", account="zhao.liu", reason="x")
    for to in ("admin.two", "zhao.liu"):
        with refused("RECEIVER_UNFIT"):
            office.call("HandOver", account="wang.wu", to_account=to, reason="离职")
    with refused("FIELD_INVALID"):
        office.call("HandOver", account="wang.wu", to_account="wang.wu", reason="离职")


def test_closing_keeps_the_name_and_forgets_the_phone(office: Office) -> None:
    office.create("wang.wu", phone="13800000000")
    office.call("CloseAccount", account="wang.wu", reason="离职")
    with office.db.reading() as conn:
        kept = store.read(conn, "wang.wu")
    assert (kept.display_name, kept.phone, kept.password_hash) == ("王小明", "", passwords.NOBODYS)
    assert ADMIN.account == office.audited("account.closed")[0].actor
