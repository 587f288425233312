"""`make run` says what it does, what is wrong and where everything is, and ends in time."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from infra import launch
from infra.data_dir import CannotStart, check_folder
from infra.launch import District, is_ready
from infra.processes import is_running, port_is_free, wait_until
from infra.run import gateway_port, main
from infra.tests.launched import Launched

PUBLIC = {"kty": "OKP", "crv": "Ed25519", "x": "public-part"}


def run(folder: Path, *words: str, fake: str = "", port: int = 0, **env: str) -> Launched:
    return Launched("infra.run", folder, *words, fake=fake, port=port, **env)


def a_folder(tmp_path: Path) -> Path:
    """A whole, used .run/."""
    folder = tmp_path / ".run"
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "data.key").write_text("0a" * 32)
    (folder / "keys" / "tokens.jwks").write_text(json.dumps({"keys": [PUBLIC]}))
    (folder / "keys" / "token-private.jwk").write_text(json.dumps(PUBLIC | {"d": "secret-part"}))
    with sqlite3.connect(folder / "petition.db") as database:
        database.execute("CREATE TABLE t (n)")
    database.close()
    return folder


def test_a_new_folder_is_set_up_migrated_seeded_and_served_on_sqlite_and_the_local_bus(tmp_path: Path) -> None:
    with run(tmp_path / ".run", DATABASE_URL="postgresql://elsewhere/x") as launched:
        district = launched.ready()
        assert is_ready(launched.port)
        assert [call["words"] for call in launched.calls()] == [["setup"], ["migrate"], ["seed"], ["all"]]
        served = launched.calls()[-1]
        assert (served["ZONGZHI_TIER"], served["BUS_URL"], served["DATABASE_URL"]) == ("341702000000", "local:", None)
        assert served["GATEWAY_PORT"] == str(launched.port)
        assert served["addresses"] == sorted(district["grpc"].values())
    assert launched.process.returncode == 0


def test_json_is_the_only_thing_on_stdout_and_progress_is_told_on_stderr(tmp_path: Path) -> None:
    with run(tmp_path / ".run") as launched:
        district = launched.ready()
        launched.process.send_signal(signal.SIGINT)
        code, rest, told = launched.ended()
    assert (code, rest) == (0, "")
    assert district["gateway"] == f"http://127.0.0.1:{launched.port}"
    assert district["openapi"] == f"{district['gateway']}/openapi.json"
    assert district["login"] == {"account": "demo", "password": 'it\'s "secret"'}
    assert (district["pid"], list(district["processes"])) == (launched.process.pid, ["zongzhi"])
    assert [told.index(word) for word in ("检查", "迁移数据库", "启动", "已停止")] == sorted(
        told.index(word) for word in ("检查", "迁移数据库", "启动", "已停止")
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_launcher_ends_everything_and_frees_the_port(tmp_path: Path, number: signal.Signals) -> None:
    with run(tmp_path / ".run") as launched:
        pid = launched.ready()["processes"]["zongzhi"]
        launched.process.send_signal(number)
        assert launched.ended()[0] == 0
        assert not is_running(pid, "fake_zongzhi")
        assert port_is_free(launched.port)


def test_a_process_that_ignores_the_signal_is_killed_after_five_seconds(tmp_path: Path) -> None:
    with run(tmp_path / ".run", fake="deaf") as launched:
        pid = launched.ready()["processes"]["zongzhi"]
        began = time.monotonic()
        launched.process.send_signal(signal.SIGTERM)
        launched.process.send_signal(signal.SIGINT)
        assert launched.ended()[0] == 0
        assert 4.5 < time.monotonic() - began < 20
        assert not is_running(pid, "fake_zongzhi")


def test_a_process_that_dies_while_starting_is_quoted_with_its_log_file(tmp_path: Path) -> None:
    with run(tmp_path / ".run", fake="all") as launched:
        code, out, told = launched.ended()
    assert (code, out) == (1, "")
    assert "all: the disk is full" in told
    assert told.rstrip().endswith("zongzhi.log")
    assert "Traceback" not in told


def test_a_process_that_dies_later_ends_the_launcher_with_a_sentence(tmp_path: Path) -> None:
    with run(tmp_path / ".run") as launched:
        os.kill(launched.ready()["processes"]["zongzhi"], signal.SIGKILL)
        code, _, told = launched.ended()
    assert code == 1
    assert "zongzhi 已退出(代码 -9)" in told


@pytest.mark.parametrize("step", ["setup", "migrate", "seed"])
def test_a_preparation_that_fails_is_quoted_and_nothing_is_served(tmp_path: Path, step: str) -> None:
    with run(tmp_path / ".run", fake=step) as launched:
        code, out, told = launched.ended()
        assert (code, out) == (2, "")
        assert f"{step}: the disk is full" in told
        assert launched.calls()[-1]["words"] == [step]


def test_a_taken_port_is_one_sentence_that_names_another(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with run(tmp_path / ".run", port=port) as launched:
            code, _, told = launched.ended()
    assert code == 2
    assert f"端口 {port} 已被占用" in told
    assert f"Port {port} is taken" in told
    assert f"PORT={port + 10} make run" in told


def test_a_second_run_on_the_same_folder_is_told_which_process_to_stop(tmp_path: Path) -> None:
    with run(tmp_path / ".run") as first:
        processes = first.ready()["processes"]
        with run(tmp_path / ".run") as second:
            code, _, told = second.ended()
        assert code == 2
        assert f"kill {first.process.pid} {processes['zongzhi']}\n" in told
        assert is_ready(first.port)


def test_the_folder_stays_taken_while_the_process_outlives_a_killed_launcher(tmp_path: Path) -> None:
    with run(tmp_path / ".run") as first:
        pid = first.ready()["processes"]["zongzhi"]
        first.process.kill()
        first.ended()
        try:
            with run(tmp_path / ".run") as second:
                assert f"kill {pid}\n" in second.ended()[2]
        finally:
            os.kill(pid, signal.SIGTERM)
    assert wait_until(lambda: not is_running(pid, "fake_zongzhi"), timeout=60)


@pytest.mark.parametrize(("words", "said"), [(["--tiers", "3"], "TIERS=1"), (["--port", "http"], "1 至 65535")])
def test_what_cannot_be_done_is_one_sentence_and_makes_no_folder(
    tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--dir", str(tmp_path / ".run"), *words]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""
    assert not (tmp_path / ".run").exists()


@pytest.mark.parametrize("text", ["0", "65536", "-1", "80a", ""])
def test_a_port_must_be_one(text: str) -> None:
    with pytest.raises(CannotStart, match="PORT=8090"):
        gateway_port(text)


def test_a_whole_folder_passes_and_is_left_as_it_is(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    before = {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    check_folder(folder)
    assert {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()} == before


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("petition.db", b"this is no database"),
        ("petition.db", b"SQLite format 3\0" + b"\xff" * 200),
        ("keys/data.key", b"zz"),
        ("keys/data.key", b"0a0a"),
        ("keys/data.key", None),
        ("keys/tokens.jwks", b"{"),
        ("keys/tokens.jwks", b"[]"),
        ("keys/tokens.jwks", b'{"keys": [{"x": "of another installation"}]}'),
        ("keys/token-private.jwk", b"\xff"),
        ("keys/token-private.jwk", b"{}"),
    ],
)
def test_a_broken_file_is_named_and_left_as_it_is(tmp_path: Path, file: str, content: bytes | None) -> None:
    folder = a_folder(tmp_path)
    broken = folder / file
    if content is None:
        broken.unlink()
    else:
        broken.write_bytes(content)
    with pytest.raises(CannotStart, match="备份.*backup") as refused:
        check_folder(folder)
    assert (
        "data.key" in str(refused.value)
        if file == "keys/data.key"
        else "keys/" in str(refused.value) or file in str(refused.value)
    )
    assert (broken.read_bytes() if broken.exists() else None) == content


def test_a_file_in_place_of_the_folder_is_named_and_kept(tmp_path: Path) -> None:
    (tmp_path / ".run").write_text("mine")
    with pytest.raises(CannotStart, match="是一个文件.*is a file"):
        check_folder(tmp_path / ".run")
    assert (tmp_path / ".run").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_named() -> None:
    with pytest.raises(CannotStart, match=r"/proc/zongzhi 无法写入.*cannot be written"):
        check_folder(Path("/proc/zongzhi"))


def test_the_copied_lines_take_a_token_and_file_a_petition_whatever_the_password_holds(tmp_path: Path) -> None:
    login = {"account": "demo", "password": 'it\'s "$HOME"'}
    token, petition = District(8080, {}, login, {}, tmp_path).curl()
    # curl is replaced by a shell function that shows its last word, or answers as the gateway does.
    script = f"""curl() {{ for word; do :; done; echo "$word" >&2; echo '{{"access_token": "abc.def", "n": 1}}'; }}
    {token}
    curl() {{ printf '%s\\n' "$@"; }}
    {petition}"""
    shown = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(shown.stderr) == login
    words = shown.stdout.splitlines()
    assert "Authorization: Bearer abc.def" in words
    assert json.loads(words[-1]) == {"request_id": json.loads(words[-1])["request_id"], **launch.PETITION}


def test_the_banner_shows_a_person_addresses_login_and_lines_to_copy(tmp_path: Path) -> None:
    grpc = {"petition": "127.0.0.1:50051"}
    district = District(8081, grpc, {"account": "demo", "password": "secret"}, {}, tmp_path)
    text = district.as_text()
    for part in ("http://127.0.0.1:8081/docs", "petition 127.0.0.1:50051", "demo", "secret", "Ctrl-C"):
        assert part in text
    assert all(shlex.split(line) for line in district.curl())
