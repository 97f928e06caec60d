"""How many workers this machine can carry."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

from ..errors import InputError

WORKER_BYTES = 4_000_000_000
"""What one worker with the built-in generator, the scorer and dlib may take at most: 1.7 GB of
resident memory with one face open, 0.3 GB for each of `render.STAGES` sets of regions, and 1.3 GB
of what encodes photos."""
THREADS = 1
"""Of a worker. Not what the cores would allow: sums are split over threads, and another split gives
other bytes (a grey level here and there). So a set does not depend on how many workers made it."""
SPARE = 0.9  # of the free memory; the rest is for the process that writes, and for others


@dataclass(frozen=True)
class Crew:
    """How many workers, with how many threads each."""

    workers: int
    threads: int


def crew(
    asked: int | None = None, threads: int = THREADS, *, worker_bytes: int = WORKER_BYTES
) -> Crew:
    """As many workers as cores and free memory allow, or as asked, with so many threads each."""
    cores = usable_cores()
    if asked is not None and asked < 1:
        raise InputError(f"{asked} workers: give 1 or more")
    if asked is None:
        asked = max(1, min(cores // threads, int(free_memory() * SPARE / worker_bytes)))
    return Crew(asked, threads)


def usable_cores() -> int:
    """Cores that this process may run on: a container or `taskset` may leave fewer than exist."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory() -> int:
    """Bytes that can be used without swapping, within a container's limit."""
    free = psutil.virtual_memory().available
    left = _left_in_cgroup()
    return int(free if left is None else min(free, left))


def _left_in_cgroup() -> int | None:
    """What a container (cgroup 2, or 1) may still take; its page cache does not count as taken."""
    for folder, limit, usage, cache in (
        ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
        (
            "/sys/fs/cgroup/memory",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "total_inactive_file",
        ),
    ):
        try:
            most = int((Path(folder) / limit).read_text())
            used = int((Path(folder) / usage).read_text())
            stat = (Path(folder) / "memory.stat").read_text().split()
        except (OSError, ValueError):  # no such cgroup, or no limit ("max")
            continue
        return most - used + int(dict(zip(stat[::2], stat[1::2], strict=False)).get(cache, 0))
    return None
