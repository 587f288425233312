"""The order of what happens to cases: nothing skipped, nothing twice, nothing that is not the reader's to see."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import select

from protos.petition.v1 import following_pb2 as pb
from services.chassis import clock, timeline
from services.chassis.refusal import Invalid, NotFound
from services.petition.adapters import progress
from services.petition.adapters.progress import read_cursor
from services.petition.adapters.progress_watch import Watch
from services.petition.tests.citizen import Door
from services.petition.tests.hall import COMMAND, LABOUR, an_officer


@pytest.fixture
def door(hall):
    """The hall and its streams."""
    opened = Door(hall)
    yield opened
    opened.watch.stop()


def board(door, after="", size=0):
    return door.clerk("ListBoardProgress", pb.ListBoardProgressRequest(page_token=after, page_size=size))


def of_case(door, petition_id, after="", size=0):
    return door.clerk("ListCaseProgress", pb.ListCaseProgressRequest(id=petition_id, page_token=after, page_size=size))


def wait(door, after="", seconds=5):
    return door.clerk("WaitProgress", pb.WaitProgressRequest(after=after, seconds=seconds))


def kinds(answer):
    return [row.kind for row in answer.rows]


class TestBoard:
    def test_without_a_cursor_it_begins_now(self, door):
        door.registered()
        first = board(door)
        assert not first.rows
        assert not first.reset
        petition, _ = door.registered()
        door.hall.accept(petition.id)
        after = board(door, first.next_page_token)
        assert kinds(after) == ["petition.registered", "petition.accepted"]
        assert {row.petition_id for row in after.rows} == {petition.id}
        assert not board(door, after.next_page_token).rows

    def test_each_row_is_a_place_to_go_on_from(self, door):
        start = board(door).next_page_token
        for _ in range(5):
            door.registered()
        everything = board(door, start).rows
        for place, row in enumerate(everything):
            assert list(board(door, row.cursor).rows) == list(everything[place + 1 :])
        paged, after = [], start
        while rows := (page := board(door, after, size=2)).rows:
            paged += rows
            after = page.next_page_token
        assert paged == list(everything)

    def test_a_reader_passes_what_is_not_theirs_and_goes_on_behind_it(self, door):
        start = board(door).next_page_token
        mine, _ = door.registered()
        other, _ = door.registered()
        door.hall.accept(other.id, LABOUR)
        with door.hall.as_(an_officer(LABOUR)):
            page = board(door, start, size=1)
            seen = list(page.rows)
            while page.next_page_token != (page := board(door, page.next_page_token, size=1)).next_page_token:
                seen += page.rows
        # What happened before the case came into their hands is their case's story too.
        assert {row.petition_id for row in seen} == {other.id}
        assert mine.id not in str(seen)

    def test_no_name_is_told_even_when_it_became_known_later(self, door):
        start = board(door).next_page_token
        petition, _ = door.registered()
        door.hall.accept(petition.id)
        door.hall.refer(petition.id)
        assert not [name for name in ("王小明", "李大河", "138") if name in str(board(door, start))]

    @pytest.mark.parametrize("cursor", ["x", "1.2", "a.b.c.d", "9" * 90, "00000000.0.0.0", "1.1.1.1"])
    def test_a_cursor_of_another_installation_or_none_at_all_starts_anew(self, door, cursor):
        answer = board(door, cursor)
        assert answer.reset
        assert not answer.rows
        assert not board(door, answer.next_page_token).reset

    def test_a_cursor_older_than_what_is_kept_starts_anew(self, door, monkeypatch):
        start = board(door).next_page_token
        door.registered()
        later = clock.now() + timedelta(days=6, hours=2)
        monkeypatch.setattr(clock, "now", lambda: later)
        assert board(door, start).reset

    def test_what_is_a_week_old_is_forgotten_and_numbers_go_on(self, door):
        door.registered()
        door.registered()
        before = board(door).next_page_token
        assert progress.prune(door.hall.db, clock.now() + timedelta(days=8)) == 1
        door.registered()
        assert kinds(board(door, before)) == ["petition.registered"]


class TestCase:
    def test_a_case_is_told_from_its_beginning_or_from_a_line_on(self, door):
        petition, _ = door.registered()
        door.hall.accept(petition.id)
        whole = of_case(door, petition.id)
        assert kinds(whole) == ["petition.registered", "petition.accepted"]
        assert [row.cursor for row in whole.rows] == ["1", "2"]
        assert kinds(of_case(door, petition.id, "1")) == ["petition.accepted"]
        assert of_case(door, petition.id, "2").next_page_token == "2"

    def test_who_may_not_see_the_case_hears_nothing(self, door):
        petition, _ = door.registered()
        with door.hall.as_(an_officer(COMMAND)), pytest.raises(NotFound):
            of_case(door, petition.id)
        with pytest.raises(Invalid):
            of_case(door, petition.id, "x")


class TestOrder:
    def test_a_transaction_that_commits_late_is_not_skipped(self, door, backend):
        """Two overlap: the first takes its number, the second takes one and commits, then the first commits."""
        if backend == "sqlite":
            pytest.skip("SQLite has one writer: transactions do not overlap")
        early, late = door.registered()[0], door.registered()[0]
        start = board(door).next_page_token
        told, wrote, go = [], threading.Event(), threading.Event()

        def slow():
            with door.hall.db.transaction(an_officer()) as tx:
                entry = timeline.add(tx, early.id, "petition.slow", "慢", "slow")
                progress.add(tx, early.id, entry)
                tx.flush()
                wrote.set()
                go.wait(10)

        thread = threading.Thread(target=slow)
        thread.start()
        assert wrote.wait(10)
        door.hall.accept(late.id)
        first = board(door, start)
        told += first.rows
        # The fast one is held back: nobody knows yet what stands before it.
        assert not told
        go.set()
        thread.join()
        told += board(door, first.next_page_token).rows
        assert [row.kind for row in told] == ["petition.slow", "petition.accepted"]

    def test_a_reader_beside_many_writers_misses_nothing_and_hears_nothing_twice(self, door):
        cases = [door.registered()[0].id for _ in range(6)]
        after, told, done = board(door).next_page_token, [], threading.Event()

        def write(petition_id):
            for number in range(15):
                with door.hall.db.transaction(an_officer()) as tx:
                    door.hall.office.work(tx).petitions.get(petition_id)
                    entry = timeline.add(tx, petition_id, f"petition.n{number}", "步", "step")
                    progress.add(tx, petition_id, entry)
                    tx.flush()
                    time.sleep(0.001 * (number % 4))

        threads = [threading.Thread(target=write, args=(petition_id,)) for petition_id in cases]
        for thread in threads:
            thread.start()
        while not done.is_set():
            if not any(thread.is_alive() for thread in threads):
                done.set()
            page = board(door, after, size=7)
            told += page.rows
            after = page.next_page_token
        while page := board(door, after).rows:
            told += page
            after = page[-1].cursor
        heard = [(row.petition_id, row.kind) for row in told]
        assert len(heard) == len(set(heard)) == 6 * 15
        for petition_id in cases:
            assert [row.seq for row in told if row.petition_id == petition_id] == list(range(2, 17))


class TestWait:
    def test_it_answers_at_once_when_something_is_there_and_names_the_cases(self, door):
        first = wait(door)
        assert first.cursor
        assert not first.petition_ids
        petition, _ = door.registered()
        answer = wait(door, first.cursor)
        assert list(answer.petition_ids) == [petition.id]
        assert not answer.everything

    def test_it_answers_when_something_comes(self, door):
        start = wait(door).cursor
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(door.rpc.WaitProgress(pb.WaitProgressRequest(after=start), None)))
        waiting.start()
        time.sleep(0.2)
        assert waiting.is_alive()
        petition, _ = door.registered()
        waiting.join(10)
        assert list(answers[0].petition_ids) == [petition.id]

    def test_it_answers_without_anything_when_the_time_is_over(self, door):
        start = wait(door).cursor
        answer = wait(door, start, seconds=1)
        assert not answer.petition_ids
        assert not answer.busy
        # The same place, so that nothing is skipped; the petition that comes later is told from there.
        door.registered()
        assert len(wait(door, answer.cursor).petition_ids) == 1

    def test_more_waiting_calls_than_there_are_places_are_sent_home_at_once(self, door):
        door.rpc.watch = Watch(door.hall.db, 0)
        start = wait(door).cursor
        assert wait(door, start, seconds=20).busy

    def test_the_end_of_the_service_ends_every_wait(self, door):
        start = wait(door).cursor
        waiting = threading.Thread(target=door.rpc.WaitProgress, args=(pb.WaitProgressRequest(after=start), None))
        waiting.start()
        time.sleep(0.2)
        door.watch.stop()
        waiting.join(5)
        assert not waiting.is_alive()

    def test_a_flood_is_told_as_everything(self, door, monkeypatch):
        monkeypatch.setattr("services.petition.adapters.progress_reads.MOST_CHANGED", 2)
        start = wait(door).cursor
        for _ in range(3):
            door.registered()
        answer = wait(door, start)
        assert answer.everything
        assert not wait(door, answer.cursor, seconds=1).everything

    def test_a_commit_of_another_process_wakes_it_too(self, door, backend, monkeypatch):
        """Another process rings no bell here: its NOTIFY does, and on SQLite the look of a quarter of a second."""
        monkeypatch.setattr("services.chassis.wake.Bell.ring", lambda _: None)
        monkeypatch.setattr("services.chassis.wake.Bell.heard", property(lambda _: False))
        if backend == "postgresql":
            monkeypatch.setattr("services.petition.adapters.progress_watch.LOOK_S", 60.0)
        start = wait(door).cursor
        answers = []
        request = pb.WaitProgressRequest(after=start)
        waiting = threading.Thread(target=lambda: answers.append(door.rpc.WaitProgress(request, None)))
        waiting.start()
        time.sleep(0.5)
        petition, _ = door.registered()
        waiting.join(30)
        assert list(answers[0].petition_ids) == [petition.id]


def test_a_cursor_is_read_as_it_was_written(door):
    cursor = board(door).next_page_token
    assert str(read_cursor(cursor)) == cursor
    with door.hall.db.reading() as conn:
        assert not conn.execute(select(progress.progress)).all()
