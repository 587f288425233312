"""Divisions and units as people write them in a register: by code, by name, a village with its town before it."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date

from services.chassis.directory import Directory
from services.chassis.directory_entries import DIVISIONS, TOWN_LEVELS, UNITS, VILLAGE_LEVELS, Entry
from services.chassis.refusal import Invalid

CODE = re.compile(r"(\d{12})(\D.*)?")
ABOVE = re.compile(r"^(?:[\u4e00-\u9fff]{2,3}省)?(?:[\u4e00-\u9fff]{1,4}市)?")
VILLAGE_ENDINGS = re.compile(r"(?:社区居民委员会|社区居委会|村民委员会|居民委员会|村委会|居委会|社区|村|居)$")
TOWN_ENDINGS = re.compile(r"(?:街道办事处|人民政府|街道办|街道|镇|乡)$")
SHORTEST = 2
NAMED = 4


class Places:
    """Looks codes up by what stands in a cell; made anew for each job, so that it knows the directory of its day."""

    def __init__(self, directory: Directory) -> None:
        self._divisions: dict[str, list[Entry]] = defaultdict(list)
        self._units: dict[str, list[Entry]] = defaultdict(list)
        entries = directory.entries(DIVISIONS)
        self._by_code = {entry.code: entry for entry in sorted(entries, key=lambda entry: entry.valid_from)}
        self._district = next((entry.name for entry in entries if entry.level == "district"), "")
        for entry in entries:
            for key in set(self._names(entry)):
                self._divisions[key].append(entry)
        for entry in directory.entries(UNITS):
            for key in {_key(entry.code), _key(entry.name), self._without_district(_key(entry.name))}:
                self._units[key].append(entry)

    def division(self, text: str, village: str, on: date) -> str:
        """The code of a division, as it was called on a day. Raises Invalid, naming those that it could be."""
        code = CODE.fullmatch(_key(text))
        if code and not village:
            return code[1]
        above = self._full_name(code[1]) if code else text
        key = self._without_district(_key(above + village))
        found = _on(self._divisions.get(key, ()), on)
        if code:
            found = [entry for entry in found if entry.code.startswith(code[1].rstrip("0"))]
        if not found:
            raise Invalid(
                "division_code",
                "属地没有找到,请写 12 位区划代码,或“镇街+村社区”的名称。",
                "There is no such division; write its 12-digit code, or the names of town and village.",
            )
        if len({entry.code for entry in found}) > 1:
            raise self._ambiguous(found)
        return found[0].code

    def unit(self, text: str, field: str) -> str:
        """The code of a unit. Raises Invalid."""
        key = _key(text)
        found = self._units.get(key) or self._units.get(self._without_district(key))
        if not found:
            # An export writes code and name.
            found = self._units.get(_key(text.split()[0])) if text.split() else None
        codes = sorted({entry.code for entry in found or ()})
        if len(codes) != 1:
            zh = f"同名单位有 {len(codes)} 个" if codes else "没有这个单位"
            raise Invalid(
                field,
                f"{zh},请写单位代码或全称。",
                f"{len(codes)} units are called so; write the code or the full name.",
            )
        return codes[0]

    def title(self, code: str) -> str:
        """Code and name of a division, as a register shows it."""
        return f"{code} {self._full_name(code)}".strip()

    def unit_title(self, code: str) -> str:
        """Code and name of a unit."""
        found = self._units.get(_key(code))
        return f"{code} {found[0].name}" if code and found else code

    def _ambiguous(self, found: Iterable[Entry]) -> Invalid:
        names = sorted({self.title(entry.code) for entry in found})
        zh, more = "、".join(names[:NAMED]), "等" if len(names) > NAMED else ""
        return Invalid(
            "division_code",
            f"属地同名的有 {len(names)} 处:{zh}{more};请写上镇街,或写 12 位区划代码。",
            f"{len(names)} divisions are called so: {', '.join(names[:NAMED])}; name the town too, or write the code.",
        )

    def _full_name(self, code: str) -> str:
        entry = self._by_code.get(code)
        if entry is None:
            return ""
        town = self._by_code.get(entry.parent)
        return (town.name if town and town.level in TOWN_LEVELS else "") + entry.name

    def _names(self, entry: Entry) -> Iterator[str]:
        own = [*_shorter(entry.name, VILLAGE_ENDINGS if entry.level in VILLAGE_LEVELS else TOWN_ENDINGS)]
        yield from own
        town = self._by_code.get(entry.parent)
        if town is not None and entry.level in VILLAGE_LEVELS:
            for above in _shorter(town.name, TOWN_ENDINGS):
                yield from (above + name for name in own)

    def _without_district(self, key: str) -> str:
        plain = ABOVE.sub("", key)
        short = plain.removeprefix(_key(self._district)) if self._district else plain
        short = short if short != plain else plain.removeprefix("区")
        return short or key


def _shorter(name: str, endings: re.Pattern[str]) -> Iterator[str]:
    """A name with and without what it ends in, and with the shorter words for it."""
    key = _key(name)
    stem = endings.sub("", key)
    yield key
    if stem != key and len(stem) >= SHORTEST:
        yield stem
        if endings is VILLAGE_ENDINGS:
            yield from (stem + ending for ending in ("村", "社区", "村委会", "居委会", "村民委员会", "居民委员会"))
        else:
            yield from (stem + ending for ending in ("街道办事处", "街道", "镇", "乡"))


def _key(text: str) -> str:
    return re.sub(r"[\s、,,/\\\-—()()]+", "", unicodedata.normalize("NFKC", text)).upper()


def _on(found: Iterable[Entry], on: date) -> list[Entry]:
    """Those that held on the day; when none did, all."""
    every = list(found)
    return [entry for entry in every if entry.holds(on)] or every
