"""Works at jobs, one at a time, in a thread of the process that answers the RPCs.

Every process that serves petition looks for jobs; a lease sees to it that two never work at one, and that a job whose
process is gone is taken up by another. What went wrong for no fault of the file is tried again, later.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta

from services.chassis import clock
from services.chassis.ids import uuid7
from services.petition.adapters import job_store
from services.petition.adapters.job_export import ExportRun
from services.petition.adapters.job_import import ImportRun, Stopped
from services.petition.adapters.job_store import LeaseLost
from services.petition.adapters.rpc import Office
from services.petition.domain.job import Job, JobKind

log = logging.getLogger(__name__)

POLL_S = 1.0
RENEW_S = 5.0
PURGE_EVERY_S = 3600.0
FIRST_PAUSE_S = 2.0
MOST_TRIES = 6


class JobWorker:
    """The part of `serve` and `all` that brings registers in and sends them out."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.owner = uuid7()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._tries: dict[str, int] = {}
        self._purged_at = float("-inf")

    def start(self) -> None:
        """Looks for jobs until `stop`."""
        self._thread = threading.Thread(target=self._run, name="petition-jobs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends after the rows that are being written; the job is laid down for whoever starts next."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=15)

    def wake(self) -> None:
        """There is a new job."""
        self._wake.set()

    def work_once(self) -> bool:
        """Takes one job up, if there is one, and works at it to its end."""
        job = job_store.claim(self.office.db, self.owner)
        if job is None:
            return False
        with _Heartbeat(self.office, job, self.owner):
            self._work(job)
        return True

    def _run(self) -> None:
        while not self._stop.is_set():
            busy = False
            try:
                self._purge()
                busy = self.work_once()
            except Exception as error:
                # The database may be away; the next round asks again.
                log.warning("jobs were not looked for", extra={"fields": {"error": type(error).__name__}})
            if not busy:
                self._wake.wait(POLL_S)
                self._wake.clear()

    def _work(self, job: Job) -> None:
        run = ImportRun if job.kind is JobKind.IMPORT else ExportRun
        try:
            run(self.office, job, self.owner, self._stop.is_set).run()
            self._tries.pop(job.id, None)
        except LeaseLost:
            log.warning("a job went to another process", extra={"fields": {"job": job.id}})
        except Stopped:
            job_store.release(self.office.db, job.id, self.owner)
        except Exception as error:
            self._failed(job, error)

    def _failed(self, job: Job, error: Exception) -> None:
        tries = self._tries[job.id] = self._tries.get(job.id, 0) + 1
        fields = {"job": job.id, "error": type(error).__name__, "tries": tries}
        log.error("a job was interrupted", exc_info=error, extra={"fields": fields})
        if tries >= MOST_TRIES:
            self._give_up(job)
            return
        self._stop.wait(FIRST_PAUSE_S * 2 ** (tries - 1))
        job_store.release(self.office.db, job.id, self.owner)

    def _give_up(self, job: Job) -> None:
        with self.office.db.transaction() as tx:
            found = job_store.locked(tx, job.id, self.owner)
            zh = "程序出错,任务中止;已导入的行保留,请联系管理员。"
            found.fail(zh, "The program failed, and the job with it; rows that came in stay.", tx.now)
            job_store.save(tx, found)

    def _purge(self) -> None:
        if time.monotonic() - self._purged_at > PURGE_EVERY_S:
            while job_store.purge(self.office.db, clock.now()):
                pass
            self._purged_at = time.monotonic()


class _Heartbeat:
    """Says every few seconds that somebody works at the job."""

    def __init__(self, office: Office, job: Job, owner: str) -> None:
        self._office = office
        self._job = job
        self._owner = owner
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="petition-job-lease", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(RENEW_S):
            try:
                if not job_store.renew(self._office.db, self._job.id, self._owner):
                    return
            except Exception as error:
                log.warning("a job's lease was not renewed", extra={"fields": {"error": type(error).__name__}})


assert timedelta(seconds=2 * RENEW_S) < job_store.LEASE  # noqa: S101 - two constants that must fit
