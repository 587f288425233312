"""Invented cases, by the thousand: registrations to send, and accepted petitions that lie ready to be referred."""

from __future__ import annotations

import itertools
import json
import random
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import psycopg

from e2e.people import NAMES
from protos.petition.v1 import petition_pb2 as pb
from services.chassis.clock import legal_date
from services.chassis.directory_entries import DIVISIONS, VILLAGE_LEVELS
from services.chassis.directory_shipped import shipped
from services.chassis.ids import uuid7

REGISTER = "/zongzhi.petition.v1.PetitionService/RegisterPetition"
REFER = "/zongzhi.petition.v1.PetitionService/ReferPetition"
SUBJECT = "楼上漏水三个月无人修缮"
CONTENT = (
    "自八月起楼上卫生间渗漏,天花板脱落,多次找物业和楼上住户协商未果。"
    "诉求:由责任方修复漏水并赔偿损失。已附照片和物业答复。请尽快安排人员现场查看并答复。"
)
TIER, HALL = "341702000000", "341702-XFJ"
# Of prepared petitions; those of the services carry letters.
_numbers = itertools.count(10**20)


@cache
def villages() -> tuple[str, ...]:
    """Codes of villages and communities: a division has 9,999 case numbers a day."""
    return tuple(one.code for one in shipped(DIVISIONS) if one.level in VILLAGE_LEVELS and one.valid_to is None)


def new_id(chance: random.Random) -> str:
    """A request id."""
    return str(UUID(int=chance.getrandbits(128), version=4))


def person(chance: random.Random) -> dict[str, str]:
    """An invented person."""
    return {
        "name": chance.choice(NAMES), "phone": f"139{chance.randrange(10**8):08}",
        "address": f"安徽省池州市贵池区演示路{chance.randrange(100, 999)}号",
    }  # fmt: skip


def registration(chance: random.Random) -> dict[str, Any]:
    """A visit, as the clerk fills the form in."""
    return {
        "request_id": new_id(chance), "channel": "CHANNEL_VISIT", "division_code": chance.choice(villages()),
        "representatives": [person(chance)], "subject": SUBJECT, "content": CONTENT,
    }  # fmt: skip


def registrations(chance: random.Random, count: int) -> list[bytes]:
    """RegisterPetition requests, serialised."""
    return [pb.RegisterPetitionRequest(**registration(chance)).SerializeToString() for _ in range(count)]


def referrals(chance: random.Random, petitions: list[str]) -> list[bytes]:
    """ReferPetition requests for these petitions, serialised."""
    more = {"reason": "邻里纠纷,双方愿意协商,宜调解", "dispute_type": "邻里"}
    return [
        pb.ReferPetitionRequest(
            id=petition, request_id=new_id(chance), respondents=[pb.Person(**person(chance))], **more
        ).SerializeToString()
        for petition in petitions
    ]


def http_posts(path: str, bodies: list[dict[str, Any]], headers: dict[str, str]) -> list[bytes]:
    """Whole HTTP requests."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    posts = []
    for body in bodies:
        text = json.dumps(body, ensure_ascii=False).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{lines}Content-Type: application/json\r\n"
        head += f"Content-Length: {len(text)}"
        posts.append(f"{head}\r\n\r\n".encode() + text)
    return posts


def accepted_petitions(conn: psycopg.Connection[Any], chance: random.Random, count: int) -> list[str]:
    """Writes accepted petitions with petitioner, two clocks and two timeline lines each; returns their ids."""
    now = datetime.now(UTC)
    today = legal_date(now)
    made = [(uuid7(), f"{next(_numbers):025}", person(chance)) for _ in range(count)]
    with conn.cursor() as cursor:
        _copy(cursor, "petitions", [
            {
                "id": key, "case_number": number, "public_code_hash": f"{chance.getrandbits(256):064x}",
                "state": "ACCEPTED", "channel": "VISIT", "petition_class": "CLAIM",
                "division_code": chance.choice(villages()), "person_count": 1, "subject": SUBJECT, "content": CONTENT,
                "received_on": today, "registered_at": now, "registered_unit": HALL, "accused_unit": "",
                "earlier_case_number": "", "responsible_unit": HALL, "officer": "demo", "opinion": "",
                "legal_basis": "",
                "reason": "", "evaluation_comment": "", "owner_service": "petition", "owner_tier": TIER,
                "origin_tier": TIER, "owner_epoch": 1,
            }
            for key, number, _ in made
        ])  # fmt: skip
        _copy(cursor, "petition_persons", [
            {"id": uuid7(), "petition_id": key, "side": "applicant", "id_no": "", **who} for key, _, who in made
        ])  # fmt: skip
        _copy(cursor, "deadlines", [_clock(key, kind, today) for key, _, _ in made for kind in ("accept", "conclude")])
        _copy(cursor, "timeline", [
            {"id": uuid7(), "subject_id": key, "seq": seq, "at": now, "kind": kind, "text_zh": "已登记",
             "text_en": "Registered", "actor": "demo", "unit": HALL}
            for key, _, _ in made for seq, kind in ((1, "petition.registered"), (2, "petition.accepted"))
        ])  # fmt: skip
    conn.execute("ANALYZE")
    return [key for key, _, _ in made]


def _clock(petition: str, kind: str, today: Any) -> dict[str, Any]:
    days = {"accept": 15, "conclude": 60}[kind]
    at = datetime.now(UTC)
    return {
        "id": uuid7(), "subject_type": "petition", "subject_id": petition, "kind": kind, "length": days, "unit": "day",
        "source": "《信访工作条例》", "started_on": today, "amber_on": today + timedelta(days - 5),
        "due_on": today + timedelta(days), "amber_at": at + timedelta(days - 5), "red_at": at + timedelta(days),
        "provisional": False, "state": "met" if kind == "accept" else "running", "suspended_days": 0,
        "met_on": today if kind == "accept" else None,
    }  # fmt: skip


def _copy(cursor: psycopg.Cursor[Any], table: str, rows: list[dict[str, Any]]) -> None:
    names = list(rows[0])
    with cursor.copy(f"COPY {table} ({', '.join(names)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([row[name] for name in names])
