"""A repeated request gets the first answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message
from sqlalchemy import func, insert, select

from services.chassis import clock, identity, ids, sealing
from services.chassis.database import Database, Tx
from services.chassis.identity import Identity
from services.chassis.refusal import AlreadyExists, IllegalMove
from services.chassis.requests import Once, prune
from services.chassis.tables import outbox_seq, requests
from services.chassis.tests.concurrency import in_threads

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
ID = "01a20b89-d8c7-747a-86bd-22d65e2d5806"


def _messages() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="once_test.proto", package="once_test", syntax="proto3")
    for name, fields in {"Register": ("request_id", "subject"), "Close": ("request_id",), "Case": ("code",)}.items():
        message = file.message_type.add(name=name)
        for number, field in enumerate(fields, start=1):
            message.field.add(name=field, number=number, type=9, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"once_test.{name}"))
            for name in ("Register", "Close", "Case")}  # fmt: skip


TYPES = _messages()
Register, Close, Case = TYPES["Register"], TYPES["Close"], TYPES["Case"]


@pytest.fixture
def once(db: Database) -> Once:
    return Once(db, KEY)


@pytest.fixture(autouse=True)
def _the_caller() -> Any:
    identity.set_current(Identity("clerk", "341702000000"))
    yield
    identity.set_current(identity.NOBODY)


def register(tx: Tx) -> Message:
    """Every call leaves a row of its own and gives another code."""
    code = ids.uuid7()
    tx.conn.execute(insert(outbox_seq).values(to_tier="t", to_service="s", aggregate_id=code, last_seq=1))
    answer: Message = Case(code=code)
    return answer


def effects(db: Database) -> int:
    with db.reading() as conn:
        return int(conn.scalar(select(func.count()).select_from(outbox_seq)) or 0)


class TestOnce:
    def test_a_repeat_gets_the_first_answer_and_changes_nothing(self, once: Once, db: Database) -> None:
        request = Register(request_id=ID, subject="水井")
        first = once.run(request, Case, register)
        assert once.run(request, Case, register) == first
        assert effects(db) == 1

    def test_the_same_id_in_capitals_is_the_same_id(self, once: Once, db: Database) -> None:
        first = once.run(Register(request_id=ID, subject="水井"), Case, register)
        assert once.run(Register(request_id=ID.upper(), subject="水井"), Case, register) == first
        assert effects(db) == 1

    def test_the_same_id_with_another_body_is_refused(self, once: Once, db: Database) -> None:
        once.run(Register(request_id=ID, subject="水井"), Case, register)
        with pytest.raises(AlreadyExists) as refused:
            once.run(Register(request_id=ID, subject="道路"), Case, register)
        assert refused.value.reason == "REQUEST_ID_REUSED"
        assert effects(db) == 1

    def test_another_method_or_another_caller_may_use_the_same_id(self, once: Once, db: Database) -> None:
        answers = [once.run(Register(request_id=ID), Case, register), once.run(Close(request_id=ID), Case, register)]
        identity.set_current(Identity("other", "341702000000"))
        answers.append(once.run(Register(request_id=ID), Case, register))
        assert len({answer.code for answer in answers}) == effects(db) == 3

    def test_without_an_id_every_request_is_a_new_one(self, once: Once, db: Database) -> None:
        assert once.run(Register(), Case, register) != once.run(Register(), Case, register)
        assert effects(db) == 2

    def test_a_refused_request_may_be_tried_again_with_the_same_id(self, once: Once, db: Database) -> None:
        def refuse(tx: Tx) -> Message:
            register(tx)
            raise IllegalMove("STATE", "不行", "no")

        with pytest.raises(IllegalMove):
            once.run(Register(request_id=ID), Case, refuse)
        assert effects(db) == 0
        once.run(Register(request_id=ID), Case, register)
        assert effects(db) == 1

    def test_a_repeat_whose_deed_is_no_longer_possible_gets_the_first_answer(self, once: Once, db: Database) -> None:
        def close(tx: Tx) -> Message:
            if tx.conn.scalar(select(func.count()).select_from(outbox_seq)):
                raise IllegalMove("STATE", "已办结", "closed")
            return register(tx)

        first = once.run(Close(request_id=ID), Case, close)
        assert once.run(Close(request_id=ID), Case, close) == first
        with pytest.raises(IllegalMove):
            once.run(Close(request_id=ids.uuid7()), Case, close)

    def test_eight_at_once_have_one_effect_and_get_one_answer(self, once: Once, db: Database) -> None:
        answers: list[str] = []
        failures: list[BaseException] = []
        request = Register(request_id=ID, subject="水井")

        def ask() -> None:
            identity.set_current(Identity("clerk", "341702000000"))
            try:
                answers.append(once.run(request, Case, register).code)
            except BaseException as error:
                failures.append(error)

        in_threads([ask] * 8)
        assert failures == []
        assert len(answers) == 8
        assert len(set(answers)) == effects(db) == 1

    def test_the_kept_answer_cannot_be_read_without_the_key_nor_elsewhere(self, once: Once, db: Database) -> None:
        answer = once.run(Register(request_id=ID), Case, register)
        with db.reading() as conn:
            row = conn.execute(select(requests)).one()
        assert answer.code.encode() not in row.answer
        with pytest.raises(ValueError, match="另一把密钥"):
            sealing.unseal(OTHER_KEY, row.answer, b"")
        with db.transaction() as tx:
            tx.conn.execute(requests.update().values(account="other"))
        identity.set_current(Identity("other", "341702000000"))
        with pytest.raises(ValueError, match="改动"):
            once.run(Register(request_id=ID), Case, register)

    def test_old_answers_are_forgotten(self, once: Once, db: Database) -> None:
        once.run(Register(request_id=ID), Case, register)
        assert prune(db, clock.now() - timedelta(days=1)) == 0
        assert prune(db, clock.now() + timedelta(seconds=1)) == 1
        once.run(Register(request_id=ID), Case, register)
        assert effects(db) == 2
