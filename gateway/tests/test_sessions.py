"""Sessions: refreshed by tokens that are used once, ended at every gateway process, acting in one post at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gateway import sessions as module
from gateway.accounts import deeds, passwords
from gateway.sessions import Sessions, Signer
from gateway.tests.office import GOOD, HALL, JUSTICE, TIER, Office, refused
from protos.accounts.v1 import accounts_pb2 as pb
from services.chassis import clock, datakey, ids, token_keys, tokens
from services.chassis.database import Database
from services.chassis.identity import Identity
from services.chassis.token_keys import KeyFiles


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes for these tests cost nothing."""
    monkeypatch.setattr(passwords, "matches", lambda kept, password: kept == f"#{password}")
    monkeypatch.setattr(passwords, "hashed", lambda password: f"#{password}")


@pytest.fixture
def clerk(office: Office) -> Office:
    office.officer("clerk", "hall")
    return office


def two_posts(office: Office) -> None:
    posts = [
        pb.Appointment(post="window", roles=["hall"], units=[HALL]),
        pb.Appointment(post="centre", roles=["mediator"], units=[JUSTICE], scope="341702102"),
    ]
    office.call("SetAppointments", account="clerk", appointments=posts)


def later(monkeypatch: pytest.MonkeyPatch, **passed: float) -> None:
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + timedelta(**passed))


def another_process(office: Office) -> tuple[Sessions, Database]:
    """A second gateway on the same database."""
    db = Database(office.db.url.render_as_string(hide_password=False))
    key = datakey.load(office.settings.data_key_file).hash_key
    signer = Signer(office.settings.token_private_key_file)
    return Sessions(signer, office.verifier, office.settings, db, key), db


def bearer(opened: Any, method: str = "GET") -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": f"Bearer {opened.access_token}", "REQUEST_METHOD": method}


def test_whoever_signs_in_is_known_by_the_posts_roles_units_and_scope(clerk: Office) -> None:
    opened = clerk.sign_in("clerk")
    found = clerk.who(opened)
    assert (found.account, found.unit, found.scope, found.roles) == ("clerk", HALL, "341702", frozenset({"hall"}))
    assert found.may("petition.register")
    (written,) = clerk.audited("session.opened")
    assert (written.actor, '"source":"10.0.0.1"' in written.details) == ("clerk", True)
    assert opened.access_token not in written.details


def test_the_token_itself_carries_no_rights(clerk: Office) -> None:
    token = clerk.sign_in("clerk").access_token
    claims = clerk.verifier.verify(token, "gateway")
    assert (claims.roles, claims.units, claims.permissions) == (frozenset(), frozenset(), frozenset())


def test_a_session_acts_in_one_post_and_rights_of_two_never_mix(clerk: Office) -> None:
    two_posts(clerk)
    first = clerk.sign_in("clerk")
    chosen = clerk.sign_in("clerk", post="centre")
    assert (clerk.who(first).units, clerk.who(first).may("mediation.handle")) == (frozenset({HALL}), False)
    found = clerk.who(chosen)
    assert (found.units, found.scope, found.may("petition.register")) == (frozenset({JUSTICE}), "341702102", False)
    with refused("NOT_FOUND"):
        clerk.sign_in("clerk", post="mayor")


def test_a_post_is_switched_within_the_session(clerk: Office) -> None:
    two_posts(clerk)
    opened = clerk.sign_in("clerk")
    clerk.sessions.switch_post(clerk.sessions.standing(bearer(opened)), "centre")
    assert clerk.who(opened).units == {JUSTICE}
    with refused("NOT_FOUND"):
        clerk.sessions.switch_post(clerk.sessions.standing(bearer(opened)), "mayor")


def test_until_a_one_time_password_is_changed_nothing_else_can_be_done(office: Office) -> None:
    password = office.create("clerk")
    opened = office.sign_in("clerk", password)
    assert opened.must_change
    with refused("PASSWORD_CHANGE_REQUIRED"):
        office.who(opened)
    with office.db.transaction(Identity("clerk", TIER)) as tx:
        deeds.change_password(tx, "clerk", passwords.hashed(GOOD), opened.session_id)
    office.sessions.forget_all()
    assert office.who(opened).account == "clerk"


