"""Files a petition through the public API and reads it back, as `helm test` and a newcomer do: `zongzhi smoke`.

Standard library only, one line for each step, exit code 1 with the step that failed.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

WAIT_S = 60.0
CALL_S = 10.0
# Invented, and said so in the text; it is voided at the end, with its reason.
VISITOR = {"name": "试用人", "phone": "13800000000", "address": "安徽省池州市贵池区演示路1号"}
SUBJECT = "部署自检:请忽略本件"
CONTENT = "系统部署后的自动检验,登记后即作废。Filed by the deployment's own test and voided at once."


class SmokeFailed(Exception):
    """A step did not go as it should; the message names it."""


def run(gateway: str, login: Path, division: str) -> int:
    """Signs in, files, reads back, voids. `login` is a folder with the files `account` and `password`."""
    client = Client(gateway)
    try:
        client.wait_until_ready()
        client.sign_in({name: (login / name).read_text().strip() for name in ("account", "password")})
        petition = client.file(division)
        client.void(petition)
    except (SmokeFailed, OSError) as error:
        print(f"自检失败 smoke test failed: {error}")
        return 1
    print("自检通过 smoke test passed")
    return 0


class Client:
    """A caller of the public API."""

    def __init__(self, gateway: str) -> None:
        self._gateway = gateway.rstrip("/")
        self._token = ""

    def wait_until_ready(self) -> None:
        """Waits until every service behind the gateway answers."""
        end = time.monotonic() + WAIT_S
        while True:
            try:
                self._call("GET", "/readyz")
            except (SmokeFailed, OSError):
                if time.monotonic() > end:
                    raise
                time.sleep(1)
            else:
                print("网关就绪 the gateway is ready")
                return

    def sign_in(self, login: dict[str, str]) -> None:
        """Every later call carries the token."""
        self._token = self._call("POST", "/v1/session", login)["access_token"]
        print("已登录 signed in")

    def file(self, division: str) -> str:
        """Registers a petition and finds it again as it was registered; returns its id."""
        filed = self._call("POST", "/v1/petitions", _registration(division))["petition"]
        read = self._call("GET", f"/v1/petitions/{filed['id']}")
        if (read["case_number"], read["subject"]) != (filed["case_number"], SUBJECT):
            raise SmokeFailed(f"the petition {filed['id']} reads differently from what was filed")
        print(f"已登记并读回 filed and read back: {read['case_number']}")
        return str(filed["id"])

    def void(self, petition: str) -> None:
        """Takes it out of everybody's work again."""
        state = self._call("POST", f"/v1/petitions/{petition}:void", {"reason": "部署自检"})["state"]
        if state != "PETITION_STATE_VOIDED":
            raise SmokeFailed(f"the petition {petition} is {state} and should be voided")
        print("已作废 voided")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        data = None if body is None else json.dumps(body).encode()
        # The address comes from whoever runs the command, not from a stranger.
        request = urllib.request.Request(f"{self._gateway}{path}", data, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=CALL_S) as answer:  # noqa: S310
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            raise SmokeFailed(f"{method} {path}: {error.code} {error.read().decode(errors='replace')[:500]}") from None


def _registration(division: str) -> dict[str, Any]:
    return {
        "request_id": str(uuid.uuid4()), "channel": "CHANNEL_VISIT", "division_code": division,
        "representatives": [VISITOR], "subject": SUBJECT, "content": CONTENT,
    }  # fmt: skip
