"""What the store keeps, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import event as sql_event
from sqlalchemy import inspect

from protos.mediation.v1 import mediation_pb2 as pb
from services.chassis import clock, identity
from services.chassis.refusal import IllegalMove, NotFound
from services.mediation.adapters import messages
from services.mediation.adapters.tables import mediations
from services.mediation.domain.mediation import Consent, Form, Mediation, State
from services.mediation.tests.centre import JUSTICE, TIER, TOWN, Centre, a_mediator, a_request


def a_mediation(**over: Any) -> Mediation:
    found = messages.mediation_of(a_request(**over), unit=JUSTICE, from_tier=TOWN, to_tier=TIER, now=clock.now())
    found.round = 1
    return found


def kept(centre: Centre, mediation: Mediation) -> Mediation:
    with centre.store.transaction() as tx:
        tx.mediations.add(mediation)
    return mediation


class TestTheStore:
    def test_what_was_added_comes_back_equal(self, centre: Centre):
        mediation = kept(centre, a_mediation())
        with centre.store.transaction() as tx:
            assert tx.mediations.get(mediation.id) == mediation
            assert tx.mediations.by_referral(mediation.referral_id) == mediation
            assert tx.mediations.of_petition(mediation.petition_id) == [mediation]
            assert tx.mediations.at_any_unit(mediation.id) == mediation

    def test_one_without_parties_or_last_day_comes_back_too(self, centre: Centre):
        mediation = kept(centre, a_mediation(parties=[], due_on=""))
        with centre.store.transaction() as tx:
            assert tx.mediations.get(mediation.id) == mediation

    def test_every_field_that_a_move_changes_is_kept(self, centre: Centre):
        mediation = kept(centre, a_mediation())
        now = clock.now()
        mediation.petition_clock("red", date(2026, 12, 30))
        for party in mediation.parties:
            mediation.consent(party.id, True, "", now)
        mediation.withdraw("另有安排", now + timedelta(seconds=1))
        mediation.settle(Form.ORAL, "拆墙", date(2099, 1, 1), "mediator", clock.legal_date(now), now)
        mediation.reason = "各方自愿"
        mediation.facts.clear()
        unlike = {f for f, value in vars(a_mediation()).items() if getattr(mediation, f) != value}
        assert unlike >= {"state", "withdrawal_asked_at", "closed_at", "form", "terms", "perform_by", "agreement_no"}
        with centre.store.transaction() as tx:
            tx.mediations.save(mediation)
        with centre.store.transaction() as tx:
            assert tx.mediations.get(mediation.id) == mediation

    def test_parties_keep_their_order(self, centre: Centre):
        mediation = a_mediation()
        mediation.parties = [*mediation.parties, *(deepcopy(mediation.parties[0]) for _ in range(3))]
        for n, party in enumerate(mediation.parties):
            party.id = f"party-{9 - n}"
        kept(centre, mediation)
        with centre.store.transaction() as tx:
            assert [p.id for p in tx.mediations.get(mediation.id).parties] == [f"party-{9 - n}" for n in range(5)]

    def test_rounds_come_oldest_first(self, centre: Centre):
        second, first = a_mediation(), a_mediation()
        second.petition_id, second.round = first.petition_id, 2
        kept(centre, second)
        kept(centre, first)
        with centre.store.transaction() as tx:
            assert [m.round for m in tx.mediations.of_petition(first.petition_id)] == [1, 2]

    def test_only_answers_that_are_new_are_written(self, centre: Centre):
        mediation = kept(centre, a_mediation())
        written: list[str] = []

        def note(conn: Any, cursor: Any, statement: str, *_: Any) -> None:
            # On PostgreSQL writes of one transaction travel together.
            if "UPDATE parties" in statement:
                written.append(statement)

        sql_event.listen(centre.db.engine, "before_cursor_execute", note)
        with centre.store.transaction() as tx:
            loaded = tx.mediations.get(mediation.id)
            loaded.parties[1].consent = Consent.GIVEN
            tx.mediations.save(loaded)
            tx.mediations.save(loaded)
        assert len(written) == 1
        with centre.store.transaction() as tx:
            answers = [p.consent for p in tx.mediations.get(mediation.id).parties]
        assert answers == [Consent.ASKED, Consent.GIVEN]

    @pytest.mark.parametrize("key", ["", "no-such", "x" * 64])
    def test_none_is_not_found(self, centre: Centre, key: str):
        with centre.store.transaction() as tx:
            assert tx.mediations.by_referral(key) is None
            assert tx.mediations.of_petition(key) == []
            with pytest.raises(NotFound):
                tx.mediations.get(key)
            with pytest.raises(NotFound):
                tx.mediations.at_any_unit(key)

    def test_a_transaction_that_fails_leaves_nothing(self, centre: Centre):
        opened = centre.open()

        def fails_at_the_end() -> None:
            with centre.store.transaction() as tx:
                loaded = tx.mediations.get(opened.id)
                loaded.consent(loaded.parties[0].id, False, "已起诉", tx.now)
                tx.mediations.save(loaded)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fails_at_the_end()
        assert (centre.get(opened.id), centre.told()) == (opened, [])

    def test_of_several_deciding_at_once_one_succeeds(self, centre: Centre):
        accepted = centre.accept(centre.open())
        ready = threading.Barrier(4)

        def decide(n: int) -> str:
            identity.set_current(a_mediator(account=f"mediator-{n}"))
            ready.wait()
            try:
                (centre.settle if n % 2 else centre.fail)(accepted.id)
            except IllegalMove:
                return "refused"
            return "done"

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(decide, range(4))) == ["done", "refused", "refused", "refused"]
        assert len(centre.told()) == 2

    def test_every_column_has_its_place_in_the_aggregate(self, centre: Centre):
        names = {column["name"] for column in inspect(centre.db.engine).get_columns(mediations.name)}
        assert names == set(vars(a_mediation())) - {"parties", "facts"}

    def test_times_and_states_come_back_as_they_are_meant(self, centre: Centre):
        found = kept(centre, a_mediation())
        with centre.store.transaction() as tx:
            loaded = tx.mediations.get(found.id)
        assert isinstance(loaded.state, State)
        assert loaded.applied_at.tzinfo is not None
        assert centre.get(found.id).state == pb.MEDIATION_STATE_APPLIED
