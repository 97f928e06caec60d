"""How many cases are tried, which are always the same, and what holds for each of them.

    pytest tests/fuzz                          some 3,500 cases
    DUCHENNE_FUZZ=50000 pytest tests/fuzz      at least so many

No case may compute for 10 s (`fuzzed.bounded`) or last a minute on a busy machine (Hypothesis's
deadline), and no test may take more than a gigabyte.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import psutil
import pytest

pytest.importorskip("hypothesis", reason="the fuzzing needs hypothesis")

from hypothesis import HealthCheck, settings

SLOWEST = timedelta(seconds=60)
MOST_MEMORY = 1 << 30

settings.register_profile(
    "duchenne",
    derandomize=True,
    deadline=SLOWEST,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
settings.load_profile("duchenne")


@pytest.fixture(autouse=True)
def _bounded_memory() -> Iterator[None]:
    process = psutil.Process()
    before = process.memory_info().rss
    yield
    assert process.memory_info().rss - before < MOST_MEMORY


try:
    import resource
except ImportError:  # Windows
    pass
else:

    @pytest.fixture(autouse=True)
    def _bounded_peak() -> Iterator[None]:
        """The most that the process ever had, which only grows."""
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        yield
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MEMORY >> 10
