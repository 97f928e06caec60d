"""The long work: encoding a face, drawing a film. One at a time for each visitor, in one queue."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ..errors import NEEDS_TORCH, DuchenneError

log = logging.getLogger(__name__)


class Busy(Exception):
    """The visitor has a job already, or the queue is full; the message says which."""


class Cancelled(Exception):
    """The visitor stopped the job, or is gone."""


class State(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass
class Job:
    """One piece of long work of one visitor, as the page sees it.

    work: what to do; it gets this job, to report on, and gives what the page is told at the end.
    stage: the name of what is being done; done, total: its steps. address: whose share of the queue
        it takes.
    """

    kind: str
    work: Callable[[Job], dict[str, Any]]
    state: State = State.WAITING
    stage: str = "waiting"
    done: int = 0
    total: int = 0
    message: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    address: str = ""
    _since: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def active(self) -> bool:
        return self.state in (State.WAITING, State.RUNNING)

    def cancel(self) -> None:
        """Stop it at its next step; a waiting job never starts."""
        self._stop.set()

    def enter(self, stage: str, total: int = 0) -> None:
        """Begin a stage. total: its number of steps (at most), 0 if that is not known."""
        self.check()
        self.stage, self.done, self.total = stage, 0, total
        self._since = time.monotonic()

    def step(self, done: int) -> None:
        """So many steps of the stage are done."""
        self.check()
        self.done = done

    def check(self) -> None:
        """Cancelled if the work should end here."""
        if self._stop.is_set():
            raise Cancelled

    def left(self) -> float | None:
        """Seconds that the stage will still take at the pace so far; None before its first step."""
        if self.state is not State.RUNNING or not 0 < self.done <= self.total:
            return None
        return (time.monotonic() - self._since) * (self.total - self.done) / self.done


class Queue:
    """Runs jobs in the order they came, in a thread of its own.

    waiting, share: how many may wait, of all and of one address. describe: what the visitor is told
        of an error.
    """

    def __init__(
        self,
        waiting: int,
        describe: Callable[[DuchenneError], str] = str,
        *,
        share: int | None = None,
    ) -> None:
        self._limit, self._share, self._describe = waiting, share or waiting, describe
        self._jobs: deque[Job] = deque()
        self._current: Job | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="studio-jobs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, job: Job) -> Job:
        """Put a job at the end of the queue. Raises Busy if there is no room."""
        with self._changed:
            if len(self._jobs) >= self._limit:
                raise Busy(f"{len(self._jobs)} others are waiting already; try again in a minute")
            if sum(other.address == job.address for other in self._jobs) >= self._share:
                raise Busy("too many from your address are waiting; try again in a minute")
            self._jobs.append(job)
            self._changed.notify()
        return job

    def ahead(self, job: Job) -> int:
        """How many jobs come before this one."""
        with self._changed:
            if job not in self._jobs:
                return 0
            return self._jobs.index(job) + (self._current is not None)

    def close(self, seconds: float = 10.0) -> None:
        """Stop everything; wait so long for the running job to notice."""
        with self._changed:
            self._closed = True
            for job in (*self._jobs, *([self._current] if self._current else [])):
                job.cancel()
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._jobs and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                self._current = job = self._jobs.popleft()
                job.state = State.RUNNING
            self._perform(job)
            with self._changed:
                self._current = None

    def _perform(self, job: Job) -> None:
        try:
            job.check()
            job.result = job.work(job)
            job.state = State.DONE
        except Cancelled:
            job.state = State.CANCELLED
        except DuchenneError as error:
            job.message, job.state = self._describe(error), State.FAILED
        except Exception as error:
            # The queue outlives a bug; the visitor learns that there was one. The state comes last:
            # who sees that it failed sees why.
            if isinstance(error, ModuleNotFoundError) and error.name == "torch":
                job.message = NEEDS_TORCH
            else:
                log.exception("the job %s failed", job.kind)
                job.message = "something went wrong here; it is in the server's log"
            job.state = State.FAILED
