"""Case numbers: taken in blocks, so that a registration does not wait for the one before it. Gaps are allowed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import date
from functools import cached_property

from sqlalchemy import bindparam
from sqlalchemy.dialects import postgresql, sqlite

from services.chassis.codes import LONGEST_NUMBER_OF_DAY, case_number
from services.chassis.database import Database, forbid_inside_transaction
from services.chassis.refusal import Exhausted
from services.chassis.tables import number_blocks

_KEY = ("division_code", "letter", "day", "node")
_ADVANCE = {
    "next": number_blocks.c.next + bindparam("block", type_=number_blocks.c.next.type),
}
_TAKE = {
    dialect: make(number_blocks)
    .values({name: bindparam(name) for name in (*_KEY, "next")})
    .on_conflict_do_update(index_elements=_KEY, set_=_ADVANCE)
    .returning(number_blocks.c.next)
    for dialect, make in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
# Blocks of days gone by are forgotten when so many have gathered.
MOST_BLOCKS = 200
# Division, letter, day.
_Key = tuple[str, str, date]


class Numbers:
    """Hands out the case numbers of one service at one node. May be shared by all threads."""

    def __init__(self, db: Database, node: Callable[[], str] = lambda: "A", block: int = 20) -> None:
        self.db = db
        # Asked when the first number is taken: the database may not answer yet when a service is put together.
        self._ask_node = node
        self.block = block
        self._lock = threading.Lock()
        self._left: dict[_Key, deque[int]] = {}
        self._fetching: dict[_Key, threading.Lock] = {}

    @cached_property
    def node(self) -> str:
        """The node character of this installation, the same while the process runs."""
        return self._ask_node()

    def take(self, division_code: str, letter: str, on: date) -> str:
        """The next case number of a division and day, taken outside of any transaction. Exhausted after 9999 a day."""
        forbid_inside_transaction("taking a case number")
        key = (division_code, letter, on)
        while (sequence := self._pop(key)) is None:
            # Who registers in another division does not wait while the database is asked for this one.
            with self._fetching_of(key):
                if not self._left.get(key):
                    self._keep(key, self._next_block(key))
        return case_number(division_code, letter, on, self.node, sequence)

    def take_many(self, letter: str, wanted: Mapping[tuple[str, date], int]) -> dict[tuple[str, date], list[str]]:
        """Numbers for many cases at once, in one transaction. Of a day that is used up as many as are left."""
        forbid_inside_transaction("taking case numbers")
        node, taken = self.node, dict[tuple[str, date], list[str]]()
        with self.db.transaction() as tx:
            # In one order, so that two who take many never wait for each other.
            for (division, on), count in sorted(wanted.items()):
                values = dict(zip(_KEY, (division, letter, on, node), strict=True))
                parameters = {**values, "next": 1 + count, "block": count}
                after = int(tx.conn.execute(_TAKE[tx.conn.dialect.name], parameters).scalar_one())
                block = range(after - count, min(after, LONGEST_NUMBER_OF_DAY + 1))
                taken[division, on] = [case_number(division, letter, on, node, sequence) for sequence in block]
        return taken

    def _pop(self, key: _Key) -> int | None:
        with self._lock:
            left = self._left.get(key)
            return left.popleft() if left else None

    def _fetching_of(self, key: _Key) -> threading.Lock:
        with self._lock:
            return self._fetching.setdefault(key, threading.Lock())

    def _keep(self, key: _Key, block: range) -> None:
        with self._lock:
            self._left.setdefault(key, deque()).extend(block)
            self._forget_old()

    def _next_block(self, key: _Key) -> range:
        values = dict(zip(_KEY, (*key, self.node), strict=True))
        # Checked before anything is written: a wrong part must not leave a row.
        case_number(key[0], key[1], key[2], self.node, 1)
        with self.db.transaction() as tx:
            parameters = {**values, "next": 1 + self.block, "block": self.block}
            after = int(tx.conn.execute(_TAKE[tx.conn.dialect.name], parameters).scalar_one())
            if after - self.block > LONGEST_NUMBER_OF_DAY:
                raise _exhausted(key)
        return range(after - self.block, min(after, LONGEST_NUMBER_OF_DAY + 1))

    def _forget_old(self) -> None:
        if len(self._left) > MOST_BLOCKS:
            newest = max(day for _, _, day in self._left)
            self._left = {key: left for key, left in self._left.items() if key[2] == newest}
            self._fetching = {key: lock for key, lock in self._fetching.items() if key[2] == newest}


def _exhausted(key: _Key) -> Exhausted:
    return Exhausted(
        "NUMBERS_EXHAUSTED",
        f"{key[2]} 的案件编号已用完(每日 {LONGEST_NUMBER_OF_DAY} 个),请次日再登记。",
        f"The case numbers of {key[2]} are used up ({LONGEST_NUMBER_OF_DAY} a day); register on the next day.",
        division_code=key[0],
    )
