"""The slip: what stands on the paper, as HTML and as PDF, and that every print is remembered."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from protos.petition.v1 import following_pb2 as pb
from protos.petition.v1 import petition_pb2 as petition_pb
from services.chassis.ids import uuid7
from services.chassis.refusal import Exhausted, Invalid, NotFound, Unavailable
from services.petition.adapters import slip_pdf
from services.petition.tests.citizen import DIGITS, Door
from services.petition.tests.hall import COMMAND, LABOUR, PETITIONER, an_officer, days_ago

URL = "https://zz.example.org/hall"
FONT = Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc")
needs_font = pytest.mark.skipif(
    not FONT.exists() or not shutil.which("pdftotext"), reason="needs fonts-wqy-microhei and poppler-utils"
)


@pytest.fixture
def door(hall):
    """The hall with a printer and a public page."""
    return Door(hall, public_url=URL)


def printed(door, petition_id, code="", form=pb.PAPER_FORMAT_HTML):
    request = pb.PrintSlipRequest(id=petition_id, public_code=code, format=form)
    return door.clerk("PrintSlip", request)


def by_citizen(door, code, proof="", form=pb.PAPER_FORMAT_HTML, source="10.1.1.1"):
    return door.call("TrackSlip", pb.TrackSlipRequest(public_code=code, proof=proof, format=form), source)


def text_of(document):
    return re.sub(r"<style.*?</style>|<svg.*?</svg>", "", document.data.decode(), flags=re.S)


def test_the_slip_tells_number_code_matter_clock_and_remedies(door):
    petition, code = door.registered(received_on=days_ago(0))
    paper = printed(door, petition.id, code)
    shown = text_of(paper)
    assert paper.content_type == "text/html; charset=utf-8"
    for told in (petition.case_number, code, "宅基地界址纠纷", "贵池区信访局", "15 日", "复查", "三十日", f"{URL}/track", "评价"):
        assert told in shown, told
    assert "补打" not in shown
    assert "第 22、23 条" in shown


def test_no_personal_data_stands_on_it_in_clear(door):
    petition, code = door.registered(subject="王小明与邻居纠纷,电话13800001234")
    shown = text_of(printed(door, petition.id, code))
    assert "王**与邻居纠纷" in shown
    assert not [secret for secret in PETITIONER.values() if secret in shown]


def test_nothing_is_loaded_from_elsewhere_and_no_script_runs(door):
    petition, code = door.registered(subject='<script>alert(1)</script>"><img src=x>')
    page = printed(door, petition.id, code).data.decode()
    assert "<script" not in page
    assert "<img" not in page
    assert not re.search(r"<[^>]*(?:src|href)\s*=|url\(|@import", page)


def test_the_qr_leads_to_the_public_page_with_the_code_behind_the_hash(door, monkeypatch):
    made = []
    import segno

    make = segno.make
    monkeypatch.setattr(segno, "make", lambda text, **more: made.append(text) or make(text, **more))
    petition, code = door.registered()
    page = printed(door, petition.id, code).data.decode()
    assert made == [f"{URL}/track#{code}"]
    assert "<svg" in page
    Door(door.hall).clerk("PrintSlip", pb.PrintSlipRequest(id=petition.id, public_code=code))
    assert made[1] == code


def test_without_the_code_the_slip_says_how_to_get_a_new_one(door):
    petition, code = door.registered()
    page = printed(door, petition.id).data.decode()
    assert "换发新码" in page
    assert "<svg" not in page
    assert code not in page


def test_another_cases_code_does_not_get_onto_it(door):
    petition, _ = door.registered()
    _, other = door.registered()
    with pytest.raises(Invalid):
        printed(door, petition.id, other)
    assert not door.hall.audited("petition.print_slip")


def test_a_code_that_was_replaced_does_not_get_onto_it(door):
    petition, old = door.registered()
    request = pb.ReissueCodeRequest(
        id=petition.id, request_id=uuid7(), reason="遗失", identity_checked=pb.IDENTITY_CHECK_ID_CARD
    )
    new = door.clerk("ReissueCode", request).public_code
    with pytest.raises(Invalid):
        printed(door, petition.id, old)
    assert new in text_of(printed(door, petition.id, new))


def test_every_print_is_remembered_and_the_second_says_so(door):
    petition, code = door.registered()
    printed(door, petition.id, code)
    assert "补打(第 2 次)" in text_of(printed(door, petition.id))
    assert "补打(第 3 次)" in text_of(by_citizen(door, code))
    rows = door.hall.audited("petition.print_slip")
    assert [row.actor for row in rows] == ["clerk", "clerk", "public"]
    entries = door.hall.call("ListTimeline", petition_pb.ListTimelineRequest(id=petition.id)).entries
    assert [entry.text for entry in entries if entry.kind == "petition.slip_printed"] == [
        "窗口打印回执(第 1 次,带查询码)", "窗口打印回执(第 2 次,补打)", "查询码持有人打印回执(第 3 次,补打,带查询码)",
    ]  # fmt: skip
    assert code not in str([*rows, *entries])


def test_a_citizen_gets_what_was_asked_onto_it_with_the_proof_only(door):
    _, code = door.registered()
    assert "宅基地" not in text_of(by_citizen(door, code))
    assert "宅基地" in text_of(by_citizen(door, code, DIGITS))
    with pytest.raises(NotFound):
        by_citizen(door, code, "0000")


def test_what_an_accusation_is_about_stands_on_no_slip(door):
    petition, code = door.registered(petition_class=petition_pb.PETITION_CLASS_ACCUSATION, accused_unit=LABOUR)
    door.hall.accept(petition.id, COMMAND)
    for paper in (printed(door, petition.id, code), by_citizen(door, code, DIGITS)):
        shown = text_of(paper)
        assert "宅基地" not in shown
        assert "政法委" not in shown


def test_one_source_prints_ten_slips_an_hour(door):
    _, code = door.registered()
    for _ in range(10):
        by_citizen(door, code)
    with pytest.raises(Exhausted):
        by_citizen(door, code)
    assert by_citizen(door, code, source="10.1.1.2").data


def test_who_may_not_see_the_case_prints_nothing(door):
    petition, code = door.registered()
    with door.hall.as_(an_officer(COMMAND)), pytest.raises(NotFound):
        printed(door, petition.id, code)


def test_without_the_font_pdf_says_which_package_is_missing_and_html_prints(hall, tmp_path):
    door = Door(hall, slip_font=tmp_path / "none.ttf")
    petition, code = door.registered()
    with pytest.raises(Unavailable) as told:
        printed(door, petition.id, code, pb.PAPER_FORMAT_PDF)
    assert "fonts-wqy-microhei" in told.value.message
    assert not hall.audited("petition.print_slip")
    assert printed(door, petition.id, code).data


@needs_font
def test_the_pdf_holds_the_same_with_its_font_embedded(door, tmp_path):
    petition, code = door.registered()
    paper = printed(door, petition.id, code, pb.PAPER_FORMAT_PDF)
    file = tmp_path / "slip.pdf"
    file.write_bytes(paper.data)
    shown = subprocess.run(["pdftotext", "-layout", str(file), "-"], capture_output=True, text=True, check=True).stdout
    plain = "".join(shown.split())
    for told in (petition.case_number, code, "宅基地界址纠纷", "贵池区信访局", "复查", "信访登记回执"):
        assert told in plain, told
    fonts = subprocess.run(["pdffonts", str(file)], capture_output=True, text=True, check=True).stdout
    assert "WenQuanYiMicroHei" in fonts
    assert paper.content_type == "application/pdf"
    assert len(paper.data) < 200_000


@needs_font
def test_a_font_that_cannot_be_read_is_no_stack_trace(hall, tmp_path):
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    door = Door(hall, slip_font=broken)
    petition, _ = door.registered()
    with pytest.raises(Unavailable) as told:
        printed(door, petition.id, form=pb.PAPER_FORMAT_PDF)
    assert told.value.reason == "PDF_FAILED"


def test_the_code_is_in_no_argument_of_the_child(door, monkeypatch):
    given = []
    monkeypatch.setattr(slip_pdf.child, "run", lambda task, source, limits, **more: given.append((source, more)) or b"%PDF")
    monkeypatch.setattr(slip_pdf, "check_font", lambda _: None)
    petition, code = door.registered()
    printed(door, petition.id, code, pb.PAPER_FORMAT_PDF)
    ((source, more),) = given
    assert code in source.decode()
    assert code not in str(more)
