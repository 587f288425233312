"""Event streams: what happens to a case, or to all cases of an office, told as it happens (text/event-stream).

One waiting call a process hears of every commit (`WaitProgress`) and wakes the streams that it concerns; each of those
then reads its own rows as its own caller, so that what may not be seen is not sent, and a case that goes to another unit
ends the stream. A cursor is a row's place in the database: any replica goes on from any `Last-Event-ID`.

A stream ends with its session, at the latest with its access token; the browser comes back by itself with its cursor.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import grpc
from werkzeug import Response

from gateway import json_in
from gateway.routes import Route
from gateway.sessions import Sessions, own_identity
from gateway.stubs import Stubs
from protos.petition.v1 import following_pb2 as pb
from services.chassis import clients, statuses
from services.chassis.refusal import Exhausted, Invalid, NotFound, Refusal, Unauthenticated
from services.chassis.settings import Settings

log = logging.getLogger("zongzhi.live")

CASE, BOARD = "/v1/cases/{id}/events", "/v1/board/events"
CONTENT_TYPE = "text/event-stream; charset=utf-8"
# Kept from buffering by proxies that know the header.
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
SERVICE = "petition"
WAIT_METHOD = "/zongzhi.petition.v1.FollowingService/WaitProgress"
WAIT_PERMISSION = "petition.wait_progress"
WAIT_S = 20
# After a stream ended the browser comes back so much later.
RETRY_MS = 2000
# A comment now and then keeps proxies from closing what is quiet, and shows us who has gone.
HEARTBEAT_S = 15.0
# So often is looked whether the session goes on.
CHECK_S = 2.0
# From one read of a stream to the next: a busy hour is told in pages, not commit by commit.
LEAST_S = 0.2
PAGE = 100
LONGEST_CURSOR = 100
_ENDED = {
    "restarting": ("服务正在重启,请稍候自动重连。", "The service restarts; your browser will come back by itself."),
    "case_left": ("该件已不在您可查看的范围内。", "This case is no longer yours to see."),
    "session_ended": ("登录已结束或到期,请重新登录。", "The session has ended; sign in again."),
}


@dataclass(frozen=True)
class Stream:
    """An address at which events are told."""

    path: str
    method: str = "GET"


STREAMS = (Stream(CASE), Stream(BOARD))


class Live:
    """All event streams of this process."""

    def __init__(self, routes: Sequence[Route], sessions: Sessions, stubs: Stubs, settings: Settings) -> None:
        self._sessions = sessions
        self._stubs = stubs
        by_name = {route.method.name: route for route in routes}
        self._reads = {CASE: by_name.get("ListCaseProgress"), BOARD: by_name.get("ListBoardProgress")}
        self._places = Places(settings.streams, settings.streams_per_account)
        self._hub = Hub(self._wait, lambda: self._draining.is_set())
        self._draining = threading.Event()
        self._tier = settings.tier

    def limit(self, most: int) -> None:
        """This process keeps no more streams than these: its server has no more threads for them."""
        self._places.most = min(self._places.most, most)

    def when_changed(self, opened: Callable[[], None], closed: Callable[[], None]) -> None:
        """Told of each stream that opens and closes, for a server that gives each a thread of its own."""
        self._places.opened, self._places.closed = opened, closed

    def open(self, stream: Stream, environ: Mapping[str, Any], variables: Mapping[str, str]) -> Response:
        """The stream. Raises Unauthenticated, NotFound, Invalid, or Exhausted when there are too many."""
        identity = self._sessions.identify(environ)
        feed = self._feed(stream, environ, variables)
        place = self._places.take(identity.account)
        ear = self._hub.listen(feed.case_id)
        try:
            body = _Body(self, feed, place, ear)
            body.read_first()
        except BaseException:
            self._hub.leave(ear)
            place.leave()
            raise
        return Response(body, content_type=CONTENT_TYPE, headers=HEADERS, direct_passthrough=True)

    def drain(self) -> None:
        """Every stream says goodbye and ends; browsers come back to another replica, or to this one later."""
        self._draining.set()
        self._hub.wake_all()

    def close(self) -> None:
        """Ends the waiting call too."""
        self.drain()
        self._hub.stop()

    @property
    def is_draining(self) -> bool:
        """Whether streams are to end."""
        return self._draining.is_set()

    def leave(self, ear: Ear) -> None:
        """A stream has ended."""
        self._hub.leave(ear)

    def ask(self, feed: Feed, cursor: str) -> Any:
        """The rows after a cursor, as the caller of the stream may see them now."""
        identity = self._sessions.identify(feed.environ)
        route = feed.route
        request = route.request_type(page_token=cursor, page_size=PAGE, **feed.fields)
        return self._stubs.call(route, request, self._sessions.internal_token(identity, route.service))

    def check(self, feed: Feed) -> None:
        """Raises Unauthenticated once the session has ended or the token is over."""
        self._sessions.identify(feed.environ)

    def _feed(self, stream: Stream, environ: Mapping[str, Any], variables: Mapping[str, str]) -> Feed:
        route = self._reads[stream.path]
        if route is None:
            raise NotFound("PATH_UNKNOWN", "没有这个网址。", "There is nothing at this address.")
        case_id = variables.get("id", "")
        kept = {name: value for name, value in environ.items() if name in _KEPT}
        return Feed(route, case_id, {"id": case_id} if case_id else {}, kept, _cursor(environ))

    def _wait(self, after: str, seconds: float) -> pb.WaitProgressResponse:
        token = self._sessions.internal_token(
            own_identity(self._tier, frozenset({WAIT_PERMISSION}), on_behalf_of=""), SERVICE
        )
        method = self._stubs.channels[SERVICE].unary_unary(
            WAIT_METHOD,
            request_serializer=pb.WaitProgressRequest.SerializeToString,
            response_deserializer=pb.WaitProgressResponse.FromString,
        )
        request = pb.WaitProgressRequest(after=after, seconds=int(seconds))
        found: pb.WaitProgressResponse = clients.call(method, request, token=token, timeout=seconds + 10)
        return found


# What proves the caller, for the looks that follow.
_KEPT = ("REQUEST_METHOD", "HTTP_AUTHORIZATION", "HTTP_COOKIE", "REMOTE_ADDR", "wsgi.url_scheme")


@dataclass(frozen=True)
class Feed:
    """What a stream tells: by which RPC, of which case, to whom, and from where on."""

    route: Route
    case_id: str
    fields: Mapping[str, str]
    environ: Mapping[str, Any]
    cursor: str


@dataclass
class Place:
    """One of the streams that a process keeps."""

    leave: Callable[[], None]


class Places:
    """Counts streams, of each account and of all."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self.most = most
        self._most_of_one = most_of_one
        self._lock = threading.Lock()
        self._of: Counter[str] = Counter()
        self.opened: Callable[[], None] = lambda: None
        self.closed: Callable[[], None] = lambda: None

    def take(self, account: str) -> Place:
        """Raises Exhausted when there are too many."""
        with self._lock:
            if self._of[account] >= self._most_of_one:
                raise Exhausted(
                    "STREAMS_OF_ACCOUNT",
                    f"同一账号最多同时打开 {self._most_of_one} 个实时页面,请关闭不用的页面后重试。",
                    f"An account keeps at most {self._most_of_one} event streams open; close one that is not needed.",
                )
            if self._of.total() >= self.most:
                raise Exhausted(
                    "STREAMS_OF_REPLICA", "实时连接已满,请稍后重试。", "All event streams are taken; try again soon."
                )
            self._of[account] += 1
        self.opened()
        return Place(_once(lambda: self._left(account)))

    def count(self) -> int:
        """How many are open."""
        with self._lock:
            return self._of.total()

    def _left(self, account: str) -> None:
        with self._lock:
            self._of[account] -= 1
            if not self._of[account]:
                del self._of[account]
        self.closed()


