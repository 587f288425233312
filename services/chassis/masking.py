"""What a reader without the right to reveal may see of names, phones, identity numbers, addresses and free text.

The rule is the smallest part by which a clerk at the counter still recognises the person (个人信息保护法 6: no more
than the purpose needs): the surname, the last four digits of a mobile phone, province and city of an identity number,
the village or street of an address. A mask tells nothing of the length of what it hides, except in Chinese names and
identity numbers, whose length is known anyway.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from services.chassis import numbers_in_text

HIDDEN = "****"
_SURNAMES = (
    "欧阳司马上官诸葛夏侯东方皇甫尉迟公孙慕容令狐司徒司空宇文长孙鲜于闾丘太史申屠轩辕"
    "端木百里南宫东郭西门独孤呼延公冶钟离澹台濮阳淳于单于太叔公羊赫连宗政仲孙万俟闻人"
    "第五南门东门乐正左丘拓跋纳兰完颜歐陽司馬諸葛東方尉遲公孫令狐長孫鮮于軒轅南宮西門"
)
COMPOUND_SURNAMES = frozenset(_SURNAMES[i : i + 2] for i in range(0, len(_SURNAMES), 2))
HAN_NAME = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af]+")
MOBILE_LENGTH = 11
SHORTEST_PHONE = 7
NUMERAL = "一二三四五六七八九十百零〇两"
HOUSE = re.compile(
    rf"[0-9A-Za-z#*]|[{NUMERAL}甲乙丙丁]+(?:号|组|队|栋|幢|座|弄|单元|室|户|楼|层|门)|附近|对面|隔壁|旁边"
)
# 杏花村街道 is a street office and no village.
VILLAGE = re.compile(r"(?<=.)(?:村|社区)(?!街道|大道|[镇乡路街])(?:(?:民|居|居民)?委(?:员)?会)?")
STREET = re.compile(r"(?<=.)(?:大道|街道|胡同|路|街|巷|镇|乡|(?<!小)区|县|旗|市|省)")


def mask_name(text: str) -> str:
    """张三 → 张*, 王小明 → 王**, 欧阳锋 → 欧阳*; names in other scripts and with a dot keep one character: J***."""
    name = "".join(text.split())
    if not name:
        return ""
    if not HAN_NAME.fullmatch(name):
        return name[0] + "***" if len(name) > 1 and name[0].isalpha() else "***"
    kept = 2 if len(name) > 2 and name[:2] in COMPOUND_SURNAMES else min(1, len(name) - 1)
    return name[:kept] + "*" * (len(name) - kept)


def mask_phone(text: str) -> str:
    """A mobile keeps its first three and last four digits, 138****5678; any other number its last two."""
    if not text.strip():
        return ""
    digits = re.sub(r"\D", "", unicodedata.normalize("NFKC", text))
    mobile = numbers_in_text.mobile(digits)
    if mobile:
        return f"{mobile[:3]}{HIDDEN}{mobile[-4:]}"
    return HIDDEN + digits[-2:] if len(digits) >= SHORTEST_PHONE else HIDDEN


def mask_id_no(text: str) -> str:
    """18 or 15 characters keep the first four (province and city) and the last two; any other document its last two."""
    plain = re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", text))
    if not plain:
        return HIDDEN if text.strip() else ""
    if len(plain) in (15, 18):
        return plain[:4] + "*" * (len(plain) - 6) + plain[-2:]
    return HIDDEN + (plain[-2:] if len(plain) >= SHORTEST_PHONE else "")


def mask_address(text: str) -> str:
    """Keeps the address down to its village, or else its street; the house and all that follows is hidden."""
    plain = "".join(unicodedata.normalize("NFKC", text).split())
    if not plain:
        return ""
    house = HOUSE.search(plain)
    head = plain[: house.start()] if house else plain
    village = VILLAGE.search(head)
    last = village or max(STREET.finditer(head), key=lambda found: found.end(), default=None)
    return (head[: last.end()] if last else "") + HIDDEN


def mask_text(text: str, names: Iterable[str]) -> str:
    """Free text with phones, identity numbers, card numbers and these names masked; names of one character are left."""
    return _mask_names(numbers_in_text.replace(text, _mask_number), names) if text else ""


def _mask_number(kind: numbers_in_text.Kind, digits: str) -> str:
    if kind is numbers_in_text.Kind.PHONE:
        return mask_phone(digits)
    if kind is numbers_in_text.Kind.ID:
        return mask_id_no(digits)
    return HIDDEN + digits[-4:] if kind is numbers_in_text.Kind.CARD else HIDDEN


@lru_cache(maxsize=256)
def _any_of(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(r"\s*".join(map(re.escape, name)) for name in names), re.IGNORECASE)


def _mask_names(text: str, names: Iterable[str]) -> str:
    written = {"".join(name.split()) for name in names}
    known = sorted((name for name in written if len(name) > 1 and "*" not in name), key=len, reverse=True)
    if not known:
        return text
    anyone = _any_of(tuple(known))
    # A mask may leave another name standing (欧阳锋 → 欧阳*, when 欧阳 is a name too), so until nothing is left.
    while (masked := anyone.sub(lambda found: mask_name(found[0]), text)) != text:
        text = masked
    return text
