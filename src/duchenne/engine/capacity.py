"""How many workers this machine can carry."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import psutil

from .. import cores
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
    usable = cores.usable()
    if asked is not None and asked < 1:
        raise InputError(f"{asked} workers: give 1 or more")
    if asked is None:
        asked = max(1, min(usable // threads, int(free_memory() * SPARE / worker_bytes)))
    return Crew(asked, threads)


def free_memory() -> int:
    """Bytes that can be used without swapping, within a container's limit."""
    free = psutil.virtual_memory().available
    left = _left_in_cgroup()
    return int(free if left is None else min(free, left))


def _left_in_cgroup() -> int | None:
    """What a container (cgroup 2, or 1) may still take; its page cache does not count as taken."""
    left = None
    for folder in cores.groups("memory"):
        for limit, usage, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            try:
                most = int((folder / limit).read_text())
                used = int((folder / usage).read_text())
                stat = (folder / "memory.stat").read_text().split()
            except (OSError, ValueError):  # no such cgroup, or no limit ("max")
                continue
            kept = int(dict(zip(stat[::2], stat[1::2], strict=False)).get(cache, 0))
            left = min(most - used + kept, sys.maxsize if left is None else left)
    return left