@dataclass(eq=False)
class Ear:
    """One stream's bell."""

    case_id: str
    rung: threading.Event


class Hub:
    """Hears of every commit by one waiting call and rings the streams that it concerns. Runs while there are any."""

    def __init__(self, wait: Callable[[str, float], pb.WaitProgressResponse], is_over: Callable[[], bool]) -> None:
        self._wait = wait
        self._is_over = is_over
        self._lock = threading.Lock()
        self._ears: set[Ear] = set()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def listen(self, case_id: str) -> Ear:
        """A bell that rings when something happens to this case; "" for any."""
        ear = Ear(case_id, threading.Event())
        with self._lock:
            self._ears.add(ear)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="live-hub", daemon=True)
                self._thread.start()
        return ear

    def leave(self, ear: Ear) -> None:
        """Rings no more; leaving twice is fine."""
        with self._lock:
            self._ears.discard(ear)

    def wake_all(self) -> None:
        """Rings every bell."""
        self._ring(lambda _: True)

    def stop(self) -> None:
        """Asks no more."""
        self._stopped.set()

    def _run(self) -> None:
        cursor, failed = "", False
        while not self._is_idle():
            try:
                found = self._wait(cursor, WAIT_S)
            except Exception as error:
                if not failed:
                    log.warning("cannot wait for progress", extra={"fields": {"error": type(error).__name__}})
                failed = True
                self._stopped.wait(1.0)
                continue
            # Between a stream's own first read and this first cursor something may have happened; so after a failure.
            if not cursor or failed or found.everything:
                self.wake_all()
            cursor, failed = found.cursor, False
            changed = set(found.petition_ids)
            self._ring(lambda ear, changed=changed: bool(changed) and (not ear.case_id or ear.case_id in changed))  # type: ignore[misc]
            if found.busy:
                self._stopped.wait(1.0)

    def _is_idle(self) -> bool:
        with self._lock:
            over = not self._ears or self._stopped.is_set() or self._is_over()
            if over:
                self._thread = None
        return over

    def _ring(self, concerns: Callable[[Ear], bool]) -> None:
        with self._lock:
            ears = tuple(self._ears)
        for ear in ears:
            if concerns(ear):
                ear.rung.set()


