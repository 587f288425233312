"""The one secret file of an installation."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.chassis import datakey


def test_a_new_secret_is_for_its_owner_alone_and_gives_two_different_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "data.key"
    datakey.create(file)
    key = datakey.load(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert len({key.hash_key, key.seal_key, bytes.fromhex(file.read_text().strip())}) == 3
    assert len(key.hash_key) == len(key.seal_key) == 32


def test_the_same_file_always_gives_the_same_keys_and_is_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "data.key"
    datakey.create(file)
    before = datakey.load(file)
    datakey.create(file)
    assert datakey.load(file) == before


def test_the_derivation_does_not_change_between_releases(tmp_path: Path) -> None:
    file = tmp_path / "data.key"
    file.write_text("00" * 32)
    key = datakey.load(file)
    assert (key.hash_key.hex()[:16], key.seal_key.hex()[:16]) == ("7a7e95fe8c68542a", "7933a07122ff6314")


@pytest.mark.parametrize("content", [None, "", "12ab", "zz" * 32, "00" * 33])
def test_a_missing_or_damaged_file_is_said_in_one_sentence(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "data.key"
    if content is not None:
        file.write_text(content)
    with pytest.raises(datakey.DataKeyMissing, match=r"data\.key .*zongzhi setup"):
        datakey.load(file)


def test_keys_are_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "data.key"
    datakey.create(file)
    assert repr(datakey.load(file)) == "DataKey()"
