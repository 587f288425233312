"""An authority of a test's own, and the files of whoever it vouches for."""

from __future__ import annotations

from pathlib import Path

from services.certificates import Authority


def issue(authority: Authority, folder: Path, *names: str) -> Path:
    """tls.crt, tls.key and ca.crt in a folder, for these host names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in authority.issue(list(names) or ["localhost"], "spiffe://test/svc").items():
        (folder / name).write_bytes(content)
    return folder
