"""An import or an export that goes on by itself, and every move that it may make.

WAITING ── begin ──▶ RUNNING ── finish ──▶ DONE
   └─────── cancel ─────┴──────────────▶ CANCELLED      (a running one after the rows that are being written)
                        └── fail ──────▶ FAILED
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from services.chassis.identity import Identity
from services.chassis.masking import mask_text
from services.chassis.refusal import IllegalMove, NotFound
from services.petition.domain.visibility import READ_ALL

KEEP_FILES = timedelta(days=7)


class JobKind(StrEnum):
    """What a job does."""

    IMPORT = "IMPORT"
    EXPORT = "EXPORT"


class JobState(StrEnum):
    """Where a job stands."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"


STATE_ZH = {
    JobState.WAITING: "等待中",
    JobState.RUNNING: "进行中",
    JobState.DONE: "已完成",
    JobState.CANCELLED: "已取消",
    JobState.FAILED: "失败",
}
OPEN = (JobState.WAITING, JobState.RUNNING)


@dataclass
class Job:
    """One import or export: who ordered it, what of, and how far it is."""

    id: str
    kind: JobKind
    identity: Identity
    created_at: datetime
    form: str
    file_name: str = ""
    sheet: str = ""
    sha256: str = ""
    source_system: str = ""
    dry_run: bool = False
    filter: str = ""
    reveal_reason: str = ""
    revealed: bool = False
    headings: list[tuple[str, str]] = field(default_factory=list)
    unknown_headings: list[str] = field(default_factory=list)
    skipped_headings: list[str] = field(default_factory=list)
    state: JobState = JobState.WAITING
    rows_total: int = 0
    rows_done: int = 0
    rows_accepted: int = 0
    rows_already: int = 0
    rows_suspected: int = 0
    rows_bad: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cancel_asked: bool = False
    failure_zh: str = ""
    failure_en: str = ""
    result_size: int = 0
    result_sha256: str = ""
    file_until: datetime | None = None

    @property
    def rows_left(self) -> int:
        """Rows that were not looked at."""
        return max(0, self.rows_total - self.rows_done)

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.state in OPEN

    def ask_to_end(self, now: datetime) -> None:
        """Somebody wants it to end: a waiting one ends now, a running one between two batches."""
        if not self.is_open:
            raise IllegalMove(
                "JOB_STATE",
                f"该任务{STATE_ZH[self.state]},不能取消。",
                f"The job is {self.state}, so it cannot be cancelled.",
                state=self.state.value,
                allowed_states=",".join(OPEN),
            )
        self.cancel_asked = True
        if self.state is JobState.WAITING:
            self.end(JobState.CANCELLED, now)

    def end(self, state: JobState, now: datetime) -> None:
        """It is over; its files are kept for a while."""
        self.state, self.ended_at, self.file_until = state, now, now + KEEP_FILES

    def fail(self, zh: str, en: str, now: datetime) -> None:
        """It cannot go on; what came in stays."""
        self.failure_zh, self.failure_en = zh, en
        self.end(JobState.FAILED, now)

    def seen_by(self, caller: Identity) -> bool:
        """Who ordered it, and who may see everything in the subtree for which it was ordered."""
        if caller.account == self.identity.account:
            return True
        covers = bool(caller.scope) and self.identity.scope.startswith(caller.scope)
        return caller.may(READ_ALL) and covers


def no_job(job_id: str) -> NotFound:
    """There is none, or none for this caller."""
    return NotFound.thing("该任务", "job", job_id)


def shortened(file_name: str) -> str:
    """A file's name as it is shown: people name files after people."""
    plain = mask_text(re.split(r"[\\/]", file_name.strip())[-1], ())
    stem, dot, ending = plain.rpartition(".")
    if not dot:
        stem, ending = plain, ""
    return f"{stem[:4]}***{dot}{ending[:8]}"
