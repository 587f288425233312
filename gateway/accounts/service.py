"""AccountService, answered in the gateway. Permission and fields are checked before; refusals become problems after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, or_, select

from gateway.accounts import deeds, handing_over, messages, passwords, service_store, session_store, store
from gateway.accounts.model import Account, Appointment, appointed
from gateway.accounts.neighbours import Cases, Units
from gateway.accounts.signing_in import Door
from gateway.accounts.tables import login_attempts
from gateway.roles import ROLES
from protos.accounts.v1 import accounts_pb2 as pb
from services.chassis import audit, clock, paging
from services.chassis.database import Database, Tx
from services.chassis.identity import current
from services.chassis.refusal import IllegalMove, Invalid, Violation
from services.chassis.requests import Once
from services.chassis.tables import audit as audit_table

UNITS_UNCHECKED = (
    "单位代码未能与组织机构核对(网格服务未连接),请核实。 "
    "Unit codes were not checked against the directory, which does not answer; check them yourself."
)


class AccountService:
    """What administrators and auditors ask of the gateway itself."""

    def __init__(
        self, db: Database, door: Door, once: Once, cases: Cases, units: Units, tier: str, forget: Callable[[], None]
    ) -> None:  # fmt: skip
        self._db = db
        self._door = door
        self._once = once
        self._cases = cases
        self._units = units
        self._tier = tier
        # What was changed here takes effect in this process at once.
        self._forget = forget

    # Accounts

    def CreateAccount(self, request: pb.CreateAccountRequest) -> pb.OneTimePassword:
        posts = messages.appointments(request.appointments)
        note = self._check_units(appointed(posts, self._tier))
        password = passwords.one_time()
        hashed = passwords.hashed(password)

        def create(tx: Tx) -> pb.OneTimePassword:
            made = deeds.create(tx, request.account, request.display_name, request.phone, posts, hashed)
            return self._one_time(made, password, tx.now, note)

        return self._once.run(request, pb.OneTimePassword, create)

    def GetAccount(self, request: pb.GetAccountRequest) -> pb.Account:
        with self._db.reading() as conn:
            return self._shown(conn, store.read(conn, request.account))

    def ListAccounts(self, request: pb.ListAccountsRequest) -> pb.ListAccountsResponse:
        size, wanted = paging.page_size(request.page_size), messages.filters(request)
        (after,) = paging.decode_token(request.page_token, str(wanted)) or ("",)
        with self._db.reading() as conn:
            found = store.page(conn, wanted, after, size + 1)
            shown = [self._shown(conn, one) for one in found[:size]]
        token = paging.encode_token((found[size - 1].name,), str(wanted)) if len(found) > size else ""
        return pb.ListAccountsResponse(accounts=shown, next_page_token=token)

    def RevealAccount(self, request: pb.RevealAccountRequest) -> pb.RevealAccountResponse:
        with self._db.transaction() as tx:
            found = store.get(tx, request.account)
            audit.write(tx, "account.revealed", "account", found.name, reason=request.reason)
        return pb.RevealAccountResponse(display_name=found.display_name, phone=found.phone)

    def SetAppointments(self, request: pb.SetAppointmentsRequest) -> pb.AccountChange:
        posts = messages.appointments(request.appointments)
        note = self._check_units(appointed(posts, self._tier))
        return pb.AccountChange(account=self._change(lambda tx: deeds.appoint(tx, request.account, posts)), note=note)

    def DisableAccount(self, request: pb.DisableAccountRequest) -> pb.Account:
        return self._change(lambda tx: deeds.disable(tx, request.account, request.reason))

    def EnableAccount(self, request: pb.EnableAccountRequest) -> pb.Account:
        return self._change(lambda tx: deeds.enable(tx, request.account))

    def ResetPassword(self, request: pb.ResetPasswordRequest) -> pb.OneTimePassword:
        password = passwords.one_time()
        hashed = passwords.hashed(password)
        with self._db.transaction() as tx:
            answer = self._one_time(deeds.reset(tx, request.account, hashed), password, tx.now)
        self._forget()
        return answer

    def UnlockAccount(self, request: pb.UnlockAccountRequest) -> pb.Account:
        def unlock(tx: Tx) -> Account:
            return deeds.unlock(tx, request.account, self._door.people)

        return self._change(unlock)

    def RevokeSessions(self, request: pb.RevokeSessionsRequest) -> pb.RevokeSessionsResponse:
        with self._db.transaction() as tx:
            _, ended = deeds.revoke(tx, request.account)
        self._forget()
        return pb.RevokeSessionsResponse(ended=ended)

    def ListSessions(self, request: pb.ListSessionsRequest) -> pb.ListSessionsResponse:
        size, narrowed = paging.page_size(request.page_size), f"sessions {request.account}"
        (before,) = paging.decode_token(request.page_token, narrowed) or ("",)
        with self._db.reading() as conn:
            account = store.read(conn, request.account)
            found = session_store.page(conn, account.id, before, size + 1)
        token = paging.encode_token((found[size - 1].id,), narrowed) if len(found) > size else ""
        return pb.ListSessionsResponse(sessions=map(messages.session, found[:size]), next_page_token=token)

    # Whoever leaves

    def ListOpenItems(self, request: pb.ListOpenItemsRequest) -> pb.ListOpenItemsResponse:
        self._must_exist(request.account)
        size = paging.page_size(request.page_size)
        items, token = handing_over.page(self._cases, request.account, current().account, size, request.page_token)
        return pb.ListOpenItemsResponse(items=items, next_page_token=token)

    def HandOver(self, request: pb.HandOverRequest) -> pb.HandOverResponse:
        with self._db.reading() as conn:
            leaver, receiver = store.read(conn, request.account), store.read(conn, request.to_account)
        moved = handing_over.move(self._cases, leaver, receiver, request.reason, current().account)
        with self._db.transaction() as tx:
            audit.write(
                tx, "account.handed_over", "account", leaver.name, to=receiver.name, reason=request.reason,
                moved={one.service: one.moved for one in moved}, left={one.service: one.left for one in moved},
            )  # fmt: skip
        complete = not any(one.left or one.problem for one in moved)
        return pb.HandOverResponse(complete=complete, services=moved)

    def CloseAccount(self, request: pb.CloseAccountRequest) -> pb.Account:
        with self._db.reading() as conn:
            account = store.read(conn, request.account)
        deeds.may_be_closed(account, current().account)
        if left := self._cases.count(account.name, current().account):
            raise IllegalMove(
                "OPEN_ITEMS",
                f"该账号还有 {left} 件在办事项,请先移交(handOver)。",
                f"The account has {left} cases in hand; hand them over first.",
                state=account.state.value,
                open=str(left),
            )
        return self._change(lambda tx: deeds.close(tx, request.account, request.reason))

    # Roles

    def ListRoles(self, request: pb.ListRolesRequest) -> pb.ListRolesResponse:
        size = paging.page_size(request.page_size)
        (after,) = paging.decode_token(request.page_token, "roles") or ("",)
        names = [name for name in sorted(ROLES) if name > after]
        token = paging.encode_token((names[size - 1],), "roles") if len(names) > size else ""
        return pb.ListRolesResponse(roles=map(messages.role, names[:size]), next_page_token=token)

    # Programs

    def CreateServiceAccount(self, request: pb.CreateServiceAccountRequest) -> pb.ServiceSecret:
        given = messages.appointment(request.appointment)
        note, secret = self._check_units((given,)), service_store.make_secret()

        def create(tx: Tx) -> pb.ServiceSecret:
            made, expires = deeds.create_program(
                tx, request.client_id, request.title, given, secret, request.valid_days
            )  # fmt: skip
            return _secret(made, secret, expires, note)

        return self._once.run(request, pb.ServiceSecret, create)

    def ListServiceAccounts(self, request: pb.ListServiceAccountsRequest) -> pb.ListServiceAccountsResponse:
        size = paging.page_size(request.page_size)
        (after,) = paging.decode_token(request.page_token, "programs") or ("",)
        with self._db.reading() as conn:
            found = service_store.page(conn, after, size + 1, clock.now())
        token = paging.encode_token((found[size - 1].client_id,), "programs") if len(found) > size else ""
        shown = map(messages.program, found[:size])
        return pb.ListServiceAccountsResponse(service_accounts=shown, next_page_token=token)

    def RotateServiceSecret(self, request: pb.RotateServiceSecretRequest) -> pb.ServiceSecret:
        secret = service_store.make_secret()
        with self._db.transaction() as tx:
            found, expires = deeds.rotate_secret(
                tx, request.client_id, secret, request.overlap_hours, request.valid_days
            )  # fmt: skip
        return _secret(found, secret, expires)

    def SwitchServiceAccount(self, request: pb.SwitchServiceAccountRequest) -> pb.ServiceAccount:
        with self._db.transaction() as tx:
            found = deeds.switch_program(tx, request.client_id, request.enabled)
        self._forget()
        return messages.program(found)

    # For the auditor

    def ListLoginAttempts(self, request: pb.ListLoginAttemptsRequest) -> pb.ListLoginAttemptsResponse:
        table, wanted = login_attempts, []
        if request.account:
            wanted.append(table.c.account == request.account)
        if request.outcome:
            outcome = pb.AttemptOutcome.Name(request.outcome).removeprefix("ATTEMPT_OUTCOME_").lower()
            wanted.append(table.c.outcome == outcome)
        rows, token = self._newest(table, wanted, request)
        return pb.ListLoginAttemptsResponse(attempts=map(messages.attempt, rows), next_page_token=token)

    def ListAudit(self, request: pb.ListAuditRequest) -> pb.ListAuditResponse:
        table, wanted = audit_table, []
        if request.account:
            who = (table.c.actor, table.c.on_behalf_of, table.c.subject_id)
            wanted.append(or_(*(column == request.account for column in who)))
        if request.action:
            wanted.append(table.c.action.startswith(request.action, autoescape=True))
        rows, token = self._newest(table, wanted, request)
        return pb.ListAuditResponse(rows=map(messages.audit_row, rows), next_page_token=token)

    # Helpers

    def _newest(self, table: Table, wanted: list[ColumnElement[bool]], request: Any) -> tuple[Sequence[Any], str]:
        """A page of a log, newest first, between two instants."""
        size, since, until = paging.page_size(request.page_size), *_between(request)
        narrowed = "|".join([table.name, request.account, str(getattr(request, "action", "")),
                             str(getattr(request, "outcome", "")), str(since), str(until)])  # fmt: skip
        conditions = [*wanted]
        if since:
            conditions.append(table.c.at >= since)
        if until:
            conditions.append(table.c.at < until)
        if position := paging.decode_token(request.page_token, narrowed):
            conditions.append(table.c.id < _number(position))
        with self._db.reading() as conn:
            query = select(table).where(*conditions).order_by(table.c.id.desc()).limit(size + 1)
            rows = conn.execute(query).all()
        token = paging.encode_token((str(rows[size - 1].id),), narrowed) if len(rows) > size else ""
        return rows[:size], token

    def _change(self, deed: Callable[[Tx], Account]) -> pb.Account:
        with self._db.transaction() as tx:
            shown = self._shown(tx.conn, deed(tx))
        self._forget()
        return shown

    def _shown(self, conn: Any, account: Account) -> pb.Account:
        now = clock.now()
        until = self._door.people.locked_until(conn, account.name, now)
        return messages.account(account, self._door.must_change(account, now), until)

    def _one_time(self, account: Account, password: str, now: datetime, note: str = "") -> pb.OneTimePassword:
        shown = messages.account(account, True, None)
        until = messages.stamp(now + deeds.ONE_TIME_LIVES)
        return pb.OneTimePassword(account=shown, password=password, usable_until=until, note=note)

    def _must_exist(self, name: str) -> None:
        with self._db.reading() as conn:
            store.read(conn, name)

    def _check_units(self, posts: Sequence[Appointment]) -> str:
        """Raises Invalid for units that the directory does not hold; says so when it could not be asked."""
        codes = list(dict.fromkeys(unit for post in posts for unit in post.units))
        missing, asked = self._units.unknown(codes, current().account)
        wrong = [
            Violation(
                f"appointments[{i}].units", f"组织机构中没有单位 {unit},可用 GET /v1/units 查询。",
                f"The directory holds no unit {unit}; GET /v1/units lists them.",
            )
            for i, post in enumerate(posts) for unit in post.units if unit in missing
        ]  # fmt: skip
        if wrong:
            raise Invalid.of(wrong)
        return "" if asked else UNITS_UNCHECKED


def _secret(made: Any, secret: str, expires: datetime, note: str = "") -> pb.ServiceSecret:
    shown, until = messages.program(made), messages.stamp(expires)
    return pb.ServiceSecret(service_account=shown, client_secret=secret, expires_at=until, note=note)


def _between(request: Any) -> tuple[datetime | None, datetime | None]:
    return messages.instant(request, "since"), messages.instant(request, "until")


def _number(position: tuple[str, ...]) -> int:
    if len(position) != 1 or not position[0].isdigit() or len(position[0]) > 18:
        zh, en = "翻页标记无效,请从第一页重新查询。", "The page token is damaged; start again without page_token."
        raise Invalid("page_token", zh, en)
    return int(position[0])
