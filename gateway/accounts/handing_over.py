"""A leaving officer's open cases: listed over all services, and moved to a colleague who may work on them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.accounts.model import Account, State
from gateway.accounts.neighbours import WITH_CASES, Cases
from gateway.roles import ROLES, Side
from protos.accounts.v1 import accounts_pb2 as pb
from services.chassis import paging
from services.chassis.refusal import IllegalMove, Invalid, Refusal


def page(cases: Cases, officer: str, on_behalf_of: str, size: int, token: str) -> tuple[list[pb.OpenItem], str]:
    """A page of open cases, service by service."""
    service, inner = paging.decode_token(token, f"items {officer}") or (WITH_CASES[0], "")
    if service not in WITH_CASES:
        zh, en = "翻页标记无效,请从第一页重新查询。", "The page token is damaged; start again without page_token."
        raise Invalid("page_token", zh, en)
    items: list[pb.OpenItem] = []
    for name in WITH_CASES[WITH_CASES.index(service) :]:
        found = cases.page(name, officer, on_behalf_of, size - len(items), inner)
        items += [shown(name, item) for item in found.items]
        inner = found.next_page_token
        if inner:
            return items, paging.encode_token((name, inner), f"items {officer}")
        if len(items) >= size and name != WITH_CASES[-1]:
            following = WITH_CASES[WITH_CASES.index(name) + 1]
            return items, paging.encode_token((following, ""), f"items {officer}")
    return items, ""


def shown(service: str, item: Any) -> pb.OpenItem:
    """An open case as an administrator may see it: no personal data."""
    return pb.OpenItem(
        service=service, id=item.id, case_number=item.case_number, state=item.state, state_zh=item.state_zh,
        due_on=item.due_on, unit=item.unit,
    )  # fmt: skip


def move(cases: Cases, leaver: Account, receiver: Account, reason: str, on_behalf_of: str) -> list[pb.HandedOver]:
    """Moves everything that can be moved; what a service that is away has is left for the next time."""
    _may_receive(leaver, receiver)
    return [_move_one(cases, service, leaver, receiver, reason, on_behalf_of) for service in WITH_CASES]


def _move_one(
    cases: Cases, service: str, leaver: Account, receiver: Account, reason: str, on_behalf_of: str
) -> pb.HandedOver:  # fmt: skip
    result = pb.HandedOver(service=service)
    try:
        found = cases.page(service, leaver.name, on_behalf_of, paging.LARGEST_SIZE)
        result.left = len(found.items)
        token = found.next_page_token
        units = {item.unit for item in found.items}
        while token:
            found = cases.page(service, leaver.name, on_behalf_of, paging.LARGEST_SIZE, token)
            units |= {item.unit for item in found.items}
            result.left += len(found.items)
            token = found.next_page_token
        _may_work_on(receiver, service, units)
        for moved, left in cases.hand_over(service, leaver.name, receiver.name, reason, on_behalf_of):
            result.moved += moved
            result.left = left
    except Refusal as refusal:
        result.problem = refusal.message
    return result


def _may_receive(leaver: Account, receiver: Account) -> None:
    if receiver.name == leaver.name:
        raise Invalid("to_account", "不能移交给本人。", "The receiver must be another account.")
    if receiver.state is not State.ACTIVE or receiver.side is not Side.OPERATOR:
        raise IllegalMove(
            "RECEIVER_UNFIT",
            "接收账号须为启用的业务账号。",
            "The receiver must be an active operator.",
            state=receiver.state.value,
        )


def _may_work_on(receiver: Account, service: str, units: Iterable[str]) -> None:
    theirs = {
        unit for post in receiver.appointments for unit in post.units
        if any(service in ROLES[role].works_in for role in post.roles if role in ROLES)
    }  # fmt: skip
    missing = sorted(set(units) - theirs)
    if missing:
        raise IllegalMove(
            "RECEIVER_UNIT",
            f"接收人不办理单位 {'、'.join(missing)} 的{service}事项,请先为其任职或换一位接收人。",
            f"The receiver does not work on {service} cases of {', '.join(missing)}; appoint them there or choose "
            "another.",
            state="",
        )
