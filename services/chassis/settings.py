"""Settings, read from the environment once, into a frozen object. What is missing is named all together, at start."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

# Ports on loopback where neighbours are looked for when no address is set.
DEFAULT_PORTS = {"petition": 50051, "mediation": 50052, "grid": 50053}


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsMissing(Exception):
    """One or more settings are missing or wrong; the message names each and says what to write."""


def _setting(
    env: str, help: str, default: Any = None, parse: Callable[[str], Any] = str, required: bool = False
) -> Any:
    return field(default=default, metadata={"env": env, "help": help, "parse": parse, "required": required})


def _tier(text: str) -> str:
    if len(text) != 12 or not text.isdigit():
        raise ValueError("a 12-digit division code such as 341702000000")
    return text


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError("a port number from 0 to 65535")
    return port


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip())
    except ValueError:
        raise ValueError("addresses or networks separated by commas, such as 10.0.0.5,10.1.0.0/16") from None


def _seconds(text: str) -> int:
    seconds = int(text)
    if not 1 <= seconds <= 30 * 86_400:
        raise ValueError("a number of seconds from 1 to 2592000")
    return seconds


class Rate(NamedTuple):
    """So many calls a second in the long run, and so many at once."""

    per_s: float
    burst: int


def _rate(text: str) -> Rate:
    per_s, slash, burst = text.partition("/")
    try:
        rate = Rate(float(per_s), int(burst if slash else max(1, round(float(per_s)))))
    except (ValueError, OverflowError):
        rate = Rate(0, 0)
    if not (0 < rate.per_s <= 1e6 and 1 <= rate.burst <= 10**6):
        raise ValueError("calls a second and calls at once, such as 50/200 or 0.2/20; 1000000/1000000 is no limit")
    return rate


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip().lower().rstrip("/") for word in text.split(",") if word.strip())


def _yes(text: str) -> bool:
    if text.lower() not in ("1", "true", "yes", "0", "false", "no"):
        raise ValueError("1 or 0")
    return text.lower() in ("1", "true", "yes")


def _blobs(text: str) -> str:
    if not text.startswith("s3://"):
        raise ValueError("s3://key:secret@bucket/folder?endpoint=https://host&region=…")
    return text


def _bus(text: str) -> str:
    if text != "local:" and not text.startswith(("amqp://", "amqps://")):
        raise ValueError("local: or amqp://user:password@host:port/vhost")
    return text


def _text_of(env: Mapping[str, str], name: str) -> str:
    """The value of a variable, or what the file holds that NAME_FILE names."""
    file = env.get(f"{name}_FILE", "")
    return env.get(name, "") or (Path(file).read_text().strip() if file else "")


def _public_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment or parts.username:
        raise ValueError("https://host or https://host/path, without ? and #")
    return text.rstrip("/")


def _one_of(*names: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in names:
            raise ValueError("one of " + ", ".join(names))
        return text

    return parse


@dataclass(frozen=True)
class Settings:
    """What an operator can set. Every field names its environment variable and what it means.

    NAME_FILE names a file that holds the value of NAME: passwords need not stand in the environment.
    """

    tier: str = _setting("ZONGZHI_TIER", "division code of this tier, 12 digits", "", _tier, required=True)
    data_dir: Path = _setting("DATA_DIR", "folder of SQLite files and keys", Path(".run"), Path)
    database_url: str | None = _setting(
        "DATABASE_URL",
        "PostgreSQL server, postgresql+psycopg://user:password@host/postgres; each service uses its own "
        "database zongzhi_<service> there; unset: SQLite files in DATA_DIR",
        None,
    )
    database_owner_url: str | None = _setting(
        "DATABASE_OWNER_URL",
        "PostgreSQL, for migrate only: the same server as the role that owns the tables; it gives the role of "
        "DATABASE_URL the right to read and write, never to alter the audit; unset: one role for both",
        None,
    )
    bus_url: str = _setting("BUS_URL", "local: or amqp://…", "local:", _bus)
    worker: str = _setting("WORKER", "nameko or pika: what consumes from RabbitMQ", "nameko", _one_of("nameko", "pika"))
    grpc_host: str = _setting("GRPC_HOST", "address that gRPC listens on", "127.0.0.1")
    grpc_port: int = _setting("GRPC_PORT", "port of gRPC of a single service; 0: the one in its address", 0, _port)
    grpc_threads: int = _setting("GRPC_THREADS", "threads per service", 16, int)
    grpc_max_concurrent: int = _setting("GRPC_MAX_CONCURRENT", "calls at once before RESOURCE_EXHAUSTED", 64, int)
    grpc_tls_dir: Path | None = _setting(
        "GRPC_TLS_DIR",
        "folder of tls.crt, tls.key and ca.crt for calls between services; unset: plain text",
        None,
        Path,
    )
    health_host: str = _setting("HEALTH_HOST", "address that probes are answered on", "127.0.0.1")
    health_port: int = _setting(
        "HEALTH_PORT", "port of gRPC health for probes (live, ready), in plain text; 0: none", 0, _port
    )
    drain_s: float = _setting(
        "DRAIN_S", "seconds that calls in flight get at the end, in gateway and services each", 4.0, float
    )
    gateway_host: str = _setting("GATEWAY_HOST", "address that the gateway listens on", "127.0.0.1")
    gateway_port: int = _setting("GATEWAY_PORT", "port of the gateway", 8080, _port)
    trusted_proxies: tuple[Network, ...] = _setting(
        "TRUSTED_PROXIES", "addresses or networks of proxies whose X-Forwarded-For is believed", (), _networks
    )
    allowed_hosts: tuple[str, ...] = _setting(
        "ALLOWED_HOSTS", "host names that the gateway answers to, separated by commas; unset: any", (), _words
    )
    cors_origins: tuple[str, ...] = _setting(
        "CORS_ORIGINS", "origins whose scripts may call, such as https://app.example.cn; unset: none", (), _words
    )
    rate_account: Rate = _setting(
        "RATE_ACCOUNT", "calls a second / at once of one account, per gateway process", Rate(50, 200), _rate
    )
    rate_source: Rate = _setting(
        "RATE_SOURCE", "the same of an address without sign-in: pages, open reads, refused tokens", Rate(20, 100), _rate
    )
    rate_sign_in: Rate = _setting("RATE_SIGN_IN", "the same of signing in, per address", Rate(5, 100), _rate)
    rate_token: Rate = _setting("RATE_TOKEN", "the same of POST /v1/token, per address", Rate(5, 50), _rate)
    rate_track: Rate = _setting("RATE_TRACK", "the same of looks at cases by code, per address", Rate(1, 30), _rate)
    rate_filing: Rate = _setting(
        "RATE_FILING", "the same of what citizens send without sign-in, per address", Rate(0.2, 20), _rate
    )
    session_idle_s: int = _setting("SESSION_IDLE_S", "seconds of rest after which a session ends", 1800, _seconds)
    session_longest_s: int = _setting("SESSION_LONGEST_S", "seconds after which it ends anyway", 43_200, _seconds)
    session_token_s: int = _setting("SESSION_TOKEN_S", "seconds that an access token lives", 600, _seconds)
    internal_token_s: int = _setting(
        "INTERNAL_TOKEN_S", "seconds that a token between gateway and service lives, and one of POST /v1/token", 300,
        _seconds,
    )  # fmt: skip
    password_max_days: int = _setting(
        "PASSWORD_MAX_DAYS", "days after which a password must be changed; 0: never (GB/T 22239 8.1.4.1)", 90, int
    )
    demo: bool = _setting("DEMO", "1: seed makes the demo accounts, for trying out; never in production", False, _yes)
    demo_login_dir: Path | None = _setting(
        "DEMO_LOGIN_DIR",
        "folder with the files account and password of a login that was made elsewhere: with DEMO=1 seed makes this "
        "account and writes no file; unset: accounts of its own",
        None,
        Path,
    )
    petition_address: str = _setting(
        "PETITION_ADDRESS", "host:port of petition", f"127.0.0.1:{DEFAULT_PORTS['petition']}"
    )
    mediation_address: str = _setting(
        "MEDIATION_ADDRESS", "host:port of mediation", f"127.0.0.1:{DEFAULT_PORTS['mediation']}"
    )
    grid_address: str = _setting("GRID_ADDRESS", "host:port of grid", f"127.0.0.1:{DEFAULT_PORTS['grid']}")
    token_keys: Path | None = _setting(
        "TOKEN_KEYS", "file of public keys (JWKS); default DATA_DIR/keys/tokens.jwks", None, Path
    )
    token_private_key: Path | None = _setting(
        "TOKEN_PRIVATE_KEY", "gateway only: its Ed25519 key (JWK); default DATA_DIR/keys/token-private.jwk", None, Path
    )
    data_key: Path | None = _setting(
        "DATA_KEY", "file of 32 secret bytes (hex); default DATA_DIR/keys/data.key", None, Path
    )
    otlp_endpoint: str | None = _setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT", "OTLP/HTTP collector; unset: nothing is exported", None
    )
    metrics_host: str = _setting("METRICS_HOST", "address that metrics are served on", "127.0.0.1")
    metrics_port: int = _setting(
        "METRICS_PORT", "port where a Prometheus server asks each role for its metrics; 0: none", 0, _port
    )
    log_level: str = _setting(
        "LOG_LEVEL", "DEBUG, INFO, WARNING or ERROR", "INFO", _one_of("DEBUG", "INFO", "WARNING", "ERROR")
    )
    sweep_interval_s: float = _setting("SWEEP_INTERVAL_S", "seconds between two looks at the clocks", 5.0, float)
    public_url: str = _setting(
        "PUBLIC_URL", "address at which citizens reach the gateway, for the QR of slips: https://zz.example", "",
        _public_url,
    )  # fmt: skip
    slip_font: Path = _setting(
        "SLIP_FONT", "Chinese TrueType font of PDF slips (Debian: fonts-wqy-microhei)",
        Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc"), Path,
    )  # fmt: skip
    filings_per_hour: int = _setting("FILINGS_PER_HOUR", "online filings that one source may make in an hour", 5, int)
    filings_per_day: int = _setting("FILINGS_PER_DAY", "online filings that one source may make in a day", 20, int)
    streams: int = _setting("STREAMS", "event streams that one gateway replica keeps open", 200, int)
    streams_per_account: int = _setting("STREAMS_PER_ACCOUNT", "event streams of one account at a replica", 4, int)
    outbox_keep_days: int = _setting("OUTBOX_KEEP_DAYS", "days that sent events are kept for a resend", 7, int)
    blob_url: str | None = _setting(
        "BLOB_URL",
        "bucket for files, s3://key:secret@bucket/folder?endpoint=https://host; unset: rows of the database",
        None,
        _blobs,
    )
    case_files: int = _setting("CASE_FILES", "files that a case may hold", 100, int)
    case_files_mb: int = _setting("CASE_FILES_MB", "MiB that the files of a case may have together", 200, int)
    removed_files_keep_days: int = _setting(
        "REMOVED_FILES_KEEP_DAYS", "days after which the bytes of a removed file are deleted", 180, int
    )
    holidays: Path | None = _setting("HOLIDAYS", "holiday table of your own (CSV); default the shipped one", None, Path)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
        """Reads the environment. Raises SettingsMissing naming everything that is missing or wrong at once."""
        env = os.environ if env is None else env
        values, wrong = dict(overrides), []
        for f in fields(cls):
            try:
                text = _text_of(env, f.metadata["env"])
                if f.name in values or (not text and not f.metadata["required"]):
                    continue
                values[f.name] = f.metadata["parse"](text)
            except (ValueError, OSError) as error:
                wrong.append(f"{f.metadata['env']}({f.metadata['help']}): {error}")
        if wrong:
            raise SettingsMissing("请设置以下环境变量。Set these environment variables:\n  " + "\n  ".join(wrong))
        return cls(**values)

    @classmethod
    def help(cls) -> str:
        """One line per environment variable, for `zongzhi settings`."""
        return "\n".join(f"{f.metadata['env']:30} {f.metadata['help']} [{f.default}]" for f in fields(cls))

    @property
    def keys_dir(self) -> Path:
        """Where `zongzhi setup` writes keys."""
        return self.data_dir / "keys"

    @property
    def token_keys_file(self) -> Path:
        """Public keys that tokens are verified with."""
        return self.token_keys or self.keys_dir / "tokens.jwks"

    @property
    def token_private_key_file(self) -> Path:
        """The gateway's signing key. No other service reads it."""
        return self.token_private_key or self.keys_dir / "token-private.jwk"

    @property
    def data_key_file(self) -> Path:
        """The key of public codes, exact look-ups and sealed answers."""
        return self.data_key or self.keys_dir / "data.key"

    def database_url_of(self, service: str) -> str:
        """The service's own database: PostgreSQL `zongzhi_<service>`, else a SQLite file."""
        if self.database_url is None:
            return f"sqlite:///{self.data_dir / service}.db"
        return _with_database(self.database_url, f"zongzhi_{service}")

    def owner_url_of(self, service: str) -> str:
        """The same database, as the role that owns its tables."""
        if self.database_url is None or self.database_owner_url is None:
            return self.database_url_of(service)
        return _with_database(self.database_owner_url, f"zongzhi_{service}")

    def address_of(self, service: str) -> str:
        """host:port where a neighbour answers gRPC."""
        return str(getattr(self, f"{service}_address"))


def _with_database(server_url: str, name: str) -> str:
    base, _, query = server_url.partition("?")
    head, _, _ = base.rpartition("/")
    return f"{head}/{name}" + (f"?{query}" if query else "")
