"""What a log line promises: readable by machines, joined to its trace, free of personal data."""

import json
import logging
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource

from services.chassis import logs, masking
from services.chassis.logs import OtlpHandler, Scrubber, configure_logging
from services.chassis.telemetry import configure

PHONE = "13800138000"
ID_NUMBER = "11010519491231002X"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Configuring logs changes the process; other tests must not notice."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.excepthook, threading.excepthook
    yield
    root.handlers[:], level, sys.excepthook, threading.excepthook = before
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Any:
    configure_logging("petition", "INFO")

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    return read


log = logging.getLogger("zongzhi.test")


class TestLines:
    def test_a_line_says_when_how_grave_who_and_what(self, lines: Any) -> None:
        begin = time.time()
        log.info("outbox: %d rows sent", 3, extra={"fields": {"destination": "up", "rows": 3}})
        (line,) = lines()
        when = datetime.fromisoformat(line.pop("time"))
        assert when.tzinfo == UTC
        assert begin - 0.01 <= when.timestamp() <= time.time()
        assert line == {
            "level": "INFO",
            "service": "petition",
            "logger": "zongzhi.test",
            "message": "outbox: 3 rows sent",
            "trace_id": "",
            "span_id": "",
            "destination": "up",
            "rows": 3,
        }

    def test_below_the_level_nothing_appears(self, lines: Any) -> None:
        log.debug("detail")
        assert lines() == []

    def test_a_line_inside_a_span_carries_its_ids_and_its_service(self, lines: Any) -> None:
        telemetry = configure("all", "330102001003", endpoint=None, version="1")
        with telemetry.tracer("mediation").start_as_current_span("inside") as span:
            log.info("inside")
        telemetry.shutdown()
        (line,) = lines()
        assert line["service"] == "mediation"
        assert int(line["trace_id"], 16) == span.get_span_context().trace_id
        assert int(line["span_id"], 16) == span.get_span_context().span_id

    def test_fields_cannot_replace_what_every_line_has(self, lines: Any) -> None:
        log.info("true", extra={"fields": {"message": "false", "level": "DEBUG"}})
        assert lines()[0]["message"] == "true"

    def test_a_message_of_several_lines_stays_one_line(self, lines: Any) -> None:
        log.info("第一行\n第二行")
        assert [line["message"] for line in lines()] == ["第一行\n第二行"]

    def test_what_json_cannot_show_appears_as_its_type(self, lines: Any) -> None:
        log.info("x", extra={"fields": {"what": object(), "those": {1, 2}}})
        (line,) = lines()
        assert (line["what"], line["those"]) == ("<object>", [1, 2])

    def test_configuring_twice_does_not_double_lines(self, lines: Any) -> None:
        configure_logging("petition", "INFO")
        log.info("once")
        assert len(lines()) == 1