class _Body:
    """The lines of one stream. The server takes them one by one and calls `close` at the end, whatever happened."""

    def __init__(self, live: Live, feed: Feed, place: Place, ear: Ear) -> None:
        self._live = live
        self._feed = feed
        self._place = place
        self._ear = ear
        self._cursor = feed.cursor
        self._sent = 0
        self._began = time.monotonic()
        self._why = "left"
        self._first: Any = None
        self._lines: Generator[bytes, None, None] = self._run()

    def read_first(self) -> None:
        """Before the answer begins, so that a refusal is one."""
        self._first = self._live.ask(self._feed, self._cursor)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._lines)

    def close(self) -> None:
        """Gives the place back."""
        self._lines.close()
        self._live.leave(self._ear)
        self._place.leave()
        fields = {
            "route": self._feed_path(), "events": self._sent, "why": self._why,
            "seconds": round(time.monotonic() - self._began, 1),
        }  # fmt: skip
        log.info("stream ended", extra={"fields": fields, "scrubbed": True})

    def _feed_path(self) -> str:
        return CASE if self._feed.case_id else BOARD

    def _run(self) -> Generator[bytes, None, None]:
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            yield from self._told(self._first, begins=True)
            self._first = None
            yield from self._follow()
        except Unauthenticated as ended:
            yield self._end("session_ended", ended.reason)
        except Refusal as ended:
            yield self._end("case_left", ended.reason)

    def _follow(self) -> Iterator[bytes]:
        spoke = looked = read = time.monotonic()
        while not self._live.is_draining:
            rung = self._ear.rung.wait(max(0.01, min(spoke + HEARTBEAT_S, looked + CHECK_S) - time.monotonic()))
            if self._live.is_draining:
                break
            now = time.monotonic()
            if now >= looked + CHECK_S:
                self._live.check(self._feed)
                looked = now
            quiet = now >= spoke + HEARTBEAT_S
            if rung or quiet:
                time.sleep(max(0.0, read + LEAST_S - now))
                self._ear.rung.clear()
                pieces = list(self._told(self._read()))
                read = time.monotonic()
                if not pieces and quiet:
                    # An id alone moves the browser's cursor on past what was not its to see.
                    pieces = [
                        f": {int(now)}\n".encode() + (f"id: {self._cursor}\n\n".encode() if self._cursor else b"\n")
                    ]
                if pieces:
                    spoke = read
                yield from pieces
        yield self._end("restarting", "RESTARTING")

    def _read(self) -> Any:
        """The next rows; None while the service does not answer: the stream waits with its reader."""
        try:
            return self._live.ask(self._feed, self._cursor)
        except grpc.RpcError as error:
            refusal = statuses.from_rpc_error(error)
            if statuses.code_of(refusal) in _PASSING:
                self._ear.rung.set()
                time.sleep(1.0)
                return None
            raise refusal from None

    def _told(self, page: Any, begins: bool = False) -> Iterator[bytes]:
        while page is not None:
            if page.reset:
                yield _event("reset", page.next_page_token, _text("请重新加载列表。", "Load the list anew."))
            elif begins and not self._cursor and not page.rows:
                yield _event("ready", page.next_page_token, _text("已连接。", "Connected."))
            begins = False
            self._cursor = page.next_page_token
            for row in page.rows:
                self._sent += 1
                yield _event(row.kind, row.cursor, _data(row))
            page = self._read() if len(page.rows) >= PAGE else None

    def _end(self, why: str, reason: str) -> bytes:
        self._why = why
        return _event("end", self._cursor, _text(*_ENDED[why]) | {"reason": reason})


