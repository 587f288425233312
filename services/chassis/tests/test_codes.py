import hashlib
import hmac
import random
from collections import Counter
from datetime import date
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.chassis import codes
from services.chassis.refusal import Invalid

UNHURRIED = settings(deadline=None)  # a busy machine is no failure

NUMBER = codes.case_number("341702103205", "P", date(2026, 3, 2), "A", 17)
KEY = bytes(32)
ALPHANUMERIC_TEXT = st.text(codes.ALPHANUMERIC, min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("text", "check"),
    [("A12425GABC1234002", "M"), ("779185342C2390308610", "5")],  # the printed examples of GRid and of EIDR
)
def test_the_check_character_is_that_of_published_examples(text: str, check: str) -> None:
    assert codes.mod37_36_check(text) == check
    assert codes.valid_mod37_36(text + check)


@UNHURRIED
@given(text=ALPHANUMERIC_TEXT, data=st.data())
def test_mod_37_36_finds_every_single_wrong_character(text: str, data: st.DataObject) -> None:
    whole = text + codes.mod37_36_check(text)
    at = data.draw(st.integers(0, len(whole) - 1))
    wrong = data.draw(st.sampled_from(codes.ALPHANUMERIC.replace(whole[at], "")))
    assert not codes.valid_mod37_36(whole[:at] + wrong + whole[at + 1 :])


@pytest.mark.parametrize("text", ["", "A", "a1", "张三M", "A-1"])
def test_what_is_too_short_or_outside_the_alphabet_is_not_valid(text: str) -> None:
    assert not codes.valid_mod37_36(text)


def test_a_case_number_says_where_when_which_service_and_which_node() -> None:
    assert NUMBER[:-1] == "341702103205P260302A0017"
    assert codes.parse_case_number(NUMBER) == codes.CaseNumber("341702103205", "P", date(2026, 3, 2), "A", 17)
    assert str(codes.parse_case_number(NUMBER)) == NUMBER


def typed(text: str) -> str:
    return "-".join((text[:12], text[12:19], text[19:])).lower()


@pytest.mark.parametrize(
    "text",
    [NUMBER.lower(), f"  {NUMBER} ", typed(NUMBER), typed(NUMBER).replace("-", " — "), NUMBER.replace("1", "１")],
)
def test_a_case_number_is_read_as_people_type_it(text: str) -> None:
    assert str(codes.parse_case_number(text)) == NUMBER


def test_every_single_mistyped_character_of_a_case_number_is_refused() -> None:
    for at, right in enumerate(NUMBER):
        for wrong in codes.ALPHANUMERIC.replace(right, ""):
            with pytest.raises(Invalid) as refused:
                codes.parse_case_number(NUMBER[:at] + wrong + NUMBER[at + 1 :])
            assert refused.value.violations[0].field == "case_number"


@pytest.mark.parametrize("text", ["", "P", NUMBER + "0", NUMBER[:-1], "张三", "3417021O3205P260302A0017X"])
def test_what_is_no_case_number_is_refused_with_its_form_in_both_languages(text: str) -> None:
    with pytest.raises(Invalid, match="案件编号.* A case number has 25 characters"):
        codes.parse_case_number(text)


def test_a_number_with_a_right_check_but_no_such_day_is_refused() -> None:
    body = "341702103205P260230A0017"
    with pytest.raises(Invalid, match="mistyped"):
        codes.parse_case_number(body + codes.mod37_36_check(body))


@pytest.mark.parametrize(
    ("division", "letter", "on", "node", "sequence"),
    [
        ("341702", "P", date(2026, 3, 2), "A", 1),
        ("341702103205", "p", date(2026, 3, 2), "A", 1),
        ("341702103205", "PP", date(2026, 3, 2), "A", 1),
        ("341702103205", "P", date(1926, 3, 2), "A", 1),
        ("341702103205", "P", date(2026, 3, 2), "O", 1),
        ("341702103205", "P", date(2026, 3, 2), "A", 10_000),
        ("341702103205", "P", date(2026, 3, 2), "A", -1),
    ],
)
def test_parts_that_make_no_case_number_are_refused(
    division: str, letter: str, on: date, node: str, sequence: int
) -> None:
    with pytest.raises(ValueError, match=r"[\u4e00-\u9fff].* [a-z]+"):
        codes.case_number(division, letter, on, node, sequence)


def test_the_node_character_runs_through_its_alphabet_and_begins_again() -> None:
    seen, node = [], codes.NODE_ALPHABET[0]
    for _ in codes.NODE_ALPHABET:
        seen.append(node)
        node = codes.next_node(node)
    assert "".join(seen) == codes.NODE_ALPHABET
    assert node == codes.NODE_ALPHABET[0]
    assert not set("IO01") & set(codes.NODE_ALPHABET)
    with pytest.raises(ValueError, match="not found"):
        codes.next_node("O")


def public_codes(count: int) -> list[str]:
    rng = random.Random(5)  # noqa: S311  # a test that can be repeated
    return [codes.new_public_code(rng) for _ in range(count)]


