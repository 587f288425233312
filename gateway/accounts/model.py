"""Accounts, the posts that officers hold, and the rules that keep three kinds of people apart.

ACTIVE ── disable ──▶ DISABLED ── enable ──▶ ACTIVE
   └──────── close ───────┴──────▶ CLOSED
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.roles import ROLES, SIDE_ZH, Side, sides
from services.chassis.refusal import Forbidden, IllegalMove, Invalid, NotFound, Violation


class State(StrEnum):
    """Where an account stands."""

    ACTIVE = "active"
    DISABLED = "disabled"
    CLOSED = "closed"


STATE_ZH = {State.ACTIVE: "启用", State.DISABLED: "停用", State.CLOSED: "已注销"}
# A move that is not listed is refused.
MOVES: dict[State, frozenset[State]] = {
    State.ACTIVE: frozenset({State.DISABLED, State.CLOSED}),
    State.DISABLED: frozenset({State.ACTIVE, State.CLOSED}),
    State.CLOSED: frozenset(),
}


@dataclass(frozen=True)
class Appointment:
    """One post 任职. A session acts in one post, so the rights of two never mix."""

    post: str
    title: str
    units: tuple[str, ...]
    roles: tuple[str, ...]
    scope: str


@dataclass
class Account:
    """An officer's account."""

    id: str
    name: str
    display_name: str
    phone: str
    state: State
    password_hash: str
    must_change: bool
    password_changed_at: datetime
    created_at: datetime
    appointments: tuple[Appointment, ...]
    # A one-time password is of no use after this; empty for a chosen one.
    usable_until: datetime | None = None
    last_sign_in_at: datetime | None = None
    closed_at: datetime | None = None

    @property
    def roles(self) -> frozenset[str]:
        """The roles of all posts together."""
        return frozenset(role for one in self.appointments for role in one.roles)

    @property
    def side(self) -> Side | None:
        """Which of the three kinds of people this is."""
        return next(iter(sides(self.roles)), None)

    def post(self, wanted: str = "") -> Appointment:
        """The post of this code; without one the first. NotFound when the account holds none of it."""
        for one in self.appointments:
            if wanted in ("", one.post):
                return one
        raise NotFound.thing("该任职", "post of this account", wanted)

    def move(self, to: State) -> None:
        """Changes the state, or says why not."""
        if to not in MOVES[self.state]:
            raise IllegalMove(
                "ILLEGAL_MOVE",
                f"账号当前为“{STATE_ZH[self.state]}”,不能变为“{STATE_ZH[to]}”。",
                f"The account is {self.state}, so it cannot become {to}.",
                state=self.state.value,
                allowed_states=",".join(sorted(MOVES[self.state])),
            )
        self.state = to

    def must_be_open(self) -> None:
        """Refuses to change what was closed for good."""
        if self.state is State.CLOSED:
            raise IllegalMove(
                "ACCOUNT_CLOSED", "账号已注销,不能再作更改。", "The account is closed; nothing of it changes any more.",
                state=self.state.value,
            )  # fmt: skip


def own_prefix(tier: str) -> str:
    """The digits by which all divisions of a tier begin: 341702 of a district, 341702102 of a town."""
    for length in (2, 4, 6, 9):
        if not tier[length:].strip("0"):
            return tier[:length]
    return tier


def appointed(given: Iterable[Appointment], tier: str) -> tuple[Appointment, ...]:
    """The posts as they are kept: an empty scope becomes the whole tier. Raises Invalid naming every wrong place."""
    own = own_prefix(tier)
    posts = tuple(
        Appointment(p.post, p.title.strip(), _once(p.units), _once(p.roles), p.scope or own) for p in given
    )  # fmt: skip
    wrong = [problem for i, post in enumerate(posts) for problem in _problems(i, post, own)]
    codes = [post.post for post in posts]
    wrong += [
        Violation(f"appointments[{i}].post", f"任职代码 {code} 重复。", f"The post {code} is given twice.")
        for i, code in enumerate(codes) if code in codes[:i]
    ]  # fmt: skip
    if wrong:
        raise Invalid.of(wrong)
    _one_side(posts)
    return posts


def not_oneself(actor: str, account: Account) -> None:
    """Nobody changes the rights of, disables, resets, unlocks or closes an account of one's own."""
    if actor == account.name:
        raise Forbidden(
            "OWN_ACCOUNT",
            "不能管理自己的账号,请由另一位系统管理员操作。",
            "Nobody manages an account of one's own; another administrator does this.",
        )


def keep_an_administrator(account: Account, others: int) -> None:
    """Refuses to take the last administrator away; then nobody could manage accounts any more."""
    if account.side is Side.ADMINISTRATOR and account.state is State.ACTIVE and not others:
        raise IllegalMove(
            "LAST_ADMINISTRATOR",
            "这是最后一个启用的系统管理员,请先设立另一个。",
            "This is the last active administrator; appoint another one first.",
            state=account.state.value,
        )


def _problems(i: int, post: Appointment, own: str) -> Iterable[Violation]:
    at = f"appointments[{i}]"
    for role in post.roles:
        if role not in ROLES:
            zh, en = f"没有角色 {role},可用 GET /v1/roles 查询。", f"There is no role {role}; GET /v1/roles lists them."
            yield Violation(f"{at}.roles", zh, en)
    if not post.scope.startswith(own):
        zh, en = f"管辖范围须在本级({own}…)之内。", f"The scope must lie inside of this tier ({own}…)."
        yield Violation(f"{at}.scope", zh, en)
    if sides(post.roles) == {Side.OPERATOR} and not post.units:
        zh, en = "业务角色须填写至少一个单位。", "An operator works for at least one unit; name it."
        yield Violation(f"{at}.units", zh, en)


def _one_side(posts: Sequence[Appointment]) -> None:
    found = sides(role for post in posts for role in post.roles)
    if len(found) > 1:
        zh = "、".join(SIDE_ZH[side] for side in Side if side in found)
        en = " and ".join(side for side in Side if side in found)
        raise Invalid(
            "appointments",
            f"一个账号不能同时担任{zh}角色(系统管理、审计、业务三权分立),请分设账号。",
            f"No account is {en} at once; the three are kept apart. Open another account.",
            reason="SIDES_MIXED",
        )


def _once(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
