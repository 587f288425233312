"""Ten failures lock an account, a hundred a source, at every gateway process; unknown names are treated alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from argon2.exceptions import VerificationError
from sqlalchemy import select

from gateway import lockout
from gateway.accounts import passwords
from gateway.accounts.signing_in import Door
from gateway.accounts.tables import login_attempts
from gateway.tests.office import GOOD, TIER, Office, refused
from services.chassis import clock, datakey
from services.chassis.database import Database
from services.chassis.refusal import Exhausted, Refusal, Unauthenticated


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes for these tests cost nothing."""
    monkeypatch.setattr(passwords, "matches", lambda kept, password: kept == f"#{password}")
    monkeypatch.setattr(passwords, "hashed", lambda password: f"#{password}")


@pytest.fixture
def clerk(office: Office) -> Office:
    office.officer("clerk")
    return office


def fail(office: Office, times: int, name: str = "clerk", source: str = "10.0.0.1") -> None:
    for _ in range(times):
        with refused("LOGIN_FAILED"):
            office.prove(name, "wrong", source)


def later(monkeypatch: pytest.MonkeyPatch, minutes: float) -> None:
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + timedelta(minutes=minutes))


def outcomes(office: Office) -> list[tuple[str, str]]:
    table = login_attempts.c
    with office.db.reading() as conn:
        return [(row.account, row.outcome) for row in conn.execute(select(login_attempts).order_by(table.id))]


def test_ten_failures_lock_the_account_wherever_it_signs_in_from(clerk: Office) -> None:
    fail(clerk, 10)
    with refused("LOGIN_LOCKED") as locked:
        clerk.prove("clerk", GOOD, "10.9.9.9")
    assert 0 < int(locked.value.details["retry_after_s"]) <= 15 * 60 + 1
    assert len(clerk.audited("account.locked")) == 1
    assert outcomes(clerk) == [("clerk", "failed")] * 10 + [("clerk", "locked")]


def test_an_account_that_does_not_exist_is_locked_in_the_same_way_and_its_name_is_not_kept(office: Office) -> None:
    fail(office, 10, "maybe-a-password")
    with refused("LOGIN_LOCKED"):
        office.prove("maybe-a-password")
    assert outcomes(office) == [("", "failed")] * 10 + [("", "locked")]
    assert not office.audited("account.locked")[0].subject_id


def test_a_lock_ends_after_fifteen_minutes(clerk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(clerk, 10)
    later(monkeypatch, 14.9)
    with refused("LOGIN_LOCKED"):
        clerk.prove("clerk")
    later(monkeypatch, 0.2)
    assert clerk.prove("clerk").name == "clerk"


def test_nine_failures_and_a_success_are_forgiven(clerk: Office) -> None:
    for _ in range(2):
        fail(clerk, 9)
        clerk.prove("clerk")
    fail(clerk, 9)
    assert clerk.prove("clerk").name == "clerk"


def test_failures_are_counted_over_any_fifteen_minutes(clerk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(clerk, 5)
    later(monkeypatch, 10)
    fail(clerk, 4)
    later(monkeypatch, 10)
    fail(clerk, 5)
    assert clerk.prove("clerk").name == "clerk"


def test_one_source_cannot_try_many_accounts(clerk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockout, "PER_SOURCE", 12)
    for i in range(12):
        fail(clerk, 1, f"account-{i}", "10.0.0.7")
    with refused("LOGIN_LOCKED"):
        clerk.prove("clerk", source="10.0.0.7")
    assert clerk.prove("clerk", source="10.0.0.8").name == "clerk"


def test_another_gateway_process_counts_along(clerk: Office) -> None:
    other = Database(clerk.db.url.render_as_string(hide_password=False))
    second = Door(other, TIER, datakey.load(clerk.settings.data_key_file).hash_key)
    for n in range(10):
        with refused("LOGIN_FAILED"):
            (clerk.door if n % 2 else second).prove("clerk", "wrong", "10.0.0.1")
    for door in (clerk.door, second):
        with refused("LOGIN_LOCKED"):
            door.prove("clerk", GOOD, "10.0.0.1")
    other.close()


def test_guesses_at_once_are_counted_like_guesses_in_turn(clerk: Office) -> None:
    def guess(_: int) -> str:
        with pytest.raises(Refusal) as info:
            clerk.prove("clerk", "wrong")
        return type(info.value).__name__

    with ThreadPoolExecutor(8) as pool:
        heard = list(pool.map(guess, range(24)))
    assert heard.count(Unauthenticated.__name__) == 10
    assert heard.count(Exhausted.__name__) == 14


def test_an_administrator_ends_a_lock_and_it_is_audited(clerk: Office) -> None:
    fail(clerk, 10)
    assert clerk.call("GetAccount", account="clerk").HasField("locked_until")
    shown = clerk.call("UnlockAccount", account="clerk")
    assert not shown.HasField("locked_until")
    assert clerk.prove("clerk").name == "clerk"
    assert '"was_locked":true' in clerk.audited("account.unlocked")[0].details


def test_programs_are_locked_out_too_and_apart_from_people(clerk: Office) -> None:
    for _ in range(10):
        with refused("CLIENT_FAILED"):
            clerk.door.prove_program("clerk", "wrong", "10.0.0.1")
    with refused("LOGIN_LOCKED"):
        clerk.door.prove_program("clerk", "wrong", "10.0.0.1")
    assert clerk.prove("clerk").name == "clerk"


def test_a_wrong_password_costs_as_many_hashes_as_an_account_that_does_not_exist(
    clerk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    clerk.officer("closed-one")
    clerk.call("CloseAccount", account="closed-one", reason="离职")
    counted: list[str] = []

    def never(kept: str, _: str) -> bool:
        counted.append(kept)
        return False

    monkeypatch.setattr(passwords, "matches", never)
    spent = {}
    for name in ("clerk", "nobody-here", "closed-one"):
        counted.clear()
        fail(clerk, 1, name)
        spent[name] = len(counted)
    assert set(spent.values()) == {1}


def test_a_kept_form_that_opens_to_nothing_is_checked_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    seen: list[str] = []

    class Counting:
        def verify(self, kept: str, _: str) -> bool:
            seen.append(kept)
            raise VerificationError

    decoy = passwords.decoy()
    monkeypatch.setattr(passwords, "_hasher", Counting())
    assert not passwords.matches(passwords.NOBODYS, "x")
    assert seen == [decoy]
