"""Logs: one JSON object a line on stderr, joined to traces by id, without personal data.

Messages and fields are masked, exceptions appear as types and frames without their text: the text may quote a petition.
For developers ZONGZHI_LOG_EXCEPTION_TEXT=1 adds the text.
"""

import json
import logging
import os
import re
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Any

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from services.chassis.spans import type_name

MAX_FRAMES = 30
SHORTEST_PHONE = 1_000_000
WITHHELD = "日志内容无法脱敏，已略去 / message withheld: it could not be masked"
# Sending a record about sending would never end.
NOT_EXPORTED = ("opentelemetry", "urllib3", "requests", "services.chassis.telemetry")

# Ids are what people search logs for; their digits may look like a phone number.
_UUID = re.compile(r"(\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b)")
_ROOT_FOLDER = str(Path(__file__).resolve().parents[2]) + os.sep
_SEVERITIES = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}


def configure_logging(service: str, level: str | int) -> None:
    """Sends all logs of this process to stderr as JSON lines, also those of exceptions nobody caught.

    Inside a span the line names the span's service, elsewhere `service`.
    """
    handler = StderrHandler()
    handler.addFilter(Scrubber())
    handler.setFormatter(JsonFormatter(service))
    root = logging.getLogger()
    # A handler of some library's basicConfig would print unmasked; ours of an earlier call would print twice.
    for other in [one for one in root.handlers if type(one) in (logging.StreamHandler, StderrHandler)]:
        root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(level)
    # It tells every step of every connection at INFO.
    logging.getLogger("pika").setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda args: _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)


class StderrHandler(logging.Handler):
    """Writes to whatever stderr is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line, at once."""
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:
            self.handleError(record)


class Scrubber(logging.Filter):
    """Masks phone and id numbers in messages and fields, and shows an exception given as argument by its type."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrites the record in place, once; never raises, since logging must not break the caller."""
        if not getattr(record, "scrubbed", False):
            try:
                message, fields = _masked(record)
            except Exception:
                message, fields = WITHHELD, {}
            record.msg, record.args, record.fields = message, None, fields
            record.scrubbed = True
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object: time (UTC), level, service, logger, message, trace_id, span_id, exception, then the fields."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """One line; what JSON cannot show appears as its type."""
        span = trace.get_current_span()
        line: dict[str, Any] = {
            "time": _rfc3339(record.created),
            "level": record.levelname,
            "service": _service_of(span) or self._service,
            "logger": record.name,
            "message": record.getMessage(),
            **_trace_ids(span),
        }
        if record.exc_info and record.exc_info[1]:
            line["exception"] = describe_exception(record.exc_info[1])
        for name, value in (getattr(record, "fields", None) or {}).items():
            line.setdefault(name, value)
        return json.dumps(line, ensure_ascii=False, default=_type_shown)


class OtlpHandler(logging.Handler):
    """Hands records to the exporter's queue; put a Scrubber before it."""

    def __init__(self, put: Callable[[ReadableLogRecord], None], resource: Resource) -> None:
        super().__init__()
        self._put = put
        self._resource = resource
        self._scope = InstrumentationScope("zongzhi")

    def emit(self, record: logging.LogRecord) -> None:
        """Queues the record; never blocks, never raises."""
        if not record.name.startswith(NOT_EXPORTED):
            self._put(ReadableLogRecord(self._translated(record), self._resource, self._scope))

    def _translated(self, record: logging.LogRecord) -> LogRecord:
        return LogRecord(
            timestamp=int(record.created * 1e9),
            severity_text=record.levelname,
            severity_number=_SEVERITIES.get(record.levelno // 10 * 10, SeverityNumber.UNSPECIFIED),
            body=record.getMessage(),
            attributes=_attributes(record),
        )


def describe_exception(error: BaseException) -> dict[str, Any]:
    """An exception as its type, its frames (file:line:function, innermost last) and those of what caused it."""
    described: dict[str, Any] = {"type": type_name(error), "frames": _frames(error.__traceback__)}
    if os.environ.get("ZONGZHI_LOG_EXCEPTION_TEXT") == "1":
        described["text"] = str(error)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        described["cause"] = describe_exception(cause)
    return described


def _masked(record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
    if isinstance(record.args, tuple):
        record.args = tuple(_shown(argument) for argument in record.args)
    record.msg = _shown(record.msg)
    fields = getattr(record, "fields", None) or {}
    return _mask(record.getMessage()), {name: _mask_value(value) for name, value in fields.items()}


def _shown(argument: object) -> object:
    if isinstance(argument, BaseException) and os.environ.get("ZONGZHI_LOG_EXCEPTION_TEXT") != "1":
        return type_name(argument)
    return argument


def _mask(text: str) -> str:
    # Imported late: masking may itself log.
    from services.chassis.masking import mask_text

    parts = _UUID.split(text)
    parts[::2] = [mask_text(part, ()) if part else "" for part in parts[::2]]
    return "".join(parts)


def _mask_value(value: object) -> object:
    if isinstance(value, dict):
        return {str(name): _mask_value(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_mask_value(inner) for inner in value]
    value = _shown(value)
    if isinstance(value, int) and abs(value) >= SHORTEST_PHONE:
        masked = _mask(str(value))
        return value if masked == str(value) else masked
    return _mask(value) if isinstance(value, str) else value


def _attributes(record: logging.LogRecord) -> dict[str, str | int | float | bool]:
    attributes: dict[str, str | int | float | bool] = {"logger": record.name}
    service = _service_of(trace.get_current_span())
    if service:
        attributes["service"] = service
    for name, value in (getattr(record, "fields", None) or {}).items():
        plain = isinstance(value, str | int | float | bool)
        attributes.setdefault(name, value if plain else json.dumps(value, ensure_ascii=False, default=_type_shown))
    if record.exc_info and record.exc_info[1]:
        attributes["exception.type"] = type_name(record.exc_info[1])
        attributes["exception.stacktrace"] = "\n".join(_frames(record.exc_info[2]))
    return attributes


def _type_shown(value: object) -> str:
    return f"<{type(value).__name__}>"


def _frames(where: TracebackType | None) -> list[str]:
    frames = [
        f"{frame.f_code.co_filename.removeprefix(_ROOT_FOLDER)}:{line}:{frame.f_code.co_qualname}"
        for frame, line in walk_tb(where)
    ]
    return frames[-MAX_FRAMES:]


def _trace_ids(span: trace.Span) -> dict[str, str]:
    context = span.get_span_context()
    if not context.is_valid:
        return {"trace_id": "", "span_id": ""}
    return {"trace_id": trace.format_trace_id(context.trace_id), "span_id": trace.format_span_id(context.span_id)}


def _service_of(span: trace.Span) -> str:
    resource = getattr(span, "resource", None)
    return str(resource.attributes.get("service.name", "")) if resource else ""


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _log_uncaught(kind: type[BaseException], error: BaseException | None, where: TracebackType | None) -> None:
    if error is None or issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    logging.getLogger("zongzhi").critical("未捕获的异常 / uncaught exception", exc_info=(kind, error, where))
