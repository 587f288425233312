"""Tokens: what is believed, what is refused, and how keys come and go."""

import base64
import json
import os
import stat
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, OKPKey

from services.chassis import clock, token_keys, tokens
from services.chassis.refusal import Unauthenticated
from services.chassis.tests.calling import OFFICER, TIER, make_keys
from services.chassis.token_keys import KeyFiles

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


@pytest.fixture
def keys(tmp_path: Path) -> Any:
    return make_keys(tmp_path)


def refusal(verifier: Any, token: Any, audience: Any = "petition") -> Any:
    with pytest.raises(Unauthenticated) as caught:
        verifier.verify(token, audience)
    assert not token or token not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value.reason


def claims(**changed: Any) -> Any:
    now = int(datetime.now(UTC).timestamp())
    given = {"iss": TIER, "sub": "demo", "aud": ["petition"], "iat": now, "exp": now + 300} | changed
    return {name: value for name, value in given.items() if value is not None}


def forged(key: Any, header: Any = None, **changed: Any) -> Any:
    return jwt.encode({"alg": "Ed25519", "kid": key.kid} | (header or {}), claims(**changed), key, ["Ed25519"])


def test_a_token_says_who_asks_as_the_gateway_wrote_it(keys: Any) -> None:
    key, verifier = keys
    assert verifier.verify(tokens.sign(key, OFFICER, ["petition", "mediation"]), "petition") == OFFICER
    assert verifier.verify(tokens.sign(key, OFFICER, ["petition", "mediation"]), "mediation") == OFFICER


def test_a_key_may_be_given_as_plain_jwk(keys: Any) -> None:
    key, verifier = keys
    assert verifier.verify(tokens.sign(key.as_dict(private=True), OFFICER, ["petition"]), "petition") == OFFICER


def test_a_token_of_another_tier_is_refused_though_the_key_is_ours(keys: Any) -> None:
    key, verifier = keys
    assert refusal(verifier, forged(key, iss="341721000000")) == "TOKEN_INVALID"


def test_a_token_signed_with_another_key_is_refused_though_it_names_ours(keys: Any) -> None:
    key, verifier = keys
    other = OKPKey.generate_key("Ed25519", {"kid": key.kid})
    assert refusal(verifier, forged(other)) == "TOKEN_INVALID"


def test_a_token_of_an_unknown_key_is_refused(keys: Any) -> None:
    _, verifier = keys
    other = OKPKey.generate_key("Ed25519", {"kid": "another"})
    assert refusal(verifier, forged(other)) == "TOKEN_INVALID"


def test_a_token_that_names_no_key_is_refused(keys: Any) -> None:
    key, verifier = keys
    nameless = jwt.encode({"alg": "Ed25519"}, claims(), key, ["Ed25519"])
    assert refusal(verifier, nameless) == "TOKEN_INVALID"


@pytest.mark.parametrize("signature", ["", "c2lnbmF0dXJl"])
def test_a_token_without_a_signature_algorithm_is_refused(keys: Any, signature: Any) -> None:
    key, verifier = keys
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": key.kid}).encode()).rstrip(b"=").decode()
    body = base64.urlsafe_b64encode(json.dumps(claims()).encode()).rstrip(b"=").decode()
    assert refusal(verifier, f"{header}.{body}.{signature}") == "TOKEN_INVALID"


def test_a_token_signed_with_our_public_key_as_a_shared_secret_is_refused(keys: Any) -> None:
    key, verifier = keys
    secret = OctKey.import_key(json.dumps(key.as_dict(private=False)))
    token = jws.serialize_compact({"alg": "HS256", "kid": key.kid}, json.dumps(claims()), secret, ["HS256"])
    assert refusal(verifier, token) == "TOKEN_INVALID"


def test_a_token_of_another_curve_is_refused(keys: Any) -> None:
    key, verifier = keys
    token = jwt.encode({"alg": "ES256", "kid": key.kid}, claims(), ECKey.generate_key("P-256"), ["ES256"])
    assert refusal(verifier, token) == "TOKEN_INVALID"


