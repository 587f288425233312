"""Invented persons, and the memory of everything personal that a story typed in, for whoever scans for it later."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

# Names that no text of the system holds by chance. None of these people exists.
NAMES = (
    "闻人知远", "钟离若水", "慕容清和", "令狐望舒", "端木怀瑾", "百里拾光", "东方未晓", "南宫听雪", "皇甫临渊",
    "濮阳长风", "淳于半夏", "太叔行云", "申屠秋白", "公冶扶疏", "宗政无忧", "赫连北辰", "轩辕小满", "夏侯青禾",
)  # fmt: skip
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECK = "10X98765432"
# Any mainland mobile or identity number that stands alone, whoever typed it in.
MOBILE = re.compile(r"(?<![0-9A-Za-z_.-])1[3-9][0-9]{9}(?![0-9A-Za-z_-])")
IDENTITY = re.compile(r"(?<![0-9A-Za-z_.-])[1-9][0-9]{5}(?:19|20)[0-9]{9}[0-9Xx](?![0-9A-Za-z_-])")

# All that this run typed in, so that the logs of a district are searched for the persons of every story told to it.
EVERYBODY: list[Typed] = []


@dataclass
class Typed:
    """What was typed in: `personal` must be masked at every door, `texts` too must stay out of spans and logs."""

    personal: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        EVERYBODY.append(self)

    def person(self) -> dict[str, str]:
        """A new invented person, remembered."""
        chosen = random.choice([name for name in NAMES if name not in self.personal] or NAMES)
        house = f"{random.randint(100, 999)}号{random.randint(11, 99)}幢{random.randint(101, 909)}室"
        person = {
            "name": chosen, "phone": f"1{random.choice('3589')}{random.randint(10**8, 10**9 - 1)}",
            "id_no": identity_number(),
            "address": f"安徽省池州市贵池区秋浦街道演示路{house}",
        }  # fmt: skip
        self.personal += [chosen, person["phone"], person["id_no"], person["address"], house]
        return person

    def text(self, sentence: str) -> str:
        """A sentence of the case, remembered."""
        self.texts.append(sentence)
        return sentence

    def found_in(self, text: str, *, texts_too: bool = False) -> list[str]:
        """What of it stands in a text, and any other number that looks like a person's."""
        known = [value for value in dict.fromkeys(self.personal + (self.texts if texts_too else [])) if value in text]
        return known + MOBILE.findall(text) + IDENTITY.findall(text)


class OnePerson(Typed):
    """For those whose calls are refused by the thousand: always the same person, so that scans stay quick."""

    def person(self) -> dict[str, str]:
        """The person, made at the first call."""
        if not self.personal:
            self.only = super().person()
        return dict(self.only)


def everything_typed() -> Typed:
    """What all stories of this run typed in."""
    told = [*EVERYBODY]
    return Typed([v for one in told for v in one.personal], [v for one in told for v in one.texts])


def identity_number() -> str:
    """A well-formed identity number (GB 11643) of an invented person."""
    day = f"19{random.randint(50, 99)}{random.randint(1, 12):02}{random.randint(1, 28):02}"
    first = f"341702{day}{random.randint(100, 999)}"
    return first + CHECK[sum(int(digit) * weight for digit, weight in zip(first, WEIGHTS, strict=True)) % 11]
