"""What local and Ray runs share: items go to workers, a lost worker is replaced, its item retried.

A worker is a callable that holds what is slow to make (a generator, compiled models). Workers
compute and return bytes; they write nothing. The process that started them is the only writer
(`folder.OutputFolder`), so that there are never two, whoever is killed, and so that the machines
of a cluster need no common disk.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..errors import DuchenneError, OutputError, WeightsError

logger = logging.getLogger(__name__)

TRIES = 3  # an item that has cost so many workers is set aside

Worker = Callable[[Any], tuple[Any, Mapping[str, float]]]
"""Payload -> (value, seconds by stage). Raises DuchenneError for what is wrong with the item."""

Build = Callable[[int], Worker]
"""Threads to use -> a worker. Must pickle: a function of a module, or a frozen dataclass."""

# What is wrong for one item is wrong for all: no model files, a full disk.
FATAL = (OutputError, WeightsError)


@dataclass(frozen=True)
class Item:
    """One piece of work. key: what reports call it. payload: what the worker gets; must pickle."""

    key: str
    payload: Any


@dataclass(frozen=True)
class Outcome:
    """What became of an item: a value, or the reason why there is none.

    set_aside: it failed in a way that is not the item's declared fault (a crash, a lost worker)
        every one of `tries` times. seconds: by stage, as the worker counted them.
    """

    item: Item
    value: Any = None
    error: str = ""
    tries: int = 1
    set_aside: bool = False
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What comes back from a worker that lived. crash: an error that nobody foresaw."""

    value: Any = None
    error: DuchenneError | None = None
    crash: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)


class Slots(Protocol):
    """Places for `count` workers, of this machine or of a cluster.

    lost: the exceptions of a future that mean that its worker died.
    """

    count: int
    lost: tuple[type[BaseException], ...]

    def start(self, slot: int) -> Future[Reply]:
        """A new worker in a slot, instead of a lost one if there was one; done when it is ready."""
        ...

    def submit(self, slot: int, payload: Any) -> Future[Reply]:
        """One item for the worker of a slot, which has no other at that time."""
        ...

    def close(self) -> None:
        """End all workers, the busy ones too."""
        ...


def limit_threads(threads: int) -> None:
    """Inside a worker process: so that workers do not fight for the cores.

    What is loaded later reads OMP_NUM_THREADS, which is set already.
    """
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)


def build_safely(build: Build, threads: int) -> tuple[Worker | None, Reply]:
    """Inside a worker process: make the worker, and say how that went."""
    try:
        return build(threads), Reply()
    except DuchenneError as error:
        return None, Reply(error=error)


def work_safely(worker: Worker, payload: Any) -> Reply:
    """Inside a worker process: one item."""
    try:
        value, seconds = worker(payload)
        return Reply(value, seconds=seconds)
    except DuchenneError as error:
        return Reply(error=error)
    except Exception as error:  # a bug that one item meets must not end ten thousand others
        logger.exception("an item failed")
        return Reply(crash=f"{type(error).__name__}: {error}")


@dataclass
class _Attempt:
    item: Item
    call: int  # of Engine.process, which it belongs to
    tries: int = 0


