"""The store on both databases: pages that skip nothing, one rule of visibility, few statements, one winner."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from protos.petition.v1 import petition_pb2 as pb
from services.chassis import clock, identity
from services.chassis.deadline import Colour
from services.chassis.directory_store import seed
from services.chassis.identity import Identity
from services.chassis.refusal import IllegalMove
from services.chassis.sweeper import sweep_once
from services.petition.application.ports import Filters
from services.petition.domain.visibility import may_see
from services.petition.tests.hall import (
    COMMAND,
    HALL,
    JUSTICE,
    LABOUR,
    TIER,
    a_registration,
    an_officer,
    days_ago,
    refused,
)

UNITS = [HALL, JUSTICE, COMMAND, LABOUR]


class TestPages:
    def test_a_list_is_newest_first_and_its_pages_skip_and_repeat_nothing(self, hall):
        made = [hall.register().id for _ in range(7)]
        found, token = [], ""
        while True:
            page = hall.call("ListPetitions", pb.ListPetitionsRequest(page_size=3, page_token=token))
            found += [petition.id for petition in page.petitions]
            token = page.next_page_token
            if not token:
                break
        assert found == made[::-1]

    def test_a_petition_that_is_registered_meanwhile_moves_no_page(self, hall):
        made = [hall.register().id for _ in range(4)]
        first = hall.call("ListPetitions", pb.ListPetitionsRequest(page_size=2))
        hall.register()
        rest = hall.listed(page_size=2, page_token=first.next_page_token)
        assert [p.id for p in (*first.petitions, *rest)] == made[::-1]

    def test_a_last_page_that_is_exactly_full_has_no_next_one(self, hall):
        for _ in range(2):
            hall.register()
        assert hall.call("ListPetitions", pb.ListPetitionsRequest(page_size=2)).next_page_token == ""

    @pytest.mark.parametrize("token", ["x", "e30", "!!"])
    def test_a_damaged_token_is_refused(self, hall, token):
        with refused("FIELD_INVALID"):
            hall.listed(page_token=token)

    def test_a_token_of_other_filters_is_refused(self, hall):
        for _ in range(2):
            hall.register()
        token = hall.call("ListPetitions", pb.ListPetitionsRequest(page_size=1)).next_page_token
        with refused("FIELD_INVALID"):
            hall.listed(page_token=token, text="界址")


class TestFilters:
    def test_each_filter_narrows_the_list(self, hall):
        letter = hall.register(
            channel=pb.CHANNEL_LETTER, division_code="341702001000", received_on=days_ago(11), subject="要求发放工资",
            content="拖欠农民工工资",
        )  # fmt: skip
        visit = hall.accept(hall.register().id)
        for filters, wanted in (
            ({}, [visit, letter]),
            ({"states": [pb.PETITION_STATE_ACCEPTED]}, [visit]),
            ({"states": [pb.PETITION_STATE_ACCEPTED, pb.PETITION_STATE_REGISTERED]}, [visit, letter]),
            ({"channels": [pb.CHANNEL_LETTER]}, [letter]),
            ({"division_prefix": "341702001"}, [letter]),
            ({"received_from": days_ago(1)}, [visit]),
            ({"received_to": days_ago(1)}, [letter]),
            ({"text": "工资"}, [letter]),
            ({"text": "没有的词"}, []),
            ({"colour": pb.COLOUR_AMBER}, [letter]),
            ({"colour": pb.COLOUR_GREEN}, [visit]),
            ({"colour": pb.COLOUR_RED}, []),
            ({"case_number": letter.case_number.lower()}, [letter]),
        ):
            assert [p.id for p in hall.listed(**filters)] == [p.id for p in wanted], filters

    @pytest.mark.parametrize("content", ["越界砌墙", "越界砌墙,请王小明回电13800001234"])
    def test_names_and_phones_are_not_searched_even_where_the_text_holds_them(self, hall, content):
        hall.register(subject="界址", content=content)
        assert hall.listed(text="王小明") == []
        assert hall.listed(text="13800001234") == []

    @pytest.mark.parametrize(
        "filters", [{"colour": pb.COLOUR_MET}, {"case_number": "1"}, {"received_to": "2026-13-01"}]
    )
    def test_a_filter_that_makes_no_sense_is_refused(self, hall, filters):
        with refused("FIELD_INVALID"):
            hall.listed(**filters)


class TestVisibility:
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        units=st.frozensets(st.sampled_from(UNITS), max_size=2),
        scope=st.sampled_from(["", "34", "341702", "341702102", "341702001"]),
        all_of_them=st.booleans(),
    )
    def test_lists_and_single_looks_follow_one_rule(self, hall, units, scope, all_of_them):
        if not hall.listed():
            self.register_some(hall)
        permissions = frozenset({"petition.read_all"} if all_of_them else ())
        caller = Identity("x", TIER, scope, units, permissions=permissions)
        with hall.db.reading() as conn:
            reads = hall.office.reads(conn)
            everything = reads.page(an_officer(more="read_all"), Filters(), None, 100, clock.now())
            seen = reads.page(caller, Filters(), None, 100, clock.now())
        assert {c.petition.id for c in seen} == {c.petition.id for c in everything if may_see(caller, c.petition)}

    def register_some(self, hall):
        hall.register()
        hall.accept(hall.register().id, LABOUR)
        hall.register(division_code="341702001000")
        for accused in (JUSTICE, LABOUR):
            hall.register(petition_class=pb.PETITION_CLASS_ACCUSATION, accused_unit=accused)


class TestStatements:
    def test_a_page_costs_the_same_number_of_queries_however_long_it_is(self, hall):
        hall.refer(hall.accept(hall.register().id).id)
        with counted(hall.db) as short:
            hall.listed()
        for _ in range(5):
            hall.refer(hall.accept(hall.register().id).id)
        with counted(hall.db) as long:
            assert len(hall.listed()) == 6
        assert len(long) == len(short) == 4

    def test_a_registration_writes_seven_tables_in_at_most_seven_statements_and_reads_none(self, hall):
        hall.register()
        with counted(hall.db) as statements:
            hall.register()
        written = re.findall(r"INSERT INTO (\w+)", " ".join(statements))
        assert sorted(written) == [
            "audit", "deadlines", "petition_persons", "petitions", "requests", "search_texts", "timeline",
        ]  # fmt: skip
        assert len(statements) <= 7


class TestSeed:
    def test_loading_the_directory_again_changes_nothing(self, hall):
        assert seed(hall.db) == 0

    def test_what_an_office_changed_is_left_alone(self, hall):
        rename = "UPDATE directory_entries SET name = '涓桥新镇' WHERE code = '341702102000'"
        with hall.db.transaction() as tx:
            tx.conn.exec_driver_sql(rename)
        assert seed(hall.db) == 0
        assert hall.register().division_name == "涓桥新镇"


class TestTogether:
    def test_of_six_officers_who_accept_at_once_one_succeeds(self, hall):
        petition = hall.register()

        def accept(_):
            identity.set_current(an_officer())
            try:
                return bool(hall.accept(petition.id))
            except IllegalMove:
                return False

        with ThreadPoolExecutor(6) as pool:
            assert sorted(pool.map(accept, range(6))) == [False] * 5 + [True]
        assert hall.kinds(petition.id) == ["petition.registered", "petition.accepted"]

    def test_the_same_request_at_once_registers_one_petition(self, hall):
        request = a_registration()

        def register(_):
            identity.set_current(an_officer())
            return hall.call("RegisterPetition", request).public_code

        with ThreadPoolExecutor(6) as pool:
            assert len(set(pool.map(register, range(6)))) == 1
        assert len(hall.listed()) == 1

    def test_a_crossing_never_costs_an_officer_the_work_on_the_case_and_is_told_at_most_once(self, hall):
        made = [hall.register(received_on=days_ago(20)).id for _ in range(4)]

        def accept(petition_id):
            identity.set_current(an_officer())
            return hall.accept(petition_id).state

        with ThreadPoolExecutor(5) as pool:
            swept = pool.submit(sweep_once, hall.service, clock.now())
            assert set(pool.map(accept, made)) == {pb.PETITION_STATE_ACCEPTED}
            swept.result()
        sweep_once(hall.service, clock.now())
        for petition_id in made:
            assert hall.kinds(petition_id).count("clock.red") <= 1

    def test_the_sweeper_tells_a_late_registration_red(self, hall):
        petition = hall.register(received_on=days_ago(20))
        assert sweep_once(hall.service, clock.now()) == 1
        assert sweep_once(hall.service, clock.now()) == 0
        assert hall.kinds(petition.id)[-1] == f"clock.{Colour.RED}"


@contextmanager
def counted(db) -> Iterator[list[str]]:
    """The statements that are sent meanwhile, without those that begin and end a transaction."""
    statements: list[str] = []

    def note(_conn, _cursor, statement, *_):
        if not statement.startswith(("BEGIN", "PRAGMA")):
            statements.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    yield statements
    event.remove(db.engine, "before_cursor_execute", note)
