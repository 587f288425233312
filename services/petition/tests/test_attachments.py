"""Files of a case: there whole or not at all, shown to whom the case is shown, and remembered when they are removed."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select

from protos.files.v1 import files_pb2
from protos.petition.v1 import petition_pb2
from services.chassis import clock, identity
from services.chassis.ids import uuid7
from services.petition.adapters.tables_attachments import blobs
from services.petition.domain.attachment import Quota
from services.petition.tests.files import PDF, Files, a_photo
from services.petition.tests.hall import COMMAND, HALL, LABOUR, Hall, an_officer, refused

REQUEST = "018f6f2e-7c1a-7d3b-8a4e-0123456789ab"


@pytest.fixture
def files(hall: Hall) -> Iterator[Files]:
    """The hall's cabinet."""
    opened = Files(hall)
    yield opened
    store: Any = opened.room.blobs._store
    if store.db is not hall.db:
        store.db.close()


def held(files: Files) -> dict[str, str]:
    """The ledger: what each blob is."""
    with files.hall.db.reading() as conn:
        return {row.id: row.state for row in conn.execute(select(blobs))}


def broken(petition_id: str) -> Iterator[files_pb2.Upload]:
    yield files_pb2.Upload(header=files_pb2.UploadHeader(id=petition_id, filename="井.pdf"))
    yield files_pb2.Upload(data=PDF)
    raise ConnectionError("the line is dead")


