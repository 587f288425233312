import time
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.chassis.masking import mask_address, mask_id_no, mask_name, mask_phone, mask_text

UNHURRIED = settings(deadline=None)  # a busy machine is no failure
UNHURRIED_AND_MANY = settings(deadline=None, max_examples=300)

SURNAMES, GIVEN = "张李王刘陈杨黄赵周吴欧司", "明芳伟娜静敏强磊洋勇艳杰阳马锋三"
HAN_NAMES = st.builds(lambda s, g: s + g, st.sampled_from(SURNAMES), st.text(GIVEN, min_size=1, max_size=3))
LATIN_NAMES = st.from_regex(r"[A-Z][a-z]{1,8}( [A-Z][a-z]{1,8})?", fullmatch=True)
NAMES = HAN_NAMES | LATIN_NAMES
MOBILES = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
LANDLINES = st.from_regex(r"0[1-9][0-9]{9,10}", fullmatch=True)
CARDS = st.from_regex(r"[1-9][0-9]{15,18}", fullmatch=True)
ID_NUMBERS = st.builds(
    lambda place, born, rest: place + born.strftime("%Y%m%d") + rest,
    st.from_regex(r"[1-6][0-9]{5}", fullmatch=True),
    st.dates(min_value=date(1900, 1, 1), max_value=date(2026, 1, 1)),
    st.from_regex(r"[0-9]{3}[0-9X]", fullmatch=True),
)
OLD_ID_NUMBERS = ID_NUMBERS.map(lambda number: number[:6] + number[8:17])
SEPARATORS = ["", "-", " ", "\u3000", "—", " - ", ".", "\u200b"]
# Texts around a value; the commas keep their digits from joining it.
AROUND = st.text("电话张三今天来访abcX 0123456789,。-:", max_size=20)


def spread(digits: str, separators: list[str]) -> str:
    """The digits with separators between them."""
    return "".join(d + s for d, s in zip(digits, [*separators[: len(digits) - 1], ""], strict=True))


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("张三", "张*"),
        ("王小明", "王**"),
        ("欧阳锋", "欧阳*"),
        ("诸葛孔明", "诸葛**"),
        ("欧阳", "欧*"),
        ("张", "*"),
        ("张 三", "张*"),
        ("John Smith", "J***"),
        ("J", "***"),
        ("阿依·买买提", "阿***"),
        ("", ""),
        ("  ", ""),
    ],
)
def test_a_name_keeps_its_surname(name: str, masked: str) -> None:
    assert mask_name(name) == masked


@pytest.mark.parametrize(
    ("phone", "masked"),
    [
        ("13812345678", "138****5678"),
        ("+86 138-1234-5678", "138****5678"),
        ("１３８１２３４５６７８", "138****5678"),
        ("0566-2021234", "****34"),
        ("110", "****"),
        ("", ""),
    ],
)
def test_a_mobile_keeps_three_and_four_digits_and_a_landline_two(phone: str, masked: str) -> None:
    assert mask_phone(phone) == masked


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("11010519491231002X", "1101************2X"),
        ("110105491231002", "1101*********02"),
        ("E12345678", "****78"),
        ("E123", "****"),
        ("-", "****"),
        ("", ""),
    ],
)
def test_an_identity_number_keeps_province_and_city(number: str, masked: str) -> None:
    assert mask_id_no(number) == masked


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("安徽省池州市贵池区梅街镇源溪村12组34号", "安徽省池州市贵池区梅街镇源溪村****"),
        ("池阳街道翠柏社区翠柏路8号", "池阳街道翠柏社区****"),
        ("杏花村街道百牙社区三组", "杏花村街道百牙社区****"),
        ("贵池区百牙中路18号紫荆小区3栋", "贵池区百牙中路****"),
        ("贵池区五一路二十号", "贵池区五一路****"),
        ("梅街镇源溪村老屋旁张三家", "梅街镇源溪村****"),
        ("源溪村民委会隔壁", "源溪村民委会****"),
        ("村前村三组", "村前村****"),
        ("平天湖小区３栋", "****"),
        ("", ""),
    ],
)
def test_an_address_ends_with_its_village_or_street(address: str, masked: str) -> None:
    assert mask_address(address) == masked


@UNHURRIED
@given(name=NAMES)
def test_a_masked_name_never_shows_the_whole(name: str) -> None:
    assert name not in mask_name(name)


