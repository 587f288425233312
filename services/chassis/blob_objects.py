"""Bytes of files as objects of an S3-compatible store.

BLOB_URL is s3://key:secret@bucket/folder?endpoint=https://host&region=…; without key and secret those of the machine
are used (AWS_ACCESS_KEY_ID and so on, or its role). Parts of an upload during which the process was killed stay
invisible in the store; give the bucket a rule that aborts incomplete multipart uploads after a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from services.chassis.refusal import Unavailable
from services.chassis.settings import SettingsMissing

# The smallest part that S3 takes; one is on its way, one is being filled.
PART = 5 * 1024 * 1024
_RETRY: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=10)}
_WAIT = {"connect_timeout": "3s", "timeout": "60s"}


class ObjectStore:
    """One object per file below a folder of a bucket."""

    def __init__(self, url: str, folder: str) -> None:
        self._store = _open(url, folder)

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """Sends the parts as they fill; the object is there when all are."""
        with _answering():
            obstore.put(self._store, _path(name), iter(pieces), use_multipart=True, chunk_size=PART, max_concurrency=1)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """A range of the object."""
        if length <= 0:
            return b""
        with _answering():
            return bytes(obstore.get_range(self._store, _path(name), start=offset, length=length))

    def delete(self, names: Iterable[str]) -> None:
        """Deletes the objects."""
        with _answering():
            obstore.delete(self._store, [_path(name) for name in names])


def _path(name: str) -> str:
    # Names begin with the time; their ends spread over the store's partitions.
    return f"{name[-2:]}/{name}"


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (BaseError, FileNotFoundError, PermissionError) as error:
        # Its message names addresses and keys.
        raise Unavailable(
            "BLOBS_UNAVAILABLE",
            "文件存储暂时无法使用,请稍后重试。",
            "The store of files does not answer for now; try again later.",
            error=type(error).__name__,
        ) from None


def _open(url: str, folder: str) -> S3Store:
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.hostname:
        raise SettingsMissing(
            "BLOB_URL 应为 s3://key:secret@bucket/folder?endpoint=https://host。 "
            "BLOB_URL is s3://key:secret@bucket/folder?endpoint=https://host."
        )
    asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    options: dict[str, Any] = {"region": asked.get("region", "us-east-1")}
    if "endpoint" in asked:
        options["endpoint"] = asked["endpoint"]
    if parts.username:
        options |= {"access_key_id": unquote(parts.username), "secret_access_key": unquote(parts.password or "")}
    plain = asked.get("endpoint", "").startswith("http:")
    return S3Store(
        parts.hostname,
        prefix="/".join(part for part in (parts.path.strip("/"), folder) if part),
        client_options={**_WAIT, "allow_http": plain},  # type: ignore[arg-type, typeddict-item]
        retry_config=_RETRY,
        **options,
    )
