"""TLS between services out of three files: tls.crt and tls.key say who one is, ca.crt whom one believes.

Both sides prove themselves. Whoever renews the files need not restart anybody: a server reads them at the next
handshake, a client when their `stamp` has changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import grpc

CERTIFICATE, KEY, AUTHORITY = "tls.crt", "tls.key", "ca.crt"


class FilesMissing(Exception):
    """The folder lacks a file; the message says which."""


class Identity(NamedTuple):
    """What the three files hold."""

    certificate: bytes
    key: bytes
    authority: bytes


def read(folder: Path) -> Identity:
    """The files as they are now. Raises FilesMissing."""
    try:
        return Identity(*((folder / name).read_bytes() for name in (CERTIFICATE, KEY, AUTHORITY)))
    except OSError as error:
        raise FilesMissing(
            f"GRPC_TLS_DIR {folder} 里缺少或无法读取 {error.filename}。 "
            f"{error.filename} in GRPC_TLS_DIR is missing or cannot be read."
        ) from None


def server_credentials(folder: Path) -> grpc.ServerCredentials:
    """A server that believes only clients of its authority, and takes renewed files up at the next handshake."""
    last = read(folder)

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal last
        try:
            found = read(folder)
        except FilesMissing:
            return None  # half written: the next handshake looks again
        if found == last:
            return None
        last = found
        return _configuration(found)

    # None means "as before", which the annotations do not know.
    fetch: Any = renewed
    return grpc.dynamic_ssl_server_credentials(_configuration(last), fetch, require_client_authentication=True)


def channel_credentials(folder: Path) -> grpc.ChannelCredentials:
    """A client that shows its own certificate."""
    own = read(folder)
    return grpc.ssl_channel_credentials(own.authority, own.key, own.certificate)


def stamp(folder: Path) -> tuple[int, ...]:
    """Changes when the files are renewed; Kubernetes swaps the whole folder behind a link."""
    found = []
    for name in (CERTIFICATE, KEY, AUTHORITY):
        try:
            stat = (folder / name).stat()
        except OSError:
            continue
        found += [stat.st_mtime_ns, stat.st_ino]
    return tuple(found)


def _configuration(own: Identity) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(own.key, own.certificate)], own.authority)
