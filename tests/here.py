"""Workers in this process: what a run decides and writes, without the seconds that processes take.

Batches and sets use these where no process is the subject; spawned, killed and several ones are
the subject of tests/test_engine.py, of the kills in tests/test_batch.py, and of the sets that one
and two workers make alike in tests/test_stimuli.py.
"""

from __future__ import annotations

import pickle
from concurrent.futures import Future
from typing import Any

from duchenne.engine.base import Build, Reply, Worker, build_safely, work_safely


class HereSlots:
    """One worker. What goes to it and comes back is pickled, as it is on its way to a process."""

    count = 1
    lost: tuple[type[BaseException], ...] = ()

    def __init__(self, build: Build, count: int, threads: int) -> None:
        self._build, self._threads = build, threads
        self._worker: Worker | None = None

    def start(self, slot: int) -> Future[Reply]:
        build = pickle.loads(pickle.dumps(self._build))
        self._worker, reply = build_safely(build, self._threads)
        return finished(reply)

    def submit(self, slot: int, payload: Any) -> Future[Reply]:
        assert self._worker is not None
        return finished(work_safely(self._worker, pickle.loads(pickle.dumps(payload))))

    def close(self) -> None:
        self._worker = None


def finished(reply: Reply) -> Future[Reply]:
    future: Future[Reply] = Future()
    future.set_result(pickle.loads(pickle.dumps(reply)))
    return future
