"""Calls that go on while something is done to a tier, and the account of what became of each of them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import requests

from charts.tests.cluster.releases import Gateway
from e2e.people import OnePerson
from e2e.story import DIVISION
from e2e.system import new_request_id

PAUSE_S = 0.2


@dataclass
class Case:
    """One petition: registered, accepted, referred. What was answered must be there for ever."""

    id: str = ""
    answered: list[str] = field(default_factory=list)


class Failed(Exception):
    """A call that was not answered as it should be."""


class Calls:
    """`with Calls(gateway) as calls:` files, accepts and refers petitions all the while.

    `patience_s` is how long a call is repeated until it counts as failed: nothing for district and town; a village's
    clerk tries again for half a minute.
    """

    def __init__(self, gateway: Gateway, patience_s: float = 0.0, division: str = DIVISION) -> None:
        self._gateway = gateway
        self._patience_s = patience_s
        self._division = division
        self._person = OnePerson()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.cases: list[Case] = []
        self.failures: list[str] = []
        self.answers = 0
        self.longest_s = 0.0

    def __enter__(self) -> Calls:
        self._gateway.sign_in()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._stopping.is_set():
            case = Case()
            try:
                self._tell(case)
            except Failed as failure:
                self.failures.append(str(failure))
            if case.id:
                self.cases.append(case)
            self._stopping.wait(PAUSE_S)

    def _tell(self, case: Case) -> None:
        who = self._person.person()
        body = {
            "request_id": new_request_id(), "channel": "CHANNEL_VISIT", "division_code": self._division,
            "representatives": [who], "subject": "楼上漏水无人修缮", "content": "楼上漏水三个月未修,反映多次。",
        }  # fmt: skip
        case.id = self._call("POST", "/v1/petitions", body)["petition"]["id"]
        case.answered.append("filed")
        self._call("POST", f"/v1/petitions/{case.id}:accept", {})
        case.answered.append("accepted")
        asked = {"reason": "邻里纠纷宜调解", "respondents": [who], "dispute_type": "邻里"}
        self._call("POST", f"/v1/petitions/{case.id}:refer", asked | {"request_id": new_request_id()})
        case.answered.append("referred")

    def _call(self, method: str, path: str, body: Any) -> dict[str, Any]:
        began = time.monotonic()
        while True:
            what = self._try(method, path, body)
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            if isinstance(what, dict):
                self.answers += 1
                return what
            if self._patience_s and path.endswith(":accept") and self._is_accepted(path):
                return {}
            if time.monotonic() - began >= self._patience_s:
                raise Failed(f"{time.strftime('%H:%M:%S')} {method} {path.rpartition(':')[2]}: {what}")
            time.sleep(0.5)

    def _is_accepted(self, path: str) -> bool:
        """An acceptance whose answer was lost on its way is refused when repeated: it is done already."""
        found = self._try("GET", path.removesuffix(":accept"), None)
        return isinstance(found, dict) and found["state"] == "PETITION_STATE_ACCEPTED"

    def _try(self, method: str, path: str, body: Any) -> dict[str, Any] | str:
        self._gateway.sign_in()
        try:
            answer = self._gateway.call(method, path, body)
        except requests.RequestException as error:
            return f"{type(error).__name__}: {str(error)[:200]}"
        return dict(answer.json()) if answer.ok else f"{answer.status_code} {answer.text[:300]}"

    def lost(self, within_s: float = 60) -> list[str]:
        """Cases that were answered and are not as they were answered: gone, in another state, or with no mediation."""
        end, left = time.monotonic() + within_s, list(self.cases)
        while left and time.monotonic() < end:
            left = [case for case in left if self._missing(case)]
        return [f"{case.id}: {self._missing(case)}" for case in left]

    def _missing(self, case: Case) -> str:
        found = self._try("GET", f"/v1/petitions/{case.id}", None)
        if isinstance(found, str):
            return f"filed, and now {found}"
        if "referred" not in case.answered:
            return ""
        if found["state"] != "PETITION_STATE_MEDIATING":
            return f"referred, and now {found['state']}"
        arrived = self._try("GET", f"/v1/mediations?petition_id={case.id}", None)
        count = len(arrived.get("mediations", [])) if isinstance(arrived, dict) else arrived
        return "" if count == 1 else f"referred once, and there are {count} mediations"

    def account(self) -> str:
        """One line for the report."""
        return (
            f"{self.answers} answered, {len(self.failures)} failed, {len(self.cases)} cases, "
            f"longest {self.longest_s:.1f} s"
        )
