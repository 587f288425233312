"""The slip 回执 that a petitioner takes home: what was registered, which clock binds the office, how to go on.

The public code stands on it only when it is given for the print: what is kept is its keyed hash.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from services.chassis.deadline import Colour, Deadline
from services.petition.domain import public_page
from services.petition.domain.petition import Petition
from services.petition.domain.terms import CHANNEL_ZH, PetitionClass

CLASS_ZH = {
    PetitionClass.SUGGESTION: "建议意见",
    PetitionClass.ACCUSATION: "检举控告",
    PetitionClass.CLAIM: "申诉求决",
}
REMEDIES = (
    "不服信访处理意见的,自收到书面答复之日起三十日内,可以请求原办理机关、单位的上一级机关、单位复查;"
    "不服复查意见的,自收到书面答复之日起三十日内,可以请求复查机关、单位的上一级机关、单位复核"
    "(《信访工作条例》第三十五条、第三十六条)。",
    "依法应当通过诉讼、仲裁、行政复议等法定途径解决的,承办单位会书面告知,请注意各途径的法定时限。",
)
KEEP_IT = "请妥善保管查询码,不要告诉他人;遗失的可持身份证件到登记单位换发,旧码随即失效。"
NO_CODE = "查询码只在登记时告知一次。遗失的请持身份证件到登记单位换发新码(旧码随即失效),再打印带码的回执。"
PROOF = "查看书面答复、评价、补充材料,还需登记手机号的后四位(或您自设的密码)。"
RATE = "办结后可凭查询码对办理工作作出评价:满意、基本满意、不满意。"
WITHHELD = "(凭查询码打印的回执不列事由)"


@dataclass(frozen=True)
class Slip:
    """Everything that stands on the paper, as people read it."""

    office: str
    phone: str
    case_number: str
    # XXXX-XXXX-XXXX-C; empty when it was not given.
    code: str
    # What the QR holds; empty without a code.
    link: str
    # Where the public page is; empty when no address was set.
    page: str
    subject: str
    petition_class: str
    channel: str
    received_on: str
    stage: str
    clock: str
    clock_source: str
    printed_on: str
    # 1 for the first print.
    print_no: int

    @property
    def is_copy(self) -> bool:
        """Whether the paper says 补打."""
        return self.print_no > 1

    def rows(self) -> list[tuple[str, str]]:
        """The table of the paper: what it is about."""
        rows = [
            ("信访编号", self.case_number),
            ("登记单位", self.office + (f"(电话 {self.phone})" if self.phone else "")),
            ("登记日期", self.received_on),
            ("渠道、类别", f"{self.channel} · {self.petition_class}"),
            ("反映事项", self.subject),
            ("当前状态", self.stage),
            ("办理期限", self.clock + (f"({self.clock_source})" if self.clock_source else "")),
        ]
        return [(name, text) for name, text in rows if text]

    def notes(self) -> list[str]:
        """What comes next, line by line."""
        where = f"扫描二维码,或打开 {self.page} 输入查询码。" if self.page else "凭查询码在本级综治中心公开网页或窗口查询。"
        asked = [f"查询进度:{where}{PROOF}", RATE, KEEP_IT] if self.code else [NO_CODE, RATE]
        called = [f"咨询电话:{self.phone}({self.office})。"] if self.phone else [f"咨询请到{self.office}窗口。"]
        return [*asked, *REMEDIES, *called]

    def data(self) -> dict[str, Any]:
        """The same for the child that draws the PDF."""
        return {**asdict(self), "rows": self.rows(), "notes": self.notes(), "is_copy": self.is_copy}


@dataclass(frozen=True)
class Print:
    """What is known of one print: the code if it was given, whether what was asked may stand on it, and its number."""

    code: str
    public_url: str
    with_subject: bool
    on: date
    number: int


def slip_of(
    petition: Petition, subject: str, office: tuple[str, str], clock: Deadline | None, colour: Colour | None, made: Print
) -> Slip:
    """The slip of a petition; `subject` is masked already."""
    sealed = petition.petition_class is PetitionClass.ACCUSATION
    page = f"{made.public_url.rstrip('/')}/track" if made.public_url else ""
    # After the #, which browsers keep to themselves: never in a path, a query or a server's log.
    link = (f"{page}#{made.code}" if page else made.code) if made.code else ""
    return Slip(
        office=office[0],
        phone=office[1],
        case_number=petition.case_number,
        code=made.code,
        link=link,
        page=page,
        subject=WITHHELD if sealed or not made.with_subject else subject,
        petition_class=CLASS_ZH[petition.petition_class],
        channel=CHANNEL_ZH[petition.channel],
        received_on=petition.received_on.isoformat(),
        stage=public_page.stage(petition)[0],
        clock=public_page.clock_words(clock, colour)[0] if clock and colour else "",
        clock_source=_source_zh(clock.source) if clock else "",
        printed_on=made.on.isoformat(),
        print_no=made.number,
    )


def _source_zh(source: str) -> str:
    """信访工作条例 art. 22, 23 → 《信访工作条例》第22、23条."""
    law, found, articles = source.partition(" art. ")
    return f"《{law}》第 {articles.replace(', ', '、')} 条" if found else source
