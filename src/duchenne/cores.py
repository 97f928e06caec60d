"""How many cores this process may use: all threads and workers ask here.

A machine has cores; `taskset`, a container or a batch system leaves a process some of them (its
affinity), or some of their time (a quota: `docker --cpus`, Kubernetes, Slurm). Threads beyond the
quota only wait for each other.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import Full, Queue
from typing import Any, TypeVar

THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"
)  # fmt: skip
"""What numpy, torch, OpenVINO's helpers and OpenCV read when they are loaded."""

# On processors with bfloat16 OpenVINO would otherwise round to it, which is visible (0.03 in w,
# half a pixel in a mesh of 192 px) and, measured here, not even faster.
FLOAT32 = {"INFERENCE_PRECISION_HINT": "f32"}
IDLE = "4"  # the least: 2^4 turns of a processor's clock
ROOT = Path("/")
_M_ARENA_MAX = -8  # malloc.h
S = TypeVar("S")
T = TypeVar("T")


def usable() -> int:
    """Cores that this process may use: those it may run on, or fewer if their time is limited.

    A quota of one and a half cores counts as two: one thread would leave the half unused.
    """
    share = quota()
    return affinity() if share is None else max(1, min(affinity(), math.ceil(share)))


def affinity() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def quota() -> float | None:
    """Cores' worth of time that the process's control groups leave it; None without a limit.

    Each group above the process's own may have a limit (a pod, a job); the least counts.
    """
    limits = [_limit(folder) for folder in groups("cpu")]
    return min((limit for limit in limits if limit is not None), default=None)


def fewer() -> int | None:
    """`usable`, where a quota makes it fewer than libraries find by themselves; else None.

    Libraries see the affinity. What they make of it is left alone: another number of threads may
    change a result in its last digits.
    """
    count = usable()
    return count if count < affinity() else None


def hold_libraries() -> None:
    """Make libraries that are loaded later stay within a quota; what the user set stays.

    OpenBLAS's idle threads are to sleep soon: they wait in a loop, on the cores that others need.
    """
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", IDLE)
    if (count := fewer()) is not None:
        for name in THREAD_VARIABLES:
            os.environ.setdefault(name, str(count))


def share_memory() -> None:
    """Let all threads take memory from one heap (glibc): a tenth less, for 3 % of the time.

    Where each has its own, what one frees the others cannot use. For a process that is ours.
    """
    if sys.platform == "linux":
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
        if set_option is not None:
            set_option(_M_ARENA_MAX, 1)


def torch_threads() -> int:
    """PyTorch's threads, lowered to what the process may use."""
    import torch

    if torch.get_num_threads() > (count := usable()):
        torch.set_num_threads(count)
    return int(torch.get_num_threads())


def for_openvino(**options: Any) -> dict[str, Any]:
    """Options of `Core.compile_model` for what has no number of threads of its own."""
    count = fewer()
    threads = {} if count is None else {"INFERENCE_NUM_THREADS": count}
    return {**FLOAT32, **threads, **options}


# ---------------------------------------------------------------- many things at once


def in_order(work: Callable[[S], T], items: Iterable[S], threads: int) -> Iterator[T]:
    """work(item) of every item, in their order, several at a time.

    Few are begun before the first is asked for, so memory does not grow with their number.
    """
    if threads == 1:
        yield from map(work, items)
        return
    pending: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads, "in-order") as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) > threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def soon(work: Callable[[], T]) -> Future[T]:
    """Begin work that is needed later, beside what is done until then."""
    pool = ThreadPoolExecutor(1, "soon")
    begun = pool.submit(work)
    pool.shutdown(wait=False)
    return begun


def ahead(items: Iterator[T], most: int) -> Generator[T, None, None]:
    """The same items, made in a thread of their own while earlier ones are used.

    At most `most` of them wait. Close it when it is not read to its end: the thread ends then, with
    the item that it is making.
    """
    waiting: Queue[tuple[T] | BaseException | None] = Queue(most)
    stopped = threading.Event()

    def put(what: tuple[T] | BaseException | None) -> None:
        while not stopped.is_set():
            with suppress(Full):
                waiting.put(what, timeout=0.1)
                return

    def make() -> None:
        try:
            for item in items:
                put((item,))
                if stopped.is_set():
                    break
            put(None)
        except BaseException as error:  # it is raised where the items are read
            put(error)

    thread = threading.Thread(target=make, name="ahead", daemon=True)
    thread.start()
    try:
        while (one := waiting.get()) is not None:
            if isinstance(one, BaseException):
                raise one
            yield one[0]
    finally:
        stopped.set()
        thread.join()


# ---------------------------------------------------------------- control groups


def groups(controller: str) -> Iterator[Path]:
    """The folders of this process's control groups (cgroup 2, and 1's `controller`).

    From its own group up to the top that is mounted here: in a container that is its own limit.
    """
    for mount, top, version in _mounts(controller):
        own = _own_group(controller, version)
        inside = Path(own).relative_to(top) if Path(own).is_relative_to(top) else Path()
        yield mount / inside
        yield from (mount / parent for parent in inside.parents if parent != inside)


def _mounts(controller: str) -> Iterator[tuple[Path, str, int]]:
    """Where groups are mounted, which group is the mount's top, and their version."""
    # proc(5): id parent device root mount options [fields...] - type source options
    for line in _read(ROOT / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        mount = ROOT / fields[4].lstrip("/").replace("\\040", " ")
        if kind[0] == "cgroup2":
            yield mount, fields[3], 2
        elif kind[0] == "cgroup" and controller in kind[2].split(","):
            yield mount, fields[3], 1


def _own_group(controller: str, version: int) -> str:
    for line in _read(ROOT / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if (version == 2 and number == "0") or (
            version == 1 and controller in controllers.split(",")
        ):
            return path
    return "/"


def _limit(folder: Path) -> float | None:
    """Of one group, in cores; None where it has none."""
    most, _, period = _read(folder / "cpu.max").strip().partition(" ")  # version 2
    if not most:
        most = _read(folder / "cpu.cfs_quota_us").strip()
        period = _read(folder / "cpu.cfs_period_us").strip()
    try:
        share = int(most) / int(period)
    except (ValueError, ZeroDivisionError):  # "max", or no such group
        return None
    return share if share > 0 else None  # -1: no limit


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
