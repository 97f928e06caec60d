"""Whole processes, from the command to the file: the first ever, and later ones.

"First" has an empty cache but for the weights; "later" finds what the first one kept, but encodes
the face again. Seconds on the clock and of the processor, peak memory, and where the time went, as
each command's own record (`--json`) tells; "start and end" is what the record does not see.

The first photo is for all commands, further ones are only edited: large ones, say. Linux and macOS.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copy, rmtree
from typing import Any

from measuring import SEED, arguments, report

from duchenne.weights import store

# {photo} and {code} are inputs; the code is that of a sampled person.
COMMANDS: Mapping[str, Sequence[str]] = {
    "help": ("--help",),
    "edit": ("edit", "{photo}", "--au", "AU12=1", "-o", "out.png"),
    "animate": ("animate", "{photo}", "--expression", "happiness", "-o", "out.mp4"),
    "score": ("score", "{photo}"),
    "sample": ("sample", "--seed", f"{SEED}", "-o", "person.png"),
    "edit a code": ("edit", "{code}", "--au", "AU12=1", "-o", "out.png"),
    "encode": ("encode", "{photo}", "-o", "out.safetensors"),
}
UNRECORDED = {"help"}  # has no --json
LONG = {"encode"}  # only where it is asked for
CODE = f"seed_{SEED}.safetensors"
PROGRAM = "from duchenne.cli import main; main()"
STAGES = ("load", "align", "encode", "prepare", "measure", "render and write", "score", "sample")
Run = dict[str, float]


@dataclass(frozen=True)
class Place:
    """Where commands run: a folder with their inputs, and the weights that every cache has."""

    folder: Path
    weights: Path

    def cache(self, name: str) -> Path:
        """A fresh one for a command."""
        cache = self.folder / f"cache-{name}"
        cache.mkdir()
        if self.weights.is_dir():
            (cache / "weights").symlink_to(self.weights)
        return cache

    def process(self, cache: Path, command: Sequence[str], *, recorded: bool) -> Run:
        """Run one command to its end."""
        record = self.folder / "run.json"
        words = [sys.executable, "-c", PROGRAM, *command]
        words += ["--json", str(record)] if recorded else []
        environment = {
            **os.environ,
            "DUCHENNE_CACHE": str(cache),
            # An installed package has its bytecode; whoever runs this may have switched it off.
            "PYTHONPYCACHEPREFIX": str(self.folder / "bytecode"),
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        start = time.perf_counter()
        with (self.folder / "said.txt").open("wb") as said:
            process = subprocess.Popen(
                words, cwd=self.folder, env=environment, stdout=said, stderr=said
            )
            _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{' '.join(words)}: {(self.folder / 'said.txt').read_text()}")
        unit = 1 if sys.platform == "darwin" else 1024
        run = {
            "seconds": round(seconds, 2),
            "processor_seconds": round(used.ru_utime + used.ru_stime, 2),
            "peak_megabytes": round(used.ru_maxrss * unit / 1e6),
        }
        stages = json.loads(record.read_text())["seconds"] if recorded else {}
        run |= {f"of it {stage}": value for stage, value in stages.items()}
        return run | {"of it start and end": round(seconds - sum(stages.values()), 2)}


def main(args: list[str]) -> None:
    parser = arguments(__doc__)
    parser.add_argument("photos", type=Path, nargs="+", metavar="PHOTO")
    chosen = ",".join(name for name in COMMANDS if name not in LONG)
    parser.add_argument("--commands", default=chosen, help=f"of {', '.join(COMMANDS)}; by commas")
    options = parser.parse_args(args)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder), store.cache_root() / "weights")
        for photo in options.photos:
            copy(photo, folder)
        # Compiles the bytecode too; what it keeps lies in a cache of its own.
        sample = ("sample", "--seed", f"{SEED}", "-o", f"seed_{SEED}.png")
        place.process(place.cache("before"), sample, recorded=True)
        for name in options.commands.split(","):
            results[name] = measured(place, name, options.photos[0].name, options.rounds)
        for photo in options.photos[1:]:
            results[f"edit {photo.name}"] = measured(place, "edit", photo.name, options.rounds)
    report("starts", results, options.output)
    print(table(results))


def measured(place: Place, name: str, photo: str, rounds: int) -> dict[str, Run]:
    """The first run of a command, and medians of later ones."""
    command = [word.format(photo=photo, code=CODE) for word in COMMANDS[name]]
    cache = place.cache(f"{name}-{photo}".replace(" ", "-"))
    recorded = name not in UNRECORDED
    runs = [place.process(cache, command, recorded=recorded)]
    for _ in range(rounds):
        rmtree(cache / "codes", ignore_errors=True)
        runs.append(place.process(cache, command, recorded=recorded))
    return {"first": runs[0], "later": medians(runs[1:])}


def medians(runs: list[Run]) -> Run:
    return {name: round(statistics.median(run[name] for run in runs), 2) for name in runs[0]}


def table(results: Mapping[str, Mapping[str, Run]]) -> str:
    """A row for each command, first and later, in Markdown."""
    parts = ["start and end", *STAGES]
    seen = {key for runs in results.values() for run in runs.values() for key in run}
    parts = [part for part in parts if f"of it {part}" in seen]
    head = ["", "", "seconds", "of the processor", "peak MB", *parts]
    rows = [head, ["---"] * len(head)]
    for name, runs in results.items():
        for when, run in runs.items():
            whole = [f"{run[key]:g}" for key in ("seconds", "processor_seconds", "peak_megabytes")]
            stages = [f"{run[key]:.1f}" if (key := f"of it {p}") in run else "" for p in parts]
            rows.append([name, when, *whole, *stages])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main(sys.argv[1:])