@pytest.mark.parametrize(
    "changed",
    [
        {"sub": None},
        {"sub": ""},
        {"sub": 5},
        {"aud": None},
        {"aud": "petition"},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"perms": "petition.read"},
        {"units": [1]},
    ],
    ids=str,
)
def test_a_token_with_claims_of_another_shape_is_refused(keys: Any, changed: Any) -> None:
    key, verifier = keys
    assert refusal(verifier, forged(key, **changed)) == "TOKEN_INVALID"


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "a.b", "ü.ü.ü", "\x00", "." * 5000, "a" * 9000])
def test_what_is_no_token_is_refused(keys: Any, text: Any) -> None:
    assert refusal(keys[1], text) == "TOKEN_INVALID"


def test_a_token_whose_body_was_changed_is_refused(keys: Any) -> None:
    key, verifier = keys
    head, _, sign = forged(key).split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims(sub="chief")).encode()).rstrip(b"=").decode()
    assert refusal(verifier, f"{head}.{body}.{sign}") == "TOKEN_INVALID"


def test_a_token_is_believed_only_by_the_services_it_is_for(keys: Any) -> None:
    key, verifier = keys
    token = tokens.sign(key, OFFICER, ["mediation"])
    assert verifier.verify(token, "mediation") == OFFICER
    assert refusal(verifier, token, "petition") == "TOKEN_AUDIENCE"


def test_a_token_ends_ten_seconds_after_its_time_also_when_it_was_proved_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _ = make_keys(tmp_path)
    monkeypatch.setattr(clock, "now", lambda: NOON)
    now = [NOON]
    verifier = tokens.Verifier(tmp_path / tokens.PUBLIC_FILE, TIER, lambda: now[0])
    token = tokens.sign(key, OFFICER, ["petition"], 300)
    now[0] = NOON + timedelta(seconds=309)
    assert verifier.verify(token, "petition") == OFFICER
    now[0] = NOON + timedelta(seconds=310)
    assert refusal(verifier, token) == "TOKEN_EXPIRED"
    fresh = tokens.Verifier(tmp_path / tokens.PUBLIC_FILE, TIER, lambda: now[0])
    assert refusal(fresh, token) == "TOKEN_EXPIRED"


