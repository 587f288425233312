"""Text search: the tokens of a text, the tokens a query needs, and the recheck.

A row is a candidate when its tokens contain all tokens of the query; `contains` then decides. No row that contains the
query may be missed, so a query asks only for tokens that survive being cut anywhere, also within a word. The tokens are
    - every overlapping pair of letters, digits and Han characters, taken after spaces and punctuation are left out;
    - every word of three and more Latin letters or digits, which a query asks for only where it is not cut off.
A query with fewer than two letters, digits or Han characters has no tokens: every row is a candidate and is rechecked.
Tokens hold letters and digits alone, so that any full-text tokenizer keeps them whole.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af〇々"
WORD = re.compile(rf"[^\W_{HAN}]+")
LONGEST_WORD = 32
SHORTEST_WORD = 3


def normalise(text: str) -> str:
    """The form in which texts are compared: NFKC, case folded, no invisible signs, one space between words."""
    while True:
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
        visible = "".join(c for c in folded if unicodedata.category(c) != "Cf")
        joined = " ".join(visible.split())
        if joined == text:
            return text
        text = joined


def tokens(text: str) -> list[str]:
    """The tokens under which a text is found, each once, in order of appearance."""
    plain = normalise(text)
    return list(dict.fromkeys([*_pairs(plain), *(word for word, _ in _words(plain))]))


def query_tokens(text: str) -> list[str]:
    """The tokens a row must have to contain this query; none when only the recheck can tell."""
    plain = normalise(text)
    return list(dict.fromkeys([*_pairs(plain), *(word for word, whole in _words(plain) if whole)]))


def contains(normalised_text: str, query: str) -> bool:
    """Whether a text, already normalised, contains the query; an empty query is contained in every text."""
    return normalise(query) in normalised_text


def _pairs(plain: str) -> Iterator[str]:
    signs = [c for c in plain if c.isalnum()]
    return (a + b for a, b in zip(signs, signs[1:], strict=False))


def _words(plain: str) -> Iterator[tuple[str, bool]]:
    """Words, and whether each has a neighbour on both sides, so that it cannot be part of a longer word."""
    for found in WORD.finditer(plain):
        if SHORTEST_WORD <= len(found[0]) <= LONGEST_WORD:
            yield found[0], found.start() > 0 and found.end() < len(plain)
