"""A PostgreSQL server in a folder: for tests, for a developer, for measurements and for breaking on purpose."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from infra.processes import (
    LOOPBACK,
    Notes,
    ProcessFailed,
    answers,
    free_port,
    is_running,
    last_lines,
    locked,
    new_password,
    run,
    send,
    spawn,
    wait_until,
)

DEBIAN = Path("/usr/lib/postgresql")
SETTINGS = Path(__file__).with_name("postgresql.conf")
# The role that owns the tables and migrates them, and the one that serves (DATABASE_OWNER_URL, DATABASE_URL).
USER = "zongzhi"
SERVING_USER = "zongzhi_app"
# sun_path holds 108 bytes, the closing zero included.
LONGEST_SOCKET_PATH = 107


def find_binaries(version: str = "") -> Path | None:
    """The folder with initdb and postgres: of that major version when a data folder asks for it, else the newest."""
    for folder in sorted(DEBIAN.glob("*/bin"), key=lambda f: float(f.parent.name), reverse=True):
        if (folder / "initdb").exists() and version in ("", folder.parent.name):
            return folder
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found and shutil.which("postgres") else None


def create_database(server_url: str, name: str) -> None:
    """Creates an empty UTF-8 database when there is none of that name. `server_url` names any existing database."""
    with _connect(server_url) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            return
        statement = "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'"
        connection.execute(sql.SQL(statement).format(sql.Identifier(name)))


def drop_database(server_url: str, name: str) -> None:
    """Drops a database with everything in it; who is still connected is disconnected."""
    with _connect(server_url) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def create_role(server_url: str, name: str, password: str) -> str:
    """Makes a role that may sign in and no more, or gives it this password; returns the server's URL as that role."""
    with _connect(server_url) as connection:
        known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
        statement = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}" if known else "CREATE ROLE {} LOGIN PASSWORD {}")
        connection.execute(statement.format(sql.Identifier(name), sql.Literal(password)))
    return str(make_url(server_url).set(username=name, password=password).render_as_string(hide_password=False))


def _connect(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://"), autocommit=True, connect_timeout=5)


class PostgresServer:
    """One PostgreSQL server on loopback whose data, socket, log and password lie in `folder`."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "data"
        self.log = self.folder / "postgres.log"
        self._wanted_port = port
        self._notes = Notes(self.folder / "server.json")
        self._child: Any = None

    @property
    def pid(self) -> int | None:
        """The server's process; None when it does not run."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None
        return pid if is_running(pid, str(self.data)) else None

    @property
    def port(self) -> int:
        """Fixed at the first start, so that clients find a restarted server again."""
        return int(self._notes.read()["port"])

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy URL of one database on this server."""
        notes = self._notes.read()
        return f"postgresql+psycopg://{USER}:{notes['password']}@{LOOPBACK}:{notes['port']}/{database}"

    def serving_url(self) -> str:
        """The server's URL as the role that serves; the role is made when there is none."""
        with locked(self.folder / ".lock"):
            password = self._notes.read().get("serving_password") or new_password()
            self._notes.remember(serving_password=password)
        return create_role(self.url(), SERVING_USER, password)

    def create_database(self, name: str) -> str:
        """Creates an empty database when there is none of that name, and returns its URL."""
        create_database(self.url(), name)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drops a database with everything in it."""
        drop_database(self.url(), name)

    def start(self) -> PostgresServer:
        """Starts the server, or adopts the one that runs in this folder. Returns when it answers queries."""
        with locked(self.folder / ".lock"):
            if self.pid is None:
                self._prepare()
                self._spawn()
            if not wait_until(lambda: self._is_ready() or self._has_died(), timeout=30) or not self._is_ready():
                raise ProcessFailed(f"PostgreSQL 未能启动。PostgreSQL did not start:\n{last_lines(self.log)}")
        return self

    def stop(self) -> None:
        """Ends all sessions, writes a checkpoint and ends the server."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Ends the server as a power cut would: the next start recovers from the log."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        """Stops and starts on the same port."""
        self.stop()
        self.start()

    def _end(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is None:
            return
        send(pid, number)
        if not wait_until(lambda: not is_running(pid, str(self.data)), timeout=20):
            send(pid, signal.SIGKILL)
        if self._child is not None:
            self._child.wait(timeout=5)

    def _prepare(self) -> None:
        password = self._notes.read().get("password") or new_password()
        port = self._notes.read().get("port") or self._wanted_port or free_port()
        self._notes.remember(port=port, password=password)
        if not (self.data / "PG_VERSION").exists():
            self._initialise(password)

    def _initialise(self, password: str) -> None:
        # Renamed when whole: an interrupted first start leaves nothing that looks like data.
        draft, secret = self.folder / "data.new", self.folder / "password"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        secret.touch(mode=0o600)
        secret.write_text(password)
        for file in (draft, secret):
            self._give_to_postgres(file)
        try:
            run([*self._as_postgres(), self._binaries() / "initdb", "--pgdata", draft, "--username", USER,
                 "--pwfile", secret, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8"],
                cwd="/")  # fmt: skip
        finally:
            secret.unlink()
        draft.rename(self.data)

    def _spawn(self) -> None:
        settings = {
            "listen_addresses": LOOPBACK, "port": str(self.port), "unix_socket_directories": self._socket_folder(),
            "hba_file": str(self.data / "pg_hba.conf"), "ident_file": str(self.data / "pg_ident.conf"),
            "config_file": str(self._copy_of_settings()),
        }  # fmt: skip
        words = [w for name, value in settings.items() for w in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            program = [*self._as_postgres(), str(self._binaries() / "postgres"), "-D", str(self.data)]
            self._child = spawn([*program, *words], log, cwd="/")

    def _copy_of_settings(self) -> Path:
        copy = self.data / "zongzhi.conf"
        shutil.copyfile(SETTINGS, copy)
        self._give_to_postgres(copy)
        return copy

    def _socket_folder(self) -> str:
        """Inside our data folder; none when the path would be too long, as everybody connects by TCP anyway."""
        return str(self.data) if len(f"{self.data}/.s.PGSQL.{self.port}.lock") <= LONGEST_SOCKET_PATH else ""

    def _binaries(self) -> Path:
        version = self.data / "PG_VERSION"
        folder = find_binaries(version.read_text().strip() if version.exists() else "")
        if folder is None:
            raise ProcessFailed(f"未找到能读取 {self.data} 的 PostgreSQL。No PostgreSQL here can read {self.data}.")
        return folder

    def _is_ready(self) -> bool:
        if self.pid is None or not answers(self.port):
            return False
        try:
            with _connect(self.url()):
                return True
        except psycopg.OperationalError:
            return False

    def _has_died(self) -> bool:
        return self._child is not None and self._child.poll() is not None

    @staticmethod
    def _as_postgres() -> list[str]:
        """PostgreSQL refuses to run as root: it gets the user `postgres` and may walk through root's folders."""
        if os.geteuid() != 0:
            return []
        walk = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *walk]

    @staticmethod
    def _give_to_postgres(file: Path) -> None:
        if os.geteuid() == 0:
            shutil.chown(file, "postgres", "postgres")