_PASSING = (
    grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED, grpc.StatusCode.CANCELLED,
)  # fmt: skip


def _data(row: pb.Progress) -> dict[str, Any]:
    """One thing that happened, as JSON; Chinese first."""
    return {
        "text": row.text, "text_en": row.text_en, "kind": row.kind, "petition_id": row.petition_id,
        "case_number": row.case_number, "state": pb.DESCRIPTOR.pool.FindEnumTypeByName(_STATE).values_by_number[
            row.state
        ].name, "seq": str(row.seq), "at": row.at.ToJsonString(), "unit": row.unit,
    }  # fmt: skip


_STATE = "zongzhi.petition.v1.PetitionState"


def _text(zh: str, en: str) -> dict[str, Any]:
    return {"text": zh, "text_en": en}


def _event(kind: str, cursor: str, data: Mapping[str, Any]) -> bytes:
    written = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    named = f"id: {cursor}\n" if cursor else ""
    return f"{named}event: {kind}\ndata: {written}\n\n".encode()


def _cursor(environ: Mapping[str, Any]) -> str:
    """Where the reader left off: the browser's own header, or a parameter for readers that cannot send one."""
    given = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True, max_num_fields=10))
    for name in given.keys() - {"last_event_id"}:
        zh, en = json_in.suggestion(name, ["last_event_id"])
        raise Invalid(json_in.shown_name(name), f"{zh}。", f"{en}.")
    cursor = str(environ.get("HTTP_LAST_EVENT_ID") or given.get("last_event_id", "")).strip()
    if len(cursor) > LONGEST_CURSOR or not cursor.isascii() or not cursor.isprintable():
        raise Invalid(
            "last_event_id",
            "Last-Event-ID 无效,请去掉后重新连接。",
            "Last-Event-ID is damaged; connect again without it.",
        )
    return cursor


def _once(deed: Callable[[], None]) -> Callable[[], None]:
    """The deed, at its first call alone."""
    lock, done = threading.Lock(), False

    def only_once() -> None:
        nonlocal done
        with lock:
            if done:
                return
            done = True
        deed()

    return only_once
