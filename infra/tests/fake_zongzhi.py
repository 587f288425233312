"""Stands in for the command `zongzhi`: the launchers are tested without the services. FAKE says how it fails."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(os.environ["DATA_DIR"])
FAKE = os.environ.get("FAKE", "")


class Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/readyz" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


def note(words: list[str]) -> None:
    told = ("ZONGZHI_TIER", "BUS_URL", "DATABASE_URL", "GRPC_PORT", "GATEWAY_PORT")
    line = {"words": words, "pid": os.getpid()} | {name: os.environ.get(name) for name in told}
    line["addresses"] = sorted(value for name, value in os.environ.items() if name.endswith("_ADDRESS"))
    with (FOLDER / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(line) + "\n")


def serve(port: int) -> None:
    if FAKE == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if port:
        threading.Thread(target=ThreadingHTTPServer(("127.0.0.1", port), Ready).serve_forever, daemon=True).start()
    while True:
        signal.pause()


def main(words: list[str]) -> None:
    note(words)
    role = words[0]
    if role == FAKE:
        sys.exit(f"{role}: the disk is full")
    if role == "setup":
        (FOLDER / "demo-login.json").write_text(json.dumps({"account": "demo", "password": 'it\'s "secret"'}))
    ports = {"all": "GATEWAY_PORT", "gateway": "GATEWAY_PORT", "serve": "GRPC_PORT", "work": ""}
    if role in ports:
        serve(int(os.environ.get(ports[role], "0")))


main(sys.argv[1:])
