"""An S3 server in a folder, for tests of files in a bucket: Versity S3 Gateway over plain files."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

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

MODULE = "github.com/versity/versitygw/cmd/versitygw"
VERSION = "v1.8.0"
PROGRAM = "versitygw"
ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".tools" / "bin"
BUCKET = "zongzhi-files"
USER = "zongzhi"


class S3Missing(Exception):
    """There is no S3 server and no Go to build one; the message is one sentence with the command to type."""

    def __init__(self) -> None:
        command = f"GOBIN={TOOLS} go install {MODULE}@{VERSION}"
        super().__init__(
            f"缺少测试用 S3 服务器 {PROGRAM},本机没有 Go 无法编译,请安装 Go 1.24 以上后运行:{command} "
            f"The S3 server {PROGRAM} for tests is missing and there is no Go to build it; with Go, type: {command}"
        )


def find_program() -> Path | None:
    """The server's program, ours or the machine's."""
    own = TOOLS / PROGRAM
    found = str(own) if own.exists() else shutil.which(PROGRAM)
    return Path(found) if found else None


def ensure_built() -> Path:
    """The program; built into the git-ignored .tools/bin when there is none and Go is here. Raises S3Missing."""
    found = find_program()
    if found:
        return found
    go = shutil.which("go")
    if not go:
        raise S3Missing
    TOOLS.mkdir(parents=True, exist_ok=True)
    with locked(TOOLS / ".lock"):
        if not find_program():
            run([go, "install", f"{MODULE}@{VERSION}"], timeout=900, env=os.environ | {"GOBIN": str(TOOLS)}, cwd="/")
    return TOOLS / PROGRAM


class S3Server:
    """One S3 server on loopback whose objects, log and secret lie in `folder`; it has one bucket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.objects = self.folder / "objects"
        self.log = self.folder / "s3.log"
        self._notes = Notes(self.folder / "server.json")
        self._child: Any = None

    @property
    def pid(self) -> int | None:
        """The server's process; None when it does not run."""
        pid = self._notes.read().get("pid")
        return pid if is_running(pid, str(self.objects)) else None

    @property
    def url(self) -> str:
        """What BLOB_URL would be."""
        notes = self._notes.read()
        return f"s3://{USER}:{notes['password']}@{BUCKET}/files?endpoint=http://{LOOPBACK}:{notes['port']}"

    def start(self) -> S3Server:
        """Starts the server, or adopts the one that runs in this folder. Returns when it accepts connections."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / ".lock"):
            if self.pid is None:
                self._spawn()
            port = self._notes.read()["port"]
            if not wait_until(lambda: answers(port) or self.pid is None, timeout=30) or self.pid is None:
                raise ProcessFailed(f"S3 服务器未能启动。The S3 server did not start:\n{last_lines(self.log)}")
        return self

    def stop(self) -> None:
        """Ends the server; the objects stay."""
        pid = self.pid
        if pid is None:
            return
        send(pid, signal.SIGTERM)
        if not wait_until(lambda: self.pid is None, timeout=10):
            send(pid, signal.SIGKILL)
        if self._child is not None:
            self._child.wait(timeout=5)

    def _spawn(self) -> None:
        program = ensure_built()
        known = self._notes.read()
        port, password = known.get("port") or free_port(), known.get("password") or new_password()
        (self.objects / BUCKET).mkdir(parents=True, exist_ok=True)
        secrets = {"ROOT_ACCESS_KEY_ID": USER, "ROOT_SECRET_ACCESS_KEY": password, "PATH": os.environ["PATH"]}
        command = [program, "--quiet", "--port", f"{LOOPBACK}:{port}", "posix", self.objects]
        with self.log.open("ab") as log:
            self._child = spawn(command, log, cwd=self.folder, env=secrets)
        self._notes.remember(port=port, password=password, pid=self._child.pid)