class Engine:
    """Workers that stay for several calls of `process`; use it in a `with` block, which ends them.

    Raises DuchenneError if workers cannot be built at all.
    """

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self._busy: dict[Future[Reply], tuple[int, _Attempt | None]] = {}  # None: is starting
        self._idle: list[int] = []
        self._failed_starts = [0] * slots.count
        self._started = False
        self._call = 0
        self._items: Iterator[Item] = iter(())
        self._next: _Attempt | None = None
        self._again: deque[_Attempt] = deque()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *error: object) -> None:
        self.slots.close()

    def process(self, items: Iterable[Item]) -> Iterator[Outcome]:
        """Every item's outcome, in the order in which they are finished.

        Items are drawn as workers become free, so that memory does not grow with their number.
        Raises DuchenneError for what would befall every item (FATAL). A caller may stop in the
        middle; what is still being worked on is then thrown away.
        """
        self._call += 1
        self._items, self._again = iter(items), deque()
        self._draw()
        if self._next is None:
            return
        if not self._started:
            self._started = True
            for slot in range(self.slots.count):
                self._busy[self.slots.start(slot)] = (slot, None)
        self._feed_idle()
        while self._has_work():
            done, _ = wait(self._busy, return_when=FIRST_COMPLETED)
            for future in done:
                outcome = self._settle(future)
                if outcome is not None:
                    yield outcome

    def _has_work(self) -> bool:
        """Whether some item is unfinished. Raises if no worker is left for it."""
        waiting = bool(self._again) or self._next is not None
        if waiting and not self._busy:
            raise DuchenneError(
                f"every worker died {TRIES} times while it started; give them more memory, or ask "
                "for fewer with --workers"
            )
        return waiting or any(
            a is not None and a.call == self._call for _, a in self._busy.values()
        )

    def _settle(self, future: Future[Reply]) -> Outcome | None:
        """Take a finished future; its worker gets the next item before anything else happens."""
        slot, attempt = self._busy.pop(future)
        try:
            reply = future.result()
        except self.slots.lost as error:
            return self._lost(slot, attempt, error)
        if isinstance(reply.error, FATAL) or (attempt is None and reply.error is not None):
            assert reply.error is not None
            raise reply.error
        self._failed_starts[slot] = 0
        outcome = None if attempt is None else self._judge(attempt, reply)
        self._idle.append(slot)
        self._feed_idle()
        return outcome

    def _judge(self, attempt: _Attempt, reply: Reply) -> Outcome | None:
        attempt.tries += 1
        if attempt.call != self._call:
            return None
        if reply.crash:
            return self._retry(attempt, reply.crash)
        error = "" if reply.error is None else str(reply.error)
        return Outcome(attempt.item, reply.value, error, attempt.tries, seconds=reply.seconds)

    def _lost(self, slot: int, attempt: _Attempt | None, error: BaseException) -> Outcome | None:
        """A worker died: on an item, which is tried again, or while it started."""
        outcome = None
        if attempt is None:
            self._failed_starts[slot] += 1
        else:
            logger.warning("a worker died on %s; starting another", attempt.item.key)
            attempt.tries += 1
            if attempt.call == self._call:
                outcome = self._retry(attempt, "its worker died")
        if self._failed_starts[slot] < TRIES:
            self._busy[self.slots.start(slot)] = (slot, None)
        else:
            logger.warning("worker %d does not start (%s); going on without it", slot, error)
        return outcome

    def _retry(self, attempt: _Attempt, reason: str) -> Outcome | None:
        if attempt.tries >= TRIES:
            return Outcome(
                attempt.item,
                error=f"set aside after {attempt.tries} tries: {reason}",
                tries=attempt.tries,
                set_aside=True,
            )
        self._again.append(attempt)
        self._feed_idle()
        return None

    def _feed_idle(self) -> None:
        """Idle workers get items: those to be tried again first."""
        while self._idle and (self._again or self._next is not None):
            if self._again:
                attempt = self._again.popleft()
            else:
                assert self._next is not None
                attempt = self._next
                self._draw()
            slot = self._idle.pop()
            self._busy[self.slots.submit(slot, attempt.item.payload)] = (slot, attempt)

    def _draw(self) -> None:
        """The next fresh item, drawn one ahead so that the end is known."""
        item = next(self._items, None)
        self._next = None if item is None else _Attempt(item, self._call)


@dataclass
class Throughput:
    """What a run did and how fast: the report at the end, and `--json`."""

    workers: int
    threads: int
    where: str
    items: int = 0
    failed: int = 0
    set_aside: int = 0
    retried: int = 0
    stages: dict[str, float] = field(default_factory=dict)
    _start: float = field(default_factory=time.perf_counter)

    def count(self, outcome: Outcome, size: int = 1) -> None:
        """size: files (or whatever is counted) that the item stands for."""
        self.items += size
        self.failed += size * bool(outcome.error)
        self.set_aside += size * outcome.set_aside
        self.retried += outcome.tries - 1
        for name, seconds in outcome.seconds.items():
            self.stages[name] = self.stages.get(name, 0.0) + seconds

    def note(self, outcome: Outcome) -> None:
        """As `count`, for work that is not what the run is counted in."""
        self.count(outcome, 0)

    def facts(self) -> dict[str, Any]:
        """JSON-ready. worker_seconds: by stage, added up over the workers."""
        seconds = time.perf_counter() - self._start
        return {
            "where": self.where,
            "workers": self.workers,
            "threads_each": self.threads,
            "items": self.items,
            "failed": self.failed,
            "set_aside": self.set_aside,
            "retries": self.retried,
            "seconds": round(seconds, 3),
            "items_per_second": round(self.items / seconds, 4) if seconds else 0.0,
            "worker_seconds": {name: round(value, 3) for name, value in self.stages.items()},
        }
