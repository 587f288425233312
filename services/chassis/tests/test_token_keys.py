"""Changing the signing key: no token is refused before it has expired, and none of a retired key is believed."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from services.chassis import clock, token_keys, tokens
from services.chassis.identity import Identity
from services.chassis.refusal import IllegalMove, Unauthenticated
from services.chassis.token_keys import KeyFiles

TIER = "341702000000"
OFFICER = Identity("clerk", TIER, "341702")
LIVES = 300


@pytest.fixture
def files(tmp_path: Path) -> KeyFiles:
    tokens.create_keys(tmp_path)
    return KeyFiles(tmp_path / tokens.PUBLIC_FILE, tmp_path / tokens.PRIVATE_FILE)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> timedelta:
    """Every token that was signed before has expired."""
    now, passed = clock.now, timedelta(seconds=LIVES + tokens.LEEWAY_S + token_keys.SLACK_S)
    monkeypatch.setattr(clock, "now", lambda: now() + passed)
    return passed


def a_token(files: KeyFiles) -> str:
    return tokens.sign(tokens.load_private(files.private), OFFICER, ["petition"])


def states(files: KeyFiles) -> list[str]:
    return [key.state for key in token_keys.listed(files, LIVES)]


def believed(files: KeyFiles, token: str) -> bool:
    try:
        return tokens.Verifier(files.public, TIER).verify(token, "petition").account == "clerk"
    except Unauthenticated:
        return False


def test_a_published_key_is_in_the_set_before_anything_is_signed_with_it(files: KeyFiles) -> None:
    before = a_token(files)
    kid = token_keys.publish(files)
    assert states(files) == ["signing", "published"]
    assert kid in tokens.load_public(files.public)
    assert tokens.load_private(files.private).kid != kid
    assert believed(files, before)
    assert believed(files, a_token(files))


def test_publishing_again_goes_on_with_the_key_that_waits(files: KeyFiles) -> None:
    kid = token_keys.publish(files)
    assert token_keys.publish(files) == kid
    assert states(files) == ["signing", "published"]


def test_publishing_goes_on_where_it_was_interrupted(files: KeyFiles) -> None:
    before = files.public.read_text()
    kid = token_keys.publish(files)
    files.public.write_text(before)
    assert token_keys.publish(files) == kid
    assert states(files) == ["signing", "published"]


def test_after_signing_both_keys_are_believed(files: KeyFiles) -> None:
    before = a_token(files)
    kid = token_keys.publish(files)
    assert token_keys.sign(files) == kid
    assert tokens.load_private(files.private).kid == kid
    assert states(files) == ["old", "signing"]
    assert believed(files, before)
    assert believed(files, a_token(files))
    assert not files.next.exists()


def test_nothing_signs_that_is_not_published(files: KeyFiles) -> None:
    with pytest.raises(IllegalMove, match="keys publish"):
        token_keys.sign(files)
    token_keys.publish(files)
    (old, _) = json.loads(files.public.read_text())["keys"]
    files.public.write_text(json.dumps({"keys": [old]}))
    with pytest.raises(tokens.KeysBroken):
        token_keys.sign(files)


def test_an_old_key_stays_until_its_last_token_has_expired(files: KeyFiles) -> None:
    token_keys.publish(files)
    token_keys.sign(files)
    retired, (waiting,) = token_keys.retire(files, LIVES)
    assert retired == []
    assert waiting.until is not None
    assert waiting.until > clock.now() + timedelta(seconds=LIVES)
    assert states(files) == ["old", "signing"]


def test_a_retired_key_is_not_believed_any_more(files: KeyFiles, request: pytest.FixtureRequest) -> None:
    before = a_token(files)
    token_keys.publish(files)
    token_keys.sign(files)
    request.getfixturevalue("later")
    retired, waiting = token_keys.retire(files, LIVES)
    assert (len(retired), waiting, states(files)) == (1, [], ["signing"])
    assert not believed(files, before)


def test_a_rotation_says_each_step_and_leaves_one_key(files: KeyFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_keys, "SLACK_S", -tokens.LEEWAY_S)
    said: list[str] = []
    token_keys.rotate(files, 0, lambda step, _: said.append(step), wait_s=0)
    assert said == ["published", "signing", "retired"]
    assert states(files) == ["signing"]


def test_private_halves_are_never_readable_by_others(files: KeyFiles) -> None:
    token_keys.publish(files)
    assert files.next.stat().st_mode & 0o077 == 0
    token_keys.sign(files)
    assert files.private.stat().st_mode & 0o077 == 0
    assert '"d"' not in files.public.read_text()
