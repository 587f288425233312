"""A restored installation is a new one: what it hands out never repeats what was lost."""

from __future__ import annotations

from datetime import date

from sqlalchemy import func, select

from services.chassis import deployment
from services.chassis.codes import parse_case_number
from services.chassis.numbers import Numbers
from services.chassis.tables import audit

TIER = "341702000000"


def numbers(db):
    return Numbers(db, lambda: deployment.of(db, TIER).node)


class TestDeployment:
    def test_an_installation_stays_the_same_however_often_it_is_asked(self, db):
        assert deployment.of(db, TIER) == deployment.of(db, TIER)

    def test_a_restore_begins_a_new_incarnation_and_says_so_in_the_audit(self, db):
        before = deployment.of(db, TIER)
        after = deployment.renew(db, TIER)
        assert deployment.of(db, TIER) == after
        assert after.incarnation != before.incarnation
        with db.reading() as conn:
            assert conn.execute(select(func.count()).where(audit.c.action == "deployment.renewed")).scalar_one() == 1

    def test_case_numbers_after_a_restore_never_repeat_those_before(self, db):
        day = date(2026, 11, 24)
        before = numbers(db).take(TIER, "X", day)
        deployment.renew(db, TIER)
        after = numbers(db).take(TIER, "X", day)
        assert parse_case_number(before).node == "A"
        assert parse_case_number(after).node == "B"
        assert parse_case_number(before).sequence == parse_case_number(after).sequence == 1