class TestAttachments:
    def test_a_file_is_listed_and_read_as_it_was_sent(self, hall: Hall, files: Files) -> None:
        petition = hall.register().id
        added = files.add(petition, options={"note": "现场"}, sha256=hashlib.sha256(PDF).hexdigest(), size=60_000)
        assert (added.filename, added.content_type, added.size) == ("井.pdf", "application/pdf", len(PDF))
        assert (added.uploaded_by, added.uploaded_unit, added.note) == ("clerk", HALL, "现场")
        assert added.kind_zh == "PDF 文档"
        assert files.listed(petition) == [added]
        piece = files.read(petition, added.id)
        assert (piece.data, piece.total, piece.sha256) == (PDF, len(PDF), added.sha256)
        assert (piece.filename, piece.content_type) == ("井.pdf", "application/pdf")

    def test_any_part_can_be_read(self, hall: Hall, files: Files) -> None:
        petition = hall.register().id
        content = b"%PDF-1.4\n" + bytes(range(256)) * 3000
        file = files.add(petition, content).id
        for offset, length in ((0, 10), (262_140, 10), (700_000, 0), (len(content) - 1, 50), (len(content), 5)):
            piece = files.read(petition, file, offset, length)
            assert piece.data == content[offset : offset + (length or 262_144)]
            assert piece.total == len(content)

    def test_timeline_and_audit_tell_of_it_without_its_name(self, hall: Hall, files: Files) -> None:
        petition = hall.register().id
        added = files.add(petition, name="王小明身份证.pdf")
        line = hall.timeline(petition)[-1]
        assert (line.kind, "PDF 文档" in line.text) == ("petition.file_added", True)
        (row,) = hall.audited("petition.attach")
        assert json.loads(row.details)["sha256"] == added.sha256
        assert "王小明" not in row.details + line.text + line.text_en

    def test_names_and_numbers_are_masked_in_every_reply(self, hall: Hall, files: Files) -> None:
        petition = hall.register().id
        added = files.add(petition, name="王小明 13800001234.pdf", options={"note": "王小明的房产证"})
        assert (added.filename, added.note) == ("王** 138****1234.pdf", "王**的房产证")
        assert files.listed(petition)[0].filename == added.filename
        assert files.read(petition, added.id).filename == "王○○ 138○○○○1234.pdf"
        gone = files.remove(petition, added.id, "王小明说传错了")
        assert gone.removed_reason == "王**说传错了"
        assert "王小明" not in hall.timeline(petition)[-1].text

    def test_who_may_not_see_the_petition_finds_no_file(self, hall: Hall, files: Files) -> None:
        petition = hall.register().id
        file = files.add(petition).id
        stranger = an_officer(LABOUR, account="stranger")
        with hall.as_(stranger):
            for deed in (
                lambda: files.add(petition),
                lambda: files.listed(petition),
                lambda: files.read(petition, file),
                lambda: files.thumbnail(petition, file),
                lambda: files.remove(petition, file),
            ):
                with refused("NOT_FOUND"):
                    deed()
        assert len(files.listed(petition)) == 1

    def test_the_unit_complained_of_reads_no_file_even_with_the_right_to_read_all(
        self, hall: Hall, files: Files
    ) -> None:
        petition = hall.register(accused_unit=LABOUR, petition_class=petition_pb2.PETITION_CLASS_ACCUSATION).id
        file = files.add(petition).id
        with hall.as_(an_officer(LABOUR, more="read_all")), refused("NOT_FOUND"):
            files.read(petition, file)
        with hall.as_(an_officer(COMMAND, more="read_all")):
            assert files.read(petition, file).data == PDF

    def test_a_file_is_of_its_own_petition_only(self, hall: Hall, files: Files) -> None:
        one, other = hall.register().id, hall.register().id
        file = files.add(one).id
        with refused("NOT_FOUND"):
            files.read(other, file)
        with refused("NOT_FOUND"):
            files.remove(other, file)

    def test_every_reader_is_in_the_audit_once_a_look(self, hall: Hall, files: Files) -> None:
        petition = hall.register().id
        file = files.add(petition).id
        for offset in (0, 10, 20):
            files.read(petition, file, offset, 10)
        with hall.as_(an_officer(account="other")):
            files.read(petition, file, 4000, 10)
        rows = [(row.actor, json.loads(row.details)) for row in hall.audited("petition.read_file")]
        assert rows == [(who, {"file_id": file, "what": "file"}) for who in ("clerk", "other")]

    def test_a_look_that_cannot_be_noted_shows_nothing(
        self, hall: Hall, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        petition = hall.register().id
        file = files.add(petition).id
        monkeypatch.setattr("services.petition.application.attachments.note_reading", lambda *_: 1 / 0)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                files.read(petition, file)

    def test_a_removed_file_stays_in_the_list_with_who_when_and_why_and_is_read_no_more(
        self, hall: Hall, files: Files
    ) -> None:
        petition = hall.register().id
        file, stays = files.add(petition).id, files.add(petition, name="另一份.pdf").id
        with hall.as_(an_officer(account="lead")):
            gone = files.remove(petition, file, "与本案无关")
        assert (gone.removed_by, gone.removed_unit, gone.removed_reason) == ("lead", HALL, "与本案无关")
        assert gone.HasField("removed_at")
        assert [one.id for one in files.listed(petition)] == [stays, file]
        assert [one.id for one in files.listed(petition, present_only=True)] == [stays]
        with refused("NOT_FOUND"):
            files.read(petition, file)
        assert files.remove(petition, file, "再来一次") == gone
        assert hall.kinds(petition)[-1] == "petition.file_removed"
        assert len(hall.audited("petition.remove_file")) == 1

    def test_bytes_of_a_removed_file_are_deleted_when_their_time_has_come(self, hall: Hall, files: Files) -> None:
        petition = hall.register().id
        files.remove(petition, files.add(petition, a_photo(), "井.jpg").id)
        assert set(held(files).values()) == {"doomed"}
        assert files.room.blobs.sweep(clock.now() + timedelta(days=179)) == 0
        assert files.room.blobs.sweep(clock.now() + timedelta(days=181)) == 2
        assert held(files) == {}
        assert len(files.listed(petition)) == 1

    def test_nothing_is_added_to_a_voided_petition(self, hall: Hall, files: Files) -> None:
        petition = hall.register().id
        hall.void(petition)
        with refused("PETITION_STATE"):
            files.add(petition)
        assert held(files) == {}

    def test_what_breaks_off_or_is_refused_leaves_nothing(self, hall: Hall, files: Files) -> None:
        petition = hall.register().id
        with pytest.raises(ConnectionError):
            files.rpc.UploadAttachment(broken(petition), None)  # type: ignore[arg-type]
        with refused("DIGEST_MISMATCH"):
            files.add(petition, sha256="0" * 64)
        short = [files_pb2.Upload(header=files_pb2.UploadHeader(id=petition, filename="井.pdf", size=len(PDF) + 1))]
        with refused("SIZE_MISMATCH"):
            files.rpc.UploadAttachment(iter([*short, files_pb2.Upload(data=PDF)]), None)  # type: ignore[arg-type]
        with refused("FILE_TYPE_MISMATCH"):
            files.add(petition, name="井.docx")
        with refused("FILE_TYPE"):
            files.add(petition, b"MZ" + bytes(9000), "井.exe")
        with refused("FILE_TOO_LARGE"):
            files.add(petition, b"%PDF-1.4\n" + bytes(20 << 20), size=200_000)
        assert files.listed(petition) == []
        assert held(files) == {}

    def test_a_petition_that_was_voided_meanwhile_takes_no_file(self, hall: Hall, files: Files) -> None:
        petition = hall.register().id

        def slow() -> Iterator[files_pb2.Upload]:
            yield files_pb2.Upload(header=files_pb2.UploadHeader(id=petition, filename="井.pdf"))
            yield files_pb2.Upload(data=PDF)
            hall.void(petition)

        with refused("PETITION_STATE"):
            files.rpc.UploadAttachment(slow(), None)  # type: ignore[arg-type]
        assert held(files) == {}

    def test_a_case_holds_so_many_files_and_bytes_and_removing_makes_room(self, hall: Hall, files: Files) -> None:
        petition = hall.register().id
        small = Files(hall, Quota(2, len(PDF) * 2 + 10), files.room)
        first = small.add(petition).id
        small.add(petition)
        with refused("CASE_FILES_FULL"):
            small.add(petition)
        small.remove(petition, first)
        with refused("CASE_FILES_FULL"):
            small.add(petition, PDF + bytes(100))
        small.add(petition)

    def test_two_at_once_for_the_last_place_give_one_file(self, hall: Hall, files: Files) -> None:
        petition = hall.register().id
        small = Files(hall, Quota(1, 1 << 20), files.room)
        ready, outcomes = threading.Barrier(2), list[Any]()

        def stream() -> Iterator[files_pb2.Upload]:
            yield files_pb2.Upload(header=files_pb2.UploadHeader(id=petition, filename="井.pdf"))
            ready.wait(30)
            yield files_pb2.Upload(data=PDF)

        def upload() -> None:
            identity.set_current(an_officer())
            try:
                outcomes.append(small.rpc.UploadAttachment(stream(), None).size)  # type: ignore[arg-type]
            except Exception as error:
                outcomes.append(getattr(error, "reason", repr(error)))

        threads = [threading.Thread(target=upload) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(map(str, outcomes)) == [str(len(PDF)), "CASE_FILES_FULL"]
        assert list(held(files).values()) == ["kept"]

    def test_a_repeated_request_adds_the_file_once(self, hall: Hall, files: Files) -> None:
        petition = hall.register().id
        first = files.add(petition, request_id=REQUEST)
        assert files.add(petition, request_id=REQUEST.upper()) == first
        assert files.add(petition, request_id=REQUEST, sha256=first.sha256) == first
        assert len(files.listed(petition)) == 1
        with refused("REQUEST_ID_REUSED"):
            files.add(petition, PDF + b"other", request_id=REQUEST)
        assert list(held(files).values()) == ["kept"]
        assert files.add(hall.register().id, request_id=REQUEST).id != first.id

    def test_a_repeat_answers_even_when_the_case_is_full_or_voided_by_now(self, hall: Hall, files: Files) -> None:
        petition = hall.register().id
        full = Files(hall, Quota(1, 1 << 20), files.room)
        first = full.add(petition, request_id=REQUEST)
        hall.void(petition)
        assert full.add(petition, request_id=REQUEST) == first

    def test_lists_page_newest_first(self, hall: Hall, files: Files) -> None:
        petition = hall.register().id
        ids = [files.add(petition, name=f"{i}.pdf").id for i in range(5)]
        page = files.page(petition, page_size=2)
        seen = [one.id for one in page.attachments]
        while page.next_page_token:
            page = files.page(petition, page_size=2, page_token=page.next_page_token)
            seen += [one.id for one in page.attachments]
        assert seen == ids[::-1]
        with refused("FIELD_INVALID"):
            files.page(hall.register().id, page_token=files.page(petition, page_size=2).next_page_token)

    def test_an_unknown_field_of_the_form_and_a_wrong_note_are_named(self, hall: Hall, files: Files) -> None:
        petition = hall.register().id
        for options, field in (
            ({"colour": "red"}, "colour"),
            ({"note": "x" * 201}, "note"),
            ({"note": "a\x07"}, "note"),
        ):
            with refused("FIELD_INVALID") as caught:
                files.add(petition, options=options)
            assert caught.value.violations[0].field == field

    def test_an_unknown_petition_is_not_found_before_any_byte_is_read(self, files: Files) -> None:
        def never() -> Iterator[files_pb2.Upload]:
            yield files_pb2.Upload(header=files_pb2.UploadHeader(id=uuid7(), filename="井.pdf"))
            raise AssertionError("a byte was asked for")

        with refused("NOT_FOUND"):
            files.rpc.UploadAttachment(never(), None)  # type: ignore[arg-type]


class TestThumbnails:
    @pytest.fixture
    def backend(self) -> str:
        """Pictures do not depend on the database."""
        return "sqlite"

    @pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
    def test_an_image_gets_a_small_picture(self, hall: Hall, files: Files, form: str) -> None:
        petition = hall.register().id
        added = files.add(petition, a_photo(600, form), f"井.{form.lower()}")
        assert added.has_thumbnail
        piece = files.thumbnail(petition, added.id)
        with Image.open(io.BytesIO(piece.data)) as small:
            assert (small.format, max(small.size)) == ("JPEG", 256)
        assert piece.sha256 == hashlib.sha256(piece.data).hexdigest()
        assert (piece.total, piece.content_type) == (len(piece.data), "image/jpeg")

    def test_a_photo_that_lies_on_its_side_stands_up_and_tells_no_place(self, hall: Hall, files: Files) -> None:
        petition = hall.register().id
        exif = Image.Exif()
        exif[0x0112], exif[0x8825] = 6, {1: "N", 2: (30.0, 39.0, 0.0)}
        photo = a_photo(600, "JPEG", exif=exif)
        piece = files.thumbnail(petition, files.add(petition, photo, "井.jpg").id)
        with Image.open(io.BytesIO(piece.data)) as small:
            assert small.size == (128, 256)
            assert not small.getexif()

    def test_what_is_no_image_has_none(self, hall: Hall, files: Files) -> None:
        petition = hall.register().id
        added = files.add(petition)
        assert not added.has_thumbnail
        with refused("NOT_FOUND"):
            files.thumbnail(petition, added.id)

    def test_a_bomb_and_a_broken_image_have_none_and_are_kept_all_the_same(self, hall: Hall, files: Files) -> None:
        petition = hall.register().id
        for name, content in (("bomb.png", bomb()), ("broken.jpg", a_photo()[:2000])):
            added = files.add(petition, content, name)
            assert (added.has_thumbnail, added.size) == (False, len(content))

    def test_small_pictures_are_audited_too(self, hall: Hall, files: Files) -> None:
        petition = hall.register().id
        files.thumbnail(petition, files.add(petition, a_photo(), "井.jpg").id)
        (row,) = hall.audited("petition.read_file")
        assert json.loads(row.details)["what"] == "thumbnail"


def bomb() -> bytes:
    """A PNG of 30,000 × 30,000 pixels in some kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    size = (30_000).to_bytes(4, "big")
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(30_001)) for _ in range(30_000)) + packer.flush()
    header = size + size + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
