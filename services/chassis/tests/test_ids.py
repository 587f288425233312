import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from services.chassis import clock, ids


def test_an_id_is_a_version_7_uuid_of_this_moment() -> None:
    before = int(clock.now().timestamp() * 1000)
    made = uuid.UUID(ids.uuid7())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert abs((made.int >> 80) - before) < 1000


def test_ids_made_in_one_process_sort_by_the_order_in_which_they_were_made() -> None:
    made = [ids.uuid7() for _ in range(5000)]
    assert made == sorted(set(made))


def test_a_clock_that_is_set_back_does_not_set_ids_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = ids.uuid7()
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) - timedelta(days=1))
    assert ids.uuid7() > first


def test_the_random_part_never_runs_over_into_the_version() -> None:
    sequence = ids._Sequence()
    sequence.next(1)
    sequence._bits = (1 << ids.RANDOM_BITS) - 1
    millisecond, bits = sequence.next(1)
    assert millisecond == 2
    assert bits < 1 << ids.RANDOM_BITS


def test_threads_never_get_the_same_id() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: ids.uuid7(), range(4000)))
    assert len(set(made)) == 4000


def test_a_forked_child_does_not_continue_its_parents_bits() -> None:
    before = ids._sequence
    ids._forget()
    assert ids._sequence is not before
    assert hasattr(os, "register_at_fork")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0190f3b2-7c1a-7def-8abc-0123456789ab", True),
        ("0190F3B2-7C1A-7DEF-8ABC-0123456789AB", False),
        ("0190f3b27c1a7def8abc0123456789ab", False),
        ("{0190f3b2-7c1a-7def-8abc-0123456789ab}", False),
        ("petition-1", False),
        ("", False),
    ],
)
def test_only_the_usual_form_counts_as_a_uuid(text: str, expected: bool) -> None:
    assert ids.is_uuid(text) is expected
