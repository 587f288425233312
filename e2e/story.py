"""Given, when, then: one case told over HTTP, as clerks and mediators work on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from e2e.people import Typed
from e2e.system import System, eventually, new_request_id

DIVISION = "341702001008"
HALL, MEDIATION, COMMAND = "341702-XFJ", "341702-SFJ", "341702-ZFW"
Json = dict[str, Any]
Headers = Callable[[], dict[str, str]]


class Story:
    """One petition and what becomes of it. Every reply that it hears is searched for what was typed in."""

    def __init__(self, system: System, typed: Typed | None = None, headers: Headers = dict) -> None:
        self.system = system
        self.typed = typed or Typed()
        self.headers = headers
        self.id = ""
        self.public_code = ""
        self.petitioner = self.typed.person()
        self.respondents: list[Json] = []
        system.sign_in()

    # given

    def filed(self, **more: Any) -> Story:
        """A visit was registered."""
        answer = self.ok("POST", "/v1/petitions", self.registration(**more))
        self.id, self.public_code = answer["petition"]["id"], answer["public_code"]
        return self

    def accepted(self, **more: Any) -> Story:
        """A petition was registered and accepted."""
        self.filed(**more)
        self.accept()
        return self

    def referred(self) -> Story:
        """An accepted petition lies with the mediation centre, which asks the parties."""
        self.accepted()
        self.refer()
        self.mediation()
        return self

    def registration(self, **more: Any) -> Json:
        """The form as the clerk fills it in; phone, name and number stand in the free text too, as people write."""
        who = self.petitioner
        told = f"{who['name']}反映楼上漏水三个月未修,请回电{who['phone']},证件{who['id_no']}。"
        return {
            "request_id": new_request_id(), "channel": "CHANNEL_VISIT", "division_code": DIVISION,
            "representatives": [who], "subject": self.typed.text(f"楼上漏水无人修缮,来访人{who['name']}"),
            "content": self.typed.text(told),
        } | more  # fmt: skip

    # when

    def accept(self) -> Json:
        """The hall takes the matter on."""
        return self.act("accept")

    def decline(self, reason: str = "属于诉讼程序", route: str = "ROUTE_JUDICIAL") -> Json:
        """The hall names another lawful route."""
        return self.act("decline", reason=self.typed.text(reason), route=route)

    def void(self, reason: str = "重复录入的一件") -> Json:
        """The registration was a mistake."""
        return self.act("void", reason=self.typed.text(reason))

    def refer(self, others: int = 1) -> Json:
        """The hall asks the mediation centre."""
        self.respondents = [self.typed.person() for _ in range(others)]
        reason = self.typed.text(f"邻里纠纷宜调解,对方电话{self.respondents[0]['phone']}")
        asked = {"reason": reason, "respondents": self.respondents, "dispute_type": "邻里"}
        return self.act("refer", request_id=new_request_id(), **asked)

    def withdraw(self, reason: str = "来访人改变主意了") -> Json:
        """The hall asks the case back."""
        return self.act("withdrawReferral", reason=self.typed.text(reason))

    def conclude(self) -> Json:
        """The hall gives its own written opinion."""
        opinion = self.typed.text("已督促物业修缮完毕并验收")
        basis = "《物业管理条例》第五十五条"
        return self.act("conclude", outcome="OUTCOME_SUPPORTED", opinion=opinion, legal_basis=basis)

    def evaluate(self) -> Json:
        """The petitioner rates the office's work."""
        comment = self.typed.text(f"{self.petitioner['name']}表示处理及时")
        return self.act("evaluate", satisfaction="SATISFACTION_SATISFIED", comment=comment)

    def one_refuses(self) -> Json:
        """The other side does not want mediation."""
        mediation = self.mediation()
        party = next(p for p in mediation["parties"] if p["side"] == "respondent")
        reason = self.typed.text(f"{self.respondents[-1]['name']}不愿与{self.petitioner['name']}调解")
        return self.consent(mediation["id"], party["id"], "CONSENT_REFUSED", reason=reason)

    def consent_all(self) -> Json:
        """Every party agrees, one after the other."""
        mediation = self.mediation()
        for party in mediation["parties"]:
            last = self.consent(mediation["id"], party["id"], "CONSENT_GIVEN")
        return last

    def consent(self, mediation_id: str, party_id: str, consent: str, **more: str) -> Json:
        """One party answers."""
        answer = {"party_id": party_id, "consent": consent} | more
        return self.ok("POST", f"/v1/mediations/{mediation_id}:consent", answer)

    def settle(self) -> Json:
        """The parties reach an agreement."""
        terms = self.typed.text(f"{self.respondents[-1]['name']}十日内修好漏水,赔偿两千元")
        body = {"form": "AGREEMENT_FORM_WRITTEN", "terms": terms}
        return self.ok("POST", f"/v1/mediations/{self.mediation()['id']}:settle", body)

    def fail(self) -> Json:
        """They do not."""
        body = {"reason": self.typed.text("双方对赔偿数额分歧过大")}
        return self.ok("POST", f"/v1/mediations/{self.mediation()['id']}:fail", body)

    def act(self, verb: str, **body: Any) -> Json:
        """One verb on the petition."""
        return self.ok("POST", f"/v1/petitions/{self.id}:{verb}", body)

    # then

    def petition(self) -> Json:
        """The petition as it stands."""
        return self.ok("GET", f"/v1/petitions/{self.id}")

    def becomes(self, state: str, **more: Any) -> Json:
        """Waits until the petition is in this state (and its fields have these values)."""

        def look() -> Json | None:
            now = self.petition()
            wanted = {"state": f"PETITION_STATE_{state}"} | more
            return now if wanted.items() <= now.items() else None

        return dict(eventually(look, f"petition {state} {more}"))

    def mediations(self) -> list[Json]:
        """All mediations of the case, oldest first."""
        found = self.ok("GET", "/v1/mediations", params={"petition_id": self.id})
        return list(reversed(found.get("mediations", [])))

    def mediation(self) -> Json:
        """The mediation that the last referral opened; waits until it arrives."""
        wanted = self.petition()["referrals"][-1]["id"]

        def look() -> Json | None:
            return next((m for m in self.mediations() if m["referral_id"] == wanted), None)

        return dict(eventually(look, "the referral arrives at the mediation centre"))

    def timeline(self) -> list[Json]:
        """What happened, as the hall sees it."""
        return list(self.ok("GET", f"/v1/petitions/{self.id}/timeline").get("entries", []))

    def kinds(self) -> list[str]:
        """The kinds of the hall's timeline, in order."""
        return [entry["kind"] for entry in self.timeline()]

    def told(self, kind: str) -> list[str]:
        """Waits until the hall's timeline holds a line of this kind."""
        eventually(lambda: kind in self.kinds(), f"{kind} on the timeline")
        return self.kinds()

    def mediation_kinds(self, mediation_id: str) -> list[str]:
        """The kinds of a mediation's timeline, in order."""
        return [e["kind"] for e in self.ok("GET", f"/v1/mediations/{mediation_id}/timeline").get("entries", [])]

    def clock(self, kind: str) -> Json:
        """The one clock of this kind that the petition has."""
        (clock,) = [c for c in self.petition()["clocks"] if c["kind"] == kind]
        return dict(clock)

    # how

    def ok(self, method: str, path: str, body: Json | None = None, **options: Any) -> Json:
        """A call that succeeds, whose reply shows nothing that was typed in."""
        answer = self.system.ok(method, path, body, headers=self.headers(), **options)
        seen = self.typed.found_in(str(answer))
        assert not seen, f"{method} {path} shows {seen}"
        return answer
