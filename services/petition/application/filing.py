"""A citizen files a petition online, without an account, under the same rules as at the window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.chassis.refusal import Forbidden, Invalid, Violation
from services.petition.application import use_cases
from services.petition.application.attempts import Ceiling
from services.petition.application.following import Desk
from services.petition.application.ports import Case
from services.petition.domain.registration import Registration
from services.petition.domain.terms import PetitionClass

# 个人信息保护法 art. 17, 35: whoever takes personal data says what for, how long, and what the person may ask for.
NOTICE_ZH = (
    "您填写的姓名、电话、证件号码、住址和反映的内容,仅由受理和承办本信访件的机关用于核实、办理和答复本件"
    "(《信访工作条例》第十九条、第二十二条),不作他用,在办理和归档的法定期限内保存;回复中一律遮盖,"
    "被反映的单位看不到检举控告材料。您可以向登记单位要求查阅、复制、更正(《个人信息保护法》第十七条、第三十五条、第四十五条)。"
)
NOTICE_EN = (
    "Your name, phone, identity number, address and what you write are used by the organs that handle this petition, to "
    "check, handle and answer it (信访工作条例 art. 19, 22) and for nothing else, and are kept for the statutory time of "
    "handling and archiving. They are masked in every reply; a unit complained of never reads the complaint. You may ask "
    "the registering office to see, copy and correct them (个人信息保护法 art. 17, 35, 45)."
)


@dataclass(frozen=True)
class Filing:
    """What a citizen wrote into the form."""

    registration: Registration
    pin: str = ""
    notice_read: bool = False
    # What only machines fill in.
    trap: str = ""


def check_filing(filing: Filing) -> None:
    """Raises Invalid naming every field that an online filing lacks."""
    if wrong := list(_wrong(filing)):
        raise Invalid.of(wrong)


def file_online(
    desk: Desk, filing: Filing, petition_id: str, numbers: tuple[str, str], source: str, ceilings: Sequence[Ceiling]
) -> Case:
    """The hall of this tier registers what a citizen wrote; one source may file so often."""
    check_filing(filing)
    for ceiling in ceilings:
        ceiling.check(desk.following, f"source:{source}", desk.work.now)
    case = use_cases.register_petition(desk.work, petition_id, filing.registration, *numbers)
    desk.following.tried("file", f"source:{source}")
    if filing.pin:
        desk.following.set_pin(petition_id, filing.pin)
    return case


def as_citizen_would_hear(refusal: Forbidden) -> Invalid:
    """A citizen has no scope and no unit; what the window would call forbidden is a wrong field of the form."""
    field = "division_code" if refusal.reason == "OUT_OF_SCOPE" else "accused_unit"
    if refusal.reason == "OUT_OF_SCOPE":
        zh, en = "该属地不归本级受理,请向属地的综治中心反映。", "This tier does not serve that division; file with the centre there."
    else:
        zh = "被检举的单位就是本级接访单位,请向上一级机关反映(信访工作条例第三十条)。"
        en = "The unit complained of registers petitions here; file with the next higher organ (信访工作条例 art. 30)."
    return Invalid(field, zh, en)


def _wrong(filing: Filing) -> Iterator[Violation]:
    draft = filing.registration
    if filing.trap.strip():
        yield Violation("website", "“网站”一项请留空。", "Leave website empty.")
    if not filing.notice_read:
        yield Violation(
            "notice_read",
            "请先阅读个人信息处理告知并勾选。",
            "Read the notice on personal data, then set notice_read to true.",
        )
    if not draft.representatives and draft.petition_class is not PetitionClass.SUGGESTION:
        yield Violation(
            "representatives",
            "请填写姓名和电话;只有建议意见可以匿名提出。",
            "Write name and phone; only a suggestion (PETITION_CLASS_SUGGESTION) may be filed without.",
        )
    for place, person in enumerate(draft.representatives):
        if not person.phone.strip():
            yield Violation(
                f"representatives[{place}].phone",
                "请填写电话,以便联系和凭后四位查询。",
                "Write the phone; the office calls it, and its last four digits open the case.",
            )
