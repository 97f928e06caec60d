"""Whole processes on a photo, from the command to the file: the first ever, and later ones.

"First" has an empty cache but for the weights; "later" finds what the first one kept, but encodes
the face again. Seconds on the clock and of the processor, peak memory, and where the time went, as
each command's own record (`--json`) tells.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import arguments, report

from duchenne.weights import store

COMMANDS = {
    "edit": ["--au", "AU12=1", "-o", "out.png"],
    "animate": ["--expression", "happiness", "-o", "out.mp4"],
    "encode": ["-o", "out.safetensors"],
}


def main(args: list[str]) -> None:
    parser = arguments(__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--commands", default=",".join(COMMANDS), help="separated by commas")
    options = parser.parse_args(args)
    real = store.cache_root() / "weights"
    chosen, results = options.commands.split(","), {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        shutil.copy(options.photo, folder / options.photo.name)
        for name in chosen:
            cache = folder / f"cache-{name}"
            cache.mkdir()
            if real.is_dir():
                (cache / "weights").symlink_to(real)
            runs = [process(folder, cache, name, options.photo.name)]
            for _ in range(options.rounds):
                shutil.rmtree(cache / "codes", ignore_errors=True)
                runs.append(process(folder, cache, name, options.photo.name))
            results[name] = {"first": runs[0], "later": medians(runs[1:])}
    report("starts", results, options.output)


def process(folder: Path, cache: Path, name: str, photo: str) -> dict[str, Any]:
    """Run one command to its end."""
    program = "import sys; from duchenne.cli import main; main()"
    command = [sys.executable, "-c", program, name, photo, *COMMANDS[name], "--json", "run.json"]
    before, start = os.times(), time.perf_counter()
    subprocess.run(
        command, cwd=folder, env={**os.environ, "DUCHENNE_CACHE": str(cache)}, check=True,
        capture_output=True,
    )  # fmt: skip
    seconds, after = time.perf_counter() - start, os.times()
    record = json.loads((folder / "run.json").read_text())
    return {
        "seconds": round(seconds, 2),
        "processor_seconds": round(
            after.children_user + after.children_system
            - before.children_user - before.children_system, 2
        ),
        "peak_megabytes": round(record["peak_memory_bytes"] / 1e6),
        **{f"of it {stage}": value for stage, value in record["seconds"].items()},
    }  # fmt: skip


def medians(runs: list[dict[str, Any]]) -> dict[str, float]:
    return {name: round(statistics.median(run[name] for run in runs), 2) for name in runs[0]}


if __name__ == "__main__":
    main(sys.argv[1:])
