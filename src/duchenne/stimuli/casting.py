"""Who is in a set: photos and codes as they are, synthetic people as they pass the screening."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from ..engine.base import Engine, Item, Throughput
from ..engine.folder import OutputFolder
from ..errors import InputError
from ..files.names import sameness, unportable
from ..files.writing import reporting_disk_errors
from ..types import StageProgress
from .design import Design
from .drawing import Source
from .screening import Seed

MOST_TRIES = 400  # seeds for each person that is wanted; a strict screening passes one in fifty


@dataclass(frozen=True)
class Identity:
    """name: what files and tables call the person. kind: synthetic, photo or code."""

    name: str
    kind: str
    source: Source


def named_people(design: Design) -> list[Identity]:
    """The photos, codes and seeds that the design names."""
    people = []
    for kind, names in (("photo", design.people.photos), ("code", design.people.codes)):
        for name in names:
            path = design.folder / name
            try:
                content = path.read_bytes()
            except OSError as error:
                raise InputError(
                    f"{path}: cannot be read ({error.strerror}); [people] names it, relative to "
                    "the design"
                ) from None
            identity = re.sub(r"[^\w-]+", "-", Path(name).stem).strip("-") or kind
            people.append(Identity(identity, kind, Source(name, content=content)))
    people += [synthetic(design, seed) for seed in design.people.seeds]
    counted = Counter(sameness(person.name) for person in people)
    for person in people:
        if reason := unportable(person.name):
            raise InputError(f"[people] {person.source.name}: {reason}; rename the file")
        if counted[sameness(person.name)] > 1:
            raise InputError(
                f"[people] two people would be called {person.name!r} (case does not count); "
                "rename a file"
            )
    return people


def synthetic(design: Design, seed: int) -> Identity:
    """The synthetic person of a seed."""
    source = Source(f"seed {seed}", seed=seed, truncation=design.people.truncation)
    return Identity(f"s{seed:05d}", "synthetic", source)


class Casting:
    """Finds synthetic people in the order of their seeds, whichever worker is faster.

    What is found is recorded in the folder, so that a run that goes on does not look again.
    """

    def __init__(
        self, design: Design, folder: OutputFolder, engine: Engine, throughput: Throughput
    ) -> None:
        self._design, self._folder = design, folder
        self._engine, self._throughput = engine, throughput
        self._excluded = {*design.people.exclude, *design.people.seeds}
        self.tried: list[int] = []
        """Seeds in order, up to the last that was taken."""

    def take(self, wanted: int, *, asks: bool, progress: StageProgress) -> list[Identity]:
        """The first `wanted` people of the seeds that pass. InputError if too few do."""
        if not asks:
            return [synthetic(self._design, s) for s, _ in zip(self._seeds(), range(wanted))]  # noqa: B905
        first = self._design.people.first_seed
        taken: list[dict[str, Any]] = []
        seeds, waiting = self._seeds(), self._verdicts()
        self.tried = []
        for seed in seeds:
            if len(taken) == wanted:
                break
            if len(self.tried) >= MOST_TRIES * wanted:
                raise InputError(
                    f"only {len(taken)} of {wanted} people found among the {len(self.tried)} seeds "
                    f"from {first} on; ask for less in [people] frontal, neutral or different"
                )
            key = _key(seed)
            while key not in self._folder.rows:
                next(waiting)
            self.tried.append(seed)
            if self._passes(self._folder.rows[key], taken):
                taken.append(self._folder.rows[key])
                progress("screening", len(taken), wanted)
        return [synthetic(self._design, row["seed"]) for row in taken]

    def _seeds(self) -> Iterator[int]:
        return (s for s in count(self._design.people.first_seed) if s not in self._excluded)

    def _verdicts(self) -> Iterator[None]:
        """Judges the seeds that nobody has judged, one after the other, as long as it is asked."""
        items = (
            Item(_key(seed), Seed(seed)) for seed in self._seeds()
            if _key(seed) not in self._folder.rows
        )  # fmt: skip
        for outcome in self._engine.process(items):
            self._throughput.note(outcome)
            seed = outcome.item.payload.number
            verdict = outcome.value or {"seed": seed, "passed": "no", "reason": outcome.error}
            self._folder.record(_key(seed), verdict)
            yield

    def _passes(self, row: dict[str, Any], taken: list[dict[str, Any]]) -> bool:
        """Whether this seed is used, given those before it; the reason goes into its row."""
        least = self._design.people.different
        if row["passed"] == "yes" and least is not None:
            for other in taken:
                distance = np.linalg.norm(np.subtract(row["person"], other["person"]))
                if distance < least:
                    reason = f"{distance:.2f} from {synthetic(self._design, other['seed']).name}"
                    row.update(passed="no", reason=reason)
                    break
        return bool(row["passed"] == "yes")

    def rows(self) -> list[dict[str, Any]]:
        """The rows of screening.csv."""
        return [self._folder.rows[_key(seed)] for seed in self.tried]

    def keys(self) -> list[str]:
        """What of the folder's journal belongs to this casting."""
        return [_key(seed) for seed in self.tried]


def design_text(path: Path) -> bytes:
    """The design as it was written."""
    with reporting_disk_errors(path):
        return path.read_bytes()


def _key(seed: int) -> str:
    return f"seed:{seed}"