def test_a_password_past_its_age_must_be_changed(clerk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not clerk.sign_in("clerk").must_change
    later(monkeypatch, days=91)
    assert clerk.sign_in("clerk").must_change


def test_a_refresh_goes_on_with_the_session_and_its_token_is_used_once(clerk: Office) -> None:
    opened = clerk.sign_in("clerk")
    second = clerk.sessions.refresh(opened.refresh_token, "10.0.0.1")
    assert second.session_id == opened.session_id
    assert second.refresh_token != opened.refresh_token
    assert clerk.who(second).account == "clerk"


def test_a_refresh_token_used_twice_ends_the_session_of_both_users(clerk: Office) -> None:
    opened = clerk.sign_in("clerk")
    thief = clerk.sessions.refresh(opened.refresh_token, "10.6.6.6")
    with refused("REFRESH_INVALID"):
        clerk.sessions.refresh(opened.refresh_token, "10.0.0.1")
    with refused("SESSION_ENDED"):
        clerk.who(thief)
    with refused("SESSION_ENDED"):
        clerk.sessions.refresh(thief.refresh_token, "10.6.6.6")
    (written,) = clerk.audited("session.token_reused")
    assert (written.subject_id, '"source":"10.0.0.1"' in written.details) == ("clerk", True)


def test_a_made_up_refresh_token_ends_nothing(clerk: Office) -> None:
    opened = clerk.sign_in("clerk")
    with refused("REFRESH_INVALID"):
        clerk.sessions.refresh("made-up", "10.0.0.1")
    assert clerk.who(opened).account == "clerk"


def test_a_session_ends_after_half_an_hour_of_rest(clerk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = clerk.sign_in("clerk")
    later(monkeypatch, minutes=29)
    opened = clerk.sessions.refresh(opened.refresh_token, "10.0.0.1")
    later(monkeypatch, minutes=29)
    opened = clerk.sessions.refresh(opened.refresh_token, "10.0.0.1")
    later(monkeypatch, minutes=31)
    with refused("SESSION_ENDED"):
        clerk.sessions.refresh(opened.refresh_token, "10.0.0.1")


def test_calls_keep_a_session_awake(clerk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = clerk.sign_in("clerk")
    for _ in range(4):
        later(monkeypatch, minutes=8)
        clerk.sessions.forget_all()
        assert clerk.who(opened).account == "clerk"
        opened = clerk.sessions.refresh(opened.refresh_token, "10.0.0.1")


def test_a_session_ends_after_twelve_hours_however_busy(clerk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = clerk.sign_in("clerk")
    for _ in range(28):
        later(monkeypatch, minutes=25)
        opened = clerk.sessions.refresh(opened.refresh_token, "10.0.0.1")
    later(monkeypatch, minutes=21)
    with refused("SESSION_ENDED"):
        clerk.sessions.refresh(opened.refresh_token, "10.0.0.1")


def test_signing_out_ends_this_session_and_revoking_all_ends_every_one(clerk: Office) -> None:
    one, two, three = (clerk.sign_in("clerk") for _ in range(3))
    assert clerk.sessions.end(clerk.sessions.standing(bearer(one))) == 1
    with refused("SESSION_ENDED"):
        clerk.who(one)
    assert clerk.who(two).account == "clerk"
    assert clerk.sessions.end(clerk.sessions.standing(bearer(two)), everywhere=True) == 2
    with refused("SESSION_ENDED"):
        clerk.who(three)


def ends_by(office: Office, deed: str) -> None:
    if deed == "disabled":
        office.call("DisableAccount", account="clerk", reason="x")
    elif deed == "closed":
        office.call("CloseAccount", account="clerk", reason="x")
    elif deed == "revoked":
        assert office.call("RevokeSessions", account="clerk").ended == 1
    elif deed == "reset":
        office.call("ResetPassword", account="clerk")
    else:
        two_posts(office)


@pytest.mark.parametrize("deed", ["disabled", "closed", "revoked", "reset", "post taken away"])
def test_what_ends_a_session_ends_it_at_every_gateway_process(
    clerk: Office, deed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, db = another_process(clerk)
    opened = clerk.sign_in("clerk")
    # Both have just looked, so that both hold what they saw.
    assert clerk.who(opened).account == other.identify(bearer(opened)).account == "clerk"
    assert module.LOOK_EVERY_S <= 1
    ends_by(clerk, deed)
    with refused("SESSION_ENDED"):
        clerk.who(opened)
    # What the other one saw a second ago is looked at anew.
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.0)
    with refused("SESSION_ENDED"):
        other.identify(bearer(opened))
    db.close()


def test_changed_roles_take_effect_in_running_sessions(clerk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    other, db = another_process(clerk)
    opened = clerk.sign_in("clerk")
    assert not other.identify(bearer(opened)).may("petition.reveal")
    post = pb.Appointment(post="main", roles=["hall_lead"], units=[HALL])
    clerk.call("SetAppointments", account="clerk", appointments=[post])
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.0)
    assert clerk.who(opened).may("petition.reveal")
    assert other.identify(bearer(opened)).may("petition.reveal")
    db.close()


def test_a_changed_password_ends_every_other_session(clerk: Office) -> None:
    mine, other = clerk.sign_in("clerk"), clerk.sign_in("clerk")
    with clerk.db.transaction(Identity("clerk", TIER)) as tx:
        deeds.change_password(tx, "clerk", passwords.hashed("another-Harbour-3"), mine.session_id)
    clerk.sessions.forget_all()
    assert clerk.who(mine).account == "clerk"
    with refused("SESSION_ENDED"):
        clerk.who(other)


def test_sessions_are_listed_newest_first_with_their_ends(clerk: Office) -> None:
    made = [clerk.sign_in("clerk").session_id for _ in range(3)]
    clerk.call("RevokeSessions", account="clerk")
    first = clerk.call("ListSessions", account="clerk", page_size=2)
    second = clerk.call("ListSessions", account="clerk", page_token=first.next_page_token)
    found = [*first.sessions, *second.sessions]
    assert [one.id for one in found] == made[::-1]
    assert {(one.source, one.end_reason, one.browser) for one in found} == {("10.0.0.1", "revoked", False)}


def test_a_token_without_a_session_opens_nothing(clerk: Office) -> None:
    signer = Signer(clerk.settings.token_private_key_file)
    lone = signer.sign(Identity("clerk", TIER, "341702", roles=frozenset({"hall"})), "gateway", 60)
    with refused("SESSION_ENDED"):
        clerk.sessions.identify({"HTTP_AUTHORIZATION": f"Bearer {lone}", "REQUEST_METHOD": "GET"})
    swapped = signer.sign(Identity("other", TIER, session=clerk.sign_in("clerk").session_id), "gateway", 60)
    with refused("SESSION_ENDED"):
        clerk.sessions.identify({"HTTP_AUTHORIZATION": f"Bearer {swapped}", "REQUEST_METHOD": "GET"})


def test_a_program_switched_off_is_out_at_the_gateway_at_once(office: Office) -> None:
    post = pb.Appointment(post="main", roles=["hall"], units=[HALL])
    given = {"request_id": ids.uuid7(), "client_id": "app", "title": "平台", "appointment": post}
    secret = office.call("CreateServiceAccount", **given).client_secret
    program = office.door.prove_program("app", secret, "10.0.0.1")
    token, lives = office.sessions.token_for(program, "gateway")
    environ = {"HTTP_AUTHORIZATION": f"Bearer {token}", "REQUEST_METHOD": "GET"}
    assert (office.sessions.identify(environ).account, lives) == ("service:app", 300)
    office.call("SwitchServiceAccount", client_id="app", enabled=False)
    with refused("SESSION_ENDED"):
        office.sessions.identify(environ)


def test_a_programs_token_for_a_service_holds_what_its_roles_may_do(office: Office) -> None:
    post = pb.Appointment(post="main", roles=["hall"], units=[HALL])
    given = {"request_id": ids.uuid7(), "client_id": "app", "title": "平台", "appointment": post}
    program = office.door.prove_program("app", office.call("CreateServiceAccount", **given).client_secret, "10.0.0.1")
    found = office.verifier.verify(office.sessions.token_for(program, "petition")[0], "petition")
    assert (found.account, found.unit, found.may("petition.register")) == ("service:app", HALL, True)
    assert not found.may("petition.reveal")


def test_an_internal_token_is_signed_anew_before_it_expires(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("gateway.sessions.time.monotonic", lambda: now[0])
    who = Identity("clerk", TIER, "341702", roles=frozenset({"hall"}), session="one")
    first = office.sessions.internal_token(who, "petition")
    now[0] += 239
    assert office.sessions.internal_token(who, "petition") == first
    now[0] += 2
    assert office.sessions.internal_token(who, "petition") != first
    assert office.verifier.verify(first, "petition").session == ""


def test_a_new_signing_key_is_taken_up_and_old_tokens_go_on(office: Office) -> None:
    signer = Signer(office.settings.token_private_key_file)
    who = Identity("clerk", TIER)
    before = signer.sign(who, "gateway", 60)
    files = KeyFiles(office.settings.token_keys_file, office.settings.token_private_key_file)
    token_keys.publish(files)
    token_keys.sign(files)
    after = signer.sign(who, "gateway", 60)
    verifier = tokens.Verifier(files.public, TIER)
    assert verifier.verify(before, "gateway").account == verifier.verify(after, "gateway").account == "clerk"
    assert before.split(".")[0] != after.split(".")[0]
