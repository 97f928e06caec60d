"""Workers as processes of this machine: one single-process pool of the standard library a slot.

One pool for each worker, because a pool that loses a process does not say which item it was.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any, NoReturn

from .. import cores
from .base import Build, Reply, Worker, build_safely, limit_threads, work_safely

PATIENCE = 5.0  # seconds for a worker to put its temporary files away


class LocalSlots:
    """Processes of this machine, started afresh ("spawn": threads and locks are not inherited)."""

    lost: tuple[type[BaseException], ...] = (BrokenProcessPool,)

    def __init__(self, build: Build, count: int, threads: int) -> None:
        self._build, self.count, self._threads = build, count, threads
        self._pools: dict[int, ProcessPoolExecutor] = {}
        self._pids: dict[int, Future[int]] = {}

    def start(self, slot: int) -> Future[Reply]:
        if slot in self._pools:
            self._pools[slot].shutdown(wait=True)
        pool = self._pools[slot] = ProcessPoolExecutor(
            1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(self._threads,),
        )
        self._pids[slot] = pool.submit(os.getpid)
        return pool.submit(_prepare, self._build, self._threads)

    def submit(self, slot: int, payload: Any) -> Future[Reply]:
        try:
            return self._pools[slot].submit(_work, payload)
        except BrokenProcessPool as error:  # it died since its last item
            future: Future[Reply] = Future()
            future.set_exception(error)
            return future

    def close(self) -> None:
        for pid in self._pids.values():
            # An unreaped child keeps its number, so nobody else's process is hit.
            if pid.done() and pid.exception() is None and _is_child(pid.result()):
                with suppress(ProcessLookupError):  # the pool may reap it in this moment
                    os.kill(pid.result(), signal.SIGTERM)
        for pool in self._pools.values():
            pool.shutdown(wait=True, cancel_futures=True)
        self._pools.clear()
        self._pids.clear()


def _is_child(pid: int) -> bool:
    return any(child.pid == pid for child in multiprocessing.active_children())


# ---------------------------------------------------------------- inside a worker process

_worker: Worker | None = None


def _begin(threads: int) -> None:
    """Before anything heavy is loaded."""
    for name in cores.THREAD_VARIABLES:
        os.environ[name] = str(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent acts
    signal.signal(signal.SIGTERM, _terminate)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _prepare(build: Build, threads: int) -> Reply:
    global _worker
    limit_threads(threads)
    _worker, reply = build_safely(build, threads)
    return reply


def _work(payload: Any) -> Reply:
    assert _worker is not None, "a worker is prepared before it gets items"
    return work_safely(_worker, payload)


def _terminate(number: int, frame: object) -> NoReturn:
    """Leave as after an error, so that temporary files are removed on the way."""
    sys.exit(128 + number)


def _follow_parent() -> None:
    """A worker whose parent was killed ends too: a pool's workers would wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "runs in a child process only"
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(1)
