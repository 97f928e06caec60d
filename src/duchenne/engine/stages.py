"""How long each stage of a job took, and how much memory the process needed."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Stages:
    """Seconds by stage, in the order in which the stages began.

    `with stages("encode"): ...` times a block; a name used twice adds up.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self.seconds.setdefault(name, 0.0)
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start

    def __str__(self) -> str:
        parts = [f"{name} {seconds:.1f} s" for name, seconds in self.seconds.items()]
        return ", ".join([*parts, f"in all {sum(self.seconds.values()):.1f} s"])


def peak_memory() -> int | None:
    """The most memory that this process has held so far, in bytes; None where nobody counts."""
    status = Path("/proc/self/status")
    # psutil knows no peak here, and ru_maxrss would include the parent's memory at the fork.
    if status.exists():
        line = re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(), re.MULTILINE)
        return int(line.group(1)) * 1024 if line else None
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
