"""Workers for the fits: `--workers`, `--threads` and `--ray` of `fit boundaries` and `encoder`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from .faces import Encoding, opening_of
from .many import WORKER_OPTIONS, open_slots, summary_of
from .motion import options
from .run import Run, progress_bars

if TYPE_CHECKING:
    from ..fit.ahead import Preparation
    from ..opening import Opening


@dataclass(frozen=True)
class WorkerOptions:
    """As asked for on the command line."""

    workers: int | None
    threads: int | None
    ray: str | None

    @property
    def asked(self) -> bool:
        """Whether the long part shall be done ahead of the fit, by workers."""
        return (self.workers, self.threads, self.ray) != (None, None, None)

    def require_none(self, reason: str) -> None:
        """UsageError if workers were asked for where there is nothing for them to do."""
        if self.asked:
            raise click.UsageError(f"--workers, --threads and --ray: {reason}")

    def work(
        self,
        run: Run,
        generator_file: str | None,
        preparation_of: Callable[[Opening], Preparation],
        encoding: Encoding | None = None,
    ) -> None:
        """Make the files if workers were asked for; the fit finds them. See `fit.ahead`."""
        if not self.asked:
            return
        from ..fit import ahead

        with run.stages("ahead"), progress_bars() as tell:
            opening = opening_of(encoding, generator_file=generator_file, device="cpu")
            preparation = preparation_of(opening)
            slots, throughput = open_slots(preparation.build, self.workers, self.threads, self.ray)
            ahead.run(preparation, slots, throughput, tell)
        run.facts["throughput"] = throughput.facts()
        run.note(f"{preparation.stage}: {summary_of(throughput)}")


def worker_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gather the workers' options into one argument, `crew`."""

    @functools.wraps(command)
    def collected(
        *args: Any, workers: int | None, threads: int | None, ray: str | None, **others: Any
    ) -> Any:
        return command(*args, crew=WorkerOptions(workers, threads, ray), **others)

    return options(WORKER_OPTIONS)(collected)
