import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.chassis.sealing import key_id, seal, sealed_with, unseal

UNHURRIED = settings(deadline=None)  # a busy machine is no failure

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))


@UNHURRIED
@given(plaintext=st.binary(max_size=200), context=st.binary(max_size=40))
def test_what_is_sealed_opens_with_its_key_and_place(plaintext: bytes, context: bytes) -> None:
    assert unseal(KEY, seal(KEY, plaintext, context), context) == plaintext


def test_another_key_is_refused_and_the_value_tells_which_one_it_needs() -> None:
    sealed = seal(KEY, b"a name", b"petition/1")
    with pytest.raises(ValueError, match="another key"):
        unseal(OTHER, sealed, b"petition/1")
    assert sealed_with(sealed) == key_id(KEY) != key_id(OTHER)


def test_a_value_moved_to_another_row_does_not_open() -> None:
    with pytest.raises(ValueError, match="belongs elsewhere"):
        unseal(KEY, seal(KEY, b"a name", b"petition/1"), b"petition/2")


@pytest.mark.parametrize("position", range(33 + 6))
def test_every_changed_byte_is_found(position: int) -> None:
    sealed = bytearray(seal(KEY, b"a name", b""))
    sealed[position] ^= 1
    with pytest.raises(ValueError, match="The (sealed )?value"):
        unseal(KEY, bytes(sealed), b"")


@pytest.mark.parametrize("sealed", [b"", b"\x01short", b"\x02" + bytes(60)])
def test_what_was_never_sealed_is_refused(sealed: bytes) -> None:
    with pytest.raises(ValueError, match="cut short or of an unknown version"):
        unseal(KEY, sealed, b"")


def test_the_same_value_sealed_twice_looks_different() -> None:
    assert seal(KEY, b"a name", b"") != seal(KEY, b"a name", b"")


def test_the_key_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        seal(b"short", b"", b"")