def accepted(text: str) -> bool:
    try:
        return bool(codes.normalise_public_code(text))
    except Invalid:
        return False


def test_a_public_code_is_random_and_needs_no_sign_outside_the_thirty_two() -> None:
    made = [codes.new_public_code() for _ in range(300)]
    assert len(set(made)) == 300
    assert {len(code) for code in made} == {13}
    assert set("".join(made)) == set(codes.CROCKFORD)


def test_the_slip_shows_groups_of_four_and_the_check_apart() -> None:
    assert codes.display_public_code("0123456789ABC") == "0123-4567-89AB-C"


@pytest.mark.parametrize("code", public_codes(20))
def test_a_public_code_is_read_as_people_type_it(code: str) -> None:
    shown = codes.display_public_code(code)
    for text in (shown, shown.lower(), shown.replace("-", " "), shown.replace("1", "l").replace("0", "o"), code):
        assert codes.normalise_public_code(text) == code
    assert codes.normalise_public_code(shown.replace("1", "I").replace("-", "—")) == code


@pytest.mark.parametrize("code", public_codes(20))
def test_every_single_wrong_character_of_a_public_code_is_found(code: str) -> None:
    for at, right in enumerate(code):
        for wrong in codes.CROCKFORD.replace(right, ""):
            assert not accepted(code[:at] + wrong + code[at + 1 :])


@pytest.mark.parametrize("code", public_codes(50))
def test_every_exchange_of_two_different_characters_is_found(code: str) -> None:
    for first, second in combinations(range(13), 2):
        swapped = list(code)
        swapped[first], swapped[second] = swapped[second], swapped[first]
        assert code[first] == code[second] or not accepted("".join(swapped))


def test_a_guess_passes_the_check_no_oftener_than_one_in_thirty_two() -> None:
    rng = random.Random(9)  # noqa: S311  # a test that can be repeated
    passed = Counter(accepted("".join(rng.choices(codes.CROCKFORD, k=13))) for _ in range(20_000))
    assert 1 / 40 < passed[True] / 20_000 < 1 / 26


@pytest.mark.parametrize("text", ["", "0123-4567-89AB", "0123-4567-89AB-CD", "0123-4567-89A*-C", "U123-4567-89AB-C"])
def test_what_is_no_public_code_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        codes.normalise_public_code(text)
    assert refused.value.violations[0].field == "public_code"
    assert not text or text not in refused.value.message


def test_a_keyed_hash_is_hmac_sha_256_and_depends_on_the_key() -> None:
    assert codes.keyed_hash(KEY, "张三") == hmac.new(KEY, "张三".encode(), hashlib.sha256).hexdigest()
    assert codes.keyed_hash(KEY, "张三") != codes.keyed_hash(b"1" * 32, "张三")
    with pytest.raises(ValueError, match="at least 16 bytes"):
        codes.keyed_hash(b"short", "张三")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("13812345678", "13812345678"),
        ("138-1234-5678", "13812345678"),
        ("138 1234 5678", "13812345678"),
        ("１３８１２３４５６７８", "13812345678"),
        ("+86 13812345678", "13812345678"),
        ("8613812345678", "13812345678"),
        ("0086-138-1234-5678", "13812345678"),
        ("013812345678", "13812345678"),
        ("(0566) 2021234", "05662021234"),
        ("+86 566 2021234", "05662021234"),
        ("+86 (0)566-2021234", "05662021234"),
        ("0566-2021234转801", "05662021234x801"),
        ("0566-2021234 ext. 801", "05662021234x801"),
        ("0566-2021234 分机:801", "05662021234x801"),
        ("12345", "12345"),
        ("+852 2123 4567", "+85221234567"),
        ("00852 2123 4567", "+85221234567"),
        ("4001234567", "4001234567"),
    ],
)
def test_one_phone_has_one_form_however_it_is_written(text: str, expected: str) -> None:
    assert codes.normalise_phone(text) == expected
    assert codes.normalise_phone(expected) == expected


@pytest.mark.parametrize("text", ["", "12", "call me", "138123456789012345", "张三", "1381234567a"])
def test_what_is_no_phone_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        codes.normalise_phone(text)
    assert refused.value.violations[0].field == "phone"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("11010519491231002X", "11010519491231002X"),  # the example of GB 11643-1999
        ("11010519491231002x", "11010519491231002X"),
        ("110105 19491231 002Ｘ", "11010519491231002X"),
        ("110105491231002", "11010519491231002X"),
        ("440524188001010014", "440524188001010014"),  # its second example
        ("E12345678", "E12345678"),
        ("h1234567890", "H1234567890"),
        ("12345678", "12345678"),
    ],
)
def test_one_identity_number_has_one_form_old_or_new(text: str, expected: str) -> None:
    assert codes.normalise_id_no(text) == expected


@pytest.mark.parametrize(
    "text", ["", "110105194912310021", "11010519491331002X", "1101051949123100", "PASSPORT", "110105499931002", "张三"]
)
def test_a_mistyped_identity_number_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        codes.normalise_id_no(text)
    assert refused.value.violations[0].field == "id_no"
    assert not text or text not in refused.value.message
