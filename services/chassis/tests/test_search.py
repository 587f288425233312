import unicodedata

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.chassis.search import contains, normalise, query_tokens, tokens

UNHURRIED = settings(deadline=None)  # a busy machine is no failure
UNHURRIED_AND_MANY = settings(deadline=None, max_examples=300)

MIXED = st.text("张三李四信访调解abcdeXYZéß0123 ,。-_·(（１Ａ\u3000\u200b", max_size=40)
ANYTHING = st.text(st.characters(codec="utf-8"), max_size=25)


def found(document: str, query: str) -> bool:
    """What the database does: all tokens of the query among those of the document, then the recheck."""
    return set(query_tokens(query)) <= set(tokens(document)) and contains(normalise(document), query)


@UNHURRIED_AND_MANY
@given(document=MIXED | ANYTHING)
def test_every_part_of_a_document_finds_it(document: str) -> None:
    known = set(tokens(document))
    plain = normalise(document)
    for begin in range(len(plain)):
        for length in range(2, 7):
            query = plain[begin : begin + length]
            assert set(query_tokens(query)) <= known, query
            assert contains(plain, query)


@UNHURRIED
@given(document=MIXED, begin=st.integers(0, 39), length=st.integers(2, 6))
def test_a_part_as_it_was_written_finds_its_document(document: str, begin: int, length: int) -> None:
    query = document[begin : begin + length]
    assume(contains(normalise(document), query))
    assert found(document, query)


@UNHURRIED
@given(text=MIXED | ANYTHING)
def test_a_token_holds_letters_and_digits_alone_and_comes_once(text: str) -> None:
    assert all(token.isalnum() for token in tokens(text))
    assert len(set(tokens(text))) == len(tokens(text))
    assert set(query_tokens(text)) <= set(tokens(text))


@UNHURRIED
@given(text=MIXED | ANYTHING)
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@UNHURRIED
@given(query=st.text("张三李四abc012 ,。", min_size=2, max_size=6))
def test_every_query_of_two_letters_digits_or_han_characters_has_a_token(query: str) -> None:
    assert bool(query_tokens(query)) == (sum(c.isalnum() for c in query) >= 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("信访条例", ["信访", "访条", "条例"]),
        ("张,三", ["张三"]),
        ("张", []),
        ("", []),
        ("。,", []),
        ("张三A1", ["张三", "三a", "a1"]),
        ("GB 2260", ["gb", "b2", "22", "26", "60", "2260"]),
    ],
)
def test_a_document_has_pairs_and_words(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


def test_a_query_asks_for_a_word_only_where_it_is_not_cut_off() -> None:
    assert "petition" not in query_tokens("petition")
    assert "petition" in query_tokens("the petition,")
    assert "petition" in query_tokens("在petition里")


@pytest.mark.parametrize(
    ("document", "query", "expected"),
    [
        ("abcde", "bcd", True),
        ("梅街镇源溪村的水渠", "溪村", True),
        ("梅街镇源溪村的水渠", "水 渠", False),
        ("ＡＢＣ公司", "abc公", True),
        ("张\u200b三", "张三", True),
        ("水渠,堵了", "渠,堵", True),
        ("三张", "张三", False),
        ("甲 三 张 乙", "三 张", True),
        ("Straße 5", "STRASSE", True),
        ("水渠  堵", "水渠 堵", True),
        ("水渠", "", True),
        ("水渠", "渠", True),
    ],
)
def test_a_document_is_found_when_it_contains_the_query(document: str, query: str, expected: bool) -> None:
    assert found(document, query) is expected


def test_composed_and_decomposed_letters_are_the_same() -> None:
    assert normalise(unicodedata.normalize("NFD", "café")) == normalise("CAFÉ")