class TestPersonalData:
    @pytest.mark.parametrize("secret", [PHONE, ID_NUMBER])
    def test_numbers_are_masked_in_messages_arguments_and_fields(
        self, secret: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure_logging("petition", "INFO")
        log.info("来电 " + secret)  # noqa: G003
        log.info("来电 %s", secret)
        log.info("来电 %(who)s", {"who": secret})
        log.info("来电", extra={"fields": {"number": int(secret.rstrip("X")), "rows": 12}})
        log.info("来电", extra={"fields": {"who": secret, "list": [secret], "deep": {"who": f"电话{secret}。"}}})
        written = capsys.readouterr().err
        assert written.count("来电") == 5
        assert secret.rstrip("X") not in written

    def test_ids_stay_searchable_though_their_digits_look_like_a_phone_number(self, lines: Any) -> None:
        event_id = "0198f3a2-1234-7138-8001-380001234567"
        log.info("held %s, asked by %s", event_id, PHONE, extra={"fields": {"event_id": event_id}})
        (line,) = lines()
        assert line["event_id"] == event_id
        assert event_id in line["message"]
        assert PHONE not in line["message"]

    def test_an_exception_appears_as_type_and_frames_without_its_text(self, capsys: pytest.CaptureFixture[str]) -> None:
        configure_logging("petition", "INFO")
        try:
            try:
                raise LookupError("李四住在东街")
            except LookupError as cause:
                raise ValueError("张三说") from cause
        except ValueError as error:
            log.exception("failed: %s", error)
        written = capsys.readouterr().err
        line = json.loads(written)
        assert "张三" not in written
        assert "李四" not in written
        assert line["message"] == "failed: ValueError"
        assert line["exception"]["type"] == "ValueError"
        assert line["exception"]["cause"]["type"] == "LookupError"
        (frame,) = line["exception"]["frames"]
        path, number, function = frame.split(":")
        assert (path, function) == (
            "services/chassis/tests/test_logs.py",
            "TestPersonalData.test_an_exception_appears_as_type_and_frames_without_its_text",
        )
        assert int(number) > 100

    def test_developers_can_ask_for_the_text(self, lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ZONGZHI_LOG_EXCEPTION_TEXT", "1")
        try:
            raise ValueError("the text")
        except ValueError as error:
            log.exception("failed: %s", error)
        (line,) = lines()
        assert (line["message"], line["exception"]["text"]) == ("failed: the text", "the text")

    def test_an_exception_nobody_caught_is_logged_the_same_way(self, capsys: pytest.CaptureFixture[str]) -> None:
        configure_logging("petition", "INFO")

        def fail() -> None:
            raise ValueError("张三说")

        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        written = capsys.readouterr().err
        assert "张三" not in written
        assert json.loads(written)["exception"]["type"] == "ValueError"

    def test_a_warning_of_a_library_is_masked_too(self, capsys: pytest.CaptureFixture[str]) -> None:
        configure_logging("petition", "INFO")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(f"called with {PHONE}", stacklevel=1)
        written = capsys.readouterr().err
        assert "called with" in written
        assert PHONE not in written

    def test_a_record_that_cannot_be_masked_is_withheld_and_breaks_nobody(
        self, lines: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        log.info("%d rows of 张三", "three")
        monkeypatch.setattr(masking, "mask_text", lambda *_: 1 // 0)
        log.info("张三")
        assert [line["message"] for line in lines()] == [logs.WITHHELD] * 2


class TestExport:
    @pytest.fixture
    def exported(self) -> Iterator[list[ReadableLogRecord]]:
        records: list[ReadableLogRecord] = []
        handler = OtlpHandler(records.append, Resource({"service.name": "all"}))
        handler.addFilter(Scrubber())
        logging.getLogger().addHandler(handler)
        yield records
        logging.getLogger().removeHandler(handler)

    def test_a_record_carries_severity_ids_and_masked_text(self, exported: list[ReadableLogRecord]) -> None:
        telemetry = configure("all", "330102", endpoint=None, version="1")
        with telemetry.tracer("petition").start_as_current_span("inside") as span:
            log.warning("来电 %s", PHONE, extra={"fields": {"tries": 2, "who": PHONE, "list": ["a"]}})
        telemetry.shutdown()
        (one,) = exported
        record = one.log_record
        assert (record.severity_text, record.trace_id) == ("WARNING", span.get_span_context().trace_id)
        attributes = dict(record.attributes or {})
        assert PHONE not in f"{record.body!r} {attributes}"
        assert (attributes["service"], attributes["tries"], attributes["list"]) == ("petition", 2, '["a"]')

    def test_an_exception_goes_as_type_and_frames(self, exported: list[ReadableLogRecord]) -> None:
        try:
            raise ValueError("张三说")
        except ValueError:
            log.exception("failed")
        attributes = dict(exported[0].log_record.attributes or {})
        assert attributes["exception.type"] == "ValueError"
        assert "test_logs.py" in str(attributes["exception.stacktrace"])
        assert "张三" not in str(attributes)

    @pytest.mark.parametrize(
        "sender", ["opentelemetry.exporter", "urllib3.connectionpool", "services.chassis.telemetry"]
    )
    def test_sending_is_not_told_by_sending(self, exported: list[ReadableLogRecord], sender: str) -> None:
        logging.getLogger(sender).critical("failed")
        assert exported == []
