"""The table of metrics says what the code serves."""

from __future__ import annotations

from infra.otel.metrics_table import SENTENCES, TABLE, served, text
from services.chassis.metrics import HISTOGRAMS, INSTRUMENTS


def test_the_table_is_what_the_code_says() -> None:
    assert TABLE.read_text(encoding="utf-8") == text(), "run: python -m infra.otel.metrics_table"


def test_every_metric_has_a_sentence_for_people() -> None:
    assert set(SENTENCES) == {*HISTOGRAMS, *INSTRUMENTS}


def test_what_is_asked_of_the_first_slice_is_there() -> None:
    names = {one.name for one in served()}
    assert {"zongzhi_outbox_depth", "zongzhi_outbox_age_seconds", "zongzhi_inbox_held", "zongzhi_dead_letters",
            "zongzhi_clocks", "zongzhi_build", "rpc_server_call_duration_seconds", "process_memory_usage_bytes",
            "http_server_request_duration_seconds"} <= names  # fmt: skip