def test_a_token_is_computed_once_and_then_looked_up(keys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    key, verifier = keys
    token = tokens.sign(key, OFFICER, ["petition"])
    verifier.verify(token, "petition")
    monkeypatch.setattr(jws, "deserialize_compact", None)
    assert verifier.verify(token, "petition") == OFFICER


def test_only_so_many_tokens_are_remembered(keys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    key, verifier = keys
    monkeypatch.setattr(tokens, "CACHED_TOKENS", 3)
    made = [tokens.sign(key, OFFICER, ["petition"]) for _ in range(5)]
    for token in made:
        verifier.verify(token, "petition")
    assert list(verifier._proved) == made[-3:]


def test_a_token_of_a_new_key_is_believed_at_once(tmp_path: Path) -> None:
    _, verifier = make_keys(tmp_path)
    files = KeyFiles(tmp_path / tokens.PUBLIC_FILE, tmp_path / tokens.PRIVATE_FILE)
    token_keys.publish(files)
    token_keys.sign(files)
    new = tokens.load_private(tmp_path / tokens.PRIVATE_FILE)
    assert verifier.verify(tokens.sign(new, OFFICER, ["petition"]), "petition") == OFFICER


def test_an_unchanged_key_file_is_not_read_again_however_many_unknown_keys_come(
    keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, verifier = keys
    read: list[Any] = []
    monkeypatch.setattr(tokens, "load_public", read.append)
    for _ in range(5):
        refusal(verifier, forged(OKPKey.generate_key("Ed25519", {"kid": "another"})))
    assert read == []


def test_a_key_file_that_breaks_later_leaves_the_former_keys_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tokens, "LOOK_EVERY_S", 0.0)
    key, verifier = make_keys(tmp_path)
    (tmp_path / tokens.PUBLIC_FILE).write_text("{")
    assert verifier.verify(tokens.sign(key, OFFICER, ["petition"]), "petition") == OFFICER
    assert "tokens.jwks" in caplog.text


def test_keys_are_made_once_and_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    tokens.create_keys(tmp_path / "keys")
    before = {path: path.read_bytes() for path in (tmp_path / "keys").iterdir()}
    tokens.create_keys(tmp_path / "keys")
    assert {path: path.read_bytes() for path in (tmp_path / "keys").iterdir()} == before
    assert sorted(path.name for path in before) == ["token-private.jwk", "tokens.jwks"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in before} == {0o600}


def test_the_public_file_holds_no_private_part(tmp_path: Path) -> None:
    tokens.create_keys(tmp_path)
    (key,) = json.loads((tmp_path / tokens.PUBLIC_FILE).read_text())["keys"]
    assert "d" not in key


def test_two_processes_that_begin_at_once_end_with_one_pair_of_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = tokens._add_key

    def add_slowly(directory: Path) -> None:
        time.sleep(0.02)
        add(directory)

    monkeypatch.setattr(tokens, "_add_key", add_slowly)
    makers = [threading.Thread(target=tokens.create_keys, args=(tmp_path,)) for _ in range(8)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert len(tokens.load_public(tmp_path / tokens.PUBLIC_FILE)) == 1


def test_a_lost_public_file_is_made_again_from_the_private_key(tmp_path: Path) -> None:
    key, _ = make_keys(tmp_path)
    (tmp_path / tokens.PUBLIC_FILE).unlink()
    _, verifier = make_keys(tmp_path)
    assert verifier.verify(tokens.sign(key, OFFICER, ["petition"]), "petition") == OFFICER


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"keys": 5}', '{"keys": []}', '{"keys": [{"kty": "OKP"}]}', "\0"]
)
def test_a_broken_key_file_is_said_in_one_sentence_that_names_it(tmp_path: Path, content: Any) -> None:
    path = tmp_path / tokens.PUBLIC_FILE
    path.write_text(content)
    with pytest.raises(tokens.KeysBroken, match="密钥文件 .*tokens.jwks.*The key file .*tokens.jwks"):
        tokens.Verifier(path, TIER)


def test_a_missing_key_file_is_said_in_one_sentence_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(tokens.KeysBroken, match="tokens.jwks 不存在"):
        tokens.Verifier(tmp_path / tokens.PUBLIC_FILE, TIER)


def test_a_file_of_bytes_that_are_no_text_is_broken_too(tmp_path: Path) -> None:
    (tmp_path / tokens.PRIVATE_FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(tokens.KeysBroken, match=tokens.PRIVATE_FILE):
        tokens.create_keys(tmp_path)


def test_a_public_key_does_not_sign(tmp_path: Path) -> None:
    key, _ = make_keys(tmp_path)
    (tmp_path / tokens.PRIVATE_FILE).write_text(json.dumps(key.as_dict(private=False)))
    with pytest.raises(tokens.KeysBroken, match="不是私钥"):
        tokens.load_private(tmp_path / tokens.PRIVATE_FILE)


def test_files_of_two_pairs_are_not_taken_for_one(tmp_path: Path) -> None:
    tokens.create_keys(tmp_path / "a")
    tokens.create_keys(tmp_path / "b")
    os.replace(tmp_path / "b" / tokens.PUBLIC_FILE, tmp_path / "a" / tokens.PUBLIC_FILE)
    with pytest.raises(tokens.KeysBroken, match="不配套"):
        tokens.create_keys(tmp_path / "a")


def test_what_is_said_of_a_broken_private_key_does_not_show_it(tmp_path: Path) -> None:
    tokens.create_keys(tmp_path)
    path = tmp_path / tokens.PRIVATE_FILE
    jwk = json.loads(path.read_text())
    path.write_text(json.dumps(jwk | {"crv": "Ed448"}))
    with pytest.raises(tokens.KeysBroken) as caught:
        tokens.load_private(path)
    assert jwk["d"] not in str(caught.value)
