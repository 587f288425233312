"""An S3 server in a folder: it starts, is found again, and its absence is one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.processes import answers
from infra.s3 import server
from infra.s3.server import S3Missing, S3Server


def test_a_missing_server_without_go_is_one_sentence_with_the_command_to_type(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(server, "TOOLS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(S3Missing, match="go install github.com/versity/versitygw") as missing:
        server.ensure_built()
    assert "\n" not in str(missing.value)


@pytest.mark.servers
def test_it_starts_is_adopted_and_stops(tmp_path: Path) -> None:
    first = S3Server(tmp_path).start()
    port, pid = first._notes.read()["port"], first.pid
    assert S3Server(tmp_path).start().pid == pid
    first.stop()
    assert first.pid is None
    assert not answers(port)
    second = S3Server(tmp_path).start()
    assert second.url == first.url
    second.stop()
