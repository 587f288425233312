"""What a chart's pods and its operators run: secrets, waiting for a schema, values out of files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from services.__main__ import main
from services.chassis import migrations
from services.chassis.settings import Settings, SettingsMissing

TIER = "341702000000"


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZONGZHI_TIER", TIER)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    return tmp_path


def secrets(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["keys", "secrets", "--release", "qu", "--namespace", "zz", *words]) == 0
    items = json.loads(capsys.readouterr().out)["items"]
    assert all(item["metadata"]["namespace"] == "zz" for item in items)
    return {item["metadata"]["name"]: item["stringData"] for item in items}


# zongzhi keys secrets


def test_a_district_gets_keys_a_login_a_broker_and_two_roles_for_each_database(
    env: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = secrets(capsys, "petition", "gateway")
    assert found.keys() == {
        "qu-keys", "qu-login", "qu-broker", "qu-db-petition", "qu-db-petition-owner", "qu-db-gateway",
        "qu-db-gateway-owner",
    }  # fmt: skip
    role, owner = found["qu-db-petition"], found["qu-db-petition-owner"]
    assert (role["username"], owner["username"]) == ("zongzhi_petition", "zongzhi_petition_owner")
    assert role["url"] == f"postgresql+psycopg://zongzhi_petition:{role['password']}@qu-database:5432/postgres"
    passwords = [content["password"] for name, content in found.items() if "password" in content]
    assert len(set(passwords)) == len(passwords)


def test_every_service_and_the_gateway_when_none_is_named(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = secrets(capsys)
    assert {"qu-db-petition", "qu-db-mediation", "qu-db-grid", "qu-db-gateway"} <= found.keys()


def test_stores_elsewhere_are_named_in_the_addresses(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = secrets(capsys, "petition", "--database-host", "db.example", "--broker-host", "mq.example")
    assert "@db.example:5432/" in found["qu-db-petition"]["url"]
    assert "@mq.example:5672/" in found["qu-broker"]["url"]


def test_a_village_gets_keys_and_a_login_only(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert secrets(capsys, "--village").keys() == {"qu-keys", "qu-login"}


def test_keys_stay_the_same_when_the_folder_is_the_same(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = secrets(capsys, "--village"), secrets(capsys, "--village")
    assert first["qu-keys"] == second["qu-keys"]
    assert {"tokens.jwks", "token-private.jwk", "data.key"} <= first["qu-keys"].keys()
    assert first["qu-login"] != second["qu-login"]


def test_a_rotated_key_keeps_the_one_before(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secrets(capsys, "--village")
    assert main(["keys", "rotate"]) == 0
    assert len(json.loads((env / "keys" / "tokens.jwks").read_text())["keys"]) == 2


# zongzhi migrate, wait-schema


def test_waiting_ends_when_the_schema_is_there_or_newer(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", "petition"]) == 0
    assert main(["wait-schema", "petition", "--timeout", "5"]) == 0
    with create_engine(f"sqlite:///{env}/petition.db").begin() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert main(["wait-schema", "petition", "--timeout", "5"]) == 0


def test_an_older_schema_is_waited_for_and_then_told_in_one_sentence(
    env: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOOK_S", 0.01)
    assert main(["migrate", "petition"]) == 0
    with create_engine(f"sqlite:///{env}/petition.db").begin() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert main(["wait-schema", "petition", "--timeout", "0.1"]) == 2
    said = capsys.readouterr().err
    assert "仍是版本 0001" in said
    assert "migration job" in said


def test_a_database_that_does_not_answer_is_told_in_one_sentence(
    env: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOOK_S", 0.01)
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg://a:b@127.0.0.1:1/postgres?connect_timeout=1")
    assert main(["wait-schema", "petition", "--timeout", "0.1"]) == 2
    assert main(["migrate", "petition", "--wait", "0.1"]) == 2
    assert "没有应答" in capsys.readouterr().err


def test_migrating_may_load_what_is_shipped_too(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["setup"]) == 0
    assert main(["migrate", "petition", "--seed"]) == 0
    assert "行 rows" in capsys.readouterr().err


# NAME_FILE


def test_a_value_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("amqp://a:b@host/%2F\n")
    found = Settings.from_env({"ZONGZHI_TIER": TIER, "BUS_URL_FILE": str(tmp_path / "url")})
    assert found.bus_url == "amqp://a:b@host/%2F"


def test_a_value_that_stands_in_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / "level").write_text("DEBUG")
    env = {"ZONGZHI_TIER": TIER, "LOG_LEVEL": "ERROR", "LOG_LEVEL_FILE": str(tmp_path / "level")}
    assert Settings.from_env(env).log_level == "ERROR"


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsMissing, match=r"BUS_URL.*nowhere"):
        Settings.from_env({"ZONGZHI_TIER": TIER, "BUS_URL_FILE": str(tmp_path / "nowhere")})