@UNHURRIED
@given(phone=MOBILES | LANDLINES | st.from_regex(r"[0-9]{3,15}", fullmatch=True))
def test_a_masked_phone_never_shows_the_whole(phone: str) -> None:
    assert phone not in mask_phone(phone)


@UNHURRIED
@given(number=ID_NUMBERS | OLD_ID_NUMBERS | st.from_regex(r"[A-Z][0-9]{3,9}", fullmatch=True))
def test_a_masked_identity_number_never_shows_the_whole(number: str) -> None:
    assert number not in mask_id_no(number)


@UNHURRIED
@given(house=st.from_regex(r"[1-9][0-9]{0,3}号([1-9]栋)?([0-9]{3}室)?", fullmatch=True))
def test_a_masked_address_never_shows_the_house(house: str) -> None:
    assert house not in mask_address(f"贵池区梅街镇源溪村{house}")


@UNHURRIED_AND_MANY
@given(
    value=MOBILES | LANDLINES | CARDS | ID_NUMBERS | OLD_ID_NUMBERS,
    separators=st.lists(st.sampled_from(SEPARATORS), min_size=19, max_size=19) | st.just([""] * 19),
    before=AROUND,
    after=AROUND,
    wide=st.booleans(),
)
def test_no_number_survives_in_a_text_however_it_is_written(
    value: str, separators: list[str], before: str, after: str, wide: bool
) -> None:
    written = spread(value, separators)
    if wide:
        written = written.translate({ord(d): ord(d) - ord("0") + ord("０") for d in "0123456789"})
    masked = mask_text(f"{before},{written},{after}", [])
    assert written not in masked
    assert value not in "".join(c for c in masked if c.isalnum())


@UNHURRIED
@given(names=st.lists(NAMES, min_size=1, max_size=4), words=st.lists(AROUND, min_size=4, max_size=4))
def test_no_given_name_survives_in_a_text(names: list[str], words: list[str]) -> None:
    text = "".join(word + name for word, name in zip(words, names, strict=False))
    masked = mask_text(text, names)
    assert not [name for name in names if name in masked]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("电话13812345678,身份证11010519491231002x。", "电话138****5678,身份证1101************2X。"),
        ("138-1234-5678 138 1234 5678", "138****5678 138****5678"),
        ("2026-11-24 13812345678", "2026-11-24 138****5678"),
        ("1.\n13812345678\n2.\n13987654321", "1.\n138****5678\n2.\n139****4321"),
        ("卡6222 0201 1381 2345 678", "卡****5678"),
        ("110105 1949-12-31 002X", "1101************2X"),
        ("0566-2021234转801", "****34转801"),
        ("座机:2021234", "座机:****34"),
        ("+86 566 2021234", "+****34"),
        ("一三八一二三四五六七八", "****"),
    ],
)
def test_numbers_in_a_text_are_masked_each_after_its_kind(text: str, masked: str) -> None:
    assert mask_text(text, []) == masked


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24 至 2026-12-24,10:30",
        "2026-11-24 2026-12-24",
        "2026.1.1-2026.12.31",
        "欠款1200000.00元,共3户15人",
        "案件341702008000P261124A0001K",
        "信访工作条例第22条(2022-05-01)",
        "张家村第12组",
    ],
)
def test_dates_amounts_and_case_numbers_stay(text: str) -> None:
    assert mask_text(text, []) == text


def test_a_name_is_found_with_a_space_in_it_and_in_other_letter_case() -> None:
    assert mask_text("张 三说,john  smith 也在", ["张三", "John Smith"]) == "张*说,j*** 也在"


def test_a_name_left_standing_by_a_longer_ones_mask_is_masked_too() -> None:
    assert mask_text("欧阳锋", ["欧阳锋", "欧阳"]) == "欧**"


@pytest.mark.parametrize("names", [[], [""], ["张"], ["a*", "**"], [" "]])
def test_empty_single_and_already_masked_names_leave_the_text_alone(names: list[str]) -> None:
    assert mask_text("张老师 a** 说", names) == "张老师 a** 说"


@pytest.mark.parametrize("part", ["1 ", "1", "2026 1 1 11 ", "1- ", "1x", "一", "电话", "138 "])
def test_a_text_made_to_be_slow_is_masked_in_a_moment(part: str) -> None:
    begun = time.perf_counter()
    mask_text(part * (30_000 // len(part)) + "7777", ["张三"])
    assert time.perf_counter() - begun < 5  # seconds; cutting wrongly takes minutes
