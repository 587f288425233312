import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.chassis.paging import decode_token, encode_token, page_size
from services.chassis.refusal import Invalid

UNHURRIED = settings(deadline=None)  # a busy machine is no failure

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)


@pytest.mark.parametrize(("requested", "given_"), [(0, 50), (1, 1), (200, 200), (201, 200), (10**9, 200)])
def test_a_page_has_fifty_rows_unless_asked_and_never_more_than_two_hundred(requested: int, given_: int) -> None:
    assert page_size(requested) == given_


def test_a_negative_page_size_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        page_size(-1)
    assert refused.value.violations[0].field == "page_size"


def test_no_token_means_the_first_page() -> None:
    assert decode_token("", "state=open") is None


@UNHURRIED
@given(position=st.lists(TEXT, max_size=4).map(tuple), filters=TEXT)
def test_a_token_brings_back_its_position(position: tuple[str, ...], filters: str) -> None:
    token = encode_token(position, filters)
    assert decode_token(token, filters) == position
    assert token.isascii()
    assert not set(token) & set("+/= ")


def test_a_token_of_other_filters_says_to_start_again() -> None:
    with pytest.raises(Invalid, match="belongs to other filters") as refused:
        decode_token(encode_token(("a",), "state=open"), "state=closed")
    assert refused.value.violations[0].field == "page_token"


def token_of(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "not a token",
        "翻页",
        "e30!",
        "A" * 5000,
        token_of([]),
        token_of({"v": 2, "f": "", "p": []}),
        token_of({"v": 1, "f": "", "p": [1]}),
        token_of({"v": 1, "f": "", "p": "ab"}),
        token_of({}),
        base64.urlsafe_b64encode(b"\xff\xfe").decode().rstrip("="),
        base64.urlsafe_b64encode(b"[" * 3000).decode().rstrip("="),
    ],
)
def test_a_damaged_token_is_refused_with_help(token: str) -> None:
    with pytest.raises(Invalid, match="damaged; start again without page_token"):
        decode_token(token, "")
