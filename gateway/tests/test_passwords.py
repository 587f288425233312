"""Which passwords are taken: long, mixed, not the account's name, not a common one, not used before."""

from __future__ import annotations

import pytest

from gateway.accounts import deeds, passwords, store
from gateway.tests.office import GOOD, TIER, Office, refused
from services.chassis.identity import Identity


@pytest.mark.parametrize(
    "weak",
    ["short-1", "sunny-clerk-2027x", "123456789012", "aaaaaaaaaaaa1", "password12345!", "abcabcabcabc1",
     "Qwertyuiop123!", "onlylettersinhere", "!!admin!!12345", "x" * 201],
)  # fmt: skip
def test_a_weak_password_is_refused_with_what_to_do(weak: str) -> None:
    with refused("PASSWORD_WEAK") as info:
        passwords.check(weak, "clerk")
    assert info.value.violations[0].field == "new_password"
    assert weak not in str(info.value)


@pytest.mark.parametrize("good", [GOOD, "杏花村的下午很安静呀2027", "correct horse battery 9", "Zhou-en-lai-1898"])
def test_a_good_password_is_taken(good: str) -> None:
    passwords.check(good, "clerk")


def test_the_present_and_the_last_five_passwords_are_not_taken_again(office: Office) -> None:
    office.officer("clerk")
    used = [GOOD]
    for n in range(5):
        _change(office, f"{GOOD}-{n}")
        used.append(f"{GOOD}-{n}")
    with office.db.reading() as conn:
        former = store.former(conn, store.read(conn, "clerk"))
    for one in used:
        with refused("PASSWORD_REUSED"):
            passwords.check(one, "clerk", former)
    _change(office, f"{GOOD}-5")
    with office.db.reading() as conn:
        former = store.former(conn, store.read(conn, "clerk"))
    passwords.check(GOOD, "clerk", former)


def _change(office: Office, password: str) -> None:
    with office.db.transaction(Identity("clerk", TIER)) as tx:
        deeds.change_password(tx, "clerk", passwords.hashed(password), "")


def test_a_one_time_password_is_strong_and_never_the_same() -> None:
    made = {passwords.one_time() for _ in range(50)}
    assert len(made) == 50
    assert all(len(one) == 19 and not set(one) & set("0O1lI") for one in made)


def test_kept_forms_are_argon2id() -> None:
    kept = passwords.hashed(GOOD)
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.matches(kept, GOOD)
    assert not passwords.matches(kept, GOOD.lower())
    assert not passwords.matches("not a hash", GOOD)
